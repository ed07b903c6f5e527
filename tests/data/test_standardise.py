import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pliant.data import standardise


def images(seed, shape=(3, 2, 5, 7)):
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


@given(st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_mean_0_and_variance_1_over_channels_and_pixels(seed):
    out = standardise(images(seed))
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.mean((1, 2, 3)), torch.zeros(3), atol=1e-6, rtol=0)
    torch.testing.assert_close(out.var((1, 2, 3), correction=0), torch.ones(3))


@given(st.integers(0, 1000), st.floats(0.1, 10), st.floats(-100, 100))
@settings(max_examples=20, deadline=None)
def test_brightness_and_contrast_do_not_matter(seed, scale, offset):
    values = images(seed).float()
    torch.testing.assert_close(standardise(scale * values + offset), standardise(values), atol=1e-4, rtol=1e-4)


def test_an_image_does_not_depend_on_its_batch():
    batch = images(0)
    assert torch.equal(standardise(batch)[1:2], standardise(batch[1:2]))


def test_two_values():
    one = torch.tensor([[[[0, 255], [255, 0]]]], dtype=torch.uint8)
    assert standardise(one).tolist() == [[[[-1, 1], [1, -1]]]]


@pytest.mark.parametrize("value", [0, 7, 255])
def test_a_constant_image_becomes_zeros(value):
    out = standardise(torch.full((1, 3, 224, 224), value, dtype=torch.uint8))
    assert not out.any()
