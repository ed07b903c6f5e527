"""The panels of figures 2 to 5 that are lines over layers, and the pages that they stand on."""

from collections.abc import Iterable, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase

from pliant.paper.figures import by_layer, selection, sheet
from pliant.paper.figures.averages import SENSITIVITY, TOTAL_VARIATION, Line, Panel
from pliant.paper.look import INITIAL, NETS, SIGMAS, STRENGTHS, WIDTH, Look
from pliant.paper.plans import CONTROLS, IMAGENET, MEMORISING, REFERENCE, SMOOTHED
from pliant.paper.results import Results
from pliant.plan import CREDIT

_IMAGENET_INITIAL = tuple(
    Line(net, NETS[net], {"family": "imagenet", "trained": False, "sigma": 0.0, "downsampling": net})
    for net in IMAGENET
)
_SMOOTHED = tuple(
    Line(f"{sigma:g}", look, {"family": "imagenet", "trained": False, "sigma": sigma, "downsampling": SMOOTHED})
    for sigma, look in SIGMAS.items()
)
_LABELS, _RANDOM_LABELS, _CONTROL = (
    tuple(
        Line(net, look, {"task": task, "family": "cifar", "choice": choice, "downsampling": net, "sigma": 0.0})
        for net, look in NETS.items()
    )
    for task, choice in (("labels", REFERENCE), ("random_labels", REFERENCE), ("labels", MEMORISING))
)
CONTROLLED = {"random images": ("random_images", "5b′"), "shuffled pixels": ("shuffled_pixels", "2d")}
"""Panel of nets that learned other images -> their task, and the panel of those that they are compared with."""
_TEMPLATES = tuple(
    Line(f"{reach:g}", look, {"task": "templates", "choice": REFERENCE, "reach": reach})
    for reach, look in STRENGTHS.items()
)
_END = {"last": True}
_BATCH_NORMS = (
    ("", "batch norm calibrated on the data", {"step": 0, "batch_norm": "calibrated"}),
    ("′", "batch norm untouched (mean 0, var. 1)", {"step": 0, "batch_norm": "untouched"}),
)


def _initial(name: str, title: str, lines: tuple[Line, ...]) -> tuple[Panel, ...]:
    """The same nets before training under both protocols of batch norm."""
    return tuple(Panel(name, name[-1] + prime, title, text, SENSITIVITY, lines, at) for prime, text, at in _BATCH_NORMS)


def _trained(name: str, labels: str, lines: tuple[Line, ...]) -> tuple[Panel, ...]:
    smoothness = name[0] == "4"
    quantity = TOTAL_VARIATION if smoothness else SENSITIVITY
    at = _END if smoothness else {**_END, "batch_norm": "as_is"}
    return (Panel(name, name[1:], "CIFAR-10 net, trained", labels, quantity, lines, at, initial=smoothness),)


def _imagenet(name: str, quantity: str) -> tuple[Panel, ...]:
    why = f"{name} needs nets trained on ImageNet"
    return (Panel(name, name[-1], "ImageNet net, trained", "true labels", quantity, cannot=why),)


def _controlled(name: str, task: str, beside: str) -> Panel:
    lines = tuple(
        Line(net, NETS[net], {"task": task, "family": "cifar", "choice": REFERENCE, "downsampling": net})
        for net in CONTROLS
    )
    said = f"{name}, measured on real ones; compare {beside}"
    return Panel(name, "", "CIFAR-10 net, trained", said, SENSITIVITY, lines, {**_END, "batch_norm": "as_is"})


PANELS: dict[str, tuple[Panel, ...]] = {
    "2a": _initial("2a", "ImageNet net, initial", _IMAGENET_INITIAL),
    "2b": _imagenet("2b", SENSITIVITY),
    "2c": _initial("2c", "CIFAR-10 net, initial", _LABELS),
    "2d": _trained("2d", "true labels", _LABELS),
    "3b": (
        Panel("3b", "b", "after training", "examples deformed by C", TOTAL_VARIATION, _TEMPLATES, _END, initial=True),
    ),
    "4a": _imagenet("4a", TOTAL_VARIATION),
    "4b": _trained("4b", "true labels", _LABELS),
    "4c": _trained("4c", "random labels", _RANDOM_LABELS),
    "5a": _initial("5a", "smoothed initial filters", _SMOOTHED),
    "5b": (
        *_trained("5b", "random labels", _RANDOM_LABELS),
        *_trained("5b′", "true labels, learned in the same way", _CONTROL),
    ),
    **{name: (_controlled(name, task, beside),) for name, (task, beside) in CONTROLLED.items()},
}
"""Panel -> what it shows, and what has to be seen beside it: a net before training under the other protocol of batch
norm; random labels beside true ones that were learned in the same way, which the paper does not have; nor does it draw
the last two, which stand on the page of a study alone.
"""

