"""Thin-plate splines through random displacements of a regular grid of control points."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import xlogy
from torch import Tensor

from pliant._checks import require
from pliant.deform.contract import Deformation, Source
from pliant.deform.field import Field
from pliant.deform.length import Length, check_length, pixels
from pliant.deform.series import Series, cached

_CHUNK = 1 << 16  # pixels whose splines are evaluated at once


@dataclass(frozen=True)
class ThinPlate(Deformation):
    """The deformation of Ruderman et al. 2018 (arXiv:1804.04438).

    grid: control points a side, evenly spaced from the first to the last pixel centre, corners included.
    reach: each control point moves by at most this length along each axis, uniformly and independently.

    The displacements between the control points are the thin-plate spline (kernel r^2 log r and an affine part,
    Duchon 1977) in pixel coordinates with the same unit along both axes. On a fixed grid it is linear in the
    displacements of the control points, so one matrix, found once for each size, makes every field.
    """

    name = "thin_plate"
    strength = "reach"
    on_host = True

    grid: int = 3
    reach: Length = 2.0

    def __post_init__(self) -> None:
        require(self.grid >= 2, f"grid={self.grid}: a thin plate needs at least 2 control points a side")
        check_length("reach", self.reach)

    def drawn(self, source: Source, size: tuple[int, int]) -> Float[Tensor, "n 2 points"]:
        """Displacements (x, then y) of the control points, pixels; the points run row by row."""
        numbers = source.uniform(2 * self.grid**2)
        moved = numbers.numpy()  # which wakes no other thread
        moved -= 0.5
        moved *= 2 * pixels(self.reach, size[1])
        return numbers.unflatten(1, (2, self.grid**2))

    def within(self, parameters: Float[Tensor, "n 2 points"], size: tuple[int, int]) -> Float[Tensor, "n 2 points"]:
        """No control point moves further than the reach along an axis."""
        reach = pixels(self.reach, size[1])
        return parameters.clamp(-reach, reach)

    def field(self, parameters: Float[Tensor, "n 2 points"], size: tuple[int, int]) -> Field:
        """The spline through the given displacements of the control points, pixels."""
        return Field(Series(parameters.clone(), size, _basis(size, self.grid, parameters.device)))


@cached
def _basis(size: tuple[int, int], grid: int, device: torch.device) -> Float[Tensor, "points hw"]:
    """The field of each control point moved by 1 pixel alone, the others held: float32, solved in float64."""
    if device.type != "cpu":
        return _basis(size, grid, torch.device("cpu")).to(device)
    height, width = size
    unit = max(height - 1, width - 1, 1)  # the spline does not depend on the unit of length, its conditioning does
    points = _lattice(np.linspace(0, height - 1, grid), np.linspace(0, width - 1, grid)) / unit
    places = _lattice(np.arange(float(height)), np.arange(float(width))) / unit
    count = len(points)
    system = np.zeros((count + 3, count + 3))
    system[:count, :count] = _kernel(points, points)
    system[:count, count:] = _affine(points)
    system[count:, :count] = _affine(points).T
    # A side of one pixel puts control points on top of each other: the least-squares spline then averages them.
    solved = np.linalg.inv(system) if min(size) > 1 else np.linalg.pinv(system)
    basis = np.empty((count, len(places)), dtype=np.float32)
    for part in range(0, len(places), _CHUNK):
        some = places[part : part + _CHUNK]
        basis[:, part : part + _CHUNK] = (np.hstack([_kernel(some, points), _affine(some)]) @ solved[:, :count]).T
    return torch.from_numpy(basis)


def _lattice(y: np.ndarray, x: np.ndarray) -> Float[np.ndarray, "points 2"]:
    """All (x, y), row by row."""
    return np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)


def _kernel(at: Float[np.ndarray, "a 2"], points: Float[np.ndarray, "b 2"]) -> Float[np.ndarray, "a b"]:
    """r^2 log r, without the factor: r^2 log r^2 = 2 r^2 log r spans the same splines."""
    squared = ((at[:, None] - points[None]) ** 2).sum(-1)
    return xlogy(squared, squared)


def _affine(at: Float[np.ndarray, "a 2"]) -> Float[np.ndarray, "a 3"]:
    return np.hstack([np.ones((len(at), 1)), at])
