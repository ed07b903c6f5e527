"""Reading images at displaced places: bilinear, and exact where the displacements are whole pixels."""

from typing import Any, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int, Shaped
from torch import Tensor

Padding = Literal["zeros", "border", "reflection"]
PADDINGS = ("zeros", "border", "reflection")

# Images, grids and results of one slice stay in a core's cache together.
_SLICE_BYTES = 1 << 22
_LARGEST = float(1 << 22)  # whole pixels beyond it are left to the resampling, which is exact outside of any image


def resample(
    images: Shaped[Tensor, "n c h w"], displacement: Float[Tensor, "n 2 h w"], padding: Padding
) -> Shaped[Tensor, "n c h w"]:
    """What `pliant.warp` gives, of a displacement and without its checks."""
    height, width = displacement.shape[2:]
    exact = torch.float64 if images.dtype == torch.float64 else torch.float32
    # Reflection about pixel centres is what grid_sample does with aligned corners; elsewhere both ways agree, and
    # without aligned corners a side of one pixel needs no special case.
    aligned = padding == "reflection"
    base, scale = _normaliser(height, width, aligned, exact, images.device)

    def bilinear(source: Tensor, displacement: Tensor) -> Tensor:
        grid = torch.addcmul(base, displacement.to(exact).movedim(1, -1), scale)
        read = F.grid_sample(source.to(exact), grid, mode="bilinear", padding_mode=padding, align_corners=aligned)
        return read.round_() if images.dtype == torch.uint8 else read

    if not len(images):
        return images.clone()
    parts = [(images[part], displacement[part]) for part in _slices(images)]
    if torch.is_grad_enabled() and (images.requires_grad or displacement.requires_grad):
        results = []
        for source, moved in parts:
            read, whole = bilinear(source, moved).to(images.dtype), _whole(moved.detach())
            exactly = copied(source.detach(), moved.detach(), padding) if whole.any() else read.detach()
            results.append(_Kept.apply(read, exactly, whole[:, None, None, None]))
        return torch.cat(results)
    out = torch.empty_like(images, memory_format=torch.contiguous_format)
    for (source, moved), result in zip(parts, out.split([len(source) for source, _ in parts]), strict=True):
        whole = _whole(moved)
        if not whole.all():
            result.copy_(bilinear(source, moved))
        if whole.any():
            result[whole] = copied(source[whole], moved[whole], padding)
    return out


def read_at(images: Float[Tensor, "n c h w"], places: Float[Tensor, "n k 2"]) -> Float[Tensor, "n c k"]:
    """What images hold at places (x, y), pixels, between pixels bilinearly; beyond the border that of the nearest."""
    size = places.new_tensor([images.shape[3], images.shape[2]])
    grid = ((2 * places + 1) / size - 1)[:, None]
    return F.grid_sample(images, grid, mode="bilinear", padding_mode="border", align_corners=False)[:, :, 0]


def _slices(images: Tensor) -> list[slice]:
    """Slices of the batch: on a CPU as many images as stay in the caches of its cores, all of which then have work."""
    if images.device.type != "cpu":
        return [slice(None)]
    image_and_grid = images.shape[2] * images.shape[3] * (2 * images.shape[1] + 2) * 4
    step = torch.get_num_threads() * max(1, _SLICE_BYTES // max(1, image_and_grid))
    return [slice(start, start + step) for start in range(0, len(images), step)]


def _whole(displacement: Float[Tensor, "n 2 h w"]) -> Bool[Tensor, " n"]:
    """Which images are displaced by whole pixels everywhere. A few pixels tell in nearly every case, so the rest is
    seldom read.
    """
    rows, columns = (max(1, side // 3) for side in displacement.shape[2:])
    whole = _are_whole(displacement[:, :, rows // 2 :: rows, columns // 2 :: columns])
    return _are_whole(displacement) if whole.any() else whole


def _are_whole(displacement: Float[Tensor, "n 2 h w"]) -> Bool[Tensor, " n"]:
    return ((displacement == displacement.round()) & (displacement.abs() < _LARGEST)).flatten(1).all(1)


def copied(
    images: Shaped[Tensor, "n c h w"], displacement: Float[Tensor, "n 2 h w"], padding: Padding
) -> Shaped[Tensor, "n c h w"]:
    """Images of any type at whole displacements, pixel by pixel, to the bit."""
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
        read: Float[Tensor, "n c h w"], copied: Float[Tensor, "n c h w"], whole: Bool[Tensor, "n 1 1 1"]
    ) -> Float[Tensor, "n c h w"]:
        return torch.where(whole, copied, read)

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
