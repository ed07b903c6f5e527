"""`pliant report`: the report of a run made again from its records."""

from pathlib import Path

from pliant import records, report


def remake(folder: Path, *, figures: Path | None = None) -> int:
    """Make the report of a finished run again, from its records alone.

    Parameters
    ----------
    folder
        The folder of a run, such as `pliant demo` and `pliant run` print it.
    figures
        A folder for the charts as SVG files and a table: of last layers (demo) or of verdicts, then with the numbers.
    """
    if "cells" in records.read_json(folder / "plan.json"):
        print(f"Report: {report.study(folder)}")
        print(f"Claims: {folder / 'claims.json'}")
        print(f"Figures: {folder / 'figures'}")
        if figures is not None:
            print("Summary:", *report.study_summary(folder, figures), sep="\n  ")
        return 0
    print(report.headline(folder))
    print(f"Report: {report.comparison(folder)}")
    if figures is not None:
        paths = report.figures(folder, figures)
        table = figures / "table.md"
        records.write_bytes(table, f"{report.table(folder)}\n".encode())
        print("Figures:", *paths, table, sep="\n  ")
    return 0
