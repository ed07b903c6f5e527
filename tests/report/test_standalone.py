import re
from xml.etree import ElementTree

from report import fake_run

from pliant import report


def test_figures_are_whole_pictures_with_a_legend(tmp_path):
    paths = report.figures(fake_run.write(tmp_path / "run"), tmp_path / "new" / "figures")
    assert [path.name for path in paths] == ["sensitivity.svg", "smoothness.svg"]
    for path in paths:
        content = path.read_text()
        ElementTree.fromstring(content)
        assert not re.search(r'(href|src)="http', content)
        texts = re.findall(r">([^<>]+)</text>", content)
        assert {"subsampling", "max pooling", "strided convolution + ReLU"} <= set(texts)
    texts = re.findall(r">([^<>]+)</text>", paths[0].read_text())
    assert {"Before training (calibrated batch norm)", "After training"} <= set(texts)


def test_the_same_run_gives_the_same_bytes(tmp_path):
    folder = fake_run.write(tmp_path / "run")
    first, second = (report.figures(folder, tmp_path / name) for name in ("a", "b"))
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    page = report.comparison(folder).read_bytes()
    assert report.comparison(folder).read_bytes() == page
