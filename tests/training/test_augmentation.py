import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pliant.training import augment


def noise(n, height=5, width=7, channels=2):
    return torch.randn(n, channels, height, width, generator=torch.Generator().manual_seed(n))


def chances(*rows):
    return torch.tensor(rows, dtype=torch.float32)


def one_by_one(image, numbers, flip, crop):
    """Pad, cut, mirror: one image at a time in numpy."""
    _, height, width = image.shape
    padded = np.pad(image, [(0, 0), (crop, crop), (crop, crop)])
    down, across = (int(number * (2 * crop + 1)) for number in numbers[1:])
    window = padded[:, down : down + height, across : across + width]
    return window[:, :, ::-1] if flip and numbers[0] < 0.5 else window


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 9), st.booleans(), st.integers(0, 4), st.integers(0, 99))
def test_equals_one_image_at_a_time(n, height, width, flip, crop, seed):
    images = noise(n, height, width)
    numbers = torch.rand(n, 3, generator=torch.Generator().manual_seed(seed))
    expected = [one_by_one(x, u, flip, crop) for x, u in zip(images.numpy(), numbers.tolist(), strict=True)]
    np.testing.assert_array_equal(augment(images, numbers, flip, crop).numpy(), np.stack(expected))


def test_without_flip_and_crop_it_is_the_identity():
    images = noise(4)
    assert torch.equal(augment(images, torch.rand(4, 3), flip=False, crop=0), images)


def test_the_middle_window_is_the_image_itself():
    images = noise(2)
    assert torch.equal(augment(images, chances([0.7, 0.5, 0.5], [0.5, 0.5, 0.5]), flip=True, crop=3), images)


def test_below_one_half_mirrors_left_to_right():
    images = noise(2)
    found = augment(images, chances([0.49, 0, 0], [0.5, 0, 0]), flip=True, crop=0)
    assert torch.equal(found[0], images[0].flip(-1))
    assert torch.equal(found[1], images[1])


def test_a_window_further_up_and_left_shows_the_image_further_down_and_right():
    image = torch.zeros(1, 1, 5, 5)
    image[0, 0, 1, 2] = 1.0
    found = augment(image, chances([0.9, 0.0, 0.2]), flip=False, crop=2)  # 2 up, 1 left
    assert found.nonzero().tolist() == [[0, 0, 3, 3]]


def test_the_largest_number_is_the_last_window():
    image = torch.zeros(1, 1, 4, 4)
    image[0, 0, 3, 3] = 1.0
    last = 1 - 2.0**-24
    for crop in (1, 3, 500):
        found = augment(image, chances([0.9, last, last]), flip=False, crop=crop)
        assert found.nonzero().tolist() == ([[0, 0, 3 - crop, 3 - crop]] if crop < 4 else [])


def test_an_image_does_not_depend_on_its_batch():
    images, numbers = noise(6), torch.rand(6, 3, generator=torch.Generator().manual_seed(0))
    alone = [augment(images[i : i + 1], numbers[i : i + 1], True, 2) for i in range(6)]
    assert torch.equal(augment(images, numbers, True, 2), torch.cat(alone))


def test_it_comes_out_channels_last():
    assert augment(noise(4), torch.rand(4, 3), True, 2).is_contiguous(memory_format=torch.channels_last)
