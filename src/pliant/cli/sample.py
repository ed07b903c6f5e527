"""The images that a command measures, as its model wants them, and the device it runs on."""

from pathlib import Path

import torch
from jaxtyping import Float, Int64, UInt8
from PIL import Image
from torch import Tensor

from pliant import data, zoo
from pliant._checks import InputError, require
from pliant.data import ImageFolder, Skipped, photographs
from pliant.data.embedded_photographs import SOURCE
from pliant.data.loading import names_dataset

PHOTOGRAPHS = 64
CALIBRATION = 512
"""Images to calibrate batch norm on, if not told otherwise."""


class Sample:
    """The images of a measurement, resized and cropped for a model: a folder's, the test images of a data set, or
    crops of the embedded photographs.

    calibration: how many others to calibrate batch norm on, where `batch_norm` asks for it.
    batches: tensors (n, c, h, w) in [0, 1], or one. count: how many images. labels: their classes, where known, of so
    many `classes`.
    """

    def __init__(
        self, loaded: zoo.Loaded, images: str | None, limit: int, on_bad_image: str, batch_norm: str, calibration: int
    ) -> None:
        self.batches: Tensor | ImageFolder
        self.labels: Int64[Tensor, " n"] | None = None
        self.classes = 0
        require(calibration >= 2, f"--calibration {calibration}: at least 2 images to take the statistics of")
        require(
            calibration == CALIBRATION or batch_norm == "calibrated",
            f"--calibration {calibration} is of calibrated batch norm: give --batch-norm calibrated too",
        )
        self._others = calibration if batch_norm == "calibrated" else 0
        self._left_out: tuple[Skipped, ...] = ()
        if images is None:
            self._read_photographs(loaded, limit)
        elif names_dataset(images):
            self._read_dataset(loaded, images, limit)
        else:
            self.batches = ImageFolder(Path(images), loaded.resize_and_crop, limit or None, on_bad_image)
            self.count = len(self.batches.chosen)

    def _read_photographs(self, loaded: zoo.Loaded, limit: int) -> None:
        require(
            loaded.channels == 3 and loaded.size[0] == loaded.size[1],
            f"{loaded.name} takes {loaded.channels} channels of {loaded.size[0]}x{loaded.size[1]}; the embedded "
            "photographs are square and in colour: give a folder with --images",
        )
        self.count = min(limit or PHOTOGRAPHS, PHOTOGRAPHS)
        crops = photographs(loaded.size[0], self.count + self._others)
        self._rest = crops[self.count :].float() / 255
        self.batches = crops[: self.count].float() / 255
        self._source = f"{self.count} c{SOURCE[1:]}"

    def _read_dataset(self, loaded: zoo.Loaded, name: str, limit: int) -> None:
        found = data.load(name)
        self.count = min(limit or len(found.test_images), len(found.test_images))
        self.labels, self.classes = found.test_labels[: self.count], len(found.classes)
        self.batches = _fitted(found.test_images[: self.count], loaded)
        self._rest = _fitted(found.train_images[: self._others], loaded) if self._others else self.batches[:0]
        self._source = f"{self.count:,} test images of {found.name}. {found.source}"
        self._left_out = found.skipped

    def calibration(self) -> Tensor | None:
        """Other images, to calibrate batch norm with; None if nobody asked."""
        if not self._others:
            return None
        if isinstance(self.batches, Tensor):
            return self._rest
        others = self.batches.others(self._others)
        images = torch.cat(list(others))
        self._left_out = others.skipped
        return images

    def lacking(self) -> str:
        """Why no other images are left to calibrate batch norm with; empty where there are some."""
        if isinstance(self.batches, Tensor):
            return ""
        try:
            self.batches.others(CALIBRATION)
        except InputError as error:
            return str(error)
        return ""

    def source(self) -> str:
        """Where the images come from; complete after they were measured."""
        if isinstance(self.batches, Tensor):
            return self._source
        return f"{len(self.batches.files)} of {self.batches.folder}."

    def skipped(self) -> tuple[Skipped, ...]:
        """The images left out."""
        return self._left_out if isinstance(self.batches, Tensor) else (*self.batches.skipped, *self._left_out)


def device_called(name: str | None) -> torch.device:
    """The device of that name; a GPU, if there is one, without a name. Raises `InputError` if it is not to be had."""
    if name is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(f"device {name!r} is not to be had here: {str(error).splitlines()[0]}") from None
    return device


def _fitted(images: UInt8[Tensor, "n c h w"], loaded: zoo.Loaded) -> Float[Tensor, "n k a b"]:
    """The images of a data set resized and cropped as photographs are; as they are where they have the size already."""
    if tuple(images.shape[1:]) == (loaded.channels, *loaded.size):
        return images.float() / 255
    arrays = images.expand(-1, 3, -1, -1).movedim(1, 3).numpy()
    return torch.stack([loaded.resize_and_crop(Image.fromarray(array)) for array in arrays])
