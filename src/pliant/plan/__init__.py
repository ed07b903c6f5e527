"""What to run, as frozen dataclasses: to and from JSON; the content hash is the identity. Loads no torch."""

from pliant.plan.cell import CREDIT, PREPROCESSING, TASKS, Cell, Net, Task
from pliant.plan.experiment import Plan
from pliant.plan.study import DOWNSAMPLING, MORE_DOWNSAMPLING, SCHEMA, Measuring, Study, Training

__all__ = [
    "CREDIT",
    "DOWNSAMPLING",
    "MORE_DOWNSAMPLING",
    "PREPROCESSING",
    "SCHEMA",
    "TASKS",
    "Cell",
    "Measuring",
    "Net",
    "Plan",
    "Study",
    "Task",
    "Training",
]
