"""Random and worst deformations side by side: the rows of their table, and what they come to in words."""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pandas as pd

from pliant.profile import Profile
from pliant.report.wording import defined
from pliant.stats import Interval


@runtime_checkable
class Found(Protocol):
    """What a search for the worst deformations has found: three profiles of the same layers."""

    @property
    def random(self) -> Profile:
        """The mean over random deformations."""
        ...

    @property
    def best_of(self) -> Profile:
        """The worst of them."""
        ...

    @property
    def worst(self) -> Profile:
        """The worst that the search has found from there on."""
        ...

    def to_pandas(self) -> pd.DataFrame:
        """One row a layer."""
        ...


@dataclass(frozen=True)
class Row:
    """One layer: three sensitivities, or why it has none (`reason`)."""

    layer: str
    random: Interval | None
    best_of: Interval | None
    worst: Interval | None
    reason: str
    images: int


def rows_of(found: Found) -> list[Row]:
    """One row a layer."""
    return [
        Row(
            layer,
            defined(found.random, layer),
            defined(found.best_of, layer),
            defined(found.worst, layer),
            found.worst.undefined.get(layer, ""),
            found.worst.images,
        )
        for layer in found.worst.layers
    ]


def how(found: Found) -> str:
    """How it was searched: "20 steps of gradient ascent from the best of 8 random deformations of each image"."""
    draws, budget = found.worst.protocol["draws"], found.worst.protocol["budget"]
    return f"{budget} steps of gradient ascent from the best of {draws} random deformations of each image"


def furthest(found: Found) -> str:
    """One line: the layer whose worst case lies furthest above random deformations, as a factor."""
    factors = [
        (row.worst.estimate / row.random.estimate, row)
        for row in rows_of(found)
        if row.worst is not None and row.random is not None and row.random.estimate > 0
    ]
    if not factors:
        return "No deformation moves any of these layers: the worst case is as good as the others."
    factor, row = max(factors, key=lambda pair: pair[0])
    assert row.worst is not None
    assert row.random is not None
    return (
        f"The worst case lies furthest above random deformations at {row.layer}: "
        f"{row.random.estimate:.3f} -> {row.worst.estimate:.3f} ({factor:.1f} times as far)"
    )
