"""Total variation of filters, tap by tap."""

import numpy as np


def sums(taps: np.ndarray) -> tuple[float, float]:
    """Of one filter (kh, kw): the absolute differences of neighbours along both axes, and the absolute taps."""
    height, width = taps.shape
    variation = mass = 0.0
    for row in range(height):
        for column in range(width):
            mass += abs(taps[row, column])
            if row + 1 < height:
                variation += abs(taps[row + 1, column] - taps[row, column])
            if column + 1 < width:
                variation += abs(taps[row, column + 1] - taps[row, column])
    return variation, mass


def of_layer(weight: np.ndarray) -> float:
    """The ratio of the sums over all filters (out, in, kh, kw)."""
    both = [sums(taps) for filters in weight for taps in filters]
    return sum(variation for variation, _ in both) / sum(mass for _, mass in both)


def of_filters(weight: np.ndarray) -> float:
    """The mean of the ratios."""
    both = [sums(taps) for filters in weight for taps in filters]
    return sum(variation / mass for variation, mass in both) / len(both)
