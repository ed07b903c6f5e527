"""The statistics of the claims: the nets of one seed in, one number out, or several by their names.

Sensitivities are compared by logarithms: ln 1.25 is a quarter more, in whichever unit. Layers that are undefined in
one of the nets compared are left out. Numbers are those of Ruderman et al. 2018, layers counted from the input, 0.

How large a difference is whose direction may differ by net and layer: |ln ratio| lies above 0 by the noise between
seeds alone. So the direction of each net and layer is that of the mean over the other seeds, and what a seed
contributes is its own ln ratio in that direction: 0 on average where there is no difference. Where the noise is as
large as the difference, directions are mistaken and the size falls short of the true one.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from pliant.paper.plans import IMAGENET, MEMORISING, SIGMAS, SMOOTHED, STRENGTHS, TEMPLATES
from pliant.paper.replicate import Absent, Replicate, mean_over_layers
from pliant.plan import DOWNSAMPLING

POOLING = ("max_pool", "average_pool")
NON_POOLING = tuple(name for name in DOWNSAMPLING if name not in POOLING)
BEHIND_INPUT = slice(1, None)
FROM_DOWNSAMPLING = slice(3, None)
"""Layers from the first downsampling on: both nets begin with the input and two convolutions."""
EARLY = slice(1, 7)
LATE = slice(7, None)
"""The first and the last two blocks of the CIFAR-10 net, each of two convolutions and a downsampling."""
SMOOTHEST = "average_pool"
ROUGHEST = "subsample"
"""The ends of the paper's Figure 4c: the nets that random labels leave smoothest and roughest there."""


def pooling_against_others(at: Replicate) -> float:
    """Before training: ln of the pooling nets' sensitivity over the others', geometric means over nets."""
    layers = FROM_DOWNSAMPLING
    return _mean(_contrast(at.before(POOLING, layers), at.before(NON_POOLING, layers)))


def pooling_against_others_photographs(at: Replicate) -> float:
    """The same of the two ImageNet nets, on photographs."""
    pooling = [name for name in IMAGENET if name in POOLING]
    others = [name for name in IMAGENET if name not in POOLING]
    return _mean(_contrast(at.drawn(pooling, FROM_DOWNSAMPLING), at.drawn(others, FROM_DOWNSAMPLING)))


def pooling_change(at: Replicate, layers: slice) -> float:
    """ln of the pooling nets' sensitivity after over before training, mean over nets and layers."""
    before, after = at.before(POOLING, layers, learned=True), at.after(POOLING, layers)
    return _mean(np.log(after / before).mean(axis=0))


def size_of_change(at: Replicate) -> float:
    """ln(after / before) in the direction of the other seeds, mean over the five nets and the layers behind input."""

    def change(of: Replicate) -> Float[np.ndarray, "nets layers"]:
        before = of.before(DOWNSAMPLING, BEHIND_INPUT, learned=True)
        return np.log(of.after(DOWNSAMPLING, BEHIND_INPUT) / before)

    return _size(at, change)


def change_of_spread(at: Replicate, task: str = "labels") -> float:
    """ln of the nets' spread after over before training."""
    before = at.before(DOWNSAMPLING, FROM_DOWNSAMPLING, task, learned=True)
    return _spreads(at.after(DOWNSAMPLING, FROM_DOWNSAMPLING, task), before)


def spread_of_random_labels(at: Replicate) -> float:
    """ln of the nets' spread after training on random labels over that on real labels, learned in the same way."""
    random = at.after(DOWNSAMPLING, FROM_DOWNSAMPLING, "random_labels")
    return _spreads(random, at.after(DOWNSAMPLING, FROM_DOWNSAMPLING, choice=MEMORISING))


def pooling_against_others_after(at: Replicate) -> float:
    """After training: ln of the pooling nets' sensitivity over the others', mean over layers."""
    return _mean(_contrast(at.after(POOLING, FROM_DOWNSAMPLING), at.after(NON_POOLING, FROM_DOWNSAMPLING)))


def pooling_apart_after(at: Replicate) -> float:
    """The same in each layer's direction in the other seeds: layers of opposite directions do not cancel.

    Mistaken directions favour likeness: with differences of ln 1.25 in 10 layers, 3 seeds and noise of 0.1 an interval
    lies wholly below ln 1.25 in 3% of studies, with noise of 0.2 in 10% (simulated).
    """

    def contrast(of: Replicate) -> Float[np.ndarray, "one layers"]:
        return _contrast(of.after(POOLING, FROM_DOWNSAMPLING), of.after(NON_POOLING, FROM_DOWNSAMPLING))[None]

    return _size(at, contrast)


def spread_after(at: Replicate) -> float:
    """After training: the standard deviation over the five nets of ln sensitivity, mean over layers.

    Noise between the nets of one seed is in it and makes it larger.
    """
    return _mean(_spread(at.after(DOWNSAMPLING, FROM_DOWNSAMPLING)))


def difference_of_tasks(
    at: Replicate, task: str = "random_labels", choice: str = MEMORISING, nets: Sequence[str] = DOWNSAMPLING
) -> float:
    """After training: ln(task / real labels) in the direction of the other seeds, mean over nets and layers.

    choice: of the training on real labels.
    """

    def difference(of: Replicate) -> Float[np.ndarray, "nets layers"]:
        return np.log(of.after(nets, BEHIND_INPUT, task) / of.after(nets, BEHIND_INPUT, choice=choice))

    return _size(at, difference)


