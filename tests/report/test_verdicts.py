"""The page of a study, of made-up nets: verdicts first, all of it from the records."""

import json
import re
import shutil
from dataclasses import replace
from math import nan
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from paper import fake_study

from pliant import cli, records, report
from pliant.paper import figures
from pliant.paper.claims import judge
from pliant.paper.figures.averages import averages, remarks
from pliant.paper.figures.panels import CONTROLLED, PANELS
from pliant.paper.look import NETS
from pliant.paper.plans import CONTROLS, MEMORISING, REFERENCE
from pliant.paper.results import Results
from pliant.plan import CREDIT
from pliant.report import pages, verdicts
from pliant.report.panel_chart import chart
from pliant.report.spreads import spreads
from pliant.report.verdicts import accuracies, claims_table, facts, headline
from pliant.run.rows import COLUMNS
from pliant.stats import Interval, student

COMMITTED = Path(__file__).parents[2] / "docs/results/ruderman2018-small"


def sensitivity(moment):
    pooling = moment.cell.net.downsampling in ("max_pool", "average_pool")
    start = (0.2 if pooling else 0.5) * (0.5 if moment.batch_norm == "untouched" else 1.0)
    end = 0.1 if moment.cell.task.kind == "labels" else 1.3 * start
    level = start + (end - start) * moment.progress
    return (0.14 + (level - 0.14) * moment.depth) * (1 + 0.02 * moment.noise)


def variation(moment):
    return 1.857 - (0.1 + 0.1 * moment.cell.task.reach) * moment.progress + 0.01 * moment.noise


def learned(cell):
    return cell.task.kind != "random_labels" or cell.net.downsampling != "strided" or cell.seed == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place, whole = tmp_path_factory.mktemp("study"), fake_study.plan(2)
    kept = tuple(cell for cell in whole.cells if cell.choice in (REFERENCE, MEMORISING))  # the others are drawn nowhere
    return fake_study.write(place, sensitivity, variation, replace(whole, cells=kept), learned)


@pytest.fixture(scope="module")
def results(folder):
    return Results.read(folder)


@pytest.fixture(scope="module")
def findings(results):
    return judge(results)


@pytest.fixture(scope="module")
def reported(folder):
    """The page, and what was drawn beside it."""
    with pytest.MonkeyPatch.context() as patch:
        # A few of the figures: each of them is drawn in tests of its own.
        patch.setattr(figures, "WHOLE", ("1", "course"))
        patch.setattr(verdicts, "DRAWN", ("1", "3a"))
        assert cli.run(["report", str(folder)]) == 0
    return (folder / "report.html").read_text(), {path.name for path in (folder / "figures").iterdir()}


@pytest.fixture(scope="module")
def page(reported):
    return reported[0]


def test_verdicts_come_first_and_are_those_of_the_claims(findings, page):
    assert page.index('id="verdicts"') < page.index('id="figures"') < page.index('id="claims"')
    table = page[page.index('class="verdicts"') : page.index('id="figures"')]
    shown = re.findall(r'<a href="#(\w+)">.*?<span class="chip [\w-]+">([\w ]+)</span>', table)
    assert shown == [(finding.claim.id, finding.verdict) for finding in findings]
    assert headline(findings) in page


def test_every_link_within_the_page_leads_somewhere(page):
    body = page[page.index("<main>") : page.index("</main>")]
    anchors = set(re.findall(r'id="([^"]+)"', body))
    links = set(re.findall(r'<a href="#([^"]+)"', body))
    assert links
    assert links <= anchors


def test_each_claim_leads_to_its_figures_and_to_its_protocols(findings, page):
    table = page[page.index('class="verdicts"') : page.index('id="figures"')]
    rows = {re.findall(r'href="#(\w+)"', row)[0]: row for row in table.split("\n") if row.startswith("<tr><th scope")}
    sections = page[page.index('id="claims"') :].split('<section class="claim" id="')[1:]
    for finding, section in zip(findings, sections, strict=True):
        name = finding.claim.id
        assert section.startswith(f'{name}"')
        shown = re.findall(r'href="#(figure-[^"]+)"', rows[name])
        assert shown == re.findall(r'href="#(figure-[^"]+)"', section)
        assert shown, name
        assert all(f'id="{anchor}"' in page for anchor in shown)
        assert f'href="#{name}-protocols"' in rows[name]
        protocols = section[section.index(f'<details id="{name}-protocols">') : section.index("</details>")]
        assert protocols.count('<th scope="row">') == len(finding.rulings)


