"""How popular thin-plate and elastic deformations compare with their own definitions: writes docs/conformance.md.

    uv run --group bench python benchmarks/conformance.py

Thin-plate splines: 5 x 5 control points on 225 x 225 pixels, each moved by up to 10 pixels; every library gets the same
points in the coordinates that it takes, and its map at every pixel is compared with scipy's RBFInterpolator in float64.
Elastic distortions: every library's field is compared with scipy's Gaussian filter of the noise that it drew itself, in
its own unit, away from the border. What a transform does with a batch, seeds, gradients and types is tried, not quoted.
"""

import argparse
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import albumentations
import kornia
import numpy as np
import torch
from albumentations.augmentations.geometric import functional as geometric
from monai.transforms.spatial.array import Rand2DElastic
from scipy.interpolate import RBFInterpolator
from scipy.ndimage import gaussian_filter
from skimage.transform import ThinPlateSplineTransform
from torch import Tensor
from torchvision.transforms import v2

import pliant

SIDE, GRID, REACH, DRAWS = 225, 5, 10.0, 20  # so that the control points stand on pixels
SIGMA, ALPHA, MARGIN = 5.0, 50.0, 40
OUT = Path(__file__).parents[1] / "docs" / "conformance.md"
TYPES = {"uint8": torch.uint8, "bf16": torch.bfloat16, "fp32": torch.float32, "fp64": torch.float64}

Points = np.ndarray  # (25, 2), x and y, pixels


@dataclass(frozen=True)
class Spline:
    """A library's spline through control points that moved: (points, moved) -> where each pixel goes, (h, w, 2)."""

    name: str
    package: str
    mapped: Callable[[Points, Points], np.ndarray]


@dataclass(frozen=True)
class Transform:
    """A library's random transform. apply: a batch (n, 3, h, w) -> the same, deformed. seeding: set before a draw."""

    name: str
    package: str
    apply: Callable[[Tensor], Tensor]
    seed: Callable[[], object]
    folds: str = "no"


def lattice() -> tuple[Points, np.ndarray]:
    """The control points, and every pixel (h * w, 2)."""
    ends = np.linspace(0, SIDE - 1, GRID)
    points, pixels = (np.stack(np.meshgrid(a, a), -1).reshape(-1, 2) for a in (ends, np.arange(float(SIDE))))
    return points, pixels


def exact(points: Points, moved: Points) -> np.ndarray:
    """The thin-plate spline of scipy, float64."""
    return RBFInterpolator(points, moved, kernel="thin_plate_spline", degree=1)(lattice()[1]).reshape(SIDE, SIDE, 2)


def by_pliant(points: Points, moved: Points) -> np.ndarray:
    """pliant, of control points at the pixel centres from corner to corner."""
    displacement = torch.from_numpy((moved - points).T[None]).float()
    field = pliant.ThinPlate(GRID, REACH).field(displacement, (SIDE, SIDE)).displacement[0]
    return lattice()[1].reshape(SIDE, SIDE, 2) + field.permute(1, 2, 0).numpy()


def by_kornia(points: Points, moved: Points) -> np.ndarray:
    """kornia, in its coordinates from -1 to 1; float64. The centres of its kernels are the target points."""
    pixels = lattice()[1]
    source, target, places = (torch.from_numpy(a / (SIDE - 1) * 2 - 1)[None] for a in (points, moved, pixels))
    kernel, affine = kornia.geometry.transform.get_tps_transform(source, target)
    found = kornia.geometry.transform.warp_points_tps(places, target, kernel, affine)
    return (found[0].numpy() + 1).reshape(SIDE, SIDE, 2) / 2 * (SIDE - 1)


def by_albumentations(points: Points, moved: Points) -> np.ndarray:
    """albumentations, in its coordinates from 0 to 1."""
    source, target = ((a / (SIDE - 1)).astype(np.float32) for a in (points, moved))
    weights, affine = geometric.compute_tps_weights(source, target)
    places = (lattice()[1] / (SIDE - 1)).astype(np.float32)
    return geometric.tps_transform(places, source, weights, affine).reshape(SIDE, SIDE, 2) * (SIDE - 1.0)


