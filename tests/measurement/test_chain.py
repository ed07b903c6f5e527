"""What each layer of a chain adds to the local equivariance error of the output."""

from collections import OrderedDict
from functools import cache
from itertools import cycle
from typing import get_args

import numpy as np
import pytest
import timm
import torch
from reference import equivariance as resizing
from reference import lie_derivative as reference
from torch import nn

from pliant import lie_derivative
from pliant._checks import InputError
from pliant.capture import select, trace
from pliant.deform import Lie, ThinPlate
from pliant.deform.lie import Transformation
from pliant.measurement import measure
from pliant.measurement.along import Resized
from pliant.measurement.chain import _added, _drifts
from pliant.measurement.feeding import Feeding
from pliant.measurement.tangents import forward_mode
from pliant.profile import Profile

TRANSFORMATIONS = get_args(Transformation)
FAMILIES = [*map(Lie, TRANSFORMATIONS), ThinPlate(reach=1.5)]
LAYERS = ["a", "b", "c", "d"]
ROWS = ("input", *LAYERS, "output", "end to end")


def pictures(n, size=12, seed=0):
    coarse = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return nn.functional.interpolate(coarse, size=(size, size), mode="bicubic")


def seeded(model):
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(0.5 * torch.randn(parameter.shape, generator=generator))
    return model.double()


def net():
    """Maps of 12, 12, 6 and 4 pixels, then numbers."""
    return seeded(
        nn.Sequential(
            OrderedDict(
                a=nn.Conv2d(3, 4, 3, padding=1),
                b=nn.Sequential(nn.Tanh(), nn.AvgPool2d(2)),
                c=nn.Sequential(nn.Conv2d(4, 5, 3), nn.Softplus()),
                d=nn.Flatten(),
                e=nn.Linear(80, 3),
            )
        )
    )


def dense():
    """Its output is a map."""
    return seeded(nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 2, 3), nn.Tanh()))


@cache
def matrices(family, n, size, padding, seed=0):
    field = family.sample(range(n), (12, 12), seed=seed).displacement.double().numpy()
    return torch.stack([torch.from_numpy(reference.matrix(resizing.resized(u, size), padding)) for u in field])


def written_out(model, cuts, images, family, padding, seed=0):
    """What each step adds, by the chain rule as it stands: the Lie derivative of the step alone, pushed to the output
    through the derivative of the rest. cuts: the numbers of modules before each layer; the last one is their number.
    """
    added, n = [], len(images)
    for begin, end in zip([0, *cuts[:-1]], cuts, strict=True):
        here = model[:begin](images).detach()
        out = model[begin:end](here).detach()
        before = matrices(family, n, here.shape[2:], padding, seed) if here.ndim == 4 else None
        after = matrices(family, n, out.shape[2:], padding, seed) if out.ndim == 4 else None
        if before is None:
            drift = torch.zeros_like(out)
        else:
            drift = reference.derivative(model[begin:end], here, before, after).detach()
        added.append(torch.func.jvp(model[end:], (out,), (drift,))[1].detach() if end < len(model) else drift)
    return [vector.flatten(1) for vector in added]


PADDINGS = ["zeros", "border", "reflection"]
CASES = [*zip(FAMILIES, cycle(PADDINGS), strict=False), *((FAMILIES[-1], padding) for padding in PADDINGS[1:])]


