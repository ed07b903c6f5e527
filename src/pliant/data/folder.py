"""`ImageFolder`: the images of a folder in a stable order, in batches, as many as the memory of one batch holds."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from copy import copy
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Shaped
from PIL import Image
from torch import Tensor

from pliant._checks import InputError, require, unknown
from pliant.data.dataset import Skipped
from pliant.data.image_file import BadImage, read

_READ = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pbm", ".pgm", ".ppm")
_LISTED = (".avif", ".heic", ".heif", ".jp2")  # not read: found all the same, so that they are listed as skipped
SUFFIXES = (*_READ, *_LISTED)
"""What the name of an image file ends with, in any case."""


def find(folder: Path) -> list[Path]:
    """The image files in `folder` and its subfolders, sorted by their path in it with "/" between the parts.

    Files and subfolders whose name begins with a dot are left out, links to folders are not followed. Raises
    `InputError` if there is no such folder or a part of it may not be read.
    """
    if not folder.is_dir():
        kind = "a file, not a folder; name the folder that holds it" if folder.exists() else "no such folder"
        raise InputError(f"{folder}: {kind}")

    def refuse(error: OSError) -> None:
        raise InputError(f"{error.filename}: cannot be listed ({error.strerror}); check that it may be read") from None

    found = []
    for parent, below, names in os.walk(folder, onerror=refuse):
        below[:] = [name for name in below if not name.startswith(".")]
        visible = (name for name in names if not name.startswith("."))
        found += [Path(parent, name) for name in visible if Path(name).suffix.lower() in SUFFIXES]
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def name_in(folder: Path, path: Path) -> str:
    """The path in the folder, with "/" between the parts; bytes that are not UTF-8 escaped, so that it prints."""
    return path.relative_to(folder).as_posix().encode("utf-8", "backslashreplace").decode()


def evenly(paths: Sequence[Path], count: int) -> list[Path]:
    """`count` of the paths, evenly spaced from the first on; all if there are no more."""
    count = min(count, len(paths))
    return [paths[i * len(paths) // count] for i in range(count)]


class ImageFolder:
    """Batches (n, c, h, w) of the images of a folder; every pass reads the files again, a batch ahead of its use.

    `transform`: from an RGB image to a tensor (c, h, w), the same shape for every image; it runs in threads.
    `limit`: use this many files, evenly spaced over the folder; all if None. Files that turn out bad are not replaced.
    `on_bad_image`: "skip" leaves an image out that `image_file.read` refuses, "refuse" raises `InputError` with its
    name and the reason. `batch_size`: images a batch, 2 or more; the last may be smaller.

    After a pass, `files` holds the names of the images used, in order, and `skipped` those left out. Raises
    `InputError` if the folder holds no images and, during a pass, if fewer than 2 of them can be used.
    """

    def __init__(
        self,
        folder: str | Path,
        transform: Callable[[Image.Image], Shaped[Tensor, "c h w"]],
        limit: int | None = None,
        on_bad_image: Literal["skip", "refuse"] | str = "skip",
        batch_size: int = 128,
    ) -> None:
        if on_bad_image not in ("skip", "refuse"):
            raise unknown("on_bad_image", on_bad_image, ("skip", "refuse"))
        require(batch_size >= 2, f"batch_size={batch_size}: must be 2 or more")
        require(limit is None or limit >= 2, f"limit={limit}: at least 2 images are needed")
        self.folder = Path(folder)
        self.transform = transform
        self.on_bad_image = on_bad_image
        self.batch_size = batch_size
        found = find(self.folder)
        require(bool(found), f"{folder}: no images in it or its subfolders; looked for {', '.join(sorted(SUFFIXES))}")
        self._chosen = found if limit is None else evenly(found, limit)
        taken = set(self._chosen)
        self._rest = [path for path in found if path not in taken]
        self._files: list[str] = []
        self._skipped: list[Skipped] = []

    @property
    def chosen(self) -> tuple[str, ...]:
        """The files that a pass reads, before any of them is found to be bad."""
        return tuple(name_in(self.folder, path) for path in self._chosen)

    @property
    def files(self) -> tuple[str, ...]:
        """The images that the last pass has used so far, in order."""
        return tuple(self._files)

    @property
    def skipped(self) -> tuple[Skipped, ...]:
        """The images that the last pass has left out so far, and why."""
        return tuple(self._skipped)

    def others(self, count: int) -> "ImageFolder":
        """Up to `count` images of the folder that a pass over this one does not read, to calibrate batch norm with.

        Raises `InputError` if `limit` leaves fewer than 2 files over.
        """
        chosen = evenly(self._rest, count)
        require(
            len(chosen) >= 2,
            f"{self.folder}: {len(chosen)} images are left beside the {len(self._chosen)} chosen, at least 2 are "
            f"needed; choose fewer than {len(self._chosen) + len(self._rest)} with --limit (limit=)",
        )
        other = copy(self)
        other._chosen, other._files, other._skipped = chosen, [], []
        taken = set(chosen)
        other._rest = [path for path in self._rest if path not in taken]
        return other

    def __iter__(self) -> Iterator[Shaped[Tensor, "n c h w"]]:
        self._files, self._skipped = [], []
        batch: list[Tensor] = []
        with closing(self._results()) as results:
            for path, result in results:
                if isinstance(result, BadImage):
                    self._leave_out(path, result)
                    continue
                if batch and result.shape != batch[0].shape:
                    raise InputError(
                        f"{path}: {tuple(result.shape)} after the transform, others {tuple(batch[0].shape)}"
                    )
                self._files.append(name_in(self.folder, path))
                batch.append(result)
                if len(batch) == self.batch_size:
                    yield torch.stack(batch)
                    batch = []
        if len(self._files) < 2:
            raise InputError(self._too_few())
        if batch:
            yield torch.stack(batch)

    def _results(self) -> Generator[tuple[Path, Tensor | BadImage], None, None]:
        """Each file in order, and what became of it. Threads stay one batch ahead."""
        waiting: deque[tuple[Path, Future[Tensor | BadImage]]] = deque()
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            try:
                for path in self._chosen:
                    waiting.append((path, pool.submit(self._load, path)))
                    if len(waiting) > self.batch_size:
                        earliest, result = waiting.popleft()
                        yield earliest, result.result()
                while waiting:
                    earliest, result = waiting.popleft()
                    yield earliest, result.result()
            finally:
                for _, result in waiting:
                    result.cancel()

    def _load(self, path: Path) -> Tensor | BadImage:
        try:
            return self.transform(read(path))
        except BadImage as bad:
            return bad

    def _leave_out(self, path: Path, bad: BadImage) -> None:
        if self.on_bad_image == "refuse":
            raise InputError(f'{path}: {bad} (or leave such images out: --on-bad-image skip, on_bad_image="skip")')
        self._skipped.append(Skipped(name_in(self.folder, path), str(bad)))

    def _too_few(self) -> str:
        """Named by the first few reasons, since with all files bad they are the news."""
        reasons = "".join(f"; {skipped.file}: {skipped.reason}" for skipped in self._skipped[:3])
        return f"{self.folder}: {len(self._files)} usable of {len(self._chosen)} images, at least 2 are needed{reasons}"
