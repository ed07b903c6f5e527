"""The figures of Ruderman et al. 2018, drawn with matplotlib from a run's records alone: nothing is computed here."""

import io
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import matplotlib
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from pliant import records
from pliant._checks import unknown
from pliant.paper.figures import course, deformation, panels, templates
from pliant.paper.look import STYLE
from pliant.paper.results import Results

FIGURES: dict[str, Callable[[Results], Figure]] = {
    "1": deformation.generation,
    "2": partial(panels.draw, rows=(("2a", "2b"), ("2c", "2d"))),
    "2a": partial(panels.draw, rows=(("2a",),)),
    "2b": partial(panels.draw, rows=(("2b",),)),
    "2c": partial(panels.draw, rows=(("2c",),)),
    "2d": partial(panels.draw, rows=(("2d",),)),
    "3": templates.draw,
    "3a": templates.examples,
    "3b": partial(panels.draw, rows=(("3b",),)),
    "4": partial(panels.draw, rows=(("4a", "4b", "4c"),)),
    "4a": partial(panels.draw, rows=(("4a",),)),
    "4b": partial(panels.draw, rows=(("4b",),)),
    "4c": partial(panels.draw, rows=(("4c",),)),
    "5": partial(panels.draw, rows=(("5a",), ("5b",))),
    "5a": partial(panels.draw, rows=(("5a",),)),
    "5b": partial(panels.draw, rows=(("5b",),)),
    "A1": partial(deformation.rigid, kind="pose"),
    "A2": partial(deformation.rigid, kind="translation"),
    "A3": partial(deformation.rigid, kind="rotation"),
    "course": course.draw,
}
"""Figures in the paper's arrangement, and each of their panels alone."""

WHOLE = ("1", "2", "3", "4", "5", "A1", "A2", "A3", "course")
"""The figures that `draw` writes unless it is told otherwise; the others are their panels."""

_DPI = 110  # of photographs, so that a figure of them stays below 1 MB


def draw(results: Results, folder: Path | str, names: Sequence[str] | None = None) -> list[Path]:
    """Write figures as SVG and PDF into `folder`, made if missing; returns their paths.

    names: of `FIGURES`, as "2" or "2a"; those of `WHOLE` if not given. The same results give the same bytes.
    What was not run, or failed, is said in the figure. Raises `InputError` for an unknown name, before any is written.
    """
    chosen = WHOLE if names is None else names
    for name in chosen:
        if name not in FIGURES:
            raise unknown("figure", name, FIGURES)
    written = []
    for name in chosen:
        figure = FIGURES[name](results)
        with matplotlib.rc_context(STYLE):
            figure.draw_without_rendering()
        figure.set_layout_engine("none")  # the parts have their places, the same in both files
        figure.set_dpi(_DPI)
        svg, pdf = io.BytesIO(), io.BytesIO()
        with matplotlib.rc_context(STYLE):
            # Not `savefig`, which draws everything once more to find out what has its place already.
            FigureCanvasSVG(figure).print_svg(svg, metadata={"Date": None})
            FigureCanvasPdf(figure).print_pdf(pdf, metadata={"CreationDate": None})
        for kind, buffer in (("svg", svg), ("pdf", pdf)):
            written.append(records.write_bytes(Path(folder) / f"figure-{name}.{kind}", buffer.getvalue()))
    return written
