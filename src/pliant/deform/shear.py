"""Slanting the image."""

import math
from dataclasses import dataclass

from pliant.deform.affine import Ends, Motion, check_choice, check_shear
from pliant.deform.length import Length, Numbers, check_ends, check_length, ends, pixels


@dataclass(frozen=True)
class Shear(Motion):
    """The image is slanted along x about its centre, as by torchvision's `shear`.

    reach: its upper edge moves by at most this length, either way, the angle being uniform. degrees: the angle instead,
    fixed or between the two of a pair.
    """

    name = "shear"
    strength = "reach"

    reach: Length | None = None
    degrees: Numbers | None = None

    def __post_init__(self) -> None:
        check_choice("shear", reach=self.reach, degrees=self.degrees)
        if self.reach is not None:
            check_length("reach", self.reach)
        if self.degrees is not None:
            check_ends("degrees", self.degrees, lengths=False)
            check_shear("degrees", self.degrees)

    def ends(self, size: tuple[int, int]) -> dict[str, Ends]:
        """Of the angle, degrees."""
        if self.degrees is not None:
            return {"shear_x": ends(self.degrees)}
        angle = math.degrees(math.atan(pixels(self.reach or 0.0, size[1]) / (max(size[0] - 1, 1) / 2)))
        return {"shear_x": (-angle, angle)}
