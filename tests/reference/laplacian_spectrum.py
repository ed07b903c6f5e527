"""Energy of filters along the eigenvectors of the Laplacian of the grid of taps, by a general eigensolver."""

import numpy as np


def laplacian(height: int, width: int) -> np.ndarray:
    """(hw, hw): on the diagonal the number of neighbours, -1 for each pair of neighbours."""
    matrix = np.zeros((height * width, height * width))
    for row in range(height):
        for column in range(width):
            for other_row, other_column in ((row + 1, column), (row, column + 1)):
                if other_row < height and other_column < width:
                    a, b = row * width + column, other_row * width + other_column
                    matrix[a, a] += 1
                    matrix[b, b] += 1
                    matrix[a, b] = matrix[b, a] = -1
    return matrix


def by_eigenvalue(weight: np.ndarray) -> dict[float, float]:
    """The energy in the space of each eigenvalue, whatever the eigenvectors that span it."""
    values, vectors = np.linalg.eigh(laplacian(*weight.shape[2:]))
    found: dict[float, float] = {}
    for value, vector in zip(values, vectors.T, strict=True):
        key = round(float(value), 6) + 0.0
        for filters in weight:
            for taps in filters:
                found[key] = found.get(key, 0.0) + float(taps.ravel() @ vector) ** 2
    return found
