"""The statistics of the claims: the nets of one seed in, one number out.

Sensitivities are compared by logarithms: ln 1.25 is a quarter more, in whichever unit. Layers that are undefined in
one of the nets compared are left out. Numbers are those of Ruderman et al. 2018, layers counted from the input, 0.
"""

from itertools import pairwise

import numpy as np
from jaxtyping import Float

from pliant.paper.plans import IMAGENET, SIGMAS, SMOOTHED, STRENGTHS, TEMPLATES
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
    """|ln(after / before)|, mean over the five nets and the layers behind the input."""
    before, after = at.before(DOWNSAMPLING, BEHIND_INPUT, learned=True), at.after(DOWNSAMPLING, BEHIND_INPUT)
    return _mean(np.abs(np.log(after / before)).mean(axis=0))


def change_of_spread(at: Replicate, task: str = "labels") -> float:
    """ln of the nets' spread after over before training."""
    before = at.before(DOWNSAMPLING, FROM_DOWNSAMPLING, task, learned=True)
    return _spreads(at.after(DOWNSAMPLING, FROM_DOWNSAMPLING, task), before)


def spread_of_random_labels(at: Replicate) -> float:
    """ln of the nets' spread after training on random labels over that on real labels."""
    random = at.after(DOWNSAMPLING, FROM_DOWNSAMPLING, "random_labels")
    return _spreads(random, at.after(DOWNSAMPLING, FROM_DOWNSAMPLING))


def pooling_against_others_after(at: Replicate) -> float:
    """After training: ln of the pooling nets' sensitivity over the others', mean over layers."""
    return _mean(_contrast(at.after(POOLING, FROM_DOWNSAMPLING), at.after(NON_POOLING, FROM_DOWNSAMPLING)))


def pooling_apart_after(at: Replicate) -> float:
    """The same without sign, layer by layer: differences of opposite directions do not cancel."""
    return _mean(np.abs(_contrast(at.after(POOLING, FROM_DOWNSAMPLING), at.after(NON_POOLING, FROM_DOWNSAMPLING))))


def difference_of_tasks(at: Replicate) -> float:
    """After training: |ln(random labels / real labels)|, mean over nets and layers behind the input."""
    random, real = at.after(DOWNSAMPLING, BEHIND_INPUT, "random_labels"), at.after(DOWNSAMPLING, BEHIND_INPUT)
    return _mean(np.abs(np.log(random / real)).mean(axis=0))


def smoothest_against_roughest(at: Replicate) -> float:
    """ln of the sensitivity with the widest Gaussian over that with the narrowest, mean over layers."""
    return _mean(
        np.log(at.drawn([SMOOTHED], BEHIND_INPUT, SIGMAS[-1]) / at.drawn([SMOOTHED], BEHIND_INPUT, SIGMAS[0]))[0]
    )


def largest_step_of_smoothing(at: Replicate, start: float = 0.2) -> float:
    """The largest of the steps, from `start` pixels on, of ln sensitivity (mean over layers) from Gaussian to next."""
    sigmas = [sigma for sigma in SIGMAS if sigma >= start]
    curves = np.log(np.concatenate([at.drawn([SMOOTHED], BEHIND_INPUT, sigma) for sigma in sigmas]))
    return float(np.diff(mean_over_layers(curves)).max())


def largest_step_of_templates(at: Replicate) -> float:
    """The largest of the steps of total variation (mean over 3x3 layers) from one strength C to the next."""
    curves = np.concatenate([at.variation_after([TEMPLATES], "templates", reach) for reach in STRENGTHS])
    return float(np.diff(mean_over_layers(curves)).max())


def roughest_layer(at: Replicate) -> float:
    """The largest, over the five nets and their 3x3 layers, of ln(after / before) of total variation."""
    changes = np.log(at.variation_after(DOWNSAMPLING) / at.variation_before(DOWNSAMPLING))
    if np.isnan(changes).all():
        raise Absent("undecided", "undefined: no layer has a total variation before and after training")
    return float(np.nanmax(changes))


