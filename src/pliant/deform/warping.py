"""Resampling images along a field."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Shaped
from torch import Tensor

from pliant._checks import require, unknown
from pliant.deform.field import Field

Padding = Literal["zeros", "border", "reflection"]
PADDINGS = ("zeros", "border", "reflection")

# Images, grids and results of one slice stay in a core's cache together.
_SLICE_BYTES = 1 << 20


def warp(images: Shaped[Tensor, "n c h w"], field: Field, padding: Padding = "zeros") -> Shaped[Tensor, "n c h w"]:
    """The images deformed along the field: warped[p] = images[p + displacement(p)], bilinear.

    images: uint8, or any floating type; the result has the same type. The field, the resampling and its sums are in
    float32 (float64 for float64 images); uint8 is rounded to nearest.
    padding: what stands outside an image: "zeros"; "border", the nearest pixel; or "reflection" about the centres of
    the border pixels.

    An image whose field is zero everywhere comes back to the bit. Differentiable in images and displacements.
    Raises `InputError` for another number or size of images than the field's, another type or padding.
    """
    _check(images, field, padding)
    height, width = field.size
    exact = torch.float64 if images.dtype == torch.float64 else torch.float32
    # Reflection about pixel centres is what grid_sample does with aligned corners; elsewhere both ways agree, and
    # without aligned corners a side of one pixel needs no special case.
    aligned = padding == "reflection"
    base, scale = _normaliser(height, width, aligned, exact, images.device)

    def resample(source: Tensor, displacement: Tensor) -> Tensor:
        grid = torch.addcmul(base, displacement.to(exact).movedim(1, -1), scale)
        warped = F.grid_sample(source.to(exact), grid, mode="bilinear", padding_mode=padding, align_corners=aligned)
        return warped.round_() if images.dtype == torch.uint8 else warped

    parts = [(images[part], field.displacement[part]) for part in _slices(images)]
    if torch.is_grad_enabled() and (images.requires_grad or field.displacement.requires_grad):
        results = [
            _Kept.apply(resample(source, moved).to(images.dtype), source.detach(), _still(moved))
            for source, moved in parts
        ]
        return torch.cat(results)
    out = torch.empty_like(images, memory_format=torch.contiguous_format)
    for (source, moved), result in zip(parts, out.split([len(source) for source, _ in parts]), strict=True):
        result.copy_(resample(source, moved))
        still = _still(moved)
        if still.any():
            torch.where(still, source, result, out=result)
    return out


def _slices(images: Tensor) -> list[slice]:
    """Slices of the batch: on a CPU as many images as stay in the caches of its cores, all of which then have work."""
    if images.device.type != "cpu":
        return [slice(None)]
    image_and_grid = images.shape[2] * images.shape[3] * (2 * images.shape[1] + 2) * 4
    step = torch.get_num_threads() * max(1, _SLICE_BYTES // max(1, image_and_grid))
    return [slice(start, start + step) for start in range(0, len(images), step)]


def _still(displacement: Float[Tensor, "n 2 h w"]) -> Bool[Tensor, "n 1 1 1"]:
    """Which images are not displaced anywhere. One pixel tells in nearly every case, so the rest is seldom read."""
    still = (displacement[:, :, :1, :1] == 0).all(1, keepdim=True)
    return (displacement == 0).flatten(1).all(1)[:, None, None, None] if still.any() else still


class _Kept(torch.autograd.Function):
    """Images whose field is zero, to the bit, with the gradients of the resampling."""

    @staticmethod
    def forward(
        warped: Float[Tensor, "n c h w"], source: Float[Tensor, "n c h w"], still: Bool[Tensor, "n 1 1 1"]
    ) -> Float[Tensor, "n c h w"]:
        return torch.where(still, source, warped)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing to keep: the gradient is the result's."""

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient, None, None


def _normaliser(
    height: int, width: int, aligned: bool, dtype: torch.dtype, device: torch.device
) -> tuple[Float[Tensor, "h w 2"], Float[Tensor, " 2"]]:
    """Each pixel's own place, and the factor from pixels, in the coordinates of grid_sample: -1 to 1."""
    y, x = (torch.arange(length, dtype=torch.float64, device=device) for length in (height, width))
    if aligned:
        x, y = 2 * x / max(width - 1, 1) - 1, 2 * y / max(height - 1, 1) - 1
        scale = (2 / max(width - 1, 1), 2 / max(height - 1, 1))
    else:
        x, y = (2 * x + 1) / width - 1, (2 * y + 1) / height - 1
        scale = (2 / width, 2 / height)
    base = torch.stack((x.expand(height, width), y[:, None].expand(height, width)), dim=-1)
    return base.to(dtype), torch.tensor(scale, dtype=dtype, device=device)


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
        images.device == field.displacement.device,
        f"images on {images.device}, field on {field.displacement.device}: sample the field with device=images.device",
    )
