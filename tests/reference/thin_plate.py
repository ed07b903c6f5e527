"""The thin-plate spline of scipy, point by point in float64."""

import numpy as np
from scipy.interpolate import RBFInterpolator


def field(points: np.ndarray, grid: int, size: tuple[int, int]) -> np.ndarray:
    """(2, h, w) displacements through the displacements `points` (2, grid * grid) of the control points."""
    height, width = size
    y, x = np.meshgrid(np.linspace(0, height - 1, grid), np.linspace(0, width - 1, grid), indexing="ij")
    control = np.stack([x.ravel(), y.ravel()], axis=1)
    spline = RBFInterpolator(control, points.T.astype(np.float64), kernel="thin_plate_spline", degree=1)
    y, x = np.mgrid[:height, :width]
    return spline(np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float64)).T.reshape(2, height, width)
