"""What every family of deformations promises, whatever it does."""

import dataclasses
import json

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from pliant._checks import InputError
from pliant.deform import (
    FAMILIES,
    PADDINGS,
    Affine,
    Circular,
    Elastic,
    Field,
    Flow,
    Lie,
    MaxEntropy,
    Pose,
    Rotate,
    Scale,
    Sequence,
    Shear,
    ThinPlate,
    Translate,
    described,
    family,
    warp,
)

SIZE = (13, 18)
DTYPES = (torch.uint8, torch.bfloat16, torch.float16, torch.float32, torch.float64)
GIVEN = 3 * torch.randn((10, 2, *SIZE), generator=torch.Generator().manual_seed(3))
MEMBERS = {
    "thin_plate": ThinPlate(4, "10%"),
    "max_entropy": MaxEntropy(4, 1.5),
    "translate": Translate("10%"),
    "rotate": Rotate(2.0),
    "scale": Scale("10%"),
    "shear": Shear("2px"),
    "affine": Affine((-10, 10), ("-5%", "5%"), (-1, 2), (0.8, 1.1), (-5, 5), 3),
    "elastic": Elastic(8.0, 1.5),
    "pose": Pose(3.0, "50%"),
    "lie": Lie("hyperbolic"),
    "flow": Flow(GIVEN),
    "sequence": Sequence((ThinPlate(3, 1.0), Rotate(degrees=(-5, 5)), Elastic(4.0, 2.0))),
    "circular": Circular(5),
}
DRAWN = [name for name in MEMBERS if name not in ("flow", "lie")]
DESCRIBED = [name for name in MEMBERS if name != "flow"]
SMOOTH = [name for name in MEMBERS if name not in ("flow", "circular")]
STRONG = [name for name, member in MEMBERS.items() if member.strength]
every = pytest.mark.parametrize("name", MEMBERS)


def test_every_family_is_held_to_the_contract():
    assert set(MEMBERS) == set(FAMILIES)
    for name, member in MEMBERS.items():
        assert FAMILIES[name] is type(member)
        assert member.name == name


def pictures(n, size=SIZE, dtype=torch.float32, channels=3):
    numbers = torch.randint(0, 256, (n, channels, *size), generator=torch.Generator().manual_seed(0))
    return numbers.to(dtype) if dtype == torch.uint8 else (numbers / 255).to(dtype)


def of_size(name, size):
    """The member, for images of another size."""
    return Flow(GIVEN.new_ones((10, 2, *size))) if name == "flow" else MEMBERS[name]


@every
@settings(deadline=None, max_examples=4)
@given(st.lists(st.integers(0, 9), max_size=20))
def test_the_batch_makes_no_difference_to_a_field(name, indices):
    member = MEMBERS[name]
    whole = member.sample(range(10), SIZE, seed=5, draw=2)
    some = member.sample(indices, SIZE, seed=5, draw=2)
    assert torch.equal(some.displacement, whole.displacement[indices])
    assert some.displacement.dtype == torch.float32


@every
@pytest.mark.parametrize("size", [(1, 9), (2, 3), (3, 3), (5, 7)])
def test_nor_does_it_on_small_images(name, size):
    member = of_size(name, size)
    whole = member.sample(range(10), size).displacement
    for i in range(10):
        assert torch.equal(member.sample([i], size).displacement[0], whole[i])


@every
def test_autocast_inference_mode_and_default_types_make_no_difference(name):
    size = (12, 17)  # of no other test: what is cached is made here first
    member = of_size(name, size)
    with torch.inference_mode():
        member.sample(range(2), size)
    plain = member.sample(range(2), size).displacement
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(member.sample(range(2), size).displacement, plain)
    torch.set_default_dtype(torch.float64)
    try:
        assert torch.equal(member.sample(range(2), size).displacement, plain)
    finally:
        torch.set_default_dtype(torch.float32)
    if name in SMOOTH:
        member.field(member.parameters(range(2), size).requires_grad_(), size).displacement.sum().backward()


