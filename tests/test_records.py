import errno
import importlib.util
import os
import subprocess
import sys
from datetime import UTC, datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pandas.testing import assert_frame_equal

from pliant import records
from pliant._checks import InputError

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@pytest.fixture
def full_disk(monkeypatch):
    """The disk takes no more bytes: writes reach the file, and its flush to the disk fails."""

    def refuse(descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", refuse)


def refused(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return str(caught.value)


@settings(max_examples=40)
@given(payload=json_values)
def test_json_comes_back_as_written(tmp_path_factory, payload):
    path = tmp_path_factory.mktemp("json") / "deep" / "record.json"
    assert records.write_json(path, payload) == path
    assert records.read_json(path) == payload


def test_json_holds_no_nan(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        records.write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_table_comes_back_and_gives_the_same_bytes(tmp_path):
    table = pd.DataFrame({"layer": ["input", "ü</script>"], "value": [0.1, np.nan], "n": [1, 2]}, index=[7, 3])
    first = records.write_table(tmp_path / "a" / "t.parquet", table).read_bytes()
    second = records.write_table(tmp_path / "b" / "t.parquet", table.copy()).read_bytes()
    assert first == second
    assert_frame_equal(records.read_table(tmp_path / "a" / "t.parquet"), table.reset_index(drop=True))


def test_writing_leaves_the_file_alone_behind_with_ordinary_permissions(tmp_path):
    records.write_bytes(tmp_path / "new", b"1")
    (tmp_path / "plain").write_bytes(b"1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "plain"]
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_full_disk_loses_nothing(tmp_path, full_disk):
    path = tmp_path / "weights"
    path.write_bytes(b"old")
    assert refused(records.write_bytes, path, b"new") == (
        f"{path} cannot be written, the disk is full: free some space or choose another folder"
    )
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_loses_nothing(tmp_path, monkeypatch):
    def interrupt(descriptor):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    path = tmp_path / "weights"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        records.write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "below" / "a.json"
    assert refused(records.write_json, path, {}) == (
        f"{path} cannot be written (Not a directory): choose a folder that you may write to"
    )


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission(tmp_path):
    tmp_path.chmod(0o500)
    path = tmp_path / "a.json"
    assert refused(records.write_json, path, {}) == (
        f"{path} cannot be written (Permission denied): choose a folder that you may write to"
    )


@pytest.mark.parametrize("read", [records.read_json, records.read_table])
def test_files_that_cannot_be_read(tmp_path, read):
    path = tmp_path / "record"
    assert refused(read, path) == f"there is no {path}: name a folder that pliant has written"
    path.mkdir()
    assert refused(read, path) == f"{path} cannot be read (Is a directory): check the path and its permissions"


def test_damaged_files(tmp_path):
    path = tmp_path / "record"
    path.write_bytes(b'{"run": "max_po')
    assert refused(records.read_json, path) == (
        f"{path} holds no JSON (Unterminated string starting at: line 1 column 9 (char 8)): "
        "mend it, or delete it and run again"
    )
    path.write_bytes(b"\xff\xfe\xfa")
    assert refused(records.read_json, path).startswith(f"{path} holds no JSON (")
    path.write_bytes(b"PAR1 cut off")
    assert refused(records.read_table, path) == (
        f"{path} is damaged, it holds no parquet table: delete it and run again"
    )


def test_provenance_says_versions_time_and_what_it_is_told():
    found = records.provenance(device="cpu")
    assert found["device"] == "cpu"
    assert found["versions"]["numpy"] == np.__version__
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert abs((datetime.now(UTC) - datetime.fromisoformat(found["time"])).total_seconds()) < 60


def test_a_missing_library_is_left_out(monkeypatch):
    monkeypatch.setattr(records, "_LIBRARIES", ("numpy", "no-such-library"))
    records._versions.cache_clear()
    found = records.provenance()["versions"]
    records._versions.cache_clear()
    assert list(found) == ["numpy"]


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A git checkout with one commit, in which records.py is believed to lie."""
    source = tmp_path / "src" / "pliant" / "records.py"
    source.parent.mkdir(parents=True)
    source.touch()
    monkeypatch.setattr(records, "__file__", str(source))
    records._commit.cache_clear()

    def git(*words):
        who = ("-c", "user.name=a", "-c", "user.email=a@b")
        return subprocess.run(["git", "-C", tmp_path, *who, *words], check=True, capture_output=True, text=True).stdout

    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    yield tmp_path, git
    records._commit.cache_clear()


def test_the_commit_of_a_checkout_and_whether_it_has_changes(checkout):
    folder, git = checkout
    commit = git("rev-parse", "HEAD").strip()
    assert records.provenance()["commit"] == commit
    (folder / "src" / "pliant" / "records.py").write_text("changed")
    records._commit.cache_clear()
    assert records.provenance()["commit"] == f"{commit}-dirty"


def test_no_commit_outside_of_a_checkout(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "__file__", str(tmp_path / "lib" / "pliant" / "records.py"))
    records._commit.cache_clear()
    assert records.provenance()["commit"] is None
    records._commit.cache_clear()


def write_run(folder, run, value=0.5, plan="abc", **more):
    """A finished run with a single number."""
    row = {"run": run, "step": "trained", "batch_norm": "as_is", "layer_index": 0, "layer": "input"}
    row |= {"metric": "cosine", "item": "image", "index": 0, "value": value}
    records.write_table(folder / run / "measurements.parquet", pd.DataFrame([row]))
    records.write_json(folder / run / "record.json", {"run": run, "plan": plan, **more})


def test_merge_gathers_every_number_of_the_finished_runs(tmp_path):
    write_run(tmp_path, "strided-seed0", 0.25)
    write_run(tmp_path, "max-seed0", 0.75)
    write_run(tmp_path, "unfinished-seed0")
    (tmp_path / "unfinished-seed0" / "record.json").unlink()
    path = records.merge(str(tmp_path))
    assert path == tmp_path / "measurements.parquet"
    table = records.read_table(path)
    assert list(table.columns) == [
        *("run", "step", "batch_norm", "layer_index", "layer", "metric", "item", "index", "value")
    ]
    assert [tuple(row) for row in table.itertuples(index=False)] == [
        ("max-seed0", "trained", "as_is", 0, "input", "cosine", "image", 0, 0.75),
        ("strided-seed0", "trained", "as_is", 0, "input", "cosine", "image", 0, 0.25),
    ]


def test_merging_again_gives_the_same_bytes(tmp_path):
    write_run(tmp_path, "b")
    write_run(tmp_path, "a")
    first = records.merge(tmp_path).read_bytes()
    assert records.merge(tmp_path).read_bytes() == first


@pytest.mark.parametrize(
    ("key", "remedy"),
    [("plan", "keep one folder for each plan"), ("schema", "delete the older runs and run again")],
)
def test_records_that_cannot_be_compared_are_not_merged(tmp_path, key, remedy):
    write_run(tmp_path, "a", **{key: "abc"})
    write_run(tmp_path, "b", **{key: "xyz"})
    assert refused(records.merge, tmp_path) == (
        f"{tmp_path} mixes runs that differ in {key}, a of 'abc' and b of 'xyz': {remedy}"
    )
    assert not (tmp_path / "measurements.parquet").exists()


def test_runs_of_another_device_are_shown_and_not_merged(tmp_path):
    write_run(tmp_path, "a", provenance={"device": "cpu"})
    write_run(tmp_path, "b", provenance={"device": "cuda:0"})
    assert list(records.runs(tmp_path)) == ["a", "b"]
    assert refused(records.merge, tmp_path) == (
        f"{tmp_path} mixes runs that differ in device, a of 'cpu' and b of 'cuda': delete the older runs and run again"
    )


def test_runs_of_this_process_are_not_added_to_those_of_another_version(tmp_path):
    now = records.provenance(threads=2)
    records.check_present(tmp_path, {"a": {"provenance": now}, "b": {}}, threads=2)
    records.check_present(tmp_path, {"a": {"provenance": now}})
    build = {"torch": now["versions"]["torch"].partition("+")[0] + "+another"}
    records.check_present(tmp_path, {"a": {"provenance": now | {"versions": build}}})
    for made, began, this in (
        (now | {"threads": 1}, "1 threads", "2 threads"),
        (now | {"pliant": "0.0.0"}, "pliant 0.0.0", f"pliant {now['pliant']}"),
        (now | {"versions": {"torch": "1.0"}}, "torch 1.0", f"torch {now['versions']['torch']}"),
    ):
        with pytest.raises(InputError) as error:
            records.check_present(tmp_path, {"a": {"provenance": now}, "b": {"provenance": made}}, threads=2)
        assert str(error.value) == (
            f"{tmp_path / 'b'} was made with {began}, this is {this}, and the two cannot be compared: finish with "
            f"{began}, or delete the older runs in {tmp_path}"
        )


def test_runs_on_other_images_or_in_another_precision_are_not_merged(tmp_path):
    write_run(tmp_path, "a", precision="fp32", provenance={"data": "digest"})
    write_run(tmp_path, "b", precision="bf16", provenance={"data": "digest"})
    assert refused(records.merge, tmp_path) == (
        f"{tmp_path} mixes runs that differ in precision, a of 'fp32' and b of 'bf16': delete the older runs and run "
        "again"
    )
    write_run(tmp_path, "b", precision="fp32", provenance={"data": "another"})
    assert refused(records.merge, tmp_path) == (
        f"{tmp_path} mixes runs that differ in data digest, a of 'digest' and b of 'another': measure both on the same "
        "images"
    )


def test_a_table_with_other_columns_is_not_merged(tmp_path):
    write_run(tmp_path, "a")
    path = tmp_path / "a" / "measurements.parquet"
    records.write_table(path, records.read_table(path).rename(columns={"metric": "distance"}))
    assert refused(records.merge, tmp_path) == (
        f"{path} has other columns than this version of pliant writes: delete it and run again"
    )


def test_a_folder_without_runs(tmp_path):
    assert refused(records.runs, tmp_path) == (
        f"{tmp_path} holds no finished run: name the folder of a run, such as runs/demo"
    )


def test_a_place_where_no_file_can_stand_is_refused_also_to_root():
    with pytest.raises(InputError, match=r"^/proc/pliant cannot be written \(.*\): choose a folder"):
        records.check_writable("/proc/pliant")


def test_a_folder_is_one_process_alone(tmp_path):
    code = f"""
from pliant import InputError, records
for _ in range(2):
    try:
        with records.alone({str(tmp_path)!r}):
            print("alone")
    except InputError as error:
        print(error, flush=True)
        input()
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with records.alone(tmp_path):
        other = subprocess.Popen([sys.executable, "-c", code], **pipes)
        assert other.stdout is not None
        assert f"another process is at work in {tmp_path}: wait for it, or stop it" in other.stdout.readline()
    assert other.communicate("now\n")[0] == "alone\n"
    assert other.returncode == 0


def test_without_file_locks_all_is_there_but_a_folder_for_one_process(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fcntl", None)
    monkeypatch.setattr("platform.system", lambda: "Windows")
    fresh = importlib.util.module_from_spec(importlib.util.spec_from_file_location("fresh", records.__file__))
    fresh.__spec__.loader.exec_module(fresh)
    assert fresh.read_json(fresh.write_json(tmp_path / "a.json", {})) == {}
    folder = tmp_path / "run"
    assert refused(fresh.alone(folder).__enter__) == (
        f"{folder} cannot be locked, as a run asks for, on Windows: use WSL"
    )
    assert not folder.exists()