def test_what_other_images_teach_is_shown_beside_what_it_is_compared_with(results):
    for name, (task, _) in CONTROLLED.items():
        (panel,) = PANELS[name]
        drawn = averages(results, panel)
        assert [line.series for line in drawn] == list(CONTROLS)
        for line in drawn:
            rows = results.sensitivity(
                task=task, downsampling=line.series, last=True, batch_norm="as_is", metric="cosine", padding="zeros"
            )
            assert line.table["mean"].tolist() == pytest.approx(rows.groupby("layer_index")["value"].mean().tolist())


def test_a_page_with_all_its_figures_stays_below_5_megabytes(results, findings, tmp_path, monkeypatch):
    """The figures are those of a whole run, photographs and all; the course has as many moments as one."""
    moment = results.table.loc[(results.table["step"] == 10) & results.table["batch_norm"].isin(("calibrated", "none"))]
    more = [moment.assign(step=step) for step in range(11, 46)]
    whole_run = replace(results, table=pd.concat([results.table, *more], ignore_index=True))

    def drawn(_, folder, names):
        for name in verdicts.DRAWN:
            source = COMMITTED / f"figure-{'3' if name == '3a' else name}.svg"
            shutil.copy(source, tmp_path / f"figure-{name}.svg")
        return sorted(tmp_path.glob("*.svg"))

    monkeypatch.setattr(figures, "draw", drawn)
    monkeypatch.setattr(verdicts, "write_claims", lambda folder: findings)
    content = verdicts.context(whole_run)
    charts = content.pop("charts_by_name")
    path = pages._write(tmp_path / "report.html", "verdicts.html.jinja", charts, **content)
    whole = path.read_text()
    assert all(f'<section id="figure-{name}" class="drawn"><svg' in whole for name in verdicts.DRAWN)
    assert all(f'"chart-figure-{name}"' in whole for name in ("2a", "2c", "2d", "3b", "4b", "4c", "5a", "5b"))
    of_course = [charts[name].to_dict(validate=False) for name in charts if "course" in name]
    assert 500_000 < len(json.dumps(of_course)) < 1_500_000
    assert 3_000_000 < path.stat().st_size < 5_000_000


