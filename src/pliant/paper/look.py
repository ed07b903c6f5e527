"""How the paper's figures look: colours, marks and names of nets and strengths, type, the size of a page."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.typing import RcKeyType

WIDTH = 7.0
"""Inches: the width of a page's text."""

INK = "#1c2430"
MUTED = "#66707d"
FAINT = "#eef1f4"
RULE = "#c9d0d8"
WARNING = "#a8330b"


@dataclass(frozen=True)
class Look:
    """One line of a figure: its name for readers, colour, and marker, so that colour is not all that tells it apart."""

    title: str
    colour: str
    mark: str


NETS = {
    "subsample": Look("subsampling", "#16406f", "o"),
    "strided": Look("strided convolution", "#3b8fd4", "^"),
    "strided_relu": Look("strided convolution + ReLU", "#00937a", "v"),
    "max_pool": Look("max pooling", "#a8330b", "s"),
    "average_pool": Look("average pooling", "#de8600", "D"),
}
"""Kinds of downsampling, those without pooling first: blues and greens; pooling in warm colours."""

STRENGTHS = {
    1.0: Look("C = 1 px", "#eda35c", "o"),
    2.0: Look("C = 2 px", "#d9633b", "s"),
    3.0: Look("C = 3 px", "#a62f57", "^"),
    4.0: Look("C = 4 px", "#581b55", "D"),
}
"""Reaches of the templates' deformations, the stronger the darker."""

SIGMAS = {
    0.0: Look("as drawn", "#8a929c", "."),
    0.1: Look("σ = 0.1 px", "#86c99b", "o"),
    0.2: Look("σ = 0.2 px", "#46ab96", "s"),
    0.3: Look("σ = 0.3 px", "#1f8296", "^"),
    0.4: Look("σ = 0.4 px", "#1f5b8c", "v"),
    0.5: Look("σ = 0.5 px", "#242b66", "D"),
}
"""Smoothing of the initial filters, the more the darker."""

INITIAL = Look("before training", "#8a929c", "")

STYLE: "dict[RcKeyType, Any]" = {
    # matplotlib brings this type itself: the same words take the same room on every machine.
    "font.family": ["DejaVu Sans"],
    "font.size": 7.0,
    "text.color": INK,
    # Names of data sets and errors are shown as they are, dollar signs and all.
    "text.parse_math": False,
    "axes.titlesize": 7.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 7.0,
    "axes.labelcolor": INK,
    "axes.edgecolor": RULE,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "axes.axisbelow": True,
    "axes.unicode_minus": True,
    "grid.color": "#e3e7eb",
    "grid.linewidth": 0.5,
    "xtick.color": RULE,
    "xtick.labelcolor": MUTED,
    "xtick.labelsize": 6.5,
    "xtick.major.size": 2.5,
    "xtick.major.width": 0.6,
    "ytick.color": RULE,
    "ytick.labelcolor": MUTED,
    "ytick.labelsize": 6.5,
    "ytick.major.size": 0.0,
    "lines.linewidth": 1.2,
    "lines.markersize": 2.8,
    "legend.frameon": False,
    "legend.fontsize": 7.0,
    "figure.facecolor": "white",
    "figure.constrained_layout.h_pad": 0.04,
    "figure.constrained_layout.w_pad": 0.04,
    "svg.fonttype": "none",
    "svg.hashsalt": "pliant",
    "pdf.fonttype": 42,
}
"""matplotlib's settings of every figure; text stays text, and the same figure gives the same bytes."""
