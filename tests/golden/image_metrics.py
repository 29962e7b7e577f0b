#!/usr/bin/env python3
"""Makes image_metrics.json: distances between sets of features and images, by NumPy and SciPy in float64.

The Fréchet distance is written with scipy.linalg.sqrtm, as pytorch-fid and torch-fidelity do; the kernel distance with the
polynomial kernel of Bińkowski et al. 2018 on consecutive subsets; precision and recall by brute force; SSIM with
scipy.ndimage as scikit-image's `structural_similarity(gaussian_weights=True, use_sample_covariance=False)`. The data are
formulas that the test writes out again. Run with Python, numpy and scipy:

    python tests/golden/image_metrics.py
"""

import json
import pathlib

import numpy as np
from scipy import linalg, ndimage


def features(count, size, seed):
    i, j = np.meshgrid(np.arange(count), np.arange(size), indexing="ij")
    return np.sin(seed + 0.7 * i * (j + 1) + 0.3 * j * j) + 0.1 * seed * np.cos(1.3 * i + j)


def frechet(x, y):
    sigma, gamma = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = linalg.sqrtm(sigma @ gamma)
    shift = ((x.mean(0) - y.mean(0)) ** 2).sum()
    return float(shift + np.trace(sigma) + np.trace(gamma) - 2 * np.trace(root).real)


def frechet_of_singular(x, y):
    """sqrtm warns of singular matrices: here by the eigenvalues of the symmetric product."""
    sigma, gamma = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    values, vectors = np.linalg.eigh(sigma)
    half = vectors @ np.diag(np.sqrt(values.clip(0))) @ vectors.T
    root = np.sqrt(np.linalg.eigvalsh(half @ gamma @ half).clip(0)).sum()
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(sigma) + np.trace(gamma) - 2 * root)


def kernel(x, y, subset):
    k = lambda a, b: (a @ b.T / a.shape[1] + 1) ** 3
    found = []
    for at in range(0, min(len(x), len(y)) // subset * subset, subset):
        a, b = x[at : at + subset], y[at : at + subset]
        within = lambda a: (k(a, a).sum() - np.trace(k(a, a))) / (subset * (subset - 1))
        found.append(within(a) + within(b) - 2 * k(a, b).mean())
    return [float(np.mean(found)), float(np.std(found, ddof=1) / np.sqrt(len(found)))]


def covered(x, by, neighbours):
    own = np.linalg.norm(by[:, None] - by[None], axis=2)
    radii = np.sort(own, axis=1)[:, neighbours]
    return float((np.linalg.norm(x[:, None] - by[None], axis=2) <= radii).any(axis=1).mean())


def ssim(x, y, data_range):
    blur = lambda a: ndimage.gaussian_filter(a, 1.5, truncate=3.5)[5:-5, 5:-5]
    mx, my = blur(x), blur(y)
    vx, vy, vxy = blur(x * x) - mx**2, blur(y * y) - my**2, blur(x * y) - mx * my
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    return float((((2 * mx * my + c1) * (2 * vxy + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())


x, y = features(120, 6, 1), features(90, 6, 2)
# One column twice and one that is constant: both covariances are singular.
double = lambda a: np.concatenate([a, a[:, :1], np.ones((len(a), 1))], axis=1)
images = features(16, 20, 1), features(16, 20, 3)
golden = {
    "frechet": frechet(x, y),
    "frechet_singular": frechet_of_singular(double(x), double(y)),
    "kernel": kernel(x, y, 30),
    "precision": covered(y, x, 3),
    "recall": covered(x, y, 3),
    "psnr": float(10 * np.log10(4 / ((images[0] - images[1]) ** 2).mean())),
    "ssim": ssim(*images, 2.0),
}
path = pathlib.Path(__file__).with_name("image_metrics.json")
path.write_text(json.dumps(golden, indent=1) + "\n")
