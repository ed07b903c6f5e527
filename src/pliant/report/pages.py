"""The pages: one HTML file each, with its script and its images inside; it opens without a network."""

import json
from collections.abc import Sequence
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

from pliant import records
from pliant.outcomes import ShiftConsistency
from pliant.paper.results import Results
from pliant.profile import Profile
from pliant.report import again, numbers, palette, wording, worst
from pliant.report.findings import headline_of, last, smoothing
from pliant.report.gallery import read_gallery
from pliant.report.left_out import LeftOut
from pliant.report.nets import AFTER, BEFORE, UNTOUCHED, Comparison
from pliant.report.sheet import Shown
from pliant.report.sides import Side, Sides

NAME = "report.html"
_PANELS = {UNTOUCHED: "Before training, batch norm untouched", BEFORE: "Before training, batch norm calibrated"}
_PANELS[AFTER] = "After training"


def comparison(folder: Path | str) -> Path:
    """Write the page of a run, folder/report.html, from its records; returns its path.

    Nets that are not finished are named and left out. Raises `InputError` where none is finished, a record is missing
    or damaged, or the folder cannot be written.
    """
    from pliant.report import curves
    from pliant.report.sheet import Look

    run = Comparison.read(folder)
    panels = [{"id": f"sensitivity-{'-'.join(moment)}", "title": _PANELS[moment]} for moment in run.moments]
    drawn = [curves.sensitivity(run, moment, Look()) for moment in run.moments]
    charts = {panel["id"]: chart for panel, chart in zip(panels, drawn, strict=True)}
    charts["smoothness"] = curves.smoothness(run, Look())
    charts["training"] = curves.training(run, Look(height=220))
    rows = numbers.of_run(run)
    return _write(
        run.folder / NAME,
        "study.html.jinja",
        charts,
        run=run,
        headline=headline_of(run),
        measuring=run.study.measuring,
        measured=max(profile.images for net in run.nets for profile in net.profiles.values()),
        switches=_switches(run.nets),
        panels=panels,
        moments=[(moment, _PANELS[moment]) for moment in run.moments],
        last=last,
        smoothing=smoothing(run),
        gallery=read_gallery(run.folder / "gallery.npz"),
        rows=rows,
        csv=numbers.csv(rows),
        smoothness=numbers.smoothness(run),
        course=numbers.course(run),
        command=again.command(run.study),
        python=again.python(run.study),
        plan=json.dumps(run.study.to_json(), indent=2),
        pairs=again.of_run(run),
        skipped=run.data["skipped"],
    )


def single(
    profile: Profile,
    out: Path | str,
    *,
    model: str,
    source: str,
    skipped: Sequence[LeftOut] = (),
    command: str = "",
    searched: worst.Found | None = None,
    shifted: ShiftConsistency | None = None,
) -> Path:
    """Write the page of one profile, out/report.html; returns its path.

    model: the name it was loaded under; source: where weights and images come from; skipped: images left out;
    command: what makes the page again; searched: what a search for the worst deformations has found; shifted: how
    often shifts of an image get the same answer.
    Raises `InputError` where the folder cannot be written.
    """
    from pliant.report.profile_curve import curve

    rows = numbers.of_profile(profile)
    highest = max((row.interval.estimate for row in rows if row.interval), default=0.0)
    return _write(
        Path(out) / NAME,
        "profile.html.jinja",
        {"curve": curve(profile)},
        profile=profile,
        model=model,
        source=source,
        skipped=skipped,
        command=command,
        rise=wording.rise(profile),
        without_intervals=wording.without_intervals(profile),
        rises_at=(wording.rises_most(profile) or (None,))[0],
        deformation=wording.deformation(profile.protocol),
        is_sensitivity=wording.is_sensitivity(profile),
        heading=wording.capitalised(profile.quantity),
        rows=rows,
        highest=highest,
        csv=numbers.csv(rows),
        worst=None if searched is None else _worst(searched),
        shifted=shifted,
        pairs=again.of_profile(profile),
        protocol=json.dumps({"protocol": profile.protocol, "provenance": profile.provenance}, indent=2),
    )


