import re

import numpy as np
import pytest
import torch
from PIL import Image

from pliant import zoo
from pliant._checks import InputError
from pliant.zoo.from_timm import geometry_in_words

REMEDY = "Names are those of timm, torchvision:NAME, or path/to/file.py:FUNCTION."
OTHERWISE = (
    "Give a file with --weights FILE (weights=FILE), or take the model without with --untrained (pretrained=False)"
)
TINY = "test_resnet"


def photograph(width=90, height=70):
    across, down = np.linspace(0, 255, width), np.linspace(0, 255, height)[:, None]
    channels = np.broadcast_arrays(across, across[::-1], down)
    return Image.fromarray(np.stack(channels, 2).astype(np.uint8))


def refused(*arguments, **options):
    with pytest.raises(InputError) as caught:
        zoo.load(*arguments, **options)
    return str(caught.value)


def state(loaded):
    return torch.cat([value.flatten().double() for value in loaded.model.state_dict().values()])


@pytest.mark.parametrize("name", [TINY, "test_vit", "timm/resnet18.a1_in1k"])
def test_timm_models_come_with_timms_preprocessing(name):
    from timm.data import create_transform, resolve_model_data_config

    loaded = zoo.load(name, pretrained=False)
    config = resolve_model_data_config(loaded.model)
    expected = create_transform(**config, is_training=False)(photograph())
    image = loaded.resize_and_crop(photograph())
    assert 0 <= image.min() < 0.1 < 0.9 < image.max() <= 1
    torch.testing.assert_close(loaded.normalise(image[None])[0], expected, atol=1e-5, rtol=0)
    assert (loaded.channels, *loaded.size) == expected.shape


@pytest.mark.parametrize("name", ["resnet18", "resnet18/IMAGENET1K_V1", "mobilenet_v3_small"])
def test_torchvision_models_come_with_torchvisions_preprocessing(name):
    from torchvision.models import get_model_weights

    loaded = zoo.load(f"torchvision:{name}", pretrained=False)
    expected = get_model_weights(name.partition("/")[0]).DEFAULT.transforms()(photograph())
    image = loaded.resize_and_crop(photograph())
    torch.testing.assert_close(loaded.normalise(image[None])[0], expected, atol=1e-5, rtol=0)
    assert (loaded.channels, *loaded.size) == expected.shape


@pytest.mark.parametrize("name", [TINY, "torchvision:squeezenet1_1"])
def test_a_model_takes_what_its_preprocessing_makes(name):
    loaded = zoo.load(name, pretrained=False)
    assert not loaded.model.training
    with torch.no_grad():
        out = loaded.model(loaded.normalise(loaded.resize_and_crop(photograph())[None]))
    assert out.shape == (1, 1000)
    assert out.isfinite().all()


def test_what_is_said_of_a_model():
    loaded = zoo.load("test_vit", pretrained=False, seed=3)
    assert loaded.name == "test_vit"
    assert loaded.source == (
        "timm's test_vit.r160_in1k, untrained (seed 3). Preprocessing: timm's for test_vit.r160_in1k."
    )
    assert loaded.preprocessing == (
        "shorter side resized to 168 (bicubic), centre crop of 160 x 160; less the mean (0.5, 0.5, 0.5), over the "
        "standard deviation (0.5, 0.5, 0.5)"
    )


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("resnet50.a1_in1k", "shorter side resized to 235 (bicubic), centre crop of 224 x 224"),
        ("convnext_tiny.in12k_ft_in1k_384", "resized to 384 x 384 (bicubic), centre crop of 384 x 384"),
        ("vit_base_patch16_224.augreg_in21k", "shorter side resized to 248 (bicubic), centre crop of 224 x 224"),
    ],
)
def test_what_timm_does_to_an_image_is_put_in_words(name, words):
    import timm
    from timm.data import create_transform, resolve_data_config

    config = resolve_data_config(pretrained_cfg=timm.get_pretrained_cfg(name).to_dict())
    assert geometry_in_words(config) == words
    resize, crop = create_transform(**config, normalize=False).transforms[:2]
    assert str(resize.size if isinstance(resize.size, int) else resize.size[0]) in words
    assert " x ".join(map(str, crop.size)) in words