def smoothest_against_roughest(at: Replicate) -> float:
    """ln of the sensitivity with the widest Gaussian over that with the narrowest, mean over layers."""
    return _mean(
        np.log(at.drawn([SMOOTHED], BEHIND_INPUT, SIGMAS[-1]) / at.drawn([SMOOTHED], BEHIND_INPUT, SIGMAS[0]))[0]
    )


def steps_of_smoothing(at: Replicate, start: float = 0.2) -> dict[str, float]:
    """The steps, from `start` pixels on, of ln sensitivity (mean over layers) from each Gaussian to the next."""
    sigmas = [sigma for sigma in SIGMAS if sigma >= start]
    curves = np.log(np.concatenate([at.drawn([SMOOTHED], BEHIND_INPUT, sigma) for sigma in sigmas]))
    names = [f"{a:g} to {b:g} pixels" for a, b in pairwise(sigmas)]
    return dict(zip(names, np.diff(mean_over_layers(curves)).tolist(), strict=True))


def steps_of_templates(at: Replicate) -> dict[str, float]:
    """The steps of total variation (mean over 3x3 layers) from each strength C to the next."""
    curves = np.concatenate([at.variation_after([TEMPLATES], "templates", reach) for reach in STRENGTHS])
    names = [f"C = {a:g} to {b:g}" for a, b in pairwise(STRENGTHS)]
    return dict(zip(names, np.diff(mean_over_layers(curves)).tolist(), strict=True))


def change_of_each_layer(at: Replicate) -> dict[str, float]:
    """ln(after / before) of total variation of each 3x3 layer, counted from 0, of the five nets."""
    changes = np.log(at.variation_after(DOWNSAMPLING) / at.variation_before(DOWNSAMPLING))
    if np.isnan(changes).all():
        raise Absent("undecided", "undefined: no layer has a total variation before and after training")
    return {
        f"3x3 layer {layer} of {net}": float(change)
        for net, curve in zip(DOWNSAMPLING, changes, strict=True)
        for layer, change in enumerate(curve)
        if not np.isnan(change)
    }


def range_on_random_labels(at: Replicate) -> float:
    """Total variation (mean over 3x3 layers) on random labels of `ROUGHEST` minus that of `SMOOTHEST`.

    The pair is the paper's and not chosen by these seeds: their range lies above 0 by noise alone.
    """
    rough, smooth = mean_over_layers(at.variation_after([ROUGHEST, SMOOTHEST], "random_labels"))
    return float(rough - smooth)


def half_way(at: Replicate) -> float:
    """The share of training after which half of the fall of total variation is reached, mean over the nets."""
    return float(np.mean([half_reached(*at.course(net)) for net in DOWNSAMPLING]))


def rises(at: Replicate) -> dict[str, float]:
    """How far each net's largest rise of total variation exceeds a tenth of its fall."""
    return {net: rise_beyond_fall(at.course(net)[1]) for net in DOWNSAMPLING}


def half_reached(steps: Float[np.ndarray, " moments"], curve: Float[np.ndarray, " moments"]) -> float:
    """The share of the last step at which the curve first has done half of its fall, on lines between the moments.

    1 where it does not fall.
    """
    if not curve[-1] < curve[0]:
        return 1.0
    half = (curve[0] + curve[-1]) / 2
    after = max(1, int(np.argmax(curve <= half)))
    (start, end), (above, below) = steps[after - 1 : after + 1], curve[after - 1 : after + 1]
    return float((start + (end - start) * (above - half) / (above - below)) / steps[-1])


def rise_beyond_fall(curve: Float[np.ndarray, " moments"], share: float = 0.1) -> float:
    """The largest rise from a moment to any later one minus a share of the whole fall; in the curve's own unit.

    Not below 0 where the curve does not fall.
    """
    rise = (curve - np.minimum.accumulate(curve)).max()
    return float(rise - share * (curve[0] - curve[-1]))


def _mean(layers: Float[np.ndarray, " layers"]) -> float:
    return float(mean_over_layers(layers[None])[0])


def _contrast(
    ours: Float[np.ndarray, "ours layers"], theirs: Float[np.ndarray, "theirs layers"]
) -> Float[np.ndarray, " layers"]:
    """ln of the ratio of the geometric means over nets."""
    return np.log(ours).mean(axis=0) - np.log(theirs).mean(axis=0)


def _spread(sensitivity: Float[np.ndarray, "nets layers"]) -> Float[np.ndarray, " layers"]:
    return np.log(sensitivity).std(axis=0, ddof=1)


def _spreads(ours: Float[np.ndarray, "nets layers"], theirs: Float[np.ndarray, "nets layers"]) -> float:
    """ln of the ratio of two spreads: the standard deviation over nets of ln sensitivity, mean over layers."""
    first, second = mean_over_layers(np.stack([_spread(ours), _spread(theirs)]))
    if not (first > 0 and second > 0):
        raise Absent("undecided", "undefined: all nets are the same, a spread of 0 has no logarithm")
    return float(np.log(first / second))


def _size(at: Replicate, of: Callable[[Replicate], Float[np.ndarray, "curves layers"]]) -> float:
    """The mean of `of` in the direction that each of its numbers has on average in the other seeds.

    A layer that is undefined in one of the seeds is left out. A seed that stands alone takes its own directions; alone
    it decides nothing.
    """
    own = of(at)
    others = []
    for other in at.others():
        try:
            others.append(of(other))
        except Absent:
            continue
    directions = np.sign(np.mean(others, axis=0) if others else own)
    return _mean((directions * own).mean(axis=0))
