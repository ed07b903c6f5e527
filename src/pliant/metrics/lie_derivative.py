"""The local equivariance error. Gruver et al. 2022, arXiv:2210.02984."""

from dataclasses import dataclass
from typing import final

import torch

from pliant.metrics.block import Block, Sample, Signs
from pliant.metrics.gaps import squared_gaps
from pliant.metrics.metric import Metric, Reading


@final
@dataclass(frozen=True)
class LieDerivative(Metric):
    """<|L r(x)|^2> / <|r(x) - r(z)|^2>, over images and over pairs of images; L r(x) the Lie derivative of r at x.

    L r(x) = d/dt t'^-1 r(t x) at t = 0: what the map does as the image begins to deform, less what it would do if it
    were deformed itself. The deformation grows as t times the field that was drawn, so that twice the field gives
    four times the number; t' is the deformation at the resolution of the feature map. Vectors (n, k) have no place
    that could move: of them it is the derivative alone. Undefined for other activations, such as tokens.

    With the padding "zeros" a map that is not 0 at its border strays there, even if it is constant: what stands outside
    of it does not. "border" leaves this out.
    """

    quantity = "local equivariance error"
    scale = "0: its map moves along with the image, 1: strays as far as an unrelated image (squared)"
    field = True
    tangent = True

    def read(self, block: Block) -> Reading:
        """See the class."""
        if block.maps:
            own = torch.cat([squared_gaps(along, found) for along, found in block.begun()])
        elif block.clean.ndim == 2:
            own = squared_gaps(torch.zeros_like(block.tangent), block.tangent)
        else:
            return Reading(Sample(block.nothing(), "images", "mean"), fault=no_place(tuple(block.clean.shape[1:])))
        return Reading(Sample(own, "images", "mean"), block.apart("mean"))

    def gap(self, signs: Signs) -> str:
        """The activations are finite; their derivatives are not, or were lost."""
        return "NaN or infinite derivatives, or lost on the way (detach, an operation without one)"


def no_place(shape: tuple[int, ...]) -> str:
    """Why activations of `shape`, without the images, have no Lie derivative."""
    return f"({', '.join(['n', *map(str, shape)])}) is neither a feature map (n, c, h, w) nor a vector (n, k)"
