"""Records of what was run and measured: JSON and parquet files, whole or not at all. Loads no torch."""

import errno
import io
import json
import os
import platform
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import pandas as pd
import pyarrow as pa

import pliant
from pliant._checks import InputError

SCHEMA = 1
_LIBRARIES = ("torch", "torchvision", "timm", "numpy", "scipy")
_MAKING = {"version": "pliant {}", "torch": "torch {}", "threads": "{} threads"}
_REMEDIES = {"plan": "keep one folder for each plan", "data digest": "measure both on the same images"}
COMPARABLE = ("plan", "schema", "version", "torch", "device", "precision", "data digest")
"""What the runs of a study must share, for their numbers to stand in one table."""
_COLUMNS = ("run", "step", "batch_norm", "layer_index", "layer", "metric", "item", "index", "value")


def write_bytes(path: Path | str, content: bytes) -> Path:
    """Write the file whole or not at all, its folder made if missing: an older file stays until the new one is safe.

    Raises `InputError` where the folder cannot be written or the disk is full; nothing is left behind then.
    """
    path = Path(path)
    # Beside the file: a rename is atomic within one file system only. One name a process, so that two do not mix.
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
    except OSError as error:
        raise _unwritable(path, error) from error
    return path


def check_writable(folder: Path | str) -> None:
    """Raise `InputError` unless files can be written into `folder`, there or to be made; no trace is left."""
    folder = Path(folder).absolute()
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if not there.is_dir():
        raise _unwritable(folder, NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR)))
    try:
        # Not os.access: it says yes to root everywhere, also where no file can stand.
        with TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise _unwritable(folder, error) from None


def sweep(folder: Path | str) -> None:
    """Delete what writers that were killed have left half written, in the folder and in those right below it."""
    for pattern in (".*.part", "*/.*.part"):
        for path in Path(folder).glob(pattern):
            path.unlink(missing_ok=True)


@contextmanager
def alone(folder: Path | str) -> Iterator[None]:
    """Within the context no other process that asks for the same gets the folder. Ends with the process at the latest.

    Raises `InputError` where another one has it, and on Windows, which has no such locks.
    """
    folder = Path(folder)
    try:
        import fcntl
    except ImportError:
        raise InputError(f"{folder} cannot be locked, as a run asks for, on {platform.system()}: use WSL") from None
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"another process is at work in {folder}: wait for it, or stop it") from None
        yield


