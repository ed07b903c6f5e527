"""The callback in a real, small training on the CPU; and what happens where Lightning is not installed."""

import importlib
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from pliant._checks import InputError
from pliant.deform import ThinPlate
from pliant.measurement import Watch, measure

pytestmark = pytest.mark.filterwarnings("ignore")  # Lightning's advice on loggers, workers and the like

PLATE = ThinPlate(grid=3, reach=1.0)


def test_without_lightning_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning", None)
    monkeypatch.setitem(sys.modules, "lightning.pytorch", None)
    monkeypatch.delitem(sys.modules, "pliant.lightning", raising=False)
    with pytest.raises(ImportError) as error:
        importlib.import_module("pliant.lightning")
    assert str(error.value) == 'pliant.lightning needs Lightning: pip install "pliant[lightning]"'


def pictures(n, seed=0):
    coarse = torch.randn(n, 3, 4, 4, generator=torch.Generator().manual_seed(seed))
    return nn.functional.interpolate(coarse, size=(12, 12), mode="bicubic")


@pytest.fixture
def training(tmp_path):
    """Trains a small module with callbacks; gives back the module, the trainer and what was logged."""
    lightning = pytest.importorskip("lightning.pytorch")
    from lightning.pytorch.loggers import CSVLogger

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(
                nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(400, 2)
            )

        def forward(self, images):
            return self.net(images)

        def training_step(self, batch, index):
            return nn.functional.cross_entropy(self(batch[0]), batch[1])

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9)

    def fit(*callbacks, steps=6, ckpt_path=None, loggers=2, **options):
        torch.manual_seed(0)
        module = Module()
        data = TensorDataset(pictures(16, seed=1), torch.arange(16) % 2)
        made = [CSVLogger(tmp_path, name=f"log{number}") for number in range(loggers)]
        trainer = lightning.Trainer(
            max_steps=steps,
            accelerator="cpu",
            devices=1,
            logger=made,
            callbacks=list(callbacks),
            default_root_dir=tmp_path,
            enable_progress_bar=False,
            enable_model_summary=False,
            enable_checkpointing=False,
            **options,
        )
        trainer.fit(module, DataLoader(data, batch_size=4, shuffle=True), ckpt_path=ckpt_path)
        return module, trainer, [pd.read_csv(f"{logger.log_dir}/metrics.csv") for logger in made if callbacks]

    return fit


def callback(*args, **options):
    from pliant.lightning import StabilityCallback

    return StabilityCallback(pictures(8), PLATE, *args, replicates=20, **options)


def test_it_measures_on_the_grid_and_at_the_end_and_every_logger_hears_it(training):
    watching = callback("net.*")
    module, _, logs = training(watching)
    assert isinstance(watching.watch, Watch)
    assert list(watching.watch.profiles) == [0, 1, 2, 4, 6]
    last = measure(module, pictures(8), PLATE, "net.*", replicates=20)
    np.testing.assert_array_equal(watching.watch.profiles[6].estimate, last.estimate)
    for log in logs:
        assert log["step"].tolist() == [0, 1, 2, 4, 6]
        assert sorted(log.columns) == sorted(["step", *(f"stability/{layer}" for layer in last.layers)])
        for step, value in zip(log["step"], log["stability/net.2"], strict=True):
            assert value == pytest.approx(watching.watch.profiles[step]["net.2"].estimate)
    assert len(logs) == 2


def test_weights_end_the_same_to_the_bit_with_and_without(training):
    plain, _, _ = training()
    watched, _, _ = training(callback(batch_norm="calibrated", calibration=pictures(9, seed=2)))
    for name, value in plain.state_dict().items():
        assert torch.equal(value, watched.state_dict()[name]), name


def test_several_metrics_and_a_part_of_the_module(training):
    watching = callback("2", ("cosine", "correlation"), part="net", name="still", per_doubling=2)
    _, _, (log,) = training(watching, loggers=1)
    assert log["step"].tolist() == [0, 1, 2, 3, 4, 6]
    assert sorted(log.columns) == [
        *("step", "still/correlation/2", "still/correlation/input", "still/cosine/2", "still/cosine/input"),
    ]


def test_undefined_layers_are_not_logged(training):
    watching = callback("net.2", "relative_stability")
    watching.watch.deformation = ThinPlate(reach=0)
    training(watching, loggers=0)
    assert set(watching.watch.profiles[0].undefined) == {"input", "net.2"}


def test_accumulated_batches_are_one_step(training):
    watching = callback("net.2")
    training(watching, steps=4, accumulate_grad_batches=2)
    assert list(watching.watch.profiles) == [0, 1, 2, 4]


def test_its_state_is_in_the_checkpoint(training, tmp_path):
    first = callback("net.2")
    _, trainer, _ = training(first, callback("net.5", name="other"), steps=4)
    trainer.save_checkpoint(tmp_path / "last.ckpt")
    second = callback("net.2")
    training(second, callback("net.5", name="other"), steps=9, ckpt_path=tmp_path / "last.ckpt")
    assert list(second.watch.profiles) == [0, 1, 2, 4, 8, 9]
    for step in first.watch.profiles:
        np.testing.assert_array_equal(second.watch.profiles[step].distances, first.watch.profiles[step].distances)


def test_only_the_first_process_measures():
    pytest.importorskip("lightning.pytorch")

    class Trainer:
        is_global_zero, global_step = False, 0

    watching = callback()
    watching.on_train_start(Trainer(), None)
    watching.on_train_batch_end(Trainer(), None, None, None, 0)
    watching.on_train_end(Trainer(), None)
    assert watching.watch.profiles == {}


def test_a_part_that_is_not_there_is_told(training):
    with pytest.raises(InputError) as error:
        training(callback(part="nett"))
    assert str(error.value) == "unknown part of the module 'nett'. Did you mean 'net', 'net.5' or 'net.4'?"
