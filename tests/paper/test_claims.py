import json
import math
import shutil
from dataclasses import replace
from typing import Any

import pandas as pd
import pytest
from paper import fake_study, made_truths

from pliant import records
from pliant._checks import InputError
from pliant.cli.claims import claims as show_claims
from pliant.paper.claims import CAVEAT, CLAIMS, judge, to_json, write_claims
from pliant.paper.plans import MEMORISING
from pliant.paper.protocols import Protocol
from pliant.paper.replicate import Curves, Replicate
from pliant.paper.results import Results
from pliant.paper.ruling import rule_on
from pliant.plan import DOWNSAMPLING
from pliant.run.rows import gather

NAMES = [claim.id for claim in CLAIMS]
TRUTHS = {
    "supported": (made_truths.paper_sensitivity, made_truths.paper_variation),
    "refuted": (made_truths.other_sensitivity, made_truths.other_variation),
    "undecided": (made_truths.mixed_sensitivity, made_truths.mixed_variation),
}
PAPER = TRUTHS["supported"]


ROOT_OF_PROGRESS = [math.sqrt(math.log1p(step) / math.log1p(100)) for step in (1, 10)]
HALF = (1 + 9 * (0.5 - ROOT_OF_PROGRESS[0]) / (ROOT_OF_PROGRESS[1] - ROOT_OF_PROGRESS[0])) / 100
"""Of the steps, where the filters of the made truth have done half of their fall: on the line between 1 and 10."""
TASKS = ("labels", "random_labels", "random_images", "shuffled_pixels", "templates")


def of(seeds, figures, choices=("reference", MEMORISING), tasks=None):
    """The plan without the cells of the choices of training that are varied."""
    plan = fake_study.plan(seeds, figures)
    kept = [c for c in plan.cells if c.choice in choices and (tasks is None or c.task.kind in tasks)]
    return replace(plan, cells=tuple(kept))


def found(results) -> dict[str, Any]:
    return {finding.claim.id: finding for finding in judge(results)}


def rulings(results, *names) -> list[Any]:
    """The rulings on the claims named, under the reference alone."""
    curves = Curves(results)
    return [rule_on(CLAIMS[NAMES.index(name)], curves, Protocol()) for name in names]


@pytest.fixture(scope="module")
def made():
    plan = of(3, ("2a", "5a", "2d", "4c", "5b", "3b"), tasks=TASKS)
    return {name: found(fake_study.results(*truth, of=plan)) for name, truth in TRUTHS.items()}


@pytest.fixture(scope="module")
def single():
    """As the paper has it, one seed."""
    plan = of(1, ("2a", "5a", "2d", "4c", "5b", "3b"), tasks=TASKS)
    return found(fake_study.results(*PAPER, of=plan))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Real and random labels, as the paper has it."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    return fake_study.write(folder, *PAPER, of=of(2, ("2d", "5b"), tasks=("labels", "random_labels")))


@pytest.fixture(scope="module")
def read(trained):
    return Results.read(trained)


@pytest.fixture(scope="module")
def judged(read):
    return found(read)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("truth", TRUTHS)
def test_the_verdict_is_the_made_truth(made, truth, name):
    finding = made[truth][name]
    ruling = finding.reference
    assert finding.verdict == truth, ruling.reason
    assert ruling.interval.n == 3
    assert sorted(ruling.values) == [0, 1, 2]
    assert ruling.interval.estimate == pytest.approx(sum(ruling.values.values()) / 3)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("truth", TRUTHS)
def test_the_interval_has_the_level_that_the_reason_names(made, truth, name):
    ruling = made[truth][name].reference
    assert f"{100 * ruling.interval.level:.4g}% interval" in ruling.reason
    assert f"[{ruling.interval.low:.3f}, {ruling.interval.high:.3f}]" in ruling.reason


def test_levels_are_95_but_where_a_rule_has_its_own(made):
    def levels(truth):
        found = {name: finding.reference.interval.level for name, finding in made[truth].items()}
        return {name: round(1 - level, 6) for name, level in found.items() if level != 0.95}

    assert levels("supported") == {"similar_after": 0.1}
    # Corrected for the 3 steps of smoothing and of C, the 5 nets times 8 layers, the 5 nets.
    assert levels("refuted") == {
        "smoother_is_stabler_throughout": round(0.05 / 3, 6),
        "templates_smooth_monotone": round(0.05 / 3, 6),
        "training_smooths": 0.00125,
        "smoothing_monotone": 0.01,
    }


