"""What every family of deformations is: parameters drawn for each image, and the field that they make."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pliant import draws
from pliant._checks import require
from pliant.deform.field import Field

Indices = Sequence[int] | Int[Tensor, " n"]


@dataclass(frozen=True, eq=False)
class Source:
    """Where the random numbers of images come from: the same to the bit on every device and in every batch.

    indices: (n,), of the images. seed, draw: see `pliant.draws`; one draw for all images, or one for each.
    """

    indices: Int[Tensor, " n"]
    seed: int
    draw: int | Int[Tensor, " n"]

    def uniform(self, count: int) -> Float[Tensor, "n count"]:
        """`count` numbers in [0, 1) for each image."""
        return draws.uniform(self.seed, draws.Stream.DEFORMATION, self.indices, self.draw, count)

    def noise(self, count: int) -> Float[Tensor, "n count"]:
        """`count` numbers in (-1, 1) of 8 bits for each image."""
        return draws.noise(self.seed, draws.Stream.DEFORMATION, self.indices, self.draw, count)

    def part(self, place: int) -> "Source":
        """The source of one of several parts, independent of the others'."""
        return Source(self.indices, draws.child(self.seed, place), self.draw)


@dataclass(frozen=True)
class Deformation(ABC):
    """A family of random deformations. A member is a frozen dataclass that implements the three abstract methods.

    invertible: a field that folds is shrunk by a fifth, again and again, until it does not; `Field.shrunk` says how
        often.
    """

    name: ClassVar[str]
    """What the family is called in descriptions and on the command line."""
    strength: ClassVar[str] = ""
    """The setting that says how far it reaches, a `Length`; empty where no single one does."""

    invertible: bool = dataclasses.field(default=False, kw_only=True)

    @abstractmethod
    def drawn(self, source: Source, size: tuple[int, int]) -> Float[Tensor, "n *p"]:
        """The parameters that the source's random numbers make for each of its images, of `size` (h, w)."""

    @abstractmethod
    def field(self, parameters: Float[Tensor, "n *p"], size: tuple[int, int]) -> Field:
        """The field that `parameters` make on images of `size` (h, w); differentiable."""

    @abstractmethod
    def within(self, parameters: Float[Tensor, "n *p"], size: tuple[int, int]) -> Float[Tensor, "n *p"]:
        """The nearest parameters that the family draws on images of `size` (h, w): what is drawn stays as it is, what
        lies beyond the bound is brought back to it. A new tensor.
        """

    def describe(self) -> dict[str, Any]:
        """The family and its settings, as JSON; `pliant.deform.described` makes the member from it again."""
        settings = {item.name: getattr(self, item.name) for item in dataclasses.fields(self)}
        if not self.invertible:
            del settings["invertible"]
        return {"family": self.name, **settings}

    @final
    def parameters(
        self,
        indices: Indices,
        size: tuple[int, int],
        seed: int = 0,
        draw: int = 0,
        device: torch.device | str | None = None,
    ) -> Float[Tensor, "n *p"]:
        """What is drawn for each image index, on images of `size` (h, w): what `sample` makes its field of."""
        require(size[0] > 0 and size[1] > 0, f"size={size}: (height, width), pixels, must be positive")
        index = torch.as_tensor(indices, dtype=torch.int64, device=device)
        return self.drawn(Source(index, seed, draw), size)

    @final
    def sample(
        self,
        indices: Indices,
        size: tuple[int, int],
        seed: int = 0,
        draw: int = 0,
        device: torch.device | str | None = None,
    ) -> Field:
        """A random field for each image index, on images of `size` (h, w) pixels.

        The field of an image depends on (seed, its index, draw) alone: `sample([7])` equals `sample(range(10))[7]`
        to the bit. Between devices fields agree within 1e-4 pixels.
        """
        return self.made(self.parameters(indices, size, seed, draw, device), size)

    @final
    def made(self, parameters: Float[Tensor, "n *p"], size: tuple[int, int]) -> Field:
        """The field that `parameters` make, without folds if the deformation is to be invertible."""
        field = self.field(parameters, size)
        return field.unfolded() if self.invertible else field
