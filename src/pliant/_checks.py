"""Bad input: one error type, and the sentences it is told in."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Input that pliant refuses. The message names the value and the remedy; the command line exits with status 2."""


def unknown(kind: str, value: str, known: Iterable[str], remedy: str = "") -> InputError:
    """The error for a name that is not among `known`: says the nearest names, else all of them if they are few."""
    names = sorted(known)
    near = difflib.get_close_matches(value, names, n=3, cutoff=0.5)
    if near:
        hint = f"Did you mean {_either(near)}?"
    elif len(names) <= 24:
        hint = f"Known: {', '.join(names)}."
    else:
        hint = f"There are {len(names)} to choose from."
    return InputError(f"unknown {kind} {value!r}. {hint}{' ' + remedy if remedy else ''}")


def require(condition: bool, message: str) -> None:
    """Raise `InputError(message)` unless `condition` holds."""
    if not condition:
        raise InputError(message)


def _either(names: list[str]) -> str:
    quoted = [repr(name) for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"
