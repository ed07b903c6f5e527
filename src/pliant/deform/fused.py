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
_IMAGES, _PIXELS = 4, 512  # of one program: a pattern is read once for all of its images
_CHANNELS = (4, 3, 2, 1)  # read before any is written, as many as divide them all: reading waits
_UNROLLED = 4  # patterns that are read while others are summed
_REGISTERS = 112  # of a thread, so that more programs share a processor
_SIZES = 16  # of images that kernels of their own are compiled for: half as many instructions, 2 seconds of compiling

_known: set[tuple[int, int]] = set()


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
    """Run the kernel once, as it is compiled for one size of images."""
    images, weights = torch.zeros(1, 1, 16, _PIXELS // 16, device=device), torch.zeros(1, 2, 1, device=device)
    _warp(images, weights, torch.zeros(1, _PIXELS, device=device), "zeros")
    _known.clear()


@torch.library.custom_op("pliant::warp", mutates_args=())
def _warp(images: Tensor, moved: Tensor, basis: Tensor | None, padding: str) -> Tensor:
    """The images along displacements `moved`, or along the sums of the patterns `basis` weighted by `moved`."""
    out = torch.empty_like(images)
    if out.numel():
        with torch.cuda.device_of(images):
            n, channels, *size = images.shape
            together = next(count for count in _CHANNELS if channels % count == 0)
            _forward[_programs(images, _IMAGES)](
                images,
                moved,
                _or(basis, moved),
                out,
                n,
                channels // together,
                *_own(*size),
                **_fixed(basis, padding),
                IMAGES=_IMAGES,
                CHANNELS=together,
            )
    return out


@torch.library.custom_op("pliant::warp_backward", mutates_args=())
def _warp_backward(
    gradient: Tensor, images: Tensor, moved: Tensor, basis: Tensor | None, padding: str, wanted: list[bool]
) -> tuple[Tensor, Tensor]:
    """Gradients to the images, and to the displacements of each pixel; empty where not wanted."""
    n, channels, *size = images.shape
    to_images = torch.zeros_like(images, dtype=torch.float32) if wanted[0] else images.new_empty(0)
    to_moved = moved.new_zeros((n, 2, *size)) if wanted[1] else moved.new_empty(0)
    if images.numel():
        with torch.cuda.device_of(images):
            _backward[_programs(images, 1)](
                gradient,
                images,
                moved,
                _or(basis, moved),
                to_images,
                to_moved,
                n,
                channels,
                *_own(*size),
                **_fixed(basis, padding),
                IMAGES=1,
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


def _programs(images: Tensor, together: int) -> tuple[int]:
    n, _, height, width = images.shape
    return (triton.cdiv(n, together) * triton.cdiv(height * width, _PIXELS),)


def _fixed(basis: Tensor | None, padding: str) -> dict[str, Any]:
    """What the kernels are compiled for. Only those multiply-adds are fused that say so."""
    sizes = {"PATTERNS": 0 if basis is None else len(basis), "PADDING": _PADDINGS[padding], "PIXELS": _PIXELS}
    return {**sizes, "UNROLLED": _UNROLLED, "enable_fp_fusion": False, "maxnreg": _REGISTERS}


def _own(height: int, width: int) -> tuple[Any, Any]:
    """The size as the kernels take it: compiled for, or given at each call if it is small or after many others."""
    if height * width >= _PIXELS and len(_known) < _SIZES:
        _known.add((height, width))
    return (tl.constexpr(height), tl.constexpr(width)) if (height, width) in _known else (height, width)


@triton.jit
@no_type_check
def _part(area, width, IMAGES: tl.constexpr, PIXELS: tl.constexpr):
    """The first image of this program, its pixels (PIXELS,), whether they are in the image, and their columns and rows.

    Those that are not stand in the place of the last one.
    """
    blocks = tl.cdiv(area, PIXELS)
    first = tl.program_id(0) // blocks * IMAGES
    # Threads beside each other are to take pixels beside each other, and not each its own run of them: they could
    # write such runs at once, but what they read lies where the field points, one pixel at a time.
    pixel = tl.max_contiguous(tl.program_id(0) % blocks * PIXELS + tl.arange(0, PIXELS), 1)
    there = pixel < area
    pixel = tl.minimum(pixel, area - 1)
    return first, pixel, there, (pixel % width).to(tl.float32), (pixel // width).to(tl.float32)


@triton.jit
@no_type_check
def _displacements(
    moved, basis, first, n, pixel, area, PATTERNS: tl.constexpr, IMAGES: tl.constexpr, UNROLLED: tl.constexpr
):
    """Along x and along y, pixels, of each image: read, or the patterns' sum in their order.

    Images beyond the last one are read as it.
    """
    x = ()
    y = ()
    if PATTERNS == 0:
        for i in tl.static_range(IMAGES):
            at = moved + tl.cast(tl.minimum(first + i, n - 1), tl.int64) * 2 * area + pixel
            x = x + (tl.load(at),)  # noqa: RUF005 - no stars there
            y = y + (tl.load(at + area),)  # noqa: RUF005
    else:
        for _i in tl.static_range(IMAGES):
            x = x + (tl.zeros(pixel.shape, tl.float32),)  # noqa: RUF005
            y = y + (tl.zeros(pixel.shape, tl.float32),)  # noqa: RUF005
        at = basis + pixel
        for k in tl.range(PATTERNS, loop_unroll_factor=UNROLLED):
            pattern = tl.load(at)
            along = ()
            across = ()
            for i in tl.static_range(IMAGES):
                weight = moved + tl.cast(tl.minimum(first + i, n - 1), tl.int64) * 2 * PATTERNS + k
                along = along + (tl.fma(tl.broadcast_to(tl.load(weight), pixel.shape), pattern, x[i]),)  # noqa: RUF005
                weight += PATTERNS
                across = across + (tl.fma(tl.broadcast_to(tl.load(weight), pixel.shape), pattern, y[i]),)  # noqa: RUF005
            x = along
            y = across
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
    inside = first.to(tl.uint32) < length if PADDING == 0 else tl.full(first.shape, True, tl.int1)
    return first, place - before, inside, (first + 1).to(tl.uint32) < length, slope


@triton.jit
@no_type_check
def _four(start, width, corners):
    """The pixel before a place, the one to its right, the one below it, and that one's right; 0 outside the image."""
    a = tl.load(start, mask=corners[0], other=0).to(tl.float32)
    b = tl.load(start + 1, mask=corners[1], other=0).to(tl.float32)
    c = tl.load(start + width, mask=corners[2], other=0).to(tl.float32)
    d = tl.load(start + width + 1, mask=corners[3], other=0).to(tl.float32)
    return a, b, c, d


@triton.jit
@no_type_check
def _between(four, shares, whole, dtype: tl.constexpr):
    """The four pixels by their shares, or the first one to the bit, as the images' type."""
    read = four[0] * shares[0]
    for corner in tl.static_range(1, 4):
        read = tl.fma(four[corner], shares[corner], read)
    read = tl.where(whole, four[0], read)
    if dtype == tl.uint8:
        read = (read + 8388608.0) - 8388608.0  # to nearest, halves to even: above 2^23 there are no fractions
    return read.to(dtype)


@triton.jit
@no_type_check
def _read(x, y, height, width, PADDING: tl.constexpr):
    """Of places: the offset of the pixel before them, which of the four around them are in the image, how far right
    of that pixel they are and how far below it, and how they follow x and y.
    """
    column, right, in_column, in_next_column, slope_x = _axis(x, width, PADDING)
    row, down, in_row, in_next_row, slope_y = _axis(y, height, PADDING)
    corners = (in_row & in_column, in_row & in_next_column, in_next_row & in_column, in_next_row & in_next_column)
    return row * width + column, corners, right, down, slope_x, slope_y


@triton.jit(do_not_specialize=["n"])
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
    first, pixel, there, column, row = _part(area, width, IMAGES, PIXELS)
    x, y = _displacements(moved, basis, first, n, pixel, area, PATTERNS, IMAGES, UNROLLED)
    for i in tl.static_range(IMAGES):
        if first + i < n:
            image = tl.cast(first + i, tl.int64)
            corner, corners, right, down, _x, _y = _read(column + x[i], row + y[i], height, width, PADDING)
            last = right * down
            shares = (1 - right - (down - last), right - last, down - last, last)
            whole = (right == 0) & (down == 0)
            for group in range(groups):
                plane = (image * groups + group) * CHANNELS * area
                reads = ()
                for channel in tl.static_range(CHANNELS):
                    four = _four(images + (plane + channel * area) + corner, width, corners)
                    reads = reads + (_between(four, shares, whole, out.dtype.element_ty),)  # noqa: RUF005
                for channel in tl.static_range(CHANNELS):
                    tl.store(out + (plane + channel * area) + pixel, reads[channel], mask=there)


@triton.jit(do_not_specialize=["n"])
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
    first, pixel, there, column, row = _part(area, width, IMAGES, PIXELS)
    x, y = _displacements(moved, basis, first, n, pixel, area, PATTERNS, IMAGES, UNROLLED)
    for i in tl.static_range(IMAGES):
        if first + i < n:
            image = tl.cast(first + i, tl.int64)
            corner, corners, right, down, slope_x, slope_y = _read(column + x[i], row + y[i], height, width, PADDING)
            along = tl.zeros(pixel.shape, tl.float32)
            across = tl.zeros(pixel.shape, tl.float32)
            for channel in range(channels):
                plane = (image * channels + channel) * area
                weight = tl.load(gradient + plane + pixel, mask=there, other=0).to(tl.float32)
                if TO_IMAGES:
                    at = to_images + plane + corner
                    tl.atomic_add(at, weight * (1 - right) * (1 - down), mask=there & corners[0], sem="relaxed")
                    tl.atomic_add(at + 1, weight * right * (1 - down), mask=there & corners[1], sem="relaxed")
                    tl.atomic_add(at + width, weight * (1 - right) * down, mask=there & corners[2], sem="relaxed")
                    tl.atomic_add(at + width + 1, weight * right * down, mask=there & corners[3], sem="relaxed")
                if TO_MOVED:
                    a, b, c, d = _four(images + plane + corner, width, corners)
                    along += weight * ((b - a) * (1 - down) + (d - c) * down)
                    across += weight * ((c - a) * (1 - right) + (d - b) * right)
            if TO_MOVED:
                at = to_moved + image * 2 * area + pixel
                tl.store(at, along * slope_x, mask=there)
                tl.store(at + area, across * slope_y, mask=there)
