"""Plans and JSON: canonical text, the identity taken from it, and reading back with errors that name the field."""

import dataclasses
import hashlib
import json
from typing import Any, TypeVar

from pliant._checks import InputError, require, unknown

SCHEMA = 1

_LATER = "later"

Default = TypeVar("Default")


def later(default: Default) -> Default:
    """A field that came after plans had been run: at its default it is left out of JSON, so that identities stay."""
    return dataclasses.field(default=default, metadata={_LATER: True})  # pyright: ignore[reportReturnType]


def identity(plan: Any) -> str:
    """The first 12 hexadecimal digits of the SHA-256 of the plan's canonical JSON."""
    canonical = json.dumps(to_payload(plan), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{SCHEMA}:{canonical}".encode()).hexdigest()[:12]


def to_payload(plan: Any) -> dict[str, Any]:
    """The fields of a plan, and of the plans in it, as JSON has them."""
    return json.loads(json.dumps(_plain(plan)))


def check_schema(payload: Any) -> None:
    """Raise `InputError` for what is no plan, or one of a newer version."""
    require(isinstance(payload, dict), f"a plan is a JSON object, got {type(payload).__name__}")
    schema = payload.get("schema")
    if not isinstance(schema, int) or schema > SCHEMA:
        raise InputError(f"the plan has schema {schema!r}; this version of pliant reads {SCHEMA}: update pliant")


def as_floats(plan: Any) -> None:
    """1 becomes 1.0 where a float is meant: equal plans have one identity."""
    for declared in dataclasses.fields(plan):
        if declared.type is float:
            object.__setattr__(plan, declared.name, float(getattr(plan, declared.name)))


def build(kind: Any, fields: Any) -> Any:
    """The plan of that kind with these fields; `InputError` for what does not belong there."""
    require(isinstance(fields, dict), f"{kind.__name__} is a JSON object, got {fields!r}")
    known = [f.name for f in dataclasses.fields(kind)]
    for name in fields:
        if name not in known:
            raise unknown(f"field of {kind.__name__}", name, known)
    try:
        return kind(**fields)
    except (TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"a field of {kind.__name__} has the wrong type: {error}") from error


def _plain(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if not dataclasses.is_dataclass(value):
        return value
    fields = {declared.name: (declared, getattr(value, declared.name)) for declared in dataclasses.fields(value)}
    return {
        name: _plain(held)
        for name, (declared, held) in fields.items()
        if not (declared.metadata.get(_LATER) and held == declared.default)
    }
