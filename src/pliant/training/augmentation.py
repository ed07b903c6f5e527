"""Flips and crops, for a whole batch at once."""

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor


def augment(
    images: Float[Tensor, "n c h w"], chances: Float[Tensor, "n 3"], flip: bool, crop: int
) -> Float[Tensor, "n c h w"]:
    """Each image with `crop` pixels of zeros around it, cut at random back to its size, and mirrored or not.

    chances: three numbers in [0, 1) an image. The first mirrors it left to right where it is below 1/2, if `flip`;
    the second and third place the window down and across. Exact: pixels are moved, not resampled.
    """
    height, width = images.shape[-2:]
    # In float64, where a number below 1 times the count of places stays below the count.
    down, across = (chances[:, 1:].double() * (2 * crop + 1)).long().unbind(1)
    rows = down[:, None] + torch.arange(height, device=images.device)
    columns = torch.arange(width, device=images.device).expand(len(images), width)
    if flip:
        columns = torch.where(chances[:, :1] < 0.5, columns.flip(1), columns)
    columns = across[:, None] + columns
    every = torch.arange(len(images), device=images.device)[:, None, None]
    # Indexing around the channels puts them last in memory, which is how the convolutions want them.
    return F.pad(images, [crop] * 4)[every, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
