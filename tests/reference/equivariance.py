"""A field at another size, and the correlation of two maps, pixel by pixel in float64."""

import numpy as np


def resized(displacement: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(2, h, w) displacements read bilinearly at the centres of `size` pixels that cover the image, in their units."""
    _, height, width = displacement.shape
    out = np.zeros((2, *size))
    for row in range(size[0]):
        for column in range(size[1]):
            y = min(max((row + 0.5) * height / size[0] - 0.5, 0), height - 1)
            x = min(max((column + 0.5) * width / size[1] - 0.5, 0), width - 1)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
            upper = (1 - (x - left)) * displacement[:, top, left] + (x - left) * displacement[:, top, right]
            lower = (1 - (x - left)) * displacement[:, bottom, left] + (x - left) * displacement[:, bottom, right]
            out[:, row, column] = (1 - (y - top)) * upper + (y - top) * lower
    out[0] *= size[1] / width
    out[1] *= size[0] / height
    return out


def correlation(followed: np.ndarray, deformed: np.ndarray, displacement: np.ndarray) -> float:
    """Pearson's coefficient of two maps (c, h, w) over the pixels that are read inside the map, channels centred."""
    channels, height, width = followed.shape
    first, second = [], []
    for channel in range(channels):
        pair = []
        for row in range(height):
            for column in range(width):
                x, y = column + displacement[0, row, column], row + displacement[1, row, column]
                if 0 <= x <= width - 1 and 0 <= y <= height - 1:
                    pair.append((followed[channel, row, column], deformed[channel, row, column]))
        means = np.mean(pair, axis=0)
        first += [a - means[0] for a, _ in pair]
        second += [b - means[1] for _, b in pair]
    return float(np.corrcoef(first, second)[0, 1])