SEVERAL = {
    "smoother_is_stabler_throughout": ["0.2 to 0.3 pixels", "0.3 to 0.4 pixels", "0.4 to 0.5 pixels"],
    "templates_smooth_monotone": ["C = 1 to 2", "C = 2 to 3", "C = 3 to 4"],
    "training_smooths": [f"3x3 layer {layer} of {net}" for net in DOWNSAMPLING for layer in range(8)],
    "smoothing_monotone": list(DOWNSAMPLING),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("truth", TRUTHS)
def test_a_claim_on_several_statistics_keeps_all_and_names_the_one_shown(made, truth, name):
    ruling = made[truth][name].reference
    assert list(ruling.parts) == SEVERAL.get(name, [])
    if ruling.parts:
        named = [part for part in ruling.parts if f"interval of {part} " in ruling.reason]
        assert [ruling.parts[part] for part in named] == [ruling.values]


def test_the_layer_that_becomes_rougher_is_named(made):
    assert made["refuted"]["training_smooths"].reference.reason.startswith("the 99.88% interval of 3x3 layer 7 of ")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("pooling_lowers", math.log(0.1 / 0.2)),
        ("pooling_lowers_imagenet", math.log(0.1 / 0.2)),
        ("pooling_rises", math.log((0.303 * 0.306) ** 0.5 / 0.1)),
        ("templates_smooth_monotone", -0.1),
        ("random_labels_smoothness_depends", 0.2),
        ("when_smooth", HALF),
        ("smoothing_monotone", -0.03),
        ("training_smooths", math.log(1.557 / 1.857)),
        # Depths of layers 1 to 18 of 18 in eighteenths, their mean 19/36.
        ("smoother_is_stabler", -2 * 0.4 * 19 / 36),
        ("smoother_is_stabler_throughout", -2 * 0.1 * 19 / 36),
    ],
)
def test_the_estimate_is_the_made_truth(made, name, expected):
    assert made["supported"][name].reference.interval.estimate == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pooling_lowers", "lies below 0"),
        ("similar_after", "lies inside ±ln 1.25"),
        ("training_changes", "lies above ln 1.25"),
        ("random_labels_do_not_converge", "lies above ln 0.8"),
        ("random_labels_smoothness_depends", "lies above 0.05"),
    ],
)
def test_the_reason_gives_the_interval_and_the_threshold(made, name, reason):
    told = made["supported"][name].reference.reason
    level = "90% interval (two one-sided tests at 5%)" if name == "similar_after" else "95% interval"
    assert told.startswith(f"the {level} [")
    assert told.endswith(f"] {reason}")


def test_a_claim_is_judged_under_the_protocols_that_make_a_difference_to_it():
    counts = {claim.id: len(claim.protocols) for claim in CLAIMS}
    assert counts == {
        "pooling_lowers": 8 * 3,
        "pooling_lowers_imagenet": 8,
        "pooling_rises": 8 * 5,
        "rises_early": 8 * 5,
        "rises_late": 8 * 5,
        "training_changes": 8 * 5,
        "nets_converge": 8 * 5,
        "similar_after": 4 * 5,
        "similar_by_layer": 4 * 5,
        "spread_small_after": 4 * 5,
        "random_labels_do_not_converge": 8,
        "random_labels_differ": 4,
        "tasks_differ": 4,
        "random_images_differ": 8,
        "shuffled_pixels_differ": 8,
        "smoother_is_stabler": 8,
        "smoother_is_stabler_throughout": 8,
        "templates_smooth_monotone": 1,
        "training_smooths": 5,
        "random_labels_smoothness_depends": 1,
        "when_smooth": 5,
        "smoothing_monotone": 5,
    }
    assert all(claim.protocols[0] == Protocol() for claim in CLAIMS)


def test_titles_say_where_a_size_is_one_on_average_over_layers():
    sizes = [claim for claim in CLAIMS if claim.unit.endswith("sensitivities") or claim.unit.endswith("of sensitivity")]
    margins = [claim for claim in sizes if " ln " in f"{claim.rule}".replace("±", " ")]
    assert len(margins) == 7
    assert all("on average over layers" in claim.title for claim in margins)


