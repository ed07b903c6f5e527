from collections import OrderedDict

import pytest
import torch
from torch import nn

from pliant._checks import InputError
from pliant.capture import capture, replaced, trace


class Reused(nn.Module):
    """One ReLU, in place, run twice; the second time on a tensor that it overwrites."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.relu = nn.ReLU(inplace=True)
        self.second = nn.Linear(4, 4)

    def forward(self, x):
        return self.relu(self.second(self.relu(self.first(x))))


class Structured(nn.Module):
    """Puts out a dict of a tensor, a tuple and a number."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Linear(3, 3)

    def forward(self, x):
        y = self.inner(x)
        return {"out": y + 1, "parts": (y, [y * 2]), "count": 3, "index": torch.arange(len(x))}


def sequence():
    return nn.Sequential(OrderedDict(a=nn.Linear(3, 4), b=nn.ReLU(inplace=True), c=nn.Identity(), d=nn.Linear(4, 2)))


def listened(model, x, names=None):
    heard = {}
    with capture(model, lambda name, path, tensor: heard.__setitem__(name, tensor.clone()), names):
        model(x)
    return heard


def test_a_layer_is_heard_before_it_is_overwritten_in_place():
    model, x = sequence(), torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    heard = listened(model, x)
    assert (heard["a"] < 0).any()
    assert torch.equal(heard["a"], nn.functional.linear(x, model.a.weight, model.a.bias))
    assert torch.equal(heard["b"], heard["a"].relu())


def test_each_run_of_a_module_is_heard_apart_and_counted_anew_in_every_pass():
    model, x = Reused(), torch.randn(2, 3)
    for _ in range(2):
        heard = listened(model, x, {"relu", "relu#2"})
        assert sorted(heard) == ["relu", "relu#2"]
        assert torch.equal(heard["relu"], model.first(x).relu())
        assert torch.equal(heard["relu#2"], model(x))


def test_structured_outputs_are_heard_by_key_and_what_is_no_float_is_not():
    model = nn.Sequential(OrderedDict(block=Structured()))
    x = torch.randn(2, 3)
    heard = listened(model, x)
    y = model.block.inner(x)
    keys = {name: tensor for name, tensor in heard.items() if name.startswith("block[")}
    assert sorted(keys) == ["block[out]", "block[parts][0]", "block[parts][1][0]"]
    assert torch.equal(keys["block[out]"], y + 1)
    assert torch.equal(keys["block[parts][1][0]"], y * 2)


def test_only_the_names_asked_for_are_heard():
    assert list(listened(sequence(), torch.zeros(2, 3), {"d"})) == ["d"]


def test_all_hooks_end_also_after_an_error():
    model = sequence()

    def fail(name, path, tensor):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="^no$"), capture(model, fail):
        model(torch.zeros(2, 3))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_module_called_input_does_not_take_the_name_of_the_image():
    model = nn.Sequential(OrderedDict(input=nn.Linear(3, 3), output=nn.ReLU()))
    assert [call.name for call in trace(model, torch.zeros(2, 3))] == ["model.input", "model.output", "output"]


def test_trace_tells_fresh_numbers_from_repeated_ones():
    calls = {call.name: call for call in trace(sequence(), torch.ones(2, 3))}
    assert [name for name, call in calls.items() if call.fresh] == ["a", "b", "d"]
    assert [name for name, call in calls.items() if not call.leaf] == ["output"]
    assert [calls[name].repeats for name in "abcd"] == [None, None, "b", None]
    assert [calls[name].took for name in "abcd"] == [None, "a", "b", "b"]
    assert calls["a"].took_shape == (3,)
    assert calls["b"].shape == (4,)
    assert calls["b"].kind is nn.ReLU


def test_trace_tells_what_is_no_batch():
    class Prompt(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(7, 3)

        def forward(self, x):
            return x + self.table(torch.arange(7)).sum(0)

    calls = {call.name: call for call in trace(Prompt(), torch.zeros(2, 3))}
    assert not calls["table"].batched
    assert calls["output"].batched


def test_trace_leaves_no_hook_behind():
    model = sequence()
    trace(model, torch.ones(2, 3))
    with pytest.raises(InputError, match=r"^the model does not take images of \(5,\), float32: "):
        trace(model, torch.ones(2, 5))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def called(model, x, name):
    return next(call for call in trace(model, x) if call.name == name)


@pytest.mark.parametrize("name", ["relu", "relu#2"])
def test_the_model_goes_on_with_what_replaces_a_call(name):
    model, x = Reused(), torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    seen = []

    def become(activation):
        seen.append(activation.clone())
        return activation + 1

    heard = listened(model, x)
    with replaced(model, called(model, x, name), become):
        out = model(x)
    assert len(seen) == 1
    assert torch.equal(seen[0], heard[name])
    torch.testing.assert_close(out, heard[name] + 1 if name == "relu#2" else model.second(heard[name] + 1).relu())
    assert torch.equal(model(x), heard["relu#2"])


def test_replacing_leaves_no_hook_behind():
    model, x = sequence(), torch.zeros(2, 3)

    def fail(activation):
        raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="^no$"), replaced(model, called(model, x, "b"), fail):
        model(x)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_part_of_an_output_is_not_replaced():
    model, x = nn.Sequential(OrderedDict(block=Structured())), torch.randn(2, 3)
    with (
        pytest.raises(InputError) as error,
        replaced(model, called(model, x, "block[out]"), torch.clone),
    ):
        model(x)
    expected = "layer 'block[out]' is a part of what its module puts out: choose whole outputs"
    assert str(error.value) == expected


def test_a_model_that_writes_into_its_input_does_not_write_into_the_images():
    class Rude(nn.Module):
        def forward(self, x):
            return x.mul_(2.0)

    images = torch.ones(2, 3, 4, 4)
    trace(Rude(), images)
    assert images.eq(1).all()
