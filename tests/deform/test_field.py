import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch.nn.functional import interpolate

from pliant._checks import InputError
from pliant.deform import Affine, Field, Rotate, Scale, ThinPlate, Translate, warp


def linear(matrix, size=(5, 7)):
    """The field whose map is p -> p + matrix @ p."""
    y, x = torch.meshgrid(torch.arange(size[0]).float(), torch.arange(size[1]).float(), indexing="ij")
    (a, b), (c, d) = matrix
    return Field(torch.stack((a * x + b * y, c * x + d * y))[None])


def test_jacobian_of_a_linear_map_is_its_determinant():
    field = linear(((0.2, 0.5), (-0.3, 0.1)))
    torch.testing.assert_close(field.jacobian(), torch.full((1, 5, 7), 1.2 * 1.1 + 0.3 * 0.5))


def test_folds_are_the_share_of_pixels_that_turn_over():
    assert linear(((-2.0, 0.0), (0.0, 0.0))).folds.tolist() == [1.0]
    assert linear(((-0.9, 0.0), (0.0, 0.0))).folds.tolist() == [0.0]
    displacement = torch.zeros(1, 2, 4, 8)
    displacement[0, 0, :, 4:] = -6.0  # the columns on both sides of the jump, of eight
    assert Field(displacement).folds.tolist() == [pytest.approx(2 / 8)]


def test_pixels_that_change_places_in_turn_are_folds():
    displacement = torch.zeros(1, 2, 6, 6)
    displacement[0, 0, :, ::2] = 1.5  # central differences see nothing of it
    assert Field(displacement).jacobian()[..., 1:-1].min() > 0
    assert Field(displacement).folds.item() == 1


@given(seed=st.integers(0, 2**32), size=st.tuples(st.integers(1, 5), st.integers(1, 5)), reach=st.floats(0.05, 1.5))
def test_folds_written_out_pixel_by_pixel(seed, size, reach):
    height, width = size
    generator = torch.Generator().manual_seed(seed)
    displacement = reach * torch.randn((1, 2, *size), generator=generator)
    place = displacement[0].double().numpy() + np.mgrid[:height, :width][::-1]
    folding = 0
    for y, x in np.ndindex(size):
        # A side of one pixel: along it the map goes on by one pixel a pixel.
        across = [(place[:, y, x + s] - place[:, y, x]) * s for s in (-1, 1) if 0 <= x + s < width] or [(1.0, 0.0)]
        down = [(place[:, y + s, x] - place[:, y, x]) * s for s in (-1, 1) if 0 <= y + s < height] or [(0.0, 1.0)]
        folding += any(a[0] * d[1] <= a[1] * d[0] for a in across for d in down)
    assert Field(displacement).folds.item() == pytest.approx(folding / (height * width))


@given(seed=st.integers(0, 2**32), reach=st.floats(0.1, 0.5))
def test_without_folds_the_map_turns_over_nowhere_between_the_pixels(seed, reach):
    displacement = reach * torch.randn((1, 2, 4, 5), generator=torch.Generator().manual_seed(seed))
    field = Field(displacement).unfolded()
    fine = interpolate(field.displacement.double(), size=(31, 41), mode="bilinear", align_corners=True)[0]
    y, x = torch.meshgrid(torch.linspace(0, 3, 31), torch.linspace(0, 4, 41), indexing="ij")
    across, down = ((fine + torch.stack((x, y))).diff(dim=dim) for dim in (2, 1))
    for row, column in ((0, 0), (0, 1), (1, 0), (1, 1)):
        a, d = across[:, row : row + 30], down[..., column : column + 40]
        assert (a[0] * d[1] - a[1] * d[0]).min() > -1e-7


@pytest.mark.parametrize("size", [(1, 8), (8, 1), (1, 1)])
def test_folds_of_a_side_of_one_pixel(size):
    assert Field(torch.zeros(1, 2, *size)).folds.tolist() == [0.0]
    jumps = torch.zeros(1, 2, *size)
    jumps.flatten(2)[..., 4:] = -9.0
    assert (Field(jumps).folds > 0).tolist() == [size != (1, 1)]


def test_a_squeeze_to_nothing_counts_as_a_fold():
    assert linear(((-1.0, 0.0), (0.0, 0.0))).folds.tolist() == [1.0]