@every
@pytest.mark.parametrize("size", [(0, 5), (5, 0), (-1, 4)])
def test_images_without_pixels_are_refused(name, size):
    with pytest.raises(InputError) as error:
        MEMBERS[name].sample([0], size)
    assert str(error.value) == f"size={size}: (height, width), pixels, must be positive"


@every
@pytest.mark.parametrize("gradients", [False, True])
def test_no_images_at_all(name, gradients):
    member = MEMBERS[name]
    images = torch.zeros(0, 3, *SIZE, requires_grad=gradients)
    assert warp(images, member.sample([], SIZE)).shape == (0, 3, *SIZE)


@pytest.mark.parametrize("name", DRAWN)
def test_image_seed_and_draw_each_change_the_field_and_nothing_else_does(name):
    member = MEMBERS[name]

    def drawn(*, index=3, seed=1, draw=0):
        return member.sample([index], SIZE, seed=seed, draw=draw).displacement

    state = torch.random.get_rng_state()
    first = drawn()
    assert torch.equal(first, drawn())
    for other in (drawn(index=4), drawn(seed=2), drawn(draw=1)):
        assert not torch.equal(first, other)
    assert torch.equal(state, torch.random.get_rng_state())


@every
@pytest.mark.parametrize("size", [(9, 9), (1, 1), (1, 7), (6, 1), (2, 3), (31, 8)])
def test_sizes_of_every_kind(name, size):
    member = of_size(name, size)
    field = member.sample(range(3), size)
    assert field.displacement.shape == (3, 2, *size)
    assert field.displacement.isfinite().all()
    images = pictures(3, size)
    for padding in PADDINGS:
        assert warp(images, field, padding).isfinite().all()


@every
def test_a_field_times_0_is_the_identity_to_the_bit(name):
    still = MEMBERS[name].sample(range(4), SIZE).scaled(0)
    for dtype in DTYPES:
        images = pictures(4, dtype=dtype)
        for padding in PADDINGS:
            assert torch.equal(warp(images, still, padding), images), (dtype, padding)


@pytest.mark.parametrize("name", STRONG)
@pytest.mark.parametrize("none", [0, 0.0, "0%", "0px"])
def test_a_strength_of_0_is_the_identity_to_the_bit(name, none):
    member = dataclasses.replace(MEMBERS[name], **{MEMBERS[name].strength: none})
    for dtype in DTYPES:
        images = pictures(4, dtype=dtype)
        assert torch.equal(warp(images, member.sample(range(4), SIZE)), images)


@pytest.mark.parametrize("name", STRONG)
def test_a_strength_is_a_length_in_pixels_or_in_shares_of_the_width(name):
    def drawn(strength):
        return dataclasses.replace(MEMBERS[name], **{MEMBERS[name].strength: strength}).sample(range(3), SIZE)

    pixels = drawn(0.1 * SIZE[1]).displacement
    assert pixels.abs().max() > 0
    torch.testing.assert_close(drawn("10%").displacement, pixels)
    torch.testing.assert_close(drawn(f"{0.1 * SIZE[1]}px").displacement, pixels)
    for bad in (-1.0, float("nan"), float("inf"), "-3%"):
        with pytest.raises(InputError, match="a length must be 0 or more and finite"):
            drawn(bad)
    with pytest.raises(InputError, match="is no length: give pixels, as 10px, or a share of the width, as 4.5%"):
        drawn("far")


@every
def test_the_type_goes_through_and_its_rounding_is_all_that_differs(name):
    field = MEMBERS[name].sample(range(4), SIZE)
    for dtype in DTYPES:
        images = pictures(4, dtype=dtype)
        warped = warp(images, field, "border")
        assert warped.dtype == dtype
        step = {torch.uint8: 0.5 + 1e-3, torch.bfloat16: 2**-8, torch.float16: 2**-11}.get(dtype, 2e-5)
        assert (warped.double() - warp(images.double(), field, "border")).abs().max() <= step, dtype


@pytest.mark.parametrize("name", SMOOTH)
def test_gradcheck(name):
    member, size = MEMBERS[name], (5, 6)
    parameters = member.parameters(range(2), size).double().requires_grad_()
    assert torch.autograd.gradcheck(
        lambda numbers: member.field(numbers, size).displacement, parameters, fast_mode=True, atol=1e-6
    )