def range_on_random_labels(at: Replicate) -> float:
    """Total variation on random labels of the net that is roughest in the other seeds minus that of the smoothest.

    The range of five nets lies above 0 by noise alone; this, its ends being chosen by the other seeds, does not. It
    falls short of the true range where seeds disagree on the order of the nets. A seed that stands alone gives its own
    range.
    """
    own = mean_over_layers(at.variation_after(DOWNSAMPLING, "random_labels"))
    others = []
    for other in at.others():
        try:
            others.append(mean_over_layers(other.variation_after(DOWNSAMPLING, "random_labels")))
        except Absent:
            continue
    ordered = np.argsort(np.mean(others, axis=0) if others else own)
    return float(own[ordered[-1]] - own[ordered[0]])


def half_way(at: Replicate) -> float:
    """The share of training after which half of the fall of total variation is reached, mean over the nets."""
    return _over_nets(at, {net: half_reached(*at.course(net)) for net in DOWNSAMPLING})


def largest_rise(at: Replicate) -> float:
    """The largest rise of total variation from one measured step to the next over the whole fall, mean over nets."""
    return _over_nets(at, {net: rise_within_fall(at.course(net)[1]) for net in DOWNSAMPLING})


def half_reached(steps: Float[np.ndarray, " moments"], curve: Float[np.ndarray, " moments"]) -> float:
    """The share of the last step at which the curve first has done half of its fall; NaN where it does not fall.

    Straight between the measured moments along ln(1 + step), as the moments lie on a logarithmic grid.
    """
    half = (curve[0] + curve[-1]) / 2
    if not curve[-1] < curve[0]:
        return float("nan")
    i = int(np.argmax(curve <= half))
    share = (curve[i - 1] - half) / (curve[i - 1] - curve[i])
    reached = np.expm1(np.log1p(steps[i - 1]) + share * (np.log1p(steps[i]) - np.log1p(steps[i - 1])))
    return float(reached / steps[-1])


def rise_within_fall(curve: Float[np.ndarray, " moments"]) -> float:
    """The largest rise between successive moments, or 0, over the whole fall; NaN where it does not fall."""
    if not curve[-1] < curve[0]:
        return float("nan")
    return float(max(0.0, *(after - before for before, after in pairwise(curve))) / (curve[0] - curve[-1]))


def _mean(layers: Float[np.ndarray, " layers"]) -> float:
    return float(mean_over_layers(layers[None])[0])


def _contrast(
    ours: Float[np.ndarray, "ours layers"], theirs: Float[np.ndarray, "theirs layers"]
) -> Float[np.ndarray, " layers"]:
    """ln of the ratio of the geometric means over nets."""
    return np.log(ours).mean(axis=0) - np.log(theirs).mean(axis=0)


def _spreads(ours: Float[np.ndarray, "nets layers"], theirs: Float[np.ndarray, "nets layers"]) -> float:
    """ln of the ratio of two spreads: the standard deviation over nets of ln sensitivity, mean over layers."""
    each = np.stack([np.log(values).std(axis=0, ddof=1) for values in (ours, theirs)])
    first, second = mean_over_layers(each)
    if not (first > 0 and second > 0):
        raise Absent("undecided", "undefined: all nets are the same, a spread of 0 has no logarithm")
    return float(np.log(first / second))


def _over_nets(at: Replicate, values: dict[str, float]) -> float:
    """The mean over the nets whose filters become smoother at all. Raises `Absent` where there is none."""
    at.undefined += [f"the fall of {net}, seed {at.seed}" for net, value in values.items() if np.isnan(value)]
    defined = [value for value in values.values() if not np.isnan(value)]
    if not defined:
        raise Absent("undecided", "undefined: in no net does the total variation fall")
    return float(np.mean(defined))
