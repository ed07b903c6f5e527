"""Shifts as they are named on the command line: by how far they reach."""

from pliant._checks import require
from pliant.deform import pixels


def check_shift(shift: str) -> None:
    """Refuse what is no reach of shifts, before the work."""
    require(0 < pixels(shift, 100) <= 100, f"--shift {shift}: above 0 and at most the width, as 14% or 4px")


def shifts_up_to(shift: str, width: int) -> int:
    """How many shifts there are along an axis, from none to `shift`, of images `width` pixels wide; 2 at least."""
    return max(2, round(pixels(shift, width)) + 1)