def models(sides: Sequence[Side], out: Path | str, *, command: str = "") -> Path:
    """Write the page of several models side by side, out/report.html; returns its path. `command` makes it again.

    Raises `InputError` for fewer than two models, profiles that are not comparable, and a folder that cannot be
    written.
    """
    from pliant.report import side_charts
    from pliant.report.sheet import Look

    found = Sides(sides)
    profile = found.first.profile
    return _write(
        Path(out) / NAME,
        "models.html.jinja",
        {"curves": side_charts.curves(found, Look()), "differences": side_charts.differences(found, Look(height=220))},
        sides=found,
        profile=profile,
        command=command,
        switches=_switches(found.all),
        deformation=wording.deformation(profile.protocol),
        is_sensitivity=wording.is_sensitivity(profile),
        heading=wording.capitalised(profile.quantity),
        csv=numbers.csv_of_sides(found),
        pairs=again.of_sides(found.all),
        skipped=[one for side in found.all for one in side.skipped],
        protocol=json.dumps(
            {side.title: {"protocol": side.profile.protocol, "provenance": side.profile.provenance} for side in sides},
            indent=2,
        ),
    )


def _worst(found: worst.Found) -> dict[str, Any]:
    return {
        "rows": worst.rows_of(found),
        "draws": found.worst.protocol["draws"],
        "how": worst.how(found),
        "bound": worst.BOUND,
        "furthest": worst.furthest(found),
        "csv": numbers.as_uri(found.to_pandas()),
    }


def study(folder: Path | str) -> Path:
    """Write the page of a study's run, folder/report.html, claims.json and the folder of figures; returns its path.

    Raises `InputError` where no run is finished, a record is damaged, or the folder cannot be written.
    """
    from pliant.report import verdicts

    results = Results.read(folder)
    content = verdicts.context(results)
    charts = content.pop("charts_by_name")
    return _write(results.folder / NAME, "verdicts.html.jinja", charts, **content)


def study_summary(folder: Path | str, out: Path | str) -> list[Path]:
    """Write a study's figures as SVG, a table of its verdicts and its numbers without raw samples into `out`."""
    from pliant.report import verdicts

    return verdicts.summary(Results.read(folder), out)


def _switches(nets: Sequence[Shown]) -> list[dict[str, str]]:
    kinds = [net.kind for net in nets]
    looks = zip(nets, palette.colours(kinds), palette.marks(kinds), strict=True)
    return [{"title": net.title, "colour": colour, "mark": mark} for net, colour, mark in looks]


def _write(path: Path, template: str, charts: dict[str, Any], **context: Any) -> Path:
    # Not checked against the schema of charts at each page: the tests do that.
    specifications = {
        name: {**chart.to_dict(validate=False), "config": palette.config()} for name, chart in charts.items()
    }
    page = _environment().get_template(template)
    return records.write_bytes(path, page.render(charts=specifications, bundle=_bundle(), **context).encode())


@cache
def _bundle() -> Any:
    """Vega, Vega-Lite and Vega-Embed as one script: the version that the specifications are written for."""
    import altair
    import vl_convert
    from markupsafe import Markup

    version = ".".join(altair.SCHEMA_VERSION.split(".")[:2])
    # A closing tag in a string of the script would end the script.
    return Markup(
        vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed", version).replace("</script", "<\\/script")
    )


@cache
def _environment() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pliant.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value, decimals=3: f"{value:.{decimals}f}" if isfinite(value) else "none"
    environment.filters["count"] = lambda value: f"{value:,}"
    # A NaN among the charts would keep a browser from reading any of them.
    environment.policies["json.dumps_kwargs"] = {"sort_keys": True, "allow_nan": False}
    return environment
