"""Settings as people write them: lengths in pixels or shares of the image's width, fixed or drawn from a range."""

import math

from pliant._checks import InputError, require

Length = float | str
"""Pixels, as 10, "10" or "10px"; or a share of the image's width, as "4.5%"."""
Lengths = Length | tuple[Length, Length]
"""One length, or the range from which it is drawn."""
Numbers = float | tuple[float, float]
"""One number, or the range from which it is drawn."""


def pixels(length: Length, width: int) -> float:
    """`length` in pixels on images `width` pixels wide. Raises `InputError` for what is no length."""
    if not isinstance(length, str):
        return float(length)
    text = length.strip()
    try:
        if text.endswith("%"):
            return float(text[:-1]) / 100 * width
        return float(text.removesuffix("px"))
    except ValueError:
        raise InputError(f"{length!r} is no length: give pixels, as 10px, or a share of the width, as 4.5%") from None


def check_length(name: str, length: Length) -> None:
    """Raise `InputError` unless `length` is one, 0 or more and finite."""
    require(0 <= pixels(length, 100) < math.inf, f"{name}={length}: a length must be 0 or more and finite")


def ends(value: Lengths, width: int = 0) -> tuple[float, float]:
    """The lower and upper end of a number or length, which are one if it is fixed; lengths in pixels."""
    low, high = value if isinstance(value, tuple) else (value, value)
    return pixels(low, width), pixels(high, width)


def check_ends(name: str, value: Lengths, lengths: bool = True) -> None:
    """Raise `InputError` unless `value` is a finite number, or a length where `lengths`, or a pair of them in order."""
    parts = value if isinstance(value, tuple) else (value, value)
    kinds = (int, float, str) if lengths else (int, float)
    fits = len(parts) == 2 and all(isinstance(part, kinds) for part in parts)
    low, high = ends((parts[0], parts[1]), 100) if fits else (math.nan, math.nan)
    require(
        math.isfinite(low) and math.isfinite(high) and low <= high,
        f"{name}={value!r}: give one {'length' if lengths else 'number'}, or a pair (low, high), finite",
    )
