"""A study on the embedded digits, in small: its records, and what becomes of them when it is run again."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from pliant import data, nets, records, report
from pliant._checks import InputError
from pliant.data import standardise
from pliant.deform import ThinPlate, warp
from pliant.metrics import total_variation
from pliant.plan import Measuring, Study, Training
from pliant.profile import Profile
from pliant.run.study import execute

STUDY = Study(
    downsampling=("max_pool", "strided_relu"),
    width=0.1,
    limit=64,
    training=Training(epochs=2, batch_size=32, precision="fp32"),
    measuring=Measuring(images=20, block=10, calibration=16, replicates=50),
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    stages = []
    return execute(STUDY, tmp_path_factory.mktemp("runs") / "small", stages.append), stages


def test_each_net_leaves_a_record_weights_and_three_profiles(done):
    folder, _ = done
    runs = records.runs(folder)
    assert list(runs) == ["max_pool-seed0", "strided_relu-seed0"]
    for name, record in runs.items():
        assert record["plan"] == STUDY.identity
        assert len(record["history"]) == 2
        assert record["accuracy"]["test"]["n"] == 359
        assert record["accuracy"]["train"]["n"] == 64
        moments = [(entry["step"], entry["batch_norm"]) for entry in record["profiles"]]
        assert moments == [("initial", "untouched"), ("initial", "calibrated"), ("trained", "as_is")]
        for entry in record["profiles"]:
            profile = Profile.load(folder / name / entry["folder"])
            assert len(profile.layers) == 13
            assert profile.images == 20
            assert profile.protocol["batch_norm"] == entry["batch_norm"]
            assert profile.protocol["padding"] == "zeros"


def test_the_initial_numbers_are_those_of_the_initial_net(done):
    folder, _ = done
    net = nets.cifar_net("max_pool", 0.1, in_channels=1, seed=0)
    variations = records.runs(folder)["max_pool-seed0"]["total_variation"]
    initial = [entry["value"] for entry in variations if entry["step"] == "initial"]
    expected = [
        total_variation(module.conv.weight).item() for _, module in net.named_modules() if hasattr(module, "conv")
    ]
    assert initial == pytest.approx(expected)
    trained = [entry["value"] for entry in variations if entry["step"] == "trained"]
    assert trained != initial


def test_the_trained_profile_is_that_of_the_saved_weights(done):
    from safetensors.torch import load_file

    from pliant import measure

    folder, _ = done
    net = nets.cifar_net("max_pool", 0.1, in_channels=1, seed=5)
    net.load_state_dict(load_file(folder / "max_pool-seed0" / "weights.safetensors"))
    images = standardise(data.load("digits").test_images[:20])
    again = measure(net, images, ThinPlate(3, 2.0), layers="blocks", block=10, replicates=50)
    found = Profile.load(folder / "max_pool-seed0" / "trained")
    np.testing.assert_allclose(again.estimate, found.estimate, rtol=1e-4)


def test_the_raw_table_holds_every_number(done):
    folder, _ = done
    table = records.read_table(folder / "measurements.parquet")
    assert list(table.columns) == [
        "run", "step", "batch_norm", "layer_index", "layer", "metric", "item", "index", "value",
    ]  # fmt: skip
    # Two nets: three profiles of 13 layers with 20 images and 2 blocks, and two times 8 filters.
    assert len(table) == 2 * (3 * 13 * (20 + 2) + 2 * 8)
    assert np.isfinite(table["value"]).all()


def test_stages_are_told(done):
    _, stages = done
    assert {stage.run for stage in stages} == {"max_pool-seed0", "strided_relu-seed0"}
    assert stages[0].what == "measuring (initial, batch norm untouched)"
    assert [stage.training.step for stage in stages if stage.training][-1] == 4


def test_run_again_it_does_nothing_twice_and_changes_no_byte(done):
    folder, _ = done
    before = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
    stages = []
    execute(STUDY, folder, stages.append)
    assert stages == []
    assert before == {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_a_net_that_is_missing_is_made_again_to_the_byte(done, tmp_path):
    folder, _ = done
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    (copy / "strided_relu-seed0" / "record.json").unlink()
    (copy / "strided_relu-seed0" / "measurements.parquet").unlink()
    stages = []
    execute(STUDY, copy, stages.append)
    assert {stage.run for stage in stages} == {"strided_relu-seed0"}
    assert (copy / "measurements.parquet").read_bytes() == (folder / "measurements.parquet").read_bytes()


def unfinished(done, tmp_path, **changes):
    """A copy of the folder whose last net is to be made again; `changes` to the record of the first."""
    copy = tmp_path / "copy"
    shutil.copytree(done[0], copy)
    (copy / "strided_relu-seed0" / "record.json").unlink()
    path = copy / "max_pool-seed0" / "record.json"
    records.write_json(path, {**records.read_json(path), **changes})
    return copy


def refused(folder):
    """Why the study is not gone on with; nothing was trained or measured before it is told."""
    stages = []
    with pytest.raises(InputError) as error:
        execute(STUDY, folder, stages.append)
    assert stages == []
    return str(error.value)


def test_nets_of_other_images_are_not_added(done, tmp_path, monkeypatch):
    copy, images = unfinished(done, tmp_path), data.load("digits")
    other = replace(images, train_images=images.train_images.flip(0))
    monkeypatch.setattr("pliant.run.study.load", lambda name: other)
    assert refused(copy) == (
        f"{copy} mixes runs that differ in data digest, max_pool-seed0 of {images.digest!r} and this one of "
        f"{other.digest!r}: measure both on the same images"
    )


def test_nets_in_another_precision_are_not_added(done, tmp_path):
    copy = unfinished(done, tmp_path, precision="bf16")
    assert refused(copy) == (
        f"{copy} mixes runs that differ in precision, max_pool-seed0 of 'bf16' and this one of 'fp32': delete the "
        "older runs and run again"
    )


def test_a_folder_at_which_another_process_works_is_left_alone(done, tmp_path):
    copy = unfinished(done, tmp_path)
    with records.alone(copy):
        assert refused(copy) == f"another process is at work in {copy}: wait for it, or stop it"


def test_another_study_in_the_same_folder_is_refused(done):
    folder, _ = done
    other = Study(seed=1)
    with pytest.raises(InputError) as error:
        execute(other, folder)
    assert str(error.value) == (
        f"{folder} holds another study ({STUDY.identity}, this is {other.identity}): choose another folder"
    )


def test_what_another_version_began_is_refused_before_anything_is_trained(tmp_path):
    made = {"plan": STUDY.identity, "provenance": {"pliant": "0.0.0"}}
    records.write_json(tmp_path / "max_pool-seed0" / "record.json", made)
    with pytest.raises(InputError, match=r"max_pool-seed0 was made with pliant 0\.0\.0, "):
        execute(STUDY, tmp_path, lambda stage: pytest.fail("it began"))


def test_the_gallery_shows_what_was_measured(done):
    folder, _ = done
    with np.load(folder / "gallery.npz", allow_pickle=False) as gallery:
        assert gallery["images"].shape == gallery["deformed"].shape == (8, 1, 32, 32)
        assert gallery["displacement"].shape == (8, 2, 32, 32)
        assert gallery["names"].tolist() == [str(label) for label in data.load("digits").test_labels[:8].tolist()]
        shown = torch.from_numpy(gallery["deformed"])
    images = data.load("digits").test_images[:8].float()
    mean, deviation = images.mean((1, 2, 3), keepdim=True), images.std((1, 2, 3), correction=0, keepdim=True)
    fed = warp(standardise(images), ThinPlate(3, 2.0).sample(range(8), (32, 32), seed=0), "zeros")
    assert (shown - (fed * deviation + mean)).abs().max() < 0.51


def test_an_interrupted_training_leaves_its_weights(tmp_path):
    from safetensors.torch import load_file

    def interrupt(stage):
        if stage.training is not None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        execute(STUDY, tmp_path / "run", interrupt)
    weights = load_file(tmp_path / "run" / "max_pool-seed0" / "interrupted.safetensors")
    net = nets.cifar_net("max_pool", 0.1, in_channels=1, seed=0)
    initial = net.block1.layer1.conv.weight.clone()
    net.load_state_dict(weights)
    assert not torch.equal(net.block1.layer1.conv.weight, initial)


def test_other_nets_are_measured_layer_by_layer_like_the_five(tmp_path):
    names = ("lps", "permuted_pool", "strided_blur")
    few = Training(epochs=1, batch_size=32, precision="fp32")
    study = replace(STUDY, downsampling=names, width=0.05, padding_mode="circular", pool_skip=2, training=few)
    folder = execute(study, tmp_path / "run")
    found = records.runs(folder)
    assert list(found) == [f"{name}-seed0" for name in names]
    layers = {profile.layers for profile in (Profile.load(folder / name / "trained") for name in found)}
    parts = ("layer1", "layer2", "skip", "down")
    assert layers == {("input", *(f"block{b}.{part}" for b in (1, 2, 3, 4) for part in parts))}
    rough = {tuple(row["layer"] for row in record["total_variation"]) for record in found.values()}
    assert len(rough) == 1  # what learned sampling holds is no layer of the net
    assert "| learned sampling | " in report.table(folder)
