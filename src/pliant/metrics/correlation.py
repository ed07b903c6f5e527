"""Equivariance by correlation. After Bruintjes et al. 2023, arXiv:2304.02628."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Bool, Float, Real
from torch import Tensor

from pliant.metrics.block import Block, Sample, Signs
from pliant.metrics.equivariance import no_maps
from pliant.metrics.metric import Metric, Reading

_ROUNDING = 2.0**-40
"""Numbers that differ by less than this share of their squares differ by rounding alone, of resampling in float32."""


@final
@dataclass(frozen=True)
class Correlation(Metric):
    """The mean over images of corr(t' r(x), r(t x)), t' the deformation t at the resolution of the feature map.

    Pearson's coefficient over the numbers of all channels together at valid pixels, those that t' reads inside the
    map, each channel less its own mean there: how the channels' means differ is the same for all images and no sign of
    equivariance. The paper's own normalisation is not known to us in detail. Maps that are constant there have none,
    and one such image leaves the layer undefined. For activations (n, c, h, w) alone; t' as of `Equivariance`.
    """

    quantity = "equivariance by correlation"
    scale = "1: its map moves along with the image, 0: unrelated to the moved map"
    field = True
    more_is_better = True

    def read(self, block: Block) -> Reading:
        """See the class."""
        if not block.maps:
            return Reading(Sample(block.nothing(), "images", "mean"), fault=no_maps(block))
        own = torch.cat([correlations(moved, at, block.inside(part)) for moved, at, part in block.followed()])
        return Reading(Sample(own, "images", "mean"))

    def gap(self, signs: Signs) -> str:
        """Constant, or nothing was read inside the map."""
        return "constant maps of some images of a block, or no valid pixel: no correlation"


def correlations(
    first: Real[Tensor, "n c h w"], second: Real[Tensor, "n c h w"], valid: Bool[Tensor, "n h w"]
) -> Float[Tensor, " n"]:
    """Pearson's coefficient of each image over the numbers at valid pixels, each channel less its own mean there; NaN
    where one of the two is constant.
    """
    inside = valid[:, None]
    count = valid.sum((1, 2))[:, None, None, None]
    a, b = (maps.double().masked_fill(~inside, 0) for maps in (first, second))
    squares = torch.stack([x.square().sum((1, 2, 3)) for x in (a, b)])
    a, b = ((x - x.sum((2, 3), keepdim=True) / count).masked_fill(~inside, 0) for x in (a, b))
    spread = torch.stack([x.square().sum((1, 2, 3)) for x in (a, b)])
    product = (a * b).sum((1, 2, 3)) / spread.prod(0).sqrt()
    return product.clamp(-1, 1).where((spread > _ROUNDING * squares).all(0), torch.nan)
