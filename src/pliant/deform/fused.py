"""Warping in one pass on a GPU: the displacements are summed and the images read where they point, in one kernel.

Neither grids nor, of a series, displacements are written to memory. `pliant.deform.resampling` says what is to come
out, and runs where this does not; it imports this module where a GPU has to do the work.
"""

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float, Shaped
from torch import Tensor

from pliant.deform.series import Series

_PADDINGS = {"zeros": 0, "border": 1, "reflection": 2}
_IMAGES, _PIXELS = 4, 256  # of one program; images beside each other share what is read of the patterns


def warp(
    images: Shaped[Tensor, "n c h w"], moved: Float[Tensor, "n 2 h w"] | Series, padding: str
) -> Shaped[Tensor, "n c h w"]:
    """What `pliant.deform.resampling.resample` gives, for any type of images but float64.

    Each pixel that is displaced by whole pixels is copied to the bit, whatever the others do.
    """
    if isinstance(moved, Series):
        weights, basis = moved.weights.float().contiguous(), moved.basis
        return _warp(images.contiguous(), weights, basis.float().contiguous(), padding)
    return _warp(images.contiguous(), moved.float().contiguous(), None, padding)


def trial(device: torch.device) -> None:
    """Run the kernel once."""
    warp(torch.zeros(1, 1, 1, 1, device=device), torch.zeros(1, 2, 1, 1, device=device), "zeros")


@torch.library.custom_op("pliant::warp", mutates_args=())
def _warp(images: Tensor, moved: Tensor, basis: Tensor | None, padding: str) -> Tensor:
    """The images along displacements `moved`, or along the sums of the patterns `basis` weighted by `moved`."""
    out = torch.empty_like(images)
    if out.numel():
        with torch.cuda.device_of(images):
            _forward[_programs(images)](images, moved, _or(basis, moved), out, *images.shape, **_fixed(basis, padding))
    return out


@torch.library.custom_op("pliant::warp_backward", mutates_args=())
def _warp_backward(
    gradient: Tensor, images: Tensor, moved: Tensor, basis: Tensor | None, padding: str, wanted: list[bool]
) -> tuple[Tensor, Tensor]:
    """Gradients to the images, and to the displacements of each pixel; empty where not wanted."""
    n, _, height, width = images.shape
    to_images = torch.zeros_like(images, dtype=torch.float32) if wanted[0] else images.new_empty(0)
    to_moved = moved.new_zeros((n, 2, height, width)) if wanted[1] else moved.new_empty(0)
    if images.numel():
        with torch.cuda.device_of(images):
            _backward[_programs(images)](
                gradient,
                images,
                moved,
                _or(basis, moved),
                to_images,
                to_moved,
                *images.shape,
                **_fixed(basis, padding),
                TO_IMAGES=wanted[0],
                TO_MOVED=wanted[1],
            )
    return to_images.to(images.dtype), to_moved


@_warp.register_fake
def _(images: Tensor, moved: Tensor, basis: Tensor | None, padding: str) -> Tensor:
    return torch.empty_like(images)


@_warp_backward.register_fake
def _(
    gradient: Tensor, images: Tensor, moved: Tensor, basis: Tensor | None, padding: str, wanted: list[bool]
) -> tuple[Tensor, Tensor]:
    n, _, height, width = images.shape
    to_images = torch.empty_like(images) if wanted[0] else images.new_empty(0)
    return to_images, moved.new_empty((n, 2, height, width) if wanted[1] else 0)


def _keep(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None, str], output: Tensor) -> None:
    images, moved, basis, ctx.padding = inputs
    ctx.save_for_backward(images, moved, basis)


