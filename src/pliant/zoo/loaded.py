"""What a name of a model is turned into, and what may be asked for beside the name."""

from dataclasses import dataclass
from pathlib import Path

from torch import nn

from pliant._checks import require
from pliant.zoo.preprocessing import Normalise, ResizeAndCrop, Standardise


@dataclass(frozen=True)
class Request:
    """How a model is wanted. `size`: pixels a side; `mean`, `std`: one a channel; None for the model's own."""

    pretrained: bool = True
    weights: Path | None = None
    size: int | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        require(self.size is None or self.size >= 2, f"size={self.size}: pixels a side, at least 2")
        require(0 <= self.seed < 1 << 64, f"seed={self.seed}: a seed is an integer from 0 to 2^64 - 1")
        if self.mean is not None and self.std is not None:
            require(
                len(self.mean) == len(self.std),
                f"mean={self.mean} and std={self.std}: give one of each for every channel",
            )

    @property
    def given(self) -> str:
        """A clause on what is not the model's own in its preprocessing."""
        names = [name for name in ("size", "mean", "std") if getattr(self, name) is not None]
        return f", but for the given {' and '.join(names)}" if names else ""

    def origin(self, published: str) -> str:
        """A clause on where the weights come from, if not from where they are `published`."""
        if self.weights is not None:
            return f"weights from {self.weights}"
        return f"weights {published}" if self.pretrained else f"untrained (seed {self.seed})"

    @property
    def downloads(self) -> bool:
        """Whether the weights have to come from a server."""
        return self.pretrained and self.weights is None


@dataclass(frozen=True, eq=False)
class Loaded:
    """A model in eval mode on the CPU, with the preprocessing that belongs to it.

    `resize_and_crop`: from an RGB photograph to a tensor (c, h, w) in [0, 1]; an image is deformed after it.
    `normalise`: from (n, c, h, w) in [0, 1] to the model's input; differentiable.
    `size`: (h, w) of the input, pixels; `channels`: of the input; `source`: sentences that say where model, weights and
    preprocessing come from; `preprocessing`: both steps in words.
    """

    model: nn.Module
    name: str
    source: str
    resize_and_crop: ResizeAndCrop
    normalise: Normalise | Standardise
    size: tuple[int, int]
    channels: int

    @property
    def preprocessing(self) -> str:
        """Resizing, cropping and normalising in words."""
        return f"{self.resize_and_crop.description}; {self.normalise.description}"
