import pytest
import torch
from torch import nn

from pliant import plan
from pliant._checks import InputError
from pliant.nets import DOWNSAMPLING, AveragePool, MaxPool, Strided, StridedReLU, Subsample
from pliant.nets.downsampling import downsampling

PARAMETER_FREE = (Subsample, MaxPool, AveragePool)


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_plan_knows_the_same_names_in_the_same_order():
    assert tuple(DOWNSAMPLING) == (*plan.DOWNSAMPLING, *plan.MORE_DOWNSAMPLING)


@pytest.mark.parametrize("name", DOWNSAMPLING)
def test_even_sizes_are_halved_by_all(name):
    assert DOWNSAMPLING[name](3)(noise(2, 3, 8, 12)).shape == (2, 3, 4, 6)


@pytest.mark.parametrize("name", sorted(set(DOWNSAMPLING) - {"permuted_pool"}))
def test_in_a_circular_net_a_shift_by_two_pixels_is_a_shift_by_one(name):
    down = downsampling(name, 3, padding_mode="circular").eval().double()
    images = noise(1, 3, 8, 12).double()
    torch.testing.assert_close(down(images.roll((2, -4), (2, 3))), down(images).roll((1, -2), (2, 3)))


def test_a_layer_of_a_net_has_the_nets_seed_and_padding_where_it_takes_them():
    assert downsampling("blur_pool", 2, padding_mode="circular").padding == "circular"
    assert downsampling("blur_pool", 2).padding == "reflect"
    assert downsampling("permuted_pool", 2, seed=7).seed == 7
    assert isinstance(downsampling("max_pool", 2, seed=7, padding_mode="circular"), MaxPool)


@pytest.mark.parametrize("name", plan.DOWNSAMPLING)
@pytest.mark.parametrize(("size", "half"), [((8, 12), (4, 6)), ((7, 5), (3, 2)), ((2, 3), (1, 1))])
def test_halves_the_resolution_and_keeps_the_channels(name, size, half):
    assert DOWNSAMPLING[name](3)(noise(2, 3, *size)).shape == (2, 3, *half)


@pytest.mark.parametrize("name", plan.DOWNSAMPLING)
def test_an_odd_last_row_and_column_are_left_out(name):
    down = DOWNSAMPLING[name](3).eval()
    images = noise(2, 3, 7, 9)
    assert torch.equal(down(images), down(images[:, :, :6, :8]))


@pytest.mark.parametrize("name", plan.DOWNSAMPLING)
def test_a_block_is_heard_in_its_own_pixel_alone(name):
    down = DOWNSAMPLING[name](2).eval()
    images = noise(1, 2, 8, 8)
    touched = images.clone()
    touched[:, :, 2:4, 4:6] += 3  # block 1 down, 2 across
    changed = (down(touched) != down(images)).any(1)[0]
    assert changed[1, 2]
    assert changed.sum() == 1


@pytest.mark.parametrize("name", plan.DOWNSAMPLING)
def test_a_shift_by_two_pixels_is_a_shift_by_one(name):
    down = DOWNSAMPLING[name](3).eval()
    images = noise(1, 3, 8, 8)
    assert torch.equal(down(images.roll((2, -4), (2, 3))), down(images).roll((1, -2), (2, 3)))


@pytest.mark.parametrize("kind", PARAMETER_FREE)
def test_constant_images_stay_as_they_are(kind):
    assert torch.equal(kind(1)(torch.full((1, 1, 4, 4), 0.3)), torch.full((1, 1, 2, 2), 0.3))


@pytest.mark.parametrize(("kind", "value"), [(Subsample, 7.0), (MaxPool, 9.0), (AveragePool, 4.75)])
def test_of_one_block(kind, value):
    assert kind(1)(torch.tensor([[[[7.0, 2.0], [1.0, 9.0]]]])).tolist() == [[[[value]]]]


def test_subsampling_takes_the_top_left_pixel():
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert Subsample(1)(image).tolist() == [[[[0.0, 2.0], [8.0, 10.0]]]]


def test_strided_is_linear():
    down = Strided(3)
    a, b = noise(2, 3, 6, 6), noise(2, 3, 6, 6, seed=1)
    torch.testing.assert_close(down(2 * a - 3 * b), 2 * down(a) - 3 * down(b), rtol=1e-4, atol=1e-5)
    assert not down(torch.zeros(1, 3, 4, 4)).any()


def test_strided_weighs_the_four_pixels_of_each_block():
    down, images = Strided(3), noise(2, 3, 6, 8)
    blocks = images.reshape(2, 3, 3, 2, 4, 2)
    torch.testing.assert_close(down(images), torch.einsum("ociJ,ncyixJ->noyx", down.conv.weight, blocks))


def test_strided_relu_is_the_same_then_batch_norm_and_relu():
    down, images = StridedReLU(3, seed=4), noise(2, 3, 6, 6)
    expected = nn.functional.batch_norm(Strided(3, seed=4)(images), None, None, training=True).relu()
    torch.testing.assert_close(down(images), expected)
    assert (expected == 0).any()


@pytest.mark.parametrize("kind", [Strided, StridedReLU])
def test_a_seed_means_its_weights_and_touches_no_global_generator(kind):
    before = torch.get_rng_state()
    first, again, other = kind(4, seed=1), kind(4, seed=1), kind(4, seed=2)
    assert torch.equal(first.conv.weight, again.conv.weight)
    assert not torch.equal(first.conv.weight, other.conv.weight)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", plan.DOWNSAMPLING)
def test_less_than_a_block_is_refused(name):
    with pytest.raises(InputError) as error:
        DOWNSAMPLING[name](3)(noise(2, 3, 1, 5))
    assert str(error.value) == "downsampling needs at least 2x2 pixels, got 1x5: give the net larger images"
