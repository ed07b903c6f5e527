"""The command line. Each command is loaded when it is called: `pliant --help` loads no torch."""

import sys
import traceback

from cyclopts import App, CycloptsError

import pliant
from pliant._checks import InputError

app = App(
    name="pliant",
    help="Measure, compare and test how stable the layers of a vision network are to deformations of its input.",
    version=pliant.__version__,
    result_action="return_value",
)
app.command(
    "pliant.cli.demo:demo",
    name="demo",
    help="Train small nets that differ in their downsampling, measure them before and after, write a report.",
)
app.command(
    "pliant.cli.measure:measure",
    name="measure",
    help="Measure how sensitive each layer of a model is to small deformations; a gate for builds, too.",
)
app.command(
    "pliant.cli.compare:compare",
    name="compare",
    help="Compare models on the same images: which layer differs, by how much, and under which attack or shift.",
)
app.command(
    "pliant.cli.deform:deform",
    name="deform",
    help="Deform images, and show what a deformation does at other strengths.",
)
app.command("pliant.cli.plan:plan", name="plan", help="Print the plan of a study as JSON, to be edited and run.")
app.command("pliant.cli.run_plan:run", name="run", help="Carry out a plan; run again, it goes on where it stopped.")
app.command("pliant.cli.claims:claims", name="claims", help="Say of each claim of a study whether a run bears it out.")
app.command("pliant.cli.layers:layers", name="layers", help="List the layers of a model, with their shapes.")

app.command(
    "pliant.cli.report:remake", name="report", help="Make the report of a finished run again, from its records alone."
)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line.

    Exit status 0; 1 where a gate fails; 2 for bad input; 70 for an error of pliant's own; 130 when interrupted.
    """
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status; `arguments` are those of the process if None."""
    try:
        status = app(arguments, exit_on_error=False, print_error=True)
    except CycloptsError:
        return 2
    except InputError as error:
        print(f"pliant: {error}", file=sys.stderr)
        return 2
    except Exception:  # not 1, which says that a gate failed
        traceback.print_exc()
        return 70
    except KeyboardInterrupt:
        print("pliant: interrupted", file=sys.stderr)
        return 130
    return status if isinstance(status, int) else 0
