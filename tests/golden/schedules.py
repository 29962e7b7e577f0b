#!/usr/bin/env python3
"""Makes schedules.json: the schedules of diffusers' schedulers, and those of improved-diffusion and score_sde.

diffusers is run as it is, in float32. improved-diffusion's chain (`gaussian_diffusion.py`: `get_named_beta_schedule`,
`GaussianDiffusion.__init__`) and score_sde's VPSDE, VESDE and subVPSDE (`sde_lib.py`: `sde`, `marginal_prob`,
`discretize`) are written out in NumPy, in float64. Run with Python, numpy, torch and diffusers 0.42:

    python tests/golden/schedules.py
"""

import json
import math
import pathlib

import diffusers
import numpy as np

STEPS = [1, 2, 3, 10, 100, 250, 500, 750, 900, 990, 998, 999, 1000]


def floats(values):
    return [float(value) for value in values]


def ddpm(schedule, first, last):
    """The chain of diffusers at some of its steps i, which it counts from 0."""
    chain = {"beta_start": first, "beta_end": last, "steps": STEPS}
    make = lambda variance: diffusers.DDPMScheduler(
        num_train_timesteps=1000,
        beta_start=first,
        beta_end=last,
        beta_schedule=schedule,
        variance_type=variance,
        clip_sample=False,
    )
    small, large = make("fixed_small"), make("fixed_large")
    indices = [i - 1 for i in STEPS]
    chain["beta"] = floats(small.betas[indices])
    chain["alpha_bar"] = floats(small.alphas_cumprod[indices])
    # Without set_timesteps the scheduler steps through all its training times.
    chain["posterior_variance"] = floats(small._get_variance(i) for i in indices)
    chain["large_variance"] = floats(large._get_variance(i) for i in indices)
    return chain


def improved_diffusion(betas):
    """Ho et al.'s chain as improved-diffusion has it, at some of its steps."""
    alphas_cumprod = np.cumprod(1.0 - betas)
    alphas_cumprod_prev = np.append(1.0, alphas_cumprod[:-1])
    indices = [i - 1 for i in STEPS]
    values = {
        "beta": betas,
        "alpha_bar": alphas_cumprod,
        "posterior_variance": betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod),
        "posterior_mean_coef1": betas * np.sqrt(alphas_cumprod_prev) / (1.0 - alphas_cumprod),
        "posterior_mean_coef2": (1.0 - alphas_cumprod_prev) * np.sqrt(1.0 - betas) / (1.0 - alphas_cumprod),
    }
    return {"steps": STEPS} | {name: floats(value[indices]) for name, value in values.items()}


def betas_for_alpha_bar(n, alpha_bar, max_beta=0.999):
    return np.array([min(1 - alpha_bar((i + 1) / n) / alpha_bar(i / n), max_beta) for i in range(n)])


def karras(scheduler, count):
    scheduler.set_timesteps(count)
    return floats(scheduler.sigmas)


def euler(count):
    scheduler = diffusers.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", use_karras_sigmas=True
    )
    training = scheduler.sigmas.flip(0)[1:]
    return {
        "sigma_min": float(training[0]),
        "sigma_max": float(training[-1]),
        "training": floats(training[[i - 1 for i in STEPS]]),
        "sigmas": karras(scheduler, count),
    }


def vpsde(beta_0=0.1, beta_1=20.0, n=1000):
    discrete = np.linspace(beta_0 / n, beta_1 / n, n)
    rows = []
    for t in TIMES:
        beta = beta_0 + t * (beta_1 - beta_0)
        log_mean = -0.25 * t**2 * (beta_1 - beta_0) - 0.5 * t * beta_0
        step = int(t * (n - 1))
        rows.append({
            "t": t,
            "drift": -0.5 * beta,
            "diffusion": math.sqrt(beta),
            "mean": math.exp(log_mean),
            "std": math.sqrt(1.0 - math.exp(2.0 * log_mean)),
            # discretize: f = √α x - x, G = √β.
            "step": step,
            "f": math.sqrt(1.0 - discrete[step]) - 1.0,
            "G": math.sqrt(discrete[step]),
        })
    return rows


def subvpsde(beta_0=0.1, beta_1=20.0):
    rows = []
    for t in TIMES:
        beta = beta_0 + t * (beta_1 - beta_0)
        discount = 1.0 - math.exp(-2 * beta_0 * t - (beta_1 - beta_0) * t**2)
        log_mean = -0.25 * t**2 * (beta_1 - beta_0) - 0.5 * t * beta_0
        rows.append({
            "t": t,
            "drift": -0.5 * beta,
            "diffusion": math.sqrt(beta * discount),
            "mean": math.exp(log_mean),
            "std": 1.0 - math.exp(2.0 * log_mean),
        })
    return rows


def vesde(sigma_min=0.01, sigma_max=50.0, n=1000):
    discrete = np.exp(np.linspace(np.log(sigma_min), np.log(sigma_max), n))
    rows = []
    for t in TIMES:
        sigma = sigma_min * (sigma_max / sigma_min) ** t
        step = int(t * (n - 1))
        before = 0.0 if step == 0 else discrete[step - 1]
        rows.append({
            "t": t,
            "diffusion": sigma * math.sqrt(2 * (math.log(sigma_max) - math.log(sigma_min))),
            # marginal_prob gives σ(t), which leaves out the σ(0) that the kernel does not have.
            "std": sigma,
            # discretize: f = 0, G = √(σ_i² - σ_{i-1}²).
            "step": step,
            "G": math.sqrt(discrete[step] ** 2 - before**2),
        })
    return rows


TIMES = [0.0, 1e-5, 1e-3, 0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0]

golden = {
    "diffusers": {
        "version": diffusers.__version__,
        "linear": ddpm("linear", 1e-4, 0.02),
        "scaled_linear": ddpm("scaled_linear", 0.00085, 0.012),
        "squaredcos_cap_v2": ddpm("squaredcos_cap_v2", 1e-4, 0.02),
        "euler_karras_20": euler(20),
        "edm_euler_18": karras(diffusers.EDMEulerScheduler(sigma_min=0.002, sigma_max=80.0, rho=7.0), 18),
        "edm_multistep_25": karras(
            diffusers.EDMDPMSolverMultistepScheduler(sigma_min=0.01, sigma_max=50.0, rho=5.0), 25
        ),
    },
    "improved_diffusion": {
        "linear": improved_diffusion(np.linspace(1e-4, 0.02, 1000)),
        "cosine": improved_diffusion(
            betas_for_alpha_bar(1000, lambda t: math.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2)
        ),
    },
    "score_sde": {"vpsde": vpsde(), "subvpsde": subvpsde(), "vesde": vesde()},
}

path = pathlib.Path(__file__).with_suffix(".json")
path.write_text(json.dumps(golden, indent=1) + "\n")
