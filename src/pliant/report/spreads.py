"""Two sources of spread, side by side: how far sensitivity differs between images, and between seeds."""

from dataclasses import dataclass

import numpy as np

from pliant.paper.look import NETS
from pliant.paper.plans import REFERENCE
from pliant.paper.results import Results
from pliant.stats import student

_MOMENTS = (("before training", "calibrated", False), ("after training", "as_is", True))


@dataclass(frozen=True)
class Spread:
    """Half the width of the 95% intervals of a net's sensitivity, as shares of it: the median over its layers.

    images: of the bootstrap over the images of one seed, `n` of them, mean over seeds. seeds: of Student's t over
    `runs` nets; NaN for one.
    """

    net: str
    moment: str
    images: float
    n: int
    seeds: float
    runs: int


def spreads(results: Results) -> list[Spread]:
    """One row for each net on true labels, before and after training, under the reference protocol."""
    measured = {cell.name: cell.measuring.images for cell in results.plan.cells}
    table = results.table
    rows = table.loc[
        table["item"].isin(("sensitivity", "low", "high"))
        & (table["task"] == "labels")
        & (table["choice"] == REFERENCE)
        & table["trained"]
    ]
    found = []
    for net, look in NETS.items():
        for moment, batch_norm, last in _MOMENTS:
            at = rows["last"] if last else rows["step"] == 0
            part = rows.loc[at & (rows["downsampling"] == net) & (rows["batch_norm"] == batch_norm)]
            wide = part.pivot_table(index=["run", "layer_index", "metric", "padding"], columns="item", values="value")
            if not {"sensitivity", "low", "high"} <= set(wide.columns):
                continue
            wide = wide.dropna().loc[lambda of: of["sensitivity"] > 0]  # the reference alone has ends
            if wide.empty:
                continue
            relative = ((wide["high"] - wide["low"]) / 2 / wide["sensitivity"]).groupby("layer_index").mean()
            by_layer = [of.to_numpy() for _, of in wide["sensitivity"].groupby("layer_index")]
            over_seeds = [(student(of).high - student(of).low) / 2 / of.mean() for of in by_layer]
            runs = list(dict.fromkeys(wide.index.get_level_values("run")))
            found.append(
                Spread(
                    look.title,
                    moment,
                    float(relative.median()),
                    min(measured[run] for run in runs),
                    float(np.median(over_seeds)),
                    len(runs),
                )
            )
    return found
