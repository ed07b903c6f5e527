"""Derivatives in forward mode through models of every kind."""

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F
from torchvision.models import mobilenet_v3_small
from torchvision.ops import roi_align

from pliant._checks import InputError
from pliant.deform import Lie
from pliant.measurement import lie_derivative, measure
from pliant.measurement.tangents import dual, forward_mode, primal_of, tangent_of
from pliant.metrics import LieDerivative, Signs

REMEDY = "has no derivative in forward mode: replace it, or take the metric 'equivariance', which needs none"


class Tokens(nn.Module):
    """PyTorch's own encoder, whose fast path has no derivative."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Conv2d(3, 8, 8, stride=8)
        self.mix = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)

    def forward(self, x):
        return self.mix(self.embed(x).flatten(2).transpose(1, 2))


class Pools(nn.Module):
    def forward(self, x):
        x = F.interpolate(F.max_pool2d(x, 2), scale_factor=2, mode="bilinear")
        return F.normalize(F.adaptive_avg_pool2d(F.group_norm(F.elu_(x.clone()), 3), 4).flatten(1))


MODELS = {
    "resnet18": lambda: timm.create_model("resnet18"),
    "vit": lambda: timm.create_model("test_vit", img_size=32),
    "mobilenet": mobilenet_v3_small,
    "encoder": Tokens,
    "pools": Pools,
}


def pictures(n, size=32):
    coarse = torch.randn(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    return F.interpolate(coarse, size=(size, size), mode="bicubic")


@pytest.mark.parametrize("name", MODELS)
def test_a_tangent_is_the_central_difference(name):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = MODELS[name]().double().eval()
    images = pictures(2).double()
    tangent = torch.randn(images.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad(), forward_mode(model):
        out = model(dual(images.clone(), tangent))
        plain, found = primal_of(out).clone(), tangent_of(out).clone()
    step = 1e-7
    with torch.no_grad():
        torch.testing.assert_close(plain, model(images))
        expected = (model(images + step * tangent) - model(images - step * tangent)) / (2 * step)
    assert (found - expected).norm() < 1e-4 * expected.norm()
    assert expected.norm() > 0


@pytest.mark.parametrize("name", MODELS)
def test_every_layer_is_measured_and_the_model_comes_back(name):
    model = MODELS[name]().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    profile = measure(model, pictures(4), Lie("rotation"), metric="lie_derivative", replicates=0)
    places = [layer for layer in profile.layers if "neither a feature map" not in profile.undefined.get(layer, "")]
    assert len(places) > 1
    for layer in places:
        assert np.isfinite(profile.distances[profile.layers.index(layer)]).all()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


class Doubled(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return 2 * x


class Custom(nn.Module):
    def forward(self, x):
        return Doubled.apply(x)


class Distances(nn.Module):
    def forward(self, x):
        return torch.cdist(x, x, compute_mode="donot_use_mm_for_euclid_dist")


@pytest.mark.parametrize(("module", "operation"), [(Custom(), "an operation"), (Distances(), "_cdist_forward")])
def test_what_has_no_derivative_is_told(module, operation):
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.Sequential(nn.ReLU(), module)).train()
    fast = torch.backends.mha.get_fastpath_enabled()
    with pytest.raises(InputError) as error:
        measure(model, pictures(3), Lie("scale"), metric="lie_derivative")
    assert str(error.value) == f"{operation} in layer '1.1' {REMEDY}"
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())
    assert model.training
    assert torch.backends.mha.get_fastpath_enabled() == fast
    measure(model, pictures(3), Lie("scale"), metric="equivariance")
    with pytest.raises(InputError) as error:
        measure(nn.Identity(), pictures(3), Lie("scale"), metric="lie_derivative", preprocess=module)
    assert str(error.value) == f"{operation} in preprocess {REMEDY}"


def test_other_errors_of_the_model_are_its_own():
    class Late(nn.Module):
        def forward(self, x):
            if len(x) > 2:  # one pass of two images goes before, to find the layers
                raise RuntimeError("no")
            return x

    with pytest.raises(RuntimeError, match="^no$"):
        measure(nn.Sequential(Late()), pictures(3), metric="lie_derivative")


class Eyes(nn.Module):
    """Takes integers."""

    def forward(self, x):
        return x.float()


def test_images_of_integers_are_refused():
    images = (pictures(3).sigmoid() * 255).to(torch.uint8)
    with pytest.raises(InputError) as error:
        measure(Eyes(), images, metric="lie_derivative")
    assert str(error.value) == "images of uint8 have no derivative: give images of floating point"


def test_the_images_behind_the_last_tangent_stand_still():
    images = pictures(5)
    with torch.no_grad(), forward_mode(nn.Identity()):
        fed = dual(images, torch.ones_like(images[:2]))
        assert torch.equal(primal_of(fed), images)
        assert tangent_of(fed).mean((1, 2, 3)).tolist() == [1.0, 1.0, 0.0, 0.0, 0.0]
        assert not tangent_of(images[:1].expand_as(images)).any()
        assert tangent_of(images).isnan().all()


class Stopped(nn.Module):
    def forward(self, x):
        return x.detach() + 1


class Pooled(nn.Module):
    """An operation of an extension: tangents do not get through; torch says so up to 2.9, and nothing later."""

    def forward(self, x):
        boxes = torch.tensor([[i, 0.0, 0.0, 32.0, 32.0] for i in range(len(x))])
        return roi_align(x, boxes, 4)


@pytest.mark.parametrize("module", [Stopped(), Pooled()])
def test_lost_tangents_are_told_and_never_0(module):
    model = nn.Sequential(nn.Conv2d(3, 3, 3, padding=1), module, nn.Tanh())
    profile, said = None, ""
    try:
        profile = measure(model, pictures(4), Lie("scale"), metric="lie_derivative")
    except InputError as error:
        said = str(error)
    if profile is None:
        assert isinstance(module, Pooled)
        assert said.startswith("an operation in layer '1' has no derivative in forward mode: replace it")
        return
    assert profile.undefined == dict.fromkeys("12", LieDerivative().gap(Signs(True, False, False)))
    assert np.isfinite(profile.estimate[:2]).all()
    chain = lie_derivative(model, pictures(4), Lie("scale"), ["0", "1", "2"])
    assert set(chain.undefined) == {"input", "0", "1", "end to end"}


def test_a_model_in_bf16_gets_tangents_of_its_type():
    model, seen = nn.Sequential(nn.Conv2d(3, 4, 3)).bfloat16(), []
    model.register_forward_hook(lambda module, args, out: seen.append(tangent_of(out)))
    measure(model, pictures(4), Lie("shear"), metric="lie_derivative")
    assert seen[-1].dtype == torch.bfloat16
    assert seen[-1][:4].any()