def test_choices_of_training_that_were_not_run_do_not_count(made):
    finding = made["supported"]["nets_converge"]
    assert finding.holds == (8, 8)
    assert finding.flips == ()
    ruling = next(r for r in finding.rulings if r.protocol.training == "no weight decay")
    assert (ruling.verdict, ruling.interval, ruling.values) == ("not run", None, {})
    assert ruling.reason == ", ".join(
        f"subsample on labels, no weight decay, seed {seed}: not in the plan" for seed in range(3)
    )


def test_the_choice_that_changes_the_verdict_is_named():
    plan = of(3, ("2d", "4b"), choices=("reference", "no weight decay"))
    findings = found(fake_study.results(made_truths.untouched_sensitivity, made_truths.decaying_variation, of=plan))
    assert findings["pooling_rises"].verdict == "supported"
    assert findings["pooling_rises"].flips == ("batch norm untouched: refuted",)
    assert findings["pooling_rises"].holds == (8, 16)
    assert findings["training_smooths"].verdict == "supported"
    assert findings["training_smooths"].flips == ("no weight decay: refuted",)
    assert findings["training_smooths"].holds == (1, 2)


def test_statistics_of_other_images_can_decide_what_a_net_seems_to_have_learned():
    """Nets that learned shuffled pixels are as stable as the others once batch norm has seen real images."""

    def sensitivity(m):
        mistaken = m.progress == 1 and m.cell.task.kind == "shuffled_pixels" and m.batch_norm == "as_is"
        return (0.6 if mistaken else 0.3) * math.exp(0.002 * m.noise)

    plan = of(3, ("2c", "5b"), choices=("reference",), tasks=("labels", "shuffled_pixels"))
    finding = found(fake_study.results(sensitivity, made_truths.paper_variation, plan))["shuffled_pixels_differ"]
    assert finding.verdict == "supported"
    assert finding.flips == ("batch norm calibrated after training: refuted",)
    assert finding.holds == (4, 8)


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_is_undecided(single, name):
    ruling = single[name].reference
    assert (ruling.verdict, ruling.reason) == ("undecided", "one seed: an interval needs at least 2")
    assert ruling.interval.n == 1
    assert math.isnan(ruling.interval.low)


@pytest.mark.parametrize(
    ("variation", "share", "rougher", "verdict"),
    [
        (made_truths.rougher_variation, 1.0, set(DOWNSAMPLING), "refuted"),
        # One net of five never does half of a fall.
        (made_truths.one_rougher_variation, (4 * HALF + 1.0) / 5, {"strided"}, "supported"),
    ],
)
def test_a_net_that_becomes_rougher_counts(variation, share, rougher, verdict):
    plan = of(3, ("2d",), tasks=("labels",))
    results = fake_study.results(made_truths.paper_sensitivity, variation, of=plan)
    early, monotone, smooths = rulings(results, "when_smooth", "smoothing_monotone", "training_smooths")
    assert (early.verdict, early.interval.n) == (verdict, 3)
    assert early.interval.estimate == pytest.approx(share, abs=0.001)
    assert monotone.verdict == "refuted"
    assert {net for net, scores in monotone.parts.items() if min(scores.values()) > 0} == rougher
    assert any(f"interval of {net} " in monotone.reason for net in rougher)
    assert smooths.verdict == "refuted"


@pytest.mark.parametrize(
    ("spreads", "converge"), [(0.7, "supported"), (0.85, "refuted"), (1.1, "refuted")], ids=["less", "little", "more"]
)
def test_the_margins_of_convergence_do_not_contradict(spreads, converge):
    def sensitivity(m):
        spread = 0.2 * (1 + (spreads - 1) * m.progress)
        number = DOWNSAMPLING.index(m.cell.net.downsampling)
        return math.exp(spread * number - 2 + 0.002 * m.noise)

    plan = of(3, ("2d", "5b"), tasks=("labels", "random_labels"))
    results = fake_study.results(sensitivity, made_truths.paper_variation, of=plan)
    real, random = rulings(results, "nets_converge", "random_labels_do_not_converge")
    opposite = {"supported": "refuted", "refuted": "supported"}
    assert (real.verdict, random.verdict) == (converge, opposite[converge])


