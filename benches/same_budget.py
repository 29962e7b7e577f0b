"""The network of datasets/weights/fashion-mnist.safetensors trained by PyTorch with the same budget.

    python3 benches/same_budget.py --out runs/pytorch [--threads 2] [--steps 7496] [--seed 1]

Same data, process, loss, optimiser, warm-up, clipping, average, batch and number of steps as
`scorebook train fashion-mnist --network unet --epochs 8 --ema 0.9995 --seed 1`, in PyTorch's own modules; what is random
is drawn by PyTorch, so the weights differ as those of another seed do. It needs torch, numpy and safetensors, and the data
of the Debian package `dataset-fashion-mnist`.

The folder gets `model.safetensors`, the averaged weights (anew every 1,000 steps), which `scorebook sample` and
`scorebook eval` read as they read ours; so both are measured by the same program:

    scorebook eval runs/pytorch
    scorebook eval datasets/weights/fashion-mnist.safetensors

`--check` compares, in the place of a training, the outputs of the PyTorch network with the weights of a model file with
those of the bench `inverse`, which opens the file as the library does.
"""

import argparse
import gzip
import json
import math
import time
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from tutorial_unet import Unet

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = Path("/usr/share/datasets/fashion-mnist")
BETA_MIN, BETA_MAX = 0.1, 20.0
BATCH, LEARNING_RATE, WARMUP, CLIP, EMA, T_MIN = 64, 1e-3, 500, 1.0, 0.9995, 1e-5


def mean_scale(t):
    """Of the variance-preserving process; its standard deviation is sqrt(1 - mean_scale²)."""
    return torch.exp(-0.25 * t**2 * (BETA_MAX - BETA_MIN) - 0.5 * t * BETA_MIN)


def images(split):
    """The images of `train` or `t10k`, `[count, 1, 28, 28]`, from -1 to 1."""
    raw = gzip.decompress((DATA / f"{split}-images-idx3-ubyte.gz").read_bytes())
    count, height, width = np.frombuffer(raw[4:16], ">u4")
    pixels = np.frombuffer(raw[16:], np.uint8).reshape(count, 1, height, width)
    return torch.from_numpy(pixels.copy()).float() / 127.5 - 1


def save(folder, network, average, step, seed):
    """The averaged weights with a card, as `Model::save` writes them."""
    settings = {"batch": BATCH, "clip": CLIP, "ema": EMA, "learning_rate": LEARNING_RATE, "seed": seed, "warmup": WARMUP}
    card = {
        "architecture": {"network": "unet"},
        "process": {"process": "variance_preserving", "beta_min": BETA_MIN, "beta_max": BETA_MAX},
        "data": "Fashion-MNIST, 60000 images",
        "shape": [1, 28, 28],
        "training": {"program": f"PyTorch {torch.__version__}", "settings": settings, "steps": step},
    }
    names = [name for name, _ in network.named_parameters()]
    weights = dict(zip(names, average)) | {"frequencies": network.frequencies}
    weights = {name: value.detach().contiguous() for name, value in weights.items()}
    part = folder / "model.part"
    save_file(weights, part, {"scorebook": json.dumps(card)})
    part.rename(folder / "model.safetensors")


def train(folder, steps, seed):
    torch.manual_seed(seed)
    network, data = Unet(), images("train")
    weights = list(network.parameters())
    print(f"{sum(weight.numel() for weight in weights):,} parameters, {torch.get_num_threads()} threads", flush=True)
    average = [weight.detach().clone() for weight in weights]
    optimizer = torch.optim.Adam(weights, lr=LEARNING_RATE, fused=True)
    batches = len(data) // BATCH
    folder.mkdir(parents=True, exist_ok=True)
    begun, lap, losses = time.perf_counter(), time.perf_counter(), []
    for step in range(1, steps + 1):
        if (step - 1) % batches == 0:
            order = torch.randperm(len(data))
        first = (step - 1) % batches * BATCH
        x0 = data[order[first : first + BATCH]]
        t = torch.rand(BATCH) * (1 - T_MIN) + T_MIN
        z = torch.randn_like(x0)
        alpha = mean_scale(t.double())
        std = (1 - alpha**2).sqrt().float()[:, None, None, None]
        noised = alpha.float()[:, None, None, None] * x0 + std * z
        loss = (network(noised, t) + z).square().mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(weights, CLIP)
        optimizer.param_groups[0]["lr"] = LEARNING_RATE * min(1.0, step / WARMUP)
        optimizer.step()
        with torch.no_grad():
            torch._foreach_lerp_(average, weights, 1 - min(EMA, (1 + step) / (10 + step)))
        losses.append(loss.item())
        if step % 50 == 0 or step == steps:
            now = time.perf_counter()
            count = len(losses)
            print(
                f"step {step} of {steps}: loss {sum(losses) / count:.4f}, {1e3 * (now - lap) / count:.0f} ms a step,"
                f" {(now - begun) / 60:.1f} minutes",
                flush=True,
            )
            lap, losses = now, []
        if step % 1000 == 0 or step == steps:
            save(folder, network, average, step, seed)


def check(path, bench):
    """The largest difference of the scores times the standard deviation, of images at ten noise levels."""
    import subprocess
    import tempfile

    torch.manual_seed(0)
    t = torch.linspace(0.01, 1, 10)
    x0 = images("t10k")[:10]
    alpha = mean_scale(t.double()).float()[:, None, None, None]
    std = (1 - alpha**2).sqrt()
    x = alpha * x0 + std * torch.randn_like(x0)
    with torch.no_grad():
        theirs = Unet.load(path)(x, t)
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        save_file({"x": x, "t": t}, folder / "in.safetensors")
        subprocess.run([bench, "score", path, folder / "in.safetensors", folder / "out.safetensors"], check=True)
        with safe_open(folder / "out.safetensors", "pt") as out:
            ours = out.get_tensor("score") * std
    difference = (ours - theirs).abs().max().item()
    print(f"largest difference {difference:.1e} of outputs up to {theirs.abs().max().item():.2f}")
    if not difference < 1e-4:
        raise SystemExit("the networks differ")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, help="the folder of the training")
    parser.add_argument("--steps", type=int, default=7496)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--check", type=Path, metavar="MODEL", help="compare the networks with these weights instead")
    parser.add_argument("--bench", type=Path, help="the bench `inverse`, already built")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.check:
        from peers import built

        check(options.check, options.bench or built("inverse"))
    elif options.out:
        train(options.out, options.steps, options.seed)
    else:
        parser.error("say --out or --check")


if __name__ == "__main__":
    main()
