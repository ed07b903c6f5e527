import copy
import math
import signal

import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pliant._checks import InputError
from pliant.draws import Stream, permutation
from pliant.nets import DOWNSAMPLING, cifar_net
from pliant.plan import Training
from pliant.training import accuracy, rate, train
from pliant.training.step import _HOMES, _repeats

PLAN = Training(epochs=2, batch_size=16, peak_rate=0.05, precision="fp32")


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def equal(first, second):
    return all(torch.equal(value, second[name]) for name, value in first.items())


class Heard(nn.Module):
    """A linear net that remembers what it was given."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 3)
        self.batches = []

    def forward(self, images):
        if self.training:
            self.batches.append(images.detach().clone())
        return self.head(images.flatten(1))


def test_it_learns(task, small_net):
    images, labels = task
    net = small_net()
    before, n = accuracy(net, images, labels)
    history = train(net, images, labels, PLAN)
    after, _ = accuracy(net, images, labels)
    assert before < 0.6 * n
    assert after > 0.95 * n
    assert history.epochs[-1].loss < history.epochs[0].loss


def test_equals_the_loop_by_hand(task, small_net):
    images, labels = task
    images, labels = images[:90], labels[:90]  # 5 steps of 16 an epoch, 10 images left over
    ours, theirs = small_net(), small_net()
    train(ours, images, labels, PLAN, seed=3)
    optimiser = torch.optim.SGD(theirs.parameters(), lr=0.0, momentum=0.9, nesterov=True, weight_decay=5e-4)
    for step in range(10):
        order = permutation(3, Stream.SHUFFLE, step // 5, 90)
        batch = order[step % 5 * 16 : step % 5 * 16 + 16]
        optimiser.param_groups[0]["lr"] = rate(PLAN, step, 10)
        optimiser.zero_grad()
        F.cross_entropy(theirs(images[batch]), labels[batch]).backward()
        optimiser.step()
    for name, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[name], value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_same_seed_ends_at_the_same_weights_to_the_bit_and_another_does_not(task, small_net, precision):
    plan = Training(epochs=2, batch_size=20, flip=True, crop=2, precision=precision)
    nets = [small_net(dropout=0.3) for _ in range(3)]
    for net, seed in zip(nets, (7, 7, 8), strict=True):
        torch.rand(3)  # the global generator stands elsewhere each time
        train(net, *task, plan, seed)
    first, again, other = (state(net) for net in nets)
    assert equal(first, again)
    assert not equal(first, other)


def test_global_state_comes_back_as_it_was(task, small_net):
    before = torch.get_rng_state()
    torch.backends.cudnn.benchmark = True
    try:
        train(small_net(dropout=0.5), *task, PLAN)
        assert torch.backends.cudnn.benchmark
        assert not torch.backends.cudnn.deterministic
    finally:
        torch.backends.cudnn.benchmark = False
    assert torch.equal(torch.get_rng_state(), before)


def test_modules_come_back_in_their_modes_plain_in_memory_and_without_gradients(task, small_net):
    net = small_net().eval()
    net[3].train()
    train(net, *task, PLAN)
    assert [module.training for module in net] == [False, False, False, True, False, False]
    assert all(parameter.is_contiguous() and parameter.grad is None for parameter in net.parameters())


def test_gradients_of_before_do_not_count(task, small_net):
    fresh, used = small_net(), small_net()
    used.eval()(task[0]).sum().backward()
    used.train()
    for net in (fresh, used):
        train(net, *task, PLAN)
    assert equal(state(fresh), state(used))


def test_an_epoch_meets_each_image_at_most_once_in_a_new_order(task):
    images, labels = torch.arange(50.0)[:, None, None, None].expand(-1, 1, 8, 8), task[1][:50]
    net = Heard()
    train(net, images.contiguous(), labels, Training(epochs=4, batch_size=16, precision="fp32", peak_rate=1e-9))
    assert [len(batch) for batch in net.batches] == [16] * 12
    met = torch.stack(net.batches)[:, :, 0, 0, 0].reshape(4, 48).long().tolist()
    assert all(len(set(epoch)) == 48 for epoch in met)
    assert len({tuple(epoch) for epoch in met}) == 4
    assert len({frozenset(epoch) for epoch in met}) > 1  # not always the same two left over


def test_fewer_images_than_a_batch_are_one_batch(task):
    net = Heard()
    history = train(net, task[0][:5], task[1][:5], Training(epochs=3, batch_size=64, precision="fp32"))
    assert [len(batch) for batch in net.batches] == [5] * 3
    assert [epoch.step for epoch in history.epochs] == [1, 2, 3]


def test_flips_and_crops_reach_the_net_and_differ_between_epochs(task):
    images = torch.arange(1.0, 65.0).reshape(1, 1, 8, 8).expand(40, -1, -1, -1).contiguous()
    net = Heard()
    plan = Training(epochs=2, batch_size=40, flip=True, crop=1, precision="fp32", peak_rate=1e-9)
    train(net, images, task[1][:40], plan)
    seen = [{tuple(image.flatten().tolist()) for image in batch} for batch in net.batches]
    assert all(1 < len(kinds) <= 2 * 9 for kinds in seen)  # two sides, nine places of the window
    assert not torch.equal(net.batches[0], net.batches[1])


def test_history_is_the_mean_over_the_images_as_the_net_met_them(task):
    net = Heard()
    heard = []
    plan = Training(epochs=2, batch_size=32, peak_rate=1e-12, precision="fp32")
    history = train(net, *task, plan, on_progress=heard.append)
    logits = net.head(task[0].flatten(1))
    for number, epoch in enumerate(history.epochs, start=1):
        assert epoch.loss == pytest.approx(F.cross_entropy(logits, task[1]).item(), rel=1e-5)
        assert epoch.accuracy == pytest.approx((logits.argmax(1) == task[1]).float().mean().item())
        assert (epoch.epoch, epoch.epochs, epoch.step, epoch.steps) == (number, 2, 3 * number, 6)
    assert tuple(heard) == history.epochs  # both epochs are over within half a second
    assert heard[-1].seconds_left == 0
    assert heard[0].seconds_left == pytest.approx(heard[0].seconds)
    assert heard[-1].images_per_second == pytest.approx(192 / heard[-1].seconds)
    assert list(history.to_json()[0]) == ["epoch", "step", "loss", "accuracy", "seconds"]


def test_no_epochs_change_nothing(task, small_net):
    net = small_net()
    before = state(net)
    assert train(net, *task, Training(epochs=0)).epochs == ()
    assert equal(state(net), before)


def test_bf16_keeps_the_weights_in_full_precision(task, small_net):
    nets = {precision: small_net() for precision in ("fp32", "bf16")}
    for precision, net in nets.items():
        history = train(net, *task, Training(epochs=2, batch_size=32, precision=precision))
        assert history.precision == precision
        assert all(parameter.dtype == torch.float32 for parameter in net.parameters())
    assert not equal(state(nets["fp32"]), state(nets["bf16"]))


@pytest.fixture(autouse=True)
def interruptible():
    """As in a terminal: what is started in the background of a script ignores the signal of Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupting(net, step, how):
    """Raise in the forward pass of a step, counted from 1, of the training."""
    met = []

    def hook(module, _inputs):
        if module.training:
            met.append(step)
            if len(met) == step:
                how()

    net.register_forward_pre_hook(hook)


