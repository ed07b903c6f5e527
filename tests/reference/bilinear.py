"""Bilinear resampling along a displacement, pixel by pixel."""

import math

import numpy as np


def warp(image: np.ndarray, displacement: np.ndarray, padding: str) -> np.ndarray:
    """(c, h, w) image at p + displacement(p), displacement (2, h, w) in pixels, x first."""
    channels, height, width = image.shape
    out = np.zeros((channels, height, width))

    def value(y: int, x: int) -> np.ndarray:
        inside = 0 <= y < height and 0 <= x < width
        return image[:, y, x] if inside else np.zeros(channels)

    for row in range(height):
        for column in range(width):
            x = column + float(displacement[0, row, column])
            y = row + float(displacement[1, row, column])
            if padding == "border":
                x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
            if padding == "reflection":
                x, y = fold(x, width), fold(y, height)
            left, top = math.floor(x), math.floor(y)
            for dy, wy in ((0, 1 - (y - top)), (1, y - top)):
                for dx, wx in ((0, 1 - (x - left)), (1, x - left)):
                    if wx * wy > 0:
                        out[:, row, column] += wx * wy * value(top + dy, left + dx)
    return out


def fold(position: float, length: int) -> float:
    """Reflect about the centres of the first and the last pixel until inside."""
    if length == 1:
        return 0.0
    position = abs(position) % (2 * (length - 1))
    return min(position, 2 * (length - 1) - position)
