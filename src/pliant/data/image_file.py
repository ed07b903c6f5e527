"""Reading one image file: whole, or refused for a reason that names the remedy."""

import re
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageOps

# Only these decoders run. Others that Pillow has start programs (EPS) or reduce depth in silence (AVIF, JPEG 2000).
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "PPM", "TIFF", "WEBP")
STRIP = 100
"""An image whose longer side is more than this many times the shorter is refused: resized, it would fill the memory."""

_GREY = ("1", "L")
_COLOUR = ("P", "RGB")
_DEEP = re.compile(r";16[BLN]")  # Pillow's name for two bytes a channel; BMP's ";16" is two bytes a pixel


class BadImage(ValueError):
    """An image that is not measured. The message is the reason and the remedy, without the name of the file."""


def read(source: Path | BytesIO, keep_grey: bool = False) -> Image.Image:
    """The image as 8-bit RGB, turned upright as its EXIF orientation says; of several frames, the first.

    With `keep_grey`, an image without colour comes as mode L. Raises `BadImage` for a file that is no image, or that is
    truncated, enormous (over Pillow's `Image.MAX_IMAGE_PIXELS`), one pixel wide or high, a strip, transparent, of more
    than 8 bits a channel, CMYK, or in any other colour space. The header is checked before a pixel is decoded.
    """
    if isinstance(source, Path) and source.exists() and not source.is_file():
        raise BadImage("not a regular file; replace it by an image")
    try:
        image = Image.open(source, formats=FORMATS)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise BadImage(_enormous()) from None
    except OSError as error:  # that no decoder knows the file is an OSError without a number
        if error.errno is not None:
            raise BadImage(f"cannot be opened ({error.strerror}); check that it exists and may be read") from None
        raise BadImage(_unreadable()) from None
    except Exception:  # a damaged header makes a decoder raise almost anything
        raise BadImage(_unreadable()) from None
    with image:
        _check_header(image)
        try:
            image.load()
            upright = ImageOps.exif_transpose(image)
        except Exception:
            raise BadImage("truncated or damaged; replace it by a whole copy") from None
        return upright.convert("L" if keep_grey and image.mode in _GREY else "RGB")


def _check_header(image: Image.Image) -> None:
    """Everything that can be told before the pixels are decoded."""
    width, height = image.size
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise BadImage(_enormous())
    if min(width, height) < 2:
        raise BadImage(f"{width} x {height} pixels, nothing to deform; use an image of at least 2 x 2")
    if max(width, height) > STRIP * min(width, height):
        raise BadImage(f"{width} x {height} pixels, one side more than {STRIP} times the other; crop it")
    if image.mode.startswith(("I", "F")) or _reduced(image):
        raise BadImage("more than 8 bits a channel (16-bit); save it with 8 bits a channel")
    if image.has_transparency_data:
        raise BadImage(f"transparent (mode {image.mode}); flatten it onto a background")
    if image.mode not in _GREY + _COLOUR:
        raise BadImage(f"{image.mode} colours; convert it to RGB")


def _reduced(image: Image.Image) -> bool:
    """Whether Pillow would cut 16-bit channels down to 8 without a word; the image's mode does not tell."""
    for codec, _, _, arguments in getattr(image, "tile", ()):
        values = arguments if isinstance(arguments, tuple) else (arguments,)
        if any(isinstance(value, str) and _DEEP.search(value) for value in values):
            return True
        if codec.startswith("ppm") and any(isinstance(value, int) and value > 255 for value in values):
            return True
    return False


def _unreadable() -> str:
    return f"not an image of a kind that is read ({', '.join(FORMATS)}); save it as JPEG or PNG"


def _enormous() -> str:
    return f"enormous, more than {Image.MAX_IMAGE_PIXELS:,} pixels; scale it down"
