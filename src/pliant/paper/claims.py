"""The claims of Ruderman et al. 2018 and of our course of training, as code: `judge(results)` gives the verdicts.

Each claim is judged at 5% on its own, with no correction for their number: `CAVEAT`, for whoever prints verdicts.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pliant import records
from pliant.paper import statistics
from pliant.paper.plans import CONTROLS, MEMORISING, REFERENCE
from pliant.paper.protocols import AFTER, BEFORE, SEEN_UNTRAINED, TRAININGS, UNUSUAL, protocols
from pliant.paper.replicate import Curves
from pliant.paper.results import Results
from pliant.paper.ruling import Claim, Finding, rule_on
from pliant.paper.statistics import BEHIND_INPUT, EARLY, LATE
from pliant.paper.verdict import Above, AllBelow, Below, Inside, number, ratio

CAVEAT = "Each claim is judged at 5% on its own, with no correction for the number of claims."

_LN = "ln of a ratio of sensitivities"
_TV = "normalised total variation"
_CHANGE = "ln of the sensitivity after over before training, mean over the pooling nets (max_pool, average_pool) and "
_SPREAD = (
    "spread being the standard deviation over the five nets of ln sensitivity, mean over the layers from the first "
    "downsampling on"
)
_ALIKE = "learned from as many images, in as many epochs, without weight decay either (not the nets of Figure 2d)"
_DIRECTED = (
    "ratios taken in the direction that each net and layer has on average in the other seeds, so that noise between "
    "seeds does not add up to a difference"
)
_CONTROL = (
    "ln of the sensitivity after training on such images over that after training on real ones, both measured on the "
    f"same real images, mean over max_pool and strided_relu and the layers behind the input, {_DIRECTED}"
)
_EACH = "each judged for itself over the seeds, the one that decides being shown"
_CONTRAST = (
    "ln of the sensitivity of the pooling nets (max_pool, average_pool) over that of the others (subsample, strided, "
    "strided_relu), geometric means over nets"
)

CLAIMS = (
    Claim(
        id="pooling_lowers",
        title="Before training, nets with pooling are more stable than nets without.",
        source="claim 4, Figure 2c",
        statistic=f"{_CONTRAST}, mean over the layers from the first downsampling on, before training",
        unit=_LN,
        rule=Below(number(0)),
        of=statistics.pooling_against_others,
        protocols=protocols(BEFORE, SEEN_UNTRAINED),
    ),
    Claim(
        id="pooling_lowers_imagenet",
        title="Before training, the ImageNet net with pooling is more stable than the one without.",
        source="claim 4, Figure 2a",
        statistic="ln of the sensitivity of max_pool over that of strided_relu on photographs, mean over the layers "
        "from the first downsampling on, before training",
        unit=_LN,
        rule=Below(number(0)),
        of=statistics.pooling_against_others_photographs,
        protocols=protocols(BEFORE),
    ),
    Claim(
        id="pooling_rises",
        title="Training makes nets with pooling less stable than they were.",
        source="claim 4, Figures 2c and 2d",
        statistic=f"{_CHANGE}the layers behind the input",
        unit=_LN,
        rule=Above(number(0)),
        of=lambda at: statistics.pooling_change(at, BEHIND_INPUT),
        protocols=protocols(BEFORE, TRAININGS),
    ),
    Claim(
        id="rises_early",
        title="Training makes the early layers of nets with pooling less stable than they were.",
        source="claim 4, Figures 2c and 2d, layers 1 to 6",
        statistic=f"{_CHANGE}the layers of the first two blocks",
        unit=_LN,
        rule=Above(number(0)),
        of=lambda at: statistics.pooling_change(at, EARLY),
        protocols=protocols(BEFORE, TRAININGS),
    ),
    Claim(
        id="rises_late",
        title="Training makes the late layers of nets with pooling less stable than they were.",
        source="claim 4, Figures 2c and 2d, layers 7 to 12",
        statistic=f"{_CHANGE}the layers of the last two blocks",
        unit=_LN,
        rule=Above(number(0)),
        of=lambda at: statistics.pooling_change(at, LATE),
        protocols=protocols(BEFORE, TRAININGS),
    ),
    Claim(
        id="training_changes",
        title="Training changes the stability of layers a lot: by a quarter or more on average over layers.",
        source="claim 2, Figures 2c and 2d",
        statistic="ln of the sensitivity after over before training, mean over the five nets and the layers behind the "
        f"input, {_DIRECTED}",
        unit=_LN,
        rule=Above(ratio(1.25)),
        of=statistics.size_of_change,
        protocols=protocols(BEFORE, TRAININGS),
    ),
    Claim(
        id="nets_converge",
        title="Training brings the five nets together: their spread falls by a fifth or more.",
        source="claim 3, Figures 2c and 2d",
        statistic=f"ln of the spread after over before training, {_SPREAD}; the margin is the one above which random "
        "labels count as not bringing the nets together",
        unit="ln of a ratio of spreads",
        rule=Below(ratio(0.8)),
        of=statistics.change_of_spread,
        protocols=protocols(BEFORE, TRAININGS),
    ),
    Claim(
        id="similar_after",
        title="After training, nets with and without pooling are equally stable on average over layers.",
        source="claim 3, Figure 2d",
        statistic=f"{_CONTRAST}, mean over the layers from the first downsampling on, after training",
        unit=_LN,
        rule=Inside(ratio(1.25)),
        of=statistics.pooling_against_others_after,
        protocols=protocols(AFTER, TRAININGS),
    ),
    Claim(
        id="similar_by_layer",
        title="After training, a layer is about as stable with pooling as without: within a quarter, on average over "
        "layers.",
        source="claim 3, Figure 2d",
        statistic=f"{_CONTRAST}, mean over the layers from the first downsampling on, after training, the ratio taken "
        "in the direction that each layer has on average in the other seeds, so that noise between seeds does not add "
        "up to a difference",
        unit=_LN,
        rule=Below(ratio(1.25)),
        of=statistics.pooling_apart_after,
        protocols=protocols(AFTER, TRAININGS),
    ),
    Claim(
        id="spread_small_after",
        title="After training the five nets have about the same sensitivity, on average over layers.",
        source="claim 3, Figure 2d",
        statistic="the standard deviation over the five nets of ln sensitivity, mean over the layers from the first "
        "downsampling on, after training: two nets of one kind that differ in opposite directions count, too",
        unit="ln of sensitivity",
        rule=Below(ratio(1.25)),
        of=statistics.spread_after,
        protocols=protocols(AFTER, TRAININGS),
    ),
    Claim(
        id="random_labels_do_not_converge",
        title="Training on random labels does not bring the five nets together: their spread does not fall by a fifth.",
        source="claim 3, Figure 5b",
        statistic=f"ln of the spread after over before training on random labels, {_SPREAD}; the margin is the one "
        "below which real labels count as bringing the nets together",
        unit="ln of a ratio of spreads",
        rule=Above(ratio(0.8)),
        of=lambda at: statistics.change_of_spread(at, "random_labels"),
        protocols=protocols(BEFORE),
    ),
    Claim(
        id="random_labels_differ",
        title="The five nets end further apart on random labels than on real ones.",
        source="claim 3, Figures 2d and 5b",
        statistic=f"ln of the spread after training on random labels over that after training on real ones, {_ALIKE}; "
        f"{_SPREAD}",
        unit="ln of a ratio of spreads",
        rule=Above(number(0)),
        of=statistics.spread_of_random_labels,
        protocols=protocols(AFTER),
    ),
    Claim(
        id="tasks_differ",
        title="Different tasks end with different stability: random and real labels a quarter or more apart, on "
        "average over layers.",
        source="claim 1, Figures 2d and 5b",
        statistic=f"ln of the sensitivity after training on random labels over that on real ones, {_ALIKE}; mean over "
        f"the five nets and the layers behind the input, {_DIRECTED}",
        unit=_LN,
        rule=Above(ratio(1.25)),
        of=statistics.difference_of_tasks,
        protocols=protocols(AFTER),
    ),
    Claim(
        id="random_images_differ",
        title="Nets that learned images of random pixels end with other stability than nets that learned real ones: a "
        "quarter or more apart, on average over layers.",
        source="claim 1, random images beside Figure 5b: a control that the paper's text names",
        statistic=f"{_CONTROL}; real images {_ALIKE}",
        unit=_LN,
        rule=Above(ratio(1.25)),
        of=lambda at: statistics.difference_of_tasks(at, "random_images", MEMORISING, CONTROLS),
        protocols=protocols(UNUSUAL),
    ),
    Claim(
        id="shuffled_pixels_differ",
        title="Nets that learned images with shuffled pixels end with other stability than nets that learned them as "
        "they are: a quarter or more apart, on average over layers.",
        source="claim 1, shuffled pixels beside Figure 2d: beyond the paper, a control that keeps what each image is "
        "made of",
        statistic=_CONTROL,
        unit=_LN,
        rule=Above(ratio(1.25)),
        of=lambda at: statistics.difference_of_tasks(at, "shuffled_pixels", REFERENCE, CONTROLS),
        protocols=protocols(UNUSUAL),
    ),
    Claim(
        id="smoother_is_stabler",
        title="Smoother filters make an untrained net more stable.",
        source="claim 2, Figure 5a",
        statistic="ln of the sensitivity with initial filters smoothed by 0.5 pixels over that with 0.1, mean over the "
        "layers behind the input",
        unit=_LN,
        rule=Below(number(0)),
        of=statistics.smoothest_against_roughest,
        protocols=protocols(BEFORE),
    ),
    Claim(
        id="smoother_is_stabler_throughout",
        title="From 0.2 pixels on, each step of smoothing makes an untrained net more stable.",
        source="claim 2, Figure 5a",
        statistic="the steps of ln sensitivity (mean over the layers behind the input) from 0.2 to 0.3, to 0.4 and to "
        f"0.5 pixels, {_EACH}",
        unit=_LN,
        rule=AllBelow(number(0)),
        of=statistics.steps_of_smoothing,
        protocols=protocols(BEFORE),
    ),
    Claim(
        id="templates_smooth_monotone",
        title="The stronger the deformations that a net learns to ignore, the smoother its filters.",
        source="claim 2, Figure 3b",
        statistic="the steps of total variation (mean over the 3x3 layers) from each strength C of the templates' "
        f"deformations to the next, {_EACH}",
        unit=_TV,
        rule=AllBelow(number(0)),
        of=statistics.steps_of_templates,
        protocols=protocols(),
    ),
    Claim(
        id="training_smooths",
        title="Training makes the filters of every layer of every net smoother than they were.",
        source="claim 2, Figure 4b",
        statistic="ln of the total variation after over before training of each 3x3 layer of each of the five nets, "
        f"{_EACH}",
        unit="ln of a ratio of total variations",
        rule=AllBelow(number(0)),
        of=statistics.change_of_each_layer,
        protocols=protocols((), TRAININGS),
    ),
    Claim(
        id="random_labels_smoothness_depends",
        title="On random labels, how smooth the filters become depends on the downsampling: subsampling ends rougher "
        "than average pooling.",
        source="claim 3, Figure 4c",
        statistic="total variation (mean over the 3x3 layers) after training on random labels, of subsample minus that "
        "of average_pool, the paper's roughest and smoothest net",
        unit=_TV,
        rule=Above(number(0.05)),
        of=statistics.range_on_random_labels,
        protocols=protocols(),
    ),
    Claim(
        id="when_smooth",
        title="Filters become smooth early: on average over the nets, half of the fall is reached within the first "
        "0.35 of the steps.",
        source="beyond the paper: the course of training",
        statistic="the share of all steps at which total variation (mean over the 3x3 layers) first has done half of "
        "its fall, on lines between the steps at which it is read, 1 for a net that does not fall, mean over the five "
        "nets",
        unit="share of training steps",
        rule=Below(number(0.35)),
        of=statistics.half_way,
        protocols=protocols((), TRAININGS),
    ),
    Claim(
        id="smoothing_monotone",
        title="The filters of every net become smoother all along, but for rises below a tenth of the fall.",
        source="beyond the paper: the course of training",
        statistic="the largest rise of total variation (mean over the 3x3 layers) from one step to any later one, of "
        "those at which it is read, minus a tenth of the whole fall, of each of the five nets, "
        f"{_EACH}; not below 0 for a net that does not fall",
        unit=_TV,
        rule=AllBelow(number(0)),
        of=statistics.rises,
        protocols=protocols((), TRAININGS),
    ),
)


def judge(results: Results) -> list[Finding]:
    """What the results say of each claim, in the order of `CLAIMS`; claims whose nets are missing say so.

    Raises `InputError` for a plan whose cells the claims cannot tell apart.
    """
    curves = Curves(results)
    return [Finding(claim, tuple(rule_on(claim, curves, protocol) for protocol in claim.protocols)) for claim in CLAIMS]


def to_json(results: Results, findings: Sequence[Finding]) -> dict[str, Any]:
    """A JSON object: the plan that was run and how far, and the findings."""
    return {
        "schema": records.SCHEMA,
        "plan": results.plan.identity,
        "name": results.plan.name,
        "scale": results.plan.scale,
        "runs": {"done": len(results.records), "failed": len(results.failed), "missing": len(results.missing)},
        "claims": [finding.to_json() for finding in findings],
    }


def write_claims(folder: Path | str) -> list[Finding]:
    """Judge the run in `folder` and write its claims.json; returns the findings. Errors are those of `Results.read`."""
    results = Results.read(folder)
    findings = judge(results)
    records.write_json(Path(folder) / "claims.json", to_json(results, findings))
    return findings