def test_rms_and_largest_are_of_the_length_of_the_vector():
    displacement = torch.zeros(2, 2, 2, 2)
    displacement[0, :, 0, 0] = torch.tensor([3.0, 4.0])
    field = Field(displacement)
    assert field.largest.tolist() == [5.0, 0.0]
    assert field.rms.tolist() == [2.5, 0.0]


def test_indexing_keeps_the_batch_dimension():
    field = Field(torch.arange(5.0)[:, None, None, None].expand(5, 2, 3, 4))
    assert len(field) == 5
    assert field.size == (3, 4)
    assert field[3].displacement.shape == (1, 2, 3, 4)
    assert field[3].displacement.unique().tolist() == [3.0]
    assert field[1:3].displacement.unique().tolist() == [1.0, 2.0]


def test_a_side_of_one_pixel_has_no_slope():
    assert Field(torch.rand(1, 2, 1, 6)).jacobian().shape == (1, 1, 6)
    assert Field(torch.rand(1, 2, 1, 1)).jacobian().tolist() == [[[1.0]]]


@pytest.mark.parametrize("shape", [(2, 4, 4), (1, 3, 4, 4)])
@pytest.mark.usefixtures("unchecked")
def test_another_shape_is_refused(shape):
    with pytest.raises(InputError) as error:
        Field(torch.zeros(shape))
    assert str(error.value) == f"a displacement has the shape (n, 2, h, w), got {shape}"


def test_a_factor_for_all_or_one_for_each():
    field = ThinPlate(3, 2.0).sample(range(3), (6, 7))
    torch.testing.assert_close(field.scaled(0.5).displacement, 0.5 * field.displacement)
    each = field.scaled(torch.tensor([0.0, 1.0, 2.0])).displacement
    assert not each[0].any()
    assert torch.equal(each[1], field.displacement[1])
    torch.testing.assert_close(each[2], 2 * field.displacement[2])


def test_fields_that_do_not_fold_are_left_as_they_are():
    field = ThinPlate(3, 1.0).sample(range(4), (20, 20))
    same = field.unfolded()
    assert torch.equal(same.displacement, field.displacement)
    assert same.shrunk is not None
    assert same.shrunk.tolist() == [0] * 4


def test_what_folds_however_small_becomes_the_identity():
    displacement = torch.zeros(2, 2, 8, 8)
    displacement[0, 0, :, 4:] = -1e6
    displacement[1, 0, 3, 3] = float("nan")
    field = Field(displacement).unfolded()
    assert not field.displacement.any()
    assert field.shrunk is not None
    assert field.shrunk.tolist() == [40, 40]
    assert field[1].shrunk.tolist() == [40]


def test_the_inverse_takes_the_deformation_back():
    field = ThinPlate(4, 3.0, invertible=True).sample(range(6), (48, 64))
    inverse, error = field.invert()
    assert error.max() < 2e-3
    alone = field[4].invert()
    assert torch.equal(alone.field.displacement[0], inverse.displacement[4])
    there_and_back = field.then(inverse)
    inner = there_and_back.displacement[..., 8:-8, 8:-8].abs()
    assert inner.max() < 0.05
    y, x = torch.meshgrid(torch.linspace(0, 3, 48), torch.linspace(0, 4, 64), indexing="ij")
    images = (torch.sin(x) * torch.cos(y * x / 4)).expand(6, 1, 48, 64)
    back = warp(warp(images, field, "border"), inverse, "border")
    torch.testing.assert_close(back[..., 8:-8, 8:-8], images[..., 8:-8, 8:-8], atol=0.01, rtol=0)


def test_the_inverse_of_a_translation_is_exact():
    inverse, error = Translate(x=3, y=-2).sample([0], (9, 9)).invert()
    assert torch.equal(inverse.displacement, Translate(x=-3, y=2).sample([0], (9, 9)).displacement)
    assert error.tolist() == [0.0]


@pytest.mark.parametrize(
    "member", [Rotate(degrees=90), Rotate(degrees=180), Scale(factor=0.4), Affine(70, 3, 2, 0.7, 20)]
)
def test_large_motions_are_taken_back(member):
    size = (21, 30)
    inverse, error = member.sample([0], size).invert()
    assert error.item() < 1e-3
    points = torch.tensor([[[3.0, 4.0], [20.0, 11.0], [14.5, 10.0]]])
    carried, error = member.sample([0], size).carry(points)
    assert error.max() < 1e-3
    back, _ = inverse.carry(carried)
    torch.testing.assert_close(back, points, atol=2e-3, rtol=0)


