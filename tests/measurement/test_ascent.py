"""The search for the worst deformations: its laws, closed forms, and a search over a grid."""

import math
from collections import OrderedDict
from functools import cache
from itertools import pairwise

import numpy as np
import pytest
import torch
from reference import distances as reference
from reference import grid_search
from torch import nn

from pliant._checks import InputError
from pliant.deform import (
    Affine,
    Circular,
    Elastic,
    Flow,
    MaxEntropy,
    Pose,
    Rotate,
    Sequence,
    ThinPlate,
    Translate,
    warp,
)
from pliant.measurement import measure, searching, worst_case
from pliant.measurement.climbing import apart
from pliant.metrics import Cosine, Euclidean, geometry

PLATE = ThinPlate(grid=3, reach=1.5)
FAMILIES = {
    "thin_plate": PLATE,
    "invertible": ThinPlate(grid=4, reach=4.0, invertible=True),
    "max_entropy": MaxEntropy(3, 1.5),
    "elastic": Elastic(6.0, 2.0),
    "pose": Pose(2.5, 6.0),
    "affine": Affine((-10, 10), (-1, 1), 0.5, (0.9, 1.2)),
    "whole": Translate(reach=3.0, whole=True),
    "sequence": Sequence((Rotate(reach=1.0), PLATE, Circular(2))),
}
METRICS = {"cosine": Cosine(), "euclidean": Euclidean()}


def pictures(n, size=16, seed=0):
    """Smooth images, no two alike."""
    coarse = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")


def small_net(inplace=True):
    generator = torch.Generator().manual_seed(0)
    model = nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 6, 3, padding=1),
            norm=nn.BatchNorm2d(6),
            relu=nn.ReLU(inplace=inplace),
            pool=nn.MaxPool2d(2),
            flat=nn.Flatten(),
            head=nn.Linear(6 * 64, 5),
        )
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.3 * torch.randn(parameter.shape, generator=generator))
        model.norm.weight.fill_(1.0)
    return model


@pytest.mark.parametrize(
    ("name", "metric"), [*((name, "cosine") for name in FAMILIES), ("thin_plate", "euclidean"), ("whole", "euclidean")]
)
def test_worst_is_no_less_than_the_best_draw_and_that_no_less_than_the_mean(name, metric):
    layers = ["norm", "head"]
    found = worst_case(
        small_net(),
        pictures(10),
        FAMILIES[name],
        budget=3,
        layers=layers,
        draws=3,
        metric=metric,
        block=8,
        replicates=200,
    )
    assert found.layers == ("norm", "head")
    for layer, parameters in found.parameters.items():
        assert torch.equal(FAMILIES[name].within(parameters, (16, 16)), parameters), layer
    assert (found.worst.distances >= found.best_of.distances).all()
    assert (found.best_of.distances >= found.random.distances).all()
    assert (found.random.distances > 0).all()
    for part in ("estimate", "low", "high"):
        assert (getattr(found.worst, part) >= getattr(found.best_of, part)).all()
        assert (getattr(found.best_of, part) >= getattr(found.random, part)).all()
    assert found.worst.estimate.mean() > found.best_of.estimate.mean()
    for profile in (found.random, found.best_of, found.worst):
        assert np.array_equal(profile.medians, found.worst.medians)
        assert (profile.low <= profile.estimate).all()
        assert (profile.estimate <= profile.high).all()


@pytest.mark.parametrize("name", ["sequence", "elastic", "whole"])
def test_the_spread_is_the_standard_deviation_over_the_draws_of_one_image(name, monkeypatch):
    monkeypatch.setattr(searching, "_SPREAD_OVER", 40)  # more than are drawn at a time
    drawn = [FAMILIES[name].parameters([0], (16, 16), 3, draw)[0].double().numpy() for draw in range(40)]
    found = searching._spread(FAMILIES[name], (16, 16), 3, torch.device("cpu"))
    np.testing.assert_allclose(found, np.std(drawn, axis=0), rtol=1e-5)


def test_what_does_not_vary_has_a_spread_of_0():
    fixed = Sequence((Flow(torch.full((2, 16, 16), 0.1)), Rotate(degrees=5), Translate(2.0)))
    found = searching._spread(fixed, (16, 16), 0, torch.device("cpu"))
    assert found.nonzero().flatten().tolist() == [519, 520]  # behind the flow and the rotation: along x and y


