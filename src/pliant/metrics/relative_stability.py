"""Stability to deformations, to noise of the same size, and their ratio.

Petrini et al. 2021, arXiv:2105.02468; layer by layer Tomasini et al. 2022, arXiv:2210.01506.
"""

from dataclasses import dataclass
from typing import final

from pliant.metrics.block import Block, Sample, Signs, Take
from pliant.metrics.metric import Metric, Reading


@final
@dataclass(frozen=True)
class DeformationStability(Metric):
    """D = <|r(deformed x) - r(x)|^2> / <|r(x) - r(z)|^2>, over images and over pairs of images.

    take: what <> stands for: the mean (2022), or the median, of images and of pairs (2021: of each output number).
    """

    quantity = "deformation stability D"
    scale = "0: invariant, 1: as far as an unrelated image (squared)"

    take: Take = "mean"

    def read(self, block: Block) -> Reading:
        """See the class."""
        return Reading(Sample(block.geometry.moved, "images", self.take), block.apart(self.take))


@final
@dataclass(frozen=True)
class NoiseStability(Metric):
    """G = <|r(x + eta) - r(x)|^2> / <|r(x) - r(z)|^2>: isotropic Gaussian eta, |eta| = |deformed x - x| for each image.

    take: as of `DeformationStability`.
    """

    quantity = "noise stability G"
    scale = "0: invariant, 1: as far as an unrelated image (squared)"
    noise = True

    take: Take = "mean"

    def read(self, block: Block) -> Reading:
        """See the class."""
        return Reading(Sample(block.noise, "images", self.take), block.apart(self.take))

    def gap(self, signs: Signs) -> str:
        """Clean and deformed activations are finite, those of the noisy images are not."""
        return _NOT_FINITE


@final
@dataclass(frozen=True)
class RelativeStability(Metric):
    """R = D / G = <|r(deformed x) - r(x)|^2> / <|r(x + eta) - r(x)|^2>; 1 for the images themselves.

    Below 1 a deformation moves r less than noise does. The same for a r + b and for any rotation of r.
    take: as of `DeformationStability`.
    """

    quantity = "relative stability R"
    scale = "1: a deformation moves it as far as noise of the same size, below 1: less far"
    noise = True
    still = "noise of the size of the deformation changes nothing"

    take: Take = "mean"

    def read(self, block: Block) -> Reading:
        """See the class."""
        moved, noise = block.geometry.moved, block.noise
        return Reading(Sample(moved, "images", self.take), Sample(noise, "images", self.take))

    def gap(self, signs: Signs) -> str:
        """Clean and deformed activations are finite, those of the noisy images are not."""
        return _NOT_FINITE


_NOT_FINITE = "NaN or infinite activations of noisy images"
