"""The directions of one-parameter groups."""

import math
from typing import get_args

import pytest
import torch

from pliant._checks import InputError
from pliant.deform import Lie, Rotate, Scale, Shear, Translate, warp
from pliant.deform.lie import Transformation

SIZE = (6, 9)
ALL = get_args(Transformation)


def direction(transformation):
    return Lie(transformation).sample([0], SIZE).displacement[0]


@pytest.mark.parametrize(
    ("transformation", "formula"),
    [
        ("translation", lambda x, y: (4.0, 0.0)),
        ("rotation", lambda x, y: (y, -x)),
        ("scale", lambda x, y: (x, y)),
        ("stretch", lambda x, y: (x, 0.0)),
        ("shear", lambda x, y: (y, 0.0)),
        ("hyperbolic", lambda x, y: (y, x)),
    ],
)
def test_each_direction_pixel_by_pixel(transformation, formula):
    found = direction(transformation)
    for row in range(6):
        for column in range(9):
            assert tuple(found[:, row, column].tolist()) == formula(column - 4.0, row - 2.5)


def test_there_are_six():
    assert len({direction(name).numpy().tobytes() for name in ALL}) == 6


@pytest.mark.parametrize(
    ("transformation", "member", "step", "parameter"),
    [
        ("rotation", lambda t: Rotate(degrees=t), 1.0, math.radians(1.0)),
        ("shear", lambda t: Shear(degrees=t), 1.0, math.radians(1.0)),
        ("scale", lambda t: Scale(factor=1 - t), 0.01, 0.01),
        ("translation", lambda t: Translate(x=-t), 1.0, 1 / 4),
    ],
)
def test_is_the_derivative_of_the_motion_that_it_names(transformation, member, step, parameter):
    ahead, back = (member(sign * step).sample([0], SIZE).displacement[0] for sign in (1, -1))
    torch.testing.assert_close((ahead - back) / (2 * parameter), direction(transformation), rtol=1e-3, atol=1e-4)


def test_the_image_moves_to_the_left():
    image = torch.zeros(1, 1, *SIZE)
    image[0, 0, 2, 5] = 1.0
    assert warp(image, Lie("translation").sample([0], SIZE).scaled(0.5))[0, 0].nonzero().tolist() == [[2, 3]]


@pytest.mark.parametrize("transformation", ALL)
def test_nothing_is_drawn(transformation):
    member = Lie(transformation)
    first = member.sample([0], SIZE).displacement
    assert torch.equal(member.sample([3], SIZE, seed=2, draw=5).displacement, first)


@pytest.mark.usefixtures("unchecked")
def test_another_transformation_is_refused():
    with pytest.raises(InputError) as error:
        Lie("turn")  # pyright: ignore[reportArgumentType]
    expected = "unknown transformation 'turn'. Known: hyperbolic, rotation, scale, shear, stretch, translation."
    assert str(error.value) == expected
