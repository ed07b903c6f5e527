"""The normalised distance of Ruderman et al. 2018, image by image and pair by pair, in float64."""

import numpy as np


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return 1 - float(a @ b) / np.sqrt(float(a @ a) * float(b @ b))


def euclidean(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.sqrt(((a - b) ** 2).sum()))


def sensitivity(clean: np.ndarray, deformed: np.ndarray, distance, block: int) -> float:
    """Mean distance to the own deformation over the pair-weighted mean of the blocks' pair medians."""
    own, medians, weights = [], [], []
    for start in range(0, len(clean), block):
        x = clean[start : start + block].reshape(len(clean[start : start + block]), -1).astype(np.float64)
        y = deformed[start : start + block].reshape(x.shape).astype(np.float64)
        own += [distance(a, b) for a, b in zip(x, y, strict=True)]
        pairs = [distance(x[i], x[j]) for i in range(len(x)) for j in range(i + 1, len(x))]
        if pairs:
            medians.append(np.median(pairs))
            weights.append(len(pairs))
    return float(np.mean(own) / np.average(medians, weights=weights))
