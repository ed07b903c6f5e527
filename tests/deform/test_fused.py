"""The kernels for GPUs against the plain path: on a GPU where there is one, else in Triton's interpreter."""

import kernels
import pytest
import torch
from kernels import DEVICE

from pliant.deform import PADDINGS, Field, MaxEntropy, Rotate, ThinPlate, Translate
from pliant.deform.resampling import resample

fused = kernels.loaded("pliant.deform.fused")
pytestmark = pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")  # of the interpreter's numpy
SIZES = ((1, 9), (12, 1), (1, 1))


def images(size, dtype, n=5, channels=2):
    drawn = 255 * torch.rand(n, channels, *size, generator=torch.Generator().manual_seed(1))
    return (drawn if dtype == torch.uint8 else drawn / 255).to(dtype)


def bits(images):
    return images.view({1: torch.uint8, 2: torch.int16, 4: torch.int32}[images.itemsize])


def warped(images, moved, padding):
    """By the kernel, from and back to the CPU."""
    return fused.warp(images.to(DEVICE), Field(moved).to(DEVICE).source, padding).cpu()


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize(
    ("member", "size"),
    [
        *((member, (17, 23)) for member in (ThinPlate(3, 4.0), MaxEntropy(3, 3.0), Rotate("20%"))),
        *((ThinPlate(3, 4.0), size) for size in SIZES),
    ],
    ids=lambda given: getattr(given, "name", str(given)),
)
def test_it_reads_what_the_plain_path_reads(member, size, padding):
    given, source = images(size, torch.float32), member.sample(range(5), size).source
    expected = resample(given, source, padding)
    torch.testing.assert_close(warped(given, source, padding), expected, atol=1e-4, rtol=0)
    torch.testing.assert_close(warped(given, source.summed(), padding), expected, atol=1e-4, rtol=0)


@pytest.mark.parametrize(("dtype", "off"), [(torch.bfloat16, 2.0**-8), (torch.float16, 1e-3)])
def test_types_of_16_bits_come_out_as_they_went_in(dtype, off):
    given, source = images((9, 11), dtype), ThinPlate(3, 4.0).sample(range(5), (9, 11)).source
    found = warped(given, source, "zeros")
    assert found.dtype == dtype
    torch.testing.assert_close(found, resample(given, source, "zeros"), atol=off, rtol=0)


@pytest.mark.parametrize("padding", PADDINGS)
def test_uint8_is_rounded_to_nearest(padding):
    given, source = images((9, 13), torch.uint8), ThinPlate(3, 4.0).sample(range(5), (9, 13)).source
    exact = resample(given.double(), source, padding)
    assert (warped(given, source, padding) - exact).abs().max() <= 0.5 + 1e-3


def test_halves_are_rounded_to_even():
    given = torch.tensor([[[[0, 1, 2, 3, 4, 5]]]], dtype=torch.uint8)
    half = torch.zeros(1, 2, 1, 6)
    half[:, 0] = 0.5
    assert warped(given, half, "border").flatten().tolist() == [0, 2, 2, 4, 4, 5]


@pytest.mark.parametrize(
    ("dtype", "padding"),
    [*((torch.float32, padding) for padding in PADDINGS), (torch.uint8, "zeros"), (torch.bfloat16, "reflection")],
)
def test_whole_pixels_are_copied_to_the_bit(dtype, padding):
    given = images((9, 8), dtype)
    if dtype != torch.uint8:
        given[:, :, 4, 4], given[:, :, 2, 2], given[:, :, 6, 3] = torch.inf, -0.0, torch.nan
    for member in (Translate(5.0, whole=True), ThinPlate(3, 0.0)):
        source = member.sample(range(5), (9, 8)).source
        expected = resample(given, source, padding)
        for found in (warped(given, source, padding), warped(given, source.summed(), padding)):
            kept = expected == expected  # what is no number may be so in another way
            assert torch.equal(found == found, kept)
            assert torch.equal(bits(found)[kept], bits(expected)[kept])


@pytest.mark.parametrize("padding", PADDINGS)
def test_an_image_does_not_depend_on_the_others(padding):
    given, member = images((9, 13), torch.float32, n=6), ThinPlate(5, 3.0)
    together = warped(given, member.sample(range(6), (9, 13)).source, padding)
    for i in (0, 5):
        alone = warped(given[[i]], member.sample([i], (9, 13)).source, padding)
        assert torch.equal(alone[0], together[i])


def test_kernels_for_one_size_and_for_all_are_the_same(monkeypatch):
    size, member = (20, 32), ThinPlate(3, 3.0)
    given, source = images(size, torch.float32), member.sample(range(5), size).source
    monkeypatch.setattr(fused, "_known", set())
    own = warped(given, source, "zeros")
    assert fused._known == {size}
    monkeypatch.setattr(fused, "_known", set())
    monkeypatch.setattr(fused, "_SIZES", 0)
    assert torch.equal(warped(given, source, "zeros"), own)
    assert not fused._known
    torch.testing.assert_close(own, resample(given, source, "zeros"), atol=1e-4, rtol=0)


