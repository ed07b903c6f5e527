"""`pliant deform`: images deformed, to look at what a family and a strength do before anything is measured."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Literal

import torch
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
_TILE, _GAP, _LINE = 192, 8, 18  # pixels of the contact sheet
_SQUARES = 24  # of the checkerboard, along the longer side


def deform(
    *images: Path,
    out: Path,
    family: str = "thin-plate",
    strength: str = "4.5%",
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
        How far the deformation reaches: a share of the width (4.5%) or pixels (10px).
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
    records.check_writable(out)
    console = Console()
    table = Table("image", "size", "rms, px", "largest, px", "folds", box=None)
    tiles, skipped, names = [], [], _names(images)
    for index, (path, name) in enumerate(zip(images, names, strict=True)):
        try:
            picture = F.pil_to_tensor(read(path))
        except BadImage as error:
            if on_bad_image == "refuse":
                raise InputError(f"{path}: {error}") from None
            skipped.append(f"{path}: {error}")
            continue
        size = (picture.shape[1], picture.shape[2])
        shot = _Shot(picture, padding, [
            member(family, points, strength, size[1], factor, invertible).sample([index], size, seed, draw)
            for factor in FACTORS
        ])  # fmt: skip
        _write(out / f"{name}.png", shot.at(1.0))
        if grid:
            _write(out / f"{name}-grid.png", warp(_checkerboard(size)[None], shot.field, padding)[0])
        if fields:
            shot.field.save(out / f"{name}.safetensors")
        tiles.append(shot)
        numbers = (shot.field.rms, shot.field.largest)
        table.add_row(
            str(path), f"{size[1]} x {size[0]}", *(f"{float(n):.2f}" for n in numbers), f"{float(shot.field.folds):.2%}"
        )
    require(bool(tiles), f"none of the {len(images)} images can be deformed: {'; '.join(skipped)}")
    _save(out / "contact-sheet.png", _contact_sheet(tiles, strength))
    console.print(table)
    for reason in skipped:
        console.print(f"left out {reason}", markup=False, highlight=False, soft_wrap=True)
    console.print(f"Written to {out}; contact-sheet.png shows other strengths.", soft_wrap=True, highlight=False)
    return 0


@dataclass(frozen=True, eq=False)
class _Shot:
    """A picture, and its fields at the strengths of the contact sheet."""

    picture: UInt8[Tensor, "3 h w"]
    padding: Padding
    fields: list[Field]

    @property
    def field(self) -> Field:
        """The one of the strength that was asked for."""
        return self.fields[FACTORS.index(1.0)]

    def at(self, factor: float) -> UInt8[Tensor, "3 h w"]:
        """The picture at so many times the strength."""
        return warp(self.picture[None], self.fields[FACTORS.index(factor)], self.padding)[0]


def _names(images: tuple[Path, ...]) -> list[str]:
    """A name for each file, its stem, numbered where several have the same."""
    stems = [path.stem for path in images]
    return [stem if stems.count(stem) == 1 else f"{stem}-{i}" for i, stem in enumerate(stems)]


def _checkerboard(size: tuple[int, int]) -> UInt8[Tensor, "3 h w"]:
    side = max(2, max(size) // _SQUARES)
    rows, columns = (torch.arange(length) // side % 2 for length in size)
    board = (rows[:, None] ^ columns[None]) * 175 + 60
    return board.to(torch.uint8).expand(3, *size)


def _contact_sheet(shots: list[_Shot], strength: str) -> Image.Image:
    """One row an image, one column a strength."""
    width, height = (count * (_TILE + _GAP) + _GAP for count in (len(FACTORS), len(shots)))
    sheet = Image.new("RGB", (width, height + _LINE), "white")
    pen = ImageDraw.Draw(sheet)
    for column, factor in enumerate(FACTORS):
        left = _GAP + column * (_TILE + _GAP)
        pen.text((left, _GAP // 2), _times(strength, factor), fill="black")
        for row, shot in enumerate(shots):
            tile = F.to_pil_image(shot.at(factor))
            tile.thumbnail((_TILE, _TILE), Image.Resampling.LANCZOS)
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
