"""Data sets as folders of images: one subfolder a class, with or without train/ and test/ above them."""

from pathlib import Path

from PIL import Image, ImageOps

from pliant._checks import InputError, require
from pliant.data.dataset import Found, Skipped
from pliant.data.decoding import Entry, decode
from pliant.data.folder import find, name_in
from pliant.data.image_file import read

TESTS = ("test", "validation", "valid", "val")
"""Names of the folder of test images, the first that is there."""


def read_folder(folder: Path, size: int = 32) -> Found:
    """The labelled images of a folder, each brought to `size` x `size` pixels: shorter side resized, centre cropped.

    Subfolders are the classes, by name; or `train` and `test` (or `validation`), with the classes below. Images outside
    a class are left out. Raises `InputError` for fewer than 2 classes, or a class to test on that was not trained on.
    """
    below = [path for path in sorted(folder.iterdir()) if path.is_dir() and not path.name.startswith(".")]
    names = {path.name.lower(): path for path in below}
    split = bool(names) and names.keys() <= {"train", *TESTS}
    test_name = next((name for name in TESTS if name in names), None)
    if split and "train" in names and test_name:
        roots = [names["train"], names[test_name]]
    elif split and len(names) == 1:
        roots = below
    else:
        roots = [folder]
    classes = _classes(roots[0])
    require(
        len(classes) >= 2,
        f"{folder}: {len(classes)} subfolders with images; a data set is a folder of parquet files, or has one "
        "subfolder of images for each of 2 or more classes",
    )
    parts, skipped = [], ()
    for root in roots:
        entries, outside = _entries(root, folder, classes)
        part, bad = decode(entries, lambda path: _fitted(path, size), str(folder), "")
        parts.append(part)
        skipped += (*outside, *bad)
    unused = [path.name for path in below if path not in roots] if roots != [folder] else []
    origin = f"images of {folder.name} by subfolder, shorter side resized to {size} pixels (bicubic), centre cropped"
    if unused:
        origin += f" (not used: {', '.join(unused)})"
    return Found(parts[0], parts[1] if len(parts) > 1 else None, classes, origin, tuple(skipped))


def _classes(root: Path) -> tuple[str, ...]:
    return tuple(sorted({name_in(root, path).split("/")[0] for path in find(root) if path.parent != root}))


def _entries(root: Path, folder: Path, classes: tuple[str, ...]) -> tuple[list[Entry], tuple[Skipped, ...]]:
    entries, outside = [], []
    for path in find(root):
        name = name_in(folder, path)
        label = name_in(root, path).split("/")[0]
        if path.parent == root:
            outside.append(Skipped(name, "not in the subfolder of a class; move it into one"))
        elif label not in classes:
            raise InputError(
                f"{path.parent}: no class of the training images, which are {', '.join(classes)}; rename it"
            )
        else:
            entries.append(Entry(name, path, classes.index(label)))
    return entries, tuple(outside)


def _fitted(path: Path, size: int) -> Image.Image:
    return ImageOps.fit(read(path, keep_grey=True), (size, size), method=Image.Resampling.BICUBIC)
