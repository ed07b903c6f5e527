"""Displacements that are made where they are needed, a few images at a time."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd import forward_ad

from pliant import _gpu


@dataclass(frozen=True, eq=False)
class Recipe(ABC):
    """What the displacements of n images of `size` (h, w) are made of.

    weights: (n, 2, ...), what they are proportional to. dear: making them takes longer than reading them.
    """

    dear: ClassVar[bool] = True

    weights: Float[Tensor, "n 2 *k"]
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.weights)

    def __getitem__(self, part: slice | list[int] | Tensor) -> "Recipe":
        """That of several images."""
        return self.weighted(self.weights[part])

    def weighted(self, weights: Float[Tensor, "n 2 *k"]) -> "Recipe":
        """That with other weights."""
        return replace(self, weights=weights)

    def to(self, device: torch.device | str) -> "Recipe":
        """That on another device."""
        return self.weighted(_gpu.sent(self.weights, device))

    @abstractmethod
    def summed(self, room: Float[Tensor, "n 2 h w"] | None = None) -> Float[Tensor, "n 2 h w"]:
        """The displacements, pixels; differentiable, and the same to the bit in every batch.

        In memory of their own, or in `room`, which may be used for them.
        """

    @property
    @abstractmethod
    def together(self) -> int:
        """How many images, or a multiple of it, are made together without waste."""


def has_tangent(tensor: Tensor) -> bool:
    """Whether derivatives in forward mode go through it."""
    return forward_ad.unpack_dual(tensor).tangent is not None
