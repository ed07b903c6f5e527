import pytest
import torch
import torch.nn.functional as F

from pliant._checks import InputError
from pliant.nets import PoolSkip


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [1, 2, 3])
def test_with_a_zero_convolution_it_is_the_identity(size):
    skip, images = PoolSkip(3, size), noise(2, 3, 7, 8)
    assert not torch.equal(skip(images), images)
    skip.conv.weight.data.zero_()
    assert torch.equal(skip(images), images)


@pytest.mark.parametrize("padding_mode", ["zeros", "circular"])
def test_the_convolution_sees_the_largest_of_each_block_at_its_place(padding_mode):
    skip, images = PoolSkip(2, 2, seed=1, padding_mode=padding_mode), noise(2, 2, 5, 6)
    kept = torch.zeros_like(images)
    for n in range(2):
        for c in range(2):
            for y in range(0, 4, 2):
                for x in range(0, 6, 2):
                    block = images[n, c, y : y + 2, x : x + 2]
                    place = int(block.argmax())
                    kept[n, c, y + place // 2, x + place % 2] = block.max()
    mode = "constant" if padding_mode == "zeros" else "circular"
    expected = images + F.conv2d(F.pad(kept, (1, 1, 1, 1), mode=mode), skip.conv.weight)
    torch.testing.assert_close(skip(images), expected)
    assert (kept[..., 4, :] == 0).all()


def test_blocks_of_one_pixel_leave_all_values():
    skip, images = PoolSkip(2, 1), noise(1, 2, 4, 4)
    torch.testing.assert_close(skip(images), images + skip.conv(images))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PoolSkip(1, 0), "pool_skip=0: pixels a side of the blocks, 1 or more"),
        (lambda: PoolSkip(1, padding_mode="wrap"), "unknown padding_mode 'wrap'. Known: circular, zeros."),
        (
            lambda: PoolSkip(1, 3)(torch.zeros(1, 1, 5, 2)),
            "pool_skip=3 needs at least 3x3 pixels, got 5x2: give the net larger images, or take smaller blocks",
        ),
    ],
)
def test_what_it_cannot_do_is_refused(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message
