"""What a log of a build is told of long work."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from pliant.cli import plain
from pliant.cli.plain import Minutely


@pytest.mark.parametrize("terminal", [False, True])
def test_a_line_a_minute_where_there_is_no_terminal(monkeypatch, terminal):
    now = SimpleNamespace(seconds=5.0)
    monkeypatch.setattr(plain, "time", SimpleNamespace(perf_counter=lambda: now.seconds))
    printed = io.StringIO()
    line = Minutely(Console(file=printed, force_terminal=terminal, width=20))
    for after in (0, 59, 60, 119, 121, 300):
        now.seconds = 5.0 + after
        line.say(f"measuring: {after} of 300 images [x]")
    told = [] if terminal else [f"measuring: {after} of 300 images [x]" for after in (60, 121, 300)]
    assert printed.getvalue().splitlines() == told
