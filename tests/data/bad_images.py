"""Small image files of every kind, good and bad, written byte by byte where Pillow cannot write them."""

import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def noise(width: int = 24, height: int = 16, channels: int = 3) -> Image.Image:
    """Pixels that do not compress, so that a cut file lacks some."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return Image.fromarray(pixels.squeeze())


def png(path: Path, size: tuple[int, int], depth: int, colour: int, row: bytes) -> Path:
    """A PNG file whose rows are all the same: bit depth and colour type as the format numbers them."""
    width, height = size
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = zlib.compress((b"\0" + row) * height) if row else b""
    parts = ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
    chunks = (struct.pack(">I", len(d)) + t + d + struct.pack(">I", zlib.crc32(t + d)) for t, d in parts)
    path.write_bytes(SIGNATURE + b"".join(chunks))
    return path


def tiff(path: Path, size: tuple[int, int], depth: int) -> Path:
    """An uncompressed RGB TIFF file, all zeros."""
    width, height = size
    data = bytes(width * height * 3 * depth // 8)
    entries = 9
    bits_at = 8 + 2 + 12 * entries + 4
    short, long = 3, 4
    tags = (
        (256, short, 1, width),
        (257, short, 1, height),
        (258, short, 3, bits_at),
        (259, short, 1, 1),  # uncompressed
        (262, short, 1, 2),  # RGB
        (273, long, 1, bits_at + 6),
        (277, short, 1, 3),
        (278, short, 1, height),
        (279, long, 1, len(data)),
    )
    directory = b"".join(struct.pack("<HHII", *tag) for tag in tags)
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", entries)
    path.write_bytes(head + directory + struct.pack("<I", 0) + struct.pack("<3H", depth, depth, depth) + data)
    return path


def truncated(path: Path, share: float = 0.6) -> Path:
    """The first part of a JPEG file."""
    noise(64, 64).save(path, "JPEG", quality=95)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    return path
