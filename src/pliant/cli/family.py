"""Families of deformations as they are named on the command line."""

import dataclasses
from typing import Any

from pliant._checks import InputError, require
from pliant.deform import Deformation, family, pixels


def member(name: str, grid: int, reach: str, width: int) -> Deformation:
    """The member of a family that reaches so far, on images `width` pixels wide; `grid` where the family has one."""
    found = family(name)
    require(found.strength != "", f"--deformation {name}: it has no single reach; use it from Python")
    settings: dict[str, Any] = {"grid": grid} if "grid" in {item.name for item in dataclasses.fields(found)} else {}
    try:
        return found(**{found.strength: pixels(reach, width)}, **settings)
    except InputError as error:
        raise InputError(f"--reach {reach}: {error}") from None
