"""Crops of the two photographs that scikit-learn carries, for a first look where there is no folder of images."""

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor

from pliant import draws
from pliant._checks import require
from pliant.plan import CREDIT

SOURCE = (
    f"Crops of scikit-learn's two embedded photographs ({CREDIT}). They overlap and share two scenes: "
    "they are not independent images, so intervals are too narrow and say nothing of others. For a first look only."
)
_SEED = 0
_SMALLEST = 0.4
"""Side of the smallest crop as a share of the photograph's height, unless `size` would then be enlarged."""


def photographs(size: int, count: int = 64) -> UInt8[Tensor, "n 3 size size"]:
    """`count` different square crops, each resized to `size` x `size` pixels (bicubic); the same ones every time.

    They come from the two photographs (427 x 640 pixels) in turn, at random places and scales, half of them mirrored.
    The first n of them do not depend on `count`. They overlap, so they are not independent images: `SOURCE` says what
    that means, and belongs beside every number that was measured on them.
    """
    require(size >= 2, f"size={size}: pixels a side, at least 2")
    require(count >= 1, f"count={count}: at least 1 image")
    from sklearn.datasets import load_sample_images  # slow to import, and only the embedded data need it

    pictures = [Image.fromarray(picture) for picture in load_sample_images().images]
    numbers = draws.uniform(_SEED, draws.Stream.AUGMENTATION, range(count), 0, 3).tolist()
    return torch.stack(
        [_crop(pictures[i % 2], size, scale, x, y, mirrored=i // 2 % 2 == 1) for i, (scale, x, y) in enumerate(numbers)]
    )


def _crop(picture: Image.Image, size: int, scale: float, x: float, y: float, mirrored: bool) -> UInt8[Tensor, "3 s s"]:
    """`scale`, `x` and `y` in [0, 1): between the smallest and the largest crop, and where it lies."""
    whole = min(picture.size)
    smallest = min(max(_SMALLEST * whole, size), whole)
    side = smallest + scale * (whole - smallest)
    left, top = x * (picture.width - side), y * (picture.height - side)
    box = (left, top, left + side, top + side)
    crop = picture.resize((size, size), Image.Resampling.BICUBIC, box=box)
    if mirrored:
        crop = crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    return torch.from_numpy(np.array(crop)).permute(2, 0, 1)
