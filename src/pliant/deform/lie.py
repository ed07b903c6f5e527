"""One-parameter groups of affine maps, by their direction at the identity."""

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from pliant._checks import unknown
from pliant.deform.affine import places
from pliant.deform.contract import Deformation, Source
from pliant.deform.field import Field
from pliant.deform.series import Series

Transformation = Literal["translation", "rotation", "scale", "stretch", "shear", "hyperbolic"]
_ROWS: dict[str, tuple[tuple[float, float], tuple[float, float]]] = {
    "translation": ((0, 0), (0, 0)),
    "rotation": ((0, 1), (-1, 0)),
    "scale": ((1, 0), (0, 1)),
    "stretch": ((1, 0), (0, 0)),
    "shear": ((0, 1), (0, 0)),
    "hyperbolic": ((0, 1), (1, 0)),
}
"""The displacement at (x, y) along x and along y, each by its share of x and of y."""


@dataclass(frozen=True)
class Lie(Deformation):
    """The direction of a one-parameter group of maps, the same for every image. Gruver et al. 2022, arXiv:2210.02984.

    With x to the right and y downwards from the centre, pixels, what stands at (x, y) in the deformed image is read in
    the image at (x, y) + u:

    - "translation": u = ((w - 1) / 2, 0), half the width; the image moves to the left.
    - "rotation": u = (y, -x), the derivative of `Rotate` by radians; the image turns clockwise.
    - "scale": u = (x, y); the image becomes smaller.
    - "stretch": u = (x, 0); the image becomes narrower.
    - "shear": u = (y, 0), the derivative of `Shear` by radians.
    - "hyperbolic": u = (y, x); the image is stretched along one diagonal and squeezed along the other.

    Nothing is drawn. The directions are those of the paper at t = 1, where half the width is 1; as deformations they
    are meant small: `sample(...).scaled(t)`, or through a measure that takes the derivative by t at 0.
    Raises `InputError` for another transformation.
    """

    name = "lie"
    on_host = True

    transformation: Transformation = "translation"

    def __post_init__(self) -> None:
        if self.transformation not in _ROWS:
            raise unknown("transformation", self.transformation, _ROWS)

    def drawn(self, source: Source, size: tuple[int, int]) -> Float[Tensor, "n 1"]:
        """How far along the direction: 1 for every image."""
        return source.indices.new_ones((len(source.indices), 1), dtype=torch.float32)

    def within(self, parameters: Float[Tensor, "n 1"], size: tuple[int, int]) -> Float[Tensor, "n 1"]:
        """1 for every image."""
        return torch.ones_like(parameters)

    def field(self, parameters: Float[Tensor, "n 1"], size: tuple[int, int]) -> Field:
        """The direction times the parameter of each image."""
        right = (size[1] - 1) / 2 if self.transformation == "translation" else 0.0
        along, across = _ROWS[self.transformation]
        direction = parameters.new_tensor([[*along, right], [*across, 0.0]])
        return Field(Series(parameters[..., None] * direction, size, places(size, parameters.device)))
