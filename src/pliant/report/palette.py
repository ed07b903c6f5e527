"""Colours, marks, names and type: one look for all figures, told apart also without colour."""

from collections.abc import Sequence

_TITLES = {
    "subsample": "subsampling",
    "max_pool": "max pooling",
    "average_pool": "average pooling",
    "strided": "strided convolution",
    "strided_relu": "strided convolution + ReLU",
    "blur_pool": "blur pooling",
    "max_blur_pool": "max pooling, blurred",
    "strided_blur": "convolution + ReLU, blurred",
    "aps": "adaptive sampling",
    "lps": "learned sampling",
    "permuted_pool": "max pooling of permuted pixels",
}
# Okabe and Ito's colours, chosen for all common kinds of colour blindness: pooling in blues, convolutions in oranges;
# behind a blur in greens, on a grid that follows the image in purples.
_COLOURS = {
    "subsample": "#333333",
    "max_pool": "#0072b2",
    "average_pool": "#4aa8e0",
    "strided": "#d55e00",
    "strided_relu": "#e69f00",
    "blur_pool": "#009e73",
    "max_blur_pool": "#56c596",
    "strided_blur": "#00675b",
    "aps": "#cc79a7",
    "lps": "#8e3f74",
    "permuted_pool": "#9a9a9a",
}
_MARKS = {
    "subsample": "circle",
    "max_pool": "square",
    "average_pool": "diamond",
    "strided": "triangle-up",
    "strided_relu": "triangle-down",
    "blur_pool": "cross",
    "max_blur_pool": "triangle-left",
    "strided_blur": "triangle-right",
    "aps": "wedge",
    "lps": "arrow",
    "permuted_pool": "stroke",
}
# SVG paths, for all of Vega's own shapes are taken: a saltire, an hourglass, a bow tie, a chevron.
_MORE_COLOURS = ("#7a5195", "#8c6d31", "#5c8a00", "#b22222")
_MORE_MARKS = ("M-1,-1L1,1M-1,1L1,-1", "M-1,-1L1,-1L-1,1L1,1Z", "M-1,-1L-1,1L1,-1L1,1Z", "M-1,1L0,-1L1,1L0,0Z")

ACCENT = "#0072b2"
RISE = "#d55e00"
INK = "#1c2430"
MUTED = "#66707d"
FAINT = "#e6e9ed"
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def net_title(kind: str) -> str:
    """The name a kind of downsampling is shown under; the kind itself where it has none."""
    return _TITLES.get(kind, kind)


def colours(kinds: Sequence[str]) -> list[str]:
    """One colour a kind; kinds that are not known share what colours are left."""
    return _choose(kinds, _COLOURS, _MORE_COLOURS)


def marks(kinds: Sequence[str]) -> list[str]:
    """One Vega point shape a kind, so that colour is not all that tells them apart."""
    return _choose(kinds, _MARKS, _MORE_MARKS)


def config(font: str = FONT) -> dict[str, object]:
    """Vega-Lite's `config` of every figure."""
    text = {"labelFont": font, "titleFont": font, "labelColor": MUTED, "titleColor": INK}
    return {
        "background": "white",
        "font": font,
        "view": {"stroke": None},
        "axis": {
            **text,
            "labelFontSize": 11,
            "titleFontSize": 12,
            "titleFontWeight": 500,
            "titlePadding": 8,
            "grid": True,
            "gridColor": FAINT,
            "domainColor": "#b8bfc8",
            "tickColor": "#b8bfc8",
        },
        "axisX": {"grid": False},
        "axisY": {"domain": False, "ticks": False, "labelPadding": 6},
        "legend": {**text, "labelFontSize": 12, "labelColor": INK, "symbolSize": 90, "labelLimit": 260},
        "title": {"font": font, "fontSize": 14, "fontWeight": 600, "color": INK, "anchor": "start"},
    }


def _choose(kinds: Sequence[str], known: dict[str, str], more: tuple[str, ...]) -> list[str]:
    others = [kind for kind in dict.fromkeys(kinds) if kind not in known]
    return [known[kind] if kind in known else more[others.index(kind) % len(more)] for kind in kinds]