def test_random_and_best_are_those_of_measure():
    model, images = small_net(), pictures(9)
    found = worst_case(model, images, PLATE, budget=1, layers="all", draws=3, seed=5, block=4, replicates=20)
    draws = [measure(model, images, PLATE, seed=5, draw=draw, block=4, replicates=20) for draw in range(3)]
    each = np.stack([profile.distances[1:] for profile in draws])
    np.testing.assert_array_equal(found.best_of.distances, each.max(0))
    np.testing.assert_allclose(found.random.distances, each.mean(0), rtol=1e-12)
    np.testing.assert_array_equal(found.random.medians, draws[0].medians[1:])
    assert found.random.folds == pytest.approx(np.mean([profile.folds for profile in draws]))
    of_draws = [profile.provenance["displacement"]["rms"] for profile in draws]
    assert found.random.provenance["displacement"]["rms"] == pytest.approx(np.mean(of_draws))
    alone = worst_case(model, images, PLATE, budget=1, layers="conv", draws=1, seed=5, block=4, replicates=20)
    for name in ("estimate", "low", "high"):
        np.testing.assert_array_equal(getattr(alone.random, name), getattr(draws[0], name)[1:2])


@pytest.mark.parametrize("metric", METRICS)
def test_the_parameters_make_the_worst_distances(metric):
    model, images = small_net(), pictures(6)
    found = worst_case(model, images, PLATE, budget=4, layers=["conv", "output"], metric=metric, padding="border")
    model.eval()
    for upto, layer in ((1, "conv"), (6, "output")):
        deformed = found.deformed(layer, images)
        assert torch.equal(deformed, warp(images, found.field(layer), "border"))
        assert torch.equal(found.deformed(layer, images[[4, 1]], [4, 1]), deformed[[4, 1]])
        with torch.no_grad():
            x, y = (model[:upto](some).flatten(1).double().numpy() for some in (images, deformed))
        expected = [getattr(reference, metric)(a, b) for a, b in zip(x, y, strict=True)]
        np.testing.assert_allclose(found.worst.distances[found.layers.index(layer)], expected, rtol=1e-3)
    assert found.field("conv").size == (16, 16)
    assert not torch.equal(found.parameters["conv"], found.parameters["output"])


@pytest.mark.parametrize("name", ["thin_plate", "max_entropy", "elastic", "pose"])
def test_a_search_of_strength_0_returns_the_identity(name):
    member = FAMILIES[name]
    settings = {**member.describe(), member.strength: 0.0}
    settings.pop("family")
    images = pictures(6)
    found = worst_case(small_net(), images, type(member)(**settings), budget=3, layers="all", draws=2, replicates=0)
    for profile in (found.random, found.best_of, found.worst):
        assert not profile.estimate.any()
    assert torch.equal(found.deformed("head", images), images)


class Pixel(nn.Module):
    """Reads one pixel: what is moved there is all that counts."""

    def __init__(self, row, column):
        super().__init__()
        self.row, self.column = row, column

    def forward(self, x):
        return x[:, :, self.row, self.column]


def ramps(n, size):
    """Images that rise evenly, each in a direction of its own; and how much along x and along y."""
    rises = torch.randn(n, 2, generator=torch.Generator().manual_seed(1))
    y, x = torch.meshgrid(torch.arange(size[0]) - 8.0, torch.arange(size[1]) - 8.0, indexing="ij")
    return (rises[:, 0, None, None] * x + rises[:, 1, None, None] * y)[:, None], rises.double().numpy()


@pytest.mark.parametrize(
    ("deformation", "longest"),
    [
        (Translate(reach=2.0), 2.0),
        (Translate(reach=2.0, whole=True), 2.0),
        (ThinPlate(grid=3, reach=1.5), 1.5),
        (Elastic(2.0, 1.0), 2.0 * (1 - 2.0**-8)),
    ],
)
def test_on_a_ramp_each_axis_moves_as_far_as_it_may(deformation, longest):
    images, rises = ramps(12, (17, 17))
    found = worst_case(Pixel(8, 8), images, deformation, budget=20, metric="euclidean", padding="border", replicates=0)
    np.testing.assert_allclose(found.worst.distances[0], longest * np.abs(rises).sum(1), rtol=1e-3)
    assert (found.best_of.distances < found.worst.distances).any() or deformation.describe().get("whole")


