"""The parts of the claims' statistics that can be computed by hand."""

import math
from typing import Any

import numpy as np
import pytest

from pliant._checks import InputError
from pliant.paper.claims import CLAIMS
from pliant.paper.protocols import AFTER, BEFORE, SEEN_UNTRAINED, TRAININGS, Protocol, protocols
from pliant.paper.replicate import Absent, Replicate, mean_over_layers
from pliant.paper.statistics import POOLING, half_reached, rise_beyond_fall, size_of_change
from pliant.paper.verdict import Above, AllBelow, Below, Inside, number, ratio
from pliant.plan import DOWNSAMPLING
from pliant.stats import student

TOST = "90% interval (two one-sided tests at 5%)"
STEPS = np.array([0.0, 1.0, 10.0, 100.0])


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([2.0, 1.5, 1.2, 1.0], 0.01),
        ([2.0, 1.9, 1.5, 1.0], 0.10),
        # On a line between the moments: 55 of 100 steps.
        ([2.0, 2.0, 2.0, 1.0], 0.55),
        # Reached twice: the first time counts.
        ([2.0, 1.5, 2.0, 1.0], 0.01),
        # What does not fall never has done half of it.
        ([1.0, 1.0, 1.0, 1.0], 1.0),
        ([1.0, 0.5, 1.2, 1.1], 1.0),
    ],
)
def test_when_half_of_the_fall_is_reached(curve, expected):
    assert half_reached(STEPS, np.array(curve)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([2.0, 1.5, 1.2, 1.0], -0.1),
        ([2.0, 2.1, 1.5, 1.0], 0.0),
        ([2.0, 1.0, 1.5, 1.0], 0.4),
        # Two small steps up are one rise.
        ([2.0, 1.0, 1.1, 1.2], 0.12),
        # A fall of nearly nothing does not explode, and none at all does not pass.
        ([1.0, 1.0, 1.0, 0.999], -0.0001),
        ([1.0, 1.0, 1.0, 1.0], 0.0),
        ([1.0, 1.1, 1.2, 1.3], 0.33),
    ],
)
def test_the_largest_rise_beyond_a_tenth_of_the_fall(curve, expected):
    assert rise_beyond_fall(np.array(curve)) == pytest.approx(expected)


class Drawn(Replicate):
    """A seed whose ln sensitivities are given: before training 0, after it by task, the same layers for all slices."""

    def __init__(self, seed, worlds):
        self.seed, self.worlds, self.undefined = seed, worlds, []

    def others(self):
        return (Drawn(seed, self.worlds) for seed in range(len(self.worlds)) if seed != self.seed)

    def before(self, nets, layers, task="labels", choice="", *, learned=False):
        return np.ones((len(nets), self.worlds[self.seed]["labels"].shape[1]))

    def after(self, nets, layers, task="labels", choice=""):
        rows = [DOWNSAMPLING.index(net) for net in nets]
        return np.exp(self.worlds[self.seed][task][rows])


SIZES = ("training_changes", "tasks_differ", "similar_by_layer")
LAYERS = 10


def verdicts(name, seeds, noise, common, truth=0.0, draws=120, alone=False):
    """How often each verdict falls where seeds differ by noise of each net and layer, or `common` to the layers.

    `truth`: the size of the difference of nets and layers, its signs drawn at random. `alone`: each seed takes its own
    directions, as in |ln ratio|.
    """
    claim: Any = next(claim for claim in CLAIMS if claim.id == name)
    rng = np.random.default_rng([seeds, SIZES.index(name)])
    found = []
    for _ in range(draws):
        signs = rng.choice([-1.0, 1.0], size=(1, LAYERS))
        if name == "similar_by_layer":
            signs = signs * np.array([[net in POOLING] for net in DOWNSAMPLING])
        else:
            signs = np.repeat(signs, len(DOWNSAMPLING), axis=0)
        shape = (len(DOWNSAMPLING), 1 if common else LAYERS)
        worlds = [
            {
                "labels": truth * signs * (name != "tasks_differ") + noise * rng.normal(size=shape),
                "random_labels": truth * signs + noise * rng.normal(size=shape),
            }
            for _ in range(seeds)
        ]
        drawn = [Drawn(0, [world]) for world in worlds] if alone else [Drawn(i, worlds) for i in range(seeds)]
        values = np.array([claim.of(seed) for seed in drawn])
        found.append(claim.rule.judge(values).verdict)
    return {verdict: found.count(verdict) / draws for verdict in ("supported", "refuted", "undecided")}


