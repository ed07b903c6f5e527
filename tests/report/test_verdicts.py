"""The page of a study, of made-up nets: verdicts first, all of it from the records."""

import re
from dataclasses import replace

import numpy as np
import pytest
from paper import fake_study

from pliant import cli, records, report
from pliant.paper import figures
from pliant.paper.claims import judge
from pliant.paper.figures.averages import averages, remarks
from pliant.paper.figures.panels import PANELS
from pliant.paper.look import NETS
from pliant.paper.plans import MEMORISING, REFERENCE
from pliant.paper.results import Results
from pliant.report import verdicts
from pliant.report.panel_chart import chart
from pliant.report.spreads import spreads
from pliant.report.verdicts import headline


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
def page(folder):
    with pytest.MonkeyPatch.context() as patch:
        # A few of the figures: each of them is drawn in tests of its own.
        patch.setattr(figures, "WHOLE", ("1", "3a"))
        patch.setattr(verdicts, "DRAWN", ("1", "course"))
        assert cli.run(["report", str(folder)]) == 0
    return (folder / "report.html").read_text()


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


def test_it_is_one_small_file_that_asks_for_nothing(folder, page):
    assert (folder / "report.html").stat().st_size < 5_000_000
    assert not re.search(r'(src|href)="https?:', page.replace('href="http://www.w3.org', ""))


def test_what_was_not_run_is_said(page):
    assert "not run: 2b needs nets trained on ImageNet" in page


def test_claims_and_figures_lie_beside_it(folder, findings, page):
    assert len(records.read_json(folder / "claims.json")["claims"]) == len(findings)
    assert {path.name for path in (folder / "figures").iterdir()} == {
        f"figure-{name}.{kind}" for name in ("1", "3a", "course") for kind in ("svg", "pdf")
    }


def test_the_page_of_a_part_of_the_plan_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "draw", lambda results, folder, names: [])
    monkeypatch.setattr(verdicts, "DRAWN", ())
    whole = fake_study.plan(seeds=2, figures=("2c",))
    folder = fake_study.write(tmp_path, sensitivity, variation, of=whole)
    (folder / whole.cells[0].name / "record.json").unlink()
    text = report.study(folder).read_text()
    assert "1 run is missing; the same command goes on." in text
    assert "not run in this plan" in text


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