def test_on_a_ramp_a_part_moves_along_the_rise():
    images, rises = ramps(12, (17, 17))
    found = worst_case(
        Pixel(8, 8), images, Pose(2.0, 40.0), budget=20, metric="euclidean", padding="border", replicates=0
    )
    np.testing.assert_allclose(found.worst.distances[0], 2.0 * np.hypot(*rises.T), rtol=0.01)


def test_on_a_ramp_a_sine_series_takes_the_place_in_its_ball_that_points_along_the_rise():
    size, row, column, cutoff = (17, 21), 5, 8, 3
    images, rises = ramps(12, size)
    found = worst_case(
        Pixel(row, column),
        images,
        MaxEntropy(cutoff, 0.5),
        budget=20,
        metric="euclidean",
        padding="border",
        replicates=0,
    )
    modes = [(i, j) for i in range(1, 4) for j in range(1, 4) if math.hypot(i, j) < cutoff + 0.5]
    waves = [math.sin(i * math.pi * column / 20) * math.sin(j * math.pi * row / 16) for i, j in modes]
    gain = math.sqrt(sum(wave**2 / (i * i + j * j) for wave, (i, j) in zip(waves, modes, strict=True)))
    amplitude = 2 * 0.5 / math.sqrt(math.pi * math.log(cutoff))
    quantile = 32.909490  # of chi-square with 12 degrees of freedom, 99.9%
    expected = amplitude * math.sqrt(quantile) * gain * np.hypot(*rises.T)
    np.testing.assert_allclose(found.worst.distances[0], expected, rtol=0.01)


@pytest.fixture(scope="module")
def turned():
    """What the small net answers to pictures turned by an angle, degrees; the same for every metric."""
    model, images = small_net().eval(), pictures(8)

    @cache
    def respond(degrees):
        with torch.no_grad():
            return model(warp(images, Rotate(degrees=degrees).sample(range(8), (16, 16)))).numpy()

    return respond


@pytest.mark.parametrize("metric", METRICS)
def test_no_angle_of_a_dense_grid_is_worse(metric, turned):
    rotation = Rotate(degrees=(-20, 20))
    found = worst_case(small_net(), pictures(8), rotation, budget=20, draws=16, metric=metric, replicates=0)
    grid = np.linspace(-20, 20, 161).tolist()
    expected = grid_search.largest(turned(0.0), turned, grid, getattr(reference, metric))
    np.testing.assert_allclose(found.worst.distances[0], expected, rtol=0.01)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_comes_back_as_it_was(fails):
    model = small_net().train()
    model.relu.eval()
    model.conv.bias.requires_grad_(False)
    model.head.weight.grad = torch.ones_like(model.head.weight)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.random.get_rng_state()

    def prepare(images):
        if fails and images.requires_grad:
            raise RuntimeError("no")
        return images

    images = pictures(6)
    given = images.clone()
    arguments = {"layers": "all", "preprocess": prepare, "batch_norm": "calibrated", "calibration": pictures(9, seed=5)}
    if fails:
        with pytest.raises(RuntimeError, match="^no$"):
            worst_case(model, images, PLATE, budget=2, **arguments)
    else:
        worst_case(model, images, PLATE, budget=2, **arguments)
    assert torch.equal(images, given)
    assert torch.equal(random, torch.random.get_rng_state())
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == [True, True, True, False, True, True, True]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert [name for name, parameter in model.named_parameters() if not parameter.requires_grad] == ["conv.bias"]
    assert [name for name, parameter in model.named_parameters() if parameter.grad is not None] == ["head.weight"]
    assert model.head.weight.grad.eq(1).all()


def test_how_many_gradients_are_held_at_a_time_makes_no_difference(monkeypatch):
    model, images = small_net().double(), pictures(7).double()
    whole = worst_case(model, images, PLATE, budget=4, layers=["norm", "head"], replicates=0)
    monkeypatch.setattr("pliant.measurement.searching._PIXELS", 3 * 16 * 16)
    parts = worst_case(model, images, PLATE, budget=4, layers=["norm", "head"], replicates=0)
    np.testing.assert_allclose(parts.worst.distances, whole.worst.distances, rtol=1e-5)


