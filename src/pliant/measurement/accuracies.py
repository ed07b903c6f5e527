"""`accuracy_under`: accuracy against the strength of a deformation. After Ibrahim et al. 2022, arXiv:2210.13604."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from math import isfinite
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from pliant._checks import InputError, require
from pliant.capture import kept
from pliant.capture.state import BatchNorm
from pliant.deform import Circular, Deformation, Padding, ThinPlate, warp
from pliant.measurement.blocks import give_back
from pliant.measurement.feeding import Feeding
from pliant.measurement.protocol import protocol_of
from pliant.measurement.summary import check_folds
from pliant.outcomes import AccuracyCurve
from pliant.stats import Interval, MeanBootstrap, proportion


def accuracy_under(
    model: nn.Module,
    images: Tensor | Iterable[Any],
    labels: Tensor | None = None,
    deformation: Deformation = ThinPlate(),  # noqa: B008 - frozen
    seed: int = 0,
    *,
    strengths: Sequence[float] = (0, 0.25, 0.5, 1, 1.5, 2),
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
) -> AccuracyCurve:
    """Accuracy against the strength of one factor (after Ibrahim et al. 2022), here a deformation.

    The field of each image, drawn by (seed, position of the image, draw), is taken times each strength: 0 is the image
    as it is, 1 what the family drew. Of several largest logits the first is the answer. The model runs in eval mode
    and comes back as it was, also after an error.

    images: (n, c, h, w) with labels (n,); or a loader of tuples (images, labels), without labels.
    labels: (n,) integers, the classes from 0 on.
    deformation: any family but `Circular`, whose shifts are no longer circular when scaled.
    seed: of the deformations, and of the bootstrap.
    strengths: 0 or more, increasing, two at least.
    padding: what stands outside an image: "zeros", "border" or "reflection".
    batch_norm, calibration: as of `measure`.
    preprocess: applied to the images after the deformation, such as a model's normalisation.
    block: images that go through the model at a time; the curve does not depend on it.
    level: of the intervals, over images: Wilson's of each accuracy, the percentile bootstrap's of the area.
    replicates: of that bootstrap; without any the area has no interval.
    refuse_folds: raise `InputError` if a deformation folds at one of the strengths, instead of reporting the share.
    on_block: called with the number of images done so far.

    Floating-point images are cast to the dtype of the model and brought to its device. Raises `InputError` for fewer
    than 2 images, images of different sizes, labels that do not fit, strengths out of order, a model whose output is
    no logits (n, k), and logits that are NaN or infinite.
    """
    times = np.array(strengths, dtype=np.float64)
    _check(times, deformation, block)
    weights = _trapezoid(times)
    bootstrap = MeanBootstrap(1, replicates, seed, level)
    feeding = Feeding(model, preprocess)
    correct: list[np.ndarray] = []
    shape, done, rms, folds = None, 0, 0.0, np.zeros(len(times))
    with torch.inference_mode(False), kept(model), torch.no_grad():
        model.eval()
        feeding.bring_batch_norm(batch_norm, calibration)
        for clean, truth in _labelled(images, labels, block, feeding.device):
            shape, count = shape or tuple(clean.shape[1:]), len(clean)
            require(
                tuple(clean.shape[1:]) == shape,
                f"images of different sizes, {shape} and {tuple(clean.shape[1:])}: bring them to one size first",
            )
            field = deformation.sample(range(done, done + count), (shape[1], shape[2]), seed, draw, clean.device)
            rms += float(field.rms.sum())
            right = np.zeros((count, len(times)), dtype=bool)
            for place, strength in enumerate(times.tolist()):
                scaled = field.scaled(strength)
                if refuse_folds:
                    check_folds(scaled, done, f"deformation at strength {strength:g}")
                folds[place] += float(scaled.folds.sum())
                logits = feeding.logits(warp(clean, scaled, padding))
                _check_classes(truth, logits.shape[1])
                right[:, place] = (logits.argmax(1) == truth).cpu().numpy()
            correct.append(right)
            bootstrap.add((right @ weights)[:, None])
            done += count
            give_back()
            if on_block is not None:
                on_block(done)
    require(done >= 2, f"{done} images: an interval over images needs at least 2")
    told = np.concatenate(correct)
    points = [proportion(successes, done, level) for successes in told.sum(axis=0).tolist()]
    mean, low, high = bootstrap.interval()
    return AccuracyCurve(
        strengths=times,
        estimate=np.array([point.estimate for point in points]),
        low=np.array([point.low for point in points]),
        high=np.array([point.high for point in points]),
        area=Interval(float(mean[0]), float(low[0]), float(high[0]), level, done),
        rms=times * rms / done,
        folds=folds / done,
        level=level,
        correct=told,
        protocol=protocol_of(
            done,
            shape or (),
            seed,
            batch_norm,
            calibration,
            replicates,
            level,
            deformation=deformation.describe(),
            strengths=times.tolist(),
            padding=padding,
            draw=draw,
        ),
        provenance=feeding.provenance(),
    )


def _check(strengths: Float[np.ndarray, " strengths"], deformation: Deformation, block: int) -> None:
    values = strengths.tolist()
    require(
        len(values) >= 2
        and all(value >= 0 and isfinite(value) for value in values)
        and all(first < second for first, second in pairwise(values)),
        f"strengths={values}: give two or more finite numbers, 0 or above, in increasing order",
    )
    require(
        not isinstance(deformation, Circular),
        "circular shifts are no longer circular when scaled: take Translate, or shift_consistency",
    )
    require(block >= 1, f"block={block}: images at a time, 1 or more")


def _trapezoid(strengths: Float[np.ndarray, " strengths"]) -> Float[np.ndarray, " strengths"]:
    """What each value counts in the area under the lines between them, over the range of the strengths."""
    steps = np.diff(strengths) / 2
    return (np.append(steps, 0) + np.append(0, steps)) / (strengths[-1] - strengths[0])


def _labelled(
    images: Tensor | Iterable[Any], labels: Tensor | None, block: int, device: torch.device | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Some images and labels at a time, on `device`."""
    if isinstance(images, Tensor) != (labels is not None):
        raise InputError(
            "images without labels: give labels (n,), or a loader of (images, labels)"
            if labels is None
            else "labels beside a loader: it must give (images, labels) itself, leave labels out"
        )
    for item in [(images, labels)] if isinstance(images, Tensor) else images:
        if not isinstance(item, tuple | list) or len(item) != 2:
            raise InputError(f"a loader of labelled images gives tuples (images, labels), got {_described(item)}")
        some, truth = item
        require(
            isinstance(some, Tensor) and some.ndim == 4,
            f"images have the shape (n, c, h, w), got {_described(some)}",
        )
        if (
            not isinstance(truth, Tensor)
            or truth.shape != some.shape[:1]
            or truth.is_floating_point()
            or truth.is_complex()
            or truth.dtype == torch.bool
        ):
            raise InputError(
                f"labels are integers of the shape ({len(some)},), one for each image, got {_described(truth)}"
            )
        for part, told in zip(some.split(block), truth.split(block), strict=True):
            if len(part):
                yield part.to(device), told.to(device)


def _described(given: Any) -> str:
    return f"{str(given.dtype)[6:]} of {tuple(given.shape)}" if isinstance(given, Tensor) else type(given).__name__


def _check_classes(labels: Int[Tensor, " n"], classes: int) -> None:
    low, high = int(labels.min()), int(labels.max())
    require(
        low >= 0 and high < classes,
        f"labels run from {low} to {high}, but the model tells {classes} classes, 0 to {classes - 1}",
    )