def test_words_for_borders_and_upright_images():
    config = {"input_size": (3, 1024, 768), "interpolation": "bicubic", "crop_pct": 1.0}
    for mode, words in {
        "border": "longer side resized to 1024 (bicubic), bordered to 768 x 1024",
        "squash": "resized to 768 x 1024 (bicubic), centre crop of 768 x 1024",
    }.items():
        assert geometry_in_words({**config, "crop_mode": mode}) == words


def test_initial_weights_depend_on_the_seed_alone():
    for name in (TINY, "torchvision:squeezenet1_1"):
        one = state(zoo.load(name, pretrained=False, seed=1))
        torch.rand(5)
        assert torch.equal(state(zoo.load(name, pretrained=False, seed=1)), one)
        assert not torch.equal(state(zoo.load(name, pretrained=False, seed=2)), one)


def test_the_global_random_state_stays_as_it_was():
    before = torch.random.get_rng_state()
    zoo.load(TINY, pretrained=False)
    assert torch.equal(torch.random.get_rng_state(), before)
    with pytest.raises(InputError):
        zoo.load("test_vit", pretrained=False, size=-5)
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("name", [TINY, "test_vit", "torchvision:squeezenet1_1", "torchvision:vit_b_32"])
def test_another_size(name):
    loaded = zoo.load(name, pretrained=False, size=64)
    image = loaded.resize_and_crop(photograph())
    assert loaded.size == (64, 64)
    assert image.shape == (3, 64, 64)
    with torch.no_grad():
        assert loaded.model(loaded.normalise(image[None])).shape == (1, 1000)
    assert ", but for the given size." in loaded.source


def test_another_mean_and_deviation():
    for name in (TINY, "torchvision:squeezenet1_1"):
        loaded = zoo.load(name, pretrained=False, mean=(0, 0, 0.5), std=(1, 2, 0.5))
        assert loaded.normalise(torch.ones(1, 3, 1, 1)).flatten().tolist() == [1, 0.5, 1]
        assert ", but for the given mean and std." in loaded.source


