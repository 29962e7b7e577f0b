"""Writes unet.json: the shipped U-Net's output and all its gradients by PyTorch in double precision.

    pip install torch safetensors numpy && python unet.py

The network is Song's tutorial's with four groups in its last block, written here in PyTorch's own modules, with the
weights of datasets/weights/fashion-mnist.safetensors. Its input is x[n] = 1.2 sin(0.37 n) + 0.3 cos(1.7 n), rounded to
single precision, for the flat index n. The scalar that is differentiated is sum_n out[n] pattern(n, 1). Of each gradient
stand its norm and its products with three patterns, pattern(n, k) = sin((0.61 + 0.13 k) n + k).
"""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch.nn import functional as F

HERE = Path(__file__).resolve().parent
WEIGHTS = HERE.parent.parent / "datasets" / "weights" / "fashion-mnist.safetensors"
TIMES = [0.02, 0.3, 0.9]
BLOCKS = [("down1", 1, None, 4), ("down2", 2, None, 32), ("down3", 2, None, 32), ("down4", 2, None, 32)]
BLOCKS += [("up4", 2, 0, 32), ("up3", 2, 1, 32), ("up2", 2, 1, 4)]


def pattern(count, k):
    n = torch.arange(count, dtype=torch.float64)
    return torch.sin((0.61 + 0.13 * k) * n + k)


weights = {name: value.double().requires_grad_() for name, value in load_file(WEIGHTS).items()}


def block(maps, time, name, stride, output_padding, groups):
    x, kernel = torch.cat(maps, 1), weights[f"{name}.conv.weight"]
    if output_padding is None:
        x = F.conv2d(x, kernel, stride=stride)
    else:
        x = F.conv_transpose2d(x, kernel, stride=stride, output_padding=output_padding)
    x = x + F.linear(time, weights[f"{name}.time.weight"], weights[f"{name}.time.bias"])[..., None, None]
    return F.silu(F.group_norm(x, groups, weights[f"{name}.norm.weight"], weights[f"{name}.norm.bias"]))


def network(x, t):
    phase = t[:, None] * weights["frequencies"] * 2 * torch.pi
    time = torch.cat([phase.sin(), phase.cos()], 1)
    time = F.silu(F.linear(time, weights["embed.weight"], weights["embed.bias"]))
    maps, skips = [x], []
    for name, stride, output_padding, groups in BLOCKS:
        x = block(maps, time, name, stride, output_padding, groups)
        if output_padding is None:
            maps = [x]
            skips.append(x)
        else:
            if name == "up4":
                skips.pop()
            maps = [x, skips.pop()]
    return F.conv_transpose2d(torch.cat(maps, 1), weights["out.weight"], weights["out.bias"])


n = torch.arange(len(TIMES) * 784, dtype=torch.float64)
x = (1.2 * torch.sin(0.37 * n) + 0.3 * torch.cos(1.7 * n)).float().double().reshape(-1, 1, 28, 28)
x.requires_grad_()
t = torch.tensor(TIMES).double()
out = network(x, t)
(out.flatten() * pattern(out.numel(), 1)).sum().backward()


def summary(gradient):
    flat = gradient.flatten()
    return [flat.norm().item()] + [(flat * pattern(len(flat), k)).sum().item() for k in (1, 2, 3)]


golden = {
    "times": TIMES,
    "output": out.flatten().tolist()[::7],
    "gradients": {name: summary(w.grad) for name, w in weights.items() if name != "frequencies"},
    "of_input": summary(x.grad),
}
(HERE / "unet.json").write_text(json.dumps(golden) + "\n")
