"""Making the image larger or smaller about its centre."""

from dataclasses import dataclass

from pliant._checks import require
from pliant.deform.affine import Ends, Motion, check_choice, half
from pliant.deform.length import Length, Numbers, check_ends, check_length, ends, pixels


@dataclass(frozen=True)
class Scale(Motion):
    """The image becomes larger or smaller about its centre.

    reach: what is read at the middle of its right edge comes from at most this length away, either way. factor: of its
    size, instead, fixed or between the two of a pair; above 1 it becomes larger. The factor is uniform.
    """

    name = "scale"
    strength = "reach"

    reach: Length | None = None
    factor: Numbers | None = None

    def __post_init__(self) -> None:
        check_choice("scale", reach=self.reach, factor=self.factor)
        if self.reach is not None:
            check_length("reach", self.reach)
        if self.factor is not None:
            check_ends("factor", self.factor, lengths=False)
            require(ends(self.factor)[0] > 0, f"factor={self.factor}: a factor of the size must be above 0")

    def ends(self, size: tuple[int, int]) -> dict[str, Ends]:
        """Of the factor."""
        if self.factor is not None:
            return {"scale": ends(self.factor)}
        share = pixels(self.reach or 0.0, size[1]) / half(size)
        require(share < 1, f"reach={self.reach}: less than half of the width of {size[1]} pixels")
        return {"scale": (1 / (1 + share), 1 / (1 - share))}
