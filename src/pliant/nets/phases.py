"""Subsampling on the grid that the image chooses, so that it moves with the image. Chaman and Dokmanic 2020."""

from typing import final

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pliant._checks import require


@final
class APS(nn.Module):
    """Adaptive polyphase sampling: of the stride x stride grids of pixels the one with the largest Euclidean norm.

    A grid is every `stride`-th pixel of every `stride`-th row; the norm is taken over its pixels and all channels, for
    each image on its own. A circular shift of the image is a circular shift of what comes out, unless two grids have
    the same norm: then the first, row by row, is taken. arXiv:2011.14214.

    `channels` is not needed; it is there to build all kinds of downsampling alike. Raises `InputError` for a stride
    below 1 and for sizes that it does not divide, for shifts of those are no longer circular.
    """

    def __init__(self, channels: int, stride: int = 2) -> None:
        super().__init__()
        require(stride >= 1, f"stride={stride}: pixels from one output to the next, 1 or more")
        self.stride = stride

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c hh ww"]:
        """The pixels of one grid for each image."""
        return take_phase(images, largest_phase(images, self.stride), self.stride)

    def extra_repr(self) -> str:
        """Shown where a model is printed."""
        return f"stride={self.stride}"


def largest_phase(images: Float[Tensor, "n c h w"], stride: int) -> Int[Tensor, " n"]:
    """The number of each image's grid with the largest Euclidean norm, counted row by row. Errors are those of `APS`.

    Summed in float32, float64 for float64.
    """
    exact = phases(images, stride).to(torch.promote_types(images.dtype, torch.float32))
    return exact.detach().square().sum((2, 3, 4)).argmax(1)


def take_phase(images: Float[Tensor, "n c h w"], choice: Int[Tensor, " n"], stride: int) -> Float[Tensor, "n c hh ww"]:
    """The chosen grid of each image. Errors are those of `APS`."""
    return phases(images, stride)[torch.arange(len(images), device=images.device), choice]


def phases(images: Float[Tensor, "n c h w"], stride: int) -> Float[Tensor, "n phases c hh ww"]:
    """All stride x stride grids, counted row by row. Errors are those of `APS`."""
    height, width = images.shape[-2:]
    require(
        height % stride == width % stride == 0 and min(height, width) > 0,
        f"sampling with stride {stride} that follows the image needs a height and width that {stride} divides, got "
        f"{height}x{width}: resize or pad the images",
    )
    grids = [images[:, :, down::stride, across::stride] for down in range(stride) for across in range(stride)]
    return torch.stack(grids, dim=1)