HEADS = {
    "2": "Figure 2. Sensitivity to deformation by layer, before and after training.",
    "3": "Figure 3. Filters by layer after learning to tell templates whatever their deformation, of strength C.",
    "4": "Figure 4. Roughness of the filters by layer, after training.",
    "5": "Figure 5. Sensitivity to deformation by layer: smoothed initial filters (a, a′), random labels (b), and true "
    "ones learned from as many images in as many epochs, without weight decay either (b′).",
}
_DASHED = "Dashed: the paper's own mean curves, read off its figures."
_QUANTITIES = {
    SENSITIVITY: (
        "Sensitivity: mean {metric} distance between an image and its deformation over the median distance of two "
        "images; 0 is invariant. Layer 0 is the input; downsampling layers are shaded."
    ),
    TOTAL_VARIATION: (
        "Total variation over the L1 norm of a layer's filters: lower is smoother. 3x3 convolution layers from 0; "
        "dotted rules: the net is downsampled between the two."
    ),
}


@sheet.styled
def draw(results: Results, rows: Sequence[Sequence[str]]) -> Figure:
    """A page of panels, by rows of their names, as (("2a", "2b"), ("2c", "2d"))."""
    pages = [[panel for name in row for panel in PANELS[name]] for row in rows]
    columns = max(len(row) for row in pages)
    figure = sheet.sheet(1.0 + 2.0 * len(pages), WIDTH) if columns > 1 else sheet.sheet(3.6, 4.2)
    axes = figure.subplots(len(pages), columns, squeeze=False)
    seeds = []
    for row, of_row in zip(axes, pages, strict=True):
        seeds += draw_row(row, results, of_row)
    panels = [panel for row in pages for panel in row]
    legend(figure, results, panels, seeds, columns=4 if columns > 1 else 2)
    caption(figure, results, panels, seeds)
    return figure


def draw_row(axes: Iterable[Axes], results: Results, panels: Sequence[Panel]) -> list[int]:
    """Draw panels side by side, those of the same lines on a shared y axis; returns the seeds of each line."""
    seeds: list[int] = []
    first: dict[tuple[Look, ...], Axes] = {}
    for ax, panel in zip(axes, panels, strict=True):
        found = by_layer.draw(ax, results, panel)
        if not found:
            continue
        seeds += found
        shared = first.setdefault(tuple(line.look for line in panel.lines), ax)
        if ax is shared:
            ax.set_ylabel(panel.quantity)
        else:
            ax.sharey(shared)
            ax.tick_params(labelleft=False)
        ax.set_xlabel("layer" if panel.quantity == SENSITIVITY else "3x3 layer")
    for ax in first.values():
        ax.autoscale(axis="y")
        if panels[0].quantity == SENSITIVITY:
            ax.set_ylim(bottom=0)
    return seeds


def legend(
    figure: FigureBase, results: Results, panels: Sequence[Panel], seeds: Sequence[int], columns: int = 4
) -> None:
    """What the lines that are drawn stand for, above the panels; smoothed filters on the left, nets on the right."""
    if not seeds:
        return
    lines = [line for panel in panels for line in panel.lines]
    shown = {line.look for line in lines if not selection.why_not_run(results, [line.chosen])}
    initial = [INITIAL] if any(panel.initial for panel in panels) else []
    smoothed, nets, strengths = ([look for look in of.values() if look in shown] for of in (SIGMAS, NETS, STRENGTHS))
    band = max(seeds) > 1
    if smoothed and nets:
        sheet.legend(figure, smoothed, columns=2)
        sheet.legend(figure, nets, "outside upper right", columns=3, band=band)
    else:
        sheet.legend(figure, [*smoothed, *nets, *strengths, *initial], columns=columns, band=band)


def caption(figure: Figure, results: Results, panels: Sequence[Panel], seeds: Sequence[int]) -> None:
    """The caption of the figure that the panels belong to."""
    runs = {run for panel in panels for line in panel.lines for run in selection.planned(results, line.chosen)}
    words = [HEADS[panels[0].name[0]]]
    if seeds:
        quantity = _QUANTITIES[panels[0].quantity].format(metric=results.plan.cells[0].measuring.metric)
        words += [quantity, sheet.spread(seeds), _DASHED, sheet.origin(results, runs)]
        if any(cell.task.data == "photographs" for cell in results.plan.cells if cell.name in runs):
            words.append(f"Photographs: {CREDIT}.")
    sheet.caption(figure, " ".join(word for word in words if word))
