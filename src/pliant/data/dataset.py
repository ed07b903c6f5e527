"""`Dataset`: labelled images in memory, one part to train on and one to test on."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Int64, UInt8
from torch import Tensor
from torch.nn.functional import pad

from pliant._checks import require
from pliant.draws import Stream, permutation

TRAIN_SHARE = 0.8
HALVINGS = 16
"""The nets halve an image four times."""


@dataclass(frozen=True)
class Skipped:
    """An image that was left out, and why."""

    file: str
    reason: str


@dataclass(frozen=True, eq=False)
class Labelled:
    """Images, 0 to 255, and the class of each."""

    images: UInt8[Tensor, "n c h w"]
    labels: Int64[Tensor, " n"]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, order: Int64[Tensor, " m"]) -> "Labelled":
        return Labelled(self.images[order], self.labels[order])


@dataclass(frozen=True, eq=False)
class Dataset:
    """Labelled images. The order within each part is drawn at random, so that the first n are a sample of the part.

    `classes`: the name of each label; `source`: a sentence, where the images come from, what was done to them and how
    they were split; `skipped`: the images that were left out.
    """

    train_images: UInt8[Tensor, "train c h w"]
    train_labels: Int64[Tensor, " train"]
    test_images: UInt8[Tensor, "test c h w"]
    test_labels: Int64[Tensor, " test"]
    classes: tuple[str, ...]
    name: str
    source: str
    skipped: tuple[Skipped, ...] = ()

    @cached_property
    def digest(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of all images and labels, in their order."""
        found = hashlib.sha256()
        for part in (self.train_images, self.train_labels, self.test_images, self.test_labels):
            found.update(f"{tuple(part.shape)} {part.dtype}".encode())
            found.update(part.cpu().contiguous().numpy().data)
        return found.hexdigest()[:12]


@dataclass(frozen=True, eq=False)
class Found:
    """What a reader finds: one part or two, the class names, a sentence on the origin, and what was left out."""

    train: Labelled
    test: Labelled | None
    classes: tuple[str, ...]
    origin: str
    skipped: tuple[Skipped, ...] = ()

    def dataset(self, name: str, seed: int) -> Dataset:
        """Both parts in an order drawn from `seed`; a single part split 80 to 20. Sides padded for four halvings."""
        train, test, said = self.train, self.test, self.origin
        if test is None:
            order = permutation(seed, Stream.SPLIT, 0, len(train))
            count = round(TRAIN_SHARE * len(train))
            test, train = train[order[count:]], train[order[:count]]
            said += f"; split at random (seed {seed}) into {len(train):,} to train and {len(test):,} to test"
        else:
            train = train[permutation(seed, Stream.SPLIT, 1, len(train))]
            test = test[permutation(seed, Stream.SPLIT, 2, len(test))]
            said += f"; {len(train):,} to train and {len(test):,} to test, as given"
        require(
            len(train) >= 2 and len(test) >= 2,
            f"{name}: {len(train)} images to train and {len(test)} to test; each part needs at least 2",
        )
        before, after = _sizes(train, test)
        require(before == after, f"{name}: training images of {before} and test images of {after}; make them one size")
        images, padded = _padded(train.images)
        return Dataset(
            train_images=images,
            train_labels=train.labels,
            test_images=_padded(test.images)[0],
            test_labels=test.labels,
            classes=self.classes,
            name=name,
            source=f"{said}{padded}.",
            skipped=self.skipped,
        )


def _sizes(*parts: Labelled) -> list[str]:
    return [
        f"{w} x {h} pixels, {c} channel{'s' if c > 1 else ''}" for _, c, h, w in (part.images.shape for part in parts)
    ]


def _padded(images: UInt8[Tensor, "n c h w"]) -> tuple[UInt8[Tensor, "n c hh ww"], str]:
    """Sides brought to a multiple of 16 by zeros all round, and a clause that says so if any were added."""
    height, width = images.shape[2:]
    down, right = -height % HALVINGS, -width % HALVINGS
    if not (down or right):
        return images, ""
    margins = (right // 2, right - right // 2, down // 2, down - down // 2)
    larger = pad(images, margins)
    return larger, f"; padded with zeros from {width} x {height} to {width + right} x {height + down} pixels"
