"""The Euclidean distance."""

from dataclasses import dataclass
from typing import final

from jaxtyping import Float
from torch import Tensor

from pliant.metrics.distance import Distance


@final
@dataclass(frozen=True)
class Euclidean(Distance):
    """|a - b|, in the units of the representation. Ruderman et al. 2018 found it to agree with the cosine distance."""

    def between(
        self, gap: Float[Tensor, "*n"], first: Float[Tensor, "*n"], second: Float[Tensor, "*n"]
    ) -> Float[Tensor, "*n"]:
        """The root of the squared gap; the lengths do not matter."""
        return gap.sqrt()
