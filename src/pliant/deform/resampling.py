"""Reading images at displaced places: bilinear, and exact where the displacements are whole pixels."""

import math
import threading
from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

from pliant import _gpu
from pliant.deform.recipe import Recipe, has_tangent
from pliant.deform.series import Series, cached

Padding = Literal["zeros", "border", "reflection"]
PADDINGS = ("zeros", "border", "reflection")
_FUSED = (torch.uint8, torch.bfloat16, torch.float16, torch.float32)

# What is done a few images at a time stays in the caches of a core, or nearly: images, places and results.
_SLICE_BYTES = 1 << 23
# Each thread keeps memory for the places of a batch, or of a part of it, up to so many numbers: to be given new memory
# takes a third as long as resampling.
_KEPT = 1 << 24
_memory = threading.local()
_BITS = float(1 << 23)  # a number that it is added to is rounded to nearest, and ends in the bits of a whole one
_LARGEST = float(1 << 22)  # whole pixels beyond it are left to the resampling, which is exact outside of any image


def resample(
    images: Shaped[Tensor, "n c h w"], moved: Float[Tensor, "n 2 h w"] | Recipe, padding: Padding
) -> Shaped[Tensor, "n c h w"]:
    """What `pliant.warp` gives, of displacements or of the recipe that they are made by, and without its checks."""
    if not images.numel():
        return images.clone()
    numbers = moved.weights if isinstance(moved, Recipe) else moved
    bent = has_tangent(images) or has_tangent(numbers)
    trained = torch.is_grad_enabled() and (images.requires_grad or numbers.requires_grad)
    # The kernels add up gradients in any order, and have none in forward mode.
    if images.dtype in _FUSED and not bent and not (trained and torch.are_deterministic_algorithms_enabled()):
        fused = _gpu.kernels("pliant.deform.fused", images.device, "images are warped")
        if fused is not None:
            return fused.warp(images, moved if isinstance(moved, Series) else _summed(moved), padding)
    if trained or bent:
        displacement = _summed(moved)
        places, whole = _places(displacement, images, padding), _whole(displacement.detach())
        read = _bilinear(images, places, padding)
        read = (read.round() if images.dtype == torch.uint8 else read).to(images.dtype)
        exactly = copied(images.detach(), displacement.detach(), padding) if whole.any() else read.detach()
        return _Kept.apply(read, exactly, whole[:, None, None, None])
    parts = _slices(images, 2 * images[0, 0].numel(), _KEPT, moved.together if isinstance(moved, Recipe) else 1)
    if len(parts) == 1:
        return _read(images, moved, padding).contiguous()
    out = torch.empty_like(images, memory_format=torch.contiguous_format)
    for part in parts:
        out[part] = _read(images[part], moved[part], padding)
    return out


def _read(
    images: Shaped[Tensor, "n c h w"], moved: Float[Tensor, "n 2 h w"] | Recipe, padding: Padding
) -> Shaped[Tensor, "n c h w"]:
    """What `resample` gives of as many images as there is memory for their places."""
    places = _room((len(images), 2, *images.shape[2:]), _exact(images), images.device)
    if isinstance(moved, Series):
        along, across = _scale(moved.size, _aligned(padding))
        pixels = _pixels(moved.size, _aligned(padding), places.dtype, places.device)
        if along == across and moved.placeable(pixels, along):
            exactly, which = _whole_ones(images, moved, padding)
            if len(which) == len(images):
                return exactly
            read = _converted(images, moved.placed(pixels, along, places), padding)
            if len(which):
                read[which] = exactly
            return read
    copies: list[tuple[Int[Tensor, " some"], Shaped[Tensor, "some c h w"]]] = []
    left = False
    for part in _made_together(moved, images):
        displacement = moved[part].summed(places[part]) if isinstance(moved, Recipe) else moved[part]
        whole = _whole(displacement)
        if whole.all():
            copies.append((torch.arange(part.start, part.stop), copied(images[part], displacement, padding)))
            places[part] = 0
            continue
        left = True
        if whole.any():
            copies.append(
                (part.start + whole.nonzero()[:, 0], copied(images[part][whole], displacement[whole], padding))
            )
        _places(displacement, images, padding, places[part])
    if not left:
        return copies[0][1] if len(copies) == 1 else torch.cat([exactly for _, exactly in copies])
    read = _converted(images, places, padding)
    for which, exactly in copies:
        read[which] = exactly
    return read