@pytest.mark.parametrize("name", SMOOTH)
def test_the_field_is_the_same_with_and_without_gradients(name):
    member = MEMBERS[name]
    drawn = member.parameters(range(5), SIZE)
    plain = member.field(drawn, SIZE).displacement
    torch.testing.assert_close(member.field(drawn.requires_grad_(), SIZE).displacement, plain, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", SMOOTH)
def test_gradients_reach_the_parameters_through_the_warp(name):
    member = MEMBERS[name]
    parameters = member.parameters(range(2), SIZE).requires_grad_()
    images = pictures(2).requires_grad_()
    warp(images, member.field(parameters, SIZE)).square().sum().backward()
    for found in (parameters.grad, images.grad):
        assert found is not None
        assert found.isfinite().all()
        assert found.abs().max() > 0


@pytest.mark.parametrize("name", DESCRIBED)
def test_a_description_makes_the_member_again(name):
    member = MEMBERS[name]
    again = described(json.loads(json.dumps(member.describe())))
    assert again == member
    assert again.describe() == member.describe()
    assert torch.equal(again.sample([2], SIZE).displacement, member.sample([2], SIZE).displacement)


@every
def test_a_saved_field_comes_back_to_the_bit(name, tmp_path):
    field = MEMBERS[name].sample(range(3), SIZE)
    again = Field.load(field.save(tmp_path / "field.safetensors"))
    assert torch.equal(again.displacement, field.displacement)
    assert again.shrunk is None


def strong(name, invertible=False):
    """A member that folds, for images of SIZE."""
    member = MEMBERS[name]
    if name == "sequence":
        return Sequence((ThinPlate(4, "50%"), Elastic(80.0, 1.0)), invertible=invertible)
    if name == "flow":
        return dataclasses.replace(member, displacement=4 * GIVEN, invertible=invertible)
    return dataclasses.replace(member, **{member.strength: "60%"}, invertible=invertible)


@pytest.mark.parametrize("name", ["thin_plate", "max_entropy", "elastic", "pose", "flow", "sequence"])
def test_an_invertible_deformation_shrinks_what_folds_and_says_how_often(name):
    drawn, kept = strong(name).sample(range(6), SIZE), strong(name, invertible=True).sample(range(6), SIZE)
    assert kept.shrunk is not None
    assert drawn.folds.max() > 0
    assert kept.folds.tolist() == [0.0] * 6
    assert torch.equal(kept.shrunk > 0, drawn.folds > 0)
    for i, times in enumerate(kept.shrunk.tolist()):
        torch.testing.assert_close(kept.displacement[i], 0.8**times * drawn.displacement[i])
    alone = strong(name, invertible=True).sample([4], SIZE)
    assert torch.equal(alone.displacement[0], kept.displacement[4])


BOUNDED = {**MEMBERS, "whole": Translate(x=(-2.5, 4.3), y=3.0, whole=True), "fixed": Rotate(degrees=5)}
bounded = pytest.mark.parametrize("name", BOUNDED)


def drawn_by(name):
    """Many draws of a member: (images, *p)."""
    return BOUNDED[name].parameters(range(10 if name == "flow" else 2000), SIZE, seed=3)


def beyond(drawn):
    """As many parameters as there are draws, most of them far beyond any of those."""
    noise = torch.randn(drawn.shape, generator=torch.Generator().manual_seed(0))
    return 3 * drawn + (1 + drawn.abs().amax()) * noise


@bounded
def test_what_is_drawn_lies_within_the_bound(name):
    drawn = drawn_by(name)
    changed = (BOUNDED[name].within(drawn, SIZE) != drawn).flatten(1).any(1)
    assert float(changed.float().mean()) <= (0.004 if name == "max_entropy" else 0)  # normal numbers have no bound


@bounded
def test_parameters_beyond_the_bound_come_back_inside_and_stay(name):
    member, drawn = BOUNDED[name], drawn_by(name)
    wild = beyond(drawn)
    given = wild.clone()
    back = member.within(wild, SIZE)
    assert torch.equal(wild, given)
    assert (back != wild).flatten(1).any(1).float().mean() > 0.9
    assert torch.equal(member.within(back, SIZE), back)
    assert member.within(wild.double(), SIZE).dtype == torch.float64
    low, high = drawn.amin(0), drawn.amax(0)
    margin = 0.02 * (high - low) + 1e-6
    inside = (back >= low - margin) & (back <= high + margin)
    assert inside.all() or name == "max_entropy"  # whose bound is on all coefficients together


@pytest.mark.parametrize("name", [name for name in BOUNDED if name != "max_entropy"])
def test_they_come_back_to_the_nearest(name):
    drawn = drawn_by(name)
    wild = beyond(drawn)[:20]
    moved = (wild - BOUNDED[name].within(wild, SIZE)).flatten(1).norm(dim=1)
    assert (torch.cdist(wild.flatten(1), drawn.flatten(1)).amin(1) >= moved * (1 - 1e-5) - 1e-4).all()


def test_no_parameters_at_all_lie_within():
    for name, member in BOUNDED.items():
        none = member.parameters([], SIZE)
        assert member.within(none, SIZE).shape == none.shape, name


@pytest.mark.parametrize("name", ["translate", "rotate", "scale", "shear", "affine"])
def test_maps_that_are_one_to_one_are_never_shrunk(name):
    field = dataclasses.replace(MEMBERS[name], invertible=True).sample(range(6), SIZE)
    assert field.shrunk is not None
    assert field.shrunk.tolist() == [0] * 6


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@every
def test_devices_agree(name):
    member = of_size(name, (64, 80))
    here, there = member.sample(range(10), (64, 80)), member.sample(range(10), (64, 80), device="cuda")
    torch.testing.assert_close(there.displacement.cpu(), here.displacement, atol=1e-4, rtol=0)
    images = pictures(10, (64, 80))
    torch.testing.assert_close(warp(images.cuda(), there).cpu(), warp(images, here), atol=1e-3, rtol=0)


class Operations(TorchDispatchMode):
    """Those on the device "meta", on which nothing can be asked for or copied from; looking at a part is none."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor) and out.device.type == "meta" and not func.is_view:
            self.names.append(str(func))
        return out


LIGHT = ["thin_plate", "max_entropy", "translate", "rotate", "scale", "shear", "affine", "pose", "lie"]


@pytest.mark.parametrize("name", LIGHT)
def test_on_another_device_a_recipe_is_only_copied(name):
    MEMBERS[name].sample(range(8), SIZE, device="meta")  # the patterns, once
    with Operations() as operations:
        field = MEMBERS[name].sample(range(8), SIZE, device="meta")
    assert field.device.type == "meta"
    assert operations.names == ["aten._to_copy.default"] * (2 if name == "pose" else 1)


@every
def test_every_family_draws_for_another_device_without_waiting_for_it(name):
    with Operations() as operations:
        parameters = MEMBERS[name].parameters(range(8), SIZE, device="meta")
        assert parameters.device.type == "meta"
    assert len(operations.names) < 10


@every
def test_a_field_goes_to_another_device_as_it_is(name):
    field = MEMBERS[name].sample(range(3), SIZE)
    assert torch.equal(field.to("cpu").displacement, field.displacement)
    away = field.to("meta")
    assert (away.device.type, away.size, len(away)) == ("meta", SIZE, 3)
    assert away.shrunk is None


def test_unknown_families_and_settings():
    with pytest.raises(InputError, match="unknown family 'thin_plat'"):
        family("thin_plat")
    assert family("max-entropy") is MaxEntropy
    with pytest.raises(InputError, match="unknown family ''"):
        described({"grid": 3})
    with pytest.raises(InputError, match="describes no thin_plate: "):
        described({"family": "thin_plate", "knots": 3})
    for bad in ({"family": "sequence"}, {"family": "sequence", "steps": [3]}):
        with pytest.raises(InputError, match="describes no sequence: "):
            described(bad)
    with pytest.raises(InputError, match="a flow cannot be made from its description"):
        described(MEMBERS["flow"].describe())
