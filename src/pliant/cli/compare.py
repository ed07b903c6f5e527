"""`pliant compare`: models side by side on the same images, layer by layer and as wholes."""

import shlex
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Annotated, Any, Literal

import torch
from cyclopts import Parameter
from rich.console import Console
from torch import Tensor, nn

from pliant import records, report, zoo
from pliant._checks import require
from pliant.cli import changed
from pliant.cli.family import member
from pliant.cli.measure import listed
from pliant.cli.sample import CALIBRATION, Sample, device_called
from pliant.cli.shift import shifts_up_to
from pliant.deform import Circular, ThinPlate
from pliant.measurement import accuracy_under, shift_consistency, worst_case
from pliant.measurement import measure as measure_model
from pliant.measurement.ascent import check_gradients, check_settings
from pliant.measurement.naming import metric_named
from pliant.profile import Profile
from pliant.report import Fact, Side, terminal

_SEARCHED = ("cosine", "euclidean")
_TIMED, _REPEATS = 16, 12  # images, times


def compare(
    *models: str,
    images: str | None = None,
    layers: str = "blocks",
    metric: str = "cosine",
    weights: tuple[Path, ...] = (),
    untrained: bool = False,
    family: str = "thin-plate",
    points: int = 5,
    reach: Annotated[str, Parameter(name=["--reach", "--strength"])] = "4.5%",
    padding: Literal["zeros", "border", "reflection"] = "border",
    batch_norm: Literal["as_is", "untouched", "calibrated"] = "as_is",
    calibration: int = CALIBRATION,
    limit: int = 128,
    block: int = 128,
    shift: str = "14%",
    budget: int = 20,
    draws: int = 8,
    seed: int = 0,
    on_bad_image: Literal["skip", "refuse"] = "skip",
    size: int | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    device: str | None = None,
    out: Path | None = None,
) -> int:
    """Compare models on the same images: which layer differs, by how much; worst case, shift consistency, accuracy.

    Differences are to the first model. Their intervals are paired: all models meet the same images and deformations.

    Parameters
    ----------
    models
        Two or more: a timm model (resnet50.a1_in1k), torchvision:resnet50/IMAGENET1K_V2, path/to/file.py:factory (the
        file is run), or a net's folder in a run of pliant demo; with +antialias or +adaptive-sampling behind it the
        same with its downsampling replaced, its weights as they are.
    images
        A folder of images, read recursively; or a data set (cifar10, mnist, digits, a folder of parquet files), of
        which the test images are taken. Without it: crops of two embedded photographs, for a first look.
    layers
        blocks, convs, stages, all, a glob such as "layer3.*", or names with commas between them. Layers of two models
        are matched by their names, or by their place where no names agree and both have as many.
    metric
        As of pliant measure.
    weights
        A file of weights for each model, in their order, instead of the published ones.
    untrained
        Initial weights, drawn from the seed.
    family
        Of deformations, as of pliant measure.
    points
        Control points a side of a thin plate.
    reach
        How far the deformation reaches: a share of the width (4.5%) or pixels (10px).
    padding
        What stands outside an image.
    batch_norm
        "as_is"; for untrained models also "untouched" (mean 0, variance 1) or "calibrated" (on other images).
    calibration
        Images for --batch-norm calibrated, all at once, as of pliant measure.
    limit
        Measure this many images, evenly spaced over the folder or the first ones of a data set; 0 for all.
    block
        Images whose pairs share a median.
    shift
        Shifts along both axes are up to this far, a share of the width or pixels; the image goes round (circular).
    budget
        Steps of the search for the worst deformation; 0 leaves it out.
    draws
        Random deformations of each image, from the best of which the search starts.
    seed
        Of deformations, shifts and initial weights.
    on_bad_image
        Leave out images that cannot be used, and list them, or refuse to go on.
    size
        Pixels a side, instead of each model's own.
    mean
        For normalising, one for each channel, instead of each model's own.
    std
        For normalising, one for each channel, instead of each model's own.
    device
        cpu, cuda; a GPU if there is one.
    out
        A folder for a report.html, and a subfolder with the profile of each model.
    """
    metric = metric.replace("-", "_")
    metric_named(metric)
    require(len(models) >= 2, f"name two or more models to compare, got {len(models)}")
    require(len(weights) in (0, len(models)), f"{len(weights)} files of weights for {len(models)} models: one for each")
    require(limit == 0 or limit >= 2, f"limit={limit}: at least 2 images, or 0 for all")
    require(budget >= 0, f"budget={budget}: steps of the search, or 0 for none")
    if out is not None:
        records.check_writable(out)
    distance = metric if metric in _SEARCHED else _SEARCHED[0]
    if budget:
        check_settings(distance, draws, budget)
        check_gradients(member(family, points, reach, 64, as_given=True), (64, 64))
    console = Console()
    place = device_called(device)
    sides: list[Side] = []
    for title, name, file in zip(_titles(models), models, weights or [None] * len(models), strict=True):
        loaded = changed.load(name, pretrained=not untrained, weights=file, size=size, mean=mean, std=std, seed=seed)
        largest = shifts_up_to(shift, loaded.size)
        sample = Sample(loaded, images, limit, on_bad_image, batch_norm, calibration)
        model, width = loaded.model.to(place), loaded.size[1]
        norm = {"batch_norm": batch_norm, "calibration": sample.calibration()}
        fed: dict[str, Any] = {"preprocess": loaded.normalise, "seed": seed, "block": block, **norm}
        deformed = {"deformation": member(family, points, reach, width, as_given=True), "padding": padding, **fed}
        with console.status(f"{title}: measuring"):
            profile = measure_model(model, sample.batches, layers=listed(layers), metric=metric, **deformed)
        facts: dict[str, Fact] = {}
        if budget:
            with console.status(f"{title}: searching for the worst deformation"):
                worst = worst_case(model, sample.batches, budget=budget, draws=draws, metric=distance, **deformed)
            for word, found in (("random", worst.random), (f"best of {draws}", worst.best_of), ("worst", worst.worst)):
                facts[f"output moved ({distance}), {word}"] = _last(found)
        with console.status(f"{title}: shifting"):
            classes = _classes(model, sample, loaded, place)
            answers = f"same answer, shifts up to {shift}"
            facts[answers] = Fact("no logits")
            if classes:
                same = shift_consistency(model, sample.batches, largest=largest, **fed)
                facts[answers] = Fact(same.interval, images=same.agreement)
            if sample.labels is not None:
                facts |= _accuracies(model, sample, classes, deformed)
        facts["parameters"] = Fact(f"{sum(parameter.numel() for parameter in model.parameters()):,}")
        facts["time an image"] = Fact(f"{1e3 * _seconds(model, sample, loaded.normalise, place):.2f} ms")
        sides.append(Side(title, profile, f"{loaded.source} Images: {sample.source()}", facts, sample.skipped()))
        if out is not None:
            profile.save(out / title.replace("/", "-"))
    terminal.show_sides(sides, console)
    if out is not None:
        command = f"pliant {shlex.join(sys.argv[1:])}" if sys.argv[1:2] == ["compare"] else ""
        console.print(f"Report: {report.models(sides, out, command=command)}", soft_wrap=True)
    return 0