def test_the_summary_holds_every_number_that_may_be_quoted(folder, results, findings, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(figures, "WHOLE", ("2c",))
    monkeypatch.setattr(report, "study", lambda folder: folder / "report.html")
    monkeypatch.setattr(verdicts, "write_claims", lambda folder: findings)
    assert cli.run(["report", str(folder), "--figures", str(tmp_path)]) == 0
    names = ["claims.json", "claims.md", "figure-2c.svg", "measurements.parquet"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    printed = capsys.readouterr().out.split()
    assert all(str(tmp_path / name) in printed for name in names)
    assert (tmp_path / "claims.md").read_text() == claims_table(findings)
    assert (tmp_path / "claims.json").stat().st_size < 150_000
    written = records.read_json(tmp_path / "claims.json")
    assert (written["plan"], [claim["id"] for claim in written["claims"]]) == (
        results.plan.identity,
        [finding.claim.id for finding in findings],
    )
    for claim, finding in zip(written["claims"], findings, strict=True):
        for ruling, expected in zip(claim["rulings"], finding.rulings, strict=True):
            assert (ruling["verdict"], ruling["differs_in"]) == (expected.verdict, list(expected.protocol.changes))
            found = expected.interval
            for name in ("estimate", "low", "high") if found is not None else ():
                end = nan if ruling["interval"][name] is None else ruling["interval"][name]
                assert end == pytest.approx(getattr(found, name), rel=1e-4, nan_ok=True)
        reference = {str(seed): value for seed, value in finding.reference.values.items()}
        assert claim["rulings"][0]["values"] == pytest.approx(reference, rel=1e-4)
    table = records.read_table(tmp_path / "measurements.parquet")
    assert list(table.columns) == [name for name in COLUMNS if name != "index"]
    assert table["value"].to_numpy() == pytest.approx(results.table["value"].to_numpy(), nan_ok=True)
    assert not {"image", "median"} & set(table["item"])


def test_the_table_of_claims_can_be_read_alone(findings):
    ends = {
        "two": (Interval(0.1, 0.05, 0.15, 0.95, 3), "0.100 [0.050, 0.150]", "3"),
        "level": (Interval(0.1, 0.05, 0.15, 0.9, 3), "0.100 [0.050, 0.150] at 90%", "3"),
        "one": (Interval(0.1, nan, nan, 0.95, 1), "0.100", "1"),
        "none": (None, "", ""),
    }
    made = [
        replace(finding, rulings=(replace(finding.reference, interval=interval),))
        for finding, (interval, *_) in zip(findings, ends.values(), strict=False)
    ]
    heads, rule, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in claims_table(made).splitlines()]
    assert {len(row) for row in (heads, rule, *rows)} == {8}
    assert (heads[3], heads[5]) == ("unit", "supported where")
    for row, finding, (_, estimate, seeds) in zip(rows, made, ends.values(), strict=True):
        claim = finding.claim
        assert row[:6] == [claim.title, f"**{finding.verdict}**", estimate, claim.unit, seeds, str(claim.rule)]


def test_accuracies_are_given_over_seeds_and_say_how_many_nets_did_not_learn(results):
    hits = pd.DataFrame(
        {"run": cell.name, "item": item, "value": 0.5 + 0.1 * cell.seed + 0.01 * (item == "train")}
        for cell in results.plan.cells
        if cell.training is not None
        for item in ("train", "test")
    )
    of_runs = results.table.drop_duplicates("run").drop(columns=["item", "value"])
    rows = hits.merge(of_runs, on="run").assign(metric="accuracy", last=True)
    found = accuracies(replace(results, table=pd.concat([results.table, rows], ignore_index=True)))
    assert len(found) == len({(c.task, c.choice, c.net) for c in results.plan.cells if c.training is not None})
    strided = [row for row in found if (row["task"], row["net"]) == ("random labels", "strided convolution")]
    assert [(row["choice"], row["n"], row["unfitted"]) for row in strided] == [("reference", 2, 1)]
    assert strided[0]["test"] == student(np.array([0.5, 0.6]))
    assert strided[0]["train"] == student(np.array([0.51, 0.61]))
    assert {row["task"] for row in found if row["task"].startswith("templates")} == {
        f"templates, C = {reach}" for reach in (1, 2, 3, 4)
    }
    assert accuracies(results) == []


def test_facts_say_what_was_run_on_what(results):
    found = dict(facts(results))
    cells = results.plan.cells
    assert found["Plan"] == f"ruderman2018, scale small, {results.plan.identity}"
    assert found["Runs"] == f"{len(cells)} done, 0 failed, 0 missing"
    assert (found["Data"], found["Seeds"]) == ("digits, photographs", "0, 1")
    assert found["Nets"] == "cifar net, width 0.25; imagenet net, width 0.25"
    assert found["Time"] == f"{len(cells) / 60:.0f} minutes of runs, one after the other"
    memory = next(cell for cell in cells if cell.task.kind == "random_labels")
    said = f"random labels (reference): {memory.task.limit:,} images, {memory.training.epochs} epochs, batch 128, "
    assert f"{said}peak rate 0.1, weight decay 0, each image standardised" in found["Training"]
    assert "thin plate of 3x3 points, reach 2 px; cosine and euclidean distance" in found["Measuring"]
    assert found["Versions"].startswith("numpy ")
    assert CREDIT in found["Photographs"]


def test_it_is_one_small_file_that_asks_for_nothing(folder, page):
    assert (folder / "report.html").stat().st_size < 5_000_000
    assert not re.search(r'(src|href)="https?:', page.replace('href="http://www.w3.org', ""))


def test_the_course_has_a_menu_of_all_layers_above_its_charts(page):
    section = page[page.index('<section id="figure-course"') : page.index('<section id="figure-1"')]
    layers = [f"block{b}.{part}" for b in range(1, 5) for part in ("layer1", "layer2", "down")]
    menus = re.findall(r'<select id="([\w-]+)".*?</select>', section)
    assert menus == ["layer-of-sensitivity", "layer-of-variation"]
    options = [re.findall(r"<option[^>]*>(.*?)</option>", menu) for menu in section.split("<select")[1:]]
    assert options[0] == [f"{index} · {name}" for index, name in enumerate(layers, 1)]
    filters = [f"{name}.conv" for name in layers if ".layer" in name]
    assert options[1] == [f"{index} · {name}" for index, name in enumerate(filters)]
    charts = json.loads(re.findall(r'<script type="application/json" id="charts">(.*?)</script>', page, re.DOTALL)[0])
    for menu, names in zip(menus, (layers, filters), strict=True):
        for labels in ("true-labels", "random-labels"):
            anchor = f"chart-course-{menu}-{labels}"
            assert f'<div class="chart" id="{anchor}"' in section
            (chosen,) = [one for one in charts[anchor]["params"] if one["name"] == "chosen"]
            assert chosen["bind"] == {"element": f"#{menu}", "event": "change"}
            assert {row["layer"] for row in charts[anchor]["data"]["values"]} == set(names)
            assert f'<option value="{chosen["value"]}" selected>' in section
    assert section.count('<p class="warning">dotted: 1 of 10 runs did not learn their task') == 2


def test_what_was_not_run_is_said(page):
    assert "not run: 2b needs nets trained on ImageNet" in page


def test_claims_and_figures_lie_beside_it(folder, findings, reported):
    assert len(records.read_json(folder / "claims.json")["claims"]) == len(findings)
    assert reported[1] == {f"figure-{name}.{kind}" for name in ("1", "3a", "course") for kind in ("svg", "pdf")}


def test_the_page_of_a_part_of_the_plan_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "draw", lambda results, folder, names: [])
    monkeypatch.setattr(verdicts, "DRAWN", ())
    whole = fake_study.plan(seeds=2, figures=("2c",))
    folder = fake_study.write(tmp_path, sensitivity, variation, of=whole)
    (folder / whole.cells[0].name / "record.json").unlink()
    text = report.study(folder).read_text()
    assert "1 run is missing; the same command goes on." in text
    assert "not run: the plan has no nets for it" in text


