"""A residual branch through max pooling, which keeps the resolution. Sun et al. 2024."""

from typing import final

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pliant._checks import require
from pliant.nets.initialisation import convolution


@final
class PoolSkip(nn.Module):
    """x + convolution(unpool(pool(x))): of each size x size block the largest value stays at its place, all else is 0.

    The convolution is 3x3, keeps the size and the channels, and has no bias: of zeros, the whole is the identity. Its
    initial weights are the study's truncated normal; they depend on `seed` and `channels` alone. Rows and columns that
    fill no block are 0 before the convolution. Sun et al. 2024, arXiv:2409.13154.

    padding_mode: of the convolution, "zeros" or "circular". Raises `InputError` for a size below 1 and for an input
    smaller than one block.
    """

    def __init__(self, channels: int, size: int = 2, seed: int = 0, padding_mode: str = "zeros") -> None:
        super().__init__()
        require(size >= 1, f"pool_skip={size}: pixels a side of the blocks, 1 or more")
        self.size = size
        self.conv = convolution(channels, channels, 3, padding=1, seed=seed, padding_mode=padding_mode)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """As large as it was."""
        height, width = images.shape[-2:]
        require(
            min(height, width) >= self.size,
            f"pool_skip={self.size} needs at least {self.size}x{self.size} pixels, got {height}x{width}: give the net "
            "larger images, or take smaller blocks",
        )
        largest, places = F.max_pool2d(images, self.size, return_indices=True)
        return images + self.conv(F.max_unpool2d(largest, places, [self.size] * 2, output_size=[height, width]))

    def extra_repr(self) -> str:
        """Shown where a model is printed."""
        return f"size={self.size}"
