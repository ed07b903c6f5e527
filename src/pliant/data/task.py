"""Tasks: what the nets of a study are trained to tell, and on which images. Ruderman et al. 2018, Sections 3 to 5."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float32, Int64, UInt8
from torch import Tensor

from pliant._checks import require
from pliant.data.dataset import Dataset
from pliant.data.embedded_photographs import photographs
from pliant.data.loading import load
from pliant.data.standardisation import standardise
from pliant.deform import ThinPlate, warp
from pliant.draws import Stream, permutation, uniform
from pliant.plan import Task

_GRID = 3  # control points a side of the templates' deformations, as for all images of this size
_DRAW = 1  # the measurement takes draw 0: what a net is measured with, it has not been trained on
_TESTED = 1 << 32
"""Examples drawn to test on are counted from here: they are never those that were trained on."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Float images as the nets see them, and labels: `train` to learn from, `test` to tell the accuracy on.

    probe: what sensitivity is measured on: real test images, so that nets compare whatever they have learned from; of
    templates, their deformations. usual: others like them, to calibrate batch norm with: real training images;
    of templates the examples themselves.
    """

    train: Float32[Tensor, "train c h w"]
    train_labels: Int64[Tensor, " train"]
    test: Float32[Tensor, "test c h w"]
    test_labels: Int64[Tensor, " test"]
    probe: Float32[Tensor, "probe c h w"]
    usual: Float32[Tensor, "usual c h w"]
    classes: int


def examples(task: Task, seed: int, read: Callable[[str], Dataset] = load) -> Examples:
    """The images and labels of a task, of the data set that `read` gives by its name.

    Everything drawn is a pure function of (seed, number of the image).

    Random labels are drawn once for each training image, of all classes alike; the test images keep their own, which
    nobody can learn then. Random images take their pixels from a uniform distribution, each image its own, and keep
    the labels; shuffled pixels take one order for all images. Templates are the first training image of each class.
    Raises `InputError` for data that cannot be had.
    """
    if task.data == "photographs":
        return _photographs(task)
    data = read(task.data)
    chosen = KINDS[task.kind](data, task, seed)
    train, test = _prepared(chosen, task.preprocessing)
    usual, probe = train, test
    if task.kind in ("random_images", "shuffled_pixels"):
        usual, probe = _prepared(_labels(data, task, seed), task.preprocessing)
    return Examples(train, chosen.train_labels, test, chosen.test_labels, probe, usual, len(chosen.classes))


def templates(data: Dataset) -> UInt8[Tensor, "classes c h w"]:
    """One image of each class: the first of the training images that bears its label."""
    first = []
    for label in range(len(data.classes)):
        found = (data.train_labels == label).nonzero()
        require(len(found) > 0, f"{data.name} has no training image of the class {data.classes[label]!r}")
        first.append(int(found[0]))
    return data.train_images[torch.tensor(first)]


def _labels(data: Dataset, task: Task, seed: int) -> Dataset:
    return replace(data, train_images=data.train_images[: task.limit], train_labels=data.train_labels[: task.limit])


def _random_labels(data: Dataset, task: Task, seed: int) -> Dataset:
    chosen = _labels(data, task, seed)
    drawn = uniform(seed, Stream.LABELS, range(len(chosen.train_labels)), 0, 1)[:, 0].double()
    return replace(chosen, train_labels=(drawn * len(data.classes)).long())


def _random_images(data: Dataset, task: Task, seed: int) -> Dataset:
    chosen = _labels(data, task, seed)
    return replace(
        chosen,
        train_images=_noise(seed, 0, len(chosen.train_images), data.train_images.shape[1:]),
        test_images=_noise(seed, _TESTED, len(data.test_images), data.test_images.shape[1:]),
    )


def _noise(seed: int, start: int, count: int, shape: torch.Size) -> UInt8[Tensor, "n c h w"]:
    parts = [
        (256 * uniform(seed, Stream.PIXELS, some, 0, shape.numel())).to(torch.uint8)
        for some in torch.arange(start, start + count).split(512)
    ]
    return torch.cat(parts).view(count, *shape)


def _shuffled_pixels(data: Dataset, task: Task, seed: int) -> Dataset:
    chosen = _labels(data, task, seed)
    height, width = data.train_images.shape[2:]
    order = permutation(seed, Stream.PIXELS, 1, height * width)

    def shuffled(images: Tensor) -> Tensor:
        return images.flatten(2)[:, :, order].view(images.shape)

    return replace(chosen, train_images=shuffled(chosen.train_images), test_images=shuffled(data.test_images))


def _templates(data: Dataset, task: Task, seed: int) -> Dataset:
    pictures = templates(data)
    count = task.limit or len(data.train_images)
    train, test = (_deformed(pictures, task.reach, seed, start, n) for start, n in ((0, count), (_TESTED, 1024)))
    return replace(data, train_images=train[0], train_labels=train[1], test_images=test[0], test_labels=test[1])


def _deformed(
    pictures: UInt8[Tensor, "k c h w"], reach: float, seed: int, start: int, count: int
) -> tuple[UInt8[Tensor, "n c h w"], Int64[Tensor, " n"]]:
    """`count` examples from number `start` on: their classes take turns, each is deformed in its own way."""
    numbers = torch.arange(start, start + count)
    labels = numbers % len(pictures)
    size = (pictures.shape[2], pictures.shape[3])
    plate = ThinPlate(_GRID, reach)
    parts = [
        warp(pictures[which], plate.sample(some.tolist(), size, seed, _DRAW))
        for some, which in zip(numbers.split(1024), labels.split(1024), strict=True)
    ]
    return torch.cat(parts), labels


def _prepared(data: Dataset, preprocessing: str) -> tuple[Tensor, Tensor]:
    if preprocessing == "image":
        return standardise(data.train_images), standardise(data.test_images)
    train, test = data.train_images.float() / 255, data.test_images.float() / 255
    if preprocessing == "unit":
        return train, test
    mean = train.mean((0, 2, 3), keepdim=True, dtype=torch.float64)
    deviation = (train - mean).double().square().mean((0, 2, 3), keepdim=True).sqrt().clamp_min(1e-6)
    return ((train - mean) / deviation).float(), ((test - mean) / deviation).float()


def _photographs(task: Task) -> Examples:
    """Crops to measure on, and as many others to calibrate batch norm with; nothing to learn."""
    require(
        task.preprocessing != "dataset",
        "preprocessing='dataset' of photographs: there is no training set to take the statistics from; take 'image' or "
        "'unit'",
    )
    count = task.limit or 64
    crops = photographs(224, 2 * count)
    images = standardise(crops) if task.preprocessing == "image" else crops.float() / 255
    none = torch.zeros(count, dtype=torch.int64)
    return Examples(images[count:], none, images[:count], none, images[:count], images[count:], 1000)


KINDS: dict[str, Callable[[Dataset, Task, int], Dataset]] = {
    "labels": _labels,
    "random_labels": _random_labels,
    "random_images": _random_images,
    "shuffled_pixels": _shuffled_pixels,
    "templates": _templates,
}
