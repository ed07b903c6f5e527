"""Resampling images along a field."""

import torch
from jaxtyping import Shaped
from torch import Tensor

from pliant._checks import require, unknown
from pliant.deform.field import Field
from pliant.deform.resampling import PADDINGS, Padding, resample


def warp(images: Shaped[Tensor, "n c h w"], field: Field, padding: Padding = "zeros") -> Shaped[Tensor, "n c h w"]:
    """The images deformed along the field: warped[p] = images[p + displacement(p)], bilinear.

    images: uint8, or any floating type; the result has the same type. The field, the resampling and its sums are in
    float32 (float64 for float64 images); uint8 is rounded to nearest.
    padding: what stands outside an image: "zeros"; "border", the nearest pixel; or "reflection" about the centres of
    the border pixels.

    An image that is displaced by whole pixels everywhere, or not at all, keeps its pixels to the bit. Differentiable
    in images and displacements.
    Raises `InputError` for another number or size of images than the field's, another type or padding.
    """
    _check(images, field, padding)
    return resample(images, field.source, padding)


def _check(images: Tensor, field: Field, padding: str) -> None:
    if padding not in PADDINGS:
        raise unknown("padding", padding, PADDINGS)
    shape = tuple(images.shape)
    require(images.ndim == 4, f"images have the shape (n, c, h, w), got {shape}")
    require(
        images.dtype == torch.uint8 or images.is_floating_point(),
        f"images must be uint8 or floating point, got {images.dtype}: convert them first",
    )
    require(
        len(images) == len(field) and shape[2:] == field.size,
        f"{len(images)} images of {shape[2]}x{shape[3]} do not fit {len(field)} fields of "
        f"{field.size[0]}x{field.size[1]}: sample one field for each image, with the images' size",
    )
    require(
        images.device == field.device,
        f"images on {images.device}, field on {field.device}: sample the field with device=images.device",
    )
