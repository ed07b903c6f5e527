import copy
import random

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pliant._checks import InputError
from pliant.deform import ThinPlate
from pliant.measurement import Watch, logarithmic, measure, measure_each

PLATE = ThinPlate(grid=3, reach=2.0)


def pictures(n, size=12, seed=0):
    coarse = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")


def net():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 6, 3), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(600, 4)
        )


def train(model, watch=None, steps=6):
    """A loop whose batches, dropout and flips come from the global generators; returns the steps that were measured."""
    torch.manual_seed(1)
    random.seed(1)
    images, labels = pictures(24, seed=5), torch.arange(24) % 4
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    measured = [] if watch is None or watch(model, 0) is None else [0]
    for step in range(1, steps + 1):
        some = torch.randperm(24)[:8]
        batch = images[some].flip(3) if random.random() < 0.5 else images[some]
        optimiser.zero_grad()
        nn.functional.cross_entropy(model(batch), labels[some]).backward()
        optimiser.step()
        if watch is not None and watch(model, step) is not None:
            measured.append(step)
    return measured


@pytest.mark.parametrize(
    ("per_doubling", "expected"),
    [
        (1, [0, 1, 2, 4, 8, 16, 32]),
        (2, [0, 1, 2, 3, 4, 6, 8, 11, 16, 23, 32]),
        (3, [0, 1, 2, 3, 4, 5, 6, 8, 10, 13, 16, 20, 25, 32]),
    ],
)
def test_the_grid(per_doubling, expected):
    assert logarithmic(32, per_doubling) == expected
    for last in range(33):
        assert logarithmic(last, per_doubling) == [step for step in expected if step <= last]


def test_the_grid_is_even_on_a_logarithmic_axis():
    steps = np.array(logarithmic(1 << 20, 4)[40:])
    np.testing.assert_allclose(np.diff(np.log2(steps)), 0.25, atol=0.01)


UNCHECKED = pytest.mark.usefixtures("unchecked")  # checking signatures draws from Python's global generator


@UNCHECKED
@pytest.mark.parametrize("batch_norm", ["as_is", "calibrated"])
def test_weights_end_the_same_to_the_bit_with_and_without(batch_norm):
    plain, watched = net(), net()
    train(plain)
    loader = DataLoader(TensorDataset(pictures(10)), batch_size=4, shuffle=True)
    watch = Watch(loader, PLATE, batch_norm=batch_norm, calibration=pictures(9, seed=3), replicates=20)
    assert train(watched, watch) == [0, 1, 2, 4]
    for name, value in plain.state_dict().items():
        assert torch.equal(value, watched.state_dict()[name]), name


@pytest.mark.parametrize(
    "disturb", [lambda model: model.eval(), lambda model: torch.rand(1), lambda _: random.random()]
)
def test_what_disturbs_a_training_would_be_seen(disturb):
    plain, disturbed = net(), net()
    train(plain)
    train(disturbed, lambda model, step: disturb(model) and None)
    assert not torch.equal(plain[5].weight, disturbed[5].weight)


class Noisy(nn.Module):
    """Draws from every global generator, in eval mode too."""

    def forward(self, x):
        return x + torch.randn(1) + np.random.rand() + random.random()  # noqa: NPY002


@UNCHECKED
@pytest.mark.parametrize("fails", [False, True])
def test_everything_of_the_model_and_the_generators_comes_back(fails):
    model = nn.Sequential(net(), Noisy()).train()
    model[0][2].eval()
    model[0][0].weight.requires_grad_(False)
    for parameter in model.parameters():
        parameter.grad = torch.randn(parameter.shape)
    grads = [parameter.grad.clone() for parameter in model.parameters()]
    before = copy.deepcopy(model)
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002
    watch = Watch(pictures(6), PLATE, layers="nothing" if fails else "all", replicates=0)
    if fails:
        with pytest.raises(InputError, match="^unknown layer 'nothing'"):
            watch(model, 0)
    else:
        watch(model, 0)
    for (name, now), (_, was) in zip(model.named_parameters(), before.named_parameters(), strict=True):
        assert torch.equal(now, was), name
        assert now.requires_grad == was.requires_grad
    assert all(torch.equal(now.grad, was) for now, was in zip(model.parameters(), grads, strict=True))
    assert all(torch.equal(now, was) for now, was in zip(model.buffers(), before.buffers(), strict=True))
    assert [module.training for module in model.modules()] == [module.training for module in before.modules()]
    assert torch.equal(torch.get_rng_state(), states[0])
    assert random.getstate() == states[1]
    np.testing.assert_array_equal(np.random.get_state()[1], states[2])  # noqa: NPY002


def test_a_measurement_is_that_of_measure():
    model, images = net(), pictures(10)
    found = Watch(images, PLATE, "0", "euclidean", 3, padding="border", replicates=50)(model, 0)
    alone = measure(model, images, PLATE, "0", "euclidean", 3, padding="border", replicates=50)
    assert found.protocol == alone.protocol
    for name in ("estimate", "low", "high", "distances", "replicates"):
        np.testing.assert_array_equal(getattr(found, name), getattr(alone, name))


def test_several_metrics():
    model, images, names = net(), pictures(10), ("cosine", "relative_stability")
    watch = Watch(images, PLATE, "blocks", metric=names, replicates=0)
    found = watch(model, 1)
    alone = measure_each(model, images, PLATE, "blocks", names, replicates=0)
    assert list(found) == list(names)
    for name in names:
        np.testing.assert_array_equal(found[name].estimate, alone[name].estimate)
    table = watch.to_pandas()
    assert table["metric"].tolist() == ["cosine", "cosine", "relative_stability", "relative_stability"]


