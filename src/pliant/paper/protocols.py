"""`Protocol`: one defensible way to measure and train; claims are judged under each that makes a difference to them."""

from dataclasses import dataclass, fields
from itertools import product

from pliant._checks import unknown
from pliant.paper.plans import CHOICES, REFERENCE
from pliant.plan import Cell, Training

MEASURES = {
    "batch_norm": ("calibrated", "untouched"),
    "distance": ("cosine", "euclidean"),
    "padding": ("zeros", "border"),
}
"""Choices of measuring, the reference first. They are crossed; the choices of training are varied one at a time."""

_SAID = {
    "batch_norm": "batch norm {}",
    "distance": "{} distance",
    "padding": "{} padding",
    "training": "{}",
}


@dataclass(frozen=True)
class Protocol:
    """How sensitivity is measured and the nets are trained.

    batch_norm: how it runs before training; distance: between representations; padding: what stands outside of the
    images; training: the name of the cells' choice, see `pliant.paper.plans.CHOICES`.
    """

    batch_norm: str = MEASURES["batch_norm"][0]
    distance: str = MEASURES["distance"][0]
    padding: str = MEASURES["padding"][0]
    training: str = REFERENCE

    def __post_init__(self) -> None:
        for name, known in {**MEASURES, "training": (REFERENCE, *CHOICES)}.items():
            if getattr(self, name) not in known:
                raise unknown(name.replace("_", " "), getattr(self, name), known)

    @property
    def changes(self) -> tuple[str, ...]:
        """What differs from the reference, in words: ("batch norm untouched", "border padding")."""
        return tuple(
            _SAID[field.name].format(getattr(self, field.name))
            for field in fields(self)
            if getattr(self, field.name) != field.default
        )

    def __str__(self) -> str:
        return ", ".join(self.changes) or REFERENCE


def protocols(measures: tuple[str, ...] = (), trainings: tuple[str, ...] = ()) -> tuple[Protocol, ...]:
    """The reference; the other crossings of the `measures` named; each of `trainings` under the reference measurement.

    Raises `InputError` for names that are not in `MEASURES` or `CHOICES`.
    """
    for name in measures:
        if name not in MEASURES:
            raise unknown("choice of measuring", name, MEASURES)
    crossed = product(*(values if name in measures else values[:1] for name, values in MEASURES.items()))
    return (*(Protocol(*chosen) for chosen in crossed), *(Protocol(training=name) for name in trainings))


def _keeps_training(name: str) -> bool:
    cell = Cell(training=Training())
    return CHOICES[name](cell).training == cell.training


BEFORE = tuple(MEASURES)
"""Choices of measuring that untrained nets depend on."""
AFTER = ("distance", "padding")
"""Choices of measuring that trained nets depend on: they have statistics of their own."""
TRAININGS = tuple(CHOICES)
"""Choices of training that trained nets depend on."""
SEEN_UNTRAINED = tuple(name for name in CHOICES if _keeps_training(name))
"""Those of them that untrained nets depend on, too: they change the images and not the training."""
