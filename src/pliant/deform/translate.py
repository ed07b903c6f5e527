"""Moving the whole image."""

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from pliant.deform.affine import Ends, Motion, check_choice
from pliant.deform.family import Source
from pliant.deform.length import Length, Lengths, check_ends, check_length, ends, pixels


@dataclass(frozen=True)
class Translate(Motion):
    """The image moves to the right by x and down by y. Whole pixels are moved exactly.

    reach: x and y are drawn uniformly from -reach to reach, independently. x, y: lengths, fixed or between the two of
    a pair, instead; what is not given is 0. whole: whole pixels only, rounded to nearest.
    """

    name = "translate"
    strength = "reach"

    reach: Length | None = None
    x: Lengths | None = None
    y: Lengths | None = None
    whole: bool = False

    def __post_init__(self) -> None:
        check_choice("translate", reach=self.reach, **{"x or y": self.y if self.x is None else self.x})
        if self.reach is not None:
            check_length("reach", self.reach)
        check_ends("x", self.x or 0.0)
        check_ends("y", self.y or 0.0)

    def ends(self, size: tuple[int, int]) -> dict[str, Ends]:
        """Of x and y, pixels."""
        if self.reach is not None:
            reach = pixels(self.reach, size[1])
            return {"x": (-reach, reach), "y": (-reach, reach)}
        return {"x": ends(self.x or 0.0, size[1]), "y": ends(self.y or 0.0, size[1])}

    def drawn(self, source: Source, size: tuple[int, int]) -> Float[Tensor, "n 6"]:
        """As of `Affine`; x and y, pixels, rounded if only whole pixels are wanted."""
        drawn = super().drawn(source, size)
        return drawn.round() if self.whole else drawn
