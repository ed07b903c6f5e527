import pytest
import torch

from pliant._checks import InputError
from pliant.nets import APS, LPS
from pliant.nets.phases import largest_phase, phases, take_phase


def noise(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rolls_of(image):
    """All circular shifts of one map, as bytes."""
    height, width = image.shape[-2:]
    return {image.roll((i, j), (-2, -1)).numpy().tobytes() for i in range(height) for j in range(width)}


@pytest.mark.parametrize(("stride", "size"), [(1, (5, 3)), (2, (8, 6)), (3, (9, 6)), (4, (8, 8))])
def test_equals_a_search_over_the_grids(stride, size):
    images = noise(5, 2, *size)
    found = APS(2, stride)(images)
    for image, kept in zip(images, found, strict=True):
        grids = [image[:, i::stride, j::stride] for i in range(stride) for j in range(stride)]
        assert torch.equal(kept, max(grids, key=lambda grid: float(grid.norm())))


@pytest.mark.parametrize("make", [APS, lambda channels: LPS(channels).eval().double()], ids=["aps", "lps"])
@pytest.mark.parametrize("shift", [(1, 0), (0, 1), (3, -5), (2, 4)])
def test_of_a_shifted_image_it_is_a_shift_of_what_it_was(make, shift):
    down, images = make(3), noise(6, 3, 8, 12)
    for before, after in zip(down(images), down(images.roll(shift, (2, 3))), strict=True):
        assert after.contiguous().numpy().tobytes() in rolls_of(before.contiguous())


def test_subsampling_is_no_such_layer():  # must fail
    image = noise(1, 3, 8, 8)[0]
    assert image.roll(1, 2)[:, ::2, ::2].contiguous().numpy().tobytes() not in rolls_of(image[:, ::2, ::2].contiguous())


def test_each_image_has_its_own_grid_whatever_the_batch():
    images = torch.zeros(3, 1, 4, 4)
    images[0, 0, 1, 0] = images[1, 0, 0, 1] = images[2, 0, 3, 3] = 1.0
    assert largest_phase(images, 2).tolist() == [2, 1, 3]
    assert [largest_phase(image[None], 2).item() for image in images] == [2, 1, 3]
    assert APS(1)(images).sum((1, 2, 3)).tolist() == [1, 1, 1]


def test_of_equal_norms_the_first_is_taken():
    assert largest_phase(torch.ones(1, 1, 4, 4), 2).tolist() == [0]


def test_norms_of_half_precision_are_summed_in_single():
    images = torch.full((1, 64, 8, 8), 200.0, dtype=torch.float16)  # squares overflow in float16
    images[..., 1::2, 1::2] += 1
    assert largest_phase(images, 2).tolist() == [3]
    assert APS(64)(images).dtype == torch.float16


def test_a_shared_choice_is_taken_from_other_maps():
    images = noise(2, 3, 6, 4)
    taken = take_phase(images, torch.tensor([1, 2]), 2)
    assert torch.equal(taken[0], images[0, :, ::2, 1::2])
    assert torch.equal(taken[1], images[1, :, 1::2, ::2])


def test_gradients_reach_the_kept_pixels_alone():
    images = noise(1, 2, 4, 4).requires_grad_()
    APS(2)(images).sum().backward()
    assert images.grad is not None
    assert images.grad.count_nonzero() == 2 * 4


def test_learned_sampling_takes_the_grid_with_the_best_score_in_evaluation():
    down, images = LPS(3, seed=1).eval().double(), noise(4, 3, 8, 8)
    best = down.scores(images).argmax(1)
    assert len(best.unique()) > 1
    assert torch.equal(down(images), take_phase(images, best, 2))


def test_learned_sampling_mixes_grids_in_training_by_torchs_generator_and_learns_its_scores():
    down, images = LPS(3).double(), noise(4, 3, 8, 8)
    torch.manual_seed(0)
    first, second = down(images), down(images)
    torch.manual_seed(0)
    assert torch.equal(down(images), first)
    assert not torch.equal(first, second)
    grids = phases(images, 2)
    assert (first <= grids.amax(1)).all()
    assert (first >= grids.amin(1)).all()
    first.square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in (down.first.weight, down.second.weight))


def test_a_low_temperature_takes_one_grid():
    torch.manual_seed(0)
    images = noise(4, 3, 8, 8)
    mixed = LPS(3, temperature=1e-4).double()(images)
    assert ((mixed[:, None] - phases(images, 2)).abs().amax((2, 3, 4)).amin(1) < 1e-6).all()


def test_the_two_convolutions_share_no_numbers():
    first, second = LPS(1, hidden=16).first.weight.flatten(), LPS(1, hidden=16).second.weight.flatten()
    assert abs(torch.corrcoef(torch.stack((first, second)))[0, 1]) < 0.5


def test_scores_of_half_precision_do_not_tie():
    down, images = LPS(3).eval().to(torch.bfloat16), noise(64, 3, 8, 8).to(torch.bfloat16)
    scores = down.scores(images)
    assert scores.dtype == torch.float32
    assert (scores.topk(2).values.diff().abs() > 0).all()


def test_a_seed_means_its_weights():
    first, again, other = LPS(3, seed=1), LPS(3, seed=1), LPS(3, seed=2)
    assert torch.equal(first.first.weight, again.first.weight)
    assert not torch.equal(first.second.weight, other.second.weight)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (
            lambda: APS(1)(torch.zeros(1, 1, 4, 5)),
            "sampling with stride 2 that follows the image needs a height and width that 2 divides, got 4x5: resize or "
            "pad the images",
        ),
        (
            lambda: LPS(1, stride=3).eval()(torch.zeros(1, 1, 4, 6)),
            "sampling with stride 3 that follows the image needs a height and width that 3 divides, got 4x6: resize or "
            "pad the images",
        ),
        (lambda: APS(1, 0), "stride=0: pixels from one output to the next, 1 or more"),
        (lambda: LPS(1, stride=0), "stride=0: pixels from one output to the next, 1 or more"),
        (lambda: LPS(1, hidden=0), "hidden=0: channels between the two convolutions, 1 or more"),
        (lambda: LPS(1, temperature=0), "temperature=0: of a softmax, above 0 and finite"),
    ],
)
def test_what_they_cannot_do_is_refused(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message
