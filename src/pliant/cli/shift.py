"""Shifts as they are named on the command line: by how far they reach."""

from pliant._checks import require
from pliant.deform import pixels


def shifts_up_to(shift: str, size: tuple[int, int]) -> int:
    """How many shifts there are along an axis, from none to `shift`, of images of `size` (h, w); 2 at least, and no
    more than the smaller side has pixels. Raises `InputError` for what is no reach of shifts within the width.
    """
    reach = pixels(shift, size[1])
    require(0 < reach <= size[1], f"--shift {shift}: above 0 and at most the width, {size[1]}px, as 14% or 4px")
    return min(max(2, round(reach) + 1), *size)