@pytest.mark.parametrize(("seeds", "common"), [(3, False), (3, True), (5, True)])
@pytest.mark.parametrize("name", SIZES)
def test_noise_between_seeds_is_no_difference(name, seeds, common):
    shares = verdicts(name, seeds, 0.6, common)
    assert shares["refuted" if name == "similar_by_layer" else "supported"] <= 0.05


@pytest.mark.parametrize("name", SIZES)
def test_noise_would_be_a_difference_if_each_seed_took_its_own_directions(name):
    shares = verdicts(name, 5, 0.6, common=False, draws=20, alone=True)
    assert shares["refuted" if name == "similar_by_layer" else "supported"] >= 0.8


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("name", SIZES)
def test_a_difference_on_the_margin_is_decided_as_rarely_as_the_level_says(name, seeds):
    shares = verdicts(name, seeds, 0.1, common=False, truth=math.log(1.25))
    assert shares["supported"] <= 0.06
    assert shares["refuted"] <= 0.06


@pytest.mark.parametrize("name", SIZES)
def test_a_difference_of_either_direction_is_found(name):
    shares = verdicts(name, 3, 0.05, common=False, truth=math.log(1.6), draws=50)
    assert shares["refuted" if name == "similar_by_layer" else "supported"] == 1.0


def test_a_seed_contributes_in_the_direction_of_the_others():
    # One layer, ln sensitivity the same in all nets: seed 0 goes against the other two.
    worlds = [{"labels": np.full((5, 1), value)} for value in (-0.1, 0.3, 0.5)]
    assert [size_of_change(Drawn(seed, worlds)) for seed in range(3)] == pytest.approx([-0.1, 0.3, 0.5])
    assert size_of_change(Drawn(0, worlds[:1])) == pytest.approx(0.1)


def test_the_mean_is_over_layers_that_all_nets_have():
    nan = math.nan
    assert mean_over_layers(np.array([[1.0, nan, 3.0], [10.0, 20.0, 30.0]])).tolist() == [2.0, 20.0]
    with pytest.raises(Absent) as error:
        mean_over_layers(np.array([[1.0, nan], [nan, 2.0]]))
    assert (error.value.verdict, error.value.reason) == ("undecided", "undefined: no layer has a value in all nets")