def test_the_spread_over_images_stands_beside_that_over_seeds(results, page):
    rows = spreads(results)
    assert [(row.net, row.moment) for row in rows] == [
        (look.title, moment) for look in NETS.values() for moment in ("before training", "after training")
    ]
    for row in rows:
        assert row.over_images == pytest.approx(fake_study.IMAGES)
        assert (row.images, row.runs) == (results.plan.cells[-1].measuring.images, 2)
    name = next(iter(NETS))
    after = results.sensitivity(
        task="labels", choice="reference", downsampling=name, batch_norm="as_is", metric="cosine", padding="zeros"
    )
    by_layer = [of.to_numpy() for layer, of in after.groupby("layer_index")["value"] if layer != 0]
    assert rows[1].over_seeds == pytest.approx(np.median([2 * of.std(ddof=1) / of.mean() for of in by_layer]))
    assert 'id="spreads"' in page


def test_the_charts_show_what_the_figures_show(results, page):
    (panel,) = PANELS["4c"]
    drawn = averages(results, panel)
    shown = chart(results, panel, drawn).to_dict()  # which also holds it against the schema of charts
    rows = shown["data"]["values"]
    assert {row["line"] for row in rows} == {*(look.title for look in NETS.values()), "before training"}
    assert {row["line"]: row["unfitted"] for row in rows if row["unfitted"]} == {"strided convolution": 1}
    for line in drawn:
        points = [row["mean"] for row in rows if row["line"] == line.look.title]
        assert points == line.table["mean"].tolist()
    said = "dotted: 1 of 10 runs did not learn their task (strided convolution)"
    assert remarks(results, panel, drawn) == said
    for other in PANELS["2c"]:
        assert chart(results, other, averages(results, other)).to_dict()["data"]
    assert f'<p class="warning">{said}</p>' in page
