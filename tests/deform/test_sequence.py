import pytest
import torch
from scipy.ndimage import map_coordinates

from pliant import draws
from pliant._checks import InputError
from pliant.deform import Affine, Field, Rotate, Sequence, ThinPlate, Translate, warp


def test_the_first_step_comes_first():
    impulse = torch.zeros(1, 1, 9, 9)
    impulse[..., 4, 6] = 1.0
    turned = Rotate(degrees=90)
    moved = Translate(x=2)
    field = Sequence((turned, moved)).sample([0], (9, 9))
    assert warp(impulse, field)[0, 0].round().nonzero().tolist() == [[6, 6]]  # below the centre, then to the right
    other = Sequence((moved, turned)).sample([0], (9, 9))
    assert warp(impulse, other)[0, 0].round().nonzero().tolist() == [[8, 4]]  # to the right, then below the centre


def test_composed_affine_maps_are_the_affine_map_of_the_product():
    # The maps stay within the image where it is looked at, so that nothing is read beyond the border.
    size = (40, 40)
    together = Sequence((Rotate(degrees=10), Translate(x=1.5, y=-2))).sample([0], size).displacement
    whole = Affine(10, 1.5, -2).sample([0], size).displacement
    torch.testing.assert_close(together[..., 8:-8, 8:-8], whole[..., 8:-8, 8:-8], atol=1e-3, rtol=0)


def test_one_resampling_of_a_sequence_is_nearly_two_in_a_row_but_sharper():
    y, x = torch.meshgrid(torch.linspace(0, 3, 64), torch.linspace(0, 3, 64), indexing="ij")
    image = (torch.sin(2 * x) * torch.cos(x * y / 2))[None, None]
    steps = (ThinPlate(3, 3.0), ThinPlate(4, 2.0))
    composed = Sequence(steps).sample([5], (64, 64))
    first, second = (step.sample([5], (64, 64), seed=draws.child(0, place)) for place, step in enumerate(steps))
    torch.testing.assert_close(composed.displacement, first.then(second).displacement)
    torch.testing.assert_close(
        warp(image, composed, "border")[..., 8:-8, 8:-8],
        warp(warp(image, first, "border"), second, "border")[..., 8:-8, 8:-8],
        atol=5e-3,
        rtol=0,
    )


def test_steps_draw_numbers_of_their_own():
    twice = Sequence((ThinPlate(3, 1.0), ThinPlate(3, 1.0))).parameters(range(500), (8, 8))
    first, second = twice.split(18, 1)
    assert abs(float((first * second).mean()) / float(first.square().mean())) < 0.05


def test_a_step_that_is_to_be_invertible_is():
    wild = ThinPlate(4, "60%", invertible=True)
    composed = Sequence((wild, Translate(x=0))).sample(range(4), (16, 16))
    assert composed.folds.tolist() == [0.0] * 4
    assert composed.shrunk is not None
    assert composed.shrunk.min() > 0
    free = Sequence((ThinPlate(4, "60%"), Translate(x=0))).sample(range(4), (16, 16))
    assert free.folds.min() > 0
    assert free.shrunk is None


def test_an_empty_sequence_is_refused():
    with pytest.raises(InputError) as error:
        Sequence(())
    assert str(error.value) == "a sequence needs at least one deformation"


def test_composition_against_scipy():
    generator = torch.Generator().manual_seed(1)
    first, second = (Field(torch.randn((1, 2, 7, 9), generator=generator)) for _ in range(2))
    y, x = torch.meshgrid(torch.arange(7.0), torch.arange(9.0), indexing="ij")
    places = [(y + second.displacement[0, 1]).numpy(), (x + second.displacement[0, 0]).numpy()]
    for axis in range(2):
        read = map_coordinates(first.displacement[0, axis].double().numpy(), places, order=1, mode="nearest")
        expected = second.displacement[0, axis].double() + torch.from_numpy(read)
        torch.testing.assert_close(first.then(second).displacement[0, axis].double(), expected, atol=1e-5, rtol=0)
