"""The log-likelihood of a mixture's noising process along the probability flow of a score that is not exact.

Makes the constants of `solve_ivp_agrees` in tests/mathematics/likelihood.rs: NumPy formulas, an analytic divergence and
SciPy's DOP853 at a relative tolerance of 1e-12. Run it with `python tests/golden/flow_likelihood.py`.
"""

import numpy as np
from scipy.integrate import solve_ivp

WEIGHTS = np.array([0.2, 0.5, 0.3])
MEANS = np.array([[-3.0, 0.0], [2.0, 2.5], [2.0, -2.5]])
STDS = np.array([0.3, 0.6, 0.45])
POINTS = [[2.0, 2.5], [-3.0, 0.4], [0.0, 0.0], [1.0, -1.0], [2.5, -2.0]]


def beta(t):
    return 0.1 + t * (20.0 - 0.1)


def kernel(t):
    """The mean scale and the variance of the variance-preserving process."""
    integral = 0.1 * t + 0.5 * t * t * (20.0 - 0.1)
    return np.exp(-0.5 * integral), -np.expm1(-integral)


def score_and_divergence(x, t):
    scale, noise = kernel(t)
    variances = scale**2 * STDS**2 + noise
    apart = x - scale * MEANS
    squares = (apart**2).sum(1)
    logs = np.log(WEIGHTS) - np.log(2 * np.pi * variances) - 0.5 * squares / variances
    posterior = np.exp(logs - logs.max())
    posterior /= posterior.sum()
    exact = -(posterior[:, None] * apart / variances[:, None]).sum(0)
    # The Laplacian of log p is that of p over p, less the square of the score.
    divergence = (posterior * (squares / variances**2 - 2 / variances)).sum() - exact @ exact
    # Longer by a fifth at the end, with a ripple and a rotation, which has no divergence.
    length = 1 + 0.2 * t
    score = length * exact + 0.1 * np.sin(x) + 0.05 * np.array([x[1], -x[0]])
    return score, length * divergence + 0.1 * np.cos(x).sum()


def flow(t, state):
    score, divergence = score_and_divergence(state[:2], t)
    rate, pull = -0.5 * beta(t), -0.5 * beta(t)
    return [*(rate * state[:2] + pull * score), 2 * rate + pull * divergence]


for point in POINTS:
    solved = solve_ivp(flow, (0, 1), [*point, 0], method="DOP853", rtol=1e-12, atol=1e-12)
    latent, volume = solved.y[:2, -1], solved.y[2, -1]
    prior = -0.5 * latent @ latent - np.log(2 * np.pi)
    print(point, [repr(float(v)) for v in (prior, volume, prior + volume)])
