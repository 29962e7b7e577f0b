"""Likelihood scores and steps of DPS, ΠGDM, DiffPIR and DDRM for tests/mathematics/inverse.rs, by PyTorch's autograd, from the papers:
Chung et al. 2023, equations 11 and 16 and algorithm 1; Song et al. 2023, equations 7 and 8;
Zhu et al. 2023, equations 12 to 15; Kawar et al. 2022, section 3.2.

    python inverse.py > inverse.json

Written with torch 2.15, in float64.
"""

import json
import math

import torch

torch.set_default_dtype(torch.float64)
BETA_MIN, BETA_MAX = 0.1, 20.0
WEIGHTS = torch.tensor([0.2, 0.5, 0.3])
MEANS = torch.tensor([[-1.0, 0.5, 0.0, 1.0], [1.0, 1.5, -0.5, 0.0], [0.3, -1.0, 0.7, -0.8]])
STDS = torch.tensor([0.3, 0.6, 0.45])
MATRIX = torch.tensor([[1.0, 0.5, 0.0, -0.3], [0.2, 0.0, -1.0, 0.8]])
# For DDRM, with singular values on both sides of the noise.
UNEVEN = torch.tensor([[1.0, 0.5, 0.0, -0.3], [0.1, 0.0, -0.3, 0.2]])
Y = torch.tensor([0.7, -0.4])
STD_Y = 0.2
X = torch.tensor([[0.3, -0.2, 1.1, 0.4], [-1.2, 0.6, 0.1, -0.9], [0.0, 2.0, -0.7, 0.5]])
Z = torch.tensor([[0.5, -1.0, 0.2, 0.0], [1.5, 0.3, -0.6, -0.2], [-0.4, 0.8, 0.9, -1.1]])


def kernel(t):
    """The variance-preserving process: alpha(t) and sigma(t)."""
    integral = BETA_MIN * t + 0.5 * t * t * (BETA_MAX - BETA_MIN)
    return math.exp(-0.5 * integral), math.sqrt(-math.expm1(-integral))


def log_p(x, t):
    alpha, sigma = kernel(t)
    variances = (alpha * STDS) ** 2 + sigma**2
    squares = ((x[:, None, :] - alpha * MEANS) ** 2).sum(-1)
    return torch.logsumexp(
        WEIGHTS.log() - 0.5 * squares / variances - 2.0 * torch.log(2 * math.pi * variances), dim=1
    )


def score(x, t, create_graph=True):
    return torch.autograd.grad(log_p(x, t).sum(), x, create_graph=create_graph)[0]


def denoised(x, t):
    alpha, sigma = kernel(t)
    return (x + sigma**2 * score(x, t)) / alpha


def dps(t):
    x = X.clone().requires_grad_()
    misfit = ((Y - denoised(x, t) @ MATRIX.T) ** 2).sum()
    return -torch.autograd.grad(misfit, x)[0] / (2 * STD_Y**2)


def pi_gdm(t):
    alpha, sigma = kernel(t)
    level = sigma / alpha
    r2 = level**2 / (1 + level**2)
    x = X.clone().requires_grad_()
    mean = denoised(x, t)
    inner = torch.linalg.inv(r2 * MATRIX @ MATRIX.T + STD_Y**2 * torch.eye(2))
    weighted = ((Y - mean.detach() @ MATRIX.T) @ inner) @ MATRIX
    return torch.autograd.grad((mean * weighted).sum(), x)[0]


def dps_step(t, s, zeta):
    """Algorithm 1, with DDPM's posterior step between any two times, and the noise Z."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = kernel(t), kernel(s)
    x = X.clone().requires_grad_()
    mean = denoised(x, t)
    norms = ((Y - mean @ MATRIX.T) ** 2).sum(-1).sqrt()
    slope = torch.autograd.grad(norms.sum(), x)[0]
    # q(x_s | x_t, x_0) (Ho et al. 2020, equation 7) for a transition x_t = r x_s + sqrt(v) z.
    r = alpha_t / alpha_s
    v = sigma_t**2 - r**2 * sigma_s**2
    posterior_mean = (alpha_s * v * mean + r * sigma_s**2 * x) / sigma_t**2
    posterior_std = math.sqrt(v) * sigma_s / sigma_t
    return (posterior_mean + posterior_std * Z - zeta * slope).detach()


def diff_pir_step(t, s, weight, fresh):
    """Algorithm 1: the proximal point as a least squares problem, then the step with the noise Z."""
    (alpha_t, sigma_t), (alpha_s, sigma_s) = kernel(t), kernel(s)
    rho = weight * STD_Y**2 / (sigma_t / alpha_t) ** 2
    mean = denoised(X.clone().requires_grad_(), t).detach()
    normal = MATRIX.T @ MATRIX + rho * torch.eye(4)
    data = torch.linalg.solve(normal, (Y @ MATRIX + rho * mean).T).T
    noise = (X - alpha_t * data) / sigma_t
    return alpha_s * data + sigma_s * (math.sqrt(1 - fresh) * noise + math.sqrt(fresh) * Z)


def ddrm_step(t, s, eta, eta_b):
    """The start and one step with the noise Z, coordinate by coordinate along the right singular vectors."""
    left, singular, right = torch.linalg.svd(UNEVEN)
    bar_y, tau = (Y @ left) / singular, (STD_Y / singular).tolist()
    old, new = (kernel(time)[1] / kernel(time)[0] for time in (t, s))
    bar = (X / kernel(t)[0]) @ right.T
    for i, noise in enumerate(tau):
        bar[:, i] = bar_y[i] + math.sqrt(old**2 - noise**2) * bar[:, i] / old
    state = (bar @ right) * kernel(t)[0]
    guess, fresh = denoised(state.requires_grad_(), t).detach() @ right.T, Z @ right.T
    kept = math.sqrt(1 - eta**2) * new
    after = torch.empty_like(bar)
    for i in range(4):
        if i >= len(tau):
            mean = guess[:, i] + kept * (bar[:, i] - guess[:, i]) / old
            std = eta * new
        elif new < tau[i]:
            mean = guess[:, i] + kept * (bar_y[i] - guess[:, i]) / tau[i]
            std = eta * new
        else:
            mean = (1 - eta_b) * guess[:, i] + eta_b * bar_y[i]
            std = math.sqrt(new**2 - (eta_b * tau[i]) ** 2)
        after[:, i] = mean + std * fresh[:, i]
    return (after @ right) * kernel(s)[0]


def numbers(x):
    return [[float(f"{value:.15g}") for value in row] for row in x.tolist()]


times = [0.1, 0.4, 0.8]
print(
    json.dumps(
        {
            "times": times,
            "dps": [numbers(dps(t)) for t in times],
            "pi_gdm": [numbers(pi_gdm(t)) for t in times],
            "diff_pir_step": {
                "from": 1.0,
                "to": 0.5,
                "weight": 2000.0,
                "fresh": 0.4,
                "x": numbers(diff_pir_step(1.0, 0.5, 2000.0, 0.4)),
            },
            "ddrm_step": {"to": 0.09, "eta": 0.6, "eta_b": 0.8, "x": numbers(ddrm_step(1.0, 0.09, 0.6, 0.8))},
            "dps_step": {"from": 1.0, "to": 0.5, "zeta": 0.3, "x": numbers(dps_step(1.0, 0.5, 0.3))},
        },
        indent=1,
    )
)