def test_nets_of_one_kind_that_end_apart_are_equal_in_the_contrast_alone():
    # Max pooling 1.6 times as sensitive, average pooling a 1.6th: their geometric mean is that of the others.
    factors = {"max_pool": 1.6, "average_pool": 1 / 1.6}

    def sensitivity(m):
        return 0.3 * factors.get(m.cell.net.downsampling, 1.0) ** m.progress * math.exp(0.002 * m.noise)

    plan = of(3, ("2d",), tasks=("labels",))
    results = fake_study.results(sensitivity, made_truths.paper_variation, of=plan)
    whole, layers, spread = rulings(results, "similar_after", "similar_by_layer", "spread_small_after")
    assert (whole.verdict, layers.verdict, spread.verdict) == ("supported", "supported", "refuted")
    assert spread.interval.estimate == pytest.approx(math.log(1.6) / math.sqrt(2), abs=0.01)


def test_what_memory_learns_is_compared_with_true_labels_that_were_learned_in_the_same_way():
    plan = of(2, ("2d", "5b"))
    pairs = {(c.net.downsampling, c.seed): {} for c in plan.cells}
    for cell in plan.cells:
        if cell.choice == MEMORISING or cell.task.kind == "random_labels":
            pairs[cell.net.downsampling, cell.seed][cell.task.kind] = cell
    for pair in pairs.values():
        assert pair["labels"].training == pair["random_labels"].training
        assert pair["labels"].task == replace(pair["random_labels"].task, kind="labels")

    def sensitivity(m):  # what memory learns ends where true labels do that are learned in the same way
        otherwise = m.cell.task.kind in ("labels", "shuffled_pixels") and m.cell.choice == "reference"
        spread = 0.05 if otherwise else 0.2
        level = spread * DOWNSAMPLING.index(m.cell.net.downsampling) + 2 * otherwise * m.progress
        return math.exp(level - 3 + 0.002 * m.noise)

    results = fake_study.results(sensitivity, made_truths.paper_variation, of=plan)
    differ, images, shuffled, apart = rulings(
        results, "tasks_differ", "random_images_differ", "shuffled_pixels_differ", "random_labels_differ"
    )
    assert (differ.verdict, images.verdict, shuffled.verdict) == ("refuted", "refuted", "refuted")
    assert apart.interval.estimate == pytest.approx(0, abs=0.05)


RANDOM = {
    "random_labels_do_not_converge",
    "random_labels_differ",
    "tasks_differ",
    "random_labels_smoothness_depends",
}
OF_ALL_NETS = RANDOM - {"random_labels_smoothness_depends"}


def test_nets_that_did_not_learn_random_labels_are_not_used():
    plan = of(3, ("2d", "5b"), tasks=("labels", "random_labels"))

    def fitted(cell):
        return (cell.task.kind, cell.net.downsampling) != ("random_labels", "strided") or cell.seed == 1

    findings = found(fake_study.results(*PAPER, of=plan, fitted=fitted))
    assert findings["random_labels_smoothness_depends"].reference.interval.n == 3
    for name in OF_ALL_NETS:
        assert list(findings[name].reference.values) == [1]
        assert findings[name].reference.reason == (
            "one seed: an interval needs at least 2; left out: "
            "strided on random_labels, seed 0: did not learn its task, "
            "strided on random_labels, seed 2: did not learn its task"
        )
    assert findings["nets_converge"].verdict == "supported"


def test_where_no_seed_learned_the_claim_is_not_fitted():
    plan = of(2, ("2d", "5b"), tasks=("labels", "random_labels"))
    results = fake_study.results(*PAPER, of=plan, fitted=lambda cell: cell.task.kind == "labels")
    for name, finding in found(results).items():
        assert (finding.verdict == "not fitted") == (name in RANDOM)
        if name in RANDOM:
            assert finding.reference.reason == ", ".join(
                f"subsample on random_labels, seed {seed}: did not learn its task" for seed in range(2)
            )
            assert (finding.holds, finding.flips, finding.reference.interval) == ((0, 0), (), None)