@pytest.mark.parametrize(
    ("family", "padding"), CASES, ids=lambda x: getattr(x, "transformation", getattr(x, "name", x))
)
def test_the_vectors_are_those_of_the_chain_rule_and_add_up(family, padding):
    model, images = net().eval(), pictures(3)
    calls = select(model, trace(model, images), LAYERS)
    along = Resized(family.sample(range(3), (12, 12)), padding)
    with torch.no_grad(), forward_mode(model):
        _, drifts = _drifts(model, Feeding(model, None), images, along, calls)
        found = [vector.clone() for vector in _added(drifts)]
    assert not found[0].any()
    expected = written_out(model, [1, 2, 3, 4, 5], images, family, padding)
    for vector, other in zip(found[1:-1], expected, strict=True):
        torch.testing.assert_close(vector, other, rtol=1e-4, atol=1e-4)
    whole = reference.derivative(model, images, matrices(family, 3, (12, 12), padding), None).detach()
    torch.testing.assert_close(found[-1], whole, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(sum(expected[1:], expected[0]), whole, rtol=1e-4, atol=1e-4)


def test_the_rows_are_squared_lengths_over_how_far_outputs_lie_apart():
    model, images, family = net(), pictures(7), ThinPlate(reach=1.5)
    profile = lie_derivative(model, images, family, LAYERS, 3, block=4, replicates=0)
    assert profile.layers == ROWS
    model.eval()
    added = written_out(model, [1, 2, 3, 4, 5], images, family, "zeros", 3)
    vectors = [torch.zeros_like(added[0]), *added, torch.stack(added).sum(0)]
    out = model(images).detach()
    pairs = [(i, j) for block in (range(4), range(4, 7)) for i in block for j in block if i < j]
    apart = np.mean([float((out[i] - out[j]).square().sum()) for i, j in pairs])
    own = torch.stack([vector.square().sum(1) for vector in vectors]).numpy()
    np.testing.assert_allclose(profile.distances, own, rtol=1e-4, atol=1e-12)
    np.testing.assert_allclose(profile.estimate, own.mean(1) / apart, rtol=1e-4, atol=1e-12)


@pytest.mark.parametrize(("model", "transformation"), [*zip(cycle([net, dense]), TRANSFORMATIONS, strict=False)])
def test_end_to_end_is_what_the_metric_says_of_the_output(model, transformation):
    family, images = Lie(transformation), pictures(8)
    found = lie_derivative(model(), images, family, "all")
    other = measure(model(), images, family, ["output"], "lie_derivative")
    for name in ("estimate", "low", "high"):
        assert getattr(found["end to end"], name) == pytest.approx(getattr(other["output"], name), rel=1e-5)


def test_what_moves_along_adds_nothing():
    model = seeded(
        nn.Sequential(
            nn.Conv2d(3, 5, 1, bias=False), nn.Conv2d(5, 4, 3), nn.Conv2d(4, 4, 1, bias=False), nn.Tanh(), nn.Flatten()
        )
    )
    profile = lie_derivative(model, pictures(6), Lie("rotation"), [*"01234"])
    assert profile.layers == ("input", "0", "1", "2", "3", "4", "output", "end to end")
    nothing = np.array([True, True, False, True, False, False, True, False])
    np.testing.assert_allclose(profile.estimate[nothing], 0, atol=1e-9)
    assert (profile.estimate[~nothing] > 1e-6).all()


def test_a_dense_output_that_moves_along_is_no_error():
    model = seeded(nn.Sequential(nn.Conv2d(3, 5, 1, bias=False), nn.Conv2d(5, 2, 1, bias=False)))
    np.testing.assert_allclose(lie_derivative(model, pictures(6), Lie("shear"), "all").estimate, 0, atol=1e-9)


@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_the_first_row_is_what_the_preprocessing_adds(padding):
    def prepare(images):
        return (images - 0.4) / 0.2

    class Prepare(nn.Module):
        def forward(self, x):
            return prepare(x)

    found = lie_derivative(net(), pictures(4), Lie("scale"), LAYERS, padding=padding, preprocess=prepare)
    layers = ["p", *LAYERS]
    modules = OrderedDict([("p", Prepare()), *net().named_children()])
    inside = lie_derivative(nn.Sequential(modules), pictures(4), Lie("scale"), layers, padding=padding)
    np.testing.assert_allclose(found.distances, inside.distances[1:], rtol=1e-6, atol=1e-10)
    if padding == "zeros":
        assert found["input"].estimate > 1e-3
    else:
        assert found["input"].estimate < 1e-9
    assert inside["input"].estimate == 0.0


def test_each_map_costs_one_pass():
    model, fed = net(), []
    model.register_forward_hook(lambda module, args, out: fed.append(len(args[0])))
    lie_derivative(model, pictures(12), Lie("scale"), LAYERS, block=8)
    assert fed == [2] + [2] * len(LAYERS) + [8] * 4 + [4] * 4  # to find layers, to see that they are a chain, blocks
    fed.clear()
    lie_derivative(model, pictures(8), Lie("scale"), LAYERS, preprocess=torch.neg)
    assert fed == [2] + [2] * len(LAYERS) + [8] * 5


def test_stages_of_a_residual_net_with_layers_that_overwrite():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model("resnet18", channels=(8, 16, 32, 64))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.ones_(module.weight)  # zeros, of the last one in each block: the block would do nothing
    images = pictures(3, 64).float()
    found = lie_derivative(model, images, Lie("rotation"))
    assert found.layers == ("input", "act1", "layer1", "layer2", "layer3", "layer4", "output", "end to end")
    assert found.undefined == {}
    assert (found.estimate[1:] > 0).all()
    other = measure(model, images, Lie("rotation"), ["output"], "lie_derivative")
    assert found["end to end"].estimate == pytest.approx(other["output"].estimate, rel=1e-3)


def test_a_model_that_writes_into_its_input_leaves_the_images_alone():
    model, images = nn.Sequential(nn.ReLU(inplace=True), *net()), pictures(6)
    kept = images.clone()
    found = lie_derivative(model, images, Lie("scale"), ["0", "1", "2"])
    assert torch.equal(images, kept)
    plain = lie_derivative(nn.Sequential(nn.ReLU(), *net()), images, Lie("scale"), ["0", "1", "2"])
    np.testing.assert_allclose(found.distances, plain.distances, rtol=1e-9)


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_comes_back_as_it_was(fails):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Tanh()).double().train()
    model[2].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def done(number):
        if fails:
            raise RuntimeError("no")

    arguments = {"batch_norm": "calibrated", "calibration": pictures(9, seed=5), "on_block": done}
    if fails:
        with pytest.raises(RuntimeError, match="^no$"):
            lie_derivative(model, pictures(4), Lie(), "all", **arguments)
    else:
        lie_derivative(model, pictures(4), Lie(), "all", **arguments)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == [True, True, True, False]
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_batches_of_any_size_are_the_same_measurement_and_seed_and_draw_decide():
    model, images, family = net(), pictures(11), ThinPlate(reach=1.5)

    def found(batches=images, **settings):
        return lie_derivative(model, batches, family, LAYERS, block=8, replicates=50, **settings)

    whole, parts = found(), found([images[:1], images[1:7], images[7:]])
    for name in ("estimate", "low", "high", "distances", "medians"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(parts, name))
    for change in ({"seed": 1}, {"draw": 1}):
        assert (whole.distances[[1, 2, 3, 6]] != found(**change).distances[[1, 2, 3, 6]]).all()
    with torch.inference_mode():
        np.testing.assert_array_equal(found(images.clone()).distances, whole.distances)


