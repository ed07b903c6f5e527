"""Equivariance: whether a feature map moves along with the image."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float, Real
from torch import Tensor

from pliant.metrics.block import Block, Sample, Signs
from pliant.metrics.cosine import Cosine
from pliant.metrics.metric import Metric, Reading


@final
@dataclass(frozen=True)
class Equivariance(Metric):
    """The mean cosine distance d(r(t x), t' r(x)) over the median over pairs of images of d(r(x_i), r(x_j)).

    t' is the deformation t at the resolution of the feature map, as if the map covered the image evenly: displacements
    shrink as the sides do. Of a layer without padding that is off by what it cuts from the border, and of a strided
    one by half a pixel of the image at most. Beyond its border a map is read as `padding` says, as the images are
    beyond theirs; where zeros mean something else to the map than to the image, as behind a normalisation or a bias,
    "border" compares better. Beside the sensitivity, which has r(x) in place of
    t' r(x): a layer whose map moves along with the image has a large sensitivity and an equivariance error of 0. For
    activations (n, c, h, w) alone.
    """

    quantity = "equivariance error"
    scale = "0: its map moves along with the image, 1: as far off as an unrelated image"
    field = True

    def read(self, block: Block) -> Reading:
        """See the class."""
        if not block.maps:
            return Reading(Sample(block.nothing(), "images", "mean"), fault=no_maps(block))
        gaps, lengths = [], []
        for followed, deformed, _ in block.followed():
            followed = followed.float()
            lengths.append(_squared(followed))
            gaps.append(_squared(followed.sub_(deformed)))  # in their own memory: fresh memory takes longer
        own = Cosine().between(torch.cat(gaps), torch.cat(lengths), block.geometry.deformed)
        return Reading(Sample(own, "images", "mean"), Cosine().unit(block))

    def gap(self, signs: Signs) -> str:
        """Only of zeros there is no direction."""
        return "zero for some images of a block: no direction"


def no_maps(block: Block) -> str:
    """Why a block has no feature maps."""
    shape = ", ".join(["n", *map(str, block.clean.shape[1:])])
    return f"({shape}) is no feature map (n, c, h, w)"


def _squared(maps: Real[Tensor, "n c h w"]) -> Float[Tensor, " n"]:
    """Squared lengths, float64."""
    return torch.linalg.vector_norm(maps, dim=(1, 2, 3)).double().square()
