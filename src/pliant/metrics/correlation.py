"""Equivariance by correlation. After Bruintjes et al. 2023, arXiv:2304.02628."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor

from pliant.metrics.block import Block, Sample
from pliant.metrics.equivariance import no_maps
from pliant.metrics.metric import Metric, Reading

_ROUNDING = 2.0**-40
"""Numbers that differ by less than this share of their squares differ by rounding alone, of resampling in float32."""


@final
@dataclass(frozen=True)
class Correlation(Metric):
    """The mean over images of corr(t' r(x), r(t x)), t' the deformation t at the resolution of the feature map.

    Pearson's coefficient over the numbers of all channels at valid pixels: those that t' reads inside the map. Maps
    that are constant there have none. For activations (n, c, h, w) alone.
    """

    quantity = "equivariance by correlation"
    scale = "1: its map moves along with the image, 0: unrelated to the moved map"
    field = True
    more_is_better = True

    def read(self, block: Block) -> Reading:
        """See the class."""
        if not block.maps:
            return Reading(Sample(block.nothing(), "images", "mean"), fault=no_maps(block))
        own = torch.cat([correlations(*some) for some in block.followed()])
        return Reading(Sample(own, "images", "mean"))

    def gap(self, block: Block) -> str:
        """Constant, or nothing was read inside the map."""
        return "constant maps of some images of a block, or no valid pixel: no correlation"


def correlations(
    first: Real[Tensor, "n c h w"], second: Real[Tensor, "n c h w"], valid: Bool[Tensor, "n h w"]
) -> Float[Tensor, " n"]:
    """Pearson's coefficient of each image over the numbers at valid pixels; NaN where one of the two is constant."""
    inside = valid[:, None]
    count = valid.sum((1, 2)) * first.shape[1]
    a, b = (maps.double().masked_fill(~inside, 0) for maps in (first, second))
    squares = torch.stack([x.square().sum((1, 2, 3)) for x in (a, b)])
    a, b = ((x - (x.sum((1, 2, 3)) / count)[:, None, None, None]).masked_fill(~inside, 0) for x in (a, b))
    spread = torch.stack([x.square().sum((1, 2, 3)) for x in (a, b)])
    product = (a * b).sum((1, 2, 3)) / spread.prod(0).sqrt()
    return product.clamp(-1, 1).where((spread > _ROUNDING * squares).all(0), torch.nan)
