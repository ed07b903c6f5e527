"""Families of deformations as they are named on the command line."""

import dataclasses
from typing import Any

from pliant._checks import InputError, require
from pliant.deform import Deformation, family, pixels


def member(
    name: str, points: int, reach: str, width: int, factor: float = 1.0, invertible: bool = False
) -> Deformation:
    """The member of a family that reaches so far, times `factor`, on images `width` pixels wide.

    points: control points a side, of a family that has them.
    """
    found = family(name)
    require(found.strength != "", f"--family {name}: it has no single strength; use it from Python")
    settings: dict[str, Any] = {"grid": points} if "grid" in {item.name for item in dataclasses.fields(found)} else {}
    if invertible:
        settings["invertible"] = True
    try:
        return found(**{found.strength: factor * pixels(reach, width)}, **settings)
    except InputError as error:
        raise InputError(f"reach {reach}: {error}") from None
