"""Resampling images along a field, and how they begin to change as the field sets in."""

import torch
import torch.nn.functional as F
from jaxtyping import Float, Shaped
from torch import Tensor

from pliant._checks import require, unknown
from pliant.deform.field import Field
from pliant.deform.resampling import PADDINGS, Padding, resample

_MODES = {"zeros": "constant", "border": "replicate", "reflection": "reflect"}
"""What `F.pad` calls the paddings."""


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
    return resample(images, field.moved, padding)


def warp_tangent(
    images: Shaped[Tensor, "n c h w"], field: Field, padding: Padding = "zeros"
) -> Float[Tensor, "n c h w"]:
    """The derivative of `warp(images, field.scaled(t), padding)` by t at t = 0: the images' slope along the field.

    At each pixel half the difference of its two neighbours along each axis, beyond the border what `padding` says,
    times the displacement along that axis. Read bilinearly an image has a kink at each pixel: this is the mean of the
    derivatives on both sides, to which (warp(images, t field) - warp(images, -t field)) / 2t tends.

    In float32, for float64 images in float64. Differentiable. Raises `InputError` as `warp` does.
    """
    _check(images, field, padding)
    exact = images.to(torch.promote_types(images.dtype, torch.float32))
    along, across = field.displacement.to(exact.dtype)[:, :, None].unbind(1)
    return along * _slope(exact, 3, padding) + across * _slope(exact, 2, padding)


def _slope(values: Float[Tensor, "n c h w"], axis: int, padding: Padding) -> Float[Tensor, "n c h w"]:
    """Half the difference of the two neighbours of each pixel along an axis, 2 or 3."""
    side = values.shape[axis]
    mode = "replicate" if side == 1 and padding == "reflection" else _MODES[padding]
    padded = F.pad(values, (1, 1, 0, 0) if axis == 3 else (0, 0, 1, 1), mode)
    return (padded.narrow(axis, 2, side) - padded.narrow(axis, 0, side)) / 2


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
