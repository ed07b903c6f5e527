"""Several deformations, one after the other."""

import math
from dataclasses import dataclass
from functools import reduce
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from pliant import _gpu
from pliant._checks import require
from pliant.deform.contract import Deformation, Source
from pliant.deform.field import Field


@dataclass(frozen=True)
class Sequence(Deformation):
    """Deformations one after the other, the first one first: their maps are composed and the image resampled once.

    steps: each draws its own random numbers, independent of the others'. What a step displaces is read between pixels
        by the steps after it, so a step that jumps, as `Circular` does, comes last.
    """

    name = "sequence"

    steps: tuple[Deformation, ...]

    def __post_init__(self) -> None:
        require(len(self.steps) > 0, "a sequence needs at least one deformation")

    def drawn(self, source: Source, size: tuple[int, int]) -> Float[Tensor, "n p"]:
        """Those of all steps, side by side."""
        drawn = [step.drawn(source.part(place), size) for place, step in enumerate(self.steps)]
        return torch.cat([_gpu.sent(parameters, source.device).flatten(1) for parameters in drawn], 1)

    def within(self, parameters: Float[Tensor, "n p"], size: tuple[int, int]) -> Float[Tensor, "n p"]:
        """Those of each step within its own bound."""
        parts = [step.within(part, size) for step, part in self._parts(parameters, size)]
        return torch.cat([part.flatten(1) for part in parts], 1)

    def field(self, parameters: Float[Tensor, "n p"], size: tuple[int, int]) -> Field:
        """The fields of the steps, composed."""
        fields = [step.made(part, size) for step, part in self._parts(parameters, size)]
        told = [field.shrunk for field in fields if field.shrunk is not None]
        return Field(reduce(Field.then, fields).displacement, torch.stack(told).sum(0) if told else None)

    def describe(self) -> dict[str, Any]:
        """Family, and the descriptions of its steps."""
        return {**super().describe(), "steps": [step.describe() for step in self.steps]}

    def _parts(self, parameters: Float[Tensor, "n p"], size: tuple[int, int]) -> list[tuple[Deformation, Tensor]]:
        """Each step with its own parameters."""
        shapes = [step.parameters([], size).shape[1:] for step in self.steps]
        parts = parameters.split([math.prod(shape) for shape in shapes], 1)
        return [(step, part.unflatten(1, shape)) for step, part, shape in zip(self.steps, parts, shapes, strict=True)]
