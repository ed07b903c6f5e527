"""The README's Python runs as it stands, and its commands name options that exist."""

import json
import re
import shlex
from pathlib import Path

import pytest

from pliant.cli import app
from pliant.plan import Plan

TEXT = (Path(__file__).parents[1] / "README.md").read_text()
CODE = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
COMMANDS = [
    line.partition("#")[0].partition(">")[0].partition("pliant ")[2]
    for line in TEXT.splitlines()
    if "uv run pliant" in line
]


@pytest.mark.parametrize(
    ("code", "printed"), list(zip(CODE, ("layer_index", "tensor(", "own.json 3 runs"), strict=True))
)
def test_the_code_runs(code, printed, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    assert printed in capsys.readouterr().out
    for path in tmp_path.glob("*.json"):
        plan = Plan.from_json(json.loads(path.read_text()))
        assert (path.name, len(plan.cells)) in (("narrow.json", 10), ("own.json", 3))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_commands_parse(command):
    function, _, _ = app.parse_args(shlex.split(command), exit_on_error=False, print_error=False)
    assert shlex.split(command)[0] in (function.__name__, function.__module__.rpartition(".")[2])


def test_there_is_something_to_test():
    assert len(CODE) == 3
    assert len(COMMANDS) >= 6


def test_what_it_writes_is_not_for_git():
    folders = {f"/{name}/" for name in re.findall(r'(?:--out |save\(")(\w+)', TEXT)}
    files = {f"/{name}" for name in re.findall(r'(?:> |")(\w+\.json)', TEXT)}
    ignored = set((Path(__file__).parents[1] / ".gitignore").read_text().split())
    assert {"/profile/", "/runs/", "/plan.json", "/own.json"} <= folders | files <= ignored
