"""`worst_case`: the deformations within a family's bound that move a layer most, beside random ones."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pliant._checks import InputError, require, unknown
from pliant.capture import kept, select, trace
from pliant.capture.state import BatchNorm
from pliant.deform import Deformation, Padding, ThinPlate
from pliant.measurement.blocks import beginning, check_shape, consecutive, give_back
from pliant.measurement.feeding import Feeding, check_statistics
from pliant.measurement.protocol import protocol_of
from pliant.measurement.searching import Searched, Searching
from pliant.measurement.summary import summarised
from pliant.measurement.worst import WorstCase
from pliant.metrics import METRICS, Distance
from pliant.stats import PairBootstrap


def worst_case(
    model: nn.Module,
    images: Tensor | Iterable[Any],
    deformation: Deformation = ThinPlate(),  # noqa: B008 - frozen
    layers: str | Sequence[str] = "output",
    metric: str = "cosine",
    seed: int = 0,
    *,
    budget: int = 20,
    draws: int = 8,
    padding: Padding = "zeros",
    batch_norm: BatchNorm = "as_is",
    calibration: Tensor | None = None,
    preprocess: Callable[[Tensor], Tensor] | None = None,
    block: int = 128,
    replicates: int = 1000,
    level: float = 0.95,
    refuse_folds: bool = False,
    on_block: Callable[[int], None] | None = None,
) -> WorstCase:
    """How far the worst deformation of each image moves a layer, beside random ones; each layer searched by itself.

    From the best of `draws` random deformations of an image on, `budget` steps of projected gradient ascent on the
    family's own parameters, under the family's own bound (`Deformation.within`), for the largest distance
    d(r(x), r(deformed x)). As in ManiFool (Kanbak et al. 2018), ADef (Alaifari et al. 2019) and stAdv (Xiao et al.
    2018), here for any layer and any family. The search is local: there may be worse deformations than it finds.

    The bound is on the parameters, as of the random ones, and not on how far the pixels move: within it the worst
    deformations move the image farther (RMS) than random ones do, and fold more often. How far and how much stands
    beside each number.

    Never below the best of the draws. Where nothing varies between draws, as in a strength of 0 or a `Flow`, and where
    no draw moves a layer at all, there is nothing to search, and the three numbers agree. Of layers with some images
    without a distance nothing is said, as by `measure`; draw 0 is the one that `measure` takes by default.

    images, deformation, padding, batch_norm, calibration, preprocess, block, replicates, level: as of `measure`.
        Images and preprocess must let gradients through: floating-point images.
    layers: as of `measure`; only "output", what the model puts out, if not given, since each is searched by itself.
    metric: the distance, "cosine" or "euclidean".
    seed: of the random deformations, and of the bootstrap.
    budget: gradient steps; 0 for the best of the draws alone, of any family.
    draws: random deformations of each image, by (seed, position of the image, draw 0, 1, ...).
    refuse_folds: raise `InputError` if a worst deformation that was found folds, instead of reporting the share.
    on_block: called with the number of images done so far.

    Takes about as long as 2 draws + 3 budget x layers forward passes over the images. Gradients are those of the
    deformations alone: the model's own are not touched, and it comes back as it was. Raises `InputError` as `measure`
    does; for another metric; and where no gradient leads to the parameters, as in a family of whole pixels
    (`Circular`), in images of integers, or in a layer that holds none.
    """
    distance = check_settings(metric, draws, budget)
    check_statistics(block, replicates, level)
    model = getattr(model, "_orig_mod", model)  # hooks do not reach into a compiled model
    feed = Feeding(model, preprocess)
    blocks = consecutive(images, block, feed.device)
    first = beginning(blocks)
    shape, size = tuple(first.shape[1:]), (first.shape[2], first.shape[3])
    with torch.inference_mode(False), kept(model), torch.no_grad():
        if budget:
            check_gradients(deformation, size, first.dtype)
        model.eval().requires_grad_(False)
        feed.bring_batch_norm(batch_norm, calibration)
        calls = select(model, trace(model, feed(first[:2])), layers)
        found = {call.name: Searched(distance, replicates) for call in calls}
        search = Searching(model, feed, deformation, padding, draws, budget, seed, size, first.device, refuse_folds)
        done, number = 0, 0
        given: Tensor | None = first
        del first
        while given is not None:  # as in `measure_each`: no block outlives its turn
            check_shape(given, shape)
            clean = given.clone() if given.is_inference() else given
            resampling = PairBootstrap(len(clean), replicates, seed, number) if replicates else None
            search.block(clean, done, found, resampling)
            done += len(clean)
            del given, clean
            give_back()
            if on_block is not None:
                on_block(done)
            given, number = next(blocks, None), number + 1
    protocol = protocol_of(
        done,
        shape,
        seed,
        batch_norm,
        calibration,
        replicates,
        level,
        deformation=deformation.describe(),
        draws=draws,
        budget=budget,
        padding=padding,
        block=block,
    )
    words = {  # of each of KINDS
        "random": f"{distance.quantity}, mean of {draws} draws",
        "best_of": f"{distance.quantity}, best of {draws} draws",
        "worst": f"worst-case {distance.quantity}",
    }
    profiles = {
        kind: summarised(
            {name: layer.tallies[kind] for name, layer in found.items()},
            metric,
            level,
            search.moved[kind].folds,
            {"kind": kind, **protocol},
            feed.provenance(displacement=search.moved[kind].displacement),
            quantity,
        )
        for kind, quantity in words.items()
    }
    parameters = {name: torch.cat(layer.parameters) for name, layer in found.items()}
    moved = {kind: [layer.moved[kind] for layer in found.values()] for kind in words}
    return WorstCase(
        **profiles,
        deformation=deformation,
        parameters=parameters,
        rms={kind: np.array([one.displacement["rms"] for one in of]) for kind, of in moved.items()},
        folds={kind: np.array([one.folds for one in of]) for kind, of in moved.items()},
    )


def check_settings(metric: str, draws: int, budget: int) -> Distance:
    """The distance of that name. Raises `InputError` for another metric, and for numbers that make no search."""
    require(draws >= 1, f"draws={draws}: the search starts from 1 random deformation at least")
    require(budget >= 0, f"budget={budget}: a number of steps, 0 for the best of the draws alone")
    distances = {name: found for name, found in METRICS.items() if isinstance(found, Distance)}
    if metric in METRICS and metric not in distances:
        names = " or ".join(map(repr, distances))
        raise InputError(f"metric={metric!r}: the worst case is that of a distance, give {names}")
    if metric not in distances:
        raise unknown("metric", metric, distances)
    return distances[metric]


def check_gradients(deformation: Deformation, size: tuple[int, int], dtype: torch.dtype = torch.float32) -> None:
    """Raise `InputError` unless gradients of images of this type and `size` (h, w) lead to parameters of the family."""
    require(
        dtype.is_floating_point,
        f"images of {str(dtype)[6:]} carry no gradients: give images of floating point, or budget=0 for the best of "
        "the draws alone",
    )
    with torch.enable_grad():
        numbers = deformation.parameters(range(1), size).requires_grad_()
        led = deformation.made(numbers, size).displacement.requires_grad
    require(
        led,
        f"{deformation.name}: its fields jump where its parameters change, so that no gradient leads to them; choose "
        "another family, or budget=0 for the best of the draws alone",
    )
