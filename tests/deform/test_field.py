import pytest
import torch

from pliant._checks import InputError
from pliant.deform import Field


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
    displacement[0, 0, :, 4:] = -6.0  # columns 3 and 4 see a slope of -3 in central differences
    assert Field(displacement).folds.tolist() == [0.25]


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