@pytest.mark.parametrize("step", [1, 4, 12])
def test_an_interrupt_at_any_step_leaves_loadable_weights(task, small_net, tmp_path, step):
    net, path = small_net(), tmp_path / "new" / "interrupted.safetensors"
    interrupting(net, step, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        train(net, *task, PLAN, checkpoint=path)
    loaded = small_net()
    start = state(loaded)
    loaded.load_state_dict(safetensors.torch.load_file(path))
    assert equal(state(net), state(loaded))
    assert equal(start, state(loaded)) == (step == 1)
    assert [file.name for file in path.parent.iterdir()] == ["interrupted.safetensors"]
    assert all(parameter.is_contiguous() for parameter in net.parameters())


def test_an_interrupt_in_the_display_is_kept_too(task, small_net, tmp_path):
    def display(_progress):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(small_net(), *task, PLAN, checkpoint=tmp_path / "weights.safetensors", on_progress=display)
    assert (tmp_path / "weights.safetensors").exists()


def test_without_a_checkpoint_an_interrupt_writes_nothing(task, small_net, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    net = small_net()
    interrupting(net, 2, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        train(net, *task, PLAN)
    assert not list(tmp_path.iterdir())


def test_a_loss_that_is_not_finite_stops_and_names_the_step(task, small_net):
    net = small_net()
    interrupting(net, 8, lambda: net[5].weight.data.fill_(math.nan))
    with pytest.raises(InputError) as error:
        train(net, *task, PLAN)
    assert str(error.value) == (
        "the loss is nan at step 8 of 12: lower peak_rate (now 0.05) or lengthen warmup (now 0.25)"
    )


@given(st.integers(1, 400), st.floats(0, 0.99), st.floats(0.01, 1))
def test_the_rate_rises_in_a_line_and_falls_along_half_a_cosine(steps, warmup, peak):
    plan = Training(peak_rate=peak, warmup=warmup)
    rates = [rate(plan, step, steps) for step in range(steps)]
    top = min(round(warmup * steps), steps - 1)
    assert all(0 < value <= peak for value in rates)
    assert rates == sorted(rates[:top]) + sorted(rates[top:], reverse=True)
    if round(warmup * steps) < steps:
        assert rates[top] == peak
        for step in range(top, steps):  # cosine: symmetric about half the peak
            mirrored = rate(plan, steps + top - step, steps) if step > top else 0.0
            assert rates[step] + mirrored == pytest.approx(peak)


def test_the_rate_by_hand():
    plan = Training(peak_rate=0.4, warmup=0.3)
    rates = [rate(plan, step, 10) for step in range(10)]
    assert rates[:4] == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert rates[4:] == pytest.approx([0.2 * (1 + math.cos(math.pi * k / 7)) for k in range(1, 7)])


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda x, y: (x[:, 0], y),
            "images must be floating point of the shape (n, c, h, w), got torch.float32 of (96, 8, 8): "
            "convert and standardise them first",
        ),
        (
            lambda x, y: (x.to(torch.uint8), y),
            "images must be floating point of the shape (n, c, h, w), got torch.uint8 of (96, 1, 8, 8): "
            "convert and standardise them first",
        ),
        (
            lambda x, y: (x, y[:-1]),
            "labels must be int64 of the shape (96,), one for each image, got torch.int64 of (95,)",
        ),
        (
            lambda x, y: (x, y.int()),
            "labels must be int64 of the shape (96,), one for each image, got torch.int32 of (96,)",
        ),
        (lambda x, y: (x[:0], y[:0]), "there are no images: give at least one"),
        (lambda x, y: (x[:1], y[:1]), "there is 1 image: batch norm needs at least 2 a step"),
        (
            lambda x, y: (torch.where(torch.arange(96)[:, None, None, None] % 40 == 39, torch.inf, x), y),
            "2 of 96 images hold NaN or infinite values, the first is number 39: leave them out",
        ),
        (
            lambda x, y: (x, y + 1),
            "labels run from 1 to 3, but the model tells 3 classes, 0 to 2: build it with classes=4, and count "
            "labels from 0",
        ),
        (
            lambda x, y: (x, y - 1),
            "labels run from -1 to 1, but the model tells 3 classes, 0 to 2: build it with classes=2, and count "
            "labels from 0",
        ),
    ],
)
def test_a_task_that_does_not_fit_is_refused_and_nothing_changed(task, small_net, change, message):
    net = small_net()
    before = copy.deepcopy(net.state_dict())
    with pytest.raises(InputError) as error:
        train(net, *change(*task), PLAN)
    assert str(error.value) == message
    assert equal(before, state(net))
    assert net.training


