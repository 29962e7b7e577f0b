"""Writes samplers.json: the steps of diffusers' schedulers and of score_sde's predictors and correctors, for fixed noise.

    pip install diffusers==0.42.1 torch numpy && python samplers.py

A case is a chain of noise levels (the kernels N(alpha_k x0, sigma_k^2), k = 0, 1, ..., of which the last is where
sampling starts), a state and the states after each step down. The score is that of the noise eps(x, k) below, which no
law has: what is compared is the arithmetic. NOISE is what scorebook's Generator::new(7) draws first, in f64.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
import diffusers.schedulers as schedulers

NOISE = [
    -0.6974139405557087, 1.212303602336597, -0.011255197968627695,
    -0.31502525159380956, -0.32029757549405524, -0.4721222606442232,
    -1.1118860327728874, -0.5931739706115982, 0.9329225949170828,
    -1.7405022110082853, -1.824038365249017, -1.1727718464335493,
    0.6304745125201717, 0.19330988004565167, 0.4198185801124753,
    1.7936288923217079, -0.08418906171033563, -1.2291561593717455,
    0.47014266838851493, -0.8088044972251941, 0.04536065968239576,
    -1.1136927351677304, -0.9483256512877358, 0.636268016415917,
    0.18453650402501684, -0.7136007390922392, 1.3564000070864817,
    0.27514064759069357, 0.15472328553357736, -1.1823358521667706,
    0.614020956394544, -0.6029934130441058, 0.13145798572428355,
    1.3363034900024588, 1.4127383759395553, -1.1323038728459178,
    -1.158863979303856, 0.13632007085410353, 0.16345152771822405,
    -1.0635756504879195, 0.8179757957548014, -0.4210493288910062,
    -0.5781471569779922, -1.3448048843764469, 0.6911857016215588,
    -0.07086924123640459, 0.027391433657587096, 0.41049577227388445,
    0.498836501617455, 1.3029906474453943, 0.8371888944631811,
    -1.7005609961701957, -0.4615400474479688, 1.1885213195251072,
    -0.5896030850791504, -0.3323179597221898, -0.03469790147564122,
    -1.3009346381929083, -1.0819452939200789, 2.1548338941029193,
]
START = [[0.9, -1.4, 0.3], [2.1, -0.2, -0.8]]
draws = 0


def noise():
    """The next six normal numbers."""
    global draws
    draws += 1
    return np.array(NOISE[6 * draws - 6 : 6 * draws]).reshape(2, 3)


def as_torch(*_, **__):
    return torch.tensor(noise())


for name in ["ddpm", "ddim", "dpmsolver_multistep", "sde_ve"]:
    module = getattr(schedulers, f"scheduling_{name}")
    module.randn_tensor = as_torch


def eps(x, k):
    return 0.8 * np.tanh(x) + 0.05 * k


cases = {}


def case(name, alphas, sigmas, run):
    """Records a chain and what `run` yields from the start: the states after each step."""
    global draws
    draws = 0
    states = [np.asarray(state).tolist() for state in run()]
    cases[name] = {
        "alphas": [float(a) for a in alphas],
        "sigmas": [float(s) for s in sigmas],
        "states": states,
    }


def start(scale=1.0):
    return torch.tensor(START, dtype=torch.float64) * scale


# DDPM and DDIM: the chain of alphas_cumprod at the timesteps, and the data at its end.
def of_alphas_cumprod(scheduler):
    scheduler.set_timesteps(4)
    scheduler.alphas_cumprod = scheduler.alphas_cumprod.double()
    scheduler.betas = scheduler.betas.double()
    bars = np.array([scheduler.alphas_cumprod[t].item() for t in reversed(scheduler.timesteps)])
    return np.sqrt(bars), np.sqrt(1 - bars)


def downward(scheduler, steps, scale=1.0, **settings):
    x, last = start(scale), len(scheduler.timesteps)
    for i, t in enumerate(scheduler.timesteps[:steps]):
        x = scheduler.step(torch.tensor(eps(x.numpy(), last - i)), t, x, **settings).prev_sample
        yield x


for variance in ["fixed_small", "fixed_large"]:
    scheduler = schedulers.DDPMScheduler(variance_type=variance, clip_sample=False)
    alphas, sigmas = of_alphas_cumprod(scheduler)
    # Index 0 is left out: diffusers adds no noise there.
    case(f"DDPMScheduler {variance}", [1, *alphas], [0, *sigmas], lambda: downward(scheduler, 3))

for eta in [0.0, 0.6, 1.0]:
    scheduler = schedulers.DDIMScheduler(clip_sample=False, set_alpha_to_one=True)
    alphas, sigmas = of_alphas_cumprod(scheduler)
    case(f"DDIMScheduler {eta}", [1, *alphas], [0, *sigmas], lambda: downward(scheduler, 4, eta=eta))


# The multistep ones: levels sigma/alpha of a process that preserves the variance.
def of_levels(scheduler):
    scheduler.set_timesteps(5)
    scheduler.sigmas = scheduler.sigmas.double()
    levels = np.array([level.item() for level in reversed(scheduler.sigmas)])
    alphas = 1 / np.sqrt(1 + levels**2)
    return alphas, levels * alphas


for algorithm in ["dpmsolver++", "sde-dpmsolver++"]:
    for end in ["sigma_min", "zero"]:
        scheduler = schedulers.DPMSolverMultistepScheduler(
            algorithm_type=algorithm, solver_order=2, lower_order_final=False, final_sigmas_type=end
        )
        alphas, sigmas = of_levels(scheduler)
        case(f"DPMSolverMultistepScheduler {algorithm} {end}", alphas, sigmas, lambda: downward(scheduler, 5))

for order in [1, 2, 3]:
    scheduler = schedulers.DEISMultistepScheduler(solver_order=order, lower_order_final=False)
    alphas, sigmas = of_levels(scheduler)
    if sigmas[0] == 0:
        alphas, sigmas, steps = alphas[1:], sigmas[1:], 4
    else:
        steps = 5
    case(f"DEISMultistepScheduler {order}", alphas, sigmas, lambda: downward(scheduler, steps))


# Those that explode the variance.
def of_sigmas(scheduler):
    scheduler.set_timesteps(4)
    scheduler.sigmas = scheduler.sigmas.double()
    return sorted(set(scheduler.sigmas.tolist()))


scheduler = schedulers.EulerDiscreteScheduler()
sigmas = of_sigmas(scheduler)


def euler():
    x = start(10)
    for i, t in enumerate(scheduler.timesteps):
        scheduler.scale_model_input(x, t)
        # It computes in float32.
        x = scheduler.step(torch.tensor(eps(x.numpy(), 4 - i)), t, x).prev_sample
        yield x


case("EulerDiscreteScheduler", [1] * 5, sigmas, euler)

scheduler = schedulers.HeunDiscreteScheduler()
heun_sigmas = of_sigmas(scheduler)


def heun():
    x, k = start(10), 4
    while k > 0:
        t = scheduler.timesteps[scheduler.step_index or 0]
        x = scheduler.step(torch.tensor(eps(x.numpy(), k)), t, x).prev_sample
        k -= 1
        if k > 0:
            t = scheduler.timesteps[scheduler.step_index]
            x = scheduler.step(torch.tensor(eps(x.numpy(), k)), t, x).prev_sample
        yield x


case("HeunDiscreteScheduler", [1] * 5, heun_sigmas, heun)

scheduler = schedulers.ScoreSdeVeScheduler(snr=0.15, sigma_min=0.05, sigma_max=12.0)
scheduler.set_timesteps(5)
scheduler.set_sigmas(5)
scheduler.discrete_sigmas = scheduler.discrete_sigmas.double()
sigmas = [0, *scheduler.discrete_sigmas.tolist()]


def predict_and_correct():
    x = start(10)
    for k in range(5, 2, -1):
        score = torch.tensor(-eps(x.numpy(), k) / sigmas[k])
        x = scheduler.step_pred(score, (k - 1) / 4, x).prev_sample
        score = torch.tensor(-eps(x.numpy(), k - 1) / sigmas[k - 1])
        x = scheduler.step_correct(score, x).prev_sample
        yield x


case("ScoreSdeVeScheduler", [1] * 6, sigmas, predict_and_correct)

# score_sde's sampling.py, in NumPy, on the chain alpha_i = sqrt(prod(1 - beta)).
betas = np.array([0.02, 0.05, 0.11, 0.2, 0.3])
bars = np.concatenate([[1], np.cumprod(1 - betas)])
alphas, sigmas = np.sqrt(bars), np.sqrt(1 - bars)
SNR = 0.16


def score(x, k):
    return -eps(x, k) / sigmas[k]


def reverse_diffusion(x, k):
    beta = betas[k - 1]
    f = np.sqrt(1 - beta) * x - x
    rev_f = f - beta * score(x, k)
    return x - rev_f + np.sqrt(beta) * noise()


def vpsde_ancestral(x, k):
    beta = betas[k - 1]
    x_mean = (x + beta * score(x, k)) / np.sqrt(1 - beta)
    return x_mean + np.sqrt(beta) * noise()


def langevin(x, k, alpha):
    grad, z = score(x, k), noise()
    grad_norm = np.linalg.norm(grad, axis=-1).mean()
    noise_norm = np.linalg.norm(z, axis=-1).mean()
    step_size = (SNR * noise_norm / grad_norm) ** 2 * 2 * alpha
    return x + step_size * grad + np.sqrt(step_size * 2) * z


def annealed_langevin(x, k, alpha):
    grad, z = score(x, k), noise()
    step_size = (SNR * sigmas[k]) ** 2 * 2 * alpha
    return x + step_size * grad + z * np.sqrt(step_size * 2)


def pair(predictor, corrector):
    x = np.array(START)
    for k in range(5, 1, -1):
        x = predictor(x, k)
        if corrector:
            # alphas[timestep] of the chain.
            x = corrector(x, k - 1, 1 - betas[k - 2])
        yield x


case("score_sde reverse diffusion", alphas, sigmas, lambda: pair(reverse_diffusion, None))
case("score_sde ancestral", alphas, sigmas, lambda: pair(vpsde_ancestral, None))
case("score_sde reverse diffusion, langevin", alphas, sigmas, lambda: pair(reverse_diffusion, langevin))
case("score_sde ancestral, ald", alphas, sigmas, lambda: pair(vpsde_ancestral, annealed_langevin))
case("score_sde none, langevin", alphas, sigmas, lambda: pair(lambda x, k: x, langevin))


# VESDE's ancestral update.
def vesde_ancestral():
    s = np.array([0, 0.1, 0.3, 0.9, 2.7])
    x = np.array(START)
    for k in range(4, 0, -1):
        sigma, adjacent = s[k], s[k - 1]
        x_mean = x + -eps(x, k) / sigma * (sigma**2 - adjacent**2)
        std = np.sqrt(adjacent**2 * (sigma**2 - adjacent**2) / sigma**2)
        x = x_mean + std * noise()
        yield x


case("score_sde ancestral of VESDE", [1] * 5, [0, 0.1, 0.3, 0.9, 2.7], vesde_ancestral)


# NVlabs' edm_sampler, in NumPy: churn between the levels 0.03 and 2. The first level lies above them.
def edm():
    levels = [0, 0.05, 0.2, 0.7, 1.9, 4.0]
    denoised = lambda y, sigma: np.tanh(y) / (1 + sigma)
    x = np.array(START)
    for k in range(5, 0, -1):
        t_cur, t_next = levels[k], levels[k - 1]
        gamma = min(0.8 / 5, math.sqrt(2) - 1) if 0.03 <= t_cur <= 2 else 0
        t_hat = t_cur + gamma * t_cur
        x_hat = x + math.sqrt(t_hat**2 - t_cur**2) * 1.003 * noise() if gamma > 0 else x
        d_cur = (x_hat - denoised(x_hat, t_hat)) / t_hat
        x = x_hat + (t_next - t_hat) * d_cur
        if k > 1:
            d_prime = (x - denoised(x, t_next)) / t_next
            x = x_hat + (t_next - t_hat) * (0.5 * d_cur + 0.5 * d_prime)
        yield x


case("edm_sampler", [1] * 6, [0, 0.05, 0.2, 0.7, 1.9, 4.0], edm)

file = Path(__file__).with_suffix(".json")
file.write_text(json.dumps({"noise": NOISE, "start": START, "cases": cases}, indent=1) + "\n")
