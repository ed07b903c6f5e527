"""`pliant deform`: images deformed, to look at what a family and a strength do before anything is measured."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Annotated, Literal

import torch
from cyclopts import Parameter
from jaxtyping import UInt8
from PIL import Image, ImageDraw
from rich.console import Console
from rich.table import Table
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from pliant import records
from pliant._checks import InputError, require
from pliant.cli.family import member
from pliant.data.image_file import BadImage, read
from pliant.deform import Field, Padding, pixels, warp

FACTORS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""The contact sheet shows each image at these times the strength."""
SHEET = "contact-sheet.png"
_TILE, _GAP, _LINE = 192, 8, 18  # pixels of the contact sheet
_SQUARES = 24  # of the checkerboard, along the longer side


def deform(
    *images: Path,
    out: Path,
    family: str = "thin-plate",
    strength: Annotated[str, Parameter(name=["--strength", "--reach"])] = "4.5%",
    points: int = 5,
    padding: Padding = "border",
    seed: int = 0,
    draw: int = 0,
    invertible: bool = False,
    grid: bool = False,
    fields: bool = False,
    on_bad_image: Literal["skip", "refuse"] = "skip",
) -> int:
    """Deform images, and show what the deformation does to them at several strengths.

    Writes each image deformed, and contact-sheet.png: every image at 0, 0.5, 1, 2 and 4 times the strength.

    Parameters
    ----------
    images
        Image files.
    out
        The folder to write into.
    family
        thin-plate, max-entropy, elastic, pose, translate, rotate, scale, shear, circular.
    strength
        How far the deformation reaches: a share of the width (4.5%) or pixels (10px). That of elastic is before its
        noise is smoothed: images move by less than a tenth of it.
    points
        Control points a side of a thin plate.
    padding
        What stands outside an image.
    seed
        Of the draws; image i gets draw i of the seed.
    draw
        Another draw of the same seed.
    invertible
        Shrink deformations that fold until they do not.
    grid
        Write what the deformation does to a checkerboard, too.
    fields
        Write the fields as safetensors, too; `pliant.Field.load` reads them.
    on_bad_image
        Leave out images that cannot be used, and list them, or refuse to go on.
    """
    require(len(images) > 0, "no images: name the files to deform")
    for path in images:
        require(not path.is_dir(), f"{path} is a folder: name its images, as in {path / '*.jpg'}")
    names = _names(images, out)
    records.check_writable(out)
    console = Console()
    table = Table("image", "size", "rms, px", "largest, px", "folds", box=None)
    rows, skipped = [], []
    for index, (path, name) in enumerate(zip(images, names, strict=True)):
        try:
            picture = F.pil_to_tensor(read(path))
        except BadImage as error:
            if on_bad_image == "refuse":
                raise InputError(f"{path}: {error}") from None
            skipped.append(f"{path}: {error}")
            continue
        size = (picture.shape[1], picture.shape[2])

        def drawn(factor: float, size: tuple[int, int] = size, index: int = index) -> Field:
            chosen = member(family, points, strength, size[1], factor, invertible)
            return chosen.sample([index], size, seed, draw)

        field = drawn(1.0)
        deformed = warp(picture[None], field, padding)[0]
        _write(out / f"{name}.png", deformed)
        if grid:
            _write(out / f"{name}-grid.png", warp(_checkerboard(size)[None], field, padding)[0])
        if fields:
            field.save(out / f"{name}.safetensors")
        rows.append([_tile(deformed) if factor == 1 else _at(picture, drawn, factor, padding) for factor in FACTORS])
        numbers = (field.rms, field.largest)
        table.add_row(
            str(path), f"{size[1]} x {size[0]}", *(f"{float(n):.2f}" for n in numbers), f"{float(field.folds):.2%}"
        )
    require(bool(rows), f"none of the {len(images)} images can be deformed: {'; '.join(skipped)}")
    _save(out / SHEET, _contact_sheet(rows, strength))
    console.print(table)
    for reason in skipped:
        console.print(f"left out {reason}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Written to {out}; {SHEET} shows other strengths.", soft_wrap=True, highlight=False)
    return 0


def _at(
    picture: UInt8[Tensor, "3 h w"], drawn: Callable[[float], Field], factor: float, padding: Padding
) -> Image.Image | None:
    """A tile of the picture at so many times the strength; None where the family does not reach so far."""
    try:
        return _tile(warp(picture[None], drawn(factor), padding)[0])
    except InputError:
        return None


def _tile(picture: UInt8[Tensor, "3 h w"]) -> Image.Image:
    tile = F.to_pil_image(picture)
    tile.thumbnail((_TILE, _TILE), Image.Resampling.LANCZOS)
    return tile


def _names(images: tuple[Path, ...], out: Path) -> list[str]:
    """A name for each file, its stem, numbered where several have the same; none writes over an image or another."""
    stems = [path.stem for path in images]
    names = [stem if stems.count(stem) == 1 else f"{stem}-{i}" for i, stem in enumerate(stems)]
    written = [out / f"{name}{end}" for name in names for end in (".png", "-grid.png", ".safetensors")]
    written.append(out / SHEET)
    inputs = {image.resolve() for image in images}
    for path in written:
        require(path.resolve() not in inputs, f"{path} is one of the images: choose another folder with --out")
        require(written.count(path) == 1, f"two results would be written to {path}: rename one of the images")
    return names


def _checkerboard(size: tuple[int, int]) -> UInt8[Tensor, "3 h w"]:
    side = max(2, max(size) // _SQUARES)
    rows, columns = (torch.arange(length) // side % 2 for length in size)
    board = (rows[:, None] ^ columns[None]) * 175 + 60
    return board.to(torch.uint8).expand(3, *size)


def _contact_sheet(rows: list[list[Image.Image | None]], strength: str) -> Image.Image:
    """One row an image, one column a strength; empty where the family does not reach so far."""
    width, height = (count * (_TILE + _GAP) + _GAP for count in (len(FACTORS), len(rows)))
    sheet = Image.new("RGB", (width, height + _LINE), "white")
    pen = ImageDraw.Draw(sheet)
    for column, factor in enumerate(FACTORS):
        left = _GAP + column * (_TILE + _GAP)
        pen.text((left, _GAP // 2), _times(strength, factor), fill="black")
        for row, tiles in enumerate(rows):
            if (tile := tiles[column]) is not None:
                sheet.paste(tile, (left, _LINE + _GAP + row * (_TILE + _GAP)))
    return sheet


def _times(strength: str, factor: float) -> str:
    """So many times a length, in the unit that it was given in."""
    unit = "%" if strength.strip().endswith("%") else "px"
    return "as it is" if factor == 0 else f"{factor * pixels(strength.replace('%', ''), 0):g} {unit}"


def _write(path: Path, picture: UInt8[Tensor, "3 h w"]) -> None:
    _save(path, F.to_pil_image(picture.contiguous()))


def _save(path: Path, picture: Image.Image) -> None:
    buffer = BytesIO()
    picture.save(buffer, "PNG")
    records.write_bytes(path, buffer.getvalue())
