"""Affine maps about the centre of the image, and what the families of single motions share."""

from abc import abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pliant._checks import require
from pliant.deform.contract import Deformation, Source
from pliant.deform.field import Field
from pliant.deform.length import Lengths, Numbers, check_ends, ends
from pliant.deform.series import Series, cached

Ends = tuple[float, float]
STILL: dict[str, Ends] = {
    "degrees": (0.0, 0.0),
    "x": (0.0, 0.0),
    "y": (0.0, 0.0),
    "scale": (1.0, 1.0),
    "shear_x": (0.0, 0.0),
    "shear_y": (0.0, 0.0),
}
"""The parameters of an affine map in their order, and between which values they are drawn where nothing moves."""


@dataclass(frozen=True)
class Motion(Deformation):
    """A family of affine maps: its members say between which values each parameter is drawn."""

    on_host = True

    @abstractmethod
    def ends(self, size: tuple[int, int]) -> dict[str, Ends]:
        """The lowest and the highest value of the parameters that are not those of `STILL`; lengths in pixels."""

    def drawn(self, source: Source, size: tuple[int, int]) -> Float[Tensor, "n 6"]:
        """Degrees, x and y (pixels), scale, shear_x and shear_y (degrees), each uniform between its ends."""
        numbers = source.uniform(len(STILL))
        low, high = self._ends_of_all(numbers, size)
        return torch.lerp(low, high, numbers)

    def within(self, parameters: Float[Tensor, "n 6"], size: tuple[int, int]) -> Float[Tensor, "n 6"]:
        """Each parameter between its ends."""
        low, high = self._ends_of_all(parameters, size)
        return torch.minimum(torch.maximum(parameters, low), high)

    def field(self, parameters: Float[Tensor, "n 6"], size: tuple[int, int]) -> Field:
        """The field that shears, scales, turns and moves the image by the given parameters."""
        degrees, x, y, scale, shear_x, shear_y = parameters.double().T.contiguous().unbind(0)
        turn, along, across = torch.deg2rad(degrees), torch.deg2rad(shear_x).tan(), torch.deg2rad(shear_y).tan()
        cos, sin, both = turn.cos(), turn.sin(), 1 + along * across
        # From the centre p' = scale R H p + (x, y), with R = ((cos, -sin), (sin, cos)) and H = ((1, -along),
        # (-across, both)), whose determinant is 1; the field takes p' back to p.
        xx, xy = (cos * both - sin * along) / scale, (cos * along + sin * both) / scale
        yx, yy = (cos * across - sin) / scale, (cos + sin * across) / scale
        rows = torch.stack((xx - 1, xy, -(xx * x + xy * y), yx, yy - 1, -(yx * x + yy * y)), 1)
        weights = rows.to(parameters.dtype).unflatten(1, (2, 3))
        return Field(Series(weights, size, places(size, parameters.device)))

    def _ends_of_all(
        self, like: Float[Tensor, "n 6"], size: tuple[int, int]
    ) -> tuple[Float[Tensor, " 6"], Float[Tensor, " 6"]]:
        """The lowest and the highest values of the six parameters."""
        low, high = like.new_tensor(list((STILL | self.ends(size)).values())).unbind(1)
        return low, high


@dataclass(frozen=True)
class Affine(Motion):
    """The image sheared, scaled, turned about its centre and moved, in this order, as by torchvision's `affine`.

    Each setting is one value, or a pair between which it is drawn uniformly, independently of the others.
    degrees: of the rotation, clockwise. x, y: lengths by which the image moves to the right, and down.
    scale: factor of its size. shear_x, shear_y: degrees, in the sense of torchvision's `shear`.
    """

    name = "affine"

    degrees: Numbers = 0.0
    x: Lengths = 0.0
    y: Lengths = 0.0
    scale: Numbers = 1.0
    shear_x: Numbers = 0.0
    shear_y: Numbers = 0.0

    def __post_init__(self) -> None:
        for part in STILL:
            check_ends(part, getattr(self, part), lengths=part in ("x", "y"))
        require(ends(self.scale)[0] > 0, f"scale={self.scale}: a factor of the size must be above 0")
        check_shear("shear_x", self.shear_x)
        check_shear("shear_y", self.shear_y)

    def ends(self, size: tuple[int, int]) -> dict[str, Ends]:
        """The settings themselves, lengths in pixels."""
        return {part: ends(getattr(self, part), size[1]) for part in STILL}


def check_shear(name: str, value: Numbers) -> None:
    """Raise `InputError` for angles that shear an image to nothing."""
    low, high = ends(value)
    require(low > -90 and high < 90, f"{name}={value}: between -90 and 90 degrees")


def check_choice(family: str, **given: object) -> None:
    """Raise `InputError` unless exactly one of the settings is given."""
    names = [name for name, value in given.items() if value is not None]
    require(len(names) == 1, f"{family}: give one of {', '.join(given)}, got {', '.join(names) or 'none'}")


def half(size: tuple[int, int]) -> float:
    """How far the middle of the left or right edge lies from the centre, pixels; at least half a pixel."""
    return max(size[1] - 1, 1) / 2


@cached
def places(size: tuple[int, int], device: torch.device) -> Float[Tensor, "3 hw"]:
    """x and y of each pixel from the centre, pixels, and 1."""
    height, width = size
    y, x = torch.meshgrid(*(torch.arange(side) - (side - 1) / 2 for side in size), indexing="ij")
    return torch.stack((x.ravel(), y.ravel(), torch.ones(height * width))).to(device, torch.float32)
