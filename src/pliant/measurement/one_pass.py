"""`measure_each`: the stability of a model's layers to deformations of its input, in one pass over the images."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from pliant._checks import require
from pliant.capture import INPUT, Call, kept, select, trace
from pliant.capture.state import BatchNorm
from pliant.deform import Deformation, Padding, ThinPlate, warp, warp_tangent
from pliant.measurement.along import Resized
from pliant.measurement.blocks import beginning, check_shape, consecutive, give_back
from pliant.measurement.feeding import Feeding, check_statistics, hear
from pliant.measurement.gathering import Gathering
from pliant.measurement.naming import metric_named
from pliant.measurement.noise import noisy
from pliant.measurement.protocol import protocol_of
from pliant.measurement.summary import Moved, check_folds, summarised
from pliant.measurement.tally import Tally
from pliant.measurement.tangents import dual, forward_mode, primal_of, tangent_of
from pliant.metrics import Along, Block
from pliant.profile import Profile
from pliant.stats import PairBootstrap


def measure_each(
    model: nn.Module,
    images: Tensor | Iterable[Any],
    deformation: Deformation = ThinPlate(),  # noqa: B008 - frozen
    layers: str | Sequence[str] = "all",
    metrics: Sequence[str] = ("cosine",),
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
) -> dict[str, Profile]:
    """The profile of each of `metrics`, from one pass over the images; all else as in `measure`."""
    require(
        bool(metrics) and not isinstance(metrics, str),
        f"metrics={metrics!r}: one or more names in a sequence, such as ('cosine',)",
    )
    named = {name: metric_named(name) for name in metrics}
    noise = any(metric.noise for metric in named.values())
    follows = any(metric.field for metric in named.values())
    tangents = any(metric.tangent for metric in named.values())
    check_statistics(block, replicates, level)
    model = getattr(model, "_orig_mod", model)  # hooks do not reach into a compiled model
    feed = Feeding(model, preprocess)
    blocks = consecutive(images, block, feed.device)
    first = beginning(blocks)
    shape, size = tuple(first.shape[1:]), (first.shape[2], first.shape[3])
    moved, done, number = Moved(), 0, 0
    derivatives = forward_mode(model) if tangents else nullcontext()
    with torch.inference_mode(False), kept(model), torch.no_grad(), derivatives:
        model.eval()
        feed.bring_batch_norm(batch_norm, calibration)
        calls = select(model, trace(model, feed(first[:2])), layers)
        tallies = [{name: Tally(one, replicates) for name, one in named.items()} for _ in range(len(calls) + 1)]
        clean: Tensor | None = first
        del first
        # Not `enumerate` nor `chain`: they hold on to what they have given out, and no block may outlive its turn.
        while clean is not None:
            check_shape(clean, shape)
            count = len(clean)
            field = deformation.sample(range(done, done + count), size, seed, draw, clean.device)
            if refuse_folds:
                check_folds(field, done)
            moved.add(field)
            warped = warp(clean, field, padding)
            fed = torch.cat((clean, warped))
            if tangents:
                fed = dual(fed, warp_tangent(clean, field, padding))
            fed = feed(fed)
            if noise:
                fed = torch.cat((fed, noisy(*primal_of(fed).split(count), done, seed, draw)))
            resampling = PairBootstrap(count, replicates, seed, number) if replicates else None
            along = Resized(field, padding) if follows else None
            del field, clean, warped
            _hear(model, fed, count, calls, tallies, resampling, along, tangents)
            del fed, resampling, along  # so that the next block does not meet this one in memory
            give_back()
            done += count
            if on_block is not None:
                on_block(done)
            clean, number = next(blocks, None), number + 1
    names = (INPUT, *(call.name for call in calls))
    protocol = protocol_of(
        done,
        shape,
        seed,
        batch_norm,
        calibration,
        replicates,
        level,
        deformation=deformation.describe(),
        padding=padding,
        block=block,
        draw=draw,
    )
    provenance = feed.provenance(displacement=moved.displacement)
    return {
        metric: summarised(
            {name: of[metric] for name, of in zip(names, tallies, strict=True)},
            metric,
            level,
            moved.folds,
            protocol,
            provenance,
        )
        for metric in metrics
    }


def _hear(
    model: nn.Module,
    fed: Tensor,
    count: int,
    calls: Sequence[Call],
    tallies: Sequence[Mapping[str, Tally]],
    resampling: PairBootstrap | None,
    along: Along | None,
    tangents: bool,
) -> None:
    """Feed a block, `count` clean images, as many deformed and perhaps noisy ones, and let the tallies hear it."""
    by_name = dict(zip((call.name for call in calls), tallies[1:], strict=True))
    gathering = Gathering(resampling)

    def reduce(activation: Tensor, of_layer: Mapping[str, Tally]) -> None:
        tangent = tangent_of(activation)[:count] if tangents else None
        block = Block(*primal_of(activation).split(count), along=along, tangent=tangent)
        gathering.hear(block, of_layer.values())

    for of_layer in tallies:
        for tally in of_layer.values():
            tally.begin(count)
    reduce(fed, tallies[0])
    hear(model, fed, by_name, lambda name, activation: reduce(activation, by_name[name]))
    gathering.settle()
