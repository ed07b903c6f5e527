"""The chart of one profile as an Altair specification: a line, its interval, and where it rises most."""

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from pliant.profile import Profile
from pliant.report import palette
from pliant.report.sheet import told
from pliant.report.wording import rises_most
from pliant.stats import Interval

if TYPE_CHECKING:
    import altair as alt


def curve(profile: Profile, height: int = 320) -> "alt.LayerChart":
    """Sensitivity by layer with its interval; the steepest rise in orange; undefined layers marked at the top."""
    import altair as alt

    quantity, defined = profile.quantity, np.isfinite(profile.estimate)

    axis = alt.Axis(
        values=list(range(len(profile.layers))),
        labelExpr=f"{json.dumps(profile.layers)}[datum.value]",
        labelAngle=-90,
        labelLimit=150,
        labelOverlap="greedy",
        labelPadding=6,
        ticks=False,
    )
    scale = alt.Scale(domain=[-0.5, len(profile.layers) - 0.5], nice=False, zero=False)
    x = alt.X("index:Q", title=None, axis=axis, scale=scale)
    lowest = (
        alt.Scale(zero=True, domainMin=0) if profile.estimate[defined].min(initial=0) >= 0 else alt.Scale(zero=True)
    )
    y = alt.Y("estimate:Q", title=quantity, scale=lowest)
    base = alt.Chart().encode(x=x)
    band = base.mark_area(opacity=0.18, color=palette.ACCENT).encode(
        y=alt.Y("low:Q", title=quantity), y2=alt.Y2("high:Q")
    )
    line = base.mark_line(color=palette.ACCENT, strokeWidth=2, strokeJoin="round").encode(y=y)
    points = base.mark_point(filled=True, size=40, opacity=1, color=palette.ACCENT).encode(y=y)
    touch = base.mark_point(filled=True, size=260, opacity=0).encode(
        y=y, tooltip=told("layer", quantity, "interval", "images")
    )
    undefined = (
        base.transform_filter("isValid(datum.undefined)")
        .mark_text(text="✕", fontSize=11, fontWeight=700, color=palette.MUTED)
        .encode(y=alt.YValue(6), tooltip=told("layer", "undefined"))
    )
    layers = [band, line, points, *_rise(profile, x, y), undefined, touch]
    chart: Any = alt.layer(*layers, data=alt.Data(values=by_profile(profile)))
    return chart.properties(width="container", height=height)


def by_profile(profile: Profile) -> list[dict[str, Any]]:
    """One row a layer, with what its tooltip says; nothing stands for a number, or an interval, that is undefined."""
    found = []
    for index, layer in enumerate(profile.layers):
        row = {"index": index, "layer": layer, "images": profile.images}
        if layer in profile.undefined:
            row |= {"estimate": None, "low": None, "high": None, "undefined": profile.undefined[layer]}
        else:
            at = profile[layer]
            row |= {"estimate": at.estimate, **ends(at), profile.quantity: f"{at.estimate:.3f}"}
            row |= {"interval": f"{at.low:.3f} to {at.high:.3f} ({at.level:.0%})" if at.has_ends else "none"}
        found.append(row)
    return found


def ends(found: Interval) -> dict[str, float | None]:
    """Where a band or a rule is drawn from and to: nowhere without an interval, since JSON knows no NaN."""
    return {"low": found.low, "high": found.high} if found.has_ends else {"low": None, "high": None}


def _rise(profile: Profile, x: "alt.X", y: "alt.Y") -> list["alt.Chart"]:
    """The stretch of the line that ends at the layer where sensitivity rises most, and its size in words."""
    import altair as alt

    steepest = rises_most(profile)
    if steepest is None:
        return []
    i, step = steepest
    before = max(k for k in range(i) if profile.layers[k] not in profile.undefined)
    ends = [{"index": k, "estimate": float(profile.estimate[k]), "text": f"+{step:.2f}"} for k in (before, i)]
    stretch = alt.Chart(alt.Data(values=ends)).mark_line(color=palette.RISE, strokeWidth=3).encode(x=x, y=y)
    label = alt.Chart(alt.Data(values=ends[1:])).mark_text(
        color=palette.RISE, align="right", dx=-7, dy=-7, fontWeight=600, fontSize=12
    )
    return [stretch, label.encode(x=x, y=y, text=alt.Text("text:N"))]
