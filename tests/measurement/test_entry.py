import numpy as np
import pytest
import torch
from torch import nn

import pliant
from pliant._checks import InputError
from pliant.measurement.entry import OWN
from pliant.measurement.naming import ELSEWHERE
from pliant.metrics import total_variation

IMAGES = torch.rand(8, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LABELS = torch.arange(8) % 3


@pytest.fixture
def model():
    generator = torch.Generator().manual_seed(1)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3))
    for parameter in net.parameters():
        nn.init.normal_(parameter, generator=generator)
    return net


def test_every_metric_that_names_a_function_is_measured_by_it(model):
    plate = pliant.ThinPlate(3, 1.0)
    found = pliant.measure(
        model, IMAGES, plate, metric="accuracy_under", seed=3, replicates=20, labels=LABELS, strengths=(0, 2)
    )
    other = pliant.accuracy_under(model, IMAGES, LABELS, plate, 3, replicates=20, strengths=(0, 2))
    np.testing.assert_array_equal(found.correct, other.correct)
    found = pliant.measure(model, IMAGES, metric="shift_consistency", seed=3, pairs=2)
    assert found.interval == pliant.shift_consistency(model, IMAGES, 3, pairs=2).interval
    found = pliant.measure(model, IMAGES, layers="convs", metric="shift_map", largest=2)
    np.testing.assert_array_equal(found.distance, pliant.shift_map(model, IMAGES, "convs", largest=2).distance)
    found = pliant.measure(model, IMAGES, plate, "convs", "channel_pooling", 3)
    np.testing.assert_array_equal(found.ratio, pliant.channel_pooling(model, IMAGES, plate, "convs", seed=3).ratio)
    assert OWN.keys() - {"total_variation", "laplacian_spectrum"} == ELSEWHERE.keys() - {"worst_case"}


def test_filters_are_measured_without_a_look_at_the_images(model):
    table = pliant.measure(model, iter(()), metric="total_variation")
    assert table["layer"].tolist() == ["0", "1"]
    assert table["filters"].tolist() == [12, 16]
    expected = [total_variation(model[i].weight).item() for i in (0, 1)]
    assert table["value"].tolist() == pytest.approx(expected)
    table = pliant.measure(model, iter(()), metric="laplacian_spectrum")
    assert len(table) == 2 * 9
    of_first = table[table["layer"] == "0"]
    assert of_first["eigenvalue"].tolist() == pytest.approx([0, 1, 1, 2, 3, 3, 4, 4, 6])
    assert of_first["energy"].sum() == pytest.approx(model[0].weight.square().sum().item(), rel=1e-5)


@pytest.mark.parametrize(
    ("metric", "given", "said"),
    [
        ("cosine", {"pairs": 2}, "unexpected keyword argument 'pairs'"),
        ("accuracy_under", {"pairs": 2}, "unexpected keyword argument 'pairs'"),
        ("shift_map", {"deformation": pliant.ThinPlate(3, 1.0)}, "^metric='shift_map' takes no deformation: leave"),
        ("shift_consistency", {"layers": "convs"}, "^metric='shift_consistency' takes no layers: leave it out$"),
    ],
)
def test_what_a_metric_does_not_take_is_refused(model, metric, given, said):
    with pytest.raises((TypeError, InputError), match=said):
        pliant.measure(model, IMAGES, metric=metric, **given)


def test_what_is_given_as_it_is_by_default_is_as_if_left_out(model):
    same = {"deformation": pliant.ThinPlate(), "layers": "".join(["a", "ll"]), "seed": 0}
    found = pliant.measure(model, IMAGES, metric="shift_consistency", **same)
    assert found.interval == pliant.shift_consistency(model, IMAGES).interval