def test_the_table_holds_every_step():
    model, watch = net(), Watch(pictures(8), PLATE, "blocks", replicates=20, per_doubling=2)
    train(model, watch)
    assert list(watch.profiles) == [0, 1, 2, 3, 4, 6]
    table = watch.to_pandas()
    assert list(table.columns) == ["step", *watch.profiles[0].to_pandas().columns]
    assert table["step"].tolist() == [step for step in (0, 1, 2, 3, 4, 6) for _ in range(2)]
    last = table[table["step"] == 6].drop(columns="step").reset_index(drop=True)
    pd.testing.assert_frame_equal(last, watch.profiles[6].to_pandas())
    assert table.groupby("layer")["estimate"].nunique().to_dict() == {"2": 6, "input": 1}


def test_a_loop_that_comes_by_seldom_is_measured_behind_each_step_of_the_grid():
    model, watch = net(), Watch(pictures(4), PLATE, "0", replicates=0)
    assert [step for step in range(10, 301, 10) if watch(model, step) is not None] == [10, 20, 40, 70, 130, 260]


def test_a_step_is_measured_once_and_at_any_time_when_told():
    model, watch = net(), Watch(pictures(4), PLATE, "0", replicates=0)
    assert watch(model, 4) is not None
    assert watch(model, 4) is None
    assert watch(model, 6) is None
    assert watch.measure(model, 6) is watch.profiles[6]


def test_images_are_read_once():
    passes = []

    def batches():
        passes.append(1)
        yield from pictures(8).split(3)

    model, watch = net(), Watch(batches(), PLATE, "0", replicates=0)
    first, second = watch.measure(model, 0), watch.measure(model, 1)
    np.testing.assert_array_equal(first.distances, second.distances)
    assert len(passes) == 1
    assert first.images == 8


@pytest.mark.parametrize("metric", ["cosine", ["cosine", "euclidean"]])
def test_it_goes_on_from_its_state(metric, tmp_path):
    model, watch = net(), Watch(pictures(6), PLATE, "0", metric=metric, replicates=20)
    train(model, watch)
    torch.save(watch.state_dict(), tmp_path / "state.pt")
    again = Watch(pictures(6), PLATE, "0", metric=metric, replicates=20)
    again.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    pd.testing.assert_frame_equal(again.to_pandas(), watch.to_pandas())
    assert type(again.profiles[4]) is type(watch.profiles[4])
    assert again(model, 7) is None
    assert again(model, 8) is not None
    other = Watch(pictures(6), PLATE, "0", metric="correlation")
    with pytest.raises(InputError) as error:
        other.load_state_dict(watch.state_dict())
    names = [metric] if isinstance(metric, str) else metric
    assert str(error.value) == (
        f"the state holds the metrics {names}, this watch measures ['correlation']: make it alike"
    )


@pytest.mark.parametrize(
    ("images", "arguments", "other"),
    [
        (pictures(6), {"seed": 1}, "seed (1 there, 0 here)"),
        (pictures(6), {"padding": "border"}, "padding ('border' there, 'zeros' here)"),
        (pictures(6), {"block": 4}, "block (4 there, 128 here)"),
        (pictures(6), {"layers": ["1"]}, "layers (['1'] there, '0' here)"),
        (pictures(6), {"batch_norm": "untouched"}, "batch_norm ('untouched' there, 'as_is' here)"),
        (pictures(7), {}, "images (7 there, 6 here)"),
        (
            pictures(6),
            {"deformation": ThinPlate(grid=3, reach=1.0), "draw": 2},
            "deformation ({'family': 'thin_plate', 'grid': 3, 'reach': 1.0} there, "
            f"{PLATE.describe()!r} here), draw (2 there, 0 here)",
        ),
    ],
)
def test_what_was_measured_otherwise_is_no_state_to_go_on_from(images, arguments, other):
    watch = Watch(images, **{"deformation": PLATE, "layers": "0", "replicates": 0, **arguments})
    watch(net(), 0)
    again = Watch(pictures(6), PLATE, "0", replicates=0)
    before = again(net(), 0)
    with pytest.raises(InputError) as error:
        again.load_state_dict(watch.state_dict())
    assert str(error.value) == (
        f"the state was measured with another {other}: its numbers do not compare with those of this watch, make it "
        "alike"
    )
    assert again.profiles == {0: before}


def test_a_loader_that_shuffles_leaves_the_global_generator_alone():
    state = torch.get_rng_state()
    Watch(DataLoader(TensorDataset(pictures(6)), batch_size=2, shuffle=True))
    assert torch.equal(torch.get_rng_state(), state)
    next(iter(DataLoader(TensorDataset(pictures(6)), batch_size=2, shuffle=True)))
    assert not torch.equal(torch.get_rng_state(), state)  # must fail


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Watch([]), "0 images: a median over pairs needs at least 2"),
        (lambda: Watch(pictures(1)), "1 images: a median over pairs needs at least 2"),
        (
            lambda: Watch([pictures(2), pictures(2, size=8)]),
            "images of different sizes, [(3, 8, 8), (3, 12, 12)]: bring them to one size first",
        ),
        (
            lambda: Watch(pictures(2), per_doubling=0),
            "per_doubling=0: steps from one power of two to the next, 1 or more",
        ),
        (
            lambda: Watch(pictures(2))(net(), -1),
            "step=-1: steps are counted from 0, the model before training",
        ),
        (
            lambda: Watch(pictures(2)).measure(net(), -1),
            "step=-1: steps are counted from 0, the model before training",
        ),
        (
            lambda: Watch(pictures(2)).to_pandas(),
            "nothing has been measured: call watch(model, 0) before the first step",
        ),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message
