"""Figures 1 and A1 to A3: what a deformation is, and that the class holds small changes of pose."""

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from pliant.paper.figures import illustrations, sheet
from pliant.paper.look import INK, NETS, RULE, WIDTH
from pliant.paper.results import Results
from pliant.plan import CREDIT

_ARROWS = NETS["max_pool"].colour
_SHOWN = 5
_LEFT, _LARGE, _GAP = 0.06, 2.22, 0.08  # inches
_TILES = 8
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_MESH = 14
_HEAD_1 = (
    "Figure 1. How an image is deformed (a): each control point is displaced at random, a thin-plate spline through "
    "the displacements says for every pixel where its value is taken from; arrows and mesh are true to scale. "
    f"Photographs ({CREDIT}) and their deformations (b)."
)
_HEADS = {
    "pose": "Figure A1. A change of pose, approximated by the class of deformations.",
    "translation": "Figure A2. A translation, approximated by the class of deformations.",
    "rotation": "Figure A3. A rotation, approximated by the class of deformations.",
}
_MOSAIC = (
    "In the mosaic tiles of both alternate: where outlines run on across the tiles the two agree. "
    f"Photographs: {CREDIT}."
)


@sheet.styled
def generation(results: Results) -> Figure:
    """Figure 1: control points, field and deformed image; photographs and their deformations."""
    arrays = illustrations.read(results, illustrations.PHOTOGRAPHS)
    if arrays is None:
        return sheet.blank(illustrations.why_not_run(illustrations.PHOTOGRAPHS), _HEAD_1)
    photographs, deformed, displacement = (arrays[name] for name in illustrations.PHOTOGRAPHS[:3])
    grid, reach = int(arrays["control"]), float(arrays["reach"])
    pairs = range(1, min(_SHOWN + 1, len(photographs)))
    side, places = _arranged(len(pairs))
    top = 0.45 + _LARGE + 0.35
    figure = sheet.album((top + (side + _GAP) * (1 + max(row for _, row in places)) if places else top) + 0.4)
    first, second, third = (sheet.placed(figure, _LEFT + (_LARGE + 0.12) * i, 0.45, _LARGE) for i in range(3))
    picture(first, photographs[0])
    control_points(first, displacement[0], grid)
    sheet.title(first, "a", "control points", f"{grid} x {grid}, each displaced by up to {reach:g} px per axis")
    mesh(second, displacement[0], grid)
    sheet.title(second, "", "displacement field", "where each pixel's value is taken from")
    picture(third, deformed[0])
    sheet.title(third, "", "deformed image", "bilinear between the pixels")
    height, width = photographs.shape[2:]
    for ax in (first, second, third):
        ax.set(xlim=(-reach - 1, width + reach), ylim=(height + reach, -reach - 1))
    shown = [image[i] for i in pairs for image in (photographs, deformed)]
    for (column, row), image in zip(places, shown, strict=True):
        ax = sheet.placed(figure, _LEFT + (side + _GAP) * column, top + (side + _GAP) * row, side)
        picture(ax, image)
        if column == row == 0:
            sheet.title(ax, "b", "photographs, and the same deformed")
    sheet.caption(figure, _HEAD_1)
    return figure


@sheet.styled
def rigid(results: Results, kind: str) -> Figure:
    """Figures A1 to A3: an image moved by the true field, by the class's closest deformation, and a mosaic of both.

    kind: "pose", "translation" or "rotation"; one row for each move whose name begins with it.
    """
    arrays = illustrations.read(results, illustrations.RIGID)
    rows = [] if arrays is None else [i for i, name in enumerate(arrays["rigid_names"]) if str(name).startswith(kind)]
    if arrays is None or not rows:
        return sheet.blank(illustrations.why_not_run(illustrations.RIGID) + f" of a {kind}", _HEADS[kind])
    side = 2.22
    figure = sheet.album((side + 0.5) * len(rows) + 0.32)
    for place, i in enumerate(rows):
        top = 0.42 + (side + 0.5) * place
        true, of_class, both = (sheet.placed(figure, _LEFT + (side + 0.1) * j, top, side) for j in range(3))
        moved, approximated = arrays["rigid_true"][i], arrays["rigid_class"][i]
        picture(true, moved)
        sheet.title(
            true,
            _LETTERS[place % len(_LETTERS)] if len(rows) > 1 else "",
            str(arrays["rigid_names"][i]),
            "the true field",
        )
        picture(of_class, approximated)
        sheet.title(of_class, "", "closest of the class", f"fields differ by {_pixels(arrays['rigid_rms'][i])} (RMS)")
        picture(both, mosaic(moved, approximated))
        sheet.title(both, "", "mosaic", "tiles of both, in turns")
    sheet.caption(figure, f"{_HEADS[kind]} {_MOSAIC}")
    return figure


