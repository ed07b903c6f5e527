"""One part of the image moves, and the rest stays."""

import math
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from pliant import _gpu
from pliant._checks import require
from pliant.deform.contract import Deformation, Source
from pliant.deform.field import Field
from pliant.deform.length import Length, check_length, pixels
from pliant.deform.recipe import Recipe

_ROUNDING = 1e-6


@dataclass(frozen=True)
class Pose(Deformation):
    """A round part of the image moves, as a limb would; the motion fades smoothly and ends at the radius.

    reach: the centre of the part moves by at most this length, in any direction, uniformly over that disc.
    radius: of the part, a length. Its centre lies anywhere in the image, uniformly. At distance r from it the motion
    is (1 - r^2 / radius^2)^3 of the one at the centre, whose first and second derivatives vanish at the radius.
    """

    name = "pose"
    strength = "reach"
    on_host = True

    reach: Length = "4%"
    radius: Length = "40%"

    def __post_init__(self) -> None:
        check_length("reach", self.reach)
        check_length("radius", self.radius)
        require(pixels(self.radius, 100) > 0, f"radius={self.radius}: it must be above 0")

    def drawn(self, source: Source, size: tuple[int, int]) -> Float[Tensor, "n 4"]:
        """The part's centre, x and y, then how far its content moves to the right and down; pixels."""
        numbers = source.uniform(4)
        ends = numbers.new_tensor([size[1] - 1, size[0] - 1])
        length = pixels(self.reach, size[1]) * numbers[:, 2].sqrt()
        angle = 2 * math.pi * numbers[:, 3]
        return torch.cat((numbers[:, :2] * ends, torch.stack((length * angle.cos(), length * angle.sin()), 1)), 1)

    def within(self, parameters: Float[Tensor, "n 4"], size: tuple[int, int]) -> Float[Tensor, "n 4"]:
        """The centre inside the image, and the motion in the disc of the reach."""
        centre, motion = parameters.split(2, 1)
        ends, reach = parameters.new_tensor([size[1] - 1, size[0] - 1]), pixels(self.reach, size[1])
        length = torch.linalg.vector_norm(motion, dim=1, keepdim=True)
        motion = torch.where(length > reach * (1 + _ROUNDING), motion * (reach / length), motion)
        return torch.cat((torch.minimum(centre.clamp(min=0), ends), motion), 1)

    def field(self, parameters: Float[Tensor, "n 4"], size: tuple[int, int]) -> Field:
        """The field of a part at the given centre that moves as given."""
        return Field(_Part(-parameters[:, 2:], size, parameters[:, :2].clone(), pixels(self.radius, size[1])))


@dataclass(frozen=True, eq=False)
class _Part(Recipe):
    """The displacements of a round part of each of n images of `size` (h, w), which fade out at the radius.

    weights: (n, 2), at the centre, pixels. centres: (n, 2), x and y, pixels. radius: pixels.
    """

    weights: Float[Tensor, "n 2"]
    size: tuple[int, int]
    centres: Float[Tensor, "n 2"]
    radius: float

    def __getitem__(self, part: slice | list[int] | Tensor) -> "_Part":
        """That of several images."""
        return replace(self, weights=self.weights[part], centres=self.centres[part])

    def to(self, device: torch.device | str) -> "_Part":
        """That on another device."""
        return replace(self, weights=_gpu.sent(self.weights, device), centres=_gpu.sent(self.centres, device))

    def summed(self, room: Float[Tensor, "n 2 h w"] | None = None) -> Float[Tensor, "n 2 h w"]:
        """The displacements, differentiable in weights and centres."""
        height, width = self.size
        x = torch.arange(width, device=self.centres.device, dtype=self.centres.dtype) - self.centres[:, 0, None]
        y = torch.arange(height, device=self.centres.device, dtype=self.centres.dtype) - self.centres[:, 1, None]
        left = 1 - (x / self.radius).square()[:, None, :] - (y / self.radius).square()[:, :, None]
        fade = left.clamp_(min=0).pow_(3)
        out = room if room is not None and room.dtype == fade.dtype else None
        return torch.mul(self.weights[..., None, None], fade[:, None], out=out)

    @property
    def together(self) -> int:
        """Each image is made alone."""
        return 1
