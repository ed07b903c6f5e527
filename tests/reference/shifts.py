"""Consistency, shifts and maps of shifts, image by image and pixel by pixel, in float64."""

import numpy as np
from reference import distances


def top(logits: np.ndarray) -> int:
    """The first of the largest."""
    best = 0
    for k in range(1, len(logits)):
        if logits[k] > logits[best]:
            best = k
    return best


def consistency(clean: np.ndarray, deformed: np.ndarray) -> float:
    agree = 0
    for a, b in zip(clean, deformed, strict=True):
        agree += top(a) == top(b)
    return agree / len(clean)


def rolled(image: np.ndarray, down: int, right: int) -> np.ndarray:
    """(c, h, w), moved down and to the right; what leaves it comes back on the other side."""
    _, height, width = image.shape
    out = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            out[:, (row + down) % height, (column + right) % width] = image[:, row, column]
    return out


def enlarged(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(c, h, w) at `size` (h, w), each pixel repeated."""
    channels, height, width = maps.shape
    out = np.zeros((channels, *size))
    for row in range(size[0]):
        for column in range(size[1]):
            out[:, row, column] = maps[:, row * height // size[0], column * width // size[1]]
    return out


def map_distance(clean: np.ndarray, moved: np.ndarray, down: int, right: int, size: tuple[int, int]) -> float:
    """The cosine distance of Shift(F(x)) and F(Shift(x)), both at the image's resolution."""
    first, second = rolled(enlarged(clean, size), down, right), enlarged(moved, size)
    return distances.cosine(first.ravel(), second.ravel())