def test_claims_whose_nets_are_not_planned_are_not_run(judged):
    not_run = {name for name, finding in judged.items() if finding.verdict == "not run"}
    assert not_run == {
        "pooling_lowers_imagenet",
        "smoother_is_stabler",
        "smoother_is_stabler_throughout",
        "templates_smooth_monotone",
        "random_images_differ",
        "shuffled_pixels_differ",
    }
    assert judged["templates_smooth_monotone"].reference.reason == (
        "max_pool on templates, seed 0: not in the plan, max_pool on templates, seed 1: not in the plan"
    )
    assert judged["smoother_is_stabler"].reference.reason == (
        "strided_relu as drawn, seed 0: not in the plan, strided_relu as drawn, seed 1: not in the plan"
    )


def test_a_seed_that_lacks_a_net_is_left_out_and_named(trained, read, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "run")
    plan = read.plan
    lost, broken = (
        next(c for c in plan.cells if (c.task.kind, c.net.downsampling, c.seed) == key)
        for key in (("random_labels", "max_pool", 0), ("random_labels", "average_pool", 1))
    )
    shutil.rmtree(folder / lost.name)
    record = records.read_json(folder / broken.name / "record.json")
    records.write_json(folder / broken.name / "record.json", {**record, "status": "failed", "error": "loss is NaN"})
    gather(folder, plan)
    findings = found(Results.read(folder))
    assert findings["random_labels_smoothness_depends"].reference.reason == (
        "one seed: an interval needs at least 2; left out: average_pool on random_labels, seed 1: failed (loss is NaN)"
    )
    for name in OF_ALL_NETS:
        assert findings[name].verdict == "not run"
        assert findings[name].reference.reason == (
            "max_pool on random_labels, seed 0: not run yet, "
            "average_pool on random_labels, seed 1: failed (loss is NaN)"
        )
    assert findings["nets_converge"].verdict == "supported"


def test_a_course_of_two_moments_is_not_run(read):
    ends = replace(read, table=read.table[read.table["last"] | (read.table["step"] == 0)])
    ruling = next(finding for finding in judge(ends) if finding.claim.id == "when_smooth").reference
    first = [next(c.name for c in read.plan.cells if c.task.kind == "labels" and c.seed == s) for s in range(2)]
    assert ruling.verdict == "not run"
    assert ruling.reason == ", ".join(f"{run}: filters measured at 2 steps, a course needs at least 3" for run in first)


def test_a_protocol_that_was_not_measured_is_not_run(read):
    narrow = replace(read, table=read.table[read.table["metric"] != "euclidean"])
    finding = next(finding for finding in judge(narrow) if finding.claim.id == "pooling_lowers")
    assert finding.holds == (4, 4)
    ruling = next(r for r in finding.rulings if str(r.protocol) == "euclidean distance")
    first = [
        next(c.name for c in read.plan.cells if c.net.downsampling == "max_pool" and c.seed == s) for s in range(2)
    ]
    assert (ruling.verdict, ruling.reason) == (
        "not run",
        ", ".join(f"{run}: not measured under the protocol (euclidean distance)" for run in first),
    )


def test_undefined_layers_are_left_out_and_named():
    def sensitivity(m):
        lost = m.cell.net.downsampling == "strided" and m.depth == 1 and m.batch_norm == "calibrated"
        return (math.nan if m.cell.seed else 0.0) if lost else made_truths.paper_sensitivity(m)

    plan = of(2, ("2c",))
    results = fake_study.results(sensitivity, made_truths.paper_variation, of=plan)
    (ruling,) = rulings(results, "pooling_lowers")
    names = [cell.name for cell in plan.cells if cell.net.downsampling == "strided"]
    assert ruling.verdict == "supported"
    assert ruling.reason.endswith(
        f"lies below 0; undefined and left out: layer 12 of {names[0]}, layer 12 of {names[1]}"
    )


def test_a_statistic_without_any_defined_layer_is_undecided():
    plan = of(2, ("2c",))
    findings = found(fake_study.results(lambda m: math.nan, lambda m: math.nan, of=plan))
    for name, reason in {
        "pooling_lowers": "undefined: no layer has a value in all nets",
        "when_smooth": "undefined: no layer has a value in all nets",
        "training_smooths": "undefined: no layer has a total variation before and after training",
    }.items():
        ruling = findings[name].reference
        assert (ruling.verdict, ruling.interval, ruling.reason) == ("undecided", None, reason)


