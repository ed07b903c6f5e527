from collections import Counter

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from pliant.deform import ThinPlate
from pliant.measurement import measure_each
from pliant.measurement.gathering import Gathering
from pliant.measurement.tally import Tally
from pliant.metrics import METRICS, Block

WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "equal", "_unique2")


class Waiting(TorchDispatchMode):
    """Counts the operations whose results a CPU would have to wait for, if the tensors were a GPU's."""

    def __init__(self):
        super().__init__()
        self.waits = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        by_mask = name == "index" and any(index is not None and index.dtype == torch.bool for index in args[1])
        if name in WAITS or by_mask:
            self.waits[name] += 1
        return func(*args, **(kwargs or {}))


@pytest.fixture
def transfers(monkeypatch):
    """How often tensors were brought to the CPU."""
    count = Counter()

    def counted(name):
        there = getattr(torch.Tensor, name)

        def bring(tensor, *args, **kwargs):
            count[name] += 1
            return there(tensor, *args, **kwargs)

        monkeypatch.setattr(torch.Tensor, name, bring)

    for name in ("cpu", "tolist", "numpy", "item"):
        counted(name)
    return count


def deep(layers):
    return nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(layers)))


def pictures(n):
    coarse = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    return nn.functional.interpolate(coarse, size=(16, 16), mode="bicubic")


@pytest.mark.parametrize("metrics", [("cosine",), ("euclidean", "relative_stability", "noise_stability_median")])
def test_how_often_a_device_is_waited_for_does_not_grow_with_the_layers(metrics, transfers):
    waited, brought = [], []
    for layers in (2, 9):
        transfers.clear()
        with Waiting() as device:
            measure_each(deep(layers), pictures(8), ThinPlate(), "convs", metrics, block=4)
        waited.append(device.waits.total())
        brought.append(dict(transfers))
    assert waited[0] == waited[1] > 0
    assert brought[0]["cpu"] == brought[1]["cpu"] > 0
    assert brought[0] == brought[1]


def test_what_waits_is_counted():
    numbers = torch.arange(4.0)
    with Waiting() as device:
        bool(numbers.any())
        numbers[numbers > 1]
        numbers[torch.tensor([1, 2])]
        numbers.nonzero()
    assert device.waits == {"_local_scalar_dense": 1, "index": 1, "nonzero": 1}


def test_the_tallies_hear_what_each_metric_reads_of_their_layer():
    generator = torch.Generator().manual_seed(0)
    blocks = [Block(clean, 2 * clean + 1) for clean in torch.randn(3, 6, 5, generator=generator)]
    tallies = [[Tally(METRICS[name], 0) for name in ("cosine", "euclidean")] for _ in blocks]
    gathering = Gathering(None)
    for block, of_layer in zip(blocks, tallies, strict=True):
        for tally in of_layer:
            tally.begin(len(block))
        gathering.hear(block, of_layer)
    assert all(not tally.medians for of_layer in tallies for tally in of_layer)
    gathering.settle()
    for block, of_layer in zip(blocks, tallies, strict=True):
        for tally in of_layer:
            read = tally.metric.read(block)
            assert tally.distances[0].tolist() == read.own.values.tolist()
            assert read.unit is not None
            assert tally.medians == [np.median(read.unit.values.numpy())]
