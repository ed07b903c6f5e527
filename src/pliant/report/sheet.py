"""What all charts of a run have in common: one line a net, its colour and mark, and the switch that hides it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pliant.report import palette

if TYPE_CHECKING:
    import altair as alt

SHOWN = "shown"
"""The parameter of every chart of a run that holds the titles of the nets to draw; the page's switches set it."""


@runtime_checkable
class Shown(Protocol):
    """A net with a line of its own: the title it is shown under, and the kind that decides its colour and mark."""

    @property
    def title(self) -> str:
        """Unique within the chart."""
        ...

    @property
    def kind(self) -> str:
        """A downsampling, or anything else."""
        ...


@dataclass(frozen=True)
class Look:
    """How large a chart is, its title, and whether it has its own legend: on a page ("container") or alone (pixels)."""

    width: int | str = "container"
    height: int = 300
    legend: bool = False
    title: str | None = None


@dataclass(frozen=True)
class Sheet:
    """What the layers of one chart are drawn with."""

    nets: Sequence[Shown]
    look: Look

    def base(self) -> "alt.Chart":
        """What every layer begins with: the rows whose net is switched on, coloured by net."""
        import altair as alt

        chart = alt.Chart().transform_filter(f"indexof({SHOWN}, datum.net) >= 0")
        scale = self._scale(palette.colours([net.kind for net in self.nets]))
        return chart.encode(color=alt.Color("net:N", scale=scale, legend=self._legend()))

    def lines(self, base: "alt.Chart", x: "alt.X", y: "alt.Y", tooltip: list["alt.Tooltip"]) -> list["alt.Chart"]:
        """A line through points, and over each point a wide one that cannot be seen: for the pointer, and a finger."""
        import altair as alt

        scale = self._scale(palette.marks([net.kind for net in self.nets]))
        shape = alt.Shape("net:N", scale=scale, legend=self._legend())
        line = base.mark_line(strokeWidth=2, strokeJoin="round").encode(x=x, y=y)
        points = base.mark_point(filled=True, size=44, opacity=1).encode(x=x, y=y, shape=shape)
        touch = base.mark_point(filled=True, size=260, opacity=0).encode(x=x, y=y, tooltip=tooltip)
        return [line, points, touch]

    def together(self, layers: list["alt.Chart"], rows: list[dict[str, Any]]) -> "alt.LayerChart":
        """The layers as one chart of these rows, with the switch, at the size of the look."""
        import altair as alt

        switch = alt.param(name=SHOWN, value=[net.title for net in self.nets])
        chart: Any = alt.layer(*layers, data=alt.Data(values=rows)).add_params(switch)
        title = {} if self.look.title is None else {"title": self.look.title}
        return chart.properties(width=self.look.width, height=self.look.height, **title)

    def _scale(self, values: list[str]) -> "alt.Scale":
        import altair as alt

        return alt.Scale(domain=[net.title for net in self.nets], range=values)

    def _legend(self) -> "alt.Legend | None":
        import altair as alt

        return alt.Legend(title=None, orient="bottom", columns=3, symbolOpacity=1) if self.look.legend else None


def told(*fields: str) -> list["alt.Tooltip"]:
    """What a tooltip says, such as "layer" and "n". Altair takes milliseconds to make the same of a string."""
    import altair as alt

    return [alt.Tooltip(f"{field}:N") for field in fields]


def by_layer(labels: list[str], title: str, field: str = "index:Q") -> "alt.X":
    """A horizontal axis of layers at 0, 1, 2, ... under their labels."""
    import altair as alt

    axis = alt.Axis(
        values=list(range(len(labels))),
        labelExpr=f"{json.dumps(labels)}[datum.value]",
        labelAngle=0,
        labelOverlap="greedy",
        ticks=False,
        labelPadding=6,
    )
    scale = alt.Scale(domain=[-0.5, max(len(labels), 1) - 0.5], nice=False, zero=False)
    return alt.X(field, title=title, axis=axis, scale=scale)