def test_batches_of_any_size_are_the_same_search():
    model, images = small_net(), pictures(9)
    whole = worst_case(model, images, PLATE, budget=2, block=4, replicates=20)
    parts = worst_case(model, [(images[:1], "label"), (images[1:], "label")], PLATE, budget=2, block=4, replicates=20)
    for kind in ("random", "best_of", "worst"):
        for name in ("distances", "low", "high"):
            np.testing.assert_array_equal(getattr(getattr(whole, kind), name), getattr(getattr(parts, kind), name))


def test_another_seed_is_another_search():
    model, images = small_net(), pictures(6)
    first = worst_case(model, images, PLATE, budget=2, replicates=0)
    again = worst_case(model, images, PLATE, budget=2, replicates=0)
    other = worst_case(model, images, PLATE, budget=2, replicates=0, seed=1)
    assert torch.equal(first.parameters["output"], again.parameters["output"])
    assert (first.random.distances != other.random.distances).all()
    assert (first.worst.distances != other.worst.distances).all()


def test_more_steps_and_more_draws_are_never_better_for_the_layer():
    model, images = small_net(), pictures(6)
    steps = [worst_case(model, images, PLATE, budget=budget, draws=2, replicates=0) for budget in (0, 1, 3, 8)]
    for few, many in pairwise(steps):
        assert (many.worst.distances >= few.worst.distances).all()
    np.testing.assert_array_equal(steps[0].worst.distances, steps[0].best_of.distances)
    assert steps[3].worst.estimate > 1.2 * steps[0].worst.estimate
    draws = [worst_case(model, images, PLATE, budget=0, draws=count, replicates=0) for count in (1, 4, 16)]
    for few, many in pairwise(draws):
        assert (many.best_of.distances >= few.best_of.distances).all()


@pytest.mark.parametrize("metric", METRICS)
def test_what_an_in_place_operation_overwrites_is_searched_all_the_same(metric):
    found = [
        worst_case(small_net(inplace), pictures(6), PLATE, budget=3, layers="norm", metric=metric, replicates=0)
        for inplace in (True, False)
    ]
    np.testing.assert_allclose(found[0].worst.distances, found[1].worst.distances, rtol=1e-6)
    assert found[0].worst.estimate > found[0].best_of.estimate


@pytest.mark.parametrize("metric", METRICS)
def test_distances_are_those_of_the_metric_and_their_gradients_are_right(metric):
    generator = torch.Generator().manual_seed(0)
    clean, deformed = (torch.randn(3, 2, 3, generator=generator) for _ in range(2))
    found = apart(METRICS[metric], clean, deformed)
    torch.testing.assert_close(found, METRICS[metric].paired(geometry(clean, deformed)), rtol=1e-6, atol=0)
    exact = deformed.double().requires_grad_()
    assert torch.autograd.gradcheck(lambda y: apart(METRICS[metric], clean.double(), y), exact)


@pytest.mark.parametrize("metric", METRICS)
def test_where_nothing_moves_the_distance_and_its_gradient_are_0(metric):
    clean = torch.randn(5, 12, generator=torch.Generator().manual_seed(0))
    same = clean.clone().requires_grad_()
    found = apart(METRICS[metric], clean, same)
    (gradient,) = torch.autograd.grad(found.sum(), same)
    assert not found.any()
    assert not gradient.any()


@pytest.mark.parametrize("deformation", [Flow(torch.ones(9, 2, 16, 16).cumsum(0) / 5), Rotate(degrees=5)])
def test_where_nothing_varies_the_three_agree(deformation):
    found = worst_case(small_net(), pictures(9), deformation, budget=5, draws=3)
    np.testing.assert_array_equal(found.worst.distances, found.best_of.distances)
    np.testing.assert_allclose(found.random.distances, found.worst.distances, rtol=1e-12)
    assert found.worst.estimate > 0


class Odd(nn.Module):
    """Layers without a distance, or without gradients, beside one that has both."""

    def __init__(self):
        super().__init__()
        self.good, self.last = nn.Conv2d(3, 4, 3), nn.Flatten()
        self.constant, self.nan, self.dead, self.steps = Constant(), Nan(), Dead(), Steps()

    def forward(self, x):
        y = self.good(x)
        self.constant(y), self.nan(y), self.dead(y), self.steps(y)
        return self.last(y)


class Constant(nn.Module):
    def forward(self, x):
        return torch.full_like(x, 3.3)


class Nan(nn.Module):
    def forward(self, x):
        y = x.clone()
        y[-1] = float("nan")
        return y


