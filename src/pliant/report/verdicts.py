"""The page of a study: verdicts first, each with its figures, its protocols and what it was computed from."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pliant import records
from pliant.paper import figures, published
from pliant.paper.claims import CAVEAT, to_json, write_claims
from pliant.paper.figures.averages import Panel, averages, remarks
from pliant.paper.figures.panels import CONTROLLED, PANELS
from pliant.paper.look import NETS
from pliant.paper.plans import PHOTOGRAPHS
from pliant.paper.results import Results
from pliant.paper.ruling import Finding
from pliant.paper.verdict import LEVEL, percent
from pliant.plan import Cell
from pliant.report.course_chart import sheets
from pliant.report.panel_chart import chart
from pliant.report.spreads import spreads
from pliant.stats import Interval, student

DRAWN = ("1", "3a", "A1", "A2", "A3")
"""Figures that are pictures: they stand on the page as they were drawn for print."""
_PREPARED = {
    "image": "each image standardised",
    "dataset": "standardised by the training images",
    "unit": "pixels in [0, 1]",
}
_ORDER = ("supported", "refuted", "undecided", "not fitted", "not run")


@dataclass(frozen=True)
class Shown:
    """A panel on the page: its anchor, the chart's, why it is empty where it is, and what to know of its runs."""

    panel: Panel
    anchor: str
    why: str
    remark: str


def context(results: Results) -> dict[str, Any]:
    """What the template of a study needs; writes claims.json and the folder of figures on the way."""
    findings = write_claims(results.folder)
    paths = figures.draw(results, results.folder / "figures", list(dict.fromkeys([*figures.WHOLE, *DRAWN])))
    drawn = {path.stem.removeprefix("figure-"): path for path in paths if path.suffix == ".svg"}
    panels, charts = [], {}
    for name, of in PANELS.items():
        for number, panel in enumerate(of):
            anchor = f"figure-{name.replace(' ', '-')}" + ("" if number == 0 else "-beside")
            found = [] if panel.cannot else averages(results, panel)
            if found:
                charts[f"chart-{anchor}"] = chart(results, panel, found)
            why = panel.cannot or ("" if found else "the plan has no nets for it")
            panels.append(Shown(panel, anchor, why, "" if why else remarks(results, panel, found)))
    courses = sheets(results)
    charts |= {over.anchor: over.chart for of in courses for over in of.trainings}
    return {
        "results": results,
        "findings": findings,
        "counts": [(verdict, count) for verdict in _ORDER if (count := _count(findings, verdict))],
        "headline": headline(findings),
        "figures_of": {finding.claim.id: _named(finding.claim.source) for finding in findings},
        "panels": panels,
        "courses": courses,
        "drawn": [(name, _inline(drawn[name], name)) for name in DRAWN],
        "charts_by_name": charts,
        "accuracy": accuracies(results),
        "spreads": spreads(results),
        "pairs": facts(results),
        "source": f"{published.source()}; {published.reading_error()}",
    }


def headline(findings: list[Finding]) -> str:
    """One sentence: how many claims are borne out, and how many of those under every protocol."""
    decided = [finding for finding in findings if finding.verdict in ("supported", "refuted")]
    supported = [f for f in decided if f.verdict == "supported"]
    several = [f for f in supported if f.holds[1] > 1]
    firm = [f for f in several if f.holds[0] == f.holds[1]]
    parts = [f"{_count(findings, verdict)} {verdict}" for verdict in _ORDER if _count(findings, verdict)]
    return (
        f"Of {len(findings)} claims {', '.join(parts)}. Of those supported, {len(several)} could be judged under more "
        f"than one protocol, and {len(firm)} hold under all of theirs."
    )


def summary(results: Results, folder: Path | str) -> list[Path]:
    """Write what a page about the run needs into `folder`: the figures as SVG, claims.md with a table of the verdicts,
    claims.json with the numbers of every protocol, and measurements.parquet without the raw samples; returns the paths.
    """
    folder = Path(folder)
    scratch = results.folder / "figures"
    drawn = [path for path in figures.draw(results, scratch) if path.suffix == ".svg"]
    written = [records.write_bytes(folder / path.name, path.read_bytes()) for path in drawn]
    findings = write_claims(results.folder)
    written.append(records.write_bytes(folder / "claims.md", claims_table(findings).encode()))
    written.append(records.write_json(folder / "claims.json", _brief(to_json(results, findings))))
    columns = ["run", "step", "batch_norm", "padding", "layer_index", "layer", "metric", "item", "value"]
    table = results.table.reindex(columns=columns).astype({"value": "float32"})
    return [*written, records.write_table(folder / "measurements.parquet", table)]


def claims_table(findings: Sequence[Finding]) -> str:
    """A Markdown table that can be read alone: each claim with its verdict, estimate, interval, unit, seeds, when it
    counts as supported, and how far it holds.
    """
    heads = ["claim", "verdict", "estimate, interval over seeds", "unit", "seeds", "supported where"]
    heads += ["holds under", "changed by"]
    rows = [heads, ["---", "---", "---:", "---", "---:", "---", "---:", "---"]]
    for finding in findings:
        found, (holds, judged) = finding.reference.interval, finding.holds
        rows.append(
            [
                finding.claim.title,
                f"**{finding.verdict}**",
                _estimate(found),
                finding.claim.unit,
                "" if found is None else str(found.n),
                str(finding.claim.rule),
                f"{holds} of {judged}" if judged else "",
                "; ".join(finding.flips),
            ]
        )
    return "".join(f"| {' | '.join(cell.replace('|', '/') for cell in row)} |\n" for row in rows)


