"""The charts of a run as SVG files, for a README or a paper."""

from pathlib import Path

from pliant import records
from pliant.report import palette
from pliant.report.nets import AFTER, BEFORE, Comparison


def figures(folder: Path | str, out: Path | str) -> list[Path]:
    """Write the charts of a run into `out` as SVG: sensitivity.svg (before, calibrated | after) and smoothness.svg.

    Returns their paths. Raises `InputError` as `Comparison.read` does, or where `out` cannot be written.
    """
    import altair as alt
    import vl_convert

    from pliant.report import curves
    from pliant.report.sheet import Look

    run, out = Comparison.read(folder), Path(out)
    titles = {BEFORE: "Before training (calibrated batch norm)", AFTER: "After training"}
    panels = [
        curves.sensitivity(run, moment, Look(430, 280, legend=True, title=title)) for moment, title in titles.items()
    ]
    charts = {
        "sensitivity.svg": alt.hconcat(*panels, spacing=28),
        "smoothness.svg": curves.smoothness(run, Look(560, 280, legend=True)),
    }
    return [
        records.write_bytes(
            out / name,
            vl_convert.vegalite_to_svg(
                {**chart.to_dict(validate=False), "config": palette.config("sans-serif")}
            ).encode(),
        )
        for name, chart in charts.items()
    ]