class Dead(nn.Module):
    def forward(self, x):
        y = x.clone()
        y[0] = 0
        return y


class Steps(nn.Module):
    def forward(self, x):
        return x.detach()


def test_undefined_layers_are_told_and_never_0():
    found = worst_case(Odd(), pictures(10), PLATE, budget=2, layers=["good", "constant", "nan", "dead"], replicates=0)
    for profile in (found.random, found.best_of, found.worst):
        assert profile.undefined == {
            "constant": "constant: the same for all images",
            "nan": "NaN or infinite activations",
            "dead": "zero for some images of a block: no direction, take euclidean",
        }
        assert np.isfinite(profile.estimate).tolist() == [True, False, False, False]
    table = found.to_pandas().set_index("layer")
    assert table.loc["nan", "undefined"] == "NaN or infinite activations"
    assert table.loc["good", "undefined"] == ""


def test_a_model_in_bf16():
    found = worst_case(small_net().bfloat16(), pictures(8), PLATE, budget=4, replicates=0)
    assert (found.worst.distances >= found.best_of.distances).all()
    assert found.worst.estimate > found.best_of.estimate
    assert found.worst.provenance["dtype"] == "bfloat16"


def test_inference_mode_changes_nothing():
    model, images = small_net(), pictures(6)
    plain = worst_case(model, images, PLATE, budget=2)
    with torch.inference_mode():
        inside = worst_case(model, images.clone(), PLATE, budget=2)
    np.testing.assert_array_equal(inside.worst.distances, plain.worst.distances)


def test_a_model_may_write_into_its_input():
    class Rude(nn.Module):
        def forward(self, x):
            return x.mul_(2.0)

    images = pictures(6)
    given = images.clone()
    found = worst_case(Rude(), images, PLATE, budget=2, replicates=0)
    assert torch.equal(images, given)
    assert found.worst.estimate > found.best_of.estimate


def test_what_a_number_depends_on_travels_with_it():
    done = []
    found = worst_case(
        small_net(), pictures(10), PLATE, budget=2, layers=["conv", "head"], draws=3, block=4, on_block=done.append
    )
    assert done == [4, 8, 10]
    assert found.protocol == {
        "metric": "cosine",
        "kind": "worst",
        "deformation": {"family": "thin_plate", "grid": 3, "reach": 1.5},
        "draws": 3,
        "budget": 2,
        "padding": "zeros",
        "batch_norm": "as_is",
        "calibration": 0,
        "block": 4,
        "images": 10,
        "image_shape": [3, 16, 16],
        "seed": 0,
        "replicates": 1000,
        "level": 0.95,
    }
    assert found.best_of.quantity == "sensitivity, best of 3 draws"
    assert found.parameters["conv"].shape == (10, 2, 9)
    table = found.to_pandas()
    assert table.columns.tolist() == [
        *("layer", "metric", "n"),
        *(
            f"{kind}{part}"
            for kind in ("random", "best_of", "worst")
            for part in ("", "_low", "_high", "_rms", "_folds")
        ),
        "undefined",
    ]
    assert table["layer"].tolist() == ["conv", "head"]
    np.testing.assert_array_equal(table["worst_high"], found.worst.high)


def test_how_far_and_how_folded_the_deformations_of_each_kind_are():
    wild = ThinPlate(grid=4, reach=4.0)
    images = pictures(9)
    found = worst_case(
        small_net(), images, wild, budget=6, layers=["conv", "head"], draws=3, block=4, seed=2, replicates=0
    )
    drawn = [wild.sample(range(9), (16, 16), seed=2, draw=draw) for draw in range(3)]
    for place, layer in enumerate(found.layers):
        worst = found.field(layer)
        assert found.rms["worst"][place] == pytest.approx(float(worst.rms.mean()), rel=1e-5)
        assert found.folds["worst"][place] == pytest.approx(float(worst.folds.mean()), abs=1e-7)
        assert found.rms["random"][place] == pytest.approx(np.mean([float(field.rms.mean()) for field in drawn]))
        assert found.folds["random"][place] == pytest.approx(np.mean([float(field.folds.mean()) for field in drawn]))
    best = worst_case(
        small_net(), images, wild, budget=0, layers=["conv", "head"], draws=3, block=4, seed=2, replicates=0
    )
    for place, layer in enumerate(found.layers):
        assert found.rms["best_of"][place] == pytest.approx(float(best.field(layer).rms.mean()), rel=1e-5)
        assert found.folds["best_of"][place] == pytest.approx(float(best.field(layer).folds.mean()), abs=1e-7)
    assert (found.rms["worst"] > found.rms["random"]).all()
    assert (found.folds["worst"] > 0).all()
    table = found.to_pandas()
    np.testing.assert_array_equal(table["best_of_rms"], found.rms["best_of"])
    np.testing.assert_array_equal(table["worst_folds"], found.folds["worst"])


