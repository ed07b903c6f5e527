"""What a distance between representations is."""

from abc import ABC, abstractmethod

from jaxtyping import Float
from torch import Tensor

from pliant.metrics.geometry import Geometry


class Distance(ABC):
    """A distance between two representations, from squared lengths and squared gaps alone."""

    @abstractmethod
    def between(
        self, gap: Float[Tensor, "*n"], first: Float[Tensor, "*n"], second: Float[Tensor, "*n"]
    ) -> Float[Tensor, "*n"]:
        """The distances of pairs with the squared gap |a - b|^2 and the squared lengths |a|^2 and |b|^2."""

    def paired(self, block: Geometry) -> Float[Tensor, " n"]:
        """d(r(x), r(deformed x)) of each image."""
        return self.between(block.moved, block.clean, block.deformed)

    def pairs(self, block: Geometry) -> Float[Tensor, " pairs"]:
        """d(r(x_i), r(x_j)) of all pairs i < j, in row order."""
        n = len(block.clean)
        mine = block.clean.expand(n, n)
        distances = self.between(block.apart, mine.T, mine)
        return distances[mine.new_ones((n, n)).triu(1).bool()]
