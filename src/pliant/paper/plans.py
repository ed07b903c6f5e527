"""The plan of the study: which nets are trained on which tasks for which figure, at two scales."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from pliant._checks import InputError, require, unknown
from pliant.plan import CREDIT, DOWNSAMPLING, Cell, Measuring, Net, Plan, Task, Training

FIGURES = ("1", "2a", "2b", "2c", "2d", "3a", "3b", "4a", "4b", "4c", "5a", "5b", "A1", "A2", "A3", "course")
STRENGTHS = (1.0, 2.0, 3.0, 4.0)
"""Reaches of the templates' deformations, pixels: the paper's C."""
SIGMAS = (0.1, 0.2, 0.3, 0.4, 0.5)
IMAGENET = ("max_pool", "strided_relu")
SMOOTHED = "strided_relu"
"""The net whose filters Figure 5a smooths; the paper does not say which, and its curves lie near this one's."""
TEMPLATES = "max_pool"
"""The net that learns templates; the paper does not say which."""
CONTROLS = ("max_pool", "strided_relu")

PHOTOGRAPHS = (
    f"Crops of scikit-learn's two embedded photographs ({CREDIT}). Half of all pairs of crops share a "
    "scene, so that two different images are nearer to each other than they would be in a collection, and "
    "sensitivity higher."
)
"""What the nets of ImageNet's size are measured on: the only photographs that pliant carries."""

REFERENCE = "reference"
MEMORISING = "as random labels are learned"
"""The choice of cells that learn true labels from as many images, in as many epochs, without weight decay either: what
random labels are compared with, so that nothing but the labels differs.
"""
CHOICES = {
    "no weight decay": lambda cell: replace(cell, training=replace(cell.training, weight_decay=0.0)),
    "flips and crops": lambda cell: replace(cell, training=replace(cell.training, flip=True, crop=4)),
    "standardised by data set": lambda cell: replace(cell, task=replace(cell.task, preprocessing="dataset")),
    "pixels in [0, 1]": lambda cell: replace(cell, task=replace(cell.task, preprocessing="unit")),
}
"""Choices of training and preprocessing, varied one at a time."""


@dataclass(frozen=True)
class Scale:
    """How much of the study: seeds, widths, images and epochs.

    `limit`: training images of the nets that learn the true labels (all if None); `memorised`: of those that learn
    what only memory can tell (random labels, random images); `examples`: deformations of the templates.
    """

    seeds: int
    width: float
    imagenet_width: float
    limit: int | None
    memorised: int | None
    examples: int
    epochs: int
    memory_epochs: int
    template_epochs: int
    photographs: int


SCALES = {
    "small": Scale(
        seeds=3,
        width=0.25,
        imagenet_width=0.25,
        limit=6_000,
        memorised=1_500,
        examples=4_000,
        epochs=6,
        memory_epochs=30,
        template_epochs=5,
        photographs=32,
    ),
    "paper": Scale(
        seeds=5,
        width=1.0,
        imagenet_width=1.0,
        limit=None,
        memorised=25_000,
        examples=25_000,
        epochs=15,
        memory_epochs=24,
        template_epochs=8,
        photographs=128,
    ),
}


def ruderman2018(
    data: str,
    scale: str = "small",
    figures: Sequence[str] = FIGURES,
    seeds: int | None = None,
    templates: str = "",
    downsampling: Sequence[str] = DOWNSAMPLING,
) -> Plan:
    """The plan of Ruderman et al. 2018 on a data set, for the figures named and the claims that they carry.

    data: a data set's name or folder; scale: "small", for two cores, or "paper"; seeds: instead of the scale's own;
    templates: the data set whose images the templates of Figure 3 are, the embedded digits if not given;
    downsampling: the nets trained on real and random labels; figures show what there is, the claims need the five.
    Figures 2b and 4a need nets trained on ImageNet: they take no cells; 1 and A1 to A3 need no nets. Raises
    `InputError` for unknown names, and where there would be no cell.
    """
    if scale not in SCALES:
        raise unknown("scale", scale, SCALES)
    for figure in figures:
        if figure not in FIGURES:
            raise unknown("figure", figure, FIGURES)
    amount = SCALES[scale]
    count = amount.seeds if seeds is None else seeds
    require(count >= 1, f"seeds={count}: at least 1")
    cells: dict[str, Cell] = {}
    for seed in range(count):
        for cell in _cells(amount, data, templates or "digits", set(figures), seed, downsampling):
            cells.setdefault(cell.name, cell)
    if not cells:
        raise InputError(
            f"the figures {', '.join(figures)} need no nets that can be trained here, and a plan has some: name others "
            "beside them, such as 2c (1 and A1 to A3 are drawn with any plan, 2b and 4a need ImageNet)"
        )
    return Plan("ruderman2018", tuple(cells.values()), scale, threads=1)


def _cells(
    scale: Scale, data: str, templates: str, figures: set[str], seed: int, nets: Sequence[str]
) -> Iterator[Cell]:
    training = Training(epochs=scale.epochs)
    if figures & {"2a", "5a"}:
        yield from _untrained(scale, figures, seed)
    if figures & {"2c", "2d", "4b", "course"}:
        for downsampling in nets:
            net = Net(downsampling, width=scale.width)
            cell = Cell(Task("labels", data, scale.limit), net, training, seed=seed)
            yield cell
            if figures & {"2d", "4b", "course"}:
                for name, change in CHOICES.items():
                    yield replace(change(cell), choice=name)
    memory = replace(training, epochs=scale.memory_epochs, weight_decay=0.0)
    if figures & {"4c", "5b"}:
        for downsampling in nets:
            net = Net(downsampling, width=scale.width)
            random = Cell(Task("random_labels", data, scale.memorised), net, memory, seed=seed)
            yield random
            if "5b" in figures:
                yield replace(random, task=replace(random.task, kind="labels"), choice=MEMORISING, moments=2)
        for kind in ("random_images", "shuffled_pixels") if "5b" in figures else ():
            for downsampling in CONTROLS:
                net = Net(downsampling, width=scale.width)
                chosen = memory if kind == "random_images" else training
                limit = scale.memorised if kind == "random_images" else scale.limit
                yield Cell(Task(kind, data, limit), net, chosen, moments=2, seed=seed)
    if figures & {"3a", "3b"}:
        for reach in STRENGTHS:
            task = Task("templates", templates, scale.examples, reach)
            few = replace(training, epochs=scale.template_epochs)
            yield Cell(task, Net(TEMPLATES, width=scale.width), few, moments=4, seed=seed)


def _untrained(scale: Scale, figures: set[str], seed: int) -> Iterator[Cell]:
    """The nets of ImageNet's size as drawn, on crops of the embedded photographs."""
    task = Task("labels", "photographs", scale.photographs)
    measuring = Measuring(
        grid=5, reach=10.0, images=scale.photographs, block=scale.photographs, calibration=min(64, scale.photographs)
    )
    wanted = [(name, 0.0) for name in IMAGENET if "2a" in figures]
    wanted += [(SMOOTHED, sigma) for sigma in SIGMAS if "5a" in figures]
    for downsampling, sigma in wanted:
        net = Net(downsampling, "imagenet", scale.imagenet_width, sigma)
        yield Cell(task, net, None, measuring, moments=2, seed=seed)
