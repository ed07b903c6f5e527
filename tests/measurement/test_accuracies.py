import numpy as np
import pytest
import torch
from reference import shifts as reference
from torch import nn

from pliant._checks import InputError
from pliant.deform import Circular, Flow, Rotate, ThinPlate, warp
from pliant.measurement import accuracy_under

PLATE = ThinPlate(grid=3, reach=2.0)
STRENGTHS = (0, 0.25, 0.5, 1, 1.5, 2)


def pictures(n, size=12, seed=0):
    return torch.randn(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def net():
    model = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(150, 4))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model


def answers(model, images):
    """Labels that the model tells right, one in four of them changed."""
    with torch.no_grad():
        told = model(images).argmax(1)
    told[::4] = (told[::4] + 1) % 4
    return told


@pytest.mark.parametrize("padding", ["zeros", "border"])
def test_equals_the_loop_over_images_and_strengths(padding):
    model, images = net(), pictures(25)
    labels = answers(model, images)
    found = accuracy_under(model, images, labels, PLATE, padding=padding, seed=3, draw=1, block=8)
    for place, strength in enumerate(STRENGTHS):
        right = []
        for i in range(25):
            field = PLATE.sample([i], (12, 12), seed=3, draw=1)
            with torch.no_grad():
                logits = model(warp(images[i : i + 1], field.scaled(strength), padding))[0].numpy()
            right.append(reference.top(logits) == labels[i])
        assert found.correct[:, place].tolist() == right
        assert found.estimate[place] == pytest.approx(np.mean(right))
    assert found.strengths.tolist() == list(STRENGTHS)
    assert found.estimate[0] == pytest.approx(18 / 25)
    assert found.estimate[-1] < 0.6


def test_the_area_is_the_trapezoids_over_the_range():
    model, images = net(), pictures(25)
    found = accuracy_under(model, images, answers(model, images), PLATE, strengths=(0.5, 1, 3))
    expected = np.trapezoid(found.estimate, found.strengths) / 2.5
    assert found.area.estimate == pytest.approx(expected)
    assert found.area.low < found.area.estimate < found.area.high
    assert found.area.n == found.images == 25
    # What is wrong at every strength makes the area vary as much as the accuracies themselves.
    flat = accuracy_under(model, images, answers(model, images), ThinPlate(reach=0))
    assert (flat.area.low, flat.area.high) == pytest.approx((flat.low[0], flat.high[0]), abs=0.05)
    none = accuracy_under(model, images, answers(model, images), PLATE, replicates=0)
    assert np.isnan([none.area.low, none.area.high]).all()
    assert np.isfinite(none.low).all()


def test_at_strength_0_the_images_are_as_they_are_and_every_strength_of_nothing_is_the_same():
    model, images = net(), pictures(20)
    found = accuracy_under(model, images, answers(model, images), ThinPlate(reach=0))
    assert found.estimate.tolist() == [0.75] * 6
    assert found.rms.tolist() == [0.0] * 6
    assert found.folds.tolist() == [0.0] * 6


def test_a_factor_that_the_answer_does_not_depend_on_costs_nothing():
    class Centre(nn.Module):
        """Sees the one pixel that no rotation moves."""

        def forward(self, x):
            return x[:, :, 6, 6]

    images = pictures(30, size=13)
    labels, family = images[:, :, 6, 6].argmax(1), Rotate(reach=40)
    found = accuracy_under(Centre(), images, labels, family)
    assert (found.area.estimate, found.area.low, found.area.high) == (1.0, 1.0, 1.0)
    assert found.estimate.tolist() == found.high.tolist() == [1.0] * 6
    assert found.low == pytest.approx(30 / (30 + 1.959964**2))  # Wilson's of 30 of 30
    assert found.rms[-1] > 1
    assert accuracy_under(nn.Flatten(), images, images.flatten(1).argmax(1), family).estimate[-1] < 0.5


def test_the_strength_at_which_an_answer_changes_is_found():
    class Reads(nn.Module):
        """1 where the pixel at (0, 3) is bright."""

        def forward(self, x):
            return torch.stack((1 - x[:, 0, 0, 3], x[:, 0, 0, 3]), 1)

    images = torch.zeros(20, 1, 8, 8)
    images[:, :, :, 5:] = 1
    shift = torch.zeros(2, 8, 8)
    shift[0] = 1
    found = accuracy_under(
        Reads(), images, torch.ones(20, dtype=torch.int64), Flow(shift), strengths=(0, 1, 1.4, 1.6, 2)
    )
    assert found.estimate.tolist() == [0.0, 0.0, 0.0, 1.0, 1.0]
    assert found.rms.tolist() == pytest.approx([0, 1, 1.4, 1.6, 2])


