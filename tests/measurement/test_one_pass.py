import weakref
from collections import OrderedDict

import numpy as np
import pytest
import torch
from reference import distances as reference
from torch import nn

from pliant._checks import InputError
from pliant.deform import ThinPlate, warp
from pliant.measurement import measure, measure_each
from pliant.profile import Profile

PLATE = ThinPlate(grid=3, reach=2.0)


def pictures(n, channels=3, size=16, seed=0):
    """Smooth images, no two alike."""
    coarse = torch.randn(n, channels, 4, 4, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")


def small_net(seed=0):
    generator = torch.Generator().manual_seed(seed)
    model = nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(3, 6, 3, padding=1),
            norm=nn.BatchNorm2d(6),
            relu=nn.ReLU(inplace=True),
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


def activations(model, images, upto):
    """What the first `upto` modules put out, without any hook."""
    model.eval()
    with torch.no_grad():
        return model[:upto](images).numpy()


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
@pytest.mark.parametrize(("count", "block"), [(12, 128), (20, 8), (17, 8), (9, 4)])
def test_equals_the_statistic_written_out(metric, count, block):
    model, images = small_net(), pictures(count)
    profile = measure(model, images, PLATE, layers="all", metric=metric, block=block, seed=3, replicates=50)
    assert profile.layers == ("input", "conv", "norm", "relu", "pool", "head")
    deformed = warp(images, PLATE.sample(range(count), (16, 16), seed=3))
    for index, upto in enumerate((0, 1, 2, 3, 4, 6)):
        expected = reference.sensitivity(
            activations(model, images, upto), activations(model, deformed, upto), getattr(reference, metric), block
        )
        assert profile.estimate[index] == pytest.approx(expected, rel=1e-4)
    assert profile.images == count
    assert profile.medians.shape == (6, -(-count // block))


def test_batches_of_any_size_are_the_same_measurement():
    model, images = small_net(), pictures(30)
    whole = measure(model, images, PLATE, block=8)
    batches = [(images[:1], "label"), (images[1:20], "label"), (images[20:], "label")]
    parts = measure(model, batches, PLATE, block=8)
    assert np.array_equal(whole.distances, parts.distances)
    assert np.array_equal(whole.low, parts.low)


def test_no_deformation_is_no_sensitivity():
    profile = measure(small_net(), pictures(10), ThinPlate(reach=0))
    assert profile.estimate.tolist() == [0.0] * 6
    assert profile.folds == 0


def test_another_seed_or_draw_deforms_differently():
    model, images = small_net(), pictures(10)
    first = measure(model, images, PLATE, seed=0)
    assert np.array_equal(first.distances, measure(model, images, PLATE, seed=0).distances)
    for change in ({"seed": 1}, {"draw": 1}):
        assert (first.distances != measure(model, images, PLATE, **change).distances).all()


def test_intervals_hold_the_estimate_and_narrow_with_the_number_of_images():
    few, many = (measure(small_net(), pictures(n), PLATE, layers="all") for n in (20, 320))
    for profile in (few, many):
        assert (profile.low < profile.estimate).all()
        assert (profile.estimate < profile.high).all()
    assert ((many.high - many.low) < 0.6 * (few.high - few.low)).all()


@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("protocol", ["as_is", "untouched", "calibrated"])
def test_the_model_comes_back_as_it_was(protocol, fails):
    model = small_net().train()
    model.relu.eval()
    model.norm.running_mean.fill_(0.5)
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def prepare(images):
        if fails and len(images) > 10:
            raise RuntimeError("no")
        return images

    arguments = {"batch_norm": protocol, "calibration": pictures(9, seed=5), "preprocess": prepare}
    if fails:
        with pytest.raises(RuntimeError, match="^no$"):
            measure(model, pictures(12), PLATE, **arguments)
    else:
        measure(model, pictures(12), PLATE, **arguments)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == [True, True, True, False, True, True, True]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_batch_norm_protocols_differ_and_as_is_uses_the_models_own_statistics():
    model, images = small_net(), pictures(12)
    model.norm.running_mean.copy_(torch.linspace(-1, 1, 6))
    model.norm.running_var.fill_(0.2)
    found = {
        protocol: measure(model, images, PLATE, "relu", batch_norm=protocol, calibration=pictures(40, seed=1))
        for protocol in ("as_is", "untouched", "calibrated")
    }
    assert len({profile["relu"].estimate for profile in found.values()}) == 3
    deformed = warp(images, PLATE.sample(range(12), (16, 16)))
    expected = reference.sensitivity(
        activations(model, images, 3), activations(model, deformed, 3), reference.cosine, 128
    )
    assert found["as_is"]["relu"].estimate == pytest.approx(expected, rel=1e-4)
    assert found["calibrated"].protocol["calibration"] == 40
    assert found["as_is"].protocol["calibration"] == 0


def test_a_model_in_bf16():
    model, images = small_net(), pictures(40)
    exact = measure(model, images, PLATE)
    coarse = measure(small_net().bfloat16(), images, PLATE)
    np.testing.assert_allclose(coarse.estimate, exact.estimate, rtol=0.05)
    assert coarse.provenance["dtype"] == "bfloat16"


def test_tokens_dicts_and_reused_modules():
    class Odd(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Conv2d(3, 8, 4, stride=4)
            self.mix = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
            self.relu = nn.ReLU(inplace=True)
            self.pack = Pack()

        def forward(self, x):
            tokens = self.embed(x).flatten(2).transpose(1, 2)
            return self.pack(self.relu(self.mix(self.relu(tokens))))

    class Pack(nn.Module):
        def forward(self, tokens):
            return {"mean": tokens.mean(1), "all": (tokens, 1)}

    profile = measure(Odd(), pictures(10), PLATE, layers=["embed", "relu", "pack"])
    assert profile.layers == ("input", "embed", "relu", "relu#2", "pack[mean]", "pack[all][0]")
    assert np.isfinite(profile.estimate).all()


class Zero(nn.Module):
    def forward(self, x):
        return torch.zeros_like(x)


class Broken(nn.Module):
    """Layers without a sensitivity, beside one that has it."""

    def __init__(self):
        super().__init__()
        self.good = nn.Conv2d(3, 4, 3)
        self.constant, self.nan, self.dead, self.last = Constant(), Nan(), Dead(), nn.Flatten()

    def forward(self, x):
        y = self.good(x)
        self.constant(y), self.nan(y), self.dead(y)
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


def test_undefined_layers_are_told_and_never_0():
    profile = measure(Broken(), pictures(10), PLATE, layers=["good", "constant", "nan", "dead"])
    assert profile.undefined == {
        "constant": "constant: the same for all images",
        "nan": "NaN or infinite activations",
        "dead": "zero for some images of a block: no direction, take euclidean",
    }
    assert np.isfinite(profile.estimate).tolist() == [True, True, False, False, False]
    assert np.isfinite(profile.replicates).all(axis=1).tolist() == [True, True, False, False, False]
    zero = measure(Zero(), pictures(10), PLATE, layers=["output"])
    assert zero.undefined == {"output": "zero for all images of a block: no direction, take euclidean"}
    euclidean = measure(Broken(), pictures(10), PLATE, layers=["dead"], metric="euclidean")
    assert euclidean.undefined == {}


def test_a_layer_that_breaks_in_a_later_block_is_undefined():
    class Late(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Identity()
            self.blocks = -1  # one pass goes before, to find the layers

        def forward(self, x):
            self.blocks += 1
            return self.layer(x / (0.0 if self.blocks == 2 else 1.0))

    profile = measure(Late(), pictures(20), PLATE, layers=["layer"], block=8)
    assert profile.undefined == {"layer": "NaN or infinite activations"}


def test_a_last_block_of_equal_images_spoils_nothing():
    images = pictures(10)[[*range(9), 8]]
    profile = measure(small_net(), images, PLATE, layers=["conv"], block=8)
    assert profile.undefined == {}
    assert profile.medians[1, 0] > 0
    assert profile.medians[1, 1] == 0


def test_too_few_images_have_no_interval():
    profile = measure(small_net(), pictures(2), PLATE, layers=["conv"])
    assert np.isfinite(profile.estimate).all()
    assert np.isnan(profile.low).all()
    four, five = (
        [measure(small_net(), pictures(n), PLATE, layers=["conv"], seed=seed, replicates=100) for seed in range(8)]
        for n in (4, 5)
    )
    assert np.isnan([profile.low for profile in four]).all()
    assert np.isfinite([profile.low for profile in five]).all()
    assert np.isnan(four[0].minus(four[0]).low).all()


def test_inference_mode_changes_nothing():
    model, images = small_net(), pictures(12)
    plain = measure(model, images, PLATE)
    with torch.inference_mode():
        inside = measure(model, images.clone(), PLATE)
    assert inside.layers == plain.layers
    assert np.array_equal(inside.distances, plain.distances)


def test_images_that_the_model_does_not_take_are_told():
    with pytest.raises(InputError) as error:
        measure(small_net(), pictures(4, size=20), PLATE)
    assert str(error.value).startswith(
        "the model does not take images of (3, 20, 20), float32: check their size, channels and type; a model of grey "
        "images in a file needs one --mean and one --std (RuntimeError: "
    )


def test_images_that_coincide_have_no_unit():
    images = pictures(2)[[0] * 8 + [1] * 2]
    profile = measure(small_net(), images, PLATE, layers=["conv"])
    assert profile.undefined["conv"] == "at least half of the pairs of images coincide"


def test_uint8_images_are_deformed_and_fed_as_they_are():
    class Eyes(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Identity()

        def forward(self, x):
            assert x.dtype == torch.uint8
            return self.scale(x.float())

    images = (pictures(10).sigmoid() * 255).to(torch.uint8)
    profile = measure(Eyes(), images, PLATE, layers=["scale"])
    assert profile["scale"].estimate == pytest.approx(profile["input"].estimate)


def test_what_a_number_depends_on_travels_with_it(tmp_path):
    profile = measure(small_net(), pictures(20), PLATE, padding="border", block=8, seed=4, level=0.9)
    assert profile.protocol == {
        "metric": "cosine",
        "deformation": {"family": "thin_plate", "grid": 3, "reach": 2.0},
        "padding": "border",
        "batch_norm": "as_is",
        "calibration": 0,
        "block": 8,
        "images": 20,
        "image_shape": [3, 16, 16],
        "seed": 4,
        "draw": 0,
        "replicates": 1000,
        "level": 0.9,
    }
    assert profile.provenance["versions"]["torch"] == torch.__version__.partition("+")[0]
    again = Profile.load(profile.save(tmp_path / "profile"))
    for name in ("estimate", "low", "high", "distances", "medians"):
        assert np.array_equal(getattr(profile, name), getattr(again, name))
    for name in ("layers", "metric", "undefined", "level", "folds", "protocol", "provenance", "images"):
        assert getattr(profile, name) == getattr(again, name)


def test_folds_are_reported_and_can_be_refused():
    wild = ThinPlate(grid=5, reach=12.0)
    assert measure(small_net(), pictures(6), wild).folds > 0.05
    with pytest.raises(InputError) as error:
        measure(small_net(), pictures(6), wild, refuse_folds=True)
    assert str(error.value).startswith("the deformation of image ")
    assert str(error.value).endswith(" of its pixels: lower the reach or the grid, or allow folds")


def test_a_compiled_model_is_measured_by_its_own_layers():
    model = small_net()
    compiled = torch.compile(model, backend="eager")
    assert measure(compiled, pictures(6), PLATE).layers == measure(model, pictures(6), PLATE).layers


class Wandering(nn.Module):
    """Takes another path from the second pass on."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.passes = nn.Identity(), nn.Identity(), 0

    def forward(self, x):
        self.passes += 1
        return self.a(x) if self.passes == 1 else self.b(x)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("model", "images", "arguments", "message"),
    [
        (small_net(), pictures(1), {}, "1 images: a median over pairs needs at least 2"),
        (small_net(), [], {}, "0 images: a median over pairs needs at least 2"),
        (small_net(), pictures(4)[0], {}, "images have the shape (n, c, h, w), got (3, 16, 16)"),
        (
            small_net(),
            [pictures(2), pictures(2, size=12)],
            {},
            "images of different sizes, [(3, 12, 12), (3, 16, 16)]: bring them to one size first",
        ),
        (
            small_net(),
            [pictures(2), pictures(2, size=12)],
            {"block": 2},
            "images of different sizes, (3, 16, 16) and (3, 12, 12): bring them to one size first",
        ),
        (
            small_net(),
            pictures(4),
            {"metric": "cosin"},
            "unknown metric 'cosin'. Did you mean 'cosine', 'consistency' or 'correlation'?",
        ),
        (small_net(), pictures(4), {"block": 1}, "block=1: a block needs at least 2 images"),
        (small_net(), pictures(4), {"level": 1.0}, "replicates=1000, level=1.0: no such interval"),
        (
            small_net(),
            pictures(4),
            {"layers": "convv"},
            "unknown layer 'convv'. Did you mean 'conv' or 'convs'? `pliant layers NAME` lists them.",
        ),
        (
            Wandering(),
            pictures(4),
            {"layers": "a"},
            "layers ['a'] did not run on every block: the model's path depends on its input",
        ),
    ],
)
def test_bad_input(model, images, arguments, message):
    with pytest.raises(InputError) as error:
        measure(model, images, PLATE, **arguments)
    assert str(error.value) == message


def test_no_block_outlives_its_turn():
    given, alive = [], []

    def batches():
        for number in range(4):
            batch = pictures(4, seed=number)
            given.append(weakref.ref(batch))
            yield batch
            del batch
            alive.append(sum(block() is not None for block in given))

    measure(small_net(), batches(), PLATE, block=4)
    assert alive == [1, 1, 1, 1]  # the batch that was asked for last, held until the next one comes


def test_several_metrics_share_a_pass_and_are_the_numbers_of_each_alone():
    model, images, seen = small_net(), pictures(20), []
    model.register_forward_hook(lambda *_: seen.append(1))
    together = measure_each(model, images, PLATE, metrics=("euclidean", "cosine"), block=8, replicates=50)
    passes = len(seen)
    assert list(together) == ["euclidean", "cosine"]
    for metric, profile in together.items():
        seen.clear()
        alone = measure(model, images, PLATE, metric=metric, block=8, replicates=50)
        assert len(seen) == passes
        assert profile.metric == profile.protocol["metric"] == metric
        for name in ("estimate", "low", "high", "distances", "medians"):
            np.testing.assert_array_equal(getattr(profile, name), getattr(alone, name))


@pytest.mark.parametrize("metrics", ["cosine", ()])
def test_metrics_come_in_a_sequence(metrics):
    with pytest.raises(InputError) as error:
        measure_each(small_net(), pictures(4), PLATE, metrics=metrics)
    assert str(error.value) == f"metrics={metrics!r}: one or more names in a sequence, such as ('cosine',)"
