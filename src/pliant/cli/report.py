"""`pliant report`: the report of a run made again from its records."""

from pathlib import Path

from pliant import records, report


def remake(folder: Path, *, figures: Path | None = None) -> int:
    """Make the report of a finished run again, from its records alone.

    Parameters
    ----------
    folder
        The folder of a run, such as `pliant demo` prints it.
    figures
        A folder for the charts as SVG files and the table of last layers as table.md.
    """
    print(report.headline(folder))
    print(f"Report: {report.comparison(folder)}")
    if figures is not None:
        paths = report.figures(folder, figures)
        table = figures / "table.md"
        records.write_bytes(table, f"{report.table(folder)}\n".encode())
        print("Figures:", *paths, table, sep="\n  ")
    return 0