def test_normalising_is_differentiable_and_keeps_the_type():
    normalise = zoo.load(TINY, pretrained=False).normalise
    images = torch.rand(2, 3, 4, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    assert torch.autograd.gradcheck(normalise, images)
    assert normalise(images.detach().bfloat16()).dtype == torch.bfloat16


def test_an_unknown_model():
    near = r"unknown model 'resnet_18'\. Did you mean 'resnet18', '\w+' or '\w+'\? "  # what is near grows with timm
    assert re.fullmatch(near + re.escape(REMEDY), refused("resnet_18"))
    assert refused("timm/test_vitt").startswith("unknown model 'timm/test_vitt'. Did you mean 'test_vit'")
    choice = r"unknown model 'xyzzy/y:q'\. There are \d{4} to choose from\. "
    assert re.fullmatch(choice + re.escape(REMEDY), refused("xyzzy/y:q"))


def test_unknown_weights():
    listed = "They are listed by timm.list_models('test_vit.*', pretrained=True)."
    assert refused("test_vit.r60") == f"unknown weights of test_vit 'r60'. Did you mean 'r160_in1k'? {listed}"
    assert refused("torchvision:resnet50/IMAGENET1K_V3") == (
        "unknown weights of resnet50 'IMAGENET1K_V3'. Did you mean 'IMAGENET1K_V2' or 'IMAGENET1K_V1'?"
    )
    assert refused("torchvision:resnet5O") == (
        "unknown torchvision model 'resnet5O'. Did you mean 'resnet50', 'resnet152' or 'resnet34'?"
    )


@pytest.mark.parametrize(
    ("name", "full", "server"),
    [
        ("resnet50.a1_in1k", "resnet50.a1_in1k", "https://huggingface.co/"),
        ("timm/resnet50", "resnet50.a1_in1k", "https://huggingface.co/"),
        ("legacy_seresnet18", "legacy_seresnet18.in1k", "https://github.com/"),
        ("torchvision:resnet18", "resnet18/IMAGENET1K_V1", "https://download.pytorch.org/"),
    ],
)
def test_no_network(no_network, name, full, server):
    reason = f"{server} cannot be reached: Name or service not known"
    assert refused(name) == f"the weights of {full} cannot be had ({reason}). {OTHERWISE}"
    assert len(no_network) == 1  # asked once: every further try of the hub's library waits longer


def test_no_network_wanted(no_network, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    reason = "not in the cache, and HF_HUB_OFFLINE is set"
    assert refused(TINY) == f"the weights of {TINY}.r160_in1k cannot be had ({reason}). {OTHERWISE}"
    assert no_network == []


def test_what_is_in_the_cache_is_not_asked_for(no_network, monkeypatch, tmp_path):
    import huggingface_hub
    import timm
    from safetensors.torch import save_file

    snapshot = tmp_path / "hub" / "models--timm--test_resnet.r160_in1k" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    model = timm.create_model(TINY)
    save_file(model.state_dict(), snapshot / "model.safetensors")
    monkeypatch.setattr(huggingface_hub.file_download, "HF_HUB_CACHE", str(tmp_path / "hub"), raising=False)
    loaded = zoo.load(TINY)
    assert torch.equal(loaded.model.state_dict()["conv1.0.weight"], model.state_dict()["conv1.0.weight"])
    assert loaded.source == (
        "timm's test_resnet.r160_in1k, weights from timm/test_resnet.r160_in1k. "
        "Preprocessing: timm's for test_resnet.r160_in1k."
    )


def in_torchs_cache(folder, content):
    from torchvision.models import SqueezeNet1_1_Weights

    path = folder / "torch" / "checkpoints" / SqueezeNet1_1_Weights.DEFAULT.url.rpartition("/")[2]
    path.parent.mkdir(parents=True)
    torch.save(content, path)


def test_weights_of_torchvision(no_network, tmp_path):
    name = "torchvision:squeezenet1_1"
    trained = zoo.load(name, pretrained=False, seed=5)
    in_torchs_cache(tmp_path, trained.model.state_dict())
    loaded = zoo.load(name)
    assert torch.equal(state(loaded), state(trained))
    assert loaded.source == (
        "torchvision's squeezenet1_1, weights IMAGENET1K_V1. Preprocessing: torchvision's for IMAGENET1K_V1."
    )


class Harmful:
    def __reduce__(self):
        return exec, ("raise AssertionError('it ran')",)


def test_weights_of_torchvision_that_hold_code_are_refused(no_network, tmp_path):
    in_torchs_cache(tmp_path, {"weight": Harmful()})
    told = refused("torchvision:squeezenet1_1")
    assert told.startswith("the weights of squeezenet1_1/IMAGENET1K_V1 cannot be had (Weights only load failed.")
    assert told.endswith(OTHERWISE)


def test_bad_settings():
    assert refused(TINY, size=1) == "size=1: pixels a side, at least 2"
    assert refused(TINY, seed=-1) == "seed=-1: a seed is an integer from 0 to 2^64 - 1"
    assert refused(TINY, mean=(0.5,), std=(0.5, 0.5)) == (
        "mean=(0.5,) and std=(0.5, 0.5): give one of each for every channel"
    )
    for name in (TINY, "torchvision:squeezenet1_1"):
        assert refused(name, pretrained=False, mean=(0.5,)) == f"mean=(0.5,): {name} takes images of 3 channels"
        told = "std=(1.0, 0.0, 1.0): must be positive"
        assert refused(name, pretrained=False, std=(1.0, 0.0, 1.0)) == told


def test_a_size_that_a_model_does_not_take(monkeypatch):
    told = "size=64: torchvision's maxvit_t takes 224 pixels a side"
    assert refused("torchvision:maxvit_t", pretrained=False, size=64) == told
    import timm

    def fail(*_, **__):
        raise TypeError("got an unexpected keyword argument 'img_size'")

    monkeypatch.setattr(timm, "create_model", fail)
    told = "for images of 64 pixels a side (got an unexpected keyword argument 'img_size')"
    assert refused("test_vit", pretrained=False, size=64) == f"timm cannot make test_vit.r160_in1k {told}"
