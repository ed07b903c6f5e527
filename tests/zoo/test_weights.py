import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pliant import zoo
from pliant._checks import InputError
from pliant.zoo.weights import load_into, read

TINY = "test_resnet"


def net(classes=3):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(classes)
        return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, classes))


def same(one, two):
    a, b = one.state_dict(), two.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


def refused(path, model=None):
    with pytest.raises(InputError) as caught:
        load_into(model or net(), path, "the net")
    return str(caught.value)


WRAPPINGS = {
    "plain": lambda state: state,
    "state_dict": lambda state: {"state_dict": state, "epoch": 3},
    "model": lambda state: {"model": state, "lr": 0.1},
    "module.": lambda state: {f"module.{key}": value for key, value in state.items()},
    "compiled": lambda state: {"model": {f"module._orig_mod.{key}": value for key, value in state.items()}},
}


@pytest.mark.parametrize("wrapping", WRAPPINGS)
@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin"])
def test_a_state_dict_comes_back_from_its_file(tmp_path, wrapping, suffix):
    saved, loaded = net(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 3))
    torch.save(WRAPPINGS[wrapping](saved.state_dict()), tmp_path / f"w{suffix}")
    assert not same(saved, loaded)
    load_into(loaded, tmp_path / f"w{suffix}", "the net")
    assert same(saved, loaded)


def test_safetensors_come_back_from_their_file(tmp_path):
    saved, loaded = net(), nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 3))
    save_file(saved.state_dict(), tmp_path / "w.safetensors")
    assert not same(saved, loaded)
    load_into(loaded, tmp_path / "w.safetensors", "the net")
    assert same(saved, loaded)


def test_weights_take_the_place_of_published_ones(tmp_path):
    trained = zoo.load(TINY, pretrained=False, seed=7)
    save_file(trained.model.state_dict(), tmp_path / "w.safetensors")
    loaded = zoo.load(TINY, weights=tmp_path / "w.safetensors")
    assert same(loaded.model, trained.model)
    assert loaded.source == (
        f"timm's test_resnet.r160_in1k, weights from {tmp_path / 'w.safetensors'}. "
        "Preprocessing: timm's for test_resnet.r160_in1k."
    )


def test_weights_that_do_not_fit_are_named_and_not_loaded(tmp_path):
    model = net()
    state = {**net(5).state_dict(), "extra": torch.zeros(1)}
    del state["0.weight"]
    torch.save(state, tmp_path / "w.pt")
    assert refused(tmp_path / "w.pt", model) == (
        f"{tmp_path / 'w.pt'} does not fit the net: missing: 0.weight; unexpected: extra; of another shape: 3.weight "
        "(5, 4) in place of (3, 4), 3.bias (5,) in place of (3,). Name the model that these weights were saved from"
    )
    assert same(model, net())


def test_of_many_names_a_few_are_told(tmp_path):
    torch.save({str(i): torch.zeros(1) for i in range(9)}, tmp_path / "w.pt")
    assert refused(tmp_path / "w.pt") == (
        f"{tmp_path / 'w.pt'} does not fit the net: missing: 0.weight, 0.bias, 1.weight and 6 more; unexpected: 0, 1, "
        "2 and 6 more. Name the model that these weights were saved from"
    )


class Harmful:
    def __reduce__(self):
        return exec, ("raise AssertionError('it ran')",)


@pytest.mark.parametrize("content", [Harmful(), net(), {"state_dict": net().state_dict(), "extra": Harmful()}])
def test_nothing_but_tensors_is_unpickled(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    assert refused(tmp_path / "w.pt") == (
        f"{tmp_path / 'w.pt'}: damaged, or holds more than tensors, and loading that could run any code. Where you "
        "trust it, save the weights alone: torch.save(model.state_dict(), ...), or safetensors.torch.save_file"
    )


@pytest.mark.parametrize("content", [torch.zeros(3), [1, 2], {}, {"epoch": 3}, {"state_dict": {"a": 1}}])
def test_a_file_without_a_state_dict(tmp_path, content):
    torch.save(content, tmp_path / "w.pt")
    told = "holds no state dict; save it with torch.save(model.state_dict(), ...)"
    assert refused(tmp_path / "w.pt") == f"{tmp_path / 'w.pt'}: {told}"


def test_damaged_files(tmp_path):
    torch.save(net().state_dict(), tmp_path / "w.pt")
    whole = (tmp_path / "w.pt").read_bytes()
    for share in (0, 0.01, 0.5, 0.99):
        (tmp_path / "w.pt").write_bytes(whole[: int(share * len(whole))])
        assert refused(tmp_path / "w.pt").startswith(f"{tmp_path / 'w.pt'}: ")
    save_file(net().state_dict(), tmp_path / "w.safetensors")
    whole = (tmp_path / "w.safetensors").read_bytes()
    for share in (0, 0.01, 0.5, 0.99):
        (tmp_path / "w.safetensors").write_bytes(whole[: int(share * len(whole))])
        told = re.fullmatch(
            r"(.*): damaged, or no safetensors file \(.+\); replace it by a whole copy",
            refused(tmp_path / "w.safetensors"),
        )
        assert told
        assert told[1] == str(tmp_path / "w.safetensors")


def test_other_kinds_of_file(tmp_path):
    (tmp_path / "w.npz").touch()
    with pytest.raises(InputError) as caught:
        read(tmp_path / "w.npz")
    told = "not one of .safetensors, .pt, .pth, .bin; save the weights as safetensors or a state dict"
    assert str(caught.value) == f"{tmp_path / 'w.npz'}: {told}"


def test_no_such_file(tmp_path):
    with pytest.raises(InputError) as caught:
        zoo.load(TINY, weights=tmp_path / "w.pt")
    assert str(caught.value) == f"{tmp_path / 'w.pt'}: no such file; name a file of weights"
