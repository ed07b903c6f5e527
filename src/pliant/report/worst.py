"""Random and worst deformations side by side: the rows of their table, and what they come to in words."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
from jaxtyping import Float

from pliant.profile import Profile
from pliant.report.wording import defined, folds
from pliant.stats import Interval

BOUND = (
    "Below each number: RMS displacement of the image, and the share of its pixels at which it folds. The bound is on "
    "the parameters of the deformations, not on the displacement: the worst may move the image farther than random ones"
)


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

    @property
    def rms(self) -> Mapping[str, Float[np.ndarray, " layers"]]:
        """How far the deformations of each kind move the images, pixels."""
        ...

    @property
    def folds(self) -> Mapping[str, Float[np.ndarray, " layers"]]:
        """The share of pixels at which those of each kind fold."""
        ...

    def to_pandas(self) -> pd.DataFrame:
        """One row a layer."""
        ...


@dataclass(frozen=True)
class Row:
    """One layer: three sensitivities, or why it has none (`reason`); and how far the deformations behind each of them
    move the images (`moved`), in words.
    """

    layer: str
    random: Interval | None
    best_of: Interval | None
    worst: Interval | None
    moved: tuple[str, str, str]
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
            moved(found, place),
            found.worst.undefined.get(layer, ""),
            found.worst.images,
        )
        for place, layer in enumerate(found.worst.layers)
    ]


def moved(found: Found, place: int) -> tuple[str, str, str]:
    """How far the random, the best and the worst deformations of a layer move: "1.21 px, folds 1.25%"."""
    random, best_of, worst = (
        f"{found.rms[kind][place]:.2f} px, folds {folds(float(found.folds[kind][place])).removesuffix(' of pixels')}"
        for kind in ("random", "best_of", "worst")
    )
    return random, best_of, worst


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