def test_displacements_and_folds_are_those_of_the_fields():
    model, images, wild = net(), pictures(10), ThinPlate(grid=4, reach=4.0)
    found = accuracy_under(model, images, answers(model, images), wild, seed=2)
    field = wild.sample(range(10), (12, 12), seed=2)
    for place, strength in enumerate(STRENGTHS):
        assert found.rms[place] == pytest.approx(float(field.scaled(strength).rms.mean()), rel=1e-5)
        assert found.folds[place] == pytest.approx(float(field.scaled(strength).folds.mean()), abs=1e-7)
    assert found.folds[-1] > found.folds[0] == 0


def test_deformations_that_fold_are_refused_if_asked_for():
    model, images, wild = net(), pictures(10), ThinPlate(grid=4, reach=4.0)
    labels = answers(model, images)
    folds = wild.sample(range(10), (12, 12)).scaled(2).folds
    start = int(folds.nonzero()[0]) // 5 * 5
    told = start + int(folds[start : start + 5].argmax())
    with pytest.raises(InputError) as error:
        accuracy_under(model, images, labels, wild, strengths=(0, 2), block=5, refuse_folds=True)
    assert str(error.value) == (
        f"the deformation at strength 2 of image {told} folds at {float(folds[told]):.1%} of its pixels: lower the "
        "reach or the grid, or allow folds"
    )
    calm = accuracy_under(model, images, labels, ThinPlate(reach=0.1), refuse_folds=True)
    assert not calm.folds.any()


def test_blocks_and_batches_do_not_matter_and_seeds_do():
    model, images = net(), pictures(30)
    labels = answers(model, images)
    whole = accuracy_under(model, images, labels, PLATE)
    loader = [(images[:1], labels[:1]), [images[1:20], labels[1:20].int()], (images[20:], labels[20:])]
    for other in (accuracy_under(model, images, labels, PLATE, block=7), accuracy_under(model, loader, None, PLATE)):
        np.testing.assert_array_equal(other.correct, whole.correct)
        for name in ("estimate", "low", "high"):
            np.testing.assert_allclose(getattr(other, name), getattr(whole, name), rtol=1e-12)
    for change in ({"seed": 1}, {"draw": 1}):
        other = accuracy_under(model, images, labels, PLATE, **change)
        np.testing.assert_array_equal(other.correct[:, 0], whole.correct[:, 0])
        assert (other.correct != whole.correct).any()


def test_intervals_hold_the_estimate_and_narrow_with_the_number_of_images():
    model, widths = net(), []
    for n in (20, 320):
        images = pictures(n)
        found = accuracy_under(model, images, answers(model, images), PLATE)
        assert (found.low < found.estimate).all()
        assert (found.estimate < found.high).all()
        widths.append(np.append(found.high - found.low, found.area.high - found.area.low))
    assert (widths[1] < 0.6 * widths[0]).all()


