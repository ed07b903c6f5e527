"""`lie_derivative`: how much each of a model's layers, run one after another, adds to its local equivariance error."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import torch
from jaxtyping import Float, Real
from torch import Tensor, nn

from pliant import draws
from pliant._checks import require
from pliant.capture import INPUT, OUTPUT, Call, kept, replaced, select, trace
from pliant.capture.state import BatchNorm
from pliant.deform import Deformation, Lie, Padding
from pliant.measurement.along import Resized
from pliant.measurement.blocks import beginning, check_shape, consecutive, give_back
from pliant.measurement.feeding import Feeding, check_statistics
from pliant.measurement.gathering import Gathering
from pliant.measurement.protocol import protocol_of
from pliant.measurement.summary import Moved, summarised
from pliant.measurement.tally import Tally
from pliant.measurement.tangents import dual, forward_mode, has_tangent, primal_of, tangent_of
from pliant.metrics import METRICS, Block
from pliant.metrics.lie_derivative import no_place
from pliant.profile import Profile
from pliant.stats import PairBootstrap

END_TO_END = "end to end"
_METRIC = "lie_derivative"
_ALL = slice(None)


def lie_derivative(
    model: nn.Module,
    images: Tensor | Iterable[Any],
    deformation: Deformation = Lie(),  # noqa: B008 - frozen
    layers: str | Sequence[str] = "stages",
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
    on_block: Callable[[int], None] | None = None,
) -> Profile:
    """How much each layer adds to the local equivariance error of the model's output. Gruver et al. 2022,
    arXiv:2210.02984, by the chain rule.

    Let G_k be how the map of layer k would begin to change if it were deformed like the image, and J_k the derivative
    of the output by that map. What layer k adds is the vector J_(k-1) G_(k-1) - J_k G_k: the drift of its own making,
    as it arrives at the output. The vectors add up to L f(x), the Lie derivative of the whole model f. A row holds
    the squared length of the vector, the mean over images, over the mean over pairs of |f(x) - f(z)|^2. Vectors add
    up, their squared lengths do not: layers may take back what others added.

    Rows: "input", what `preprocess` adds; the layers; "output", what comes after the last of them; and "end to end",
    L f(x) itself, which the metric "lie_derivative" of `measure` says of the output.

    The vectors are exact, by derivatives in forward mode; there are no random probes to average over. Each block goes
    through the model once, with its derivative, for the input and for each layer that is a map, and once more with a
    `preprocess`.

    deformation: any family; a direction alone, `Lie()`, if not given, since at t = 0 there is no strength.
    layers: as of `measure`, but layers that the model runs one after another, of feature maps (n, c, h, w) or vectors
        (n, k). "stages", which are taken if not given, are; inner layers of residual blocks are not.
    padding: also of the maps; with "zeros" a map that is not 0 at its border strays there, "border" leaves this out.
    All else as in `measure`; the deformation grows as t times the field that is drawn, and the derivative is at t = 0.

    Raises `InputError` as `measure` does, for layers that the output depends on beside another way, and for other
    activations and outputs, such as tokens.
    """
    check_statistics(block, replicates, level)
    model = getattr(model, "_orig_mod", model)  # hooks do not reach into a compiled model
    feed = Feeding(model, preprocess)
    blocks = consecutive(images, block, feed.device)
    first = beginning(blocks)
    shape, size = tuple(first.shape[1:]), (first.shape[2], first.shape[3])
    moved, done, number = Moved(), 0, 0
    with torch.inference_mode(False), kept(model), torch.no_grad(), forward_mode(model):
        model.eval()
        feed.bring_batch_norm(batch_norm, calibration)
        calls = _chain(model, trace(model, feed(first[:2].clone())), layers)
        _check_chain(model, feed, first[:2], calls)
        names = (INPUT, *(call.name for call in calls), OUTPUT, END_TO_END)
        tallies = {name: Tally(METRICS[_METRIC], replicates) for name in names}
        clean: Tensor | None = first
        del first
        while clean is not None:
            check_shape(clean, shape)
            count = len(clean)
            for tally in tallies.values():
                tally.begin(count)
            field = deformation.sample(range(done, done + count), size, seed, draw, clean.device)
            moved.add(field)
            along = Resized(field, padding)
            out, drifts = _drifts(model, feed, clean, along, calls)
            del clean, field, along
            gathering = Gathering(PairBootstrap(count, replicates, seed, number) if replicates else None)
            for tally, added in zip(tallies.values(), _added(drifts), strict=True):
                gathering.hear(Block(out.flatten(1), out.flatten(1), tangent=added), [tally])
            del out, drifts
            gathering.settle()
            del gathering
            give_back()
            done += count
            if on_block is not None:
                on_block(done)
            clean, number = next(blocks, None), number + 1
    protocol = protocol_of(
        done,
        shape,
        seed,
        batch_norm,
        calibration,
        replicates,
        level,
        contributions_to=OUTPUT,
        deformation=deformation.describe(),
        padding=padding,
        block=block,
        draw=draw,
    )
    return replace(
        summarised(tallies, _METRIC, level, moved.folds, protocol, feed.provenance(displacement=moved.displacement)),
        quantity="contribution to the local equivariance error of the output (squared length)",
        scale="0: adds nothing to it, 1: as much as the output of an unrelated image is off (squared)",
    )


def _chain(model: nn.Module, calls: Sequence[Call], layers: str | Sequence[str]) -> list[Call]:
    """The calls that `layers` names, without the model's own; refuses what has no Lie derivative."""
    outputs = [call for call in calls if call.module == OUTPUT]
    require(
        len(outputs) == 1 and outputs[0].name == OUTPUT and outputs[0].batched,
        f"the model puts out {', '.join(call.name for call in outputs) or 'no tensor'}: wrap it in a module that puts "
        "out one tensor, a row for each image",
    )
    chosen = [call for call in select(model, calls, layers) if call.module != OUTPUT]
    for call in (*chosen, *outputs):
        require(len(call.shape) in (1, 3), f"layer {call.name!r} has no Lie derivative: {no_place(call.shape)}")
    return chosen


