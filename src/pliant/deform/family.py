"""What every family of deformations is: parameters drawn for each image, and the field that they make."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pliant.deform.field import Field


class Deformation(ABC):
    """A family of random deformations. A member is a frozen dataclass that implements the three abstract methods."""

    @abstractmethod
    def parameters(
        self,
        indices: Sequence[int] | Int[Tensor, " n"],
        seed: int = 0,
        draw: int = 0,
        device: torch.device | str | None = None,
    ) -> Float[Tensor, "n *p"]:
        """The random numbers of each image, the same to the bit on every device and in every batch."""

    @abstractmethod
    def field(self, parameters: Float[Tensor, "n *p"], size: tuple[int, int]) -> Field:
        """The field that `parameters` make on images of `size` (h, w); differentiable."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The family and its settings, as JSON."""

    @final
    def sample(
        self,
        indices: Sequence[int] | Int[Tensor, " n"],
        size: tuple[int, int],
        seed: int = 0,
        draw: int = 0,
        device: torch.device | str | None = None,
    ) -> Field:
        """A random field for each image index, on images of `size` (h, w) pixels.

        The field of an image depends on (seed, its index, draw) alone: `sample([7])` equals `sample(range(10))[7]`
        to the bit. Between devices fields agree within 1e-4 pixels.
        """
        return self.field(self.parameters(indices, seed, draw, device), size)
