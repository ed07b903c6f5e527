"""Deformation, noise and relative stability, image by image and pair by pair, in float64. Petrini et al. 2021."""

import numpy as np


def parts(clean: np.ndarray, moved: np.ndarray, noisy: np.ndarray, block: int, take) -> tuple[float, float, float]:
    """|r(tx) - r(x)|^2, |r(x + eta) - r(x)|^2 and |r(x) - r(z)|^2: `take` of each block, and the mean over blocks."""
    found, weights = ([], [], []), ([], [], [])
    for start in range(0, len(clean), block):
        x, y, z = (a[start : start + block].astype(np.float64) for a in (clean, moved, noisy))
        n = len(x)
        values = (
            [((y[i] - x[i]) ** 2).sum() for i in range(n)],
            [((z[i] - x[i]) ** 2).sum() for i in range(n)],
            [((x[i] - x[j]) ** 2).sum() for i in range(n) for j in range(i + 1, n)],
        )
        for of, weight, some in zip(found, weights, values, strict=True):
            if some:
                of.append(take(some))
                weight.append(len(some))
    deformation, noise, apart = (float(np.average(a, weights=w)) for a, w in zip(found, weights, strict=True))
    return deformation, noise, apart


def stabilities(clean: np.ndarray, moved: np.ndarray, noisy: np.ndarray, block: int, take) -> dict[str, float]:
    deformation, noise, apart = parts(clean, moved, noisy, block, take)
    return {
        "deformation_stability": deformation / apart,
        "noise_stability": noise / apart,
        "relative_stability": deformation / noise,
    }
