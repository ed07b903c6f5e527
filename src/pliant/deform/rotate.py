"""Turning the image about its centre."""

import math
from dataclasses import dataclass

from pliant.deform.affine import Ends, Motion, check_choice, half
from pliant.deform.length import Length, Numbers, check_ends, check_length, ends, pixels


@dataclass(frozen=True)
class Rotate(Motion):
    """The image turns clockwise about its centre.

    reach: the middle of its right edge moves by at most this length, either way, the angle being uniform. degrees: the
    angle instead, fixed or between the two of a pair.
    """

    name = "rotate"
    strength = "reach"

    reach: Length | None = None
    degrees: Numbers | None = None

    def __post_init__(self) -> None:
        check_choice("rotate", reach=self.reach, degrees=self.degrees)
        if self.reach is not None:
            check_length("reach", self.reach)
        check_ends("degrees", 0.0 if self.degrees is None else self.degrees, lengths=False)

    def ends(self, size: tuple[int, int]) -> dict[str, Ends]:
        """Of the angle, degrees."""
        if self.degrees is not None:
            return {"degrees": ends(self.degrees)}
        chord = pixels(self.reach or 0.0, size[1]) / half(size)
        angle = math.degrees(2 * math.asin(min(chord / 2, 1.0)))
        return {"degrees": (-angle, angle)}