def test_intervals_hold_the_estimate_and_narrow_with_the_number_of_images():
    few, many = (
        lie_derivative(net(), pictures(n), ThinPlate(reach=1.5), ["c"], replicates=300)["end to end"] for n in (20, 320)
    )
    for found in (few, many):
        assert found.low < found.estimate < found.high
    assert many.high - many.low < 0.6 * (few.high - few.low)


def test_a_profile_says_what_it_is_and_comes_back_from_its_files(tmp_path):
    profile = lie_derivative(net(), pictures(6), Lie("stretch"), LAYERS, padding="border", block=4)
    assert (profile.metric, profile.protocol["contributions_to"]) == ("lie_derivative", "output")
    assert profile.protocol["deformation"] == {"family": "lie", "transformation": "stretch"}
    again = Profile.load(profile.save(tmp_path))
    assert (again.layers, again.protocol) == (profile.layers, profile.protocol)
    assert again.quantity == "contribution to the local equivariance error of the output (squared length)"
    np.testing.assert_array_equal(again.distances, profile.distances)


def test_a_model_in_bf16():
    exact = lie_derivative(net().float(), pictures(20).float(), Lie("rotation"), LAYERS, replicates=0)
    coarse = lie_derivative(net().bfloat16(), pictures(20).float(), Lie("rotation"), LAYERS, replicates=0)
    assert coarse["end to end"].estimate == pytest.approx(exact["end to end"].estimate, rel=0.1)