def write_json(path: Path | str, payload: Any) -> Path:
    """Write `payload` as indented JSON in UTF-8. NaN and infinity, which JSON does not know, raise `ValueError`."""
    return write_bytes(path, (json.dumps(payload, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode())


def write_table(path: Path | str, table: pd.DataFrame) -> Path:
    """Write the table as parquet, without its index. The same table gives the same bytes."""
    buffer = io.BytesIO()
    table.to_parquet(buffer, index=False)
    return write_bytes(path, buffer.getvalue())


def read_json(path: Path | str) -> Any:
    """What `write_json` wrote. Raises `InputError` for a missing or damaged file."""
    content = _read(Path(path))
    try:
        return json.loads(content)
    except ValueError as error:
        raise InputError(f"{path} holds no JSON ({error}): mend it, or delete it and run again") from error


def read_table(path: Path | str) -> pd.DataFrame:
    """What `write_table` wrote. Raises `InputError` for a missing or damaged file."""
    content = _read(Path(path))
    try:
        return pd.read_parquet(io.BytesIO(content))
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is damaged, it holds no parquet table: delete it and run again") from error


def provenance(**extra: Any) -> dict[str, Any]:
    """Where a number comes from: versions, commit (None outside of a checkout), Python, platform, time; and `extra`."""
    return {
        "pliant": pliant.__version__,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "versions": dict(_versions()),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        **extra,
    }


def runs(folder: Path | str, keys: Sequence[str] = ("plan", "schema")) -> dict[str, dict[str, Any]]:
    """The records of the finished runs in `folder`, by the name of the run's folder, in the order of the names.

    Raises `InputError` where there is none, and for records that differ in one of `keys` (see `COMPARABLE`): their
    numbers are not comparable.
    """
    folder = Path(folder)
    found = {path.parent.name: read_json(path) for path in sorted(folder.glob("*/record.json"))}
    if not found:
        raise InputError(f"{folder} holds no finished run: name the folder of a run, such as runs/demo")
    check_comparable(folder, found, keys)
    return found


def check_comparable(folder: Path | str, found: dict[str, dict[str, Any]], keys: Sequence[str]) -> None:
    """Raise `InputError` for records, by the name of their run, that differ in one of `keys`."""
    for one, other in pairwise(found):
        for key in keys:
            ours, theirs = _comparable(found[one]).get(key), _comparable(found[other]).get(key)
            if ours != theirs:
                remedy = _REMEDIES.get(key, "delete the older runs and run again")
                raise InputError(
                    f"{folder} mixes runs that differ in {key}, {one} of {ours!r} and {other} of {theirs!r}: {remedy}"
                )


def check_present(folder: Path | str, found: dict[str, dict[str, Any]], threads: int | None = None) -> None:
    """Raise `InputError` for records, by the name of their run, of another pliant, torch or number of threads than
    this process would write: the two could not be compared. What is not known is left out.
    """
    present = _comparable({"provenance": provenance(threads=threads)})
    for run, record in found.items():
        made = _comparable(record)
        for key, said in _MAKING.items():
            # Not by the build: the head of a cluster may have another one of the same version than its workers.
            ours, theirs = (None if one[key] is None else str(one[key]).partition("+")[0] for one in (present, made))
            if None not in (ours, theirs) and ours != theirs:
                began = said.format(made[key])
                raise InputError(
                    f"{Path(folder) / run} was made with {began}, this is {said.format(present[key])}, and the two "
                    f"cannot be compared: finish with {began}, or delete the older runs in {folder}"
                )


def _comparable(record: dict[str, Any]) -> dict[str, Any]:
    """What two records must share for their numbers to be compared."""
    source = record.get("provenance", {})
    return {
        "plan": record.get("plan"),
        "schema": record.get("schema"),
        "version": source.get("pliant"),
        "torch": source.get("versions", {}).get("torch"),
        "device": str(source.get("device", "")).partition(":")[0],
        "threads": source.get("threads"),
        "precision": record.get("precision"),
        "data digest": source.get("data"),
    }


def merge(folder: Path | str) -> Path:
    """Gather the raw numbers of all finished runs in `folder` into its measurements.parquet; returns that path.

    One row a number: run, step, batch_norm, layer_index, layer, metric, item, index, value; the runs in the order of
    their names. `item` is "image" or "median" (see `Profile.raw`), or "weight" for a property of a layer's weights.
    Raises `InputError` where there is no run, and for runs that cannot be compared.
    """
    folder = Path(folder)
    tables = []
    for run in runs(folder, COMPARABLE):
        path = folder / run / "measurements.parquet"
        table = read_table(path)
        if tuple(table.columns) != _COLUMNS:
            raise InputError(f"{path} has other columns than this version of pliant writes: delete it and run again")
        tables.append(table)
    return write_table(folder / "measurements.parquet", pd.concat(tables, ignore_index=True))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"there is no {path}: name a folder that pliant has written") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): check the path and its permissions") from error


def _unwritable(path: Path, error: OSError) -> InputError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return InputError(f"{path} cannot be written, the disk is full: free some space or choose another folder")
    return InputError(f"{path} cannot be written ({error.strerror}): choose a folder that you may write to")


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    found = []
    for library in _LIBRARIES:
        try:
            found.append((library, version(library)))
        except PackageNotFoundError:
            continue
    return tuple(found)


@cache
def _commit() -> str | None:
    """The commit of the checkout that this file belongs to, "-dirty" where it has changes; None outside of one."""
    checkout = Path(__file__).parents[2]
    if not (checkout / ".git").exists():
        return None
    command = ["git", "--no-optional-locks", "-C", str(checkout)]
    command += ["describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.strip() or None
