"""A result in a folder, its numbers and words as JSON and its raw samples as parquet; and back. Loads no torch."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from jaxtyping import Float

from pliant import records
from pliant._checks import InputError, require

Result = TypeVar("Result")


@dataclass(frozen=True)
class Format:
    """The files of one kind of result, `name`.json and `table`.parquet; results of several kinds can share a folder.

    table: as `name` if empty. schema: raised where an older version would misread what is written.
    """

    name: str
    table: str = ""
    schema: int = 1

    def write(self, folder: Path | str, payload: dict[str, Any], samples: pd.DataFrame) -> Path:
        """Write both files into `folder`, made if missing; returns the folder.

        Raises `InputError` where it cannot be written.
        """
        folder = Path(folder)
        records.write_table(self._table(folder), samples)
        records.write_json(self._json(folder), {"schema": self.schema, **payload})
        return folder

    def read(self, folder: Path | str, build: Callable[[dict[str, Any], pd.DataFrame], Result]) -> Result:
        """What `build` makes of the payload and the samples that `write` wrote into `folder`.

        Raises `InputError` for a missing or damaged file, for a newer schema, and where `build` finds that something
        is missing (`KeyError`) or does not fit (`TypeError`, `ValueError`).
        """
        path, table, kind = self._json(Path(folder)), self._table(Path(folder)), self.name.replace("_", " ")
        payload = records.read_json(path)
        if not isinstance(payload, dict) or not isinstance(payload.get("schema"), int):
            raise InputError(f"{path} is no saved {kind}: name a folder that pliant has written")
        require(
            payload["schema"] <= self.schema,
            f"{path} has schema {payload['schema']}; this version of pliant reads {self.schema}: update pliant",
        )
        samples = records.read_table(table)
        try:
            return build(payload, samples)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{path} and {table.name} do not hold one whole {kind}: measure it again") from error

    def _json(self, folder: Path) -> Path:
        return folder / f"{self.name}.json"

    def _table(self, folder: Path) -> Path:
        return folder / f"{self.table or self.name}.parquet"


def encoded(values: Float[np.ndarray, "*k"]) -> list[Any]:
    """Nested lists with None for what is not a number: JSON knows no NaN."""
    found = values.astype(object)
    found[~np.isfinite(values)] = None
    return found.tolist()


def decoded(values: list[Any], entries: int) -> Float[np.ndarray, "*k"]:
    """The numbers that `encoded` was given, float64. Raises `ValueError` unless so many `entries` stand in the list."""
    if len(values) != entries:
        raise ValueError(f"{len(values)} entries, not {entries}")
    return np.array(values, dtype=np.float64)