def test_a_constant_output_is_undefined():
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(288, 2)).double()
    nn.init.zeros_(model[2].weight)
    profile = lie_derivative(model, pictures(4), Lie(), ["0"])
    assert profile.undefined == dict.fromkeys(profile.layers, "constant: the same for all images")
    assert not profile.distances.any()


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.act = nn.Conv2d(3, 3, 3, padding=1), nn.Tanh()

    def forward(self, x):
        return self.act(x + self.conv(x))


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return x, self.conv(x)


class Second(nn.Module):
    def forward(self, pair):
        return pair[1]


class Tokens(nn.Module):
    def forward(self, x):
        return x.flatten(2)


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("model", "layers", "message"),
    [
        (
            nn.Sequential(Residual(), nn.Tanh()),
            ["0.conv", "0"],
            "the output depends on the image beside layer '0.conv', too: choose layers that the model runs one after "
            'another, such as layers="stages"',
        ),
        (
            nn.Sequential(Pair(), Second()),
            ["0"],
            "layer '0[0]' is a part of what its module puts out: choose whole outputs",
        ),
        (
            nn.Sequential(Tokens(), nn.Flatten()),
            ["0"],
            "layer '0' has no Lie derivative: (n, 3, 144) is neither a feature map (n, c, h, w) nor a vector (n, k)",
        ),
        (
            nn.Sequential(nn.Conv2d(3, 2, 1), Tokens()),
            ["0"],
            "layer 'output' has no Lie derivative: (n, 2, 144) is neither a feature map (n, c, h, w) nor a vector "
            "(n, k)",
        ),
        (
            nn.Sequential(nn.Conv2d(3, 3, 1), Pair()),
            ["0"],
            "the model puts out output[0], output[1]: wrap it in a module that puts out one tensor, a row for each "
            "image",
        ),
        (nn.Sequential(nn.Tanh()), ["1"], "unknown layer '1'. Known: 0, all, blocks, convs, output, stages. "),
    ],
)
def test_bad_input(model, layers, message):
    with pytest.raises(InputError) as error:
        lie_derivative(model.double(), pictures(4), Lie("rotation"), layers)
    assert str(error.value).startswith(message)


class Beside(nn.Module):
    """The layer `a` is not all that the output depends on."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x):
        return self.b(self.a(x)) + x


@pytest.mark.parametrize("blank", [0, 2, 4])
def test_a_way_beside_a_layer_is_found_whatever_the_images_are(blank):
    images = pictures(4)
    images[:blank] = 0
    with pytest.raises(InputError) as error:
        lie_derivative(Beside().double(), images, Lie("rotation"), ["a"])
    assert str(error.value).startswith("the output depends on the image beside layer 'a', too")


def test_displacements_and_folds_are_those_of_the_fields():
    wild = ThinPlate(grid=4, reach=4.0)
    found = lie_derivative(net(), pictures(10), wild, LAYERS, 2, draw=1, block=4, replicates=0)
    field = wild.sample(range(10), (12, 12), seed=2, draw=1)
    assert found.folds == pytest.approx(float(field.folds.mean()))
    assert found.folds > 0
    displacement = found.provenance["displacement"]
    assert displacement["rms"] == pytest.approx(float(field.rms.mean()))
    assert displacement["largest"] == pytest.approx(float(field.largest.max()))


@pytest.mark.parametrize(
    ("images", "arguments", "message"),
    [
        (pictures(1), {}, "1 images: a median over pairs needs at least 2"),
        (pictures(4), {"block": 1}, "block=1: a block needs at least 2 images"),
        (
            (pictures(4) > 0).to(torch.uint8),
            {"preprocess": torch.Tensor.double},
            "images of uint8 have no derivative: give images of floating point",
        ),
        (
            [pictures(2), pictures(2, size=10)],
            {"block": 2},
            "images of different sizes, (3, 12, 12) and (3, 10, 10): bring them to one size first",
        ),
    ],
)
def test_bad_images(images, arguments, message):
    with pytest.raises(InputError) as error:
        lie_derivative(nn.Sequential(nn.Conv2d(3, 2, 3)).double(), images, Lie(), "all", **arguments)
    assert str(error.value) == message