def test_models_that_cannot_be_trained_are_refused(task):
    with pytest.raises(InputError) as error:
        train(nn.Flatten(), *task, PLAN)
    assert str(error.value) == "the model has no parameters: there is nothing to train"
    with pytest.raises(InputError) as error:
        train(nn.Conv2d(1, 3, 3), *task, PLAN)
    assert str(error.value) == (
        "the model must put out one tensor of the shape (n, classes): pick its scores in a module of your own"
    )


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_the_same_seed_ends_at_the_same_weights_to_the_bit(task, small_net):
    plan = Training(epochs=3, batch_size=20, flip=True, crop=2)
    before = torch.cuda.get_rng_state()
    nets = [small_net(dropout=0.3).cuda() for _ in range(2)]
    histories = [train(net, *task, plan, seed=7) for net in nets]
    assert equal(state(nets[0]), state(nets[1]))
    assert histories[0].epochs[-1].loss == histories[1].epochs[-1].loss
    assert torch.equal(torch.cuda.get_rng_state(), before)


class Waits(nn.Module):
    """Looks at its numbers, which no recorded step can."""

    def forward(self, images):
        return images if images.abs().max() >= 0 else -images


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_on_a_gpu_recorded_steps_are_the_steps_to_the_bit(task, small_net, precision, monkeypatch):
    plan = Training(epochs=3, batch_size=20, flip=True, precision=precision)
    recorded, written, looked_at = (small_net(dropout=0.3).cuda() for _ in range(3))
    train(recorded, *task, plan)
    train(looked_at, *task, plan, at=range(40), on_step=lambda step: looked_at.zero_grad())
    monkeypatch.setattr("pliant.training.step._BEFORE", 1000)
    train(written, *task, plan)
    assert equal(state(recorded), state(written))
    assert equal(state(looked_at), state(written))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_what_cannot_be_recorded_is_trained_as_it_is_written(task, small_net, monkeypatch):
    plain, waiting, hooked = (small_net().cuda() for _ in range(3))
    waiting.append(Waits())
    seen = []
    hooked[0].register_forward_hook(lambda *given: seen.append(1))
    monkeypatch.setattr("pliant.training.step._HOMES", (*_HOMES, __name__))
    for net in (plain, waiting, hooked):
        train(net, *task, PLAN)
    assert equal(state(plain), state(waiting))
    assert equal(state(plain), state(hooked))
    assert len(seen) >= PLAN.epochs * (len(task[0]) // PLAN.batch_size)


@pytest.mark.parametrize(
    "change",
    [
        lambda net: net.block1.register_forward_hook(lambda *given: None),
        lambda net: net.block1.register_forward_pre_hook(lambda *given: None),
        lambda net: net.block1.register_full_backward_hook(lambda *given: None),
        lambda net: net.block1.register_full_backward_pre_hook(lambda *given: None),
        lambda net: torch.nn.modules.module.register_module_forward_hook(lambda *given: None),
        lambda net: setattr(net.block1, "forward", net.block1.forward),
        lambda net: net.append(Heard()),
    ],
)
def test_only_what_nothing_but_tensors_decides_is_recorded(change):
    assert all(_repeats(cifar_net(name, 0.1)) for name in DOWNSAMPLING)
    net = cifar_net("max_pool", 0.1)
    handle = change(net)
    assert not _repeats(net)
    if hasattr(handle, "remove"):
        handle.remove()
