"""Data sets in the parquet layout of the Hugging Face hub: image and label columns, class names in the schema."""

import json
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pliant._checks import InputError, require
from pliant.data.dataset import Found, Labelled
from pliant.data.decoding import Entry, decode
from pliant.data.folder import find
from pliant.data.image_file import BadImage, read

SPLITS = {"train": ("train",), "test": ("test",), "validation": ("validation", "valid", "val", "dev")}
"""Each split, and how the name of its files may begin."""


@dataclass(frozen=True)
class _Part:
    """The rows of one split."""

    rows: list[Entry]
    classes: tuple[str, ...] | None


def files(folder: Path) -> list[Path]:
    """The parquet files of a folder and of its subfolder `data`, by name; where there are none, and no images, those of
    the one subfolder that holds some, such as `plain_text` in a clone from the hub.

    Raises `InputError` where several subfolders do.
    """
    if own := sorted([*folder.glob("*.parquet"), *(folder / "data").glob("*.parquet")]):
        return own
    below = sorted({file.parent for file in folder.glob("*/*.parquet") if not file.parent.name.startswith(".")})
    if not below or find(folder):
        return []
    names = ", ".join(path.name for path in below)
    require(len(below) == 1, f"{folder}: parquet files in several of its subfolders ({names}); name one of these")
    return sorted(below[0].glob("*.parquet"))


def read_folder(folder: Path) -> Found:
    """The labelled images of a folder of parquet files: training files, and test files, else those of validation.

    The image column is the one of type {bytes, path}, the labels are the integers of the column `label`. Without
    training files, or without any others, all rows are one part. Raises `InputError` for files that are none of this.
    """
    by_split = _by_split(folder)
    other = next((split for split in ("test", "validation") if split in by_split), None)
    if "train" in by_split and other:
        used, unused = ["train", other], [split for split in by_split if split not in ("train", other)]
    else:
        used, unused = list(by_split), []
    parts = [_rows(by_split[split]) for split in used]
    classes = _classes(folder, parts)
    if len(parts) == 2 and used[0] == "train":
        (train, skipped), (test, skipped_too) = (_decode(part, folder) for part in parts)
        skipped += skipped_too
    else:
        test = None
        train, skipped = _decode(_Part([row for part in parts for row in part.rows], None), folder)
    origin = f"parquet files of {folder.name}: {' and '.join(split for split in used if split)}".removesuffix(": ")
    if unused:
        origin += f" (not used: {', '.join(unused)})"
    return Found(train, test, classes, origin, skipped)


def _by_split(folder: Path) -> dict[str, list[Path]]:
    """The files of each split, train first; under "" if no name tells one."""
    found = files(folder)
    splits: dict[str, list[Path]] = {split: [] for split in ("train", "test", "validation", "")}
    for file in found:
        name = file.name.lower()
        splits[next((s for s, starts in SPLITS.items() if name.startswith(starts)), "")].append(file)
    if splits[""] and len(splits[""]) < len(found):
        raise InputError(
            f"{splits[''][0]}: neither train, test nor validation; begin its name with one of these, or move it away"
        )
    return {split: members for split, members in splits.items() if members}


def _rows(members: list[Path]) -> _Part:
    rows: list[Entry] = []
    named: dict[tuple[str, ...], Path] = {}
    for file in members:
        try:
            schema = pq.read_schema(file)
            image = _image_column(schema, file)
            table = pq.read_table(file, columns=[image, "label"])
        except (pa.ArrowException, OSError) as error:
            raise InputError(f"{file}: not a parquet file that can be read ({str(error).splitlines()[0]})") from None
        names = _class_names(schema)
        if names:
            named[names] = file
        contents = table.flatten().column(f"{image}.bytes").to_pylist()
        labels = _labels(table.column("label"), names, file)
        for number, (content, label) in enumerate(zip(contents, labels, strict=True)):
            rows.append(Entry(f"{file.name} row {number}", content, label))
    if len(named) > 1:
        one, two = list(named.values())[:2]
        raise InputError(f"{one} and {two.name} name different classes; keep data sets in folders of their own")
    return _Part(rows, next(iter(named), None))


def _image_column(schema: pa.Schema, file: Path) -> str:
    columns = ", ".join(schema.names)
    images = [field.name for field in schema if _holds_images(field.type)]
    if len(images) != 1:
        many = "more than one image column" if images else "no image column"
        raise InputError(f"{file}: {many}; exactly one of type {{bytes, path}} is read, the columns are {columns}")
    require("label" in schema.names, f"{file}: no column 'label'; the columns are {columns}")
    kind = schema.field("label").type
    require(pa.types.is_integer(kind), f"{file}: the column 'label' holds {kind}; labels are integers from 0")
    return images[0]


def _holds_images(kind: pa.DataType) -> bool:
    if not pa.types.is_struct(kind):
        return False
    fields = {field.name: field.type for field in kind}
    return fields.keys() == {"bytes", "path"} and (
        pa.types.is_binary(fields["bytes"]) or pa.types.is_large_binary(fields["bytes"])
    )


def _class_names(schema: pa.Schema) -> tuple[str, ...] | None:
    try:
        features: Any = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features["label"]["names"])
    except (KeyError, TypeError, ValueError):
        return None


def _labels(column: pa.ChunkedArray, names: tuple[str, ...] | None, file: Path) -> list[int]:
    labels = column.to_pylist()
    for number, label in enumerate(labels):
        if label is None or label < 0:
            raise InputError(
                f"{file} row {number}: no label ({label}); images without one cannot be used, move it away"
            )
        if names and label >= len(names):
            raise InputError(f"{file} row {number}: label {label}, but the schema names {len(names)} classes")
    return labels


def _classes(folder: Path, parts: list[_Part]) -> tuple[str, ...]:
    """The class names that the splits agree on; numbers where the schema names none."""
    named = {part.classes for part in parts if part.classes}
    require(len(named) < 2, f"{folder}: its splits name different classes; keep data sets in folders of their own")
    if named:
        return named.pop()
    largest = max((row.label for part in parts for row in part.rows), default=-1)
    return tuple(str(label) for label in range(largest + 1))


def _decode(part: _Part, folder: Path) -> tuple[Labelled, Any]:
    remedy = "write them as a folder of images with one subfolder a class, which is brought to one size"
    return decode(part.rows, _open, str(folder), remedy)


def _open(content: bytes | None) -> Image.Image:
    if content is None:
        raise BadImage("only a path, no bytes; write the image's bytes into the parquet file")
    return read(BytesIO(content), keep_grey=True)
