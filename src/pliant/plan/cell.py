"""A `Cell`: one net on one task, trained or not, and how it is measured. An experiment is a list of them."""

import math
import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pliant._checks import require, unknown
from pliant.plan.payload import build, check_types, identity, later, to_payload
from pliant.plan.study import METRICS, PADDINGS, Measuring, Training, check_net

TASKS = ("labels", "random_labels", "random_images", "shuffled_pixels", "templates")
PREPROCESSING = ("image", "dataset", "unit")
FAMILIES = ("cifar", "imagenet")
CREDIT = "china.jpg by danielbuechele, flower.jpg by vultilion, both Flickr, CC BY 2.0"
"""Whose the embedded photographs are, as scikit-learn's datasets/images/README.txt has it."""


@dataclass(frozen=True)
class Task:
    """What a net is trained to tell, and the images that it is measured on.

    kind: "labels", those of the data set; "random_labels", drawn once for each image; "random_images", pixels drawn
        for each image; "shuffled_pixels", by one permutation for all images; "templates", one image of each class,
        whose deformations of the given reach are the examples (Ruderman et al. 2018, Figure 3).
    data: a data set's name or folder, or "photographs", the embedded ones, which nothing can be trained on.
    limit: training images used, or examples drawn; all if None.
    reach: of the templates' deformations, pixels; 0 for other tasks.
    preprocessing: "image", each image standardised; "dataset", by mean and deviation of each channel over the
        training images; "unit", in [0, 1] as they are.
    """

    kind: str = "labels"
    data: str = "digits"
    limit: int | None = None
    reach: float = 0.0
    preprocessing: str = "image"

    def __post_init__(self) -> None:
        check_types(self)
        if self.kind not in TASKS:
            raise unknown("task", self.kind, TASKS)
        if self.preprocessing not in PREPROCESSING:
            raise unknown("preprocessing", self.preprocessing, PREPROCESSING)
        require(self.limit is None or self.limit >= 2, f"limit={self.limit}: training needs at least 2 images")
        require(0 <= self.reach < math.inf, f"reach={self.reach}: pixels, 0 or more and finite")
        require(
            (self.reach > 0) == (self.kind == "templates"),
            f"reach={self.reach} of the task {self.kind!r}: templates need a reach above 0, other tasks have none",
        )


@dataclass(frozen=True)
class Net:
    """A net of the study. family: "cifar" or "imagenet"; width: factor on the channels; sigma: the initial filters
    are convolved with a Gaussian of this standard deviation, pixels; 0 leaves them as drawn; padding_mode: "zeros" or
    "circular"; pool_skip: pixels a side of the blocks of a residual branch before each downsampling, 0 for none.
    """

    downsampling: str = "max_pool"
    family: str = "cifar"
    width: float = 1.0
    sigma: float = 0.0
    padding_mode: str = later("zeros")
    pool_skip: int = later(0)

    def __post_init__(self) -> None:
        check_types(self)
        check_net(self.downsampling, self.padding_mode, self.pool_skip)
        if self.family not in FAMILIES:
            raise unknown("family", self.family, FAMILIES)
        require(0 < self.width < math.inf, f"width={self.width}: a factor on the channels, above 0")
        require(0 <= self.sigma < math.inf, f"sigma={self.sigma}: a standard deviation in pixels, 0 or more")


@dataclass(frozen=True)
class Cell:
    """One net on one task: measured before training, at steps on a logarithmic grid, and at the end.

    training: None for a net that is measured as it was drawn.
    measuring: the reference protocol; at the two ends every other of `metrics` x `paddings` is measured too. Batch norm
        is calibrated at every step, besides untouched before training and as it is after it.
    moments: about how many steps of the training are measured, the two ends included.
    choice: the name of the protocol of training that the cell belongs to; "reference" but for the cells in which a
        choice differs, or that are trained otherwise to be compared with.
    seed: of initial weights, random labels and images, order of batches, deformations.
    """

    task: Task = field(default_factory=Task)
    net: Net = field(default_factory=Net)
    training: Training | None = None
    measuring: Measuring = field(default_factory=Measuring)
    metrics: tuple[str, ...] = ("cosine", "euclidean")
    paddings: tuple[str, ...] = ("zeros", "border")
    moments: int = 8
    choice: str = "reference"
    seed: int = 0

    def __post_init__(self) -> None:
        check_types(self)
        require(0 <= self.seed < 1 << 64, f"seed={self.seed}: a seed is an integer from 0 to 2^64 - 1")
        require(self.moments >= 2, f"moments={self.moments}: the two ends at least")
        require(bool(self.choice), "choice='': name the protocol of training, such as 'reference'")
        for kind, names, known in (("metric", self.metrics, METRICS), ("padding", self.paddings, PADDINGS)):
            for name in names:
                if name not in known:
                    raise unknown(kind, name, known)
            require(len(set(names)) == len(names), f"{kind}s={names}: name each once")
        require(
            self.measuring.metric in self.metrics and self.measuring.padding in self.paddings,
            f"metrics={self.metrics}, paddings={self.paddings}: the reference protocol "
            f"({self.measuring.metric}, {self.measuring.padding}) is one of them",
        )
        require(
            self.training is None or self.task.data != "photographs",
            "the embedded photographs have no labels: nothing can be trained on them",
        )

    @cached_property
    def identity(self) -> str:
        """The first 12 hexadecimal digits of the SHA-256 of the cell's canonical JSON."""
        return identity(self)

    @cached_property
    def name(self) -> str:
        """A folder's name that people can read, and that no other cell has."""
        strength = f"{self.task.reach:g}" if self.task.reach else ""
        sigma = f"-sigma{self.net.sigma:g}" if self.net.sigma else ""
        padding = f"-{self.net.padding_mode}" if self.net.padding_mode != "zeros" else ""
        skip = f"-skip{self.net.pool_skip}" if self.net.pool_skip else ""
        what = f"{self.task.kind}{strength}" if self.training else "initial"
        net = f"{self.net.family}-{self.net.downsampling}{sigma}{padding}{skip}"
        words = f"{what}-{net}-{self.choice}-seed{self.seed}"
        return f"{re.sub(r'[^A-Za-z0-9.-]+', '_', words)}-{self.identity[:6]}"

    @classmethod
    def from_json(cls, payload: dict[str, Any]) -> "Cell":
        """The cell whose fields these are; an unknown one raises `InputError`."""
        kinds = {"task": Task, "net": Net, "training": Training, "measuring": Measuring}
        if not isinstance(payload, dict):
            return build(cls, payload)
        return build(
            cls,
            {
                name: build(kinds[name], value) if name in kinds and value is not None else value
                for name, value in payload.items()
            },
        )

    def to_json(self) -> dict[str, Any]:
        """A JSON object that `from_json` reads back."""
        return to_payload(self)
