"""Figure 3: templates with their deformations, and the filters of nets that learned to tell them."""

from matplotlib.figure import Figure, SubFigure

from pliant.paper.figures import illustrations, panels, sheet
from pliant.paper.figures.deformation import picture
from pliant.paper.look import MUTED, STRENGTHS
from pliant.paper.results import Results

_ROWS = 4


@sheet.styled
def draw(results: Results) -> Figure:
    """Figure 3: a, templates and an example of each strength; b, total variation by layer, one line a strength."""
    figure = sheet.sheet(3.5)
    [[left, right]] = figure.subfigures(1, 2, squeeze=False, wspace=0.03)
    _examples(left, results)
    seeds = panels.draw_row([right.subplots()], results, panels.PANELS["3b"])
    panels.legend(right, results, panels.PANELS["3b"], seeds, columns=2)
    panels.caption(figure, results, panels.PANELS["3b"], seeds)
    return figure


@sheet.styled
def examples(results: Results) -> Figure:
    """Figure 3a alone."""
    figure = sheet.sheet(3.2, 3.5)
    _examples(figure, results)
    sheet.caption(figure, "Figure 3a. Templates, and an example of each strength of deformation, C pixels.")
    return figure


def _examples(figure: Figure | SubFigure, results: Results) -> None:
    arrays = illustrations.read(results, illustrations.TEMPLATES)
    if arrays is None:
        ax = figure.subplots()
        sheet.title(ax, "a", "templates")
        sheet.not_run(ax, illustrations.why_not_run(illustrations.TEMPLATES))
        return
    templates, deformed = arrays["templates"], arrays["template_examples"]
    rows = min(_ROWS, len(templates))
    axes = figure.subplots(rows, 1 + len(deformed), squeeze=False)
    for i, of_row in enumerate(axes):
        picture(of_row[0], templates[i], smooth=False)
        for ax, examples_of_strength in zip(of_row[1:], deformed, strict=True):
            picture(ax, examples_of_strength[i], smooth=False)
    names = ["template", *(f"C = {reach:g}" for reach in STRENGTHS)]
    for ax, name in zip(axes[0], names, strict=True):
        ax.set_title(name, fontsize=6.5, fontweight="normal", loc="center", pad=4, color=MUTED)
    sheet.title(axes[0, 0], "a", "")
