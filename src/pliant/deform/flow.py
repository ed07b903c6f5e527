"""Displacements that are given, not drawn."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pliant import _gpu
from pliant._checks import require
from pliant.deform.contract import Deformation, Source
from pliant.deform.field import Field


@dataclass(frozen=True, eq=False)
class Flow(Deformation):
    """Displacements from elsewhere, such as an optical flow, on images of their size.

    displacement: (2, h, w), the same for every image, or (m, 2, h, w), of the images 0 ... m - 1; float32, pixels,
    in the sense of `Field`: where each pixel of the deformed image is read.
    """

    name = "flow"

    displacement: Float[Tensor, "*m 2 h w"]

    def __post_init__(self) -> None:
        shape = tuple(self.displacement.shape)
        require(len(shape) in (3, 4) and shape[-3] == 2, f"a flow has the shape (2, h, w) or (m, 2, h, w), got {shape}")

    def drawn(self, source: Source, size: tuple[int, int]) -> Float[Tensor, "n 2 h w"]:
        """The displacements of the images, pixels. Raises `InputError` for images that it has none of."""
        given = self.displacement.to(source.device, torch.float32)
        index = source.indices
        require(
            tuple(given.shape[-2:]) == tuple(size),
            f"a flow of {given.shape[-2]}x{given.shape[-1]} pixels does not fit images of {size[0]}x{size[1]}",
        )
        if given.ndim == 3:
            return given.expand(len(index), *given.shape)
        require(
            not len(index) or 0 <= int(index.min()) <= int(index.max()) < len(given),
            f"a flow of {len(given)} images has none for image {index.max() if len(index) else ''}",
        )
        return given[_gpu.sent(index, given.device)]

    def within(self, parameters: Float[Tensor, "n 2 h w"], size: tuple[int, int]) -> Float[Tensor, "n 2 h w"]:
        """The nearest of the given displacements."""
        given = self.displacement.to(parameters).reshape(-1, *parameters.shape[1:])
        gaps = torch.stack([(parameters - one).flatten(1).norm(dim=1) for one in given])
        return given[gaps.argmin(0)]

    def field(self, parameters: Float[Tensor, "n 2 h w"], size: tuple[int, int]) -> Field:
        """The displacements as they are."""
        return Field(parameters)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Flow)
            and self.invertible == other.invertible
            and torch.equal(self.displacement, other.displacement)
        )

    def __hash__(self) -> int:
        return hash((self.invertible, self._digest))

    def describe(self) -> dict[str, Any]:
        """Family, shape and a digest of the displacements, which themselves are too long for a description."""
        return {**super().describe(), "displacement": {"shape": list(self.displacement.shape), "digest": self._digest}}

    @cached_property
    def _digest(self) -> str:
        numbers = self.displacement.detach().cpu().float().contiguous().numpy().tobytes()
        return hashlib.sha256(numbers).hexdigest()[:16]
