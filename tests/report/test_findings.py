import re

import pytest
from report import fake_run

from pliant import report
from pliant._checks import InputError
from pliant.report import findings
from pliant.report.nets import Comparison


@pytest.fixture(scope="module")
def partly(tmp_path_factory):
    """A run in which one net has no number of its last layer."""
    folder = tmp_path_factory.mktemp("partly")
    return fake_run.write(folder, undefined={"block4.down": "constant: the same for all images"})


def two_nets(untrained, trained):
    """The last layer of two nets before and after training."""
    moments = {"initial-untouched": untrained, "initial-calibrated": untrained, "trained": trained}
    return {moment: dict(zip(("max_pool", "strided"), ends, strict=True)) for moment, ends in moments.items()}


def test_nets_that_come_together(whole):
    assert report.headline(whole) == (
        "Before training (calibrated batch norm) the last layer's sensitivity of the five nets spreads over 0.17–0.60; "
        "after training over 0.02–0.05, at test accuracies of 0.97–0.99: they come together (one training of each)."
    )


def test_nets_that_part(tmp_path):
    assert report.headline(fake_run.write(tmp_path, fake_run.DIVERGING)) == (
        "Before training (calibrated batch norm) the last layer's sensitivity of the five nets spreads over 0.02–0.05; "
        "after training over 0.17–0.60, at test accuracies of 0.97–0.99: they do not come together, the spread widens "
        "(one training of each)."
    )


@pytest.mark.parametrize(
    ("untrained", "trained", "verdict"),
    [
        ((0.2, 0.6), (0.05, 0.06), "they come together"),
        ((0.2, 0.6), (0.2, 0.55), "they do not come together, the spread hardly changes"),
        ((0.2, 0.6), (0.2, 0.65), "they do not come together, the spread hardly changes"),
        ((0.2, 0.6), (0.2, 0.80), "they do not come together, the spread widens"),
        (
            (0.2, 0.6),
            (0.02, 0.06),
            "they come closer in absolute terms, but not relative to their size (largest over smallest: 3.0 before, "
            "3.0 after)",
        ),
        ((0.4, 0.4), (0.4, 0.4), "they do not come together, the spread hardly changes"),
    ],
)
def test_the_verdict_follows_both_the_difference_and_the_ratio(tmp_path, untrained, trained, verdict):
    said = report.headline(fake_run.write(tmp_path, two_nets(untrained, trained)))
    assert said.endswith(f": {verdict} (one training of each).")


def test_one_net_has_no_spread(tmp_path):
    last = {
        "initial-untouched": {"max_pool": 0.2},
        "initial-calibrated": {"max_pool": 0.3},
        "trained": {"max_pool": 0.1},
    }
    assert report.headline(fake_run.write(tmp_path, last)) == (
        "Before training (calibrated batch norm) the last layer's sensitivity of max pooling is 0.30; after training "
        "it is 0.10, at a test accuracy of 0.99."
    )


def test_undefined_nets_are_left_out_and_counted(partly, tmp_path):
    assert "sensitivity of the four nets (one net left out: undefined) spreads over" in report.headline(partly)
    alone = two_nets((0.2, 0.6), (0.1, 0.2))
    alone = {moment: {"max_pool": ends["max_pool"]} for moment, ends in alone.items()}
    folder = fake_run.write(tmp_path / "alone", alone, undefined={"block4.down": "constant"})
    assert report.headline(folder) == (
        "No net has a defined sensitivity of the last layer both before and after training: nothing to compare."
    )


def test_the_table_says_every_number_with_its_interval(partly):
    head, rule, *rows = report.table(partly).split("\n\n")[0].splitlines()
    assert head == (
        "| net | last layer before training, untouched batch norm | last layer before training, calibrated batch norm "
        "| last layer after training | test accuracy |"
    )
    assert rule == "| --- | ---: | ---: | ---: | ---: |"
    assert rows[0] == (
        "| subsampling | 0.300 [0.296, 0.306] | 0.600 [0.596, 0.606] | 0.050 [0.046, 0.056] | 0.986 [0.968, 0.994] |"
    )
    assert rows[1].split(" | ")[3] == "undefined"
    assert len(rows) == 5
    assert report.table(partly).endswith(
        "\n\nSensitivity (0: invariant, 1: as far as an unrelated image) on n = 16 images, accuracy on n = 360; in "
        "brackets the 95% intervals.\n"
    )


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.17, 0.6, "0.17–0.60"), (0.004, 0.012, "0.004–0.012"), (0.981, 0.984, "0.98"), (0.0, 0.0, "0.000")],
)
def test_spans(low, high, said):
    assert findings.span(low, high) == said


def test_smoothing_names_what_became_rougher(whole, tmp_path):
    smooth = findings.smoothing(Comparison.read(whole))
    assert smooth == "After training the filters of all 40 layers are smoother than the same layer's were before."
    rough = findings.smoothing(Comparison.read(fake_run.write(tmp_path / "b", rougher=("max_pool", "strided"))))
    assert rough == (
        "After training the filters of 38 of 40 layers are smoother than the same layer's were before; not of "
        "block1.layer1.conv of max pooling (1.8610 before, 1.9110 after) and block1.layer1.conv of strided convolution "
        "(1.8610 before, 1.9110 after)."
    )
    every = findings.smoothing(Comparison.read(fake_run.write(tmp_path / "c", rougher=tuple(fake_run.BEFORE))))
    assert every.endswith(" and 2 more.")
    assert len(re.findall("before, ", every)) == findings.NAMED


def test_a_folder_without_a_finished_net(tmp_path):
    for call in (report.headline, report.table, report.comparison):
        with pytest.raises(InputError) as caught:
            call(tmp_path)
        assert str(caught.value) == f"{tmp_path} holds no finished run: name the folder of a run, such as runs/demo"
