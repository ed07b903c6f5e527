"""`measure`: the metrics of each layer, what is no number of each layer, and what is of its filters, by their names."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, Unpack, overload

import pandas as pd
from torch import Tensor, nn

from pliant._checks import require
from pliant.deform import Deformation, ThinPlate
from pliant.measurement.accuracies import accuracy_under
from pliant.measurement.channels import ChannelPooling, channel_pooling
from pliant.measurement.filters import spectra, variations
from pliant.measurement.internal_shifts import shift_map
from pliant.measurement.one_pass import measure_each
from pliant.measurement.options import Options
from pliant.measurement.shifts import shift_consistency
from pliant.outcomes import AccuracyCurve, ShiftConsistency, ShiftMap
from pliant.profile import Profile

OWN: dict[str, Callable[..., Any]] = {
    "accuracy_under": accuracy_under,
    "channel_pooling": channel_pooling,
    "shift_consistency": shift_consistency,
    "shift_map": shift_map,
    "total_variation": variations,
    "laplacian_spectrum": spectra,
}
"""What is no number that images give of each layer, with the function that measures it."""


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
    *,
    metric: Literal["total_variation", "laplacian_spectrum"],
    **options: Any,
) -> pd.DataFrame: ...
@overload
def measure(
    model: nn.Module,
    images: Tensor | Iterable[Any],
    deformation: Deformation = ThinPlate(),  # noqa: B008 - frozen
    layers: str | Sequence[str] = "all",
    metric: str = "cosine",
    seed: int = 0,
    **options: Unpack[Options],
) -> Profile: ...
def measure(
    model: nn.Module,
    images: Tensor | Iterable[Any],
    deformation: Deformation = ThinPlate(),  # noqa: B008 - frozen
    layers: str | Sequence[str] = "all",
    metric: str = "cosine",
    seed: int = 0,
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
        labels), and returns what it returns. Or "total_variation" or "laplacian_spectrum", of the filters of each
        convolution, which no images are looked at for: a table, without intervals.
    seed: of deformations, noise, and the bootstrap.
    draw: another number gives each image another deformation; 0 if not given.
    padding: what stands outside an image: "zeros", the default, "border" or "reflection".
    batch_norm: "as_is", the default; "untouched", mean 0 and variance 1; or "calibrated", to `calibration`.
    calibration: images (m, c, h, w) other than those measured, 512 by convention, fed in one forward pass.
    preprocess: applied to the images after the deformation, such as a model's normalisation.
    block: images whose pairs share a median, 128; part of the protocol.
    replicates, level: of the bootstrap over images, within blocks, 1000 and 0.95; without replicates no interval.
    refuse_folds: raise `InputError` if a deformation folds, instead of reporting the share.
    on_block: called with the number of images done so far.

    Floating-point images are cast to the dtype of the model and brought to its device. Raises `InputError` for fewer
    than 2 images, images of different sizes and unknown names.
    """
    if metric not in OWN:
        return measure_each(model, images, deformation, layers, (metric,), seed, **options)[metric]
    defaults, takes = inspect.signature(measure).parameters, inspect.signature(OWN[metric]).parameters
    for name, value in {"deformation": deformation, "layers": layers, "seed": seed}.items():
        if value != defaults[name].default:
            require(name in takes, f"metric={metric!r} takes no {name}: leave it out")
            options[name] = value
    return OWN[metric](model, images, **options)
