"""Writes residual_unet.json: the output and the gradients of scorebook's ResidualUnet as a PyTorch module, in f64.

    pip install torch && python residual_unet.py

The weights are a formula of their name's place in the order of names, so that they need not be stored. The gradient of
each parameter is stored as its norm and its product with cos(0), cos(1), ...
"""

import json
import math
from pathlib import Path

import torch
from torch.nn.functional import conv2d, conv_transpose2d, group_norm, silu, softmax

torch.set_default_dtype(torch.float64)
CHANNELS, BLOCKS, ATTENTION, EMBEDDING, IMAGE, ATTRIBUTES = [16, 24], 2, [1], 12, 2, [3, 2]
DATA_STD = 0.7


def sequence(place, count):
    """Numbers between -0.2 and 0.2."""
    i = torch.arange(1, count + 1)
    u = (i * 0.6180339887498949 + i * i * 0.0137 + place * 0.37) % 1.0
    return 0.4 * u - 0.2


shapes = {"frequencies": [EMBEDDING // 2], "in.weight": [CHANNELS[0], IMAGE, 3, 3]}


def linear(name, inputs, outputs):
    shapes[f"{name}.weight"], shapes[f"{name}.bias"] = [outputs, inputs], [outputs]


def norm(name, c):
    shapes[f"{name}.norm.weight"], shapes[f"{name}.norm.bias"] = [c], [c]


def block(name, c, maps):
    shapes[f"{name}.conv0.weight"], shapes[f"{name}.conv1.weight"] = [c, maps * c, 3, 3], [c, c, 3, 3]
    linear(f"{name}.shift", EMBEDDING, c)
    norm(name, c)


linear("time0", EMBEDDING, EMBEDDING)
linear("time1", EMBEDDING, EMBEDDING)
for i, count in enumerate(ATTRIBUTES):
    shapes[f"attribute{i}.weight"] = [count + 1, EMBEDDING]
for level, c in enumerate(CHANNELS):
    if level > 0:
        shapes[f"shrink{level}.weight"] = shapes[f"grow{level}.weight"] = [c, CHANNELS[level - 1], 2, 2]
    for number in range(BLOCKS):
        for way, maps in (("down", 1), ("up", 2)):
            block(f"{way}{level}.{number}", c, maps)
            if level in ATTENTION:
                norm(f"{way}{level}.{number}.attention", c)
                linear(f"{way}{level}.{number}.attention.in", c, 3 * c)
                linear(f"{way}{level}.{number}.attention.out", c, c)
block("middle", CHANNELS[-1], 1)
norm("out", CHANNELS[0])
shapes["out.conv.weight"], shapes["out.conv.bias"] = [IMAGE, CHANNELS[0], 3, 3], [IMAGE]

p = {}
for place, name in enumerate(sorted(shapes)):
    value = sequence(place, math.prod(shapes[name])).reshape(shapes[name])
    p[name] = (value + 1 if name.endswith("norm.weight") else value).requires_grad_(name != "frequencies")


def apply_linear(name, x):
    return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]


def norm_silu(name, x, shift=None):
    x = x if shift is None else x + shift[:, :, None, None]
    return silu(group_norm(x, 8, p[f"{name}.norm.weight"], p[f"{name}.norm.bias"], 1e-5))


def residual(name, h, skip, embedding):
    x = h if skip is None else torch.cat([h, skip], 1)
    x = conv2d(x, p[f"{name}.conv0.weight"], padding=1)
    x = norm_silu(name, x, apply_linear(f"{name}.shift", embedding))
    return h + conv2d(x, p[f"{name}.conv1.weight"], padding=1)


def attend(name, h):
    b, c, height, width = h.shape
    x = norm_silu(name, h).flatten(2).transpose(1, 2)
    q, k, v = apply_linear(f"{name}.in", x).chunk(3, 2)
    x = apply_linear(f"{name}.out", softmax(q @ k.transpose(1, 2) / math.sqrt(c), 2) @ v)
    return h + x.transpose(1, 2).reshape(b, c, height, width)


def raw(x, time, labels):
    phase = 2 * math.pi * time[:, None] * p["frequencies"]
    e = apply_linear("time1", silu(apply_linear("time0", torch.cat([phase.sin(), phase.cos()], 1))))
    for i in range(len(ATTRIBUTES)):
        e = e + p[f"attribute{i}.weight"][labels[:, i]]
    e = silu(e)

    def stage(name, level, h, skip=None):
        h = residual(name, h, skip, e)
        return attend(f"{name}.attention", h) if level in ATTENTION else h

    h, skips = conv2d(x, p["in.weight"], padding=1), []
    for level in range(len(CHANNELS)):
        if level > 0:
            h = conv2d(h, p[f"shrink{level}.weight"], stride=2)
        for number in range(BLOCKS):
            h = stage(f"down{level}.{number}", level, h)
            skips.append(h)
    h = residual("middle", h, None, e)
    for level in reversed(range(len(CHANNELS))):
        for number in reversed(range(BLOCKS)):
            h = stage(f"up{level}.{number}", level, h, skips.pop())
        if level > 0:
            h = conv_transpose2d(h, p[f"grow{level}.weight"], stride=2)
    return conv2d(norm_silu("out", h), p["out.conv.weight"], padding=1) + p["out.conv.bias"][:, None, None]


# The variance-preserving process, and EDM's preconditioning of its states.
t = torch.tensor([0.1, 0.6, 0.9])
alpha = torch.exp(-0.5 * (0.1 * t + 0.5 * (20 - 0.1) * t * t))
sigma = torch.sqrt(1 - alpha**2)
level = sigma / alpha
x = (5 * sequence(100, 3 * IMAGE * 8 * 4)).reshape(3, IMAGE, 8, 4)
labels = torch.tensor([[0, 1], [3, 0], [2, 2]])


def each(v):
    return v[:, None, None, None]


f = raw(each(1 / torch.sqrt(level**2 + DATA_STD**2)) * x / each(alpha), level.log() / 4, labels)
skip, out = DATA_STD**2 / (level**2 + DATA_STD**2), level * DATA_STD / torch.sqrt(level**2 + DATA_STD**2)
data = each(skip) * x / each(alpha) + each(out) * f
output = -(x - each(alpha) * data) / each(sigma)
(output.flatten() * sequence(200, output.numel())).sum().backward()
gradients = {}
for name in sorted(shapes):
    if name != "frequencies":
        g = p[name].grad.flatten()
        gradients[name] = [g.norm().item(), (g * torch.arange(len(g)).cos()).sum().item()]
golden = {"output": output.flatten().tolist(), "gradients": gradients}
Path(__file__).with_suffix(".json").write_text(json.dumps(golden, indent=1) + "\n")
