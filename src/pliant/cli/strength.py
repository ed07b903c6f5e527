"""How far a deformation reaches, as people write it: in pixels, or as a share of the image's width."""

from pliant._checks import InputError


def pixels(reach: str, width: int) -> float:
    """`reach` in pixels on images `width` pixels wide: "4.5%" of the width, "10px" or "10"."""
    text = reach.strip()
    try:
        if text.endswith("%"):
            return float(text[:-1]) / 100 * width
        return float(text.removesuffix("px"))
    except ValueError:
        raise InputError(f"reach {reach!r}: give pixels, such as 10px, or a share of the width, such as 4.5%") from None
