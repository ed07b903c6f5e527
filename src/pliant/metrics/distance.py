"""What a distance between representations is, and how it is measured."""

from abc import abstractmethod

from jaxtyping import Float
from torch import Tensor

from pliant.metrics.block import Block, Sample, Signs
from pliant.metrics.gaps import Geometry, of_pairs
from pliant.metrics.metric import Metric, Reading


class Distance(Metric):
    """A distance between two representations, from squared lengths and squared gaps alone.

    Measured as in Ruderman et al. 2018: the mean over images of d(r(x), r(deformed x)) over the median over pairs of
    images of d(r(x_i), r(x_j)).
    """

    quantity = "sensitivity"
    scale = "0: invariant, 1: as far as an unrelated image"

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
        return of_pairs(self.between(block.apart, mine.T, mine))

    def unit(self, block: Block) -> Sample:
        """The median over pairs of images; the same one for all metrics that take it of this distance."""
        return block.shared(type(self), lambda: Sample(self.pairs(block.geometry), "pairs", "median"))

    def read(self, block: Block) -> Reading:
        """See the class."""
        return Reading(Sample(self.paired(block.geometry), "images", "mean"), self.unit(block))

    def gap(self, signs: Signs) -> str:
        """Only of zeros there is no distance."""
        some = "all" if signs.blank else "some"
        return f"zero for {some} images of a block: no direction, take euclidean"