@pytest.mark.parametrize(
    ("rule", "values", "verdict", "reason"),
    [
        # The 95% intervals are +-4.303 / sqrt(3) times the deviation around the mean, the 90% ones 2.920 / sqrt(3).
        (Below(number(0)), [-3.0, -4.0, -5.0], "supported", "the 95% interval [-6.484, -1.516] lies below 0"),
        (Below(number(0)), [3.0, 4.0, 5.0], "refuted", "the 95% interval [1.516, 6.484] lies above 0"),
        (Below(number(0)), [0.0, 1.0, 2.0], "undecided", "the 95% interval [-1.484, 3.484] holds 0"),
        (Above(ratio(1.25)), [3.0, 4.0, 5.0], "supported", "the 95% interval [1.516, 6.484] lies above ln 1.25"),
        (Above(ratio(1.25)), [-3.0, -4.0, -5.0], "refuted", "the 95% interval [-6.484, -1.516] lies below ln 1.25"),
        (Above(ratio(1.25)), [0.0, 1.0, 2.0], "undecided", "the 95% interval [-1.484, 3.484] holds ln 1.25"),
        (Inside(number(2.4)), [-0.3, 0.7, 1.7], "supported", f"the {TOST} [-0.986, 2.386] lies inside ±2.4"),
        (Inside(number(1.5)), [3.0, 4.0, 5.0], "refuted", "the 95% interval [1.516, 6.484] lies outside ±1.5"),
        (
            Inside(number(1.5)),
            [-3.0, -4.0, -5.0],
            "refuted",
            "the 95% interval [-6.484, -1.516] lies outside ±1.5",
        ),
        (
            Inside(number(1.0)),
            [0.0, 1.0, 2.0],
            "undecided",
            f"the {TOST} [-0.686, 2.686] is neither inside nor outside ±1",
        ),
        # The 90% interval lies outside, the 95% one does not: not refuted.
        (
            Inside(number(2.0)),
            [3.0, 4.0, 5.0],
            "undecided",
            "the 95% interval [1.516, 6.484] is neither inside nor outside ±2",
        ),
        (Inside(number(1.0)), [0.0], "undecided", "one seed: an interval needs at least 2"),
        (Above(number(0)), [9.0], "undecided", "one seed: an interval needs at least 2"),
    ],
)
def test_rules(rule, values, verdict, reason):
    found = rule.judge(np.array(values))
    assert (found.verdict, found.reason) == (verdict, reason)
    assert (found.interval.n, found.interval.estimate) == (len(values), pytest.approx(np.mean(values)))
    if len(values) > 1:
        assert f"{found.interval.level:.0%} interval" in reason
        assert f"[{found.interval.low:.3f}, {found.interval.high:.3f}]" in reason


LOW, NEAR, HIGH, WIDE = [-3.0, -4.0, -5.0], [-3.0, -3.1, -3.2], [3.0, 4.0, 5.0], [-9.0, 0.0, 3.0]
SURE = [4.0, 4.01, 4.02]


@pytest.mark.parametrize(
    ("values", "verdict", "shown", "level", "reason"),
    [
        (
            {"a": LOW, "b": NEAR},
            "supported",
            "b",
            0.95,
            "each of 2 lies below 0, the highest: 95% interval of b [-3.348, -2.852]",
        ),
        # At 97.5% t of 2 degrees of freedom is 6.2053: 4.01 +- 0.0358.
        (
            {"a": LOW, "b": SURE},
            "refuted",
            "b",
            0.975,
            "the 97.5% interval of b (one of 2, corrected for their number) [3.974, 4.046] lies above 0",
        ),
        # The larger mean of `wide` does not matter: it does not lie above.
        (
            {"a": SURE, "wide": [-20.0, 10.0, 40.0]},
            "refuted",
            "a",
            0.975,
            "the 97.5% interval of a (one of 2, corrected for their number) [3.974, 4.046] lies above 0",
        ),
        # Its mean is the lower one, but it is the one that holds 0: +- 4.3027 * 6.2450 / sqrt(3).
        (
            {"a": [-1.0, -1.1, -1.2], "wide": WIDE},
            "undecided",
            "wide",
            0.95,
            "1 of 2 is not shown to lie below 0: the 95% interval of wide [-17.513, 13.513] holds 0",
        ),
        # Above 0 at 95%, but not once corrected for four.
        (
            {"a": LOW, "b": HIGH, "c": LOW, "d": LOW},
            "undecided",
            "b",
            0.9875,
            "1 of 4 is not shown to lie below 0: the 98.75% interval of b (one of 4, corrected for their number) "
            "[-1.115, 9.115] holds 0",
        ),
        (
            {"a": [0.0, 1.0, 2.0], "b": WIDE, "c": LOW},
            "undecided",
            "a",
            0.95,
            "2 of 3 are not shown to lie below 0: the 95% interval of a [-1.484, 3.484] holds 0",
        ),
        ({"a": [-1.0], "b": [2.0]}, "undecided", "b", 0.95, "one seed: an interval needs at least 2"),
        (
            {"a": LOW, "b": [-2.0]},
            "undecided",
            "b",
            0.95,
            "1 of 2 is not shown to lie below 0: b, one seed: an interval needs at least 2",
        ),
    ],
)
def test_all_below(values, verdict, shown, level, reason):
    found = AllBelow(number(0)).judge({name: np.array(column) for name, column in values.items()})
    assert (found.verdict, found.shown, found.reason) == (verdict, shown, reason)
    assert found.interval.level == pytest.approx(level)
    assert found.interval.estimate == pytest.approx(np.mean(values[shown]))


