"""What every family of deformations is: parameters drawn for each image, and the field that they make."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pliant import _gpu, draws
from pliant._checks import require
from pliant.deform.field import Field

Indices = Sequence[int] | Int[Tensor, " n"]


@dataclass(frozen=True, eq=False)
class Source:
    """Where the random numbers of images come from: the same to the bit on every device and in every batch.

    indices: (n,), of the images, on the CPU. seed, draw: see `pliant.draws`; one draw for all images, or one for each.
    device: where many numbers are drawn, and the field is wanted.
    """

    indices: Int[Tensor, " n"]
    seed: int
    draw: int | Int[Tensor, " n"]
    device: torch.device

    def uniform(self, count: int) -> Float[Tensor, "n count"]:
        """`count` numbers in [0, 1) for each image, few: on the CPU, where a small operation takes the least time."""
        return draws.uniform(self.seed, draws.Stream.DEFORMATION, self.indices, self.draw, count, "cpu")

    def noise(self, count: int) -> Float[Tensor, "n count"]:
        """`count` numbers in (-1, 1) of 8 bits for each image, many: on the device."""
        return draws.noise(self.seed, draws.Stream.DEFORMATION, self.indices, self.draw, count, self.device)

    def part(self, place: int) -> "Source":
        """The source of one of several parts, independent of the others'."""
        return replace(self, seed=draws.child(self.seed, place))


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

    on_host: ClassVar[bool] = False
    """Whether `field` makes no displacements yet, but a recipe of few numbers: for a GPU it is then made on the CPU of
    what was drawn, and copied.
    """

    invertible: bool = dataclasses.field(default=False, kw_only=True)

    @abstractmethod
    def drawn(self, source: Source, size: tuple[int, int]) -> Float[Tensor, "n *p"]:
        """The parameters that the source's random numbers make for each of its images, of `size` (h, w); on the CPU
        or on the source's device.
        """

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
        draw: int | Int[Tensor, " n"] = 0,
        device: torch.device | str | None = None,
    ) -> Float[Tensor, "n *p"]:
        """What is drawn for each image index, on images of `size` (h, w): what `sample` makes its field of."""
        source = _source(indices, size, seed, draw, device)
        return _gpu.sent(self.drawn(source, size), source.device)

    @final
    def sample(
        self,
        indices: Indices,
        size: tuple[int, int],
        seed: int = 0,
        draw: int | Int[Tensor, " n"] = 0,
        device: torch.device | str | None = None,
    ) -> Field:
        """A random field for each image index, on images of `size` (h, w) pixels.

        The field of an image depends on (seed, its index, draw) alone: `sample([7])` equals `sample(range(10))[7]`
        to the bit. Between devices fields agree within 1e-4 pixels.
        """
        source = _source(indices, size, seed, draw, device)
        drawn = self.drawn(source, size)
        if not self.on_host:
            return self.made(_gpu.sent(drawn, source.device), size)
        return self._unfolded(self.field(drawn, size).to(source.device))

    @final
    def made(self, parameters: Float[Tensor, "n *p"], size: tuple[int, int]) -> Field:
        """The field that `parameters` make, without folds if the deformation is to be invertible."""
        return self._unfolded(self.field(parameters, size))

    def _unfolded(self, field: Field) -> Field:
        return field.unfolded() if self.invertible else field


def _source(
    indices: Indices,
    size: tuple[int, int],
    seed: int,
    draw: int | Int[Tensor, " n"],
    device: torch.device | str | None,
) -> Source:
    require(size[0] > 0 and size[1] > 0, f"size={size}: (height, width), pixels, must be positive")
    index, device = draws.given(indices, device)
    return Source(index, seed, draw, device)
