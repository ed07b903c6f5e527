"""Binomial filters and strides by loops over pixels."""

from math import comb

import numpy as np

_MODES = {"reflect": "reflect", "circular": "wrap", "zeros": "constant"}


def blur_pool(images, taps, stride, padding):
    """Each pixel of the output as a weighted sum; numpy pads small maps as often as it takes."""
    before = (taps - 1) // 2
    around = (before, taps - 1 - before)
    wide = np.pad(images, ((0, 0), (0, 0), around, around), mode=_MODES[padding])
    height, width = (-(-side // stride) for side in images.shape[2:])
    out = np.zeros((*images.shape[:2], height, width))
    for y in range(height):
        for x in range(width):
            for i in range(taps):
                for j in range(taps):
                    weight = comb(taps - 1, i) * comb(taps - 1, j) / 4 ** (taps - 1)
                    out[:, :, y, x] += weight * wide[:, :, stride * y + i, stride * x + j]
    return out
