import numpy as np
import pytest
import torch
from reference import equivariance as reference

from pliant.deform import Circular, Field, ThinPlate, warp, warp_tangent
from pliant.measurement.along import Resized

WHOLE = slice(None)


@pytest.mark.parametrize("size", [(12, 20), (6, 10), (5, 7), (3, 5), (1, 1), (24, 30)])
def test_a_resized_field_equals_the_loop_over_pixels(size):
    field = ThinPlate(reach=1.5).sample(range(3), (12, 20))
    found = Resized(field, "zeros").at(size).displacement
    expected = [reference.resized(one.double().numpy(), size) for one in field.displacement]
    np.testing.assert_allclose(found, np.stack(expected), atol=1e-5)


def test_at_its_own_size_it_is_the_field_to_the_bit():
    field, images = Circular(reach=5).sample(range(3), (9, 9)), torch.rand(3, 2, 9, 9)
    resized = Resized(field, "zeros")
    assert torch.equal(resized.at((9, 9)).displacement, field.displacement)
    assert torch.equal(resized.warp(images, WHOLE), warp(images, field))
    assert resized.inside((9, 9), WHOLE).all()


def test_some_images_have_their_own_fields():
    field, maps = ThinPlate(reach=1.5).sample(range(5), (12, 12)), torch.rand(5, 2, 6, 6)
    resized = Resized(field, "border")
    part = slice(2, 4)
    torch.testing.assert_close(resized.warp(maps[part], part), resized.warp(maps, WHOLE)[part])
    assert torch.equal(resized.inside((6, 6), part), resized.inside((6, 6), WHOLE)[part])


@pytest.mark.parametrize(("axis", "step", "outside"), [(0, 2.0, -2), (0, -2.0, 0), (1, 2.0, -2), (1, -2.0, 0)])
def test_inside_is_what_is_read_from_the_map(axis, step, outside):
    displacement = torch.zeros(1, 2, 6, 6)
    displacement[:, axis] = step
    inside = Resized(Field(displacement), "zeros").inside((6, 6), WHOLE)[0]
    inside = inside if axis else inside.T
    expected = torch.ones(6, 6, dtype=torch.bool)
    expected[[outside, outside + 1]] = False
    assert torch.equal(inside, expected)


@pytest.mark.parametrize("size", [(12, 12), (6, 4), (1, 1)])
def test_tangents_are_those_of_the_resized_fields(size):
    field, maps = ThinPlate(reach=1.5).sample(range(5), (12, 12)), torch.rand(5, 2, *size)
    resized = Resized(field, "border")
    part = slice(2, 4)
    expected = warp_tangent(maps[part], resized.at(size)[part], "border")
    assert torch.equal(resized.tangent(maps[part], part), expected)
