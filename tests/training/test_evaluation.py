import pytest
import torch
from torch import nn

from pliant._checks import InputError
from pliant.training import accuracy


class Reader(nn.Module):
    """Tells the class that stands in the first pixel."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, images):
        return self.scale * nn.functional.one_hot(images[:, 0, 0, 0].long(), 3).float()


@pytest.mark.parametrize("batch_size", [1, 3, 10, 512])
def test_counts_the_hits_whatever_the_batch(batch_size):
    told = torch.tensor([0, 1, 2, 2, 1, 0, 1, 1, 2, 0])
    truth = torch.tensor([0, 1, 2, 0, 1, 1, 1, 2, 2, 0])
    images = told.float()[:, None, None, None].expand(10, 1, 2, 2).contiguous()
    assert accuracy(Reader(), images, truth, batch_size) == (7, 10)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "auto"])
def test_the_model_is_heard_in_eval_mode_and_comes_back_as_it_was(task, small_net, precision):
    net = small_net(dropout=0.5)
    net[1].eval()
    modes = [module.training for module in net.modules()]
    before = {name: value.clone() for name, value in net.state_dict().items()}
    rng = torch.get_rng_state()
    first, again = (accuracy(net, *task, precision=precision) for _ in range(2))
    assert first == again
    assert [module.training for module in net.modules()] == modes
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert torch.equal(torch.get_rng_state(), rng)


def test_bad_input_is_refused(task, small_net):
    with pytest.raises(InputError) as error:
        accuracy(small_net(), *task, batch_size=0)
    assert str(error.value) == "batch_size=0: must be 1 or more"
    with pytest.raises(InputError) as error:
        accuracy(small_net(), *task, precision="half")
    assert str(error.value) == "unknown precision 'half'. Known: auto, bf16, fp32."
    with pytest.raises(InputError) as error:
        accuracy(small_net(), task[0], task[1] + 7)
    assert str(error.value) == (
        "labels run from 7 to 9, but the model tells 3 classes, 0 to 2: build it with classes=10, and count labels "
        "from 0"
    )
