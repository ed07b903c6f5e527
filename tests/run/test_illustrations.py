"""The pictures of the study: what their arrays hold, and that the class's nearest deformation is the nearest."""

import numpy as np
import pytest
import torch
from paper import fake_study
from scipy.ndimage import map_coordinates

from pliant.data import load, photographs
from pliant.deform import Field, Rotate, Translate, warp
from pliant.paper.plans import STRENGTHS
from pliant.plan import Plan
from pliant.run.illustrations import _PLATE, _SIZE, _nearest, write_illustrations

TEMPLATES = fake_study.plan(1, ("3b",))
UNTRAINED = fake_study.plan(1, ("2a",))


def stored(folder, plan: Plan):
    with np.load(write_illustrations(folder, plan), allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    return stored(tmp_path_factory.mktemp("illustrated"), TEMPLATES)


def rms(displacement: torch.Tensor) -> float:
    return float(displacement.double().square().sum(1).mean().sqrt())


def test_photographs_stand_beside_what_their_displacement_makes_of_them(arrays):
    assert (arrays["photographs"] == photographs(224, 3).numpy()).all()
    assert (int(arrays["control"]), float(arrays["reach"])) == (5, 10.0)
    for image, field, deformed in zip(
        *(arrays[name] for name in ("photographs", "displacement", "photographs_deformed")), strict=True
    ):
        corners = field[:, ::223, ::223]
        assert 0 < np.abs(corners).max() <= 10 + 1e-4  # control points move by the reach at most
        places = np.mgrid[:224, :224] + field[::-1]
        expected = [map_coordinates(channel.astype(float), places, order=1, mode="nearest") for channel in image]
        assert np.abs(deformed - np.stack(expected)).max() <= 0.51


def test_each_template_stands_beside_its_own_deformations_from_weak_to_strong(arrays):
    digits = load("digits")
    templates, examples = arrays["templates"].astype(float), arrays["template_examples"].astype(float)
    assert templates.shape == (10, 1, 32, 32)
    assert examples.shape == (len(STRENGTHS), *templates.shape)
    for label, template in enumerate(templates):
        first = digits.train_images[digits.train_labels == label][0]
        assert (template == first.numpy()).all()
    apart = np.abs(examples[:, :, None] - templates).mean(axis=(3, 4, 5))
    assert (apart[0].argmin(axis=1) == np.arange(10)).all()
    own = apart[:, np.arange(10), np.arange(10)].mean(axis=1)
    assert (np.diff(own) > 0).all()
    assert own[0] > 0


def test_rigid_motions_move_the_photograph_and_the_class_comes_near(arrays):
    assert arrays["rigid_names"].tolist() == ["pose", "translation by 8 px", "rotation by 4 degrees"]
    picture = photographs(224, 2)[1].numpy().astype(int)
    pose, translated, rotated = arrays["rigid_true"].astype(int)
    assert np.abs(pose[:, 131, 151] - picture[:, 140, 151]).max() <= 2  # from below: the part moves up by 9
    assert (pose[:, :9, :30] == picture[:, :9, :30]).all()
    assert (translated[:, :, :-8] == picture[:, :, 8:]).all()
    assert np.abs(rotated[:, 110:114, 110:114] - picture[:, 110:114, 110:114]).max() < 40  # about the middle
    near = arrays["rigid_class"].astype(int)
    assert np.abs(near[1] - translated).max() <= 1
    off = arrays["rigid_rms"]
    assert off[1:] == pytest.approx([0, 0], abs=1e-3)
    assert 0.05 < off[0] < 2
    assert np.abs(near[0] - pose).mean() < 0.5 * np.abs(pose - picture).mean()


def test_without_templates_there_are_none(tmp_path):
    found = stored(tmp_path, UNTRAINED)
    assert "photographs" in found
    assert not [name for name in found if "template" in name]


@pytest.mark.parametrize(
    ("moved", "expected"),
    [
        (Translate(x=-8).sample([0], _SIZE).displacement, Translate(x=-8).sample([0], _SIZE).displacement),
        (Rotate(degrees=-4).sample([0], _SIZE).displacement, Rotate(degrees=-4).sample([0], _SIZE).displacement),
        (_PLATE.sample([3], _SIZE).displacement, _PLATE.sample([3], _SIZE).displacement),
        # Farther than the control points reach: as far as they do.
        (Translate(x=-15).sample([0], _SIZE).displacement, Translate(x=-10).sample([0], _SIZE).displacement),
    ],
    ids=["translation", "rotation", "of the class", "beyond its reach"],
)
def test_the_nearest_deformation_of_what_the_class_holds_is_itself(moved, expected):
    assert (_nearest(moved) - expected).abs().max() < 2e-3


def test_no_control_point_that_moves_brings_the_nearest_deformation_nearer():
    y, x = torch.meshgrid(torch.linspace(-1, 1, 224), torch.linspace(-1, 1, 224), indexing="ij")
    moved = torch.stack((4 * torch.sin(5 * x) * y, 3 * torch.cos(7 * y + x)))[None]
    found = _nearest(moved)
    least = rms(found - moved)
    assert 0.1 < least < rms(moved)
    points = _PLATE.grid**2
    basis = _PLATE.field(torch.eye(points)[:, None].expand(points, 2, points), _SIZE).displacement
    for axis in (0, 1):
        only = torch.zeros(2)
        only[axis] = 0.2
        for one in basis * only[:, None, None]:
            assert min(rms(found + one - moved), rms(found - one - moved)) > least


def test_the_difference_that_is_told_is_that_of_the_fields(arrays):
    picture = photographs(224, 2)[1:2]
    moved = Rotate(degrees=-4).sample([0], _SIZE)
    assert arrays["rigid_rms"][2] == pytest.approx(rms(moved.displacement - _nearest(moved.displacement)), abs=1e-4)
    assert (arrays["rigid_true"][2] == warp(picture, moved, "border")[0].numpy()).all()
    assert (arrays["rigid_class"][2] == warp(picture, Field(_nearest(moved.displacement)), "border")[0].numpy()).all()
