import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import thin_plate as reference

from pliant._checks import InputError
from pliant.deform import ThinPlate


@pytest.mark.parametrize(("grid", "reach", "size"), [(5, 10.0, (224, 224)), (3, 2.0, (32, 32)), (4, 7.0, (60, 91))])
def test_equals_scipys_spline(grid, reach, size):
    family = ThinPlate(grid, reach)
    points = family.parameters([11], size)
    expected = reference.field(points[0].numpy(), grid, size)
    np.testing.assert_allclose(family.field(points, size).displacement[0].numpy(), expected, atol=1e-4)


sizes = st.tuples(st.integers(2, 40), st.integers(2, 40))


@settings(deadline=None)
@given(sizes, st.integers(2, 5), st.tuples(*[st.floats(-1, 1)] * 6))
def test_control_points_on_a_plane_make_that_plane(size, grid, coefficients):
    height, width = size
    y, x = np.meshgrid(np.linspace(0, height - 1, grid), np.linspace(0, width - 1, grid), indexing="ij")
    rows, columns = np.mgrid[:height, :width]
    a, b, c, d, e, f = coefficients
    points = torch.tensor(np.stack([(a + b * x + c * y).ravel(), (d + e * x + f * y).ravel()]), dtype=torch.float32)
    expected = np.stack([a + b * columns + c * rows, d + e * columns + f * rows])
    field = ThinPlate(grid).field(points[None], size)
    np.testing.assert_allclose(field.displacement[0].numpy(), expected, atol=2e-4)


def test_corner_control_points_stand_on_the_corner_pixels():
    family = ThinPlate(grid=3, reach=2.0)
    points = family.parameters([0], (9, 17))
    field = family.field(points, (9, 17)).displacement[0]
    corners = field[:, [0, 0, -1, -1], [0, -1, 0, -1]]
    torch.testing.assert_close(corners, points[0][:, [0, 2, 6, 8]], atol=1e-5, rtol=0)


def test_reach_bounds_the_control_points_and_is_reached():
    points = ThinPlate(grid=4, reach=3.0).parameters(range(500), (8, 8))
    assert points.abs().max() <= 3.0
    assert points.abs().max() > 2.99
    assert points.mean().abs() < 0.05


def test_reach_scales_the_field():
    one, three = (ThinPlate(3, reach).sample([0], (20, 30)).displacement for reach in (1.0, 3.0))
    torch.testing.assert_close(three, 3 * one)


@pytest.mark.parametrize("size", [(1, 12), (12, 1), (1, 1)])
def test_a_side_of_one_pixel(size):
    field = ThinPlate(grid=3, reach=2.0).sample(range(20), size)
    assert field.displacement.shape == (20, 2, *size)
    assert field.largest.max() < 5
    assert field.largest.min() > 0


def test_the_differentiable_path_makes_the_same_field():
    family = ThinPlate(4, 2.0)
    points = family.parameters(range(3), (21, 34))
    plain = family.field(points, (21, 34)).displacement
    learned = family.field(points.requires_grad_(), (21, 34)).displacement
    torch.testing.assert_close(learned.detach(), plain, atol=1e-6, rtol=0)
    learned.sum().backward()
    assert points.grad is not None
    # Moving all control points by one pixel moves every pixel by one.
    assert points.grad.sum((1, 2)).tolist() == pytest.approx([2 * 21 * 34] * 3, rel=1e-4)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"grid": 1}, "grid=1: a thin plate needs at least 2 control points a side"),
        ({"reach": float("inf")}, "reach=inf: a length must be 0 or more and finite"),
        ({"reach": -0.5}, "reach=-0.5: a length must be 0 or more and finite"),
    ],
)
def test_bad_settings(arguments, message):
    with pytest.raises(InputError) as error:
        ThinPlate(**arguments)
    assert str(error.value) == message


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_devices_agree():
    family = ThinPlate(5, 10.0)
    host = family.sample(range(9), (120, 97)).displacement
    device = family.sample(range(9), (120, 97), device="cuda")
    torch.testing.assert_close(device.displacement.cpu(), host, atol=1e-4, rtol=0)
    assert torch.equal(device[4].displacement, family.sample([4], (120, 97), device="cuda").displacement)


def test_the_batch_does_not_matter_to_the_bit_on_large_images():
    family = ThinPlate(5, 10.0)
    batch = family.sample(range(19), (224, 224))
    for index in (0, 3, 7, 8, 15, 18):
        assert torch.equal(batch[index].displacement, family.sample([index], (224, 224)).displacement)
    some = family.sample([18, 2, 9], (224, 224)).displacement
    assert torch.equal(some, batch.displacement[[18, 2, 9]])
