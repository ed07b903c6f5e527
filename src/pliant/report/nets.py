"""The nets of a run folder, read from its records: what every page, figure and sentence of a run is made of."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pliant import records
from pliant.plan import DOWNSAMPLING, Study
from pliant.profile import Profile
from pliant.report.palette import net_title
from pliant.stats import Interval

BEFORE = ("initial", "calibrated")
UNTOUCHED = ("initial", "untouched")
AFTER = ("trained", "as_is")
MOMENTS = {
    UNTOUCHED: "before training, untouched batch norm",
    BEFORE: "before training, calibrated batch norm",
    AFTER: "after training",
}
"""(step, batch norm) -> its name, in the order in which a run measures."""


@dataclass(frozen=True)
class Net:
    """One net of a run: its record and its profiles by (step, batch norm).

    `title` is the name it is shown under, unique within its run; `kind` its downsampling, which decides its colour.
    """

    title: str
    kind: str
    record: dict[str, Any]
    profiles: dict[tuple[str, str], Profile]

    def accuracy(self, part: str) -> Interval:
        """The share of the "test" or "train" images that the trained net tells right."""
        return Interval(**self.record["accuracy"][part])

    def smoothness(self, step: str) -> list[dict[str, Any]]:
        """The total variation of each 3x3 layer at that step: layer, value (None where undefined), filters."""
        return [row for row in self.record["total_variation"] if row["step"] == step]


@dataclass(frozen=True)
class Comparison:
    """A run folder: the plan, the data, and the nets that are finished, in the order of the plan."""

    folder: Path
    study: Study
    data: dict[str, Any]
    nets: tuple[Net, ...]

    @classmethod
    def read(cls, folder: Path | str) -> "Comparison":
        """What a run has written so far. Raises `InputError` where no net is finished or a file is missing."""
        folder = Path(folder)
        found = records.runs(folder)
        study = Study.from_json(records.read_json(folder / "plan.json"))
        data = records.read_json(folder / "data.json")
        order = [*study.downsampling, *DOWNSAMPLING]
        by_plan = sorted(found, key=lambda run: (_position(found[run]["downsampling"], order), found[run]["seed"], run))
        seeds = {record["seed"] for record in found.values()}
        nets = tuple(_net(folder / run, found[run], len(seeds) > 1) for run in by_plan)
        return cls(folder, study, data, nets)

    @property
    def missing(self) -> tuple[str, ...]:
        """Titles of the nets that the plan names and that are not finished."""
        done = {net.kind for net in self.nets}
        return tuple(net_title(kind) for kind in self.study.downsampling if kind not in done)

    @property
    def moments(self) -> tuple[tuple[str, str], ...]:
        """The (step, batch norm) at which at least one net was measured, in the order of a run."""
        return tuple(moment for moment in MOMENTS if any(moment in net.profiles for net in self.nets))


def _net(folder: Path, record: dict[str, Any], several_seeds: bool) -> Net:
    kind = record["downsampling"]
    title = net_title(kind) + (f" (seed {record['seed']})" if several_seeds else "")
    profiles = {
        (found["step"], found["batch_norm"]): Profile.load(folder / found["folder"]) for found in record["profiles"]
    }
    return Net(title, kind, record, profiles)


def _position(kind: str, order: list[str]) -> int:
    return order.index(kind) if kind in order else len(order)
