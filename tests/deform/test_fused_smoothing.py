"""The kernel that smooths on GPUs against the plain path."""

import kernels
import pytest
import torch
from torch.autograd import forward_ad

from pliant import _gpu
from pliant.deform import Elastic

smoothing = kernels.loaded("pliant.deform.fused_smoothing")


@pytest.mark.parametrize("size", [(7, 32), (13, 18), (1, 1), (1, 40), (40, 33)])
def test_it_smooths_as_the_plain_path_does(size, monkeypatch):
    member = Elastic(6.0, 1.5)
    noise = member.parameters(range(3), size)
    expected = member.field(noise, size).displacement
    monkeypatch.setattr(_gpu, "kernels", lambda module, device, work: smoothing)
    found = member.field(noise.to(kernels.DEVICE), size).displacement
    torch.testing.assert_close(found.cpu(), expected, atol=1e-5, rtol=0)
    assert expected.abs().max() > 0.1
    alone = member.field(noise[2:].to(kernels.DEVICE), size).displacement
    assert torch.equal(alone[0], found[2])


def test_each_axis_has_weights_of_its_own():
    planes = torch.zeros(1, 5, 6)
    planes[0, 2, 3] = 1
    weights = torch.tensor([[1.0, 2.0, 4.0], [1.0, 10.0, 100.0]])
    found = smoothing.smooth(planes.to(kernels.DEVICE), weights.to(kernels.DEVICE)).cpu()
    expected = torch.tensor([100.0, 10.0, 1.0])[:, None] * torch.tensor([0.0, 4.0, 2.0, 1.0])
    assert torch.equal(found[0], expected)


def test_no_planes():
    assert smoothing.smooth(torch.zeros(0, 5, 6), torch.ones(2, 3)).shape == (0, 3, 4)


def test_gradients_are_those_of_the_plain_path(monkeypatch):
    member, size = Elastic(6.0, 1.5), (7, 9)
    noise = member.parameters(range(2), size)
    weight = torch.rand(2, 2, *size, generator=torch.Generator().manual_seed(0))

    def gradient(device):
        trained = noise.to(device).requires_grad_()
        return torch.autograd.grad((member.field(trained, size).displacement * weight.to(device)).sum(), trained)[0]

    expected = gradient("cpu")
    monkeypatch.setattr(_gpu, "kernels", lambda module, device, work: smoothing)
    torch.testing.assert_close(gradient(kernels.DEVICE).cpu(), expected, atol=1e-5, rtol=0)


def test_the_gradient_turns_the_weights_around():
    planes = torch.rand(1, 4, 5, device=kernels.DEVICE, generator=torch.Generator(kernels.DEVICE).manual_seed(0))
    weights = torch.tensor([[1.0, 2.0, 4.0], [1.0, 10.0, 100.0]], device=kernels.DEVICE)
    planes.requires_grad_()
    found = torch.autograd.grad(smoothing.smooth(planes, weights)[0, 1, 2], planes)[0]
    expected = torch.zeros(4, 5)
    expected[1:4, 2:5] = weights[1, :, None].cpu() * weights[0].cpu()
    assert torch.equal(found[0].cpu(), expected)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is:FutureWarning")  # by torch itself
def test_derivatives_in_forward_mode_are_not_lost(monkeypatch):
    member, size = Elastic(6.0, 1.5), (7, 9)
    noise = member.parameters(range(2), size).to(kernels.DEVICE)
    expected = member.field(noise, size).displacement
    monkeypatch.setattr(_gpu, "kernels", lambda module, device, work: smoothing)
    tangent = torch.func.jvp(lambda noise: member.field(noise, size).displacement, (0 * noise,), (noise,))[1]
    torch.testing.assert_close(tangent, expected, atol=1e-5, rtol=0)
    with forward_ad.dual_level():
        dual = member.field(forward_ad.make_dual(0 * noise, noise), size).displacement
        torch.testing.assert_close(forward_ad.unpack_dual(dual).tangent, expected, atol=1e-5, rtol=0)


def test_the_operator_is_what_torch_wants_of_it():
    planes, weights = torch.zeros(1, 5, 6, device=kernels.DEVICE), torch.ones(2, 3, device=kernels.DEVICE)
    tests = ("test_schema", "test_faketensor", "test_autograd_registration")
    torch.library.opcheck(torch.ops.pliant.smooth, (planes.requires_grad_(), weights), test_utils=tests)