def _estimate(found: Interval | None) -> str:
    """ "0.123 [0.100, 0.150] at 90%": the level where it is not the usual one, no ends where there is one seed."""
    if found is None:
        return ""
    level = "" if found.level == LEVEL else f" at {percent(found.level)}"
    return f"{found.estimate:.3f}" + (f" [{found.low:.3f}, {found.high:.3f}]{level}" if isfinite(found.low) else "")


def _brief(claims: dict[str, Any]) -> dict[str, Any]:
    """claims.json with numbers of five digits, those of single seeds under the reference alone."""
    for claim in claims["claims"]:
        for number, ruling in enumerate(claim["rulings"]):
            del ruling["protocol"]  # `differs_in` says it
            for name in ("values", "parts", "reason") if number else ():
                del ruling[name]
    return _rounded(claims)


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _rounded(held) for name, held in value.items()}
    if isinstance(value, list):
        return [_rounded(held) for held in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def accuracies(results: Results) -> list[dict[str, Any]]:
    """Accuracy after training of each task, choice and net, with Student's intervals over seeds."""
    table = results.accuracy(last=True)
    if table.empty:
        return []
    keys = ["task", "reach", "choice", "downsampling"]
    wide = table.pivot_table(index=[*keys, "run"], columns="item", values="value").reset_index()
    rows = []
    for _, part in wide.groupby(keys, sort=True):
        task, reach, choice, net = (part[key].iloc[0] for key in keys)
        unfitted = sum(not results.fitted(str(run)) for run in part["run"])
        title = NETS[net].title if net in NETS else net
        rows.append(
            {
                "task": str(task).replace("_", " ") + (f", C = {reach:g}" if reach else ""),
                "choice": choice,
                "net": title,
                "train": _over_seeds(part, "train"),
                "test": _over_seeds(part, "test"),
                "n": len(part),
                "unfitted": unfitted,
            }
        )
    return rows


def facts(results: Results) -> list[tuple[str, str]]:
    """Plan, data, machine and versions, and how far the run got."""
    plan, done = results.plan, list(results.records.values())
    source = done[0]["provenance"]
    data = sorted({cell.task.data for cell in plan.cells})
    seeds = sorted({cell.seed for cell in plan.cells})
    seconds = sum(record["seconds"] for record in done)
    return [
        ("Plan", f"{plan.name}, scale {plan.scale or 'own'}, {plan.identity}"),
        ("Runs", f"{len(done)} done, {len(results.failed)} failed, {len(results.missing)} missing"),
        ("Data", ", ".join(data)),
        ("Seeds", ", ".join(map(str, seeds))),
        ("Nets", _spelled({f"{c.net.family} net, width {c.net.width:g}" for c in plan.cells})),
        ("Training", _spelled({_training(c) for c in plan.cells if c.training is not None})),
        ("Measuring", _spelled({_measuring(c) for c in plan.cells})),
        *([("Photographs", PHOTOGRAPHS)] if "photographs" in data else []),
        ("Multiplicity", CAVEAT),
        ("Threads a run", str(plan.threads)),
        ("Time", f"{seconds / 60:.0f} minutes of runs, one after the other"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in sorted(source["versions"].items()))),
        ("pliant", f"{source['pliant']}, commit {source['commit'] or 'not run from a checkout'}"),
        ("Machine", f"{source['platform']}, {source.get('device', 'unknown')}"),
    ]


def _training(cell: Cell) -> str:
    training = cell.training
    assert training is not None
    images = "all" if cell.task.limit is None else f"{cell.task.limit:,}"
    extra = (", flips" if training.flip else "") + (f", crops of {training.crop} px" if training.crop else "")
    return (
        f"{cell.task.kind.replace('_', ' ')} ({cell.choice}): {images} images, {training.epochs} epochs, batch "
        f"{training.batch_size}, peak rate {training.peak_rate:g}, weight decay {training.weight_decay:g}{extra}, "
        f"{_PREPARED[cell.task.preprocessing]}"
    )


def _measuring(cell: Cell) -> str:
    m = cell.measuring
    return (
        f"{cell.net.family} nets on {m.images} images in blocks of {m.block}, thin plate of {m.grid}x{m.grid} points, "
        f"reach {m.reach:g} px; {' and '.join(cell.metrics)} distance; "
        f"outside of the image {' and '.join(cell.paddings)}"
    )


def _spelled(values: set[str]) -> str:
    return "; ".join(sorted(values))


def _count(findings: list[Finding], verdict: str) -> int:
    return sum(finding.verdict == verdict for finding in findings)


def _named(source: str) -> list[str]:
    """The panels that a claim's source names: "claim 4, Figures 2c and 2d" -> ["2c", "2d"]."""
    found = re.findall(r"\b(?:[1-5][a-d]|A[1-3])\b", source)
    return [*(name for name in ("course", *CONTROLLED) if name in source), *found]


def _inline(path: Path, name: str) -> str:
    """The drawing as it stands in a page: without the XML head, its inner names made its own."""
    text = path.read_text()
    text = text[text.index("<svg") :]
    for mark in ('id="', 'href="#', "url(#"):
        text = text.replace(mark, f"{mark}f{name}-")
    return text


def _over_seeds(part: pd.DataFrame, item: str) -> Interval | None:
    values = part[item].dropna().to_numpy(float) if item in part else np.empty(0)
    return student(values) if len(values) else None
