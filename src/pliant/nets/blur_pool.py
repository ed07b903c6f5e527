"""Downsampling behind a low-pass filter. Zhang 2019, "Making convolutional networks shift-invariant again"."""

import math
from typing import Literal, final

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from pliant._checks import require, unknown
from pliant.nets.initialisation import convolution

BlurPadding = Literal["reflect", "circular", "zeros"]
PADDINGS = ("reflect", "circular", "zeros")


@final
class BlurPool(nn.Module):
    """Each channel blurred with a binomial filter, then every `stride`-th pixel from the top left. Zhang 2019.

    filter: taps a side, 1 or more, odd or even: 3 are [1, 2, 1] / 4 along each axis; 1 does not blur; 2 with stride 2
        average 2x2 blocks. An even filter reaches one pixel further right and down.
    stride: 1 or more. Of h rows, h / stride are left, rounded up.
    padding: what stands outside the map: "reflect" (Zhang's choice), "circular" or "zeros".

    `channels` is not needed; it is there to build all kinds of downsampling alike. The filter is a buffer that is not
    saved. Raises `InputError` for other filters, strides and paddings.
    """

    filter: Tensor

    def __init__(self, channels: int, filter: int = 3, stride: int = 2, padding: BlurPadding = "reflect") -> None:
        super().__init__()
        require(stride >= 1, f"stride={stride}: pixels from one output to the next, 1 or more")
        if padding not in PADDINGS:
            raise unknown("padding", padding, PADDINGS)
        self.stride = stride
        self.padding: BlurPadding = padding
        self.register_buffer("filter", binomial(filter), persistent=False)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c hh ww"]:
        """The map at its lower resolution."""
        taps = len(self.filter)
        channels = images.shape[1]
        margins = (taps - 1) // 2, taps // 2
        around = padded(images, margins, margins, self.padding)
        filters = self.filter.to(images).expand(channels, 1, taps, taps)
        return F.conv2d(around, filters, stride=self.stride, groups=channels)

    def extra_repr(self) -> str:
        """Shown where a model is printed."""
        return f"filter={len(self.filter)}, stride={self.stride}, padding={self.padding!r}"


@final
class MaxBlurPool(nn.Module):
    """The largest value of the 2x2 block at every pixel, then `BlurPool`: max pooling that is blurred. Zhang 2019.

    Of h rows, h // 2 are left; with circular padding blocks wrap around, and half the rows are left, rounded up.
    An input lower or narrower than 2 pixels raises `InputError`, and so do arguments that `BlurPool` refuses.
    """

    def __init__(self, channels: int, filter: int = 3, padding: BlurPadding = "reflect") -> None:
        super().__init__()
        self.blur = BlurPool(channels, filter, stride=2, padding=padding)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c hh ww"]:
        """Channel by channel."""
        return self.blur(F.max_pool2d(_before_2x2(images, self.blur.padding), 2, stride=1))


@final
class StridedBlur(nn.Module):
    """`StridedReLU` with the stride moved behind it: a 2x2 convolution at every pixel, batch norm, ReLU, `BlurPool`.

    The initial weights are those of `Strided` for the same seed. Sizes and errors are those of `MaxBlurPool`. Zhang
    2019.
    """

    def __init__(self, channels: int, seed: int = 0, filter: int = 3, padding: BlurPadding = "reflect") -> None:
        super().__init__()
        self.conv = convolution(channels, channels, kernel_size=2, seed=seed)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.blur = BlurPool(channels, filter, stride=2, padding=padding)

    def forward(self, images: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c hh ww"]:
        """Activations, blurred."""
        return self.blur(self.relu(self.norm(self.conv(_before_2x2(images, self.blur.padding)))))


def binomial(taps: int) -> Float[Tensor, "taps taps"]:
    """The outer product of the binomial coefficients with themselves, summing to 1. Raises `InputError` for 0 taps."""
    require(taps >= 1, f"filter={taps}: taps a side, 1 or more; 3 is the usual")
    row = torch.tensor([math.comb(taps - 1, k) / 2 ** (taps - 1) for k in range(taps)], dtype=torch.float64)
    return torch.outer(row, row).float()


def padded(
    images: Float[Tensor, "n c h w"], rows: tuple[int, int], columns: tuple[int, int], padding: BlurPadding
) -> Float[Tensor, "n c hh ww"]:
    """Images with so many more `rows` (above, below) and `columns` (left, right).

    Maps smaller than what is asked for are reflected, or wrapped, as often as it takes.
    """
    if not any((*rows, *columns)):
        return images
    if padding == "zeros":
        return F.pad(images, (*columns, *rows))
    height, width = images.shape[-2:]
    if max(rows) < height and max(columns) < width:
        return F.pad(images, (*columns, *rows), mode=padding)
    for axis, size, (before, after) in ((-2, height, rows), (-1, width, columns)):
        places = torch.arange(-before, size + after, device=images.device)
        images = images.index_select(axis, _inside(places, size, padding))
    return images


def _inside(places: Tensor, size: int, padding: BlurPadding) -> Tensor:
    if padding == "circular" or size == 1:
        return places % size
    bounced = places % (2 * size - 2)
    return torch.minimum(bounced, 2 * size - 2 - bounced)


def _before_2x2(images: Tensor, padding: BlurPadding) -> Tensor:
    """What the 2x2 blocks at every pixel are taken from."""
    height, width = images.shape[-2:]
    require(
        height >= 2 and width >= 2,
        f"downsampling needs at least 2x2 pixels, got {height}x{width}: give the net larger images",
    )
    return padded(images, (0, 1), (0, 1), padding) if padding == "circular" else images