def test_filters_that_stay_as_they_are_do_not_become_smooth():
    results = fake_study.results(PAPER[0], lambda m: 1.857, of=of(2, ("2c",)))
    early, monotone = rulings(results, "when_smooth", "smoothing_monotone")
    assert (early.verdict, early.values) == ("refuted", {0: 1.0, 1: 1.0})
    assert (monotone.verdict, monotone.values) == ("undecided", {0: 0.0, 1: 0.0})


def test_values_are_one_number_for_each_seed(read):
    claim = CLAIMS[NAMES.index("pooling_lowers")]
    curves = Curves(read)
    expected = {seed: claim.of(Replicate(curves, Protocol(), seed)) for seed in (0, 1)}
    assert rule_on(claim, curves, Protocol()).values == expected
    assert rule_on(claim, curves, Protocol(training="no weight decay")).values == {}


def test_a_plan_of_two_widths_is_refused():
    plan = of(1, ("2c",))
    wide = replace(plan.cells[0], net=replace(plan.cells[0].net, width=0.5))
    results = fake_study.results(*PAPER, of=replace(plan, cells=(*plan.cells, wide)))
    with pytest.raises(InputError) as error:
        judge(results)
    assert str(error.value) == (
        f"the plan holds {plan.cells[0].name} and {wide.name}, which claims cannot tell apart: keep one plan for each "
        "width and data set"
    )


def test_a_layer_measured_twice_is_refused(read):
    rows = read.sensitivity()
    twice = replace(read, table=pd.concat([read.table, rows[:1]], ignore_index=True))
    with pytest.raises(InputError) as error:
        judge(twice)
    assert str(error.value) == (
        f"measurements.parquet holds layer 0 of {rows['run'][0]} twice: delete it and run again"
    )


def test_claims_json_holds_every_value_and_no_nan(trained, tmp_path):
    folder = shutil.copytree(trained, tmp_path / "run")
    findings = write_claims(folder)
    written = json.loads((folder / "claims.json").read_text())
    assert written == json.loads(json.dumps(to_json(Results.read(folder), findings)))
    assert written["runs"] == {"done": 30, "failed": 0, "missing": 0}
    assert [claim["id"] for claim in written["claims"]] == NAMES
    first = written["claims"][NAMES.index("similar_after")]
    assert first["verdict"] == "supported"
    assert first["supported_where"] == "the 90% interval (two one-sided tests at 5%) lies inside ±ln 1.25"
    assert first["rulings"][0]["interval"]["level"] == 0.9
    assert first["rulings"][0]["parts"] == {}
    layers = written["claims"][NAMES.index("training_smooths")]["rulings"][0]["parts"]
    assert list(layers) == SEVERAL["training_smooths"]
    assert all(sorted(values) == ["0", "1"] for values in layers.values())
    assert (first["holds"], first["judged"]) == (4, 4)
    assert sorted(first["rulings"][0]["values"]) == ["0", "1"]
    before = (folder / "claims.json").read_bytes()
    write_claims(folder)
    assert (folder / "claims.json").read_bytes() == before


def test_the_command_prints_the_verdicts_and_leaves_with_0(trained, judged, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    folder = shutil.copytree(trained, tmp_path / "run")
    (folder / "claims.json").unlink(missing_ok=True)
    assert show_claims(folder) == 0
    printed = capsys.readouterr().out
    for name in NAMES:
        assert f"{name}: " in printed
    similar = judged["similar_after"].reference
    ends = f"[{similar.interval.low:.3f}, {similar.interval.high:.3f}]"
    said = f"{similar.interval.estimate:.3f} {ends} at 90%, n = 2 · holds under 4 of 4"
    assert said in " ".join(printed.split())
    assert (
        "templates_smooth_monotone is not run: max_pool on templates, seed 0: not in the plan, max_pool on templates, "
        "seed 1: not in the plan." in " ".join(printed.split())
    )
    assert CAVEAT in " ".join(printed.split())
    assert f"Claims: {folder / 'claims.json'}" in printed
    assert (folder / "claims.json").exists()