def by_skimage(points: Points, moved: Points) -> np.ndarray:
    """scikit-image, in pixels."""
    spline = ThinPlateSplineTransform()
    spline.estimate(points, moved)
    return spline(lattice()[1]).reshape(SIDE, SIDE, 2)


SPLINES = (
    Spline("pliant `ThinPlate`", "pliant", by_pliant),
    Spline("scikit-image `ThinPlateSplineTransform`", "scikit-image", by_skimage),
    Spline("kornia `get_tps_transform`", "kornia", by_kornia),
    Spline("albumentations `ThinPlateSpline`", "albumentations", by_albumentations),
)


def deviations(spline: Spline) -> tuple[float, float, float]:
    """Over all draws: the largest deviation from the exact spline, its RMS, and its largest at the control points."""
    points, _ = lattice()
    rows = points.round().astype(int)
    largest, squares, at_points = 0.0, [], 0.0
    for draw in range(DRAWS):
        moved = points + np.random.default_rng(draw).uniform(-REACH, REACH, points.shape)
        apart = np.linalg.norm(spline.mapped(points, moved) - exact(points, moved), axis=-1)
        largest, at_points = max(largest, apart.max()), max(at_points, apart[rows[:, 1], rows[:, 0]].max())
        squares.append((apart**2).mean())
    return float(largest), float(np.sqrt(np.mean(squares))), float(at_points)


def elastic_of_pliant() -> tuple[np.ndarray, np.ndarray]:
    """One axis of a field, and the noise that it was made of, both of the image's size."""
    member = pliant.Elastic(ALPHA, SIGMA)
    noise = member.parameters([0], (SIDE, SIDE))
    beyond = (noise.shape[2] - SIDE) // 2
    inner = noise[0, 0, beyond:-beyond, beyond:-beyond]
    return member.field(noise, (SIDE, SIDE)).displacement[0, 0].numpy(), inner.numpy()


def elastic_of_torchvision() -> tuple[np.ndarray, np.ndarray]:
    """Normalised coordinates span two units over the width."""
    torch.manual_seed(0)
    field = v2.ElasticTransform(2 * ALPHA, SIGMA).make_params([torch.zeros(3, SIDE, SIDE)])["displacement"]
    torch.manual_seed(0)
    noise = torch.rand(1, 1, SIDE, SIDE) * 2 - 1
    return (field[0, ..., 0] * SIDE / 2).numpy(), noise[0, 0].numpy()


def elastic_of_albumentations() -> tuple[np.ndarray, np.ndarray]:
    """Uniform noise, as it is defined by Simard et al."""
    generators = np.random.default_rng(0), np.random.default_rng(0)
    found = geometric.generate_displacement_fields((SIDE, SIDE), ALPHA, SIGMA, False, (0, 0), generators[0], "uniform")
    return found[0], generators[1].uniform(-1, 1, (2, SIDE, SIDE))[0]


def elastic_of_kornia() -> tuple[np.ndarray, np.ndarray]:
    """Found from a ramp: kornia gives no field; its alpha is in normalised coordinates, 2 over the width."""
    torch.manual_seed(0)
    noise = torch.rand(1, 2, SIDE, SIDE, dtype=torch.float64) * 2 - 1
    alpha = ALPHA * 2 / SIDE
    ramp = torch.arange(SIDE, dtype=torch.float64).expand(1, 1, SIDE, SIDE).contiguous()
    moved = kornia.geometry.transform.elastic_transform2d(
        ramp, noise, (41, 41), (SIGMA, SIGMA), (alpha, alpha), padding_mode="border"
    )
    return (moved - ramp)[0, 0].numpy(), noise[0, 0].numpy()


ELASTIC = (
    ("pliant `Elastic`", "pliant", "pixels", elastic_of_pliant),
    ("torchvision `v2.ElasticTransform`", "torchvision", "half pixels", elastic_of_torchvision),
    ("albumentations `ElasticTransform`", "albumentations", "pixels", elastic_of_albumentations),
    ("kornia `elastic_transform2d`", "kornia", "half widths", elastic_of_kornia),
)


