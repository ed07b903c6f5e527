"""How far the work is, where the output is no terminal and no bar can be drawn: a log of a build, a file."""

import time

from rich.console import Console

_SECONDS = 60.0


class Minutely:
    """One line a minute at most, and so none of work that ends sooner; nothing on a terminal, which has a bar."""

    def __init__(self, console: Console) -> None:
        self._console, self._last = console, time.perf_counter()

    def say(self, what: str) -> None:
        """Print what is at work, if a minute has passed since the last line, or since the start."""
        now = time.perf_counter()
        if not self._console.is_terminal and now - self._last >= _SECONDS:
            self._last = now
            self._console.print(what, highlight=False, markup=False, soft_wrap=True)
