"""What the layers say of a block, gathered where they say it and brought over together."""

from collections.abc import Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from pliant.measurement.pool import Parts
from pliant.measurement.tally import Tally
from pliant.metrics import Block, Reading, Sample, Signs
from pliant.stats import PairBootstrap


class Gathering:
    """The readings of one block: few numbers a layer, which wait on their device until all layers have been heard.

    A device is waited for once a block, however many layers it computes.
    """

    def __init__(self, resampling: PairBootstrap | None):
        self._resampling = resampling
        self._tallies: list[list[Tally]] = []
        self._readings: list[list[Reading]] = []
        self._signs: list[Tensor] = []

    def hear(self, block: Block, tallies: Collection[Tally]) -> None:
        """Read what one layer makes of the block, for its tally of each metric."""
        self._tallies.append(list(tallies))
        self._readings.append([tally.metric.read(block) for tally in tallies])
        self._signs.append(block.signs)

    def settle(self) -> None:
        """Let the tallies take in what was read."""
        samples = list(dict.fromkeys(sample for readings in self._readings for sample in _samples(readings)))
        brought = _brought([*(sample.values for sample in samples), *self._signs])
        values = dict(zip(samples, brought[: len(samples)], strict=True))
        for tallies, readings, array in zip(self._tallies, self._readings, brought[len(samples) :], strict=True):
            signs = Signs(*array.astype(bool).tolist())
            parts = Parts(self._resampling, {sample: values[sample] for sample in _samples(readings)})
            for tally, reading in zip(tallies, readings, strict=True):
                tally.hear(reading, signs, parts)


def _samples(readings: Sequence[Reading]) -> list[Sample]:
    return [sample for reading in readings for sample in reading.samples]


def _brought(tensors: Sequence[Tensor]) -> list[np.ndarray]:
    """The numbers of each tensor, flattened, float64, on the CPU: in one transfer from each device."""
    found: dict[int, np.ndarray] = {}
    for device in dict.fromkeys(tensor.device for tensor in tensors):
        here = {place: tensor for place, tensor in enumerate(tensors) if tensor.device == device}
        together = torch.cat([tensor.double().flatten() for tensor in here.values()]).cpu().numpy()
        ends = np.cumsum([tensor.numel() for tensor in here.values()])[:-1]
        found |= zip(here, np.split(together, ends), strict=True)
    return [found[place] for place in range(len(tensors))]
