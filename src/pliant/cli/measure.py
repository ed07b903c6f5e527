"""`pliant measure`: which layer of a model loses stability, in one command."""

import math
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from pliant import records, report, zoo
from pliant._checks import InputError, require, unknown
from pliant.capture import INPUT, has_fresh_batch_norm, kept, select, trace
from pliant.cli import changed
from pliant.cli.family import member
from pliant.cli.plain import Minutely
from pliant.cli.sample import CALIBRATION, Sample, device_called
from pliant.cli.shift import shifts_up_to
from pliant.deform import Deformation, Lie
from pliant.measurement import WorstCase, shift_consistency
from pliant.measurement import measure as measure_model
from pliant.measurement import worst_case as search_worst
from pliant.measurement.ascent import check_gradients, check_settings
from pliant.measurement.naming import metric_named
from pliant.outcomes import ShiftConsistency
from pliant.profile import Profile
from pliant.report import terminal, wording

DRAWS, BUDGET = 8, 20
WORST = "worst_case.csv"
_DIRECTION = "lie:"


def measure(
    model: str,
    *,
    images: str | None = None,
    layers: str | None = None,
    metric: str = "cosine",
    weights: Path | None = None,
    untrained: bool = False,
    family: str = "thin-plate",
    points: int = 5,
    reach: Annotated[str, Parameter(name=["--reach", "--strength"])] = "4.5%",
    padding: Literal["zeros", "border", "reflection"] = "border",
    batch_norm: Literal["as_is", "untouched", "calibrated"] | None = None,
    calibration: int = CALIBRATION,
    limit: int = 128,
    block: int = 128,
    seed: int = 0,
    on_bad_image: Literal["skip", "refuse"] = "skip",
    refuse_folds: bool = False,
    invertible: bool = False,
    fail_above: float | None = None,
    at: str | None = None,
    worst_case: bool = False,
    worst_at: str = "output",
    draws: int = DRAWS,
    budget: int = BUDGET,
    shift: str | None = None,
    size: int | None = None,
    mean: tuple[float, ...] | None = None,
    std: tuple[float, ...] | None = None,
    device: str | None = None,
    out: Path | None = None,
) -> int:
    """Measure how sensitive each layer of a model is to small deformations of its input.

    Images go through the model's own resizing and cropping, are deformed, then normalised. 0 means that a layer does
    not notice, 1 that a deformed image looks to it like another image; of another metric the output says what.

    Parameters
    ----------
    model
        A timm model (resnet50.a1_in1k, timm/resnet50.a1_in1k), torchvision:resnet50/IMAGENET1K_V2,
        path/to/file.py:factory (the file is run), or a net's folder in a run of pliant demo; with +antialias or
        +adaptive-sampling behind it the same with its downsampling replaced, its weights as they are.
    images
        A folder of images, read recursively; or a data set (cifar10, mnist, digits, a folder of parquet files), of
        which the test images are taken. Without it: crops of two embedded photographs, for a first look.
    layers
        blocks, convs, stages, all, a glob such as "layer3.*", or names with commas between them; blocks if not given,
        and output for consistency.
    metric
        cosine or euclidean, the distance between representations; or relative-stability, deformation-stability,
        noise-stability (each also with -median), equivariance, correlation, lie-derivative; or consistency, how often
        the deformed image gets the same top-1.
    weights
        A file of weights (.safetensors, or .pt with tensors alone) instead of the published ones.
    untrained
        Initial weights, drawn from the seed. Where there is batch norm, both protocols of it are shown.
    family
        Of deformations: thin-plate, max-entropy, elastic, pose, translate, rotate, scale, shear, circular; for
        lie-derivative also lie:rotation, or translation, scale, stretch, shear, hyperbolic, which have no reach.
    points
        Control points a side of a thin plate.
    reach
        How far the deformation reaches: a share of the width (4.5%) or pixels (10px). Of a thin plate the largest
        displacement of a control point per axis; of the others their docstrings say.
    padding
        What stands outside an image.
    batch_norm
        "as_is"; for untrained models "untouched" (mean 0, variance 1) or "calibrated" (on other images in one forward
        pass), of --untrained both if neither is given. Gate, worst case and shifts are then those of the first.
    calibration
        Images for --batch-norm calibrated. All go through the model at once, as batch norm is defined: 512 of 224
        pixels take some 6 GB in a resnet50. Fewer take less, and give another number.
    limit
        Measure this many images, evenly spaced over the folder or the first ones of a data set; 0 for all.
    block
        Images whose pairs share a median; as many and their deformed copies go through the model at once.
    seed
        Of the deformations, and of initial weights.
    on_bad_image
        Leave out images that cannot be used, and list them, or refuse to go on.
    refuse_folds
        Refuse deformations that fold, the worst ones that --worst-case finds included.
    invertible
        Shrink deformations that fold until they do not.
    fail_above
        Exit with status 1 if the interval of a layer lies above this sensitivity, or value of another metric: a gate
        for a build.
    at
        The layer that --fail-above looks at; any layer if not given.
    worst_case
        Search the worst deformations within the same bound, too, and set them beside random ones. The bound is on the
        parameters: the worst may move the image farther, by root mean square, and fold more often.
    worst_at
        The layers to search the worst deformations of, each by itself: as --layers, or output.
    draws
        Random deformations of each image, of which the search starts from the best.
    budget
        Steps of gradient ascent, each about three forward passes for every layer; 0 for the best of the draws alone.
    shift
        Say how often two shifts of an image get the same top-1, too (shift consistency); of a model that puts out
        logits. Shifts along both axes are up to this far, a share of the width (14%) or pixels, and circular.
    size
        Pixels a side, instead of the model's own.
    mean
        For normalising, one for each channel, instead of the model's own.
    std
        For normalising, one for each channel, instead of the model's own.
    device
        cpu, cuda; a GPU if there is one.
    out
        A folder for the profile, the raw numbers and a report.html.
    """
    metric = metric.replace("-", "_")
    measures = metric_named(metric)
    require(at is None or fail_above is not None, f"--at {at} says where --fail-above looks: give --fail-above too")
    require(fail_above is None or math.isfinite(fail_above), f"--fail-above {fail_above}: give a number, such as 0.4")
    require(fail_above is None or fail_above >= 0, f"--fail-above {fail_above}: {measures.quantity} is never below 0")
    require(
        fail_above is None or not measures.more_is_better,
        f"--fail-above with --metric {metric}: the larger, the more stable, so that it would fail the best layers; "
        "choose another metric",
    )
    require(at != INPUT, "--at input: the input is the same for every model, choose a layer")
    require(
        worst_case or (worst_at, draws, budget) == ("output", DRAWS, BUDGET),
        "--worst-at, --draws and --budget say how the worst deformations are searched: give --worst-case too",
    )
    require(limit == 0 or limit >= 2, f"limit={limit}: at least 2 images, or 0 for all")
    if out is not None:
        records.check_writable(out)
    console = Console()
    loaded = changed.load(model, pretrained=not untrained, weights=weights, size=size, mean=mean, std=std, seed=seed)
    largest = None if shift is None else shifts_up_to(shift, loaded.size)
    chosen = listed(layers or ("output" if metric == "consistency" else "blocks"))
    if at is not None:
        _check_at(loaded, chosen, at)
    if family.startswith(_DIRECTION):
        require(
            metric == "lie_derivative" and not worst_case,
            f"--family {family}: a direction, not a deformation, for --metric lie-derivative: choose another family",
        )
        deformation = Lie(family.removeprefix(_DIRECTION))  # pyright: ignore[reportArgumentType] - checked there
    else:
        deformation = member(family, points, reach, loaded.size[1], invertible=invertible)
    if worst_case:
        _check_search(loaded, deformation, metric, listed(worst_at), draws, budget)
    fresh = has_fresh_batch_norm(loaded.model)
    both = batch_norm is None and untrained and fresh
    sample = Sample(loaded, images, limit, on_bad_image, "calibrated" if both else batch_norm or "as_is", calibration)
    lacking = ""
    try:
        calibrating = sample.calibration()
    except InputError as error:
        if not both or on_bad_image == "refuse":
            raise
        calibrating, both, lacking = None, False, str(error)
    feeding: dict[str, Any] = {
        "seed": seed,
        "batch_norm": "untouched" if both else batch_norm or "as_is",
        "calibration": calibrating,
        "preprocess": loaded.normalise,
        "block": block,
    }
    measuring = {
        "deformation": deformation,
        "metric": metric,
        "padding": padding,
        "refuse_folds": refuse_folds,
        **feeding,
    }
    place = device_called(device)
    line = Minutely(console)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:

        def shown(what: str) -> Callable[[int], None]:
            task = progress.add_task(what, total=sample.count)

            def hear(done: int) -> None:
                progress.update(task, completed=done)
                line.say(f"{what}: {done:,} of {sample.count:,} images")

            return hear

        loaded.model.to(place)
        shifted: ShiftConsistency | None = None
        if largest is not None:  # first of all, so that what puts out no logits is refused before the work
            hear = shown("shifting")
            shifted = shift_consistency(loaded.model, sample.batches, largest=largest, on_block=hear, **feeding)
        profiles = [
            measure_model(
                loaded.model,
                sample.batches,
                layers=chosen,
                on_block=shown("measuring"),
                **{**measuring, "batch_norm": protocol},
            )
            for protocol in (measuring["batch_norm"], *(["calibrated"] if both else []))
        ]
        searched: WorstCase | None = None
        if worst_case:
            at_layers, hear = listed(worst_at), shown("searching")
            searched = search_worst(
                loaded.model, sample.batches, budget=budget, draws=draws, layers=at_layers, on_block=hear, **measuring
            )
    console.print(Text(f"{loaded.name}: {loaded.source} Images: {sample.source()}"), soft_wrap=True, highlight=False)
    terminal.show_left_out(sample.skipped(), console)
    for profile in profiles:
        terminal.show(profile, console)
    if searched is not None:
        terminal.show_worst(searched, console)
    if shifted is not None:
        console.print(Text(f"Shift consistency: {shifted}"), soft_wrap=True, highlight=False)
    if fresh and not both and batch_norm in (None, "as_is"):
        lacking = lacking or sample.lacking()
        hint = f", and cannot be calibrated. {lacking}" if lacking else "; compare with --batch-norm calibrated."
        console.print(
            Text(f"Untrained: batch norm stands at mean 0, variance 1{hint}"), soft_wrap=True, highlight=False
        )
    terminal.show_rises(profiles, console)
    if out is not None:
        if searched is not None:
            records.write_bytes(out / WORST, searched.to_pandas().to_csv(index=False).encode())
        if shifted is not None:
            shifted.save(out)
        for folder, profile in zip((out, out / "calibrated")[: len(profiles)], profiles, strict=True):
            profile.save(folder)
            page = report.single(
                profile,
                folder,
                model=loaded.name,
                source=f"{loaded.source} {sample.source()}",
                skipped=sample.skipped(),
                command=f"pliant {shlex.join(sys.argv[1:])}" if sys.argv[1:2] == ["measure"] else "",
                searched=searched if folder == out else None,
                shifted=shifted if folder == out else None,
            )
            console.print(f"Report: {page}", soft_wrap=True)
    return 0 if fail_above is None else _gate(profiles[0], fail_above, at, console)


