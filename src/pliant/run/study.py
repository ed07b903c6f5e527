"""A `Study` carried out: one net after another, each record whole on disk before the next begins."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from pliant import records
from pliant._checks import InputError, require
from pliant.capture.state import BatchNorm
from pliant.data import Dataset, load, standardise
from pliant.deform import ThinPlate
from pliant.measurement import measure
from pliant.nets import cifar_net, layers_of
from pliant.plan import SCHEMA, Study
from pliant.profile import Profile
from pliant.run.gallery import write_gallery
from pliant.run.smoothness import of_layers
from pliant.stats import proportion
from pliant.training import Progress, accuracy, save_weights, train
from pliant.training.precision import resolve

PREPROCESSING = "each image standardised to mean 0 and variance 1, then deformed"


@dataclass(frozen=True)
class Stage:
    """Where a study stands: net `number` of `nets`, called `run`, is doing `what`; `training` within the training."""

    run: str
    number: int
    nets: int
    what: str
    training: Progress | None = None


@dataclass(frozen=True)
class _Images:
    """What every net of a study is given: float images (n, c, h, w), standardised, and int64 labels.

    digest: of the data set that they are of.
    """

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor
    classes: int
    digest: str

    @classmethod
    def of(cls, data: Dataset, study: Study, device: torch.device) -> "_Images":
        chosen = slice(study.limit)
        return cls(
            standardise(data.train_images[chosen]).to(device),
            data.train_labels[chosen].to(device),
            standardise(data.test_images).to(device),
            data.test_labels.to(device),
            len(data.classes),
            data.digest,
        )


def execute(study: Study, folder: Path, on_stage: Callable[[Stage], None] | None = None) -> Path:
    """Train and measure every net of the study; returns `folder`, which holds the records.

    Each net is measured before training, with untouched and with calibrated batch norm, and after it. What a folder
    holds of the same study already is not done again. Raises `InputError` if the folder holds another study, or nets
    that were made otherwise (of other images, in another precision, on another kind of device, with another version of
    pliant or torch), and where another process is at work in it.

    plan.json, data.json, gallery.npz; for each net a folder with record.json, weights.safetensors and one saved
    profile for each measurement; measurements.parquet with all raw numbers (run, step, batch_norm, layer_index,
    layer, metric, item, index, value; item is "image", "median" or "weight").
    """
    records.check_writable(folder)
    _check_claim(study, folder)
    names = [f"{downsampling}-seed{study.seed}" for downsampling in study.downsampling]
    open_runs = [name for name in names if not _done(study, folder / name)]
    wanted = open_runs or not (folder / "data.json").exists()
    data = load(study.data) if wanted else None  # first of all: where there is none, no folder is made
    with records.alone(folder):
        records.sweep(folder)
        if data is not None:
            _check_claim(study, folder)
            _carry_out(study, folder, names, open_runs, data, on_stage)
        records.merge(folder)
    return folder


def _carry_out(
    study: Study,
    folder: Path,
    names: list[str],
    open_runs: list[str],
    data: Dataset,
    on_stage: Callable[[Stage], None] | None,
) -> None:
    """Make the nets among `names` that are not done yet, and write what all nets share."""
    images = _Images.of(data, study, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    done = {name: records.read_json(folder / name / "record.json") for name in names if name not in open_runs}
    records.check_present(folder, done)
    records.check_comparable(folder, {**done, "this one": _making(study, images)}, records.COMPARABLE)
    records.write_json(folder / "plan.json", study.to_json())
    write_gallery(folder / "gallery.npz", data, _deformation(study), study)
    records.write_json(folder / "data.json", _describe(data, study))
    for name in open_runs:
        number = names.index(name)

        def tell(what: str, training: Progress | None = None, name: str = name, number: int = number) -> None:
            if on_stage is not None:
                on_stage(Stage(name, number + 1, len(names), what, training))

        _run(study, study.downsampling[number], folder / name, images, tell)


def _run(study: Study, downsampling: str, folder: Path, images: _Images, tell: Callable[..., None]) -> None:
    """One net from its initial weights to its record; the record is written last, and says that the run is done."""
    start = time.perf_counter()
    shape = study.width, images.train.shape[1], images.classes, study.seed, study.padding_mode, study.pool_skip
    net = cifar_net(downsampling, *shape).to(images.train.device)
    tables, profiles, variations = [], [], []

    def profile(step: str, batch_norm: BatchNorm) -> None:
        tell(f"measuring ({step}, batch norm {batch_norm})")
        found = _measure(study, net, images, batch_norm)
        name = step if batch_norm == "as_is" else f"{step}-{batch_norm}"
        found.save(folder / name)
        profiles.append({"step": step, "batch_norm": batch_norm, "folder": name})
        tables.append(found.raw().assign(step=step, batch_norm=batch_norm))

    def smoothness(step: str) -> None:
        found = [{"step": step, "layer_index": i, **asdict(each)} for i, each in enumerate(of_layers(net))]
        # JSON knows no NaN, which the variation of filters that are all zero is.
        variations.extend(entry | {"value": entry["value"] if isfinite(entry["value"]) else None} for entry in found)
        table = pd.DataFrame(found)[["step", "layer_index", "layer", "value"]]
        tables.append(table.assign(batch_norm="none", metric="total_variation", item="weight", index=0))

    profile("initial", "untouched")
    profile("initial", "calibrated")
    smoothness("initial")
    history = train(
        net,
        images.train,
        images.train_labels,
        study.training,
        study.seed,
        checkpoint=folder / "interrupted.safetensors",
        on_progress=lambda progress: tell("training", progress),
    )
    profile("trained", "as_is")
    smoothness("trained")
    tell("testing")
    level = study.measuring.level
    tested = accuracy(net, images.test, images.test_labels)
    trained = accuracy(net, images.train[: len(images.test)], images.train_labels[: len(images.test)])
    save_weights(net, folder / "weights.safetensors")
    columns = ["run", "step", "batch_norm", "layer_index", "layer", "metric", "item", "index", "value"]
    table = pd.concat(tables, ignore_index=True).assign(run=folder.name)
    records.write_table(folder / "measurements.parquet", table.reindex(columns=columns))
    (folder / "interrupted.safetensors").unlink(missing_ok=True)
    records.write_json(
        folder / "record.json",
        {
            **_making(study, images),
            "run": folder.name,
            "downsampling": downsampling,
            "seed": study.seed,
            "width": study.width,
            "parameters": _parameters(net),
            "accuracy": {"train": asdict(proportion(*trained, level)), "test": asdict(proportion(*tested, level))},
            "history": history.to_json(),
            "total_variation": variations,
            "profiles": profiles,
            "seconds": time.perf_counter() - start,
        },
    )


def _making(study: Study, images: _Images) -> dict[str, Any]:
    """How the nets of a folder are made: what their records say of it must agree."""
    device = images.train.device
    return {
        "schema": SCHEMA,
        "plan": study.identity,
        "precision": resolve(study.training.precision, device),
        "provenance": records.provenance(
            device=str(device), threads=torch.get_num_threads(), seed=study.seed, data=images.digest
        ),
    }


def _measure(study: Study, net: nn.Module, images: _Images, batch_norm: BatchNorm) -> Profile:
    measuring = study.measuring
    return measure(
        net,
        images.test[: measuring.images],
        _deformation(study),
        layers=layers_of(net),
        metric=measuring.metric,
        seed=study.seed,
        padding=measuring.padding,
        batch_norm=batch_norm,
        calibration=images.train[: measuring.calibration],
        block=measuring.block,
        replicates=measuring.replicates,
        level=measuring.level,
    )


def _deformation(study: Study) -> ThinPlate:
    return ThinPlate(study.measuring.grid, study.measuring.reach)


def _parameters(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def _check_claim(study: Study, folder: Path) -> None:
    """Refuse a folder that another study has begun."""
    path = folder / "plan.json"
    if path.exists():
        there = Study.from_json(records.read_json(path))
        require(
            there.identity == study.identity,
            f"{folder} holds another study ({there.identity}, this is {study.identity}): choose another folder",
        )


def _done(study: Study, folder: Path) -> bool:
    path = folder / "record.json"
    if not path.exists():
        return False
    record = records.read_json(path)
    if record["plan"] != study.identity:
        raise InputError(f"{path} belongs to plan {record['plan']}, not {study.identity}: choose another folder")
    return True


def _describe(data: Dataset, study: Study) -> dict[str, object]:
    train = len(data.train_images[: study.limit])
    return {
        "name": data.name,
        "source": data.source,
        "train": train,
        "test": len(data.test_images),
        "classes": list(data.classes),
        "skipped": [asdict(skipped) for skipped in data.skipped],
        "shape": list(data.test_images.shape[1:]),
        "preprocessing": PREPROCESSING,
    }
