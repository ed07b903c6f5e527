import math

import pytest
import torch
import torch.nn.functional as F
from reference.blur_pool import blur_pool

from pliant._checks import InputError
from pliant.nets import BlurPool, MaxBlurPool, Strided, StridedBlur
from pliant.nets.blur_pool import PADDINGS, binomial, padded


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("taps", range(1, 9))
def test_the_filter_sums_to_one_and_is_binomial(taps):
    filter = binomial(taps)
    assert filter.sum().item() == pytest.approx(1, abs=1e-7)
    row = [math.comb(taps - 1, k) / 2 ** (taps - 1) for k in range(taps)]
    torch.testing.assert_close(filter, torch.outer(torch.tensor(row), torch.tensor(row)))


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(("taps", "stride"), [(1, 1), (1, 3), (2, 2), (3, 2), (4, 2), (5, 3), (6, 4), (7, 2)])
@pytest.mark.parametrize("size", [(8, 12), (7, 5), (2, 3), (1, 1)])
def test_equals_loops_over_pixels(taps, stride, padding, size):
    images = noise(2, 3, *size)
    found = BlurPool(3, taps, stride, padding)(images)
    torch.testing.assert_close(found, torch.from_numpy(blur_pool(images.numpy(), taps, stride, padding)))


@pytest.mark.parametrize("padding", ["reflect", "circular"])
@pytest.mark.parametrize("taps", [1, 2, 3, 4, 5])
def test_constant_images_stay_as_they_are(taps, padding):
    found = BlurPool(1, taps, 2, padding)(torch.full((1, 1, 6, 5), 0.3))
    torch.testing.assert_close(found, torch.full((1, 1, 3, 3), 0.3))


def test_two_taps_and_stride_two_are_average_pooling():
    images = noise(2, 3, 8, 6)
    torch.testing.assert_close(BlurPool(3, 2, 2)(images), F.avg_pool2d(images, 2))


def test_one_tap_is_subsampling_and_stride_one_keeps_the_size():
    images = noise(2, 3, 7, 6)
    assert torch.equal(BlurPool(3, 1, 2)(images), images[..., ::2, ::2])
    assert BlurPool(3, 4, 1)(images).shape == images.shape


def test_max_and_three_taps_on_a_square_wave_as_zhang_works_it_out():
    wave = torch.tensor([0.0, 0, 1, 1, 0, 0, 1, 1]).expand(1, 1, 8, 8)
    pool = MaxBlurPool(1, padding="circular")
    assert pool(wave)[0, 0, 0].tolist() == [0.5, 1, 0.5, 1]
    assert pool(wave.roll(-1, 3))[0, 0, 0].tolist() == [0.75] * 4
    maximum = F.max_pool2d(wave, 2), F.max_pool2d(wave.roll(-1, 3), 2)  # what it is for: plain pooling tells them apart
    assert [m[0, 0, 0].tolist() for m in maximum] == [[0, 1, 0, 1], [1, 1, 1, 1]]


@pytest.mark.parametrize("taps", [2, 3, 5])
def test_max_blur_pool_is_max_pooling_at_every_pixel_and_then_the_blur(taps):
    images = noise(2, 3, 9, 8)
    expected = BlurPool(3, taps, 2)(F.max_pool2d(images, 2, stride=1))
    assert torch.equal(MaxBlurPool(3, taps)(images), expected)
    assert expected.shape == (2, 3, 4, 4)


def test_strided_blur_has_the_weights_of_strided_and_blurs_last():
    down, images = StridedBlur(3, seed=4).double(), noise(2, 3, 8, 8)
    assert torch.equal(down.conv.weight, Strided(3, seed=4).conv.weight)
    mapped = F.conv2d(images, down.conv.weight)
    expected = BlurPool(3)(F.batch_norm(mapped, None, None, training=True).relu())
    torch.testing.assert_close(down(images), expected)
    assert (expected >= 0).all()  # blurred behind the ReLU


def test_nothing_is_added_to_the_weights_that_are_saved():
    assert BlurPool(3).state_dict() == {}
    assert next(iter(StridedBlur(3).state_dict())) == "conv.weight"


def test_half_precision_stays_and_gradients_flow():
    images = noise(1, 2, 6, 6).bfloat16().requires_grad_()
    out = BlurPool(2)(images)
    out.sum().backward()
    assert out.dtype == torch.bfloat16
    assert images.grad is not None
    assert images.grad.any()


@pytest.mark.parametrize(
    ("padding", "expected"), [("reflect", [1, 2, 1, 0, 1, 2, 1]), ("circular", [0, 1, 2, 0, 1, 2, 0])]
)
def test_what_stands_outside_is_mirrored_without_the_border_or_wrapped(padding, expected):
    row = torch.tensor([[[[0.0, 1.0, 2.0]]]])
    assert padded(row, (0, 0), (3, 1), padding)[0, 0, 0].tolist() == expected


def test_many_times_around_a_small_map():
    row = torch.tensor([[[[0.0, 1.0, 2.0]]]])
    assert padded(row, (1, 1), (5, 4), "circular")[0, 0, 0].tolist() == [1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0]
    assert padded(row, (1, 1), (5, 4), "reflect")[0, 0, 0].tolist() == [1, 0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BlurPool(1, 0), "filter=0: taps a side, 1 or more; 3 is the usual"),
        (lambda: BlurPool(1, 3, 0), "stride=0: pixels from one output to the next, 1 or more"),
        (lambda: BlurPool(1, padding="reflct"), "unknown padding 'reflct'. Did you mean 'reflect'?"),
        (
            lambda: MaxBlurPool(1)(torch.zeros(1, 1, 1, 5)),
            "downsampling needs at least 2x2 pixels, got 1x5: give the net larger images",
        ),
        (
            lambda: StridedBlur(1, padding="circular")(torch.zeros(1, 1, 5, 1)),
            "downsampling needs at least 2x2 pixels, got 5x1: give the net larger images",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_what_they_cannot_do_is_refused(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message
