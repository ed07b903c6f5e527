import numpy as np
import pytest
import torch

from pliant._checks import InputError
from pliant.deform import Pose, warp


def test_equals_the_loop_over_pixels():
    size, radius = (12, 17), 6.0
    parameters = torch.tensor([[9.0, 4.0, 2.0, -1.5]])
    field = Pose(4.0, radius).field(parameters, size).displacement[0].numpy()
    for row in range(size[0]):
        for column in range(size[1]):
            left = max(0.0, 1 - ((column - 9.0) ** 2 + (row - 4.0) ** 2) / radius**2)
            np.testing.assert_allclose(field[:, row, column], [-2.0 * left**3, 1.5 * left**3], atol=1e-6)


def test_the_part_moves_where_it_is_told_and_the_rest_stays():
    image = torch.rand((1, 1, 40, 40), generator=torch.Generator().manual_seed(0))
    image[..., 10, 12] = 9.0
    moved = warp(image, Pose(3.0, 8.0).field(torch.tensor([[12.0, 10.0, 3.0, 0.0]]), (40, 40)))
    bright = (moved[0, 0] > 4).nonzero()
    assert bright[:, 0].tolist() == [10] * len(bright)
    assert (bright[:, 1] > 12).all()
    far = torch.ones(40, 40, dtype=torch.bool)
    far[2:19, 4:21] = False
    torch.testing.assert_close(moved[0, 0][far], image[0, 0][far], atol=1e-5, rtol=0)


def test_centres_lie_anywhere_and_motions_fill_a_disc():
    drawn = Pose("10%", "30%").parameters(range(4000), (21, 50))
    x, y, right, down = drawn.T
    assert 0 <= x.min() < 1
    assert 48 < x.max() <= 49
    assert 0 <= y.min() < 1
    assert 19 < y.max() <= 20
    length = torch.hypot(right, down)
    assert length.max() <= 5.0 + 1e-5
    assert float((length < 5.0 / 2**0.5).float().mean()) == pytest.approx(0.5, abs=0.03)
    assert abs(float(right.mean())) < 0.15
    assert abs(float(down.mean())) < 0.15


def test_no_radius_is_refused():
    with pytest.raises(InputError) as error:
        Pose(radius=0)
    assert str(error.value) == "radius=0: it must be above 0"


def test_a_motion_that_is_too_long_keeps_its_direction():
    parameters = torch.tensor([[-3.0, 40.0, 6.0, -8.0], [5.0, 6.0, 0.3, 0.4], [0.0, 0.0, 0.0, 0.0]])
    found = Pose(5.0, 8.0).within(parameters, (13, 18))
    torch.testing.assert_close(found[0], torch.tensor([0.0, 12.0, 3.0, -4.0]))
    assert torch.equal(found[1:], parameters[1:])