def _whole_ones(
    images: Shaped[Tensor, "n c h w"], moved: Series, padding: Padding
) -> tuple[Shaped[Tensor, "some c h w"], Int[Tensor, " some"]]:
    """Copies of the images that are displaced by whole pixels everywhere, and which these are."""
    which = moved.maybe_whole()
    if not len(which):
        return images[:0], which
    displacement = moved[which].summed()
    whole = _whole(displacement)
    return copied(images[which[whole]], displacement[whole], padding), which[whole]


def _room(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device) -> Float[Tensor, "n 2 h w"]:
    """Memory that is the caller's until it asks again: on a CPU what this thread keeps, or new."""
    count = math.prod(shape)
    if device.type != "cpu" or dtype != torch.float32 or count > _KEPT:
        return torch.empty(shape, dtype=dtype, device=device)
    kept = getattr(_memory, "places", None)
    if kept is None or len(kept) < count:
        with torch.inference_mode(False):
            kept = _memory.places = torch.empty(count, dtype=dtype)
    return kept[:count].view(shape)


def read_at(images: Float[Tensor, "n c h w"], places: Float[Tensor, "n k 2"]) -> Float[Tensor, "n c k"]:
    """What images hold at places (x, y), pixels, between pixels bilinearly; beyond the border that of the nearest."""
    size = places.new_tensor([images.shape[3], images.shape[2]])
    grid = ((2 * places + 1) / size - 1)[:, None]
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)[:, :, 0]


def _converted(
    images: Shaped[Tensor, "n c h w"], places: Float[Tensor, "n 2 h w"], padding: Padding
) -> Shaped[Tensor, "n c h w"]:
    """What stands at the places, of the images' type."""
    if images.dtype == places.dtype:
        return _bilinear(images, places, padding)
    out = torch.empty_like(images, memory_format=torch.contiguous_format)
    for part in _cached(images, 2 * images.shape[1] + 2):
        read = _bilinear(images[part], places[part], padding)
        # In a third of the time of rounding and converting.
        out[part] = read.add_(_BITS).view(torch.int32) if images.dtype == torch.uint8 else read
    return out


def _bilinear(
    images: Shaped[Tensor, "n c h w"], places: Float[Tensor, "n 2 h w"], padding: Padding
) -> Float[Tensor, "n c h w"]:
    """What stands at the places, of their type."""
    # On a CPU grid_sample reads x and y as fast from two planes as from beside each other.
    grid, aligned = places.movedim(1, -1), _aligned(padding)
    return F.grid_sample(images.to(grid.dtype), grid, mode="bilinear", padding_mode=padding, align_corners=aligned)


def _summed(moved: Float[Tensor, "n 2 h w"] | Recipe) -> Float[Tensor, "n 2 h w"]:
    return moved.summed() if isinstance(moved, Recipe) else moved


def _places(
    displacement: Float[Tensor, "n 2 h w"],
    images: Shaped[Tensor, "m c h w"],
    padding: Padding,
    out: Float[Tensor, "n 2 h w"] | None = None,
) -> Float[Tensor, "n 2 h w"]:
    """Where each pixel is read, in the coordinates of grid_sample and as exact as the images are to be read.

    out: the memory for it, which may be that of the displacements.
    """
    size = (displacement.shape[2], displacement.shape[3])
    pixels = _pixels(size, _aligned(padding), _exact(images), images.device)
    scale = pixels.new_tensor(_scale(size, _aligned(padding)))[:, None, None]
    return torch.addcmul(pixels, displacement.to(pixels.dtype), scale, out=out)


def _exact(images: Tensor) -> torch.dtype:
    return torch.float64 if images.dtype == torch.float64 else torch.float32


def _aligned(padding: Padding) -> bool:
    """Whether -1 and 1 are the centres of the border pixels, about which grid_sample then reflects.

    Elsewhere both ways agree, and with the edges of the image there a side of one pixel needs no special case.
    """
    return padding == "reflection"


