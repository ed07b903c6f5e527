"""`pliant demo`: the study in small, from images to a report."""

from datetime import timedelta
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from pliant import records, report
from pliant._checks import require
from pliant.data import Skipped
from pliant.plan import DOWNSAMPLING, Study, Training
from pliant.report import terminal
from pliant.run.study import Stage, execute


def demo(
    *,
    data: str = "digits",
    downsampling: tuple[str, ...] = DOWNSAMPLING,
    padding_mode: str = "zeros",
    pool_skip: int = 0,
    width: float = 0.5,
    epochs: int = 6,
    limit: int | None = None,
    seed: int = 0,
    out: Path | None = None,
) -> int:
    """Train small nets that differ in their downsampling, measure them before and after, write a report.

    Run again with the same options it goes on where it stopped, net by net.

    Parameters
    ----------
    data
        "digits" (embedded), "cifar10", "mnist", or a folder of parquet files or of images, one subfolder a class.
    downsampling
        One net each, with commas between them or the option repeated: subsample, max_pool, average_pool, strided,
        strided_relu (these five if not given), blur_pool, max_blur_pool, strided_blur, aps, lps, permuted_pool.
    padding_mode
        What the convolutions see outside the map: "zeros", or "circular", the map itself.
    pool_skip
        Pixels a side of the blocks of a residual branch before each downsampling (Sun et al. 2024); 0 for none.
    width
        Factor on the channels of every layer.
    epochs
        Passes over the training images.
    limit
        Use this many training images; all of them if not given.
    seed
        Of initial weights, batches and deformations.
    out
        Folder of the run; by default runs/demo-DATA-PLAN, PLAN being the plan's identity.
    """
    require(epochs >= 1, f"epochs={epochs}: at least 1, or there is nothing after training")
    study = Study(
        data=data,
        limit=limit,
        downsampling=tuple(name.strip() for given in downsampling for name in given.split(",")),
        width=width,
        seed=seed,
        training=Training(epochs=epochs),
        padding_mode=padding_mode,
        pool_skip=pool_skip,
    )
    folder = out or Path("runs") / f"demo-{Path(data).name}-{study.identity}"
    console = Console()
    try:
        with _Display(console) as display:
            execute(study, folder, display.show)
    except KeyboardInterrupt:
        for weights in sorted(folder.glob("*/interrupted.safetensors")):
            console.print(f"The weights so far are in {weights}.")
        console.print("Interrupted; the same command goes on.")
        raise
    page = report.comparison(folder)
    terminal.show_left_out([Skipped(**one) for one in records.read_json(folder / "data.json")["skipped"]], console)
    console.print(report.headline(folder), soft_wrap=True)
    console.print(f"Report: {page}", soft_wrap=True)
    return 0


class _Display:
    """One line for the net at work: what it does, how far, how accurate, how long still.

    Where the output is no terminal, a line for each thing that it begins.
    """

    def __init__(self, console: Console):
        self._progress = Progress(
            TextColumn("{task.fields[run]}"),
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("loading", total=None, run="")
        self._console = console
        self._run, self._what = "", ""

    def __enter__(self) -> "_Display":
        self._progress.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._progress.stop()

    def show(self, stage: Stage) -> None:
        """Bring the line to where the study stands."""
        plain = not self._console.is_terminal
        if stage.run != self._run or (plain and stage.what != self._what):
            self._run, self._what = stage.run, stage.what
            what = f" {stage.what}" if plain else ""
            self._console.print(f"{stage.number}/{stage.nets} {stage.run}{what}", highlight=False, soft_wrap=True)
        done = stage.training
        if done is None:
            self._progress.update(self._task, description=stage.what, run=stage.run, completed=0)
        else:
            # Not rich's own column: it knows no time left once the line was full, as after the first net.
            left = timedelta(seconds=round(done.seconds_left))
            text = f"epoch {done.epoch}/{done.epochs}, loss {done.loss:.3f}, accuracy {done.accuracy:.3f}, {left} left"
            self._progress.update(
                self._task, description=text, run=stage.run, completed=done.step, total=done.steps, refresh=True
            )
