"""What a metric of layers is."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from pliant.metrics.block import Block, Sample, Signs


@dataclass(frozen=True, eq=False)
class Reading:
    """What a metric reads of one layer in one block.

    own: a number for each image, kept raw. unit: what they are divided by; None: nothing.
    fault: why there are no numbers.

    The estimate over all blocks is `own` over `unit`; a median is taken within each block, and blocks are weighted by
    their numbers of images or pairs.
    """

    own: Sample
    unit: Sample | None = None
    fault: str = ""

    @property
    def samples(self) -> tuple[Sample, ...]:
        """`own`, and `unit` if there is one."""
        return (self.own,) if self.unit is None else (self.own, self.unit)


class Metric(ABC):
    """A measure of a layer's response to deformations of the images."""

    quantity: ClassVar[str]
    """What is measured, in words."""
    scale: ClassVar[str]
    """What its values mean: "0: ..., 1: ..."."""
    noise: ClassVar[bool] = False
    """Asks for `Block.noise`: noisy images go through the model too."""
    field: ClassVar[bool] = False
    """Asks for `Block.followed`: the deformations are kept while the model runs."""
    tangent: ClassVar[bool] = False
    """Asks for `Block.tangent`: derivatives go through the model too."""
    more_is_better: ClassVar[bool] = False
    """A larger value is a more stable layer."""
    still: ClassVar[str] = "at least half of the pairs of images coincide"
    """Why there is no value where the unit is 0, though the layer varies."""

    @abstractmethod
    def read(self, block: Block) -> Reading:
        """The numbers of one layer in one block."""

    def gap(self, signs: Signs) -> str:
        """Why some numbers of a block of finite activations are NaN."""
        return "undefined for some images of a block"
