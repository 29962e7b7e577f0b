"""Effective samples per second on a correlated Gaussian in ten dimensions: ours, emcee and blackjax, in one go.

    python benches/chains_peers.py [--rounds N] [--chains N] [--draws N]

Builds and runs `benches/chains.rs`, and in turn emcee (stretch moves, its log-density vectorised over the walkers) and
blackjax (random walk and MALA, vmapped over the chains and scanned over the draws, compiled before it is timed, f32).
Random walks have the same proposal, N(0, 2.38²/10 Σ); MALA has the same step; all start from exact draws of the law.
Counted is the sampling alone; the effective sample size is the rank-normalised bulk one, least coordinate, by arviz (ours by
our own diagnostics, which the tests hold against arviz). Prints, for each, the medians over the rounds, and the ratio of ours
to each peer, by wall time and by processor time: on a busy machine the latter is the steadier one.
Needs: pip install emcee blackjax arviz
"""

import argparse
import json
import os
import statistics
import subprocess
import time
import warnings

warnings.filterwarnings("ignore")

import arviz
import blackjax
import emcee
import jax
import jax.numpy as jnp
import numpy as np

DIM = 10
COVARIANCE = 0.9 ** np.abs(np.subtract.outer(np.arange(DIM), np.arange(DIM)))
PRECISION = np.linalg.inv(COVARIANCE)
FACTOR = np.linalg.cholesky(COVARIANCE)


def timed(work):
    """The result of some work, and its seconds of wall and of processor time."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return result, time.perf_counter() - wall, time.process_time() - cpu


def least_ess(draws):
    """Of draws [chains, draws, dim]."""
    return min(float(arviz.ess(draws[:, :, k], method="bulk")) for k in range(DIM))


def exact(chains, seed):
    return np.random.default_rng(seed).standard_normal((chains, DIM)) @ FACTOR.T


def of_emcee(chains, draws, seed):
    def log_density(x):
        return -0.5 * np.einsum("ni,ij,nj->n", x, PRECISION, x, optimize=True)

    sampler = emcee.EnsembleSampler(chains, DIM, log_density, vectorize=True)
    sampler.random_state = np.random.RandomState(seed).get_state()
    _, wall, cpu = timed(lambda: sampler.run_mcmc(exact(chains, seed), draws))
    return np.swapaxes(sampler.get_chain(), 0, 1), wall, cpu


def of_blackjax(algorithm, chains, draws):
    precision = jnp.asarray(PRECISION)

    def log_density(x):
        return -0.5 * x @ precision @ x

    if algorithm == "random walk":
        sigma = jnp.asarray(2.38 / np.sqrt(DIM) * FACTOR)
        kernel = blackjax.additive_step_random_walk(log_density, blackjax.mcmc.random_walk.normal(sigma))
    else:
        kernel = blackjax.mala(log_density, 0.06)

    def chain(key, start):
        def step(state, key):
            state, _ = kernel.step(key, state)
            return state, state.position

        return jax.lax.scan(step, kernel.init(start), jax.random.split(key, draws))[1]

    compiled = jax.jit(jax.vmap(chain))

    def run(seed):
        keys = jax.random.split(jax.random.key(seed), chains)
        start = jnp.asarray(exact(chains, seed), dtype=jnp.float32)
        result, wall, cpu = timed(lambda: compiled(keys, start).block_until_ready())
        return np.asarray(result), wall, cpu

    run(0)
    return run


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--chains", type=int, default=64)
    parser.add_argument("--draws", type=int, default=10_000)
    options = parser.parse_args()
    chains, draws = options.chains, options.draws
    cargo = ["cargo", "bench", "--quiet", "--no-default-features", "--bench", "chains", "--"]
    os.chdir(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    subprocess.run([*cargo, "2", "10"], check=True, stdout=subprocess.DEVNULL)
    peers = {
        f"emcee, {chains} walkers": lambda seed: of_emcee(chains, draws, seed),
        "emcee, 1024 walkers": lambda seed: of_emcee(1024, max(draws * chains // 1024, 100), seed),
        "blackjax random walk": of_blackjax("random walk", chains, draws),
        "blackjax MALA": of_blackjax("MALA", chains, draws),
    }
    rates = {}

    def note(name, ess, wall, cpu, steps):
        rates.setdefault(name, []).append((ess / wall, ess / cpu, steps / cpu, ess / steps))

    for seed in range(1, options.rounds + 1):
        out = subprocess.run([*cargo, str(chains), str(draws)], check=True, capture_output=True, text=True).stdout
        for line in out.splitlines():
            if line.startswith("{"):
                run = json.loads(line)
                # Below the clock's hundredths there is nothing to divide by.
                note("ours, " + run["name"], run["ess"], run["wall"], max(run["cpu"], 0.01), chains * draws)
        for name, sample in peers.items():
            x, wall, cpu = sample(seed)
            note(name, least_ess(x), wall, cpu, x.shape[0] * x.shape[1])

    medians = {name: [statistics.median(column) for column in zip(*runs)] for name, runs in rates.items()}
    print(f"{chains} chains of {draws} draws, medians of {options.rounds} rounds")
    print(f"{'':26}{'ESS/s wall':>12}{'ESS/s cpu':>12}{'steps/s cpu':>14}{'ESS/step':>10}")
    for name, (wall, cpu, steps, share) in medians.items():
        print(f"{name:26}{wall:12.0f}{cpu:12.0f}{steps:14.0f}{share:10.4f}")
    ours = medians["ours, random walk"]
    for name, values in medians.items():
        if not name.startswith("ours"):
            against = medians["ours, MALA"] if name.endswith("MALA") else ours
            print(f"ours to {name:26} {against[0] / values[0]:8.1f} by wall, {against[1] / values[1]:8.1f} by processor time")


main()