def test_an_image_of_nan_and_no_image_at_all():
    field = ThinPlate(4, 2.0).sample(range(3), (16, 16))
    broken = field.displacement.clone()
    broken[1] = float("nan")
    inverse, error = Field(broken).invert()
    whole = field.invert()
    assert torch.equal(inverse.displacement[[0, 2]], whole.field.displacement[[0, 2]])
    assert not error[1] < 1e9
    assert Field(torch.zeros(0, 2, 4, 4)).invert().error.shape == (0,)
    assert Field(torch.zeros(1, 2, 4, 4)).carry(torch.zeros(1, 0, 2)).points.shape == (1, 0, 2)


def test_what_has_no_inverse_says_so():
    folding = Field(5 * torch.randn((1, 2, 16, 16), generator=torch.Generator().manual_seed(0)))
    assert folding.folds.item() > 0.3
    assert folding.invert().error.item() > 1


@pytest.mark.usefixtures("unchecked")
def test_fields_of_different_images_do_not_follow_one_another():
    one, other = Field(torch.zeros(1, 2, 4, 4)), Field(torch.zeros(2, 2, 4, 4))
    with pytest.raises(InputError, match=r"^1 fields of \(4, 4\) and 2 of \(4, 4\) pixels do not follow one another"):
        one.then(other)


def test_saved_fields_keep_how_often_they_were_shrunk(tmp_path):
    field = ThinPlate(4, "40%", invertible=True).sample(range(5), (12, 12))
    again = Field.load(field.save(tmp_path / "field.safetensors"))
    assert torch.equal(again.displacement, field.displacement)
    assert again.shrunk is not None
    assert again.shrunk.tolist() == field.shrunk.tolist()


def test_files_that_hold_no_field(tmp_path):
    with pytest.raises(InputError, match="^there is no .*nothing: name a file that `Field.save` wrote$"):
        Field.load(tmp_path / "nothing")
    (tmp_path / "text").write_text("a field of barley")
    with pytest.raises(InputError, match="text holds no field"):
        Field.load(tmp_path / "text")
    save_file({"other": torch.zeros(3)}, tmp_path / "other")
    with pytest.raises(InputError, match="other holds no field"):
        Field.load(tmp_path / "other")
    with pytest.raises(InputError, match="cannot be written"):
        Field(torch.zeros(1, 2, 2, 2)).save(tmp_path / "text" / "below")


@pytest.mark.parametrize("look", [torch.no_grad, torch.inference_mode])
def test_a_look_at_a_field_takes_no_gradient_away(look):
    parameters = ThinPlate().parameters(range(2), (6, 7)).requires_grad_()
    field = ThinPlate().field(parameters, (6, 7))
    with look():
        assert field.rms.shape == field.folds.shape == (2,)
    field.displacement.square().sum().backward()
    assert parameters.grad is not None
    assert parameters.grad.abs().sum() > 0
    plain = ThinPlate().sample(range(2), (6, 7))
    with look():
        assert plain.rms.shape == (2,)
    images = torch.rand(2, 1, 6, 7, requires_grad=True)
    warp(images, Field(plain.displacement)).sum().backward()
    assert images.grad is not None


def test_a_field_stays_what_it_was_when_its_parameters_change():
    parameters = ThinPlate().parameters(range(2), (6, 7))
    field = ThinPlate().field(parameters, (6, 7))
    parameters.zero_()
    assert field.largest.min() > 0


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_warping_goes_through_torch_compile_with_gradients():
    member, size = ThinPlate(), (6, 7)
    images, parameters = torch.rand(2, 1, *size), member.parameters(range(2), size)

    def loss(images, parameters):
        return warp(images, member.field(parameters, size), "border").square().sum()

    compiled = torch.compile(loss, backend="aot_eager")
    for trained in (parameters, parameters.clone().requires_grad_()):
        expected, found = loss(images, trained), compiled(images, trained)
        torch.testing.assert_close(found, expected)
    found.backward()
    assert trained.grad.abs().sum() > 0