def _slices(images: Shaped[Tensor, "n c h w"], numbers: int, room: int, multiple: int = 1) -> list[slice]:
    """Slices of the batch, on a CPU: of as many images as there is room for with so many numbers each, in multiples of
    `multiple`; of the smallest multiple where there is not enough.
    """
    if images.device.type != "cpu":
        return [slice(0, len(images))]
    step = max(1, room // max(1, numbers) // multiple) * multiple
    return [slice(start, min(start + step, len(images))) for start in range(0, len(images), step)]


def _cached(images: Shaped[Tensor, "n c h w"], planes: int, multiple: int = 1) -> list[slice]:
    """About as many images as stay in the caches of the cores, with so many numbers for each pixel; all cores then have
    work.
    """
    numbers = images.shape[2] * images.shape[3] * planes
    return _slices(images, numbers, torch.get_num_threads() * _SLICE_BYTES // 4, multiple)


def _made_together(moved: Float[Tensor, "n 2 h w"] | Recipe, images: Shaped[Tensor, "n c h w"]) -> list[slice]:
    """Images whose displacements are made together: those that are dear a few at a time, which stay in the caches."""
    if isinstance(moved, Recipe) and moved.dear:
        return _cached(images, 4, moved.together)
    return [slice(0, len(images))]


def _whole(displacement: Float[Tensor, "n 2 h w"]) -> Bool[Tensor, " n"]:
    """Which images are displaced by whole pixels everywhere. A pixel tells in most cases, and a few in nearly every
    one where a part stays in its place, so the rest is seldom read.
    """
    rows, columns = (max(1, side // 3) for side in displacement.shape[2:])
    few = displacement[:, :, rows // 2 :: rows, columns // 2 :: columns]
    one = few[:, :, 1:2, 1:2].flatten(1)
    whole = (one == one.round()).all(1)
    for some in (few, displacement):
        if not whole.any():
            break
        if not whole.all():
            some = some[whole]
        whole[whole.clone()] = ((some == some.round()) & (some.abs() < _LARGEST)).flatten(1).all(1)
    return whole


def copied(
    images: Shaped[Tensor, "n c h w"], displacement: Float[Tensor, "n 2 h w"], padding: Padding
) -> Shaped[Tensor, "n c h w"]:
    """Images of any type at whole displacements, pixel by pixel, to the bit."""
    parts = _cached(images, 2 * images.shape[1] + 2)
    if len(parts) > 1:
        return torch.cat([copied(images[part], displacement[part], padding) for part in parts])
    height, width = images.shape[2:]
    moved = displacement.nan_to_num().clamp(-_LARGEST, _LARGEST).long()
    x = torch.arange(width, device=images.device) + moved[:, 0]
    y = torch.arange(height, device=images.device)[:, None] + moved[:, 1]
    place = (_inside(y, height, padding) * width + _inside(x, width, padding)).flatten(1)
    read = images.flatten(2).gather(2, place[:, None].expand(-1, images.shape[1], -1)).view_as(images)
    if padding == "zeros":
        outside = (x < 0) | (x >= width) | (y < 0) | (y >= height)
        read = read.masked_fill(outside[:, None], 0)
    return read


def _inside(place: Int[Tensor, "n h w"], length: int, padding: Padding) -> Int[Tensor, "n h w"]:
    """The pixel that stands at a place, from 0 on, along an axis of `length` pixels."""
    if padding == "reflection" and length > 1:
        place = place.remainder(2 * (length - 1))
        return torch.minimum(place, 2 * (length - 1) - place)
    return place.clamp(0, length - 1)


class _Kept(torch.autograd.Function):
    """Images that were copied where the displacements are whole, with the gradients of the resampling."""

    @staticmethod
    def forward(
        read: Shaped[Tensor, "n c h w"], copied: Shaped[Tensor, "n c h w"], whole: Bool[Tensor, "n 1 1 1"]
    ) -> Shaped[Tensor, "n c h w"]:
        return torch.where(whole, copied, read)

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing to keep: the gradient is the result's."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor | None) -> Tensor | None:  # pyright: ignore[reportIncompatibleMethodOverride]
        return tangents[0]

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return gradient, None, None


def _scale(size: tuple[int, int], aligned: bool) -> tuple[float, float]:
    """Factors from pixels along x and y to the coordinates of grid_sample."""
    height, width = (max(side - aligned, 1) for side in size)
    return 2 / width, 2 / height


@cached
def _pixels(size: tuple[int, int], aligned: bool, dtype: torch.dtype, device: torch.device) -> Float[Tensor, "2 h w"]:
    """Each pixel's own place in the coordinates of grid_sample, -1 to 1."""
    height, width = size
    half = 0.0 if aligned else 0.5
    along, across = _scale(size, aligned)
    x = (torch.arange(width, dtype=torch.float64) + half) * along - 1
    y = (torch.arange(height, dtype=torch.float64) + half) * across - 1
    return torch.stack((x.expand(height, width), y[:, None].expand(height, width))).to(device, dtype)
