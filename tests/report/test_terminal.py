import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report import fake_run
from rich.console import Console

from pliant.report import terminal
from pliant.report.terminal import rises_most


def shown(profile, width=80):
    stream = io.StringIO()
    console = Console(file=stream, width=width)
    terminal.show(profile, console)
    terminal.show_rises([profile], console)
    return stream.getvalue().splitlines()


def made(*estimate, layers=None, undefined=None):
    layers = layers or ("input", *(f"layer{i}" for i in range(1, len(estimate))))
    return fake_run.profile(0, layers=layers, estimate=np.array(estimate), undefined=undefined)


def test_one_row_a_layer_with_its_numbers():
    lines = shown(made(0.1, 0.4, 0.2))
    assert lines[0].split() == ["0", "input", "█" * 10, "0.100", "[0.096,", "0.106]"]
    assert lines[1].split() == ["1", "layer1", "█" * 40, "0.400", "[0.396,", "0.406]"]
    assert lines[2].split() == ["2", "layer2", "█" * 20, "0.200", "[0.196,", "0.206]"]
    assert " ".join(" ".join(lines[3:-1]).split()) == (
        "0: invariant, 1: as far as an unrelated image. 16 images; thin plate, grid 3, "
        "reach 2; block 8; batch norm as is; cosine distance; folds 1.25% of pixels; 95% intervals; "
        "the longest bar is 0.400"
    )
    assert lines[-1] == "Sensitivity rises most at layer1: 0.100 -> 0.400 (+0.300)"


@given(
    layers=st.lists(st.text("abc.[]/_0123456789", min_size=1, max_size=120), min_size=2, max_size=6, unique=True),
    width=st.integers(60, 200),
)
def test_rows_fit_and_say_names_as_they_are(layers, width):
    profile = made(*np.linspace(0.1, 1.2, len(layers)), layers=tuple(layers), undefined={layers[-1]: "constant " * 20})
    lines = shown(profile, width)
    assert max(map(len, lines)) <= width
    for i, layer in enumerate(layers):
        found = lines[i].split()[1]
        head, dots, tail = found.partition("…")
        assert found == layer or (dots and layer.startswith(head) and layer.endswith(tail))


def test_brackets_are_no_markup():
    assert "blocks[red]x[/red]" in shown(made(0.1, 0.2, layers=("input", "blocks[red]x[/red]")))[1]
    assert "[/nothing]" in shown(made(0.1, 0.2, layers=("input", "[/nothing]")))[-1]


def test_undefined_layers_say_why():
    lines = shown(made(0.1, 0.2, 0.3, undefined={"layer1": "constant: the same for all images"}))
    assert lines[1] == "1 layer1  undefined: constant: the same for all images"
    assert lines[-1] == "Sensitivity rises most at layer2: 0.100 -> 0.300 (+0.200)"


@pytest.mark.parametrize(
    ("estimate", "undefined", "found"),
    [
        ((0.1, 0.2, 0.5, 0.6), (), (2, 0.3)),
        ((0.1, 0.9, 0.5, 0.6), ("layer1",), (2, 0.4)),
        ((0.3, 0.2, 0.1), (), None),
        ((0.3, 0.3), (), None),
        ((0.3, 0.9), ("layer1",), None),
        ((0.3, 0.9), ("input", "layer1"), None),
    ],
)
def test_where_it_rises_most(estimate, undefined, found):
    answer = rises_most(made(*estimate, undefined=dict.fromkeys(undefined, "constant")))
    assert answer == (None if found is None else (found[0], pytest.approx(found[1])))


def test_it_says_when_nothing_rises():
    assert shown(made(0.3, 0.2))[-1] == ("Sensitivity never rises: no layer is more sensitive than the one before it.")
    assert shown(made(0.3, 0.2, undefined={"layer1": "constant"}))[-1] == (
        "Fewer than two layers have a sensitivity: nothing to say of where it rises."
    )


@pytest.mark.parametrize(
    ("value", "drawn"), [(0.0, ""), (1e-9, "▏"), (0.5, "█████"), (0.99, "█████████▉"), (1.0, "██████████")]
)
def test_bars_are_drawn_to_an_eighth(value, drawn):
    assert terminal.bar(value, 1.0, 10) == drawn


def test_all_bars_are_empty_where_nothing_is_above_zero():
    assert terminal.bar(0.0, 0.0, 10) == ""


def shown_worst(found, width=130):
    stream = io.StringIO()
    terminal.show_worst(found, Console(file=stream, width=width))
    return [" ".join(line.split()) for line in stream.getvalue().splitlines()]


def test_random_and_worst_deformations_side_by_side():
    layers = ("a[red]x[/red]", "nan", "output")
    found = fake_run.searched(
        layers,
        (0.1, 0.0, 0.2),
        (0.2, 0.0, 0.5),
        (0.3, 0.0, 0.9),
        undefined={"nan": "constant: the same for all images"},
    )
    lines = shown_worst(found)
    assert lines == [
        "layer random, mean of 8 best of 8 worst case",
        "a[red]x[/red] 0.100 [0.096, 0.106] 0.200 [0.196, 0.206] 0.300 [0.296, 0.306]",
        "1.21 px, folds none 1.51 px, folds 1.25% 1.81 px, folds 2.50%",
        "nan",
        "output 0.200 [0.196, 0.206] 0.500 [0.496, 0.506] 0.900 [0.896, 0.906]",
        "1.21 px, folds none 1.51 px, folds 1.25% 1.81 px, folds 2.50%",
        "nan: undefined: constant: the same for all images",
        "Worst case: 20 steps of gradient ascent from the best of 8 random deformations of each image; there may be "
        "worse ones",
        "Below each number: RMS displacement of the image, and the share of its pixels at which it folds. The bound is "
        "on the parameters of",
        "the deformations, not on the displacement: the worst may move the image farther than random ones",
        "The worst case lies furthest above random deformations at output: 0.200 -> 0.900 (4.5 times as far)",
    ]


def test_it_says_when_no_deformation_moves_anything():
    lines = shown_worst(fake_run.searched(("a",), (0.0,), (0.0,), (0.0,)))
    assert lines[-1] == "No deformation moves any of these layers: the worst case is as good as the others."
