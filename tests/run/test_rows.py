"""The columns of measurements.parquet are those that the documents say."""

import re
from pathlib import Path

import pandas as pd
from paper import fake_study

from pliant.run.rows import COLUMNS

DOCS = Path(__file__).parents[2] / "docs"
TEXT = (DOCS / "measurements.md").read_text()


def told(column: str) -> str:
    """What is said of a column."""
    (line,) = re.findall(rf"^\| `{column}` \| (.*) \|$", TEXT, re.MULTILINE)
    return line


def test_each_column_is_documented_in_its_order():
    study = TEXT[TEXT.index("## Of a study") : TEXT.index("## Beside")]
    assert re.findall(r"^\| `(\w+)`", study, re.MULTILINE) == list(COLUMNS)


def test_each_value_of_a_column_is_documented():
    cells = fake_study.plan(1, ("2c",)).cells
    table = pd.concat(fake_study.numbers(cell, 0, lambda moment: 0.5, lambda moment: 1.8) for cell in cells)
    for column in ("batch_norm", "padding", "metric", "item"):
        assert set(table[column]) <= set(re.findall(r"`(\w+)`", told(column))), column


def test_the_table_beside_the_results_has_the_columns_that_its_page_says():
    folder = DOCS / "results/ruderman2018-small"
    committed = pd.read_parquet(folder / "measurements.parquet")
    assert list(committed.columns) == [name for name in COLUMNS if name != "index"]
    assert committed["value"].dtype == "float32"
    page = (folder / "README.md").read_text()
    said = page[page.index("[measurements.parquet]") :].partition("[explained here]")[0]
    assert re.findall(r"`(\w+)`", said) == list(committed.columns)
    for column in ("batch_norm", "padding", "metric", "item"):
        assert set(committed[column]) <= set(re.findall(r"`(\w+)`", told(column))), column
