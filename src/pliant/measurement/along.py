"""A block's deformations, carried over to feature maps of any size."""

import torch.nn.functional as F
from jaxtyping import Bool, Float, Real
from torch import Tensor

from pliant.deform import Field, Padding, warp, warp_tangent


class Resized:
    """The fields of a block at the sizes at which they were asked for: implements `pliant.metrics.Along`.

    A field is read bilinearly at the places of the map's pixels, which cover the image evenly, and its displacements
    are scaled as the sides are. At the size of the image it is the field itself.
    """

    def __init__(self, field: Field, padding: Padding):
        self._padding: Padding = padding
        self._known = {field.size: Field(field.displacement)}
        self._whole = field.size

    def at(self, size: tuple[int, int]) -> Field:
        """The fields on maps of `size` (h, w), in pixels of the map."""
        if size not in self._known:
            whole = self._known[self._whole].displacement
            scale = whole.new_tensor([size[1] / self._whole[1], size[0] / self._whole[0]])
            resized = F.interpolate(whole, size, mode="bilinear", align_corners=False)
            self._known[size] = Field(resized * scale[:, None, None])
        return self._known[size]

    def warp(self, maps: Real[Tensor, "n c h w"], part: slice) -> Real[Tensor, "n c h w"]:
        """The maps of the images in `part`, deformed as the images were."""
        return warp(maps, self.at((maps.shape[2], maps.shape[3]))[part], self._padding)

    def tangent(self, maps: Real[Tensor, "n c h w"], part: slice) -> Float[Tensor, "n c h w"]:
        """How the maps of the images in `part` begin to change as they are deformed: the derivative at strength 0."""
        return warp_tangent(maps, self.at((maps.shape[2], maps.shape[3]))[part], self._padding)

    def fits(self, size: tuple[int, int]) -> bool:
        """A map of `size` (h, w) has the proportions of the image, but for a pixel of either side."""
        (height, width), (rows, columns) = self._whole, size
        return abs(rows * width - columns * height) <= max(height, width)

    def inside(self, size: tuple[int, int], part: slice) -> Bool[Tensor, "n h w"]:
        """Where a deformed map of `size` (h, w) was read inside the map: between the centres of its border pixels."""
        field = self.at(size)[part]
        (height, width), moved = size, field.displacement
        x = moved[:, 0] + moved.new_tensor(range(width))
        y = moved[:, 1] + moved.new_tensor(range(height))[:, None]
        return (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
