"""`load`: a labelled data set by its name or its folder."""

from pathlib import Path

from pliant._checks import InputError, require, unknown
from pliant.data import class_folder, digits, downloads, parquet
from pliant.data.dataset import Dataset

NAMES = {
    "digits": digits.read,
    "cifar10": lambda: downloads.read("cifar10"),
    "mnist": lambda: downloads.read("mnist"),
}


def names_dataset(name: str) -> bool:
    """Whether the name is that of a data set, or of a folder of parquet files."""
    return name in NAMES or bool(parquet.files(Path(name).expanduser()))


def load(name: str, seed: int = 0, size: int = 32) -> Dataset:
    """The data set of that name ("digits", "cifar10", "mnist") or in that folder, in memory.

    A folder holds parquet files in the layout of the Hugging Face hub, or images with one subfolder a class, which are
    brought to `size` x `size` pixels. `seed` draws the order, and the split (80 to 20) where none is given. Images
    whose sides are no multiple of 16 are padded with zeros, as MNIST is to 32 x 32. Raises `InputError` for an unknown
    name, a folder that holds neither, and data that cannot be had.
    """
    require(size >= 2, f"size={size}: pixels a side, at least 2")
    if name in NAMES:
        return NAMES[name]().dataset(name, seed)
    folder = Path(name).expanduser()
    if not folder.exists():
        raise unknown(
            "data set",
            name,
            NAMES,
            "Or give the folder of one: parquet files, or one subfolder of images a class; there is no "
            f"{folder.absolute()}.",
        )
    if not folder.is_dir():
        raise InputError(f"{name}: a file, not a folder; name the folder that holds it")
    found = parquet.read_folder(folder) if parquet.files(folder) else class_folder.read_folder(folder, size)
    return found.dataset(folder.resolve().name, seed)