def _check_chain(model: nn.Module, feed: Feeding, like: Real[Tensor, "n c h w"], calls: Sequence[Call]) -> None:
    """Refuse layers that the output does not depend on alone: with their tangents gone, none must arrive.

    Of random images and tangents, shaped `like` the images: those of the images may be 0, as where they are blank.
    """
    indices, count = range(len(like)), like[0].numel()
    random = draws.uniform(0, draws.Stream.PIXELS, indices, 0, count, like.device).view_as(like)
    tangent = draws.as_normal(draws.uniform(0, draws.Stream.NOISE, indices, 0, count, like.device)).view_as(like)
    for call in calls:
        with replaced(model, call, primal_of):
            out = model(feed(dual(random.to(like.dtype, copy=True), tangent)))
        require(
            not has_tangent(out),
            f"the output depends on the image beside layer {call.name!r}, too: choose layers that the model runs one "
            'after another, such as layers="stages"',
        )


def _drifts(
    model: nn.Module, feed: Feeding, images: Real[Tensor, "n c h w"], along: Resized, calls: Sequence[Call]
) -> tuple[Float[Tensor, "n *d"], list[Float[Tensor, "n *d"]]]:
    """The output f(x), and how it begins to change as the image deforms; as, in its place, the model's input and the
    activation of each call do; and as it would if it were deformed itself.
    """

    def moved(activation: Tensor) -> Tensor:
        return dual(activation, along.tangent(activation, _ALL))

    # Copies, since a model may write into what it is given.
    deformed = model(feed(moved(images.clone())))
    out, drifts = primal_of(deformed), [tangent_of(deformed)]
    drifts.append(drifts[0] if feed.preprocess is None else tangent_of(model(moved(feed(images.clone())))))
    for call in calls:
        if len(call.shape) == 1:
            drifts.append(torch.zeros_like(out))
            continue
        with replaced(model, call, moved):
            drifts.append(tangent_of(model(feed(images.clone()))))
    drifts.append(along.tangent(out, _ALL) if out.ndim == 4 else torch.zeros_like(out))
    return out, drifts


def _added(drifts: Sequence[Float[Tensor, "n *d"]]) -> list[Float[Tensor, "n k"]]:
    """What each step adds, flattened; and behind them what all add together."""
    exact = [drift.double().flatten(1) for drift in drifts]
    return [*(before - after for before, after in pairwise(exact)), exact[0] - exact[-1]]
