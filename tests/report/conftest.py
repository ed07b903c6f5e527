"""One made-up run for all tests of reports: writing it takes longer than to copy or to read it."""

import shutil
from pathlib import Path

import pytest
from report import fake_run


@pytest.fixture(scope="session")
def whole(tmp_path_factory) -> Path:
    """The folder of a finished run, to be read alone."""
    return fake_run.write(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def copied(whole, tmp_path) -> Path:
    """The same to be changed and written into."""
    return shutil.copytree(whole, tmp_path / "run")
