import numpy as np
import pytest
import torch
from scipy.ndimage import correlate1d

from pliant import draws
from pliant._checks import InputError
from pliant.deform import Elastic, elastic, warp


def test_equals_scipys_smoothing_of_the_same_noise():
    member, size = Elastic(6.0, 2.0), (15, 22)
    noise = member.parameters([3], size)
    beyond = (noise.shape[3] - size[1]) // 2
    taps = np.exp(-(np.arange(-beyond, beyond + 1) ** 2) / (2 * 2.0**2))
    taps /= taps.sum()
    expected = noise[0].double().numpy()
    for axis in (1, 2):
        expected = correlate1d(expected, taps, axis, mode="constant")
    inner = 6.0 * expected[:, beyond:-beyond, beyond:-beyond]
    np.testing.assert_allclose(member.field(noise, size).displacement[0].numpy(), inner, atol=1e-5)


def test_noise_is_uniform_and_alpha_bounds_the_field():
    member = Elastic(5.0, 0.4)
    noise = member.parameters(range(50), (20, 30))
    assert -1 < noise.min() < -0.99
    assert 0.99 < noise.max() < 1
    assert float(noise.var()) == pytest.approx(1 / 3, rel=0.01)
    displacement = member.field(noise, (20, 30)).displacement
    assert 3.0 < displacement.abs().max() <= 5.0


def test_the_rms_length_is_what_draws_have_up_to_the_border():
    member, size = Elastic(20.0, 2.0), (12, 20)
    squares = member.sample(range(1000), size).displacement.square().sum(1)
    assert float(squares.mean().sqrt()) == pytest.approx(member.rms(size), rel=0.03)
    assert float(squares[:, 0].mean().sqrt()) == pytest.approx(member.rms(size), rel=0.05)


def test_the_noise_of_the_second_axis_begins_at_the_next_multiple_of_eight():
    noise = Elastic(6.0, 1.0).parameters([3, 5], (5, 9), seed=2)
    rows, columns = noise.shape[2:]
    apart = -(-rows * columns // 8) * 8
    assert apart > rows * columns
    drawn = draws.noise(2, draws.Stream.DEFORMATION, [3, 5], 0, 2 * apart).unflatten(1, (2, apart))
    assert torch.equal(noise.flatten(2), drawn[:, :, : rows * columns])


def test_no_width_is_refused():
    with pytest.raises(InputError) as error:
        Elastic(sigma=0)
    assert str(error.value) == "sigma=0: the Gaussian's width must be above 0"


def test_the_sides_of_a_field_are_independent():
    noise = Elastic(1.0, 1.0).parameters(range(100), (16, 16)).flatten(2)
    together = torch.stack((noise[:, 0].ravel(), noise[:, 1].ravel())).corrcoef()[0, 1]
    assert abs(float(together)) < 0.02


@pytest.mark.parametrize("size", [(7, 32), (16, 16), (70, 48), (13, 18)])
def test_an_image_is_distorted_alike_in_every_batch(size):
    member = Elastic(6.0, 2.0)
    whole = member.sample(range(70), size).displacement
    for some in ([0], [5, 69], range(17, 60)):
        assert torch.equal(member.sample(some, size).displacement, whole[list(some)])


@pytest.mark.parametrize("size", [(9, 32), (70, 80)])
def test_wide_images_too_equal_scipys_smoothing(size):
    member = Elastic(6.0, 2.0)
    noise = member.parameters([3, 8], size)
    taps = np.exp(-(np.arange(-8, 9) ** 2) / (2 * 2.0**2))
    expected = noise.double().numpy()
    for axis in (2, 3):
        expected = correlate1d(expected, taps / taps.sum(), axis, mode="constant")
    found = member.field(noise, size).displacement.numpy()
    np.testing.assert_allclose(found, 6.0 * expected[:, :, 8:-8, 8:-8], atol=1e-5)


def test_what_was_smoothed_is_not_smoothed_again(monkeypatch):
    made = []
    summed = elastic._Smoothed.summed
    monkeypatch.setattr(elastic._Smoothed, "summed", lambda self, room=None: made.append(len(self)) or summed(self))
    images = torch.rand(3, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    field = Elastic().sample(range(3), (8, 8))
    fresh = warp(images, field)
    assert made == [3]
    assert (field.rms > 0).all()
    assert made == [3, 3]
    assert torch.equal(warp(images, field), fresh)
    assert made == [3, 3]