@pytest.mark.parametrize(("truths", "of"), [([0.0, -9.0, -9.0], "supported"), ([0.0, 0.0, 0.0], "refuted")])
def test_all_below_is_wrong_as_rarely_as_its_level_says(truths, of):
    # One step of three that is none: not all lie below. None that is a step: none lies above.
    rng = np.random.default_rng(len(of))
    rule, found = AllBelow(number(0)), []
    for _ in range(400):
        found.append(rule.judge({str(i): rng.normal(truth, 1.0, 5) for i, truth in enumerate(truths)}).verdict)
    assert found.count(of) / len(found) <= 0.05


@pytest.mark.parametrize("several", [3, 5])
def test_corrected_intervals_of_three_seeds_hold_all_truths_at_once(several):
    drawn = np.random.default_rng(several).normal(4.0, 2.0, (2000, several, 3))
    level = AllBelow(number(-1e9)).judge(dict(enumerate(drawn[0]))).interval.level
    held = [all(one.low <= 4.0 <= one.high for one in (student(column, level) for column in each)) for each in drawn]
    assert 0.93 <= np.mean(held) <= 0.97


def test_rules_read_as_sentences():
    assert str(Below(number(0.1))) == "the 95% interval lies below 0.1"
    assert str(Above(ratio(0.8))) == "the 95% interval lies above ln 0.8"
    assert str(Inside(ratio(1.25))) == f"the {TOST} lies inside ±ln 1.25"
    assert str(AllBelow(number(0))) == "each 95% interval lies below 0"


def test_a_ratio_of_nothing_has_no_logarithm():
    with pytest.raises(InputError) as error:
        ratio(0.0)
    assert str(error.value) == "ratio(0.0): above 0 and finite, it has no logarithm"


def test_measuring_choices_are_crossed_on_every_training_choices_vary_one_at_a_time():
    found = protocols(AFTER, TRAININGS)
    measures = ["border padding", "euclidean distance", "euclidean distance, border padding"]
    trainings = ["no weight decay", "flips and crops", "standardised by data set", "pixels in [0, 1]"]
    crossed = [f"{measure}, {name}" if measure else name for name in trainings for measure in ("", *measures)]
    assert [str(protocol) for protocol in found] == ["reference", *measures, *crossed]
    assert [len(protocol.changes) for protocol in found] == [0, 1, 1, 2] + 4 * [1, 2, 2, 3]
    assert len(protocols(BEFORE)) == 8
    assert protocols() == (Protocol(),)


def test_untrained_nets_depend_on_what_they_see():
    assert SEEN_UNTRAINED == ("standardised by data set", "pixels in [0, 1]")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Protocol(distance="cosin"), "unknown distance 'cosin'. Did you mean 'cosine'?"),
        (lambda: Protocol(batch_norm="x"), "unknown batch norm 'x'. Known: calibrated, untouched."),
        (
            lambda: protocols(("images",)),
            "unknown choice of measuring 'images'. Known: batch_norm, distance, padding, trained_norm.",
        ),
    ],
)
def test_unknown_choices(make, message):
    with pytest.raises(InputError) as error:
        make()
    assert str(error.value) == message