def test_worst_deformations_that_fold_are_refused_if_asked_for():
    model, images, plate = small_net(), pictures(9), ThinPlate(grid=4, reach=1.8)
    found = worst_case(model, images, plate, budget=6, draws=1, block=4, replicates=0)
    folds = found.field("output").folds
    first = int(folds.nonzero()[0])
    assert found.random.folds == 0
    assert folds.any()
    start = first // 4 * 4
    told = start + int(folds[start : start + 4].argmax())
    with pytest.raises(InputError) as error:
        worst_case(model, images, plate, budget=6, draws=1, block=4, replicates=0, refuse_folds=True)
    assert str(error.value) == (
        f"the worst deformation for layer 'output' of image {told} folds at {float(folds[told]):.1%} of its pixels: "
        "lower the reach or the grid, or allow folds"
    )
    calm = worst_case(model, images, ThinPlate(reach=0.5), budget=2, replicates=0, refuse_folds=True)
    assert not calm.folds["worst"].any()


@pytest.mark.parametrize("images", [pictures(6), (pictures(6).sigmoid() * 255).to(torch.uint8)])
def test_without_a_budget_any_family_and_any_images_will_do(images):
    class Eyes(nn.Module):
        def forward(self, x):
            return x.float()

    found = worst_case(Eyes(), images, Circular(3), budget=0, draws=4, replicates=0)
    np.testing.assert_array_equal(found.worst.distances, found.best_of.distances)
    assert (found.best_of.distances > found.random.distances).all()


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("images", "arguments", "message"),
    [
        (
            pictures(4),
            {"metric": "relative_stability"},
            "metric='relative_stability': the worst case is that of a distance, give 'cosine' or 'euclidean'",
        ),
        (pictures(4), {"metric": "cosin"}, "unknown metric 'cosin'. Did you mean 'cosine'?"),
        (pictures(4), {"draws": 0}, "draws=0: the search starts from 1 random deformation at least"),
        (pictures(4), {"budget": -1}, "budget=-1: a number of steps, 0 for the best of the draws alone"),
        (pictures(4), {"block": 1}, "block=1: a block needs at least 2 images"),
        (pictures(4), {"level": 1.0}, "replicates=1000, level=1.0: no such interval"),
        (pictures(1), {}, "1 images: a median over pairs needs at least 2"),
        (
            pictures(4),
            {"deformation": Sequence((Circular(3),))},
            "sequence: its fields jump where its parameters change, so that no gradient leads to them; choose another "
            "family, or budget=0 for the best of the draws alone",
        ),
        (
            torch.zeros(4, 3, 16, 16, dtype=torch.uint8),
            {},
            "images of uint8 carry no gradients: give images of floating point, or budget=0 for the best of the draws "
            "alone",
        ),
        (
            pictures(4),
            {"layers": "steps"},
            "no gradient leads from layer 'steps' back to the images: choose another layer, or budget=0 for the best "
            "of the draws alone",
        ),
        (
            pictures(4),
            {"layers": "goood"},
            "unknown layer 'goood'. Did you mean 'good'? `pliant layers NAME` lists them.",
        ),
        (
            [pictures(2), pictures(2, size=12)],
            {"block": 2},
            "images of different sizes, (3, 16, 16) and (3, 12, 12): bring them to one size first",
        ),
    ],
)
def test_bad_input(images, arguments, message):
    with pytest.raises(InputError) as error:
        worst_case(Odd(), images, **{"deformation": PLATE, "budget": 2, **arguments})
    assert str(error.value) == message


def test_an_unknown_layer_of_what_was_found():
    found = worst_case(small_net(), pictures(4), PLATE, budget=1, layers="conv", replicates=0)
    with pytest.raises(InputError) as error:
        found.field("cnv")
    assert str(error.value) == "unknown layer 'cnv'. Did you mean 'conv'?"
