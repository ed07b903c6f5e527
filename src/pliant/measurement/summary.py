"""What tallies come to: a profile."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from pliant._checks import InputError
from pliant.deform import Field
from pliant.measurement.tally import Tally
from pliant.profile import Profile


class Moved:
    """How far the fields of a measurement move the images, and where they fold."""

    def __init__(self) -> None:
        self._sums, self._largest, self._count = np.zeros(3), 0.0, 0

    @classmethod
    def of(cls, field: Field) -> "Moved":
        """The fields of some images alone."""
        moved = cls()
        moved.add(field)
        return moved

    def add(self, field: Field) -> None:
        """Take in the fields of some images."""
        shrunk = 0 if field.shrunk is None else int(field.shrunk.count_nonzero())
        self._sums += float(field.folds.sum()), float(field.rms.sum()), shrunk
        self._largest = max(self._largest, float(field.largest.max()))
        self._count += len(field)

    def join(self, other: "Moved") -> None:
        """Take in what another has taken in."""
        self._sums += other._sums
        self._largest = max(self._largest, other._largest)
        self._count += other._count

    @property
    def folds(self) -> float:
        """The share of pixels at which they fold."""
        return float(self._sums[0]) / self._count

    @property
    def displacement(self) -> dict[str, float]:
        """Mean RMS length and largest length, pixels; the share of the fields that were shrunk so as not to fold."""
        rms, shrunk = (float(total) / self._count for total in self._sums[1:])
        return {"rms": rms, "largest": self._largest, "shrunk": shrunk}


def check_folds(field: Field, first: int, which: str = "deformation") -> None:
    """Raise `InputError` where a field folds, of images counted from `first`. which: what the field is, in words."""
    if bool(field.folds.any()):
        worst = int(field.folds.argmax())
        raise InputError(
            f"the {which} of image {first + worst} folds at {float(field.folds[worst]):.1%} of its pixels: lower the "
            "reach or the grid, or allow folds"
        )


def summarised(
    tallies: Mapping[str, Tally],
    metric: str,
    level: float,
    folds: float,
    protocol: dict[str, Any],
    provenance: dict[str, Any],
    quantity: str | None = None,
) -> Profile:
    """The profile of what each layer's tally has heard. quantity: in words, if it is not the metric's own."""
    ends = np.array([tally.interval(level) for tally in tallies.values()])
    measured = next(iter(tallies.values())).metric
    return Profile(
        layers=tuple(tallies),
        metric=metric,
        estimate=ends[:, 0],
        low=ends[:, 1],
        high=ends[:, 2],
        undefined={name: tally.undefined for name, tally in tallies.items() if tally.undefined},
        level=level,
        distances=np.stack([np.concatenate(tally.distances) for tally in tallies.values()]),
        medians=np.stack([np.array(tally.medians) for tally in tallies.values()]),
        folds=folds,
        protocol={"metric": metric, **protocol},
        provenance=provenance,
        quantity=measured.quantity if quantity is None else quantity,
        scale=measured.scale,
        replicates=np.stack([tally.replicates for tally in tallies.values()]),
    )
