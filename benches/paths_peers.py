"""The fused loop of benches/paths.rs beside NumPy, PyTorch, torchsde, JAX and diffrax, in one run.

    python3 benches/paths_peers.py [--repeats 5] [--steps 1000] [--paths 100000]

makes a virtual environment beside the build, installs the peers there, builds the bench, and runs all of them
interleaved: each case once on each peer, then again. It prints the medians in million path-steps a second, by the clock
and by the processor time that a process used (others may use the machine too), the ratios to ours, and the most memory
that each process held. NumPy and PyTorch take a minute and more for each reverse run; --peers and --cases leave some out.

The cases, all by Euler-Maruyama in f32 and two dimensions:
    ou       dx = -x dt + sqrt(2) dw on [0, 1], from 0
    well     dx = (x - x^3) dt + dv/2, dy = -y dt + dw/2 on [0, 10], from 0
    reverse  the reverse variance preserving SDE with the exact score of eight modes, from T = 1 to 0.001
    normals  the normals of such a run alone, by our generator
"""

import argparse
import math
import sys
from pathlib import Path

from peers import TARGET, built, environment, in_turns, serve

PEERS = ["numpy", "torch", "torchsde", "jax", "diffrax"]
CASES = ["ou", "well", "reverse"]
BETA = (0.1, 20.0)
END = 1e-3
CENTRES = [(4 * math.cos(k * math.pi / 4), 4 * math.sin(k * math.pi / 4)) for k in range(8)]
VARIANCE = 0.2**2


def coefficients(t, exp=math.exp):
    """beta(t), the mean scale, and one over the variance of a noised mode."""
    beta = BETA[0] + t * (BETA[1] - BETA[0])
    scale = exp(-0.5 * (BETA[0] * t + 0.5 * (BETA[1] - BETA[0]) * t * t))
    return beta, scale, 1 / (scale * scale * VARIANCE + 1 - scale * scale)


def numpy_case(case, paths, steps):
    import numpy as np

    f32, centres = np.float32, np.array(CENTRES, np.float32)
    rng = np.random.Generator(np.random.SFC64(1))

    def march(x, drift, noise, start, end):
        dt = (end - start) / steps
        z = np.empty_like(x)
        for k in range(steps):
            t = start + k * dt
            rng.standard_normal(out=z, dtype=f32)
            x = x + drift(x, t) * f32(dt) + z * f32(noise(t) * math.sqrt(abs(dt)))
        return x

    def score(x, t):
        _, scale, precision = coefficients(t)
        apart = x[:, None] - f32(scale) * centres
        log = f32(-0.5 * precision) * (apart * apart).sum(2)
        weight = np.exp(log - log.max(1, keepdims=True))
        weight /= weight.sum(1, keepdims=True)
        return (f32(scale) * (weight @ centres) - x) * f32(precision)

    def well(x, t):
        return np.stack([x[:, 0] - x[:, 0] ** 3, -x[:, 1]], 1)

    def reverse(x, t):
        return f32(-coefficients(t)[0]) * (f32(0.5) * x + score(x, t))

    zeros = np.zeros((paths, 2), f32)
    if case == "ou":
        return lambda: march(zeros, lambda x, t: -x, lambda t: math.sqrt(2), 0, 1)
    if case == "well":
        return lambda: march(zeros, well, lambda t: 0.5, 0, 10)
    prior = lambda: rng.standard_normal((paths, 2), dtype=f32)
    return lambda: march(prior(), reverse, lambda t: math.sqrt(coefficients(t)[0]), 1, END)


def torch_score(torch):
    centres = torch.tensor(CENTRES)

    def score(x, t):
        _, scale, precision = coefficients(t)
        distance = (x[:, None] - scale * centres).square().sum(2)
        weight = torch.softmax(-0.5 * precision * distance, 1)
        return (scale * (weight @ centres) - x) * precision

    return score


def torch_case(case, paths, steps):
    import torch

    torch.set_grad_enabled(False)
    score = torch_score(torch)

    def march(x, drift, noise, start, end):
        dt = (end - start) / steps
        for k in range(steps):
            t = start + k * dt
            x = x + drift(x, t) * dt + torch.randn_like(x) * (noise(t) * math.sqrt(abs(dt)))
        return x

    def well(x, t):
        return torch.stack([x[:, 0] - x[:, 0] ** 3, -x[:, 1]], 1)

    def reverse(x, t):
        return -coefficients(t)[0] * (0.5 * x + score(x, t))

    zeros = torch.zeros(paths, 2)
    if case == "ou":
        return lambda: march(zeros, lambda x, t: -x, lambda t: math.sqrt(2), 0, 1)
    if case == "well":
        return lambda: march(zeros, well, lambda t: 0.5, 0, 10)
    prior = lambda: torch.randn(paths, 2)
    return lambda: march(prior(), reverse, lambda t: math.sqrt(coefficients(t)[0]), 1, END)