def elastic_deviation(make: Callable[[], tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """The largest deviation from alpha times the Gaussian filter of the noise, pixels, inside; and the factor between
    both that fits best.
    """
    field, noise = make()
    wanted = ALPHA * gaussian_filter(noise.astype(np.float64), SIGMA, truncate=4.0)
    inside = np.s_[MARGIN:-MARGIN, MARGIN:-MARGIN]
    field, wanted = field[inside].astype(np.float64), wanted[inside]
    factor = float((field * wanted).sum() / (wanted**2).sum())
    return float(np.abs(field - wanted).max()), factor


def numpy_batch(transform: Any) -> Callable[[Tensor], Tensor]:
    """albumentations' call for each image of a batch: it takes one image, channels last."""

    def apply(images: Tensor) -> Tensor:
        if images.dtype == torch.bfloat16:
            raise TypeError("numpy has no bfloat16")
        done = [transform(image=image.permute(1, 2, 0).contiguous().numpy())["image"] for image in images]
        return torch.from_numpy(np.stack(done)).permute(0, 3, 1, 2)

    return apply


def transforms() -> Iterator[Transform]:
    """Each library's transforms as a user would make them."""

    def global_seed() -> object:
        np.random.seed(7)  # noqa: NPY002 - the question is whether it has an effect
        return torch.manual_seed(7)

    plate, noise = pliant.ThinPlate(GRID, REACH), pliant.Elastic(ALPHA, SIGMA)
    for name, member in (("pliant `ThinPlate`", plate), ("pliant `Elastic`", noise)):

        def warped(images: Tensor, member: pliant.Deformation = member) -> Tensor:
            return pliant.warp(images, member.sample(range(len(images)), (SIDE, SIDE)))

        yield Transform(name, "pliant", warped, global_seed, "yes")
    elastic = v2.ElasticTransform(ALPHA, SIGMA)
    yield Transform("torchvision `v2.ElasticTransform`", "torchvision", elastic, global_seed)
    yield Transform(
        "kornia `RandomThinPlateSpline`", "kornia", kornia.augmentation.RandomThinPlateSpline(0.1, p=1.0), global_seed
    )
    yield Transform(
        "kornia `RandomElasticTransform`", "kornia", kornia.augmentation.RandomElasticTransform(p=1.0), global_seed
    )
    for name in ("ThinPlateSpline", "ElasticTransform"):
        made = albumentations.Compose([getattr(albumentations, name)(p=1.0)], seed=7)

        def reseed(made: Any = made) -> object:
            return made.set_random_seed(7)

        yield Transform(f"albumentations `{name}`", "albumentations", numpy_batch(made), reseed)
    monai_elastic = Rand2DElastic((30, 30), (1, 2), prob=1.0)

    def monai_seed() -> object:
        return monai_elastic.set_random_state(7)

    def with_monai(images: Tensor) -> Tensor:
        return torch.stack([torch.as_tensor(monai_elastic(image)) for image in images])

    yield Transform("MONAI `Rand2DElastic`", "monai", with_monai, monai_seed)


def answers(transform: Transform) -> list[str]:
    """What a transform does, found by trying: per image or not, repeatable, global state, gradients, types."""
    images = torch.rand((1, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(0)).expand(3, -1, -1, -1)
    images = images.contiguous()
    transform.seed()
    before, numpy_before = torch.random.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    first = transform.apply(images)
    moved = not torch.equal(before, torch.random.get_rng_state())
    numpy_moved = numpy_before != str(np.random.get_state())  # noqa: NPY002
    transform.seed()
    again = transform.apply(images)
    transform.seed()
    alone = transform.apply(images[:1].contiguous())
    state = "torch's" if moved else "numpy's" if numpy_moved else "untouched"
    return [
        "yes" if not torch.equal(first[0], first[1]) else "no",
        "yes" if torch.equal(first, again) else "no",
        _same_image(transform, images, alone),
        state,
        _gradient(transform, images),
        ", ".join(name for name, dtype in TYPES.items() if _keeps(transform, images, dtype)) or "none",
        transform.folds,
    ]


def _same_image(transform: Transform, images: Tensor, alone: Tensor) -> str:
    """Whether the last image of a batch can be had again without the others."""
    transform.seed()
    last = transform.apply(images)[-1]
    if transform.package == "pliant":
        family = pliant.ThinPlate(GRID, REACH) if "Thin" in transform.name else pliant.Elastic(ALPHA, SIGMA)
        one = pliant.warp(images[-1:], family.sample([len(images) - 1], (SIDE, SIDE)))[0]
        return "yes" if torch.equal(one, last) else "no"
    return "yes" if torch.equal(alone[0], last) else "no"


def _gradient(transform: Transform, images: Tensor) -> str:
    wanted = images.clone().requires_grad_()
    try:
        result = transform.apply(wanted)
        return "yes" if result.requires_grad else "no"
    except Exception:  # whatever a library raises, the answer is no
        return "no"


def _keeps(transform: Transform, images: Tensor, dtype: torch.dtype) -> bool:
    try:
        given = (images * 255).to(dtype) if dtype == torch.uint8 else images.to(dtype)
        return transform.apply(given).dtype == dtype
    except Exception:
        return False


def page() -> str:
    """The page as Markdown."""
    packages = ("pliant", "torch", "torchvision", "kornia", "albumentations", "monai", "scikit-image", "scipy")
    lines = [
        "# Conformance of deformations",
        "",
        "Made by `uv run --group bench python benchmarks/conformance.py`, which tries what it reports: "
        + ", ".join(f"{name} {version(name)}" for name in packages)
        + ".",
        "",
        "## Thin-plate splines against the exact one",
        f"The map at every pixel of {SIDE} x {SIDE}, {GRID} x {GRID} control points that move by up to {REACH:g} "
        f"pixels per axis, {DRAWS} draws, against scipy's `RBFInterpolator` (thin_plate_spline, degree 1, float64) "
        "through the same points. Pixels.",
        "",
        "| implementation | largest deviation | RMS deviation | largest at the control points |",
        "|---|---:|---:|---:|",
        *(
            f"| {spline.name} | {largest:.2g} | {rms:.2g} | {at:.2g} |"
            for spline in SPLINES
            for largest, rms, at in [deviations(spline)]
        ),
        "",
        "kornia sets the kernels at the moved control points instead of at the control points: the map passes through "
        "them, but is not the spline of least bending. albumentations solves for the kernel r^2 log r and evaluates "
        "r log r: the map does not even pass through the control points. "
        "Read in the sources of kornia 0.9.0 and albumentations 2.0.8.",
        "",
        "## Elastic distortions against their definition",
        f"The displacement along x against alpha times the Gaussian filter (sigma {SIGMA:g} pixels, sum 1) of the "
        f"library's own noise, {MARGIN} pixels and more from the border, alpha standing for {ALPHA:g} pixels. "
        "`alpha in` is the unit that the library's alpha has; the factor is the one that fits best after conversion.",
        "",
        "| implementation | alpha in | largest deviation, px | factor |",
        "|---|---|---:|---:|",
        *(
            f"| {name} | {unit} | {largest:.2g} | {factor:.4f} |"
            for name, _, unit, make in ELASTIC
            for largest, factor in [elastic_deviation(make)]
        ),
        "",
        "MONAI's `Rand2DElastic` interpolates a coarse grid of random offsets: another family, so it is not in this "
        "table.",
        "",
        "## What the random transforms do",
        "A batch of three equal images. *Per image*: they come out different. *Repeats*: the same after the library's "
        "own way of seeding. *One alone*: the last image of the batch can be had again without the others. *Global "
        "generator*: whose state a call changes. *Types*: those that come out as they went in. *Folds told*: whether "
        "its interface says where the map is not one-to-one (read, not tried).",
        "",
        "| transform | per image | repeats | one alone | global generator | gradients | types | folds told |",
        "|---|---|---|---|---|---|---|---|",
        *(f"| {transform.name} | {' | '.join(answers(transform))} |" for transform in transforms()),
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    """Try everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=OUT)
    arguments = parser.parse_args()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        text = page()
    arguments.out.write_text(text)
    print(text)


if __name__ == "__main__":
    main()
