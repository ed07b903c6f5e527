from dataclasses import replace

import pytest
import torch

from pliant._checks import InputError
from pliant.plan import Training
from pliant.training import Checkpoint, accuracy, train

PLAN = Training(epochs=3, batch_size=16, peak_rate=0.05, flip=True, crop=1, precision="fp32")


def state(model):
    return {name: value.clone() for name, value in model.state_dict().items()}


def equal(first, second):
    return all(torch.equal(value, second[name]) for name, value in first.items())


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("epoch", [1, 2])
def test_a_training_that_goes_on_ends_at_the_same_weights(task, small_net, tmp_path, dropout, epoch):
    """Through the disk, with momentum, flips, crops and dropout."""
    path, whole = tmp_path / "checkpoint.safetensors", small_net(dropout)
    kept = {}

    def keep(checkpoint):
        if checkpoint.epoch == epoch:
            checkpoint.save(path, rows=[checkpoint.step, float("nan")])
        kept[checkpoint.epoch] = checkpoint

    history = train(whole, *task, PLAN, seed=5, on_epoch=keep)
    assert sorted(kept) == [1, 2, 3]
    resume, beside = Checkpoint.load(path)
    assert beside["rows"][0] == resume.step == 6 * epoch
    other = small_net(dropout)
    with torch.no_grad():
        other[0].weight.add_(1)  # what it held before does not matter
    resumed = train(other, *task, PLAN, seed=5, resume=resume)
    assert equal(state(whole), state(other))
    assert [(e.epoch, e.loss, e.accuracy) for e in resumed.epochs] == [
        (e.epoch, e.loss, e.accuracy) for e in history.epochs
    ]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_a_gpu_a_training_that_goes_on_ends_at_the_same_weights(task, small_net, tmp_path):
    whole, other, kept = small_net(0.3).cuda(), small_net(0.3).cuda(), []
    train(whole, *task, PLAN, seed=5, on_epoch=kept.append)
    kept[0].save(tmp_path / "checkpoint.safetensors")
    train(other, *task, PLAN, seed=5, resume=Checkpoint.load(tmp_path / "checkpoint.safetensors")[0])
    assert equal(state(whole), state(other))


def test_without_the_velocities_it_would_end_elsewhere(task, small_net):
    """The test above can fail."""
    kept = []
    whole, other = small_net(), small_net()
    train(whole, *task, PLAN, on_epoch=kept.append)
    bare = {name: value for name, value in kept[0].tensors.items() if not name.startswith("velocity.")}
    train(other, *task, PLAN, resume=Checkpoint(1, kept[0].step, kept[0].history, bare))
    assert not equal(state(whole), state(other))


def test_measuring_on_the_way_changes_nothing(task, small_net):
    quiet, heard = small_net(), small_net()
    train(quiet, *task, PLAN)
    steps = []

    def measure(step):
        steps.append(step)
        accuracy(heard, *task)

    train(heard, *task, PLAN, at=(1, 7, 18, 99), on_step=measure)
    assert steps == [1, 7, 18]
    assert equal(state(quiet), state(heard))


def test_a_damaged_file_and_another_model_are_refused(task, small_net, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    train(small_net(), *task, PLAN, on_epoch=lambda checkpoint: checkpoint.save(path))
    other = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 3))
    with pytest.raises(InputError, match="^the checkpoint is of another model: delete it and run again"):
        train(other, *task, PLAN, resume=Checkpoint.load(path)[0])
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"checkpoint\.safetensors is no checkpoint \(.*\): delete it and run again$"):
        Checkpoint.load(path)


def test_a_training_that_goes_on_counts_the_time_before_it_stopped(task, small_net):
    kept, heard = [], []
    train(small_net(), *task, PLAN, on_epoch=kept.append)
    stopped = kept[1]
    slow = tuple(replace(epoch, seconds=100.0 * epoch.epoch) for epoch in stopped.history)
    resume = Checkpoint(stopped.epoch, stopped.step, slow, stopped.tensors)
    train(small_net(), *task, PLAN, resume=resume, on_progress=heard.append)
    (last,) = heard
    assert 200 < last.seconds < 260
    assert last.images_per_second == pytest.approx(3 * 96 / last.seconds)
    unfinished = replace(last, step=12)
    assert 100 < unfinished.seconds_left < 130  # of three epochs one is left
