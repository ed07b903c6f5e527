"""The page that a figure stands on: its size, panel titles, legend, caption, and panels with nothing to show."""

import textwrap
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Literal

import matplotlib
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, FigureBase
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from pliant.paper.look import MUTED, RULE, STYLE, WARNING, WIDTH, Look
from pliant.paper.results import Results

Draw = Callable[..., Figure]


def styled(draw: Draw) -> Draw:
    """The same drawing function under `look.STYLE`, whatever the caller's own settings of matplotlib are."""

    @wraps(draw)
    def drawn(*arguments: object, **named: object) -> Figure:
        with matplotlib.rc_context(STYLE):
            return draw(*arguments, **named)

    return drawn


def sheet(height: float, width: float = WIDTH) -> Figure:
    """An empty figure of a page's width, inches, that finds room for its parts; no window, no global state."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def album(height: float) -> Figure:
    """An empty figure of a page's width, inches, on which pictures are `placed`."""
    figure = Figure(figsize=(WIDTH, height))
    FigureCanvasAgg(figure)
    return figure


def placed(figure: Figure, left: float, top: float, side: float) -> Axes:
    """Square axes, inches from the left and the top of the figure."""
    width, height = figure.get_size_inches()
    return figure.add_axes((left / width, 1 - (top + side) / height, side / width, side / height))


def title(ax: Axes, letter: str, text: str, subtitle: str = "") -> None:
    """The letter of the panel with its title, and a quieter second line."""
    ax.set_title(f"{letter}  {text}".strip(), pad=13 if subtitle else 4)
    if subtitle:
        ax.annotate(
            subtitle, (0, 1), (0, 3.5), xycoords="axes fraction", textcoords="offset points", fontsize=6.5, color=MUTED
        )


def not_run(ax: Axes, why: str) -> None:
    """Say in the panel that it was not run, and why."""
    ax.set(xticks=[], yticks=[])
    ax.grid(False)
    for spine in ax.spines.values():
        spine.set(visible=True, linestyle=(0, (4, 4)), color=RULE)
    place = ax.get_subplotspec()
    beside = place is not None and place.get_gridspec().ncols > 1
    text = textwrap.fill(f"not run: {why}", 28 if beside else 50)
    ax.text(0.5, 0.5, text, transform=ax.transAxes, ha="center", va="center", color=MUTED)


def remark(ax: Axes, text: str) -> None:
    """Below the panel, about runs that are not as they should be."""
    ax.annotate(
        textwrap.fill(text, 48), (0, 0), (0, -28), xycoords="axes fraction", textcoords="offset points",
        fontsize=5.8, color=WARNING, va="top",
    )  # fmt: skip


def legend(
    figure: FigureBase,
    looks: Iterable[Look],
    place: Literal["outside upper left", "outside upper right"] = "outside upper left",
    columns: int = 4,
    band: bool | None = None,
) -> None:
    """A legend above all panels. band: whether there are bands, None where a second legend says it."""
    handles: list[Any] = [Line2D([], [], color=look.colour, marker=look.mark or "None") for look in looks]
    labels = [look.title for look in looks]
    if band:
        handles.append((Patch(color=MUTED, alpha=0.2, linewidth=0), Line2D([], [], color=MUTED)))
        labels.append("mean ± 2 SD over seeds")
    if band is not None:
        handles.append(Line2D([], [], color=MUTED, linestyle=(0, (4, 2)), linewidth=0.8))
        labels.append("Ruderman et al. 2018")
    figure.legend(
        handles, labels, loc=place, ncols=columns, handlelength=2.0, columnspacing=1.6,
        labelspacing=0.35, borderaxespad=0.3, handler_map={tuple: HandlerTuple(ndivide=1, pad=0)},
    )  # fmt: skip


def caption(figure: Figure, text: str) -> None:
    """What the figure shows, below the panels."""
    lines = textwrap.fill(text, round(142 * figure.get_figwidth() / WIDTH))
    figure.supxlabel(lines, x=0.008, ha="left", fontsize=6.3, color=MUTED, linespacing=1.35)


def origin(results: Results, runs: Collection[str]) -> str:
    """Where the numbers of the runs come from, as a sentence: data, scale and width of the nets."""
    cells = [cell for cell in results.plan.cells if cell.name in runs]
    data = ", ".join(dict.fromkeys(Path(cell.task.data).name for cell in cells))
    widths = " and ".join(f"{width:g}" for width in sorted({cell.net.width for cell in cells}))
    scale = f", scale {results.plan.scale}" if results.plan.scale else ""
    return f"This run: {data}{scale}, nets of {widths} times the paper's width." if cells else ""


def spread(seeds: Sequence[int]) -> str:
    """What lines and bands are, and over how many seeds, as a sentence."""
    if not seeds:
        return ""
    if max(seeds) == 1:
        return "Lines: one seed, so there are no bands."
    count = f"{min(seeds)}" if min(seeds) == max(seeds) else f"{min(seeds)} to {max(seeds)}"
    return f"Lines: mean over n\u00a0=\u00a0{count} seeds; bands: ±\u00a02 standard deviations over the seeds."


def blank(why: str, head: str) -> Figure:
    """A whole figure that was not run."""
    figure = sheet(1.2)
    not_run(figure.subplots(), why)
    caption(figure, head)
    return figure
