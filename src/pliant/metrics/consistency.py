"""Consistency: whether the deformed image gets the same answer. After Zhang 2019, arXiv:1904.11486."""

from dataclasses import dataclass
from typing import final

from jaxtyping import Real
from torch import Tensor

from pliant.metrics.block import Block, Sample, Signs
from pliant.metrics.metric import Metric, Reading


@final
@dataclass(frozen=True)
class Consistency(Metric):
    """The share of images whose top-1 is the same for the image and for the deformed image; no unit.

    For logits (n, k), k >= 2, alone, such as the model's "output". Of several largest logits the first is the top-1;
    where all logits of all images of a block are equal there is none.
    """

    quantity = "consistency"
    scale = "1: every image keeps its top-1, 0: none does"
    more_is_better = True

    def read(self, block: Block) -> Reading:
        """See the class."""
        clean, deformed = block.clean, block.deformed
        if clean.ndim != 2 or clean.shape[1] < 2:
            shape = ", ".join(["n", *map(str, clean.shape[1:])])
            fault = f"({shape}) are no logits: take layers='output'"
            return Reading(Sample(block.nothing(), "images", "mean"), fault=fault)
        if flat(clean) or flat(deformed):
            return Reading(Sample(block.nothing(), "images", "mean"))
        same = clean.argmax(1) == deformed.argmax(1)
        return Reading(Sample(same.double(), "images", "mean"))

    def gap(self, signs: Signs) -> str:
        """Nothing is the largest."""
        return "all logits of each image of a block are equal: no top-1"


def flat(logits: Real[Tensor, "n k"]) -> bool:
    """All logits of each image are equal, to the bit: none is the largest."""
    return bool((logits == logits[:, :1]).all())
