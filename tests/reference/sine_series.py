"""Maximum-entropy diffeomorphisms as they are published, with loops: arXiv:2105.02468."""

import math

import numpy as np


def field(c, temperature, cutoff, n):
    """(dx, dy), (2, n, n) by y and x, pixels; the image is read at (x - dx, y - dy). c: (2, cutoff, cutoff) by i, j."""
    out = np.zeros((2, n, n))
    for axis in range(2):
        for row in range(n):
            for column in range(n):
                x, y = column / (n - 1), row / (n - 1)
                for i in range(1, cutoff + 1):
                    for j in range(1, cutoff + 1):
                        if math.sqrt(i * i + j * j) < cutoff + 0.5:
                            wave = math.sin(i * math.pi * x) * math.sin(j * math.pi * y)
                            out[axis, row, column] += c[axis, i - 1, j - 1] * wave
    return n * math.sqrt(temperature) * out
