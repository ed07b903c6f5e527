"""Two sources of spread, side by side: how far one net's sensitivity depends on the images, and on the seed."""

from dataclasses import dataclass

import numpy as np

from pliant.paper.look import NETS
from pliant.paper.plans import REFERENCE
from pliant.paper.results import Results

_MOMENTS = (("before training", "calibrated", False), ("after training", "as_is", True))
_ITEMS = ["sensitivity", "low", "high"]


@dataclass(frozen=True)
class Spread:
    """What the sensitivity of one net may differ by, as shares of it: medians over the layers behind the input.

    over_images: half the width of the bootstrap interval over its `images`, mean over the runs. over_seeds: two
    standard deviations between the `runs`; NaN for one.
    """

    net: str
    moment: str
    over_images: float
    images: int
    over_seeds: float
    runs: int


def spreads(results: Results) -> list[Spread]:
    """One row for each net on true labels, before and after training, under the reference protocol."""
    planned = {cell.name: cell.measuring.images for cell in results.plan.cells}
    table = results.table
    learned = [run for run in results.records if results.fitted(run)]
    rows = table.loc[
        table["item"].isin(_ITEMS)
        & table["run"].isin(learned)
        & (table["task"] == "labels")
        & (table["choice"] == REFERENCE)
        & table["trained"]
        & (table["layer_index"] > 0)
    ]
    found = []
    for net, look in NETS.items():
        for moment, batch_norm, last in _MOMENTS:
            at = rows["last"] if last else rows["step"] == 0
            part = rows.loc[at & (rows["downsampling"] == net) & (rows["batch_norm"] == batch_norm)]
            ends = part.loc[part["item"] != "sensitivity"]  # the reference alone has them
            part = part.merge(ends[["metric", "padding"]].drop_duplicates())
            if part.empty:
                continue
            value, low, high = (
                part.loc[part["item"] == item].pivot(index="layer_index", columns="run", values="value").dropna()
                for item in _ITEMS
            )
            runs = list(value.columns)
            found.append(
                Spread(
                    look.title,
                    moment,
                    float(((high - low) / 2 / value).mean(axis=1).median()),
                    min(results.records[run]["provenance"].get("images", planned[run]) for run in runs),
                    float((2 * value.std(axis=1, ddof=1) / value.mean(axis=1)).median()) if len(runs) > 1 else np.nan,
                    len(runs),
                )
            )
    return found
