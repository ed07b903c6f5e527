"""What all saved results share: files that come back, and what is said of those that do not."""

import json

import numpy as np
import pandas as pd
import pytest

from pliant._checks import InputError
from pliant.saved import Format, decoded, encoded

FORMAT = Format("made_up", schema=2)


def build(payload, samples):
    if len(samples) != payload["count"]:
        raise ValueError("of another")
    return payload["words"], samples["value"].tolist()


def written(folder, form=FORMAT, values=(0.5, 2.0)):
    payload = {"words": ["ü", None], "count": len(values)}
    return form.write(folder, payload, pd.DataFrame({"value": values}))


def refused(folder):
    with pytest.raises(InputError) as error:
        FORMAT.read(folder, build)
    return str(error.value)


def test_what_is_written_is_read(tmp_path):
    folder = written(str(tmp_path / "a" / "b"))
    assert FORMAT.read(folder, build) == (["ü", None], [0.5, 2.0])
    assert sorted(path.name for path in folder.iterdir()) == ["made_up.json", "made_up.parquet"]
    assert list(json.loads((folder / "made_up.json").read_text())) == ["schema", "words", "count"]


def test_an_older_schema_is_read_and_a_newer_one_is_not(tmp_path):
    written(tmp_path, Format("made_up", schema=1))
    assert FORMAT.read(tmp_path, build) == (["ü", None], [0.5, 2.0])
    written(tmp_path, Format("made_up", schema=3))
    assert refused(tmp_path) == (
        f"{tmp_path / 'made_up.json'} has schema 3; this version of pliant reads 2: update pliant"
    )


def test_several_kinds_share_a_folder(tmp_path):
    other = Format("other", table="samples")
    written(tmp_path)
    written(tmp_path, other, (1.0,))
    assert FORMAT.read(tmp_path, build)[1] == [0.5, 2.0]
    assert other.read(tmp_path, build)[1] == [1.0]
    assert (tmp_path / "samples.parquet").exists()


def test_what_is_missing_or_of_another_kind_is_refused(tmp_path):
    assert refused(tmp_path) == f"there is no {tmp_path / 'made_up.json'}: name a folder that pliant has written"
    written(tmp_path)
    (tmp_path / "made_up.parquet").unlink()
    assert refused(tmp_path) == f"there is no {tmp_path / 'made_up.parquet'}: name a folder that pliant has written"
    for content in ("[]", "{}", '{"schema": "2"}'):
        (tmp_path / "made_up.json").write_text(content)
        assert (
            refused(tmp_path)
            == f"{tmp_path / 'made_up.json'} is no saved made up: name a folder that pliant has written"
        )


@pytest.mark.parametrize(
    "change",
    [lambda payload: payload.pop("words"), lambda payload: payload.update(count=3), lambda payload: payload.clear()],
)
def test_what_is_not_whole_is_refused(tmp_path, change):
    payload = json.loads((written(tmp_path) / "made_up.json").read_text())
    change(payload)
    (tmp_path / "made_up.json").write_text(json.dumps({"schema": 2, **payload}))
    assert refused(tmp_path) == (
        f"{tmp_path / 'made_up.json'} and made_up.parquet do not hold one whole made up: measure it again"
    )


def test_what_is_not_a_number_is_none_in_between():
    values = np.array([[0.1, np.nan], [np.inf, -3.0]])
    assert encoded(values) == [[0.1, None], [None, -3.0]]
    np.testing.assert_array_equal(decoded(encoded(values), 2), [[0.1, np.nan], [np.nan, -3.0]])
    with pytest.raises(ValueError, match="2 entries, not 3"):
        decoded(encoded(values), 3)