@pytest.mark.parametrize("fails", [False, True])
def test_the_model_comes_back_as_it_was(fails):
    model = nn.Sequential(nn.BatchNorm2d(3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).train()
    model[1].eval()
    state = {name: value.clone() for name, value in model.state_dict().items()}

    def prepare(images):
        if fails:
            raise RuntimeError("no")
        return images

    labels = torch.zeros(6, dtype=torch.int64)
    if fails:
        with pytest.raises(RuntimeError, match="^no$"):
            accuracy_under(model, pictures(6), labels, preprocess=prepare)
    else:
        accuracy_under(model, pictures(6), labels, preprocess=prepare)
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [module.training for module in model.modules()] == [True, True, False, True]


def test_what_a_number_depends_on_travels_with_it():
    model, images = net(), pictures(6)
    found = accuracy_under(
        model, images, answers(model, images), PLATE, strengths=(0, 2), padding="border", seed=4, level=0.9
    )
    assert found.protocol == {
        "deformation": {"family": "thin_plate", "grid": 3, "reach": 2.0},
        "strengths": [0.0, 2.0],
        "padding": "border",
        "batch_norm": "as_is",
        "calibration": 0,
        "images": 6,
        "image_shape": [3, 12, 12],
        "seed": 4,
        "draw": 0,
        "replicates": 1000,
        "level": 0.9,
    }
    assert found.level == found.area.level == 0.9


def normed(mean, variance):
    """A net whose answers depend on the running statistics of its batch norm."""
    conv, *rest = net()
    model = nn.Sequential(conv, nn.BatchNorm2d(6), *rest)
    model[1].running_mean.copy_(mean)
    model[1].running_var.copy_(variance)
    return model


def test_batch_norm_runs_under_the_protocol_that_is_asked_for():
    far = normed(5 * torch.arange(6.0), torch.full((6,), 0.01))
    images, calibration = pictures(40), pictures(30, seed=5)
    with torch.no_grad():
        heard = far[0](calibration)
    alike = {
        "untouched": normed(torch.zeros(6), torch.ones(6)),
        "calibrated": normed(heard.mean((0, 2, 3)), heard.var((0, 2, 3))),
    }
    labels = torch.arange(40) % 4
    as_is = accuracy_under(far, images, labels, PLATE)
    for protocol, same in alike.items():
        found = accuracy_under(far, images, labels, PLATE, batch_norm=protocol, calibration=calibration)
        assert found.correct.tolist() == accuracy_under(same.eval(), images, labels, PLATE).correct.tolist()
        assert found.correct.tolist() != as_is.correct.tolist()
        assert found.protocol["batch_norm"] == protocol
        assert found.protocol["calibration"] == (30 if protocol == "calibrated" else 0)
    assert far[1].running_mean.tolist() == [0, 5, 10, 15, 20, 25]
    with pytest.raises(InputError, match='^batch_norm="calibrated" needs images'):
        accuracy_under(far, images, labels, PLATE, batch_norm="calibrated")


LABELS = torch.tensor([0, 1, 2, 3])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("images", "labels", "options", "message"),
    [
        (pictures(1), LABELS[:1], {}, "1 images: an interval over images needs at least 2"),
        ([], None, {}, "0 images: an interval over images needs at least 2"),
        (pictures(4), None, {}, "images without labels: give labels (n,), or a loader of (images, labels)"),
        (
            [(pictures(4), LABELS)],
            LABELS,
            {},
            "labels beside a loader: it must give (images, labels) itself, leave labels out",
        ),
        (
            [pictures(4)],
            None,
            {},
            "a loader of labelled images gives tuples (images, labels), got float32 of (4, 3, 12, 12)",
        ),
        ([(pictures(4)[0], LABELS)], None, {}, "images have the shape (n, c, h, w), got float32 of (3, 12, 12)"),
        (
            pictures(4),
            LABELS[:3],
            {},
            "labels are integers of the shape (4,), one for each image, got int64 of (3,)",
        ),
        (
            pictures(4),
            LABELS.float(),
            {},
            "labels are integers of the shape (4,), one for each image, got float32 of (4,)",
        ),
        (pictures(4), LABELS + 1, {}, "labels run from 1 to 4, but the model tells 4 classes, 0 to 3"),
        (
            [(pictures(2), LABELS[:2]), (pictures(2, size=9), LABELS[:2])],
            None,
            {},
            "images of different sizes, (3, 12, 12) and (3, 9, 9): bring them to one size first",
        ),
        (
            pictures(4),
            LABELS,
            {"strengths": (0, 1, 1)},
            "strengths=[0.0, 1.0, 1.0]: give two or more finite numbers, 0 or above, in increasing order",
        ),
        (
            pictures(4),
            LABELS,
            {"strengths": (1,)},
            "strengths=[1.0]: give two or more finite numbers, 0 or above, in increasing order",
        ),
        (
            pictures(4),
            LABELS,
            {"strengths": (-1, float("inf"))},
            "strengths=[-1.0, inf]: give two or more finite numbers, 0 or above, in increasing order",
        ),
        (
            pictures(4),
            LABELS,
            {"deformation": Circular(3)},
            "circular shifts are no longer circular when scaled: take Translate, or shift_consistency",
        ),
        (pictures(4), LABELS, {"block": 0}, "block=0: images at a time, 1 or more"),
        (
            pictures(4) * float("nan"),
            LABELS,
            {},
            "the model puts out NaN or infinite logits for some images: they have no top-1, leave them out",
        ),
    ],
)
def test_bad_input(images, labels, options, message):
    with pytest.raises(InputError) as error:
        accuracy_under(net(), images, labels, **options)
    assert str(error.value) == message
