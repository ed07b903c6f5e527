"""The ways to halve the resolution: the five that the study compares, Ruderman et al. 2018, and those beside them.

All five work on the complete 2x2 blocks of the input: of an odd height or width the last row or column is left out.
An input lower or narrower than 2 pixels raises `InputError`.
"""

import inspect
from collections.abc import Callable
from typing import final

import torch.fx
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pliant._checks import require, unknown
from pliant.nets.blur_pool import BlurPool, MaxBlurPool, StridedBlur
from pliant.nets.initialisation import convolution
from pliant.nets.learned_phases import LPS
from pliant.nets.permuted_pool import PermutedPool
from pliant.nets.phases import APS


@final
class Subsample(nn.Module):
    """The top-left pixel of each 2x2 block. `channels` is not needed; it is there to build all kinds alike."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h//2 w//2"]:
        """A view of the input."""
        height, width = _blocks(images)
        return images[..., : 2 * height : 2, : 2 * width : 2]


@final
class MaxPool(nn.Module):
    """The largest value of each 2x2 block. `channels` is not needed; it is there to build all kinds alike."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h//2 w//2"]:
        """Channel by channel."""
        _blocks(images)
        return F.max_pool2d(images, 2)


@final
class AveragePool(nn.Module):
    """The mean of each 2x2 block. `channels` is not needed; it is there to build all kinds alike."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h//2 w//2"]:
        """Channel by channel."""
        _blocks(images)
        return F.avg_pool2d(images, 2)


@final
class Strided(nn.Module):
    """A learned 2x2 convolution of stride 2 from `channels` to `channels`, without bias: linear in the strict sense.

    The initial weights are the study's truncated normal; they depend on `seed` and `channels` alone.
    """

    def __init__(self, channels: int, seed: int = 0) -> None:
        super().__init__()
        self.conv = convolution(channels, channels, kernel_size=2, stride=2, seed=seed)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h//2 w//2"]:
        """One output pixel for each block."""
        _blocks(images)
        return self.conv(images)


@final
class StridedReLU(nn.Module):
    """`Strided` with the same initial weights, then batch norm and ReLU."""

    def __init__(self, channels: int, seed: int = 0) -> None:
        super().__init__()
        self.conv = convolution(channels, channels, kernel_size=2, stride=2, seed=seed)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h//2 w//2"]:
        """One output pixel for each block."""
        _blocks(images)
        return self.relu(self.norm(self.conv(images)))


DOWNSAMPLING: dict[str, Callable[..., nn.Module]] = {
    "subsample": Subsample,
    "max_pool": MaxPool,
    "average_pool": AveragePool,
    "strided": Strided,
    "strided_relu": StridedReLU,
    "blur_pool": BlurPool,
    "max_blur_pool": MaxBlurPool,
    "strided_blur": StridedBlur,
    "aps": APS,
    "lps": LPS,
    "permuted_pool": PermutedPool,
}
"""Each built from the number of its channels; the first five are the study's. Other arguments have their defaults."""


def downsampling(name: str, channels: int, seed: int = 0, padding_mode: str = "zeros") -> nn.Module:
    """The downsampling of that name in a net: with the seed, and wrapping around where the net does, if it can.

    Raises `InputError` for an unknown name.
    """
    if name not in DOWNSAMPLING:
        raise unknown("downsampling", name, DOWNSAMPLING)
    kind = DOWNSAMPLING[name]
    offered = {"seed": seed, **({"padding": "circular"} if padding_mode == "circular" else {})}
    taken = inspect.signature(kind).parameters
    return kind(channels, **{argument: value for argument, value in offered.items() if argument in taken})


def _blocks(images: Tensor) -> tuple[int, int]:
    """How many complete 2x2 blocks there are, down and across."""
    height, width = images.shape[-2:]
    require(
        height >= 2 and width >= 2,
        f"downsampling needs at least 2x2 pixels, got {height}x{width}: give the net larger images",
    )
    return height // 2, width // 2


torch.fx.wrap("_blocks")  # a model is traced past the check, which needs numbers