def picture(ax: Axes, image: UInt8[np.ndarray, "c h w"], smooth: bool = True) -> None:
    """An image without axes; of one channel in grey. smooth: else its pixels are shown as squares."""
    height, width = image.shape[1:]
    shown = image.transpose(1, 2, 0) if image.shape[0] == 3 else image[0]
    ax.imshow(
        shown, cmap=None if image.shape[0] == 3 else "gray", vmin=0, vmax=255,
        interpolation="antialiased" if smooth else "none", extent=(-0.5, width - 0.5, height - 0.5, -0.5),
    )  # fmt: skip
    ax.set_axis_off()


def control_points(ax: Axes, displacement: Float[np.ndarray, "2 h w"], grid: int) -> None:
    """The control points of a field, corners included, each with an arrow to where its value is taken from."""
    rows, columns, dx, dy = _at_control_points(displacement, grid)
    ax.quiver(
        columns, rows, dx, dy, angles="xy", scale_units="xy", scale=1, units="inches", width=0.014, headwidth=3.2,
        headlength=3.4, headaxislength=3.0, minlength=0.5, color=_ARROWS, edgecolor="white", linewidth=0.3, zorder=5,
        clip_on=False, label="displacement",
    )  # fmt: skip
    ax.scatter(columns, rows, s=5, color=INK, edgecolor="white", linewidth=0.4, zorder=4, clip_on=False)


def mesh(ax: Axes, displacement: Float[np.ndarray, "2 h w"], grid: int) -> None:
    """A square mesh, the same mesh where the field takes the values of its pixels from, and the control points."""
    height, width = displacement.shape[1:]
    y, x = np.mgrid[0:height, 0:width].astype(float)
    moved = np.stack([x + displacement[0], y + displacement[1]], axis=-1)
    straight = np.stack([x, y], axis=-1)
    rows, columns = _lines(height), _lines(width)
    for points, colour, line in ((straight, RULE, 0.4), (moved, NETS["strided"].colour, 0.7)):
        lines = [points[row] for row in rows] + [points[:, column] for column in columns]
        ax.add_collection(LineCollection(lines, colors=colour, linewidths=line, clip_on=False))
    control_points(ax, displacement, grid)
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), aspect="equal")
    ax.set_axis_off()


def mosaic(one: UInt8[np.ndarray, "c h w"], other: UInt8[np.ndarray, "c h w"]) -> UInt8[np.ndarray, "c h w"]:
    """Tiles of two images in turns, as on a chequerboard, eight a side; the first tile is of the first image."""
    height, width = one.shape[1:]
    tiles = np.add.outer(np.arange(height) * _TILES // height, np.arange(width) * _TILES // width)
    return np.where(tiles % 2 == 0, one, other)


def _pixels(length: float) -> str:
    return "less than 0.001 px" if length < 0.001 else f"{length:.2g} px"


def _arranged(pairs: int) -> tuple[float, list[tuple[int, int]]]:
    """Side of a picture, inches, and column and row of each: few pairs side by side, more above each other."""
    if pairs <= 2:
        places = [(column, 0) for column in range(2 * pairs)]
        columns = 4
    else:
        places = [(column, row) for column in range(pairs) for row in range(2)]
        columns = _SHOWN
    return (WIDTH - 2 * _LEFT - (columns - 1) * _GAP) / columns, places


def _at_control_points(displacement: np.ndarray, grid: int) -> tuple[np.ndarray, ...]:
    height, width = displacement.shape[1:]
    rows, columns = np.meshgrid(
        np.linspace(0, height - 1, grid).round().astype(int),
        np.linspace(0, width - 1, grid).round().astype(int),
        indexing="ij",
    )
    return rows, columns, displacement[0][rows, columns], displacement[1][rows, columns]


def _lines(size: int) -> np.ndarray:
    return np.linspace(0, size - 1, max(2, size // _MESH + 1)).round().astype(int)