@pytest.mark.parametrize("padding", PADDINGS)
def test_displacements_beyond_everything_read_what_lies_there(padding):
    given, far = images((6, 7), torch.float32, n=1), torch.zeros(1, 2, 6, 7)
    far[0, 0, 0], far[0, 1, 1] = 1e5, -1e5
    if padding != "reflection":
        torch.testing.assert_close(warped(given, far, padding), resample(given, far, padding))
    # What the plain path may make no number of is read as if it lay outside, and leaves the others alone.
    far[0, 0, 2], far[0, 1, 3] = torch.inf, torch.nan
    found = warped(given, far, padding)
    assert found.isfinite().all()
    if padding == "zeros":
        assert not found[0, :, :4].any()
    assert torch.equal(found[0, :, 4:], given[0, :, 4:])


@pytest.mark.parametrize("padding", PADDINGS)
@pytest.mark.parametrize("member", [ThinPlate(3, 3.0), Rotate("20%")], ids=lambda m: m.name)
def test_gradients_to_images_displacements_and_parameters(member, padding):
    size, weight = (9, 11), images((9, 11), torch.float32, n=3)

    def gradients(way, device):
        given = images(size, torch.float32, n=3).to(device).requires_grad_()
        parameters = member.parameters(range(3), size).to(device).requires_grad_()
        displacement = member.sample(range(3), size).displacement.to(device).requires_grad_()
        by_series = (way(given, member.field(parameters, size).source, padding) * weight.to(device)).sum()
        by_pixel = (way(given, displacement, padding) * weight.to(device)).sum()
        found = torch.autograd.grad(by_series + 2 * by_pixel, (given, parameters, displacement))
        return [gradient.cpu() for gradient in found]

    for found, expected in zip(gradients(fused.warp, DEVICE), gradients(resample, "cpu"), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.bfloat16, torch.float32])
def test_gradients_to_parameters_alone_and_to_images_alone(dtype):
    given, member, size = images((9, 11), dtype, n=3, channels=1), ThinPlate(3, 3.0), (9, 11)

    def to_parameters(way, device):
        parameters = member.parameters(range(3), size).to(device).requires_grad_()
        read = way(given.to(device), member.field(parameters, size).source, "border").float()
        return torch.autograd.grad(read.square().sum(), parameters)[0].cpu()

    # uint8 is rounded, and has no gradient: neither way.
    if dtype != torch.uint8:
        expected = to_parameters(resample, "cpu")
        torch.testing.assert_close(to_parameters(fused.warp, DEVICE), expected, atol=1e-3, rtol=0.02)
        source = member.sample(range(3), size, device=DEVICE).source
        trained = given.to(DEVICE).requires_grad_()
        found = torch.autograd.grad(fused.warp(trained, source, "border").float().sum(), trained)[0]
        here = given.clone().requires_grad_()
        source = member.sample(range(3), size).source
        expected = torch.autograd.grad(resample(here, source, "border").float().sum(), here)[0]
        assert found.dtype == dtype
        torch.testing.assert_close(found.cpu(), expected, atol=0.02, rtol=0.02)


def test_no_images_and_no_gradients():
    source = ThinPlate().sample([], (5, 5)).source
    assert warped(images((5, 5), torch.float32, n=0), source, "zeros").shape == (0, 2, 5, 5)
    given = images((5, 5), torch.float32, n=2)
    assert not warped(given, torch.zeros(2, 2, 5, 5), "zeros").requires_grad


@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # read by the check itself
def test_the_operators_are_what_torch_wants_of_them():
    given = images((5, 6), torch.float32, n=2).to(DEVICE).requires_grad_()
    source = ThinPlate().sample(range(2), (5, 6), device=DEVICE).source
    weights = source.weights.detach().requires_grad_()
    tests = ("test_schema", "test_autograd_registration", "test_faketensor")
    for moved, basis in ((weights, source.basis), (torch.zeros(2, 2, 5, 6, device=DEVICE), None)):
        torch.library.opcheck(torch.ops.pliant.warp, (given, moved, basis, "border"), test_utils=tests)


def test_it_goes_through_torch_compile_in_one_graph():
    given, source = images((5, 6), torch.float32, n=2).to(DEVICE), ThinPlate().sample(range(2), (5, 6)).source
    weights, basis = source.weights.to(DEVICE), source.basis.to(DEVICE)

    def brighter(given, weights):
        return 2 * torch.ops.pliant.warp(given, weights, basis, "border") + 1

    compiled = torch.compile(brighter, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(given, weights), brighter(given, weights))
