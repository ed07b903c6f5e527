import contextlib

import pytest
import torch
from torch import nn

from pliant._checks import InputError
from pliant.capture import batch_norm, has_fresh_batch_norm, kept, zero_batch_norm


def net():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, momentum=0.3), nn.Dropout(), nn.BatchNorm2d(4))
    model.train()
    model(torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(0)))
    model[2].eval()
    return model


def state(model):
    return [(module.training, getattr(module, "momentum", None)) for module in model.modules()], {
        name: value.clone() for name, value in model.state_dict().items()
    }


def same(first, second):
    return first[0] == second[0] and all(torch.equal(first[1][name], second[1][name]) for name in first[1])


@pytest.mark.parametrize("protocol", ["as_is", "untouched", "calibrated"])
def test_the_model_comes_back_as_it_was(protocol):
    model = net()
    before, buffers = state(model), dict(model.named_buffers())
    with kept(model):
        batch_norm(model, protocol, torch.randn(16, 3, 6, 6))
        model.train()(torch.randn(4, 3, 6, 6))
    assert same(before, state(model))
    assert all(buffers[name] is buffer for name, buffer in model.named_buffers())


def test_also_after_an_error():
    model = net()
    before = state(model)

    def fail():
        batch_norm(model, "untouched")
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="^no$"), kept(model):
        fail()
    assert same(before, state(model))


def test_untouched_is_mean_0_and_variance_1():
    model = net()
    with kept(model):
        batch_norm(model, "untouched")
        assert model[1].running_mean.tolist() == [0.0] * 4
        assert model[1].running_var.tolist() == [1.0] * 4


def test_calibrated_is_the_statistics_of_the_images_in_one_pass():
    model, images = net(), torch.randn(32, 3, 6, 6, generator=torch.Generator().manual_seed(1))
    with kept(model):
        batch_norm(model, "calibrated", images)
        maps = model[0](images).detach()
        torch.testing.assert_close(model[1].running_mean, maps.mean((0, 2, 3)))
        torch.testing.assert_close(model[1].running_var, maps.var((0, 2, 3)), rtol=1e-4, atol=1e-5)
        # The second layer saw what the first put out with the statistics of these images, dropout switched off.
        assert model[3].running_mean.abs().max() < 1e-5
        assert not model.training


@pytest.mark.usefixtures("unchecked")
def test_calibrated_needs_images():
    with pytest.raises(InputError) as error:
        batch_norm(net(), "calibrated")
    assert str(error.value) == (
        'batch_norm="calibrated" needs images to take the statistics from: pass calibration=, 512 images other than '
        "those measured"
    )
    with pytest.raises(InputError) as error:
        batch_norm(net(), "calibrate")
    assert str(error.value) == ("unknown batch_norm 'calibrate'. Did you mean 'calibrated'?")


@pytest.mark.parametrize("fails", [False, True])
def test_parameters_take_gradients_again_that_did_before(fails):
    model = net()
    model[0].bias.requires_grad_(False)
    before = [parameter.requires_grad for parameter in model.parameters()]
    assert set(before) == {True, False}

    def change():
        model.requires_grad_(not fails)
        if fails:
            raise RuntimeError("no")

    with contextlib.suppress(RuntimeError), kept(model):
        change()
    assert [parameter.requires_grad for parameter in model.parameters()] == before


def test_batch_norm_whose_weights_are_all_zero_is_named():
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3), *(nn.BatchNorm2d(4, affine=affine) for affine in (True, True, True, False))
    )
    nn.init.zeros_(model[2].weight)
    nn.init.zeros_(model[3].weight[1:])
    nn.init.zeros_(model[0].weight)
    assert zero_batch_norm(model) == ["2"]


def test_batch_norm_is_fresh_until_it_has_seen_data():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.BatchNorm2d(4))
    assert has_fresh_batch_norm(model)
    model[1].train()(torch.randn(8, 4, 6, 6))
    assert not has_fresh_batch_norm(model)
    assert not has_fresh_batch_norm(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False)))
