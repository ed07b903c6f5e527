"""What can be asked of a measurement beside its images, deformation, layers, metric and seed."""

from collections.abc import Callable
from typing import TypedDict

from torch import Tensor

from pliant.capture.state import BatchNorm
from pliant.deform import Padding


class Options(TypedDict, total=False):
    """The keyword arguments of `measure`, handed on by what measures several times; their meanings are said there."""

    draw: int
    padding: Padding
    batch_norm: BatchNorm
    calibration: Tensor | None
    preprocess: Callable[[Tensor], Tensor] | None
    block: int
    replicates: int
    level: float
    refuse_folds: bool
    on_block: Callable[[int], None] | None
