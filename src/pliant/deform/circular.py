"""Rolling the image: what leaves it on one side comes back on the other."""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from pliant._checks import require
from pliant.deform.contract import Deformation, Source
from pliant.deform.field import Field
from pliant.deform.length import Length, check_length, pixels


@dataclass(frozen=True)
class Circular(Deformation):
    """Circular shifts by whole pixels to the right and down (Zhang 2019, Chaman and Dokmanic 2020), without resampling.

    reach: both are whole numbers drawn uniformly from -reach to reach, independently; a length, rounded down to whole
    pixels. Every pixel is read inside the image, so the padding does not matter. Where the sides of the image meet the
    displacement jumps, which `Field.folds` counts.
    """

    name = "circular"
    strength = "reach"

    reach: Length = "50%"

    def __post_init__(self) -> None:
        check_length("reach", self.reach)
        require(not self.invertible, "invertible=True: a circular shift jumps where the sides of the image meet")

    def drawn(self, source: Source, size: tuple[int, int]) -> Float[Tensor, "n 2"]:
        """Shifts to the right and down, whole pixels."""
        numbers = source.uniform(2)
        reach = int(pixels(self.reach, size[1]))
        return (numbers * (2 * reach + 1)).floor() - reach

    def within(self, parameters: Float[Tensor, "n 2"], size: tuple[int, int]) -> Float[Tensor, "n 2"]:
        """The nearest whole pixels that are no further than the reach."""
        reach = int(pixels(self.reach, size[1]))
        return parameters.round().clamp(-reach, reach)

    def field(self, parameters: Float[Tensor, "n 2"], size: tuple[int, int]) -> Field:
        """The field that rolls the image by the shifts, rounded to whole pixels."""
        height, width = size
        shifts = parameters.detach().round()
        x, y = (torch.arange(side, device=shifts.device, dtype=shifts.dtype) for side in (width, height))
        along = (x - shifts[:, :1]).remainder(width) - x
        across = (y - shifts[:, 1:]).remainder(height) - y
        shape = (len(shifts), height, width)
        return Field(torch.stack((along[:, None, :].expand(shape), across[:, :, None].expand(shape)), 1))
