"""Deformations in torchvision's v2 pipelines: images move together with their masks, boxes and key points."""

import hashlib
from typing import Any

import torch
from jaxtyping import Float, Shaped
from PIL.Image import Image as PILImage
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as F

from pliant._checks import InputError, require, unknown
from pliant.deform import PADDINGS, Deformation, Field, Padding, warp
from pliant.deform.resampling import copied

_EDGE = 33  # points on each edge of a box
_MODES = ("L", "RGB", "RGBA")


class Deform(v2.Transform):
    """Each image deformed by a draw of its own, together with the masks, boxes and key points that belong to it.

    deformation: of any family. padding: what stands outside an image; outside a mask stands 0 under "zeros".
    seed: of the draws. Which draw an image gets depends on its pixels, the seed and the epoch alone, not on its place
    in the batch, the number of workers or any generator; an image that comes twice in an epoch is deformed alike.
    `set_epoch` gives every image a new draw, in workers that are already running, too.

    Images: tensors, tv_tensors.Image, PIL images (c, h, w), or batches (n, c, h, w), uint8 or floating point; a video
    is deformed alike in all its frames. Masks are resampled to the nearest pixel. Boxes become the smallest that hold
    their deformed edges, cut off at the canvas; key points go where their pixels go, which is no one place where a
    field folds. Of a batch, masks have the batch as their first dimension, boxes and key points cannot tell their
    images: they raise `InputError`.
    """

    _transformed_types = (torch.Tensor, PILImage)

    def __init__(self, deformation: Deformation, padding: Padding = "zeros", seed: int = 0) -> None:
        super().__init__()
        if padding not in PADDINGS:
            raise unknown("padding", padding, PADDINGS)
        self.deformation, self.seed = deformation, seed
        self.padding: Padding = padding
        # Shared, so that workers hear of a new epoch.
        self._epoch = torch.zeros((), dtype=torch.int64).share_memory_()

    @property
    def epoch(self) -> int:
        """The number of the draw that every image gets."""
        return int(self._epoch)

    def set_epoch(self, epoch: int) -> None:
        """New draws from here on. Call it before the loader begins to iterate."""
        require(epoch >= 0, f"epoch={epoch}: 0 or more")
        self._epoch.fill_(epoch)

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """The field of the images among the inputs, and whether they are a batch."""
        for found in flat_inputs:
            images = _pixels(found) if isinstance(found, PILImage) else found
            if isinstance(images, tv_tensors.Video):
                return self._drawn(images.as_subclass(Tensor).flatten(0, -4)[None])
            if isinstance(images, tv_tensors.Image) or type(images) is Tensor:
                require(images.ndim in (3, 4), f"images have the shape (c, h, w) or (n, c, h, w), got {images.shape}")
                plain = images.as_subclass(Tensor)
                return self._drawn(plain if plain.ndim == 4 else plain[None], batch=plain.ndim == 4)
        raise InputError("Deform needs an image beside masks, boxes and key points: the image decides how all move")

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One of the inputs, moved along the field of its images."""
        field, batch = params["field"], params["batch"]
        if isinstance(inpt, PILImage):
            return F.to_pil_image(warp(_pixels(inpt)[None], field, self.padding)[0])
        if isinstance(inpt, tv_tensors.BoundingBoxes | tv_tensors.KeyPoints):
            require(not batch, "boxes and key points of a batch cannot tell their images: deform one image at a time")
            return _boxes(inpt, field) if isinstance(inpt, tv_tensors.BoundingBoxes) else _key_points(inpt, field)
        plain = inpt.as_subclass(Tensor)
        if isinstance(inpt, tv_tensors.Mask):
            out = self._mask(plain, field, batch)
        elif isinstance(inpt, tv_tensors.Video):
            frames = plain.flatten(0, -4)
            same = Field(field.displacement.expand(len(frames), -1, -1, -1))
            out = warp(frames, same, self.padding).view_as(plain)
        else:
            out = warp(plain, field, self.padding) if batch else warp(plain[None], field, self.padding)[0]
        return _like(out, inpt) if isinstance(inpt, tv_tensors.TVTensor) else out

    def extra_repr(self) -> str:
        """The settings."""
        return f"{self.deformation}, padding={self.padding!r}, seed={self.seed}, epoch={self.epoch}"

    def _drawn(self, images: Shaped[Tensor, "n *chw"], batch: bool = False) -> dict[str, Any]:
        indices = [_index(image) for image in images]
        size = (images.shape[-2], images.shape[-1])
        field = self.deformation.sample(indices, size, self.seed, self.epoch, images.device)
        return {"field": field, "batch": batch}

    def _mask(self, mask: Shaped[Tensor, "*n h w"], field: Field, batch: bool) -> Shaped[Tensor, "*n h w"]:
        if batch:
            require(
                mask.ndim >= 3 and len(mask) == len(field),
                f"masks of {len(field)} images have that as their first dimension, got {tuple(mask.shape)}",
            )
        require(
            tuple(mask.shape[-2:]) == field.size,
            f"a mask of {tuple(mask.shape[-2:])} does not belong to an image of {field.size}",
        )
        layers = mask.reshape(len(field), -1, *mask.shape[-2:])
        return copied(layers, field.displacement.round(), self.padding).view_as(mask)


def _pixels(image: PILImage) -> Tensor:
    """The pixels of a PIL image, (c, h, w) uint8."""
    require(image.mode in _MODES, f"a PIL image of mode {image.mode}: convert it to one of {', '.join(_MODES)} first")
    return F.pil_to_tensor(image)


def _index(image: Tensor) -> int:
    """A number from 0 to 2^63 - 1 that the pixels of an image decide."""
    numbers = image.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes()
    return int.from_bytes(hashlib.blake2b(numbers, digest_size=8).digest()) >> 1


def _key_points(points: tv_tensors.KeyPoints, field: Field) -> tv_tensors.KeyPoints:
    """Where the pixels go that the points name."""
    plain = points.as_subclass(Tensor)
    moved = field.carry(plain.reshape(1, -1, 2).float()).points.view_as(plain)
    return _like(_as(moved, plain.dtype), points)


def _boxes(boxes: tv_tensors.BoundingBoxes, field: Field) -> tv_tensors.BoundingBoxes:
    """The smallest boxes that hold the moved edges."""
    require(
        not tv_tensors.is_rotated_bounding_format(boxes.format),
        f"boxes of the format {boxes.format.value} are turned; deformed they are no such boxes any more: convert them",
    )
    plain = boxes.as_subclass(Tensor)
    require(
        tuple(boxes.canvas_size) == field.size,
        f"boxes on a canvas of {tuple(boxes.canvas_size)} do not belong to an image of {field.size}",
    )
    corners = F.convert_bounding_box_format(plain.float(), boxes.format, tv_tensors.BoundingBoxFormat.XYXY)
    # Boxes count from the edge of the first pixel, fields from its centre.
    moved = field.carry(_edges(corners - 0.5).reshape(1, -1, 2)).points.view(len(corners), 4 * _EDGE, 2) + 0.5
    height, width = field.size
    limit = moved.new_tensor([width, height])
    held = torch.cat((moved.amin(1), moved.amax(1)), 1).clamp(min=0)
    held = torch.minimum(held, limit.repeat(2))
    back = F.convert_bounding_box_format(held, tv_tensors.BoundingBoxFormat.XYXY, boxes.format)
    return _like(_as(back, plain.dtype), boxes)


def _edges(corners: Float[Tensor, "k 4"]) -> Float[Tensor, "k points 2"]:
    """Points along the four edges of boxes (x1, y1, x2, y2), corners included."""
    share = torch.linspace(0, 1, _EDGE, device=corners.device)
    x1, y1, x2, y2 = corners[:, :, None].unbind(1)
    x, y = torch.lerp(x1, x2, share), torch.lerp(y1, y2, share)
    sides = [(x, y1.expand_as(x)), (x, y2.expand_as(x)), (x1.expand_as(y), y), (x2.expand_as(y), y)]
    return torch.cat([torch.stack(side, -1) for side in sides], 1)


def _like(values: Tensor, example: Any) -> Any:
    """The values as the kind of tensor that the example is, with what it says of itself."""
    return tv_tensors.wrap(values, like=example)  # pyright: ignore[reportCallIssue]


def _as(values: Float[Tensor, "*n"], dtype: torch.dtype) -> Shaped[Tensor, "*n"]:
    return values.to(dtype) if dtype.is_floating_point else values.round().to(dtype)


__all__ = ["Deform"]
