import re
from xml.etree import ElementTree

import pytest

from pliant import report


@pytest.fixture(scope="module")
def drawn(whole, tmp_path_factory):
    return report.figures(whole, tmp_path_factory.mktemp("a") / "new" / "figures")


def test_figures_are_whole_pictures_with_a_legend(drawn):
    assert [path.name for path in drawn] == ["sensitivity.svg", "smoothness.svg"]
    for path in drawn:
        content = path.read_text()
        ElementTree.fromstring(content)
        assert not re.search(r'(href|src)="http', content)
        texts = re.findall(r">([^<>]+)</text>", content)
        assert {"subsampling", "max pooling", "strided convolution + ReLU"} <= set(texts)
    texts = re.findall(r">([^<>]+)</text>", drawn[0].read_text())
    assert {"Before training (calibrated batch norm)", "After training"} <= set(texts)


def test_the_same_run_gives_the_same_bytes(drawn, copied, tmp_path):
    again = report.figures(copied, tmp_path / "again")
    assert [path.read_bytes() for path in drawn] == [path.read_bytes() for path in again]
    page = report.comparison(copied).read_bytes()
    assert report.comparison(copied).read_bytes() == page
