"""Affine maps: translations, rotations, scalings, shears, and all of them together."""

import math

import pytest
import torch
from scipy.stats import chisquare
from torchvision.transforms.v2 import InterpolationMode
from torchvision.transforms.v2.functional import affine

from pliant._checks import InputError
from pliant.deform import PADDINGS, Affine, Rotate, Scale, Shear, Translate, warp

SIZE = (41, 60)


def smooth(size=SIZE):
    """An image without symmetries, smooth enough for two ways of resampling to agree."""
    y, x = torch.meshgrid(*(torch.linspace(0, 1, side) for side in size), indexing="ij")
    return (torch.sin(5 * x + 1) * torch.cos(3 * y) + x * y**2)[None, None]


@pytest.mark.parametrize(
    ("member", "theirs"),
    [
        (Translate(x=3, y=-2), {"translate": [3, -2]}),
        (Rotate(degrees=20), {"angle": 20.0}),
        (Scale(factor=1.3), {"scale": 1.3}),
        (Scale(factor=0.7), {"scale": 0.7}),
        (Shear(degrees=12), {"shear": [12.0, 0.0]}),
        (Affine(shear_y=-9), {"shear": [0.0, -9.0]}),
        (
            Affine(-15, 2, 5, 1.2, 8, 11),
            {"angle": -15.0, "translate": [2, 5], "scale": 1.2, "shear": [8.0, 11.0]},
        ),
    ],
)
def test_equals_torchvisions_affine_where_both_see_the_image(member, theirs):
    settings = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]} | theirs

    def moved(image):
        return affine(image, **settings, interpolation=InterpolationMode.BILINEAR)

    field = member.sample([0], SIZE)
    inside = (moved(torch.ones(1, 1, *SIZE)) > 0.999) & (warp(torch.ones(1, 1, *SIZE), field) > 0.999)
    assert inside.float().mean() > 0.4
    difference = (warp(smooth(), field) - moved(smooth())).abs()
    assert difference[inside].max() < 1e-4


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("padding", PADDINGS)
def test_whole_translations_keep_pixels_to_the_bit(dtype, padding):
    images = torch.randint(0, 255, (2, 3, 9, 12), generator=torch.Generator().manual_seed(0)).to(dtype)
    warped = warp(images, Translate(x=4, y=-3).sample(range(2), (9, 12)), padding)
    assert torch.equal(warped[:, :, :-3, 4:], images[:, :, 3:, :-4])
    beyond = {
        "zeros": torch.zeros_like(images[:, :, 3:, :4]),
        "border": images[:, :, 3:, :1].expand(-1, -1, -1, 4),
        "reflection": images[:, :, 3:, 1:5].flip(3),
    }
    assert torch.equal(warped[:, :, :-3, :4], beyond[padding])


def test_only_whole_pixels_if_asked():
    drawn = Translate("5px", whole=True).parameters(range(500), (30, 30))[:, 1:3]
    assert torch.equal(drawn, drawn.round())
    assert drawn.unique().tolist() == list(range(-5, 6))
    drawn = Translate(2.6, whole=True).parameters(range(5000), (30, 30))[:, 1:3]
    values, counts = drawn.unique(return_counts=True)
    assert values.tolist() == [-2, -1, 0, 1, 2]
    assert chisquare(counts.numpy()).pvalue > 0.01
    with pytest.raises(InputError, match=r"^x from 0.2 to 0.8 pixels: there is no whole one between them$"):
        Translate(x=(0.2, 0.8), whole=True).sample([0], (30, 30))


def test_a_quarter_turn():
    image = torch.arange(49.0).view(1, 1, 7, 7)
    turned = warp(image, Rotate(degrees=90).sample([0], (7, 7)), "border")
    torch.testing.assert_close(turned, image.rot90(-1, (2, 3)), atol=1e-4, rtol=0)  # clockwise


def test_twice_the_size_shows_the_middle():
    image = torch.arange(81.0).view(1, 1, 9, 9)
    larger = warp(image, Scale(factor=2).sample([0], (9, 9)))
    torch.testing.assert_close(larger[..., ::2, ::2], image[..., 2:7, 2:7], atol=1e-4, rtol=0)


@pytest.mark.parametrize("family", [Rotate, Scale, Shear, Translate])
def test_reach_bounds_what_moves_and_is_reached(family):
    size, reach = (41, 51), 3.0
    fields = family(reach).sample(range(400), size).displacement
    row, column = {Rotate: (20, 50), Scale: (20, 50), Shear: (0, 25), Translate: (7, 9)}[family]
    x, y = fields[:, 0, row, column], fields[:, 1, row, column]
    lengths = torch.maximum(x.abs(), y.abs()) if family is Translate else torch.hypot(x, y)
    assert lengths.max() <= reach + 1e-4
    assert lengths.max() > 0.98 * reach
    along = y if family is Rotate else x
    assert (along > 0).float().mean() == pytest.approx(0.5, abs=0.1)


def test_ranges_are_kept_and_used():
    drawn = Affine((-10, 20), ("-10%", 3), 2, (0.5, 1.5), (1, 2), (0, 4)).parameters(range(2000), (10, 40))
    ends = [(-10, 20), (-4, 3), (2, 2), (0.5, 1.5), (1, 2), (0, 4)]
    for values, (low, high) in zip(drawn.T, ends, strict=True):
        assert low <= values.min()
        assert values.max() <= high
        assert values.mean() == pytest.approx((low + high) / 2, abs=0.05 * (high - low) + 1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Rotate(), "rotate: give one of reach, degrees, got none"),
        (lambda: Rotate(1.0, degrees=3), "rotate: give one of reach, degrees, got reach, degrees"),
        (lambda: Translate(1.0, x=2), "translate: give one of reach, x or y, got reach, x or y"),
        (lambda: Scale(factor=(0, 2)), "factor=(0, 2): a factor of the size must be above 0"),
        (lambda: Shear(degrees=90), "degrees=90: between -90 and 90 degrees"),
        (lambda: Affine((3, 1)), "degrees=(3, 1): give one number, or a pair (low, high), finite"),
        (lambda: Affine(math.nan), "degrees=nan: give one number, or a pair (low, high), finite"),
        (lambda: Rotate(degrees="10%"), "degrees='10%': give one number, or a pair (low, high), finite"),
        (lambda: Affine([-10, 10]), "degrees=[-10, 10]: give one number, or a pair (low, high), finite"),
        (lambda: Affine((-10, 0, 10)), "degrees=(-10, 0, 10): give one number, or a pair (low, high), finite"),
        (lambda: Translate(x=""), "'' is no length: give pixels, as 10px, or a share of the width, as 4.5%"),
        (
            lambda: Scale("60%").sample([0], (20, 20)),
            "reach=60%: less than half of the width of 20 pixels",
        ),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_settings(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message
