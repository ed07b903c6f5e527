"""The course of training on the page of a study: the numbers of the figure, and those of random labels beside them."""

import json
from dataclasses import replace
from functools import cache
from math import nan

import pytest
import vl_convert
from paper import fake_study

from pliant.paper import figures
from pliant.paper.look import NETS
from pliant.paper.plans import REFERENCE
from pliant.report.course_chart import sheets


def sensitivity(moment):
    level = 0.15 + moment.depth * (len(moment.cell.net.downsampling) / 100 + 0.1 * moment.progress)
    return level + 0.05 * (moment.batch_norm == "untouched") + 0.01 * moment.noise


def variation(moment):
    return 1.86 - 0.3 * moment.progress * (1 - moment.depth) + 0.01 * moment.noise


def learned(cell):
    return (cell.task.kind, cell.net.downsampling, cell.seed) != ("random_labels", "strided", 0)


def made(seeds=2, of=("course", "4c")):
    whole = fake_study.plan(seeds, of)
    kept = tuple(cell for cell in whole.cells if cell.choice == REFERENCE)
    return fake_study.results(sensitivity, variation, replace(whole, cells=kept), learned)


@pytest.fixture(scope="module")
def results():
    return made()


@pytest.fixture(scope="module")
def drawn(results):
    return sheets(results)


@cache
def specified(trained):
    return trained.chart.to_dict()  # which also holds it against the schema of charts


def rows(trained, net, layer, untouched=False):
    """The rows of a line, by step."""
    found = [
        row
        for row in specified(trained)["data"]["values"]
        if (row["line"], row["layer"], "untouched" in row) == (NETS[net].title, layer, untouched)
    ]
    return {row["step"]: row for row in found}


def test_the_charts_hold_the_numbers_of_the_figure(results, drawn):
    axes = [ax for ax in figures.FIGURES["course"](results).axes if ax.get_lines()]
    panels = {ax.texts[0].get_text(): ax for ax in axes}
    assert len(panels) == 12 + 8
    for sheet, words in zip(drawn, ("layer", "3x3 layer"), strict=True):
        for index, layer in sheet.layers.items():
            ax = panels.pop(f"{words} {index}")
            lines = {line.get_label(): line for line in ax.get_lines()}
            for net in NETS:
                found = rows(sheet.trainings[0], net, layer)
                assert list(found) == list(lines[net].get_xdata())
                assert [row["mean"] for row in found.values()] == pytest.approx(lines[net].get_ydata(), abs=1e-5)
                (band,) = [of for of in ax.collections if of.get_label() == f"_band {net}"]
                points = band.get_paths()[0].vertices
                for step, row in found.items():
                    ends = points[points[:, 0] == step, 1]
                    assert row["mean"] - row["spread"] == pytest.approx(ends.min(), abs=2e-5)
                    assert row["mean"] + row["spread"] == pytest.approx(ends.max(), abs=2e-5)
                untouched = rows(sheet.trainings[0], net, layer, untouched=True)
                if words == "layer":
                    mark = lines[f"_untouched {net}"].get_ydata()
                    assert [row["mean"] for row in untouched.values()] == pytest.approx(mark, abs=1e-5)
                else:
                    assert not untouched
    assert not panels


def test_random_labels_stand_beside_true_ones(results, drawn):
    for sheet, item in zip(drawn, ("sensitivity", "weight"), strict=True):
        assert [trained.title for trained in sheet.trainings] == ["true labels", "random labels"]
        for trained, task in zip(sheet.trainings, ("labels", "random_labels"), strict=True):
            table = results.table
            chosen = {"task": task, "item": item, "downsampling": "max_pool", "step": 10}
            for column, value in chosen.items():
                table = table[table[column] == value]
            for index, layer in sheet.layers.items():
                first, second = table.loc[table["layer_index"] == index, "value"]
                row = rows(trained, "max_pool", layer)[10]
                assert row["mean"] == pytest.approx((first + second) / 2, abs=1e-5)
                assert row["spread"] == pytest.approx(2 * abs(first - second) / 2**0.5, abs=1e-5)
                assert (
                    row["shown"] == f"{(first + second) / 2:.3f} ± {2**0.5 * abs(first - second):.3f} (2 SD, 2 seeds)"
                )


def test_steps_are_logarithmic_from_0_on_and_the_axes_are_those_of_all_layers(drawn):
    for sheet in drawn:
        lines = [specified(trained)["layer"][1]["encoding"] for trained in sheet.trainings]
        assert lines[0]["x"] == lines[1]["x"]
        assert lines[0]["y"] == lines[1]["y"]
        x, (low, high) = lines[0]["x"], lines[0]["y"]["scale"]["domain"]
        assert x["scale"]["type"] == "symlog"
        assert x["scale"]["domain"][0] < 0 < 100 < x["scale"]["domain"][1]
        assert x["axis"]["values"] == [0, 1, 10, 100]
        every = [row for trained in sheet.trainings for row in specified(trained)["data"]["values"]]
        assert all(low <= row["mean"] - row["spread"] <= row["mean"] + row["spread"] <= high for row in every)


def test_nets_look_as_elsewhere_and_those_that_did_not_learn_are_dotted(drawn):
    for sheet in drawn:
        for trained, dotted in zip(sheet.trainings, ([], ["strided convolution"]), strict=True):
            line = specified(trained)["layer"][1]["encoding"]
            assert line["color"]["scale"]["domain"] == [look.title for look in NETS.values()]
            assert line["color"]["scale"]["range"] == [look.colour for look in NETS.values()]
            assert line["strokeDash"]["condition"]["test"] == f"indexof({json.dumps(dotted)}, datum.line) >= 0"
            assert trained.remark == (
                "dotted: 1 of 10 runs did not learn their task (strided convolution)" if dotted else ""
            )


def test_names_in_the_legends_can_be_clicked(drawn):
    for trained in [trained for sheet in drawn for trained in sheet.trainings]:
        (legend,) = vl_convert.vegalite_to_vega(specified(trained))["legends"]
        assert legend["encode"]["labels"]["interactive"]
        assert legend["encode"]["symbols"]["interactive"]


def test_untouched_batch_norm_is_said(drawn):
    for trained in drawn[0].trainings:
        found = rows(trained, "max_pool", "block4.down", untouched=True)
        assert list(found) == [0]
        assert found[0]["shown"].endswith(" (2 SD, 2 seeds), batch norm untouched")


def test_what_is_undefined_in_one_run_is_left_out(results):
    table = results.table.copy()
    gone = (table["layer"] == "block2.down") & (table["step"] == 10) & (table["downsampling"] == "strided")
    table.loc[gone & (table["seed"] == 1), "value"] = nan
    sheet, _ = sheets(replace(results, table=table))
    for trained in sheet.trainings:
        assert list(rows(trained, "strided", "block2.down")) == [0, 1, 100]
        assert list(rows(trained, "max_pool", "block2.down")) == [0, 1, 10, 100]


def test_what_was_not_run_is_not_there_and_one_seed_has_no_spread():
    one, _ = sheets(made(1, ("course",)))
    assert [trained.title for trained in one.trainings] == ["true labels"]
    row = rows(one.trainings[0], "max_pool", "block1.layer1")[100]
    assert (row["spread"], row["shown"]) == (0.0, f"{row['mean']:.3f}, one seed")
    assert sheets(made(1, ("3b",))) == []
