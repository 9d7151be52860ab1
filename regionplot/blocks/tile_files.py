"""Call functions of tile files: path in, path out."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from regionplot.blocks.new_raster import os_errors_as_raster_errors
from regionplot.errors import BlockError
from regionplot.system.memory import return_large_blocks


@dataclass(frozen=True, slots=True)
class TileJob:
    """A tile file to process, and the file of the result."""

    source: Path
    target: Path


@dataclass
class FilesTask:
    """Call a function with the path of a tile and the path of its result."""

    also_caught: ClassVar[tuple[type[BaseException], ...]] = (SystemExit,)
    """A function that calls `sys.exit` fails for its tile."""
    function: Callable[[Path, Path], object]
    folder: Path
    """Folder for incomplete results."""

    def start_worker(self) -> None:
        """Return freed memory to the system, because a function of files manages its own memory."""
        return_large_blocks()

    def load(self) -> None:
        """Load nothing. Each tile is a separate raster."""

    def __call__(self, job: TileJob) -> Path:
        """Return the folder with the result of one tile, and the files that the function wrote beside it."""
        with os_errors_as_raster_errors(job.target):
            own = Path(tempfile.mkdtemp(dir=self.folder))
        target = own / job.target.name
        self.function(job.source, target)
        if not target.is_file():
            raise BlockError(f"the function wrote no file {target}; write the result to the second path")
        return own


def move_files(folder: Path, target: Path) -> list[Path]:
    """Move all files of a folder to the folder of a result. Return the files that did not exist there."""
    new = []
    with os_errors_as_raster_errors(target):
        for file in sorted(folder.iterdir(), key=lambda file: file.name == target.name):  # the result is moved last
            moved = target.with_name(file.name)
            new += [] if moved.exists() else [moved]
            file.replace(moved)
    return new
