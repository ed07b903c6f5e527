"""`Protocol`: one defensible way to measure and train; claims are judged under each that makes a difference to them."""

from dataclasses import dataclass, fields
from itertools import product

from pliant._checks import unknown
from pliant.paper.plans import CHOICES, REFERENCE
from pliant.plan import Cell, Training

MEASURES = {
    "batch_norm": ("calibrated", "untouched"),
    "trained_norm": ("as_is", "calibrated"),
    "distance": ("cosine", "euclidean"),
    "padding": ("zeros", "border"),
}
"""Choices of measuring, the reference first. They are crossed, the choices of training are varied one at a time."""

_SAID = {
    "batch_norm": "batch norm {}",
    "trained_norm": "batch norm {} after training",
    "distance": "{} distance",
    "padding": "{} padding",
    "training": "{}",
}


@dataclass(frozen=True)
class Protocol:
    """How sensitivity is measured and the nets are trained.

    batch_norm: how it runs before training; trained_norm: and after it, with the statistics that it has gathered
    ("as_is") or with those of real images ("calibrated"); distance: between representations; padding: what stands
    outside of the images; training: the name of the cells' choice, see `pliant.paper.plans.CHOICES`.
    """

    batch_norm: str = MEASURES["batch_norm"][0]
    trained_norm: str = MEASURES["trained_norm"][0]
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
    """The crossings of the `measures` named, the reference first; and under each of them each of `trainings`.

    Raises `InputError` for names that are not in `MEASURES` or `CHOICES`.
    """
    for name in measures:
        if name not in MEASURES:
            raise unknown("choice of measuring", name, MEASURES)
    chosen = [values if name in measures else values[:1] for name, values in MEASURES.items()]
    return tuple(
        Protocol(*names, training=training) for training in (REFERENCE, *trainings) for names in product(*chosen)
    )


def _keeps_training(name: str) -> bool:
    cell = Cell(training=Training())
    return CHOICES[name](cell).training == cell.training


BEFORE = ("batch_norm", "distance", "padding")
"""Choices of measuring that untrained nets depend on."""
AFTER = ("distance", "padding")
"""Choices of measuring that trained nets depend on: they have statistics of their own."""
UNUSUAL = ("trained_norm", *AFTER)
"""Those that nets depend on which are measured on other images than they were trained on."""
TRAININGS = tuple(CHOICES)
"""Choices of training that trained nets depend on."""
SEEN_UNTRAINED = tuple(name for name in CHOICES if _keeps_training(name))
"""Those of them that untrained nets depend on, too: they change the images and not the training."""
