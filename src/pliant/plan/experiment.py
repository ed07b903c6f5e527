"""A `Plan`: the cells of an experiment, and how many threads each run takes."""

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pliant._checks import require
from pliant.plan.cell import Cell
from pliant.plan.payload import SCHEMA, build, check_schema, check_types, identity, to_payload


@dataclass(frozen=True)
class Plan:
    """An experiment. name: what it is called; scale: how much of it, in a word, for those who read the report;
    threads: of each run, so that the same plan ends in the same bytes wherever it runs.
    """

    name: str
    cells: tuple[Cell, ...]
    scale: str = ""
    threads: int = 1

    def __post_init__(self) -> None:
        check_types(self)
        require(bool(self.cells), f"the plan {self.name!r} has no cells: nothing would be run")
        require(self.threads >= 1, f"threads={self.threads}: at least 1")
        twice = [name for name, count in Counter(cell.name for cell in self.cells).items() if count > 1]
        require(not twice, f"the plan {self.name!r} names cells twice: {', '.join(twice[:3])}")

    @cached_property
    def identity(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the plan's canonical JSON."""
        return identity(self)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back: the fields, and the schema version under "schema"."""
        return {"schema": SCHEMA, **to_payload(self)}

    @classmethod
    def from_json(cls, payload: dict[str, Any]) -> "Plan":
        """The plan that `to_json` wrote. A newer schema or an unknown field raises `InputError`."""
        check_schema(payload)
        fields = {name: value for name, value in payload.items() if name != "schema"}
        cells = fields.get("cells", ())
        require(isinstance(cells, list | tuple), f"cells are a list, got {cells!r}")
        fields["cells"] = tuple(Cell.from_json(cell) for cell in cells)
        return build(cls, fields)
