import math
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import bilinear, lie_derivative

from pliant._checks import InputError
from pliant.deform import PADDINGS, Elastic, Field, Pose, ThinPlate, Translate, resampling, series, warp, warp_tangent
from pliant.deform.affine import STILL
from pliant.deform.series import Series

DTYPES = (torch.uint8, torch.bfloat16, torch.float16, torch.float32, torch.float64)


def pictures(n, channels, height, width, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    numbers = torch.randint(0, 256, (n, channels, height, width), generator=generator)
    return numbers.to(dtype) if dtype == torch.uint8 else (numbers / 255).to(dtype)


def shift(dx, dy, size, n=1):
    return Field(torch.tensor([dx, dy], dtype=torch.float32)[None, :, None, None].expand(n, 2, *size))


def test_positive_dx_takes_the_value_from_the_right():
    image = torch.zeros(1, 1, 5, 7)
    image[0, 0, 2, 4] = 1.0
    assert warp(image, shift(1, 0, (5, 7)))[0, 0].nonzero().tolist() == [[2, 3]]


def test_positive_dy_takes_the_value_from_below():
    image = torch.zeros(1, 1, 5, 7)
    image[0, 0, 2, 4] = 1.0
    assert warp(image, shift(0, 1, (5, 7)))[0, 0].nonzero().tolist() == [[1, 4]]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("size", [(9, 14), (1, 6), (5, 1), (2, 2)])
def test_equals_the_loop_over_pixels(padding, size):
    images = pictures(3, 2, *size)
    field = Field(4 * torch.randn(3, 2, *size, generator=torch.Generator().manual_seed(1)))
    warped = warp(images, field, padding)
    for i in range(3):
        expected = bilinear.warp(images[i].numpy(), field.displacement[i].numpy(), padding)
        torch.testing.assert_close(warped[i].double(), torch.from_numpy(expected), atol=1e-5, rtol=0)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("dtype", DTYPES)
@settings(deadline=None, max_examples=15)
@given(st.integers(1, 40), st.integers(1, 40))
def test_no_displacement_is_the_identity_to_the_bit(padding, dtype, height, width):
    images = pictures(2, 3, height, width, dtype)
    assert torch.equal(warp(images, ThinPlate(reach=0).sample(range(2), (height, width)), padding), images)


def test_an_infinite_pixel_survives_the_identity():
    images = torch.tensor([[[[1.0, float("inf")], [-0.0, 2.0]]]])
    same = warp(images, shift(0, 0, (2, 2)))
    assert torch.equal(same.view(torch.int32), images.view(torch.int32))


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_type_goes_through_and_its_rounding_is_all_that_differs(dtype):
    images = pictures(4, 3, 24, 20, dtype)
    field = ThinPlate(3, 2.0).sample(range(4), (24, 20))
    warped = warp(images, field)
    assert warped.dtype == dtype
    exact = warp(images.double(), field)
    step = {torch.uint8: 0.5 + 1e-4, torch.bfloat16: 2**-8, torch.float16: 2**-11}.get(dtype, 2e-5)
    assert (warped.double() - exact).abs().max() <= step


@pytest.mark.parametrize("padding", PADDINGS)
def test_whole_shifts_move_whole_pixels(padding):
    images = pictures(1, 3, 8, 9, torch.uint8)
    warped = warp(images, shift(2, -1, (8, 9)), padding)
    assert torch.equal(warped[..., 1:, :-2], images[..., :-1, 2:])
    outside = {"zeros": torch.zeros_like(images[..., 0, 2:]), "border": images[..., 0, 2:]}
    assert torch.equal(warped[..., 0, :-2], outside.get(padding, images[..., 1, 2:]))


def test_a_long_batch_is_warped_image_by_image():
    images = pictures(300, 1, 32, 32)
    field = ThinPlate().sample(range(300), (32, 32))
    warped = warp(images, field)
    for i in (0, 64, 127, 128, 299):
        assert torch.equal(warped[i : i + 1], warp(images[i : i + 1], field[i]))


def test_images_of_any_memory_layout():
    images = pictures(4, 3, 12, 10)
    field = ThinPlate().sample(range(4), (12, 10))
    assert torch.equal(warp(images.to(memory_format=torch.channels_last), field), warp(images, field))


def test_gradients_to_images_and_displacements():
    images = pictures(2, 2, 5, 6, torch.float64).requires_grad_()
    generator = torch.Generator().manual_seed(0)
    # Away from whole pixels, where the derivative jumps.
    whole = torch.randint(-2, 2, (2, 2, 5, 6), generator=generator)
    parts = 0.2 + 0.6 * torch.rand((2, 2, 5, 6), generator=generator)
    displacement = (whole + parts).double().requires_grad_()

    def function(images, displacement):
        return warp(images, Field(displacement), "border")

    assert torch.autograd.gradcheck(function, (images, displacement), atol=1e-4)


def test_a_field_of_zeros_still_has_gradients():
    images = pictures(1, 1, 6, 6).requires_grad_()
    displacement = torch.zeros(1, 2, 6, 6, requires_grad=True)
    warped = warp(images, Field(displacement))
    assert torch.equal(warped, images)
    warped.square().sum().backward()
    assert displacement.grad is not None
    assert displacement.grad.abs().max() > 0
    torch.testing.assert_close(images.grad, 2 * images.detach(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("images", "padding", "message"),
    [
        (torch.zeros(1, 1, 4, 4), "wrap", "unknown padding 'wrap'. Known: border, reflection, zeros."),
        (
            torch.zeros(1, 1, 4, 4, dtype=torch.int32),
            "zeros",
            "images must be uint8 or floating point, got torch.int32: convert them first",
        ),
        (
            torch.zeros(2, 1, 4, 5),
            "zeros",
            "2 images of 4x5 do not fit 1 fields of 4x4: sample one field for each image, with the images' size",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_input(images, padding, message):
    with pytest.raises(InputError) as error:
        warp(images, shift(0, 0, (4, 4)), padding)
    assert str(error.value) == message


def test_the_tangent_looks_to_where_the_field_points():
    image = torch.zeros(1, 1, 5, 7)
    image[0, 0, 2, 4] = 1.0
    along = warp_tangent(image, shift(3, 0, (5, 7)))[0, 0]
    assert along.nonzero().tolist() == [[2, 3], [2, 5]]
    assert (along[2, 3], along[2, 5]) == (1.5, -1.5)
    across = warp_tangent(image, shift(0, 3, (5, 7)))[0, 0]
    assert across.nonzero().tolist() == [[1, 4], [3, 4]]
    assert (across[1, 4], across[3, 4]) == (1.5, -1.5)


SIZES = [(9, 14), (1, 6), (5, 1), (2, 2), (1, 1)]


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("size", SIZES)
def test_the_tangent_equals_the_loop_over_pixels(padding, size):
    images = pictures(3, 2, *size, torch.float64)
    field = Field(4 * torch.randn(3, 2, *size, generator=torch.Generator().manual_seed(1)))
    found = warp_tangent(images, field, padding)
    for i in range(3):
        matrix = torch.from_numpy(lie_derivative.matrix(field.displacement[i].numpy(), padding))
        expected = (images[i].flatten(1) @ matrix.T).view_as(images[i])
        torch.testing.assert_close(found[i], expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("size", SIZES)
def test_the_tangent_is_the_central_difference_of_the_warp(padding, size):
    images = pictures(3, 2, *size, torch.float64)
    field = Field(torch.randn(3, 2, *size, generator=torch.Generator().manual_seed(1)))
    step = 2.0**-26  # the product of both displacements leaves an error that goes with the step
    ahead, back = (warp(images, field.scaled(sign * step), padding) for sign in (1, -1))
    torch.testing.assert_close(warp_tangent(images, field, padding), (ahead - back) / (2 * step), atol=1e-6, rtol=0)


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("axis", [0, 1])
def test_along_an_axis_it_is_the_central_difference_of_steps_up_to_a_pixel(padding, axis):
    images = pictures(3, 2, 9, 14, torch.float64)
    field = Field(torch.rand(3, 2, 9, 14, generator=torch.Generator().manual_seed(1)))
    field.displacement[:, 1 - axis] = 0
    ahead, back = (warp(images, field.scaled(sign), padding) for sign in (1, -1))
    torch.testing.assert_close(warp_tangent(images, field, padding), (ahead - back) / 2, atol=1e-12, rtol=0)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_tangent_of_any_type_is_that_of_its_numbers(dtype):
    images, field = pictures(4, 3, 12, 10, dtype), ThinPlate(3, 2.0).sample(range(4), (12, 10))
    found = warp_tangent(images, field)
    assert found.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    exact = warp_tangent(images.double(), field)
    torch.testing.assert_close(found.double(), exact, atol=1e-3 if dtype == torch.uint8 else 1e-5, rtol=0)


def test_the_tangent_is_linear_in_the_field_and_differentiable():
    images, field = pictures(2, 1, 5, 6, torch.float64), Field(torch.randn(2, 2, 5, 6))
    tripled = warp_tangent(images, field.scaled(-3.0))
    torch.testing.assert_close(tripled, -3 * warp_tangent(images, field), rtol=1e-5, atol=1e-6)
    assert torch.autograd.gradcheck(lambda x: warp_tangent(x, field, "reflection"), images.requires_grad_())


@pytest.mark.usefixtures("unchecked")
def test_the_tangent_refuses_what_the_warp_refuses():
    for images, padding in ((pictures(2, 1, 5, 7), "zeros"), (pictures(1, 1, 5, 7), "wrap")):
        messages = []
        for function in (warp, warp_tangent):
            with pytest.raises(InputError) as error:
                function(images, shift(1, 0, (5, 7)), padding)
            messages.append(str(error.value))
        assert messages[0] == messages[1]


RECIPES = [ThinPlate(3, 2.0), Pose(3.0, "50%"), Elastic(9.0, 1.2)]


@pytest.mark.parametrize("member", RECIPES, ids=lambda member: member.name)
@pytest.mark.parametrize(
    ("padding", "dtype"), [*((padding, torch.float32) for padding in PADDINGS), *(("zeros", kind) for kind in DTYPES)]
)
@pytest.mark.parametrize("size", [(32, 32), (30, 21)])
def test_a_recipe_is_warped_as_its_displacements_are_and_stays_what_it_is(member, padding, dtype, size, monkeypatch):
    images, field = pictures(40, 2, *size, dtype), member.sample(range(40), size)
    plain = Field(field.displacement.clone())
    at_once = warp(images, field, padding)
    assert torch.equal(at_once, warp(images, plain, padding))
    for name, less in (("_SLICE_BYTES", 1), ("_KEPT", 2 * size[0] * size[1] * 7)):
        monkeypatch.setattr(resampling, name, less)
        assert torch.equal(warp(images, field, padding), at_once)
        assert torch.equal(warp(images, plain, padding), at_once)
    assert torch.equal(field.displacement, member.sample(range(40), size).displacement)
    assert torch.equal(field.displacement, plain.displacement)


def test_whole_pixels_beside_others_are_copied_where_one_product_gives_the_places(monkeypatch):
    made = []
    placed = Series.placed
    monkeypatch.setattr(Series, "placed", lambda self, *given: made.append(len(self)) or placed(self, *given))
    images, parameters = pictures(6, 2, 32, 32), torch.tensor(list(STILL.values())).mean(1).repeat(6, 1)
    images[:2, :, 5, 5] = math.inf  # which nothing beside it survives that is not copied
    parameters[:, 1] = torch.tensor([0.0, 3.0, 0.3, 3.0 + 2.0**-20, math.inf, -40.0])
    parameters[:, 2] = torch.tensor([0.0, -2.0, 0.0, 0.0, 0.0, 0.0])
    field = Translate(4.0).field(parameters, (32, 32))
    together = warp(images, field)
    assert made == [6]
    assert torch.equal(together[0], images[0])
    assert torch.equal(together[1, :, :30, 3:], images[1, :, 2:, :29])
    assert not together[5].any()
    alone = [warp(images[i : i + 1], field[i]) for i in range(6)]
    assert made == [6, 1, 1, 1]  # of those displaced by 0.3, by nearly 3 and by no number
    assert torch.equal(together.nan_to_num(-1), torch.cat(alone).nan_to_num(-1))


@pytest.mark.parametrize(("size", "backwards", "expected"), [(32, False, True), (32, True, False), (31, False, False)])
def test_a_product_gives_the_places_only_where_a_trial_gives_the_same_bits(size, backwards, expected, monkeypatch):
    made = ThinPlate(5, 4.0).sample(range(3), (size, size)).source
    own = replace(made, basis=made.basis.clone())  # for which nothing was tried yet
    images, used, placed = pictures(3, 1, size, size), [], Series.placed
    monkeypatch.setattr(Series, "placed", lambda self, *given: used.append(len(self)) or placed(self, *given))
    if backwards:
        monkeypatch.setattr(series, "_products", lambda rows, basis, room=None: rows.flip(1) @ basis.flip(0))
    warped = warp(images, Field(own))
    assert bool(used) == expected
    assert torch.equal(warped, warp(images, Field(own.summed())))


def test_images_may_be_whole_where_one_pixel_nearly_is_along_both_axes():
    basis = torch.ones(1, 15)
    weights = torch.tensor([[3.0, -2.0], [3.0005, -2.0], [3.3, -2.0], [3.0, -2.3], [0.0, 0.0], [math.nan, 1.0]])
    assert Series(weights[..., None], (3, 5), basis).maybe_whole().tolist() == [0, 1, 4]


@pytest.mark.parametrize("member", RECIPES, ids=lambda member: member.name)
def test_images_are_differentiable_in_a_functional_style_whatever_their_size(member):
    for size in ((32, 32), (30, 21)):
        images, field = pictures(2, 1, *size), member.sample(range(2), size)
        found = torch.func.grad(lambda scale, images=images, field=field: (scale * warp(images, field)).sum())
        torch.testing.assert_close(found(torch.tensor(1.0)), warp(images, field).sum())


def test_bytes_are_rounded_where_displacements_are_trained():
    images, size = pictures(3, 1, 16, 16, torch.uint8), (16, 16)
    weights = ThinPlate(3, 3.0).parameters(range(3), size)
    expected = warp(images, ThinPlate(3, 3.0).field(weights, size))
    assert torch.equal(warp(images, ThinPlate(3, 3.0).field(weights.requires_grad_(), size)), expected)


def test_bytes_are_rounded_to_the_nearest_and_half_way_to_even():
    images = pictures(3, 1, 16, 16, torch.uint8)
    for by in (0.5, 0.25, 0.3):
        expected = warp(images.float(), shift(by, 0, (16, 16), 3)).round().to(torch.uint8)
        assert torch.equal(warp(images, shift(by, 0, (16, 16), 3)), expected)
    assert (images.int()[..., 1:] + images.int()[..., :-1]).remainder(4).unique().tolist() == [0, 1, 2, 3]


def test_each_thread_keeps_memory_of_its_own_for_places():
    both = threading.Barrier(2)

    def memory(_):
        places = [resampling._room((3, 2, 8, 9), torch.float32, torch.device("cpu")).data_ptr() for _ in range(2)]
        both.wait(timeout=60)
        return places

    with ThreadPoolExecutor(2) as pool:
        (first, again), (second, _) = pool.map(memory, range(2))
    assert first == again
    assert first != second


def test_memory_that_was_kept_in_inference_mode_is_of_use_outside_of_it():
    images, field = pictures(2, 1, 90, 90), ThinPlate(3, 6.0).sample(range(2), (90, 90))

    def in_a_thread_of_its_own():
        with torch.inference_mode():
            inside = warp(images, field)
        return inside, warp(images, field)

    with ThreadPoolExecutor(1) as pool:
        inside, outside = pool.submit(in_a_thread_of_its_own).result()
    assert torch.equal(inside, outside)
    assert not outside.is_inference()


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is:FutureWarning")  # by torch itself
@pytest.mark.parametrize("whole", [True, False])
def test_derivatives_in_forward_mode_are_those_of_reverse_mode(whole):
    images = pictures(2, 1, 9, 8).double()
    displacement = torch.full((2, 2, 9, 8), 1.0 if whole else 0.4, dtype=torch.float64)
    generator = torch.Generator().manual_seed(3)
    along = tuple(torch.rand(like.shape, generator=generator).double() for like in (images, displacement))
    weight = torch.rand(images.shape, generator=generator).double()

    def warped(images, displacement):
        return warp(images, Field(displacement), "border")

    value, tangent = torch.func.jvp(warped, (images, displacement), along)
    assert torch.equal(value, warped(images, displacement))
    given = images.requires_grad_(), displacement.requires_grad_()
    backward = torch.autograd.grad((weight * warped(*given)).sum(), given)
    assert min(gradient.abs().max() for gradient in backward) > 0.1
    expected = sum((gradient * step).sum() for gradient, step in zip(backward, along, strict=True))
    torch.testing.assert_close((weight * tangent).sum(), expected)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is:FutureWarning")  # by torch itself
@pytest.mark.parametrize("size", [(16, 32), (9, 8)])
@pytest.mark.parametrize("member", RECIPES, ids=lambda member: member.name)
def test_derivatives_in_forward_mode_reach_parameters(member, size):
    images, parameters = pictures(2, 1, *size), member.parameters(range(2), size)
    along = torch.rand(parameters.shape, generator=torch.Generator().manual_seed(3))

    def warped(parameters):
        return warp(images, member.field(parameters, size), "border").double().square().sum()

    tangent = torch.func.jvp(warped, (parameters,), (along,))[1]
    gradient = torch.autograd.grad(warped(parameters.requires_grad_()), parameters)[0]
    torch.testing.assert_close(tangent, (gradient * along).sum().double(), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("member", RECIPES, ids=lambda member: member.name)
def test_at_strength_0_parts_of_a_batch_are_copied(member, monkeypatch):
    monkeypatch.setattr(resampling, "_SLICE_BYTES", 1)
    monkeypatch.setattr(resampling, "_bilinear", lambda *given: pytest.fail("what stays in its place was resampled"))
    images = pictures(70, 2, 32, 32)
    assert torch.equal(warp(images, member.sample(range(70), (32, 32)).scaled(0.0)), images)


@pytest.mark.parametrize("size", [(32, 32), (7, 5), (1, 1)])
def test_only_images_displaced_by_whole_pixels_everywhere_are_copied(size):
    displacement = torch.zeros(6, 2, *size)
    displacement[1] = 3.0
    displacement[2, 1, size[0] // 2, size[1] // 2] = 0.5
    displacement[3, 0, -1, -1] = 0.25
    displacement[4, 1, 0, 0] = float("nan")
    displacement[5] = float(1 << 23)
    assert resampling._whole(displacement).tolist() == [True, True, False, False, False, False]
