"""Pooling without neighbourhood: the control for what pooling nearby pixels does. After Mesquita et al. 2020."""

from typing import final

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor, nn

from pliant._checks import require
from pliant.draws import Stream, permutation


@final
class PermutedPool(nn.Module):
    """Max pooling over pixels that are not neighbours: the pixels in a random order, then 2x2 blocks.

    The order is the same for all images and channels and never changes; it depends on `seed` and the size alone. Of an
    odd height or width the last row or column, of the new order, is left out. What is lost to pooling is lost here,
    too, but nothing of it is local. After arXiv:2010.11418, where pooled nodes of graphs are chosen at random.

    `channels` is not needed; it is there to build all kinds of downsampling alike. Raises `InputError` for an input
    lower or narrower than 2 pixels, and for a seed outside [0, 2^64).
    """

    def __init__(self, channels: int, seed: int = 0) -> None:
        super().__init__()
        require(0 <= seed < 1 << 64, f"seed={seed}: a seed is an integer from 0 to 2^64 - 1")
        self.seed = seed
        # Kept as long as the module: a recorded training step knows where they lie.
        self._orders: dict[tuple[int, torch.device], Tensor] = {}

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h//2 w//2"]:
        """Channel by channel."""
        key = images.shape[-2] * images.shape[-1], images.device
        if key not in self._orders:
            self._orders[key] = _order(self.seed, *key)
        return permuted_pool(images, self._orders[key])

    def extra_repr(self) -> str:
        """Shown where a model is printed."""
        return f"seed={self.seed}"


def permuted_pool(images: Float[Tensor, "n c h w"], order: Int[Tensor, " pixels"]) -> Float[Tensor, "n c h//2 w//2"]:
    """The largest value of each 2x2 block, after pixel `order[k]` has come to place k; pixels are counted row by row.

    Raises `InputError` for an input lower or narrower than 2 pixels, and for an order of another length.
    """
    height, width = images.shape[-2:]
    require(
        height >= 2 and width >= 2,
        f"downsampling needs at least 2x2 pixels, got {height}x{width}: give the net larger images",
    )
    require(
        len(order) == height * width,
        f"the order has {len(order)} places, images of {height}x{width} have {height * width} pixels: give one each",
    )
    return F.max_pool2d(images.flatten(2)[:, :, order].unflatten(2, (height, width)), 2)


def _order(seed: int, pixels: int, device: torch.device) -> Tensor:
    with torch.inference_mode(False):  # kept for passes with gradients, too
        return permutation(seed, Stream.POOLING, 0, pixels).to(device)
