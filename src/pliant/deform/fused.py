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
_IMAGES, _PIXELS = 4, 512  # of one program; images after each other find the patterns in the cache
_CHANNELS = (4, 3, 2, 1)  # read before any is written, as many as divide them all: reading waits
_UNROLLED = 8  # patterns that are read while others are summed


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
            n, channels, *size = images.shape
            together = next(count for count in _CHANNELS if channels % count == 0)
            sizes = n, channels // together, *size
            _forward[_programs(images)](
                images, moved, _or(basis, moved), out, *sizes, **_fixed(basis, padding), CHANNELS=together
            )
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
    return {**sizes, "UNROLLED": _UNROLLED, "enable_fp_fusion": False}


@triton.jit
@no_type_check
def _part(n, area, IMAGES: tl.constexpr, PIXELS: tl.constexpr):
    """The first image of this program, the one after its last, and its pixels (PIXELS,)."""
    blocks = tl.cdiv(area, PIXELS)
    first = tl.program_id(0) // blocks * IMAGES
    block = tl.program_id(0) % blocks
    # Threads beside each other are to take pixels beside each other, and not each its own run of them: they could
    # write such runs at once, but what they read lies where the field points, one pixel at a time.
    pixel = tl.max_contiguous(block * PIXELS + tl.arange(0, PIXELS), 1)
    return first, tl.minimum(first + IMAGES, n), pixel


@triton.jit
@no_type_check
def _displacement(moved, basis, image, pixel, area, PATTERNS: tl.constexpr, UNROLLED: tl.constexpr):
    """Along x and along y, pixels: read, or the patterns' sum in their order."""
    there = pixel < area
    if PATTERNS == 0:
        start = moved + image * 2 * area + pixel
        x = tl.load(start, mask=there, other=0.0)
        y = tl.load(start + area, mask=there, other=0.0)
    else:
        x = tl.zeros(pixel.shape, tl.float32)
        y = tl.zeros(pixel.shape, tl.float32)
        start = moved + image * 2 * PATTERNS
        at = basis + pixel
        for k in tl.range(PATTERNS, loop_unroll_factor=UNROLLED):
            pattern = tl.load(at, mask=there, other=0.0)
            x = tl.fma(tl.broadcast_to(tl.load(start + k), pixel.shape), pattern, x)
            y = tl.fma(tl.broadcast_to(tl.load(start + PATTERNS + k), pixel.shape), pattern, y)
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
def _between(four, right, down, dtype: tl.constexpr):
    """What lies so far right of the first of four pixels and so far below it, as the images' type."""
    a, b, c, d = four
    read = (a * (1 - right) + b * right) * (1 - down) + (c * (1 - right) + d * right) * down
    read = tl.where((right == 0) & (down == 0), a, read)
    if dtype == tl.uint8:
        read = (read + 8388608.0) - 8388608.0  # to nearest, halves to even: above 2^23 there are no fractions
    return read.to(dtype)


@triton.jit
@no_type_check
def _forward(
    images,
    moved,
    basis,
    out,
    n,
    groups,
    height,
    width,
    PATTERNS: tl.constexpr,
    PADDING: tl.constexpr,
    IMAGES: tl.constexpr,
    PIXELS: tl.constexpr,
    UNROLLED: tl.constexpr,
    CHANNELS: tl.constexpr,
):
    area = height * width
    start, end, pixel = _part(n, area, IMAGES, PIXELS)
    there = pixel < area
    for number in range(start, end):
        image = tl.cast(number, tl.int64)
        dx, dy = _displacement(moved, basis, image, pixel, area, PATTERNS, UNROLLED)
        column, right, in_column, in_next_column, _slope = _axis(pixel % width + dx, width, PADDING)
        row, down, in_row, in_next_row, _slope = _axis(pixel // width + dy, height, PADDING)
        corner = row * width + column
        for group in range(groups):
            plane = (image * groups + group) * CHANNELS * area
            reads = ()
            for channel in tl.static_range(CHANNELS):
                at = images + (plane + channel * area) + corner
                four = _four(at, width, there, in_column, in_next_column, in_row, in_next_row)
                reads = reads + (_between(four, right, down, out.dtype.element_ty),)  # noqa: RUF005 - no stars there
            for channel in tl.static_range(CHANNELS):
                tl.store(out + (plane + channel * area) + pixel, reads[channel], mask=there)


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
    UNROLLED: tl.constexpr,
    TO_IMAGES: tl.constexpr,
    TO_MOVED: tl.constexpr,
):
    area = height * width
    start, end, pixel = _part(n, area, IMAGES, PIXELS)
    there = pixel < area
    for number in range(start, end):
        image = tl.cast(number, tl.int64)
        dx, dy = _displacement(moved, basis, image, pixel, area, PATTERNS, UNROLLED)
        column, right, in_column, in_next_column, slope_x = _axis(pixel % width + dx, width, PADDING)
        row, down, in_row, in_next_row, slope_y = _axis(pixel // width + dy, height, PADDING)
        a_there = there & in_row & in_column
        b_there = there & in_row & in_next_column
        c_there = there & in_next_row & in_column
        d_there = there & in_next_row & in_next_column
        corner = row * width + column
        along = tl.zeros(pixel.shape, tl.float32)
        across = tl.zeros(pixel.shape, tl.float32)
        for channel in range(channels):
            plane = (image * channels + channel) * area
            weight = tl.load(gradient + plane + pixel, mask=there, other=0).to(tl.float32)
            if TO_IMAGES:
                at = to_images + plane + corner
                tl.atomic_add(at, weight * (1 - right) * (1 - down), mask=a_there, sem="relaxed")
                tl.atomic_add(at + 1, weight * right * (1 - down), mask=b_there, sem="relaxed")
                tl.atomic_add(at + width, weight * (1 - right) * down, mask=c_there, sem="relaxed")
                tl.atomic_add(at + width + 1, weight * right * down, mask=d_there, sem="relaxed")
            if TO_MOVED:
                at = images + plane + corner
                a, b, c, d = _four(at, width, there, in_column, in_next_column, in_row, in_next_row)
                along += weight * ((b - a) * (1 - down) + (d - c) * down)
                across += weight * ((c - a) * (1 - right) + (d - b) * right)
        if TO_MOVED:
            at = to_moved + image * 2 * area + pixel
            tl.store(at, along * slope_x, mask=there)
            tl.store(at + area, across * slope_y, mask=there)
