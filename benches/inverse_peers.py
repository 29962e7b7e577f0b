"""Our posterior samplers beside deepinv's, with the same network, images, measurements and numbers of steps.

    python3 benches/inverse_peers.py [--count 32] [--threads 2] [--tasks box ...] [--methods dps ...]

makes a virtual environment beside the build, installs deepinv there, and builds the bench `inverse`. The network is the
shipped one of Fashion-MNIST, in PyTorch for deepinv (see same_budget.py), the images are the first of the test set, from
-1 to 1, the noise of every measurement has the standard deviation 0.05:

    box      a square of 12×12 pixels is missing
    random   half of the pixels are missing
    super    means over blocks of 4×4 pixels
    blur     a Gaussian blur of the standard deviation 1.5 pixels, periodic

It prints PSNR and SSIM of one draw of each posterior, and the seconds. With 8 images another seed changes PSNR by some
0.7 dB, with 32 by half of it. deepinv's settings were searched on other images of the test set: `--search` tries those of
SEARCH, of both sides, on the images after the first 1,000. Guesses of the data are cut to -1 to 1 on both sides.

deepinv 0.5 divides all noise of its DDRM by the root of 2, which the paper does not: its draws spread less, and PSNR likes
that. On 64 images it has 22.8, 23.0, 18.8 and 21.5 dB in the order of the tasks above, without the division 21.9, 21.9,
17.7 and 18.3; ours has 22.5, 22.0, 17.4 and 21.4.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from peers import REPOSITORY, TARGET, built, environment

PEERS = ["deepinv", "safetensors"]
MODEL = REPOSITORY / "datasets" / "weights" / "fashion-mnist.safetensors"
STD = 0.05
TASKS = ["box", "random", "super", "blur"]
STEPS = {"dps": 200, "pi-gdm": 100, "diffpir": 100, "ddrm": 20}
SEARCH = {
    ("ours", "dps"): [0.5, 1, 2, 4],
    ("deepinv", "dps"): [1, 10, 30, 100, 300],
    ("ours", "pi-gdm"): [0.5, 1, 2, 5],
    ("deepinv", "pi-gdm"): [0.3, 1],
    ("ours", "diffpir"): [0.3, 1, 3, 7],
    ("deepinv", "diffpir"): [0.3, 1, 3, 7],
    ("ours", "ddrm"): [0.5, 0.85, 1],
    ("deepinv", "ddrm"): [0.5, 0.85, 1],
}
# Ours are what theory or the papers say; deepinv's the best of the search.
BEST = {
    "ours": {"dps": {"super": 4, "": 1}, "pi-gdm": {"": 1}, "diffpir": {"": 1}, "ddrm": {"": 0.85}},
    "deepinv": {"dps": {"super": 100, "blur": 100, "": 300}, "pi-gdm": {"": 1}, "diffpir": {"": 1}, "ddrm": {"": 0.85}},
}


def tasks(images, folder):
    """{task: (physics of deepinv, y, file for our bench)}."""
    import deepinv
    import torch
    from safetensors.torch import save_file

    noise = deepinv.physics.GaussianNoise(STD)
    size = (1, 28, 28)
    box = torch.ones(size)
    box[:, 8:20, 8:20] = 0
    random = (torch.rand(size, generator=torch.Generator().manual_seed(1)) < 0.5).float()
    line = torch.exp(-0.5 * (torch.arange(-6, 7) / 1.5) ** 2)
    kernel = torch.outer(line, line) / line.sum() ** 2
    # An orthonormal basis of a block whose first vector is constant: one step of Householder.
    vector = torch.full((16,), 0.25)
    vector[0] -= 1
    basis = torch.eye(16) - 2 * torch.outer(vector, vector) / vector.square().sum()

    def blocks(x):
        return (x.reshape(-1, 1, 7, 4, 7, 4).permute(0, 1, 2, 4, 3, 5).reshape(-1, 1, 7, 7, 16)) @ basis.to(x.dtype)

    def pixels(c):
        c = (c @ basis.to(c.dtype).T).reshape(-1, 1, 7, 7, 4, 4)
        return c.permute(0, 1, 2, 4, 3, 5).reshape(-1, 1, 28, 28)

    values = torch.zeros(1, 1, 7, 7, 16)
    values[..., 0] = 0.25
    down = deepinv.physics.DecomposablePhysics(
        U=lambda c: c[..., 0],
        U_adjoint=lambda y: torch.nn.functional.pad(y[..., None], (0, 15)),
        V=pixels,
        V_adjoint=blocks,
        mask=values,
        noise_model=noise,
    )
    found = {
        "box": (deepinv.physics.Inpainting(size, mask=box, noise_model=noise), {"mask": box}),
        "random": (deepinv.physics.Inpainting(size, mask=random, noise_model=noise), {"mask": random}),
        "super": (down, {"factor": torch.tensor([4.0])}),
        "blur": (deepinv.physics.BlurFFT(size, filter=kernel[None, None], noise_model=noise), {"kernel": kernel}),
    }
    torch.manual_seed(2)
    for task, (physics, operator) in found.items():
        exact = physics.A(images)
        y = exact + STD * torch.randn_like(exact)
        path = folder / f"{task}.safetensors"
        save_file(operator | {"y": y.contiguous(), "std": torch.tensor([STD])}, path)
        found[task] = physics, y, path
    return found


def denoiser():
    """The network as deepinv wants it: `E[x0 | x0 + sigma z]`, for values from -1 to 1."""
    import math

    import deepinv
    import torch
    from same_budget import BETA_MAX, BETA_MIN
    from tutorial_unet import Unet

    network = Unet.load(MODEL)

    class Denoised(deepinv.models.Denoiser):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, x, sigma, **_):
            sigma = torch.as_tensor(sigma, dtype=torch.float64).flatten().expand(len(x))
            # alpha = 1/sqrt(1 + sigma²), so the integral of beta is log(1 + sigma²).
            integral = torch.log1p(sigma**2)
            rise = BETA_MAX - BETA_MIN
            t = (torch.sqrt(BETA_MIN**2 + 2 * rise * integral) - BETA_MIN) / rise
            alpha = torch.exp(-0.5 * integral).float()[:, None, None, None]
            std = (sigma.float()[:, None, None, None]) * alpha
            state = alpha * x.float()
            return (state + std * self.network(state, t.clamp(1e-5, 1).float())) / alpha

    return Denoised()


def theirs(method, steps, setting, physics, y, network):
    import deepinv
    import torch

    class FromZeroToOne(deepinv.models.Denoiser):
        """The same for values from 0 to 1, which some methods take for granted."""

        def forward(self, x, sigma, **_):
            return (network(2 * x - 1, 2 * sigma) + 1) / 2

    torch.manual_seed(1)
    begun = time.perf_counter()
    times = torch.linspace(1, 0, steps + 1, dtype=torch.float64)
    if method == "dps":
        model = deepinv.sampling.DPS(network, num_steps=steps + 1, weight=setting, minus_one_one=False)
        x = model(y, physics, seed=1)
    elif method == "pi-gdm":
        model = deepinv.sampling.PosteriorDiffusion(
            data_fidelity=deepinv.sampling.PiGDMDataFidelity(weight=setting, clip=(-1.0, 1.0)),
            denoiser=network,
            sde=deepinv.sampling.VariancePreservingDiffusion(alpha=1.0),
            solver=deepinv.sampling.DDPMSolver(timesteps=times),
            minus_one_one=False,
        )
        x = model(y, physics, seed=1)
    else:
        # y of images from 0 to 1.
        white = physics.A(torch.ones(1, 1, 28, 28))
        physics.noise_model = deepinv.physics.GaussianNoise(STD / 2)
        if method == "diffpir":
            fidelity = deepinv.optim.data_fidelity.L2()
            model = deepinv.sampling.DiffPIR(FromZeroToOne(), fidelity, max_iter=steps, lambda_=setting, zeta=1.0)
        else:
            sigmas = torch.linspace(1, 0, steps + 1).numpy()
            model = deepinv.sampling.DDRM(FromZeroToOne(), sigmas=sigmas, eta=setting)
        with torch.no_grad():
            x = 2 * model((y + white) / 2, physics) - 1
        physics.noise_model = deepinv.physics.GaussianNoise(STD)
    return x.detach().float(), time.perf_counter() - begun


def ours(method, steps, setting, path, bench, threads):
    from os import environ

    from safetensors.torch import load_file

    out = path.with_suffix(".out")
    command = [bench, method, str(steps), str(setting), MODEL, path, out]
    limits = environ | {"RAYON_NUM_THREADS": str(threads)}
    seconds = float(subprocess.run(command, check=True, capture_output=True, text=True, env=limits).stdout)
    return load_file(out)["x"], seconds


def quality(x, truth):
    """The means of PSNR and SSIM, with pixels beyond black and white cut."""
    import torch
    from torchmetrics.functional.image import structural_similarity_index_measure

    x = x.clamp(-1, 1)
    errors = (x - truth).square().flatten(1).mean(1)
    psnr = (10 * torch.log10(4 / errors)).mean().item()
    return psnr, structural_similarity_index_measure(x, truth, data_range=2.0).item()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tasks", nargs="*", default=TASKS)
    parser.add_argument("--methods", nargs="*", default=list(STEPS))
    parser.add_argument("--search", action="store_true")
    parser.add_argument("--environment", type=Path)
    parser.add_argument("--bench", type=Path, help="the bench, already built")
    options = parser.parse_args()
    python = environment(options.environment or TARGET / "inverse-peers", PEERS)
    if Path(sys.prefix).resolve() != python.parent.parent.resolve():
        bench = options.bench or built("inverse")
        command = [python, "-u", __file__, *sys.argv[1:], "--environment", python.parent.parent, "--bench", bench]
        raise SystemExit(subprocess.run(command).returncode)

    import torch
    from same_budget import images

    torch.set_num_threads(options.threads)
    first = 1000 if options.search else 0
    truth = images("t10k")[first : first + options.count]
    network = denoiser()
    print(f"{len(truth)} images; PSNR, SSIM, seconds")
    with tempfile.TemporaryDirectory() as folder:
        for task, (physics, y, path) in tasks(truth, Path(folder)).items():
            if task not in options.tasks:
                continue
            for method in options.methods:
                for side in ["ours", "deepinv"]:
                    settings = SEARCH[side, method] if options.search else [BEST[side][method].get(task, BEST[side][method][""])]
                    for setting in settings:
                        steps = STEPS[method]
                        if side == "ours":
                            x, seconds = ours(method, steps, setting, path, options.bench, options.threads)
                        else:
                            x, seconds = theirs(method, steps, setting, physics, y, network)
                        psnr, ssim = quality(x, truth)
                        print(f"{task:7} {method:8} {side:8} {setting:6} {psnr:6.2f} {ssim:6.3f} {seconds:7.1f}", flush=True)


if __name__ == "__main__":
    main()
