"""Plans and JSON: canonical text, the identity taken from it, and reading back with errors that name the field."""

import dataclasses
import hashlib
import json
import reprlib
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin

from pliant._checks import InputError, require, unknown

SCHEMA = 1

_LATER = "later"
_SAID = {int: "a whole number", float: "a number", bool: "true or false", str: "a string", NoneType: "null"}

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
    require(
        "schema" in payload,
        f'this is no plan, it has no "schema": `pliant plan` writes it, in a plan of your own it is {SCHEMA}',
    )
    schema = payload["schema"]
    if not isinstance(schema, int) or schema < 1:
        raise InputError(f"the plan has schema {schema!r}, which is no version: this version of pliant writes {SCHEMA}")
    require(schema <= SCHEMA, f"the plan has schema {schema!r}; this version of pliant reads {SCHEMA}: update pliant")


def check_types(plan: Any) -> None:
    """Raise `InputError` for a field that has not the type it is declared with.

    1 becomes 1.0 where a number is meant, and a list a tuple: equal plans have one identity.
    """
    for declared in dataclasses.fields(plan):
        value = getattr(plan, declared.name)
        if declared.type is float and type(value) is int:
            value = float(value)
        elif get_origin(declared.type) is tuple and isinstance(value, list):
            value = tuple(value)
        require(
            _belongs(value, declared.type),
            f"{declared.name}={reprlib.repr(value)} of {type(plan).__name__}: it takes {_said(declared.type)}",
        )
        object.__setattr__(plan, declared.name, value)


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


def _belongs(value: Any, kind: Any) -> bool:
    kinds = get_args(kind)
    if get_origin(kind) is tuple:
        return isinstance(value, tuple) and all(_belongs(item, kinds[0]) for item in value)
    if get_origin(kind) is Literal:
        return isinstance(value, str)
    if kinds:
        return any(_belongs(value, one) for one in kinds)
    return isinstance(value, kind) and (kind is bool or not isinstance(value, bool))


def _said(kind: Any) -> str:
    kinds = get_args(kind)
    if get_origin(kind) is tuple:
        return f"a list, each item {_said(kinds[0])}"
    if get_origin(kind) is Literal:
        return _said(str)
    if kinds:
        return " or ".join(map(_said, kinds))
    return _SAID.get(kind) or f"the fields of a {kind.__name__}"


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
