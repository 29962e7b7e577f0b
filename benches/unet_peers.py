"""The U-Net of benches/unet.rs beside PyTorch and stock candle, in one run.

    python3 benches/unet_peers.py [--repeats 5] [--threads 2] [--cases train forward ...]

makes a virtual environment beside the build, installs PyTorch there, builds the bench, and runs all contestants in turns.
It prints the medians in milliseconds a run by the clock and by the processor time, the ratios of ours to theirs (less than 1
is faster), and the most memory that each process held. `channels last` is PyTorch with its other layout of memory.

The cases are those of benches/unet.rs; `sample` is 500 steps and takes half a minute a run.
"""

import argparse
import gzip
import math
import struct
import sys
from pathlib import Path

from peers import REPOSITORY, TARGET, built, environment, in_turns, serve

PEERS = ["torch", "numpy"]
CASES = {"train": 10, "forward": 20, "residual-train": 5, "residual-forward": 10, "corrector": 10, "data": 1, "sample": 1}
SIGMA = 25.0


def contestant(case, times, layout, threads):
    import torch
    from torch import nn
    from tutorial_unet import Unet

    torch.set_num_threads(threads)
    torch.manual_seed(0)

    def std(t):
        return torch.sqrt((SIGMA ** (2 * t) - 1) / 2 / math.log(SIGMA))

    class ResidualBlock(nn.Module):
        def __init__(self, maps, channels, attention=False):
            super().__init__()
            self.first = nn.Conv2d(maps * channels, channels, 3, padding=1, bias=False)
            self.time, self.norm = nn.Linear(128, channels), nn.GroupNorm(8, channels)
            self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
            self.attention = attention
            if attention:
                self.attention_norm = nn.GroupNorm(8, channels)
                self.asked, self.given = nn.Linear(channels, 3 * channels), nn.Linear(channels, channels)

        def forward(self, maps, time):
            h = self.first(torch.cat(maps, 1)) + self.time(time)[..., None, None]
            h = maps[0] + self.second(nn.functional.silu(self.norm(h)))
            if self.attention:
                pixels = nn.functional.silu(self.attention_norm(h)).flatten(2).transpose(1, 2)
                found = nn.functional.scaled_dot_product_attention(*self.asked(pixels).chunk(3, -1))
                h = h + self.given(found).transpose(1, 2).reshape(h.shape)
            return h

    class ResidualUnet(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("frequencies", torch.randn(64) * 2)
            self.time = nn.Sequential(nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU())
            channels, pairs = [32, 64, 96], [(32, 64), (64, 96)]
            self.enter = nn.Conv2d(1, 32, 3, padding=1, bias=False)
            self.down = nn.ModuleList(ResidualBlock(1, c, c == 96) for c in channels)
            self.shrink = nn.ModuleList(nn.Conv2d(a, b, 2, 2, bias=False) for a, b in pairs)
            self.middle = ResidualBlock(1, 96)
            self.up = nn.ModuleList(ResidualBlock(2, c, c == 96) for c in channels)
            self.grow = nn.ModuleList(nn.ConvTranspose2d(b, a, 2, 2, bias=False) for a, b in pairs)
            self.norm, self.out = nn.GroupNorm(8, 32), nn.Conv2d(32, 1, 3, padding=1)

        def forward(self, x, t):
            # EDM's preconditioning for data of the standard deviation 0.5.
            level = std(t)[:, None, None, None]
            size = (level**2 + 0.25).sqrt()
            phase = level.flatten().log()[:, None] / 4 * self.frequencies * math.tau
            time, skips = self.time(torch.cat([phase.sin(), phase.cos()], 1)), []
            h = self.enter(x / size)
            for i, block in enumerate(self.down):
                h = block([self.shrink[i - 1](h) if i else h], time)
                skips.append(h)
            h = self.middle([h], time)
            for i in (2, 1, 0):
                h = self.up[i]([h, skips.pop()], time)
                h = self.grow[i - 1](h) if i else h
            raw = self.out(nn.functional.silu(self.norm(h)))
            return (0.5 * raw - x * level / size) / size

    kind, case = (ResidualUnet, case.removeprefix("residual-")) if case.startswith("residual") else (Unet, case)
    network, images = kind(), torch.rand(64, 1, 28, 28)
    if layout == "last":
        network = network.to(memory_format=torch.channels_last)

    def score(x, t):
        t = torch.full((len(x),), t)
        return network(x, t) / std(t)[:, None, None, None]

    def predict(x, t, step):
        drift = SIGMA ** (2 * t) * score(x, t)
        return x + drift * step + SIGMA**t * math.sqrt(step) * torch.randn_like(x)

    def train():
        for _ in range(times):
            t = torch.rand(64) * (1 - 1e-5) + 1e-5
            z = torch.randn_like(images)
            loss = (network(images + z * std(t)[:, None, None, None], t) + z).square().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            with torch.no_grad():
                torch._foreach_lerp_(average, weights, 1e-3)
            loss.item()

    def forward():
        for _ in range(times):
            t = torch.rand(64) * (1 - 1e-5) + 1e-5
            network(images, t) / std(t)[:, None, None, None]

    def corrector():
        for _ in range(times):
            x = predict(images, 1.0, 0.1)
            s, z = score(x, 0.9), torch.randn_like(x)
            norm = lambda v: v.flatten(1).norm(dim=1).mean()
            step = 2 * (0.16 * norm(z) / norm(s)) ** 2
            x = x + step * s + torch.sqrt(2 * step) * z

    def sample():
        x = torch.randn(64, 1, 28, 28) * SIGMA / math.sqrt(2 * math.log(SIGMA))
        for k in range(500):
            x = predict(x, 1 - k * 0.999 / 500, 0.999 / 500)

    def data():
        import numpy as np

        folder = REPOSITORY / "datasets" / "fashion-mnist"
        packed = next(folder.glob("*t10k-images*"))
        raw = gzip.decompress(packed.read_bytes())
        _, count, height, width = struct.unpack(">IIII", raw[:16])
        torch.from_numpy(np.frombuffer(raw[16:], np.uint8).reshape(count, 1, height, width).copy()).float() / 255

    if case == "train":
        weights = list(network.parameters())
        average = [weight.detach().clone() for weight in weights]
        optimizer = torch.optim.Adam(weights, lr=1e-4, fused=True)
        return train
    torch.set_grad_enabled(False)
    return {"forward": forward, "corrector": corrector, "sample": sample, "data": data}[case]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cases", nargs="*", default=list(CASES))
    parser.add_argument("--environment", type=Path)
    parser.add_argument("--bench", type=Path, help="the bench, already built")
    options = parser.parse_args()
    python = environment(options.environment or TARGET / "unet-peers", PEERS)
    bench = options.bench or built("unet")
    commands = {}
    for case in options.cases:
        commands[case, "ours"] = [bench, case, str(CASES[case])]
        layouts = ["torch"] if case == "data" else ["torch", "channels last"]
        for layout in layouts:
            numbers = [str(CASES[case]), layout.split()[-1], str(options.threads)]
            commands[case, layout] = [python, __file__, "--worker", case, *numbers]
        if case == "train":
            commands[case, "stock candle"] = [bench, "stock", "2"]
    results = in_turns(commands, options.repeats, {"RAYON_NUM_THREADS": str(options.threads)})
    print(f"{options.threads} threads, medians of {options.repeats} runs in turns")
    print("milliseconds by the clock (ours over theirs), of processor time (same), peak memory in MB")
    each = {key: 2 if key[1] == "stock candle" else CASES[key[0]] for key in results}
    for (case, name), (wall, cpu, peak) in results.items():
        times = each[case, name]
        ours = [seconds / CASES[case] for seconds in results[case, "ours"][:2]]
        print(
            f"{case:10} {name:14} {1e3 * wall / times:9.1f} ({ours[0] * times / wall:5.2f})"
            f"  {1e3 * cpu / times:9.1f} ({ours[1] * times / cpu:5.2f})  {peak:6.0f}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        case, times, layout, threads = sys.argv[2:]
        serve(contestant(case, int(times), layout, int(threads)))
    else:
        main()
