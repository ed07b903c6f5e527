"""Moving the whole image."""

import math
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from pliant._checks import require
from pliant.deform.affine import STILL, Ends, Motion, check_choice
from pliant.deform.contract import Source
from pliant.deform.length import Length, Lengths, check_ends, check_length, ends, pixels


@dataclass(frozen=True)
class Translate(Motion):
    """The image moves to the right by x and down by y. Whole pixels are moved exactly.

    reach: x and y are drawn uniformly from -reach to reach, independently. x, y: lengths, fixed or between the two of
    a pair, instead; what is not given is 0. whole: whole pixels only.
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
        for name in ("x", "y"):
            value = getattr(self, name)
            check_ends(name, 0.0 if value is None else value)

    def ends(self, size: tuple[int, int]) -> dict[str, Ends]:
        """Of x and y, pixels."""
        if self.reach is not None:
            reach = pixels(self.reach, size[1])
            return {"x": (-reach, reach), "y": (-reach, reach)}
        return {name: ends(value, size[1]) for name in ("x", "y") if (value := getattr(self, name)) is not None}

    def drawn(self, source: Source, size: tuple[int, int]) -> Float[Tensor, "n 6"]:
        """As of `Affine`; if only whole pixels are wanted, x and y are those between their ends, all alike."""
        parameters = super().drawn(source, size)
        if not self.whole:
            return parameters
        numbers = source.uniform(len(STILL))
        for name, (low, high) in self.ends(size).items():
            column, first, last = list(STILL).index(name), math.ceil(low), math.floor(high)
            require(first <= last, f"{name} from {low:g} to {high:g} pixels: there is no whole one between them")
            parameters[:, column] = first + (numbers[:, column] * (last - first + 1)).floor()
        return parameters

    def within(self, parameters: Float[Tensor, "n 6"], size: tuple[int, int]) -> Float[Tensor, "n 6"]:
        """As of `Affine`; if only whole pixels are wanted, x and y are the nearest of them."""
        inside = super().within(parameters, size)
        if self.whole:
            for name, (low, high) in self.ends(size).items():
                column = list(STILL).index(name)
                inside[:, column] = inside[:, column].round().clamp(math.ceil(low), math.floor(high))
        return inside
