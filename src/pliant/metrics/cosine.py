"""The cosine distance."""

from dataclasses import dataclass
from typing import final

import torch
from jaxtyping import Float
from torch import Tensor

from pliant.metrics.distance import Distance


@final
@dataclass(frozen=True)
class Cosine(Distance):
    """1 - cos of the angle between two representations; in [0, 2]. Ruderman et al. 2018.

    NaN where a representation is zero: it has no direction.
    """

    def between(
        self, gap: Float[Tensor, "*n"], first: Float[Tensor, "*n"], second: Float[Tensor, "*n"]
    ) -> Float[Tensor, "*n"]:
        """From |a - b|^2 = (|a| - |b|)^2 + 2 |a| |b| (1 - cos), which keeps the precision of small angles."""
        a, b = first.sqrt(), second.sqrt()
        twice = 2 * a * b
        return ((gap - (a - b).square()) / twice).clamp(0, 2).where(twice > 0, torch.nan)
