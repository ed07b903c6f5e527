import pytest
import safetensors.torch
import torch
from torch import nn

from pliant._checks import InputError
from pliant.training import save_weights


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_what_is_saved_loads_to_the_bit(small_net, tmp_path, layout):
    net = small_net().to(memory_format=layout)
    save_weights(net, tmp_path / "weights.safetensors")
    loaded = safetensors.torch.load_file(tmp_path / "weights.safetensors")
    assert sorted(loaded) == sorted(net.state_dict())
    for name, value in net.state_dict().items():
        assert torch.equal(loaded[name], value)
        assert loaded[name].dtype == value.dtype


def test_tied_weights_are_saved_under_both_names(tmp_path):
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    net[1].weight = net[0].weight
    save_weights(net, tmp_path / "weights.safetensors")
    loaded = safetensors.torch.load_file(tmp_path / "weights.safetensors")
    assert torch.equal(loaded["0.weight"], loaded["1.weight"])


def test_a_path_that_cannot_be_written_is_refused_and_an_older_file_stays(small_net, tmp_path):
    (tmp_path / "file").write_text("older")
    with pytest.raises(InputError):
        save_weights(small_net(), tmp_path / "file" / "weights.safetensors")
    assert (tmp_path / "file").read_text() == "older"