def _gate(profile: Profile, limit: float, at: str | None, console: Console) -> int:
    """1 if the interval of the layer, or of any layer, lies above the limit; refuses to pass what it cannot judge."""
    names = [at] if at is not None else list(profile.layers[1:])
    for name in names:
        reason = profile.undefined.get(name)
        if reason is None and not math.isfinite(profile[name].low):
            reason = f"no interval {wording.no_interval(profile.images)}"
        if reason is not None:
            raise InputError(
                f"--fail-above cannot judge layer {name!r}: {reason}. Choose others with --layers or --at."
            )
    above = [name for name in names if profile[name].low > limit]
    for name in above:
        console.print(Text(f"FAILED {name}: {profile[name]} lies above {limit}"), soft_wrap=True, highlight=False)
    if not above:
        console.print(Text(f"passed: {_judged(names)} above {limit}"), highlight=False)
    return 1 if above else 0


def _judged(names: list[str]) -> str:
    if len(names) == 1:
        return f"the interval of {names[0]} does not lie"
    return f"no interval of {len(names)} layers lies"


def listed(layers: str) -> str | list[str]:
    """A preset, a glob or a name; or several with commas between them."""
    names = [name.strip() for name in layers.split(",")]
    return names if len(names) > 1 else names[0]


def _names(loaded: zoo.Loaded, layers: str | list[str]) -> list[str]:
    """The layers that are chosen."""
    with kept(loaded.model):
        calls = trace(loaded.model.eval(), loaded.normalise(torch.zeros(2, loaded.channels, *loaded.size)))
    return [call.name for call in select(loaded.model, calls, layers)]


def _check_search(
    loaded: zoo.Loaded, deformation: Deformation, metric: str, layers: str | list[str], draws: int, budget: int
) -> None:
    """Refuse a search that cannot be made, before the work."""
    try:
        check_settings(metric, draws, budget)
        if budget:
            check_gradients(deformation, loaded.size)
        _names(loaded, layers)
    except InputError as error:
        raise InputError(f"--worst-case: {error}") from None


def _check_at(loaded: zoo.Loaded, layers: str | list[str], at: str) -> None:
    """Refuse a layer that will not be measured, before the work."""
    measured = _names(loaded, layers)
    if at not in measured:
        raise unknown("layer", at, measured, "--at takes one of those that --layers chooses.")
