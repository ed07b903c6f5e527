"""One cell from plan to record, on the embedded digits; and killed on the way."""

from dataclasses import replace

import pandas as pd
import pytest
import torch

from pliant import records
from pliant.data import load
from pliant.plan import Cell, Measuring, Net, Plan, Task, Training
from pliant.run.cell import carry_out, learned, moments
from pliant.run.plan import cost, outlook
from pliant.run.rows import CHECKPOINT, COLUMNS
from pliant.training import checkpoint

CELL = Cell(
    Task("labels", "digits", 96),
    Net("max_pool", width=0.1),
    Training(epochs=2, batch_size=24, precision="fp32"),
    Measuring(images=16, block=8, calibration=16, replicates=200),
    moments=3,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cell")
    threads = torch.get_num_threads()
    carry_out(CELL, folder, threads=1)
    torch.set_num_threads(threads)
    return folder


def test_moments_lie_on_a_logarithmic_grid_with_both_ends():
    assert moments(1000, 5) == [0, 1, 10, 100, 1000]
    assert moments(12, 4) == [0, 1, 3, 12]
    assert moments(1, 8) == [0, 1]
    assert moments(50, 2) == [0, 50]


def test_it_leaves_a_record_its_numbers_and_its_weights(folder):
    assert sorted(path.name for path in folder.iterdir()) == [
        "measurements.parquet",
        "record.json",
        "weights.safetensors",
    ]
    record = records.read_json(folder / "record.json")
    assert record["status"] == "done"
    assert record["cell"] == CELL.identity
    assert record["steps"] == 8
    assert record["provenance"]["images"] == 16
    assert record["provenance"]["threads"] == 1
    assert record["provenance"]["data"] == load("digits").digest
    assert len(record["history"]) == 2


def test_what_a_net_must_tell_to_have_learned_depends_on_the_labels():
    assert learned(torch.arange(10)) == pytest.approx(0.1 + 0.1 * 0.9)
    assert learned(torch.tensor([0, 1])) == pytest.approx(0.55)
    assert learned(torch.tensor([0, 1, 1, 1])) == pytest.approx(0.775)
    assert learned(torch.zeros(5, dtype=torch.int64)) == 1.0


def test_random_labels_have_to_be_memorised_and_true_ones_learned(tmp_path):
    found = {}
    for kind, limit, batch, epochs, rate in (
        ("random_labels", 32, 8, 8, 0.1),
        ("labels", 256, 16, 2, 0.1),
        ("labels", 256, 256, 1, 1e-9),
    ):
        training = Training(epochs=epochs, batch_size=batch, peak_rate=rate, precision="fp32")
        # One protocol: what is asked here is what the net has learned.
        few = {
            "measuring": Measuring(images=16, block=16, calibration=16, replicates=50),
            "metrics": ("cosine",),
            "paddings": ("zeros",),
        }
        cell = replace(CELL, task=Task(kind, "digits", limit), training=training, moments=2, **few)
        carry_out(cell, tmp_path / cell.name, threads=1)
        record = records.read_json(tmp_path / cell.name / "record.json")
        found[kind, rate] = record["fitted"], record["accuracy"]["train"]
    assert not found["random_labels", 0.1][0]
    assert 0.4 < found["random_labels", 0.1][1] < 0.95  # what is not enough here would be for true labels
    assert found["labels", 0.1][0]
    assert 0.2 < found["labels", 0.1][1] < 0.95  # what is enough here would not be for random labels
    assert not found["labels", 1e-9][0]


def test_every_protocol_is_measured_at_the_ends_and_calibrated_batch_norm_at_every_step(folder):
    table = pd.read_parquet(folder / "measurements.parquet")
    assert tuple(table.columns) == COLUMNS
    found = table[table["item"] == "sensitivity"]
    protocols = found.groupby("step")[["batch_norm", "metric", "padding"]].apply(
        lambda part: len(part.drop_duplicates())
    )
    assert protocols.to_dict() == {0: 8, 1: 1, 8: 8}
    assert found.groupby(["step", "batch_norm", "metric", "padding"]).size().unique().tolist() == [13]
    assert found.groupby("step")["batch_norm"].agg(set).to_dict() == {
        0: {"untouched", "calibrated"},
        1: {"calibrated"},
        8: {"as_is", "calibrated"},
    }
    variation = table[table["metric"] == "total_variation"]
    assert variation.groupby("step").size().to_dict() == dict.fromkeys(range(9), 8)
    accuracy = table[table["metric"] == "accuracy"].set_index(["step", "item"])["value"]
    assert set(accuracy.index) == {(0, "test"), (1, "test"), (8, "test"), (8, "train")}
    raw = table[table["item"] == "image"]
    assert raw.groupby("step").size().to_dict() == {0: 2 * 13 * 16, 8: 13 * 16}


def test_the_sensitivity_is_what_the_raw_numbers_give(folder):
    """At the input, with blocks of one size: the mean distance over the mean of the medians."""
    table = pd.read_parquet(folder / "measurements.parquet")
    table = table[(table["step"] == 8) & (table["layer_index"] == 5) & (table["metric"] == "cosine")]
    table = table[(table["padding"] == "zeros") & (table["batch_norm"] == "as_is")]
    value = {item: part["value"].mean() for item, part in table.groupby("item")}
    assert value["sensitivity"] == pytest.approx(value["image"] / value["median"], rel=1e-9)
    assert value["low"] < value["sensitivity"] < value["high"]


@pytest.mark.parametrize("epoch", [1, 2])
def test_killed_after_an_epoch_it_ends_with_the_same_bytes(folder, tmp_path, monkeypatch, epoch):
    class Killed(BaseException):
        pass

    def save(self, path, **beside):
        kept(self, path, **beside)
        if self.epoch == epoch:
            raise Killed

    place = tmp_path / CELL.name
    threads = torch.get_num_threads()
    with monkeypatch.context() as patched:
        kept = checkpoint.Checkpoint.save
        patched.setattr(checkpoint.Checkpoint, "save", save)
        with pytest.raises(Killed):
            carry_out(CELL, place, threads=1)
    left = outlook(Plan("one", (CELL,)), tmp_path)
    assert left.begun == {CELL.name: epoch / 2}
    assert left.seconds == pytest.approx(cost(CELL) * (1 - epoch / 2))
    other = replace(CELL, seed=1)
    (tmp_path / other.name).mkdir()
    for content in (b"", (place / CHECKPOINT).read_bytes()):
        (tmp_path / other.name / CHECKPOINT).write_bytes(content)
        assert outlook(Plan("other", (other,)), tmp_path).begun == {}
    carry_out(CELL, place, threads=1)
    torch.set_num_threads(threads)
    for name in ("measurements.parquet", "weights.safetensors"):
        assert (place / name).read_bytes() == (folder / name).read_bytes()
    assert not (place / CHECKPOINT).exists()