def _titles(models: tuple[str, ...]) -> list[str]:
    """The shortest names that tell the models apart: a run's folder is told by the last parts of its path."""
    parts = [Path(name).parts if Path(name.rpartition("+")[0] or name).exists() else (name,) for name in models]
    for count in range(1, max(map(len, parts)) + 1):
        titles = ["/".join(some[-count:]) for some in parts]
        if len(set(titles)) == len(titles):
            return titles
    return [f"{title} ({number})" for number, title in enumerate(models, start=1)]


def _last(profile: Profile) -> Fact:
    """The last layer's number, or why it has none."""
    layer = profile.layers[-1]
    return Fact(profile.undefined[layer]) if layer in profile.undefined else Fact(profile[layer], profile)


def _classes(model: nn.Module, sample: Sample, loaded: zoo.Loaded, place: torch.device) -> int:
    """How many classes the model tells; 0 where it puts out anything else than logits."""
    with torch.no_grad():
        logits: Any = model(loaded.normalise(_first(sample, place)[:2]))
    return logits.shape[1] if isinstance(logits, Tensor) and logits.ndim == 2 and logits.shape[1] > 1 else 0


def _accuracies(model: nn.Module, sample: Sample, classes: int, deformed: dict[str, Any]) -> dict[str, Fact]:
    """Accuracy on the images as they are and deformed, where the model tells the classes of the data."""
    if classes != sample.classes:
        why = f"of {classes:,} classes, the data have {sample.classes:,}" if classes else "no logits"
        return {"accuracy": Fact(why)}
    whole = isinstance(deformed["deformation"], Circular)  # which cannot be scaled
    settings = {name: value for name, value in deformed.items() if name != "deformation"}
    strengths = {"accuracy": 0.0} if whole else {"accuracy": 0.0, "accuracy, deformed": 1.0}
    family = ThinPlate() if whole else deformed["deformation"]
    taken = tuple(strengths.values())
    curve = accuracy_under(model, sample.batches, sample.labels, family, strengths=taken, **settings)
    return {
        name: Fact(curve[strength], images=curve.correct[:, place].astype(float))
        for place, (name, strength) in enumerate(strengths.items())
    }


def _first(sample: Sample, place: torch.device) -> Tensor:
    """Some images, in [0, 1]."""
    batches = [sample.batches] if isinstance(sample.batches, Tensor) else sample.batches
    return next(iter(batches))[:_TIMED].to(place)


def _seconds(model: nn.Module, sample: Sample, normalise: Callable[[Tensor], Tensor], place: torch.device) -> float:
    """Median time of the model alone for one of a batch of images."""
    batch = normalise(_first(sample, place))
    times = []
    with torch.inference_mode():
        for _ in range(_REPEATS):
            start = time.perf_counter()
            model(batch)
            if place.type == "cuda":
                torch.cuda.synchronize(place)
            times.append((time.perf_counter() - start) / len(batch))
    return median(times[1:])