def torchsde_case(case, paths, steps):
    import torch
    import torchsde

    torch.set_grad_enabled(False)
    score = torch_score(torch)

    # torchsde runs upward in time: the reverse SDE as a function of 1 - t.
    class Equation(torch.nn.Module):
        noise_type, sde_type = "diagonal", "ito"

        def f(self, t, x):
            if case == "ou":
                return -x
            if case == "well":
                return torch.stack([x[:, 0] - x[:, 0] ** 3, -x[:, 1]], 1)
            t = 1 - float(t)
            return coefficients(t)[0] * (0.5 * x + score(x, t))

        def g(self, t, x):
            level = {"ou": math.sqrt(2), "well": 0.5}.get(case)
            return torch.full_like(x, level or math.sqrt(coefficients(1 - float(t))[0]))

    horizon = {"ou": 1.0, "well": 10.0, "reverse": 1 - END}[case]
    start = (lambda: torch.randn(paths, 2)) if case == "reverse" else (lambda: torch.zeros(paths, 2))
    times = torch.tensor([0.0, horizon])
    return lambda: torchsde.sdeint(Equation(), start(), times, dt=horizon / steps, method="euler")


def jax_functions(case):
    import jax
    import jax.numpy as jnp

    centres = jnp.array(CENTRES)

    def drift(x, t):
        if case == "ou":
            return -x
        if case == "well":
            return jnp.stack([x[:, 0] - x[:, 0] ** 3, -x[:, 1]], 1)
        beta, scale, precision = coefficients(t, jnp.exp)
        distance = ((x[:, None] - scale * centres) ** 2).sum(2)
        weight = jax.nn.softmax(-0.5 * precision * distance, 1)
        return -beta * (0.5 * x + (scale * (weight @ centres) - x) * precision)

    def noise(t):
        level = {"ou": math.sqrt(2), "well": 0.5}.get(case)
        return level or jnp.sqrt(coefficients(t, jnp.exp)[0])

    start, end = {"ou": (0.0, 1.0), "well": (0.0, 10.0), "reverse": (1.0, END)}[case]
    return drift, noise, start, end


def jax_case(case, paths, steps):
    import jax
    import jax.numpy as jnp

    drift, noise, start, end = jax_functions(case)
    dt = (end - start) / steps

    @jax.jit
    def march(x, key):
        def step(carry, k):
            x, key = carry
            key, own = jax.random.split(key)
            t = start + k * dt
            dw = jax.random.normal(own, x.shape) * math.sqrt(abs(dt))
            return (x + drift(x, t) * dt + noise(t) * dw, key), None

        return jax.lax.scan(step, (x, key), jnp.arange(steps))[0][0]

    key = jax.random.key(1)
    x0 = jax.random.normal(key, (paths, 2)) if case == "reverse" else jnp.zeros((paths, 2))
    return lambda: march(x0, key).block_until_ready()


def diffrax_case(case, paths, steps):
    import diffrax
    import jax
    import jax.numpy as jnp
    import lineax

    drift, noise, start, end = jax_functions(case)
    # diffrax' unsafe Brownian path runs upward too, and is the fastest that it has.
    sign, horizon = (1, end) if end > start else (-1, start - end)
    at = lambda s: s if sign > 0 else start - s

    @jax.jit
    def march(x, key):
        path = diffrax.UnsafeBrownianPath((paths, 2), key)
        matrix = lambda s, x, _: lineax.DiagonalLinearOperator(jnp.broadcast_to(noise(at(s)), x.shape))
        terms = diffrax.MultiTerm(
            diffrax.ODETerm(lambda s, x, _: sign * drift(x, at(s))),
            diffrax.ControlTerm(matrix, path),
        )
        return diffrax.diffeqsolve(
            terms, diffrax.Euler(), 0.0, horizon, horizon / steps, x,
            max_steps=None, adjoint=diffrax.ForwardMode(),
        ).ys

    key = jax.random.key(1)
    x0 = jax.random.normal(key, (paths, 2)) if case == "reverse" else jnp.zeros((paths, 2))
    return lambda: march(x0, key).block_until_ready()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--paths", type=int, default=100_000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--peers", nargs="*", default=PEERS)
    parser.add_argument("--cases", nargs="*", default=CASES)
    parser.add_argument("--environment", type=Path)
    parser.add_argument("--bench", type=Path, help="the bench, already built")
    options = parser.parse_args()
    python = environment(options.environment or TARGET / "paths-peers", PEERS)
    bench = options.bench or built("paths")
    size = [str(options.paths), str(options.steps)]
    commands = {("scorebook", "normals"): [bench, "normals", *size]}
    for case in options.cases:
        commands["scorebook", case] = [bench, case, *size]
        for peer in options.peers:
            commands[peer, case] = [python, __file__, "--worker", peer, case, *size]
    results = in_turns(commands, options.repeats)

    work = options.paths * options.steps / 1e6
    rates = {key: (work / wall, work / cpu) for key, (wall, cpu, _) in results.items()}
    print(f"{options.paths} paths, {options.steps} steps, medians of {options.repeats} interleaved runs")
    print("million path-steps a second by the clock (ours over theirs), a processor second (same), peak memory in MB")
    for (name, case), (wall, cpu) in rates.items():
        ours = rates["scorebook", case]
        print(
            f"{case:8} {name:10} {wall:8.1f} ({ours[0] / wall:5.1f})  {cpu:8.1f} ({ours[1] / cpu:5.1f})"
            f"  {results[name, case][2]:7.0f}"
        )


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        peer, case, paths, steps = sys.argv[2:]
        serve(globals()[f"{peer}_case"](case, int(paths), int(steps)))
    else:
        main()