def _gradients(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
    images, moved, basis = ctx.saved_tensors
    wanted = list(ctx.needs_input_grad[:2])
    to_images, to_moved = _warp_backward(gradient.contiguous(), images, moved, basis, ctx.padding, wanted)
    if basis is not None and wanted[1]:
        # In float64: products of float32 may be allowed to round what they multiply.
        to_moved = (to_moved.flatten(2).double() @ basis.double().T).float()
    return to_images if wanted[0] else None, to_moved if wanted[1] else None, None, None


_warp.register_autograd(_gradients, setup_context=_keep)


def _or(basis: Tensor | None, stand_in: Tensor) -> Tensor:
    """What the kernels get in the place of patterns where there are none, and do not read."""
    return stand_in if basis is None else basis


def _programs(images: Tensor) -> tuple[int]:
    n, _, height, width = images.shape
    return (triton.cdiv(n, _IMAGES) * triton.cdiv(height * width, _PIXELS),)


def _fixed(basis: Tensor | None, padding: str) -> dict[str, Any]:
    """What the kernels are compiled for. Only the sums over patterns are fused multiply-adds, as they say."""
    patterns = 0 if basis is None else len(basis)
    sizes = {"PATTERNS": patterns, "PADDING": _PADDINGS[padding], "IMAGES": _IMAGES, "PIXELS": _PIXELS}
    return {**sizes, "enable_fp_fusion": False}


@triton.jit
@no_type_check
def _block(n, area, IMAGES: tl.constexpr, PIXELS: tl.constexpr):
    """The images (IMAGES, 1) and the pixels (1, PIXELS) of this program, and which of them there are."""
    blocks = tl.cdiv(area, PIXELS)
    image = tl.program_id(0) // blocks * IMAGES + tl.arange(0, IMAGES)[:, None]
    pixel = tl.program_id(0) % blocks * PIXELS + tl.arange(0, PIXELS)[None, :]
    return image.to(tl.int64), pixel, (image < n) & (pixel < area)


@triton.jit
@no_type_check
def _displacement(moved, basis, image, pixel, there, n, area, PATTERNS: tl.constexpr):
    """Along x and along y, pixels: read, or the patterns' sum in their order."""
    if PATTERNS == 0:
        start = moved + image * 2 * area + pixel
        x = tl.load(start, mask=there, other=0.0)
        y = tl.load(start + area, mask=there, other=0.0)
    else:
        x = tl.zeros(there.shape, tl.float32)
        y = tl.zeros(there.shape, tl.float32)
        start = moved + image * 2 * PATTERNS
        at = basis + pixel
        for k in range(PATTERNS):
            pattern = tl.load(at, mask=pixel < area, other=0.0)
            pattern = tl.broadcast_to(pattern, there.shape)
            along = tl.load(start + k, mask=image < n, other=0.0)
            across = tl.load(start + PATTERNS + k, mask=image < n, other=0.0)
            x = tl.fma(tl.broadcast_to(along, there.shape), pattern, x)
            y = tl.fma(tl.broadcast_to(across, there.shape), pattern, y)
            at += area
    return x, y


@triton.jit
@no_type_check
def _place(at, length, PADDING: tl.constexpr):
    """Where along an axis of so many pixels is read, and how this place follows `at`: 1, -1, or 0 at its end.

    What is no number is read outside with zeros, and else at the first pixel; `grid_sample` may give no number there.
    """
    slope = tl.full(at.shape, 1.0, tl.float32)
    if PADDING == 0:
        place = tl.minimum(tl.maximum(at, -2.0), length + 1.0)
    else:
        last = length - 1.0
        place = at
        if PADDING == 2:
            around = tl.maximum(last, 1.0)
            distance = tl.abs(at)
            times = tl.floor(distance / around)
            left = distance - times * around
            back = times - 2 * tl.floor(times / 2) == 1
            place = tl.where(back, around - left, left)
            slope = tl.where((at < 0) != back, -1.0, 1.0)
        slope = tl.where((place > 0) & (place < last), slope, 0.0)
        place = tl.minimum(tl.maximum(place, 0.0), last)
    return place, slope


@triton.jit
@no_type_check
def _axis(at, length, PADDING: tl.constexpr):
    """The pixel before the place that is read along an axis, how far behind it the place is, whether it and the next
    one are in the image, and how the place follows `at`.
    """
    place, slope = _place(at, length, PADDING)
    before = tl.floor(place)
    first = before.to(tl.int32)
    return first, place - before, (first >= 0) & (first < length), (first >= -1) & (first < length - 1), slope


@triton.jit
@no_type_check
def _four(start, width, there, in_column, in_next_column, in_row, in_next_row):
    """The pixel before a place, the one to its right, the one below it, and that one's right; 0 outside the image."""
    a = tl.load(start, mask=there & in_row & in_column, other=0).to(tl.float32)
    b = tl.load(start + 1, mask=there & in_row & in_next_column, other=0).to(tl.float32)
    c = tl.load(start + width, mask=there & in_next_row & in_column, other=0).to(tl.float32)
    d = tl.load(start + width + 1, mask=there & in_next_row & in_next_column, other=0).to(tl.float32)
    return a, b, c, d


@triton.jit
@no_type_check
def _forward(
    images,
    moved,
    basis,
    out,
    n,
    channels,
    height,
    width,
    PATTERNS: tl.constexpr,
    PADDING: tl.constexpr,
    IMAGES: tl.constexpr,
    PIXELS: tl.constexpr,
):
    area = height * width
    image, pixel, there = _block(n, area, IMAGES, PIXELS)
    dx, dy = _displacement(moved, basis, image, pixel, there, n, area, PATTERNS)
    column, right, in_column, in_next_column, _slope = _axis(pixel % width + dx, width, PADDING)
    row, down, in_row, in_next_row, _slope = _axis(pixel // width + dy, height, PADDING)
    whole = (right == 0) & (down == 0)
    for channel in range(channels):
        plane = (image * channels + channel) * area
        start = images + plane + row * width + column
        a, b, c, d = _four(start, width, there, in_column, in_next_column, in_row, in_next_row)
        read = (a * (1 - right) + b * right) * (1 - down) + (c * (1 - right) + d * right) * down
        read = tl.where(whole, a, read)
        if out.dtype.element_ty == tl.uint8:
            read = (read + 8388608.0) - 8388608.0  # to nearest, halves to even: above 2^23 there are no fractions
        tl.store(out + plane + pixel, read.to(out.dtype.element_ty), mask=there)


@triton.jit
@no_type_check
def _backward(
    gradient,
    images,
    moved,
    basis,
    to_images,
    to_moved,
    n,
    channels,
    height,
    width,
    PATTERNS: tl.constexpr,
    PADDING: tl.constexpr,
    IMAGES: tl.constexpr,
    PIXELS: tl.constexpr,
    TO_IMAGES: tl.constexpr,
    TO_MOVED: tl.constexpr,
):
    area = height * width
    image, pixel, there = _block(n, area, IMAGES, PIXELS)
    dx, dy = _displacement(moved, basis, image, pixel, there, n, area, PATTERNS)
    column, right, in_column, in_next_column, slope_x = _axis(pixel % width + dx, width, PADDING)
    row, down, in_row, in_next_row, slope_y = _axis(pixel // width + dy, height, PADDING)
    along = tl.zeros(there.shape, tl.float32)
    across = tl.zeros(there.shape, tl.float32)
    for channel in range(channels):
        plane = (image * channels + channel) * area
        corner = plane + row * width + column
        weight = tl.load(gradient + plane + pixel, mask=there, other=0).to(tl.float32)
        if TO_IMAGES:
            start = to_images + corner
            tl.atomic_add(start, weight * (1 - right) * (1 - down), mask=there & in_row & in_column, sem="relaxed")
            tl.atomic_add(start + 1, weight * right * (1 - down), mask=there & in_row & in_next_column, sem="relaxed")
            tl.atomic_add(
                start + width, weight * (1 - right) * down, mask=there & in_next_row & in_column, sem="relaxed"
            )
            tl.atomic_add(
                start + width + 1, weight * right * down, mask=there & in_next_row & in_next_column, sem="relaxed"
            )
        if TO_MOVED:
            a, b, c, d = _four(images + corner, width, there, in_column, in_next_column, in_row, in_next_row)
            along += weight * ((b - a) * (1 - down) + (d - c) * down)
            across += weight * ((c - a) * (1 - right) + (d - b) * right)
    if TO_MOVED:
        start = to_moved + image * 2 * area + pixel
        tl.store(start, along * slope_x, mask=there)
        tl.store(start + area, across * slope_y, mask=there)
