"""The tables of a page: every number with its interval and n, and what is undefined with its reason."""

import base64
from dataclasses import dataclass

import pandas as pd

from pliant.profile import Profile
from pliant.report.nets import MOMENTS, Comparison
from pliant.report.sides import Sides
from pliant.report.wording import defined
from pliant.stats import Interval


@dataclass(frozen=True)
class Row:
    """The sensitivity of one layer, or why it has none (`reason`)."""

    net: str
    moment: str
    index: int
    layer: str
    interval: Interval | None
    reason: str
    images: int


def of_profile(profile: Profile, net: str = "", moment: str = "") -> list[Row]:
    """One row a layer."""
    return [
        Row(net, moment, i, layer, defined(profile, layer), profile.undefined.get(layer, ""), profile.images)
        for i, layer in enumerate(profile.layers)
    ]


def of_run(run: Comparison) -> list[Row]:
    """One row for each net, moment and layer, in the order in which they were measured."""
    return [
        row
        for net in run.nets
        for moment, name in MOMENTS.items()
        if moment in net.profiles
        for row in of_profile(net.profiles[moment], net.title, name)
    ]


@dataclass(frozen=True)
class Smoothness:
    """Total variation of one 3x3 layer before and after training; None where undefined."""

    net: str
    layer: str
    filters: int
    before: float | None
    after: float | None


def smoothness(run: Comparison) -> list[Smoothness]:
    """One row for each net and 3x3 layer."""
    found = []
    for net in run.nets:
        start = {row["layer"]: row["value"] for row in net.smoothness("initial")}
        for row in net.smoothness("trained"):
            found.append(Smoothness(net.title, row["layer"], row["filters"], start.get(row["layer"]), row["value"]))
    return found


@dataclass(frozen=True)
class Epoch:
    """The means of one epoch over the training images, each as the net was when it met the image."""

    net: str
    epoch: int
    accuracy: float
    loss: float


def course(run: Comparison) -> list[Epoch]:
    """One row for each net and epoch."""
    return [
        Epoch(net.title, step["epoch"], step["accuracy"], step["loss"])
        for net in run.nets
        for step in net.record["history"]
    ]


def csv(rows: list[Row]) -> str:
    """The rows, unrounded, as a data URI to save; undefined numbers are empty, with their reason beside them."""
    of_many = any(row.net for row in rows)
    table = pd.DataFrame(
        [
            {
                **({"net": row.net, "moment": row.moment} if of_many else {}),
                "layer_index": row.index,
                "layer": row.layer,
                "estimate": row.interval.estimate if row.interval else None,
                "low": row.interval.low if row.interval else None,
                "high": row.interval.high if row.interval else None,
                "level": row.interval.level if row.interval else None,
                "n": row.images,
                "undefined": row.reason,
            }
            for row in rows
        ]
    )
    return as_uri(table)


def csv_of_sides(sides: Sides) -> str:
    """One row for each layer and model, unrounded, with the difference from the first model, as a data URI to save."""
    table = pd.DataFrame(
        [
            {
                "layer_index": index,
                "layer": line.names[place],
                "model": side.title,
                **_ends("", line.values[place]),
                **_ends("difference_", line.differences[place - 1] if place else None),
                "n": side.profile.images,
            }
            for index, line in enumerate(sides.lines)
            for place, side in enumerate(sides.all)
        ]
    )
    return as_uri(table)


def _ends(prefix: str, found: Interval | None) -> dict[str, float | None]:
    return {f"{prefix}{end}": None if found is None else getattr(found, end) for end in ("estimate", "low", "high")}


def as_uri(table: pd.DataFrame) -> str:
    """The table as a data URI to save as CSV, unrounded."""
    return f"data:text/csv;charset=utf-8;base64,{base64.b64encode(table.to_csv(index=False).encode()).decode()}"
