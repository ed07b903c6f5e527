"""`measure`: every measure by its name."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, overload

from torch import Tensor, nn

from pliant._checks import require
from pliant.capture.state import BatchNorm
from pliant.deform import Deformation, Padding, ThinPlate
from pliant.measurement.accuracies import accuracy_under
from pliant.measurement.channels import ChannelPooling, channel_pooling
from pliant.measurement.internal_shifts import shift_map
from pliant.measurement.one_pass import measure_each
from pliant.measurement.shifts import shift_consistency
from pliant.outcomes import AccuracyCurve, ShiftConsistency, ShiftMap
from pliant.profile import Profile

OWN: dict[str, Callable[..., Any]] = {
    "accuracy_under": accuracy_under,
    "channel_pooling": channel_pooling,
    "shift_consistency": shift_consistency,
    "shift_map": shift_map,
}
"""What is no number of each layer, with the function that measures it."""


@overload
def measure(
    model: nn.Module, images: Tensor | Iterable[Any], *, metric: Literal["accuracy_under"], **options: Any
) -> AccuracyCurve: ...
@overload
def measure(
    model: nn.Module, images: Tensor | Iterable[Any], *, metric: Literal["channel_pooling"], **options: Any
) -> ChannelPooling: ...
@overload
def measure(
    model: nn.Module, images: Tensor | Iterable[Any], *, metric: Literal["shift_consistency"], **options: Any
) -> ShiftConsistency: ...
@overload
def measure(
    model: nn.Module, images: Tensor | Iterable[Any], *, metric: Literal["shift_map"], **options: Any
) -> ShiftMap: ...
@overload
def measure(
    model: nn.Module,
    images: Tensor | Iterable[Any],
    deformation: Deformation = ThinPlate(),  # noqa: B008 - frozen
    layers: str | Sequence[str] = "all",
    metric: str = "cosine",
    seed: int = 0,
    *,
    draw: int = 0,
    padding: Padding = "zeros",
    batch_norm: BatchNorm = "as_is",
    calibration: Tensor | None = None,
    preprocess: Callable[[Tensor], Tensor] | None = None,
    block: int = 128,
    replicates: int = 1000,
    level: float = 0.95,
    refuse_folds: bool = False,
    on_block: Callable[[int], None] | None = None,
) -> Profile: ...
def measure(
    model: nn.Module,
    images: Tensor | Iterable[Any],
    deformation: Deformation = ThinPlate(),  # noqa: B008 - frozen
    layers: str | Sequence[str] = "all",
    metric: str = "cosine",
    seed: int = 0,
    *,
    draw: int = 0,
    padding: Padding = "zeros",
    batch_norm: BatchNorm = "as_is",
    calibration: Tensor | None = None,
    preprocess: Callable[[Tensor], Tensor] | None = None,
    block: int = 128,
    replicates: int = 1000,
    level: float = 0.95,
    refuse_folds: bool = False,
    on_block: Callable[[int], None] | None = None,
    **options: Any,
) -> Any:
    """Sensitivity by layer, after Ruderman et al. 2018, or another metric; see `Profile` for the statistic.

    The images are deformed and fed to the model as given, in eval mode, `block` images and their deformed copies at
    a time; every layer is reduced inside its hook and dropped. The model comes back as it was, also after an error.

    images: (n, c, h, w), or an iterable of such batches (of a loader's tuples the first item is taken).
    deformation: the family that each image's own deformation is drawn from, by (seed, position of the image, draw).
    layers: "all", "blocks" (after batch norm and activation, and each downsampling; of a net without convolutions
        its dense layers), "convs", "stages", a glob, a dotted name (raw module output), or a list of names. Layer 0
        is always the input.
    metric: a name in `pliant.metrics.METRICS`. "cosine" or "euclidean", the distance of the sensitivity;
        "relative_stability", "deformation_stability", "noise_stability", each also with "_median" behind it;
        "equivariance"; "correlation"; "lie_derivative"; "consistency", of logits, so with layers="output".
        Or the name of a measure that is no number of each layer: "accuracy_under", "channel_pooling",
        "shift_consistency", "shift_map". That function is called, says what else it takes (`options`, such as
        labels), and returns what it returns.
    padding: what stands outside an image: "zeros", "border" or "reflection".
    batch_norm: "as_is"; "untouched", mean 0 and variance 1; or "calibrated", the statistics of `calibration`.
    calibration: images (m, c, h, w) other than those measured, 512 by convention, fed in one forward pass.
    preprocess: applied to the images after the deformation, such as a model's normalisation.
    block: images whose pairs share a median; part of the protocol.
    replicates, level: of the bootstrap over images, within blocks, percentile interval; without replicates none.
    refuse_folds: raise `InputError` if a deformation folds, instead of reporting the share.
    on_block: called with the number of images done so far.

    Floating-point images are cast to the dtype of the model and brought to its device. Raises `InputError` for fewer
    than 2 images, images of different sizes and unknown names, and for what the metric named does not take.
    """
    shared: dict[str, Any] = {
        "deformation": deformation,
        "layers": layers,
        "seed": seed,
        "draw": draw,
        "padding": padding,
        "batch_norm": batch_norm,
        "calibration": calibration,
        "preprocess": preprocess,
        "block": block,
        "replicates": replicates,
        "level": level,
        "refuse_folds": refuse_folds,
        "on_block": on_block,
    }
    if metric in OWN:
        defaults = inspect.signature(measure).parameters
        given = {name: value for name, value in shared.items() if value is not defaults[name].default} | options
        takes = inspect.signature(OWN[metric]).parameters
        wrong = [] if "options" in takes else [name for name in given if name not in takes]
        require(not wrong, f"metric={metric!r} takes no {' and no '.join(wrong)}")
        return OWN[metric](model, images, **given)
    require(not options, f"metric={metric!r} takes no {' and no '.join(options)}")
    return measure_each(model, images, metrics=(metric,), **shared)[metric]
