import pytest
import torch
from scipy.stats import chisquare

from pliant._checks import InputError
from pliant.deform import PADDINGS, Circular, warp

DTYPES = (torch.uint8, torch.bfloat16, torch.float16, torch.float32, torch.float64)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("padding", PADDINGS)
def test_circular_shifts_are_torchs_roll_to_the_bit(dtype, padding):
    member, size = Circular("50%"), (8, 11)
    images = torch.randint(0, 255, (20, 2, *size), generator=torch.Generator().manual_seed(0)).to(dtype)
    shifts = member.parameters(range(20), size)
    rolled = [image.roll((int(y), int(x)), (1, 2)) for image, (x, y) in zip(images, shifts, strict=True)]
    assert torch.equal(warp(images, member.sample(range(20), size), padding), torch.stack(rolled))


def test_circular_shifts_are_whole_and_uniform():
    shifts = Circular(3.9).parameters(range(7000), (9, 9))
    values, counts = shifts.unique(return_counts=True)
    assert values.tolist() == [-3, -2, -1, 0, 1, 2, 3]
    assert chisquare(counts.numpy()).pvalue > 0.01


def test_a_circular_shift_cannot_be_free_of_folds():
    with pytest.raises(InputError) as error:
        Circular(2, invertible=True)
    assert str(error.value) == "invertible=True: a circular shift jumps where the sides of the image meet"
