import base64
import io
import json
import re
from dataclasses import dataclass
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from report import fake_run

from pliant import records, report
from pliant._checks import InputError
from pliant.outcomes import ShiftConsistency
from pliant.profile import Profile
from pliant.stats import Interval

LOADING = {"src", "href", "srcset", "data", "poster", "action", "xlink:href"}


class Page(HTMLParser):
    """A page taken apart as a browser does it: tags with attributes, tables as lists of rows, scripts."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.tables, self.scripts, self.text = [], [], [], []
        self._cell = self._script = False
        self.feed(content)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag == "table":
            self.tables.append([])
        if tag == "tr":
            self.tables[-1].append([])
        if tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._cell = True
        if tag in ("script", "style"):
            self._script = True
            self.scripts.append("")

    def handle_endtag(self, tag):
        if tag in ("td", "th"):
            self._cell = False
        if tag in ("script", "style"):
            self._script = False

    def handle_data(self, data):
        if self._script:
            self.scripts[-1] += data
            return
        self.text.append(data)
        if self._cell:
            self.tables[-1][-1][-1] += data

    @property
    def charts(self):
        place = next(i for i, (_, a) in enumerate(self._coded) if a.get("id") == "charts")
        return json.loads(self.scripts[place])

    @property
    def _coded(self):
        return [(tag, attributes) for tag, attributes in self.tags if tag in ("script", "style")]

    def loads(self):
        """What the page would fetch from elsewhere: all addresses of its tags and its style that are not data."""
        found = [value for _, attributes in self.tags for key, value in attributes.items() if key in LOADING]
        found += re.findall(r"url\(([^)]*)\)|@import", self.scripts[0])
        return [address for address in found if not address.startswith("data:")]


@dataclass(frozen=True)
class Skipped:
    file: str
    reason: str


def read(path):
    return Page(path.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return fake_run.write(
        tmp_path_factory.mktemp("run"), undefined={"block3.down": "constant: the same for all images"}
    )


@pytest.fixture(scope="module")
def page(folder):
    return read(report.comparison(folder))


def test_one_file_below_5_megabytes_that_loads_nothing(folder, page):
    path = folder / "report.html"
    assert 500_000 < path.stat().st_size < 5_000_000
    assert page.loads() == []
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and a.get("http-equiv"))
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy


def test_the_check_for_addresses_can_fail():
    assert Page("<style></style><img src='http://a/b.png'>").loads() == ["http://a/b.png"]


def test_the_bundle_is_there_once(folder, page):
    bundles = [script for script in page.scripts if "vegaEmbed" in script and len(script) > 500_000]
    assert len(bundles) == 1


def test_it_says_the_headline_and_draws_every_chart(folder, page):
    assert report.headline(folder) in page.text
    assert sorted(page.charts) == [
        *("sensitivity-initial-calibrated", "sensitivity-initial-untouched", "sensitivity-trained-as_is"),
        *("smoothness", "training"),
    ]
    places = {attributes.get("id") for _, attributes in page.tags}
    assert set(page.charts) <= places
    assert {chart["width"] for chart in page.charts.values()} == {"container"}


def test_the_table_holds_the_numbers_of_the_records(folder, page):
    table = next(table for table in page.tables if table[0][:3] == ["net", "when", "#"])
    body = iter(table[1:])
    for net in fake_run.BEFORE:
        for name in ("initial-untouched", "initial-calibrated", "trained"):
            profile = Profile.load(folder / f"{net}-seed0" / name)
            for i, layer in enumerate(profile.layers):
                row = next(body)
                assert row[2:4] == [str(i), layer]
                if layer in profile.undefined:
                    assert row[4:] == ["undefined: constant: the same for all images", "16"]
                else:
                    at = profile[layer]
                    assert row[4:] == [*(f"{value:.4f}" for value in (at.estimate, at.low, at.high)), "16"]
    assert next(body, None) is None


def test_the_saved_table_is_not_rounded(folder, page):
    address = next(a["href"] for tag, a in page.tags if tag == "a" and a.get("download") == "sensitivity.csv")
    # As text: before version 3, pandas read the last digit of some numbers wrong.
    saved = pd.read_csv(io.BytesIO(base64.b64decode(address.partition(",")[2])), dtype=str)
    profile = Profile.load(folder / "max_pool-seed0" / "trained")
    ours = saved[(saved["net"] == "max pooling") & (saved["moment"] == "after training")]
    np.testing.assert_array_equal(ours["estimate"].astype(float), profile.estimate)
    assert ours["undefined"].dropna().tolist() == ["constant: the same for all images"]


def test_accuracies_with_wilson_intervals(page):
    table = next(table for table in page.tables if table[0] == ["net", "test", "train"])
    assert [" ".join(cell.split()) for cell in table[1]] == [
        *("subsampling", "0.986 [0.968, 0.994]", "1.000 [0.997, 1.000]")
    ]


def test_accuracy_and_loss_by_epoch_stand_in_a_table(folder, page):
    table = next(table for table in page.tables if table[0][:2] == ["net", "epoch"])
    steps = records.read_json(folder / "max_pool-seed0" / "record.json")["history"]
    assert [row[1:] for row in table[1:] if row[0] == "max pooling"] == [
        [str(step["epoch"]), f"{step['accuracy']:.4f}", f"{step['loss']:.4f}"] for step in steps
    ]
    assert len(table) == 1 + 5 * len(steps)


def test_everything_to_do_it_again(page):
    text = "".join(page.text)
    for words in (
        "Peak",
        "thin plate, grid 3, reach 2 px",
        "zeros",
        "float32",
        "1.25% of pixels",
        "No file was left out.",
    ):
        assert words.lower() in text.lower()
    assert json.loads(next(t for t in page.text if t.startswith('{\n  "schema"')))["measuring"]["images"] == 16


def test_names_cannot_break_out(tmp_path):
    path = report.comparison(fake_run.write(tmp_path, hostile=fake_run.SCRIPT))
    page = read(path)
    assert "document.title='broken out'</script>" not in path.read_text()
    assert len([tag for tag, _ in page.tags if tag == "script"]) == 3
    layers = {row["layer"] for row in page.charts["sensitivity-trained-as_is"]["data"]["values"]}
    assert f"block1.layer2{fake_run.SCRIPT}" in layers
    assert any(fake_run.SCRIPT in text for text in page.text)


def test_missing_nets_are_named(copied):
    (copied / "strided-seed0" / "record.json").unlink()
    text = "".join(read(report.comparison(copied)).text)
    assert "Not finished, and not shown: strided convolution." in text
    assert "4 nets that differ in their downsampling alone" in text


def test_it_works_without_a_gallery_and_says_when_that_is_damaged(copied):
    (copied / "gallery.npz").unlink()
    assert "The deformations" not in "".join(read(report.comparison(copied)).text)
    (copied / "gallery.npz").write_bytes(b"PK cut off")
    with pytest.raises(InputError) as caught:
        report.comparison(copied)
    assert str(caught.value) == f"{copied / 'gallery.npz'} is damaged, it holds no gallery: delete it and run again"


def test_the_page_of_a_profile(tmp_path):
    layers = ("input", f"a{fake_run.SCRIPT}", "b[0]", "c")
    profile = fake_run.profile(
        0, layers=layers, estimate=np.array([0.1, 0.15, 0.2, 0.4]), undefined={"b[0]": "NaN or infinite activations"}
    )
    path = report.single(
        profile,
        tmp_path / "new",
        model="<b>net</b>",
        source="Weights of my own.",
        skipped=[Skipped("a<i>.jpg", "truncated; save it again")],
    )
    assert path == tmp_path / "new" / "report.html"
    assert path.stat().st_size < 5_000_000
    page = read(path)
    assert page.loads() == []
    table = next(table for table in page.tables if table[0][:2] == ["#", "layer"])
    assert table[1:] == [
        ["0", "input", "", "0.100", "0.096", "0.106", "16"],
        ["1", layers[1], "", "0.150", "0.146", "0.156", "16"],
        ["2", "b[0]", "undefined: NaN or infinite activations", "16"],
        ["3", "c", "", "0.400", "0.396", "0.406", "16"],
    ]
    text = "".join(page.text)
    for words in (
        "Sensitivity rises most at c: 0.150 -> 0.400 (+0.250)",
        "Weights of my own.",
        "<b>net</b>",
        "1 of 4 layers",
    ):
        assert words in text
    assert ["a<i>.jpg", "truncated; save it again"] in page.tables[-1]


def test_random_and_worst_deformations_on_the_page_of_a_profile(tmp_path):
    layers = (f"a{fake_run.SCRIPT}", "broken")
    found = fake_run.searched(layers, (0.1, 0.0), (0.2, 0.0), (0.3, 0.0), undefined={"broken": "constant"})
    page = read(report.single(fake_run.profile(0.1), tmp_path, model="net", source="x", searched=found))
    table = next(table for table in page.tables if table[0][:2] == ["layer", "random, mean of 8"])
    assert table[0] == ["layer", "random, mean of 8", "best of 8", "worst case", "n"]
    assert [[" ".join(cell.split()) for cell in row] for row in table[1:]] == [
        [
            layers[0],
            "0.100 [0.096, 0.106] 1.21 px, folds none",
            "0.200 [0.196, 0.206] 1.51 px, folds 1.25%",
            "0.300 [0.296, 0.306] 1.81 px, folds 2.50%",
            "16",
        ],
        ["broken", "undefined: constant", "16"],
    ]
    text = " ".join("".join(page.text).split())
    assert "0.100 -> 0.300 (3.0 times as far). Searched by 20 steps of gradient ascent from the best of 8" in text
    assert "The bound is on the parameters of the deformations, not on the displacement" in text
    address = next(a["href"] for tag, a in page.tags if tag == "a" and a.get("download") == "worst_case.csv")
    saved = pd.read_csv(io.BytesIO(base64.b64decode(address.partition(",")[2])))
    assert saved["layer"].tolist() == list(layers)
    plain = read(report.single(fake_run.profile(0.1), tmp_path, model="net", source="x"))
    assert "worst_case.csv" not in {a.get("download") for _, a in plain.tags}


def test_a_profile_without_any_number_still_has_a_page(tmp_path):
    layers = ("input", "a")
    profile = fake_run.profile(0, layers=layers, estimate=np.zeros(2), undefined=dict.fromkeys(layers, "constant"))
    text = "".join(read(report.single(profile, tmp_path, model="net", source="x")).text)
    assert "Fewer than two layers have a sensitivity: nothing to say of where it rises." in text


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError) as caught:
        report.single(fake_run.profile(0.1), tmp_path / "file" / "below", model="net", source="x")
    path = tmp_path / "file" / "below" / "report.html"
    assert str(caught.value) == (f"{path} cannot be written (Not a directory): choose a folder that you may write to")


def test_shift_consistency_on_the_page_of_a_profile(tmp_path):
    found = ShiftConsistency(
        Interval(0.7, 0.5, 0.9, 0.95, 16),
        np.full(16, 0.7),
        {"largest": [5, 5], "crop": None, "pairs": 1, "seed": 0},
        {},
    )
    page = read(report.single(fake_run.profile(0.1), tmp_path, model="net", source="x", shifted=found))
    assert f"two random shifts of an image get the same top-1: {found}." in "".join(page.text)
    plain = read(report.single(fake_run.profile(0.1), tmp_path, model="net", source="x"))
    assert "shifts of an image" not in "".join(plain.text)


def charts_of_a_browser(path):
    """The charts as a browser parses them: it knows no NaN."""

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    content = re.search(r'<script type="application/json" id="charts">(.*?)</script>', path.read_text(), re.DOTALL)
    return json.loads(content[1], parse_constant=refuse)


def test_without_intervals_every_page_still_draws_its_charts(tmp_path):
    nan = float("nan")
    lone = report.single(fake_run.profile(0.1, nan), tmp_path / "one", model="net", source="x")
    sides = [report.Side(name, fake_run.profile(end, nan), "x", {}) for name, end in (("a", 0.1), ("b", 0.2))]
    for side in sides:
        object.__setattr__(side.profile, "replicates", np.full((len(fake_run.LAYERS), 5), nan))
    several = report.models(sides, tmp_path / "several")
    net = {moment: {"max_pool": 0.2} for moment in fake_run.CONVERGING}
    run = report.comparison(fake_run.write(tmp_path / "run", net, half_width=nan))
    drawn = ((lone, "curve"), (several, "curves"), (several, "differences"), (run, "sensitivity-trained-as_is"))
    for path, name in drawn:
        rows = charts_of_a_browser(path)[name]["data"]["values"]
        assert rows[0]["estimate"] is not None
        assert {(row["low"], row["high"]) for row in rows} == {(None, None)}
        cells = [" ".join(cell.split()) for table in read(path).tables for row in table for cell in row]
        assert any(cell.endswith("none") or cell.endswith("[none]") for cell in cells)
        assert not any("nan" in cell for cell in cells)
    assert "No intervals where a block of few images leaves a layer no pairs: nothing says where" in "".join(
        read(several).text
    )
    assert "No intervals where a block of few images leaves a layer no pairs: resampling" in "".join(read(lone).text)
    assert "No intervals" not in "".join(
        read(report.single(fake_run.profile(0.1), tmp_path / "one", model="net", source="x")).text
    )


def test_a_chart_with_a_nan_is_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr("pliant.report.profile_curve.ends", lambda found: {"low": float("nan"), "high": 1.0})
    with pytest.raises(ValueError, match="not JSON compliant"):
        report.single(fake_run.profile(0.1), tmp_path, model="net", source="x")
