import pytest
import torch
import torch.nn.functional as F

from pliant._checks import InputError
from pliant.draws import Stream, permutation
from pliant.nets import PermutedPool
from pliant.nets.permuted_pool import permuted_pool


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("size", [(6, 8), (7, 5), (2, 2)])
def test_in_their_own_order_it_is_ordinary_pooling(size):
    images = noise(2, 3, *size)
    assert torch.equal(permuted_pool(images, torch.arange(size[0] * size[1])), F.max_pool2d(images, 2))


def test_equals_loops_over_places():
    images, order = noise(2, 3, 4, 6), permutation(3, Stream.POOLING, 0, 24)
    found = PermutedPool(3, seed=3)(images)
    for y in range(2):
        for x in range(3):
            places = [6 * (2 * y + i) + 2 * x + j for i in (0, 1) for j in (0, 1)]
            expected = images.flatten(2)[:, :, order[places]].amax(2)
            assert torch.equal(found[:, :, y, x], expected)


def test_every_pixel_is_pooled_once():
    image = torch.zeros(1, 1, 4, 4)
    for place in range(16):
        image.zero_().view(-1)[place] = 1
        assert PermutedPool(1)(image).sum() == 1


def test_the_order_depends_on_the_seed_and_the_size_alone():
    images = noise(2, 3, 8, 8)
    first = PermutedPool(3, seed=1)
    assert torch.equal(first(images), PermutedPool(3, seed=1)(images))
    assert torch.equal(first(images)[:1], first(images[:1]))
    assert not torch.equal(first(images), PermutedPool(3, seed=2)(images))


def test_an_order_drawn_in_inference_serves_training():
    pool, images = PermutedPool(1, seed=99), noise(1, 1, 4, 4)
    with torch.inference_mode():
        pool(images.clone())
    images.requires_grad_()
    pool(images).sum().backward()
    assert images.grad is not None
    assert images.grad.count_nonzero() == 4


def test_it_is_not_local():
    order = permutation(0, Stream.POOLING, 0, 32 * 32).view(32, 32)
    across = (order[:, 0::2] % 32 - order[:, 1::2] % 32).abs().float().mean()
    assert 8 < across < 13  # a third of the width, as for two pixels drawn at random


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: PermutedPool(1)(torch.zeros(1, 1, 1, 9)),
            "downsampling needs at least 2x2 pixels, got 1x9: give the net larger images",
        ),
        (lambda: PermutedPool(1, seed=-1), "seed=-1: a seed is an integer from 0 to 2^64 - 1"),
        (
            lambda: permuted_pool(torch.zeros(1, 1, 2, 3), torch.arange(4)),
            "the order has 4 places, images of 2x3 have 6 pixels: give one each",
        ),
    ],
)
def test_what_it_cannot_do_is_refused(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message
