"""The steps of PyTorch's optimisers in double precision, for the unit test of src/train/optimizer.rs.

    python tests/golden/optimizers.py > tests/golden/optimizers.json

Run with torch 2.15. Gradients are clipped to a norm (without PyTorch's 1e-6 in the denominator), the learning rate warms
up linearly over three steps and then falls to 0 at step 20 by half a cosine.
"""

import json
import math

import torch

CLIP, RATE, WARMUP, STEPS = 1.0, 0.05, 3, 20
START = [0.5, -1.25, 2.0, 0.0, 3.5]
generator = torch.Generator().manual_seed(7)
GRADIENTS = (torch.randn(8, 5, generator=generator, dtype=torch.float64) * 0.7).tolist()


def factor(n):
    if n <= WARMUP:
        return n / WARMUP
    return 0.5 * (1 + math.cos(math.pi * (n - WARMUP) / (STEPS - WARMUP)))


def run(make):
    w = torch.tensor(START, dtype=torch.float64, requires_grad=True)
    optimizer = make([w])
    weights = []
    for n, gradient in enumerate(GRADIENTS, 1):
        g = torch.tensor(gradient, dtype=torch.float64)
        w.grad = g * min(1.0, CLIP / g.norm().item())
        for group in optimizer.param_groups:
            group["lr"] = RATE * factor(n)
        optimizer.step()
        weights.append(w.detach().tolist())
    return weights


adam = {"beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8}
other = {"beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3}
runs = [
    ({"optimizer": "adam", **adam}, lambda w: torch.optim.Adam(w, lr=RATE)),
    ({"optimizer": "adam", **other}, lambda w: torch.optim.Adam(w, lr=RATE, betas=(0.8, 0.95), eps=1e-3)),
    ({"optimizer": "adamw", **adam, "weight_decay": 0.3}, lambda w: torch.optim.AdamW(w, lr=RATE, weight_decay=0.3)),
    ({"optimizer": "sgd", "momentum": 0.9}, lambda w: torch.optim.SGD(w, lr=RATE, momentum=0.9)),
    ({"optimizer": "sgd", "momentum": 0.0}, lambda w: torch.optim.SGD(w, lr=RATE)),
]
print(
    json.dumps(
        {
            "start": START,
            "gradients": GRADIENTS,
            "clip": CLIP,
            "learning_rate": RATE,
            "warmup": WARMUP,
            "steps": STEPS,
            "runs": [{"optimizer": optimizer, "weights": run(make)} for optimizer, make in runs],
        },
        indent=1,
    )
)
