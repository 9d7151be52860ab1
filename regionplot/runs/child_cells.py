"""Read the cells of a raster in a child process, while this process imports what it needs to draw them.

::

    child:   import GDAL ─► statement ─► strips ─► classes or values in shared memory ─┐
    parent:  imports ... ──────► is the raster as expected? ───────────────────────────┴─► cells

The child first sends what GDAL states about the file (`inputs.statement`), so this process does not load GDAL.

This module imports no settings, layers or projections, because the child starts before they are imported.
"""

from __future__ import annotations

import logging
import mmap
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.classifier import LevelClassifier, code_type
from regionplot.errors import RasterError, RegionplotError
from regionplot.geo.grid import Window
from regionplot.inputs.isolation import can_fork, start_reading
from regionplot.inputs.source import StoredBand
from regionplot.inputs.statement import StatementPipe
from regionplot.runs.known_band import KnownBand
from regionplot.shared.budget import memory_budget
from regionplot.shared.cell_strips import cell_reader
from regionplot.system import failpoints
from regionplot.system.files import Fingerprint
from regionplot.system.guard import leave_guard
from regionplot.system.signals import release_ending_signals
from regionplot.system.threads import thread_pool

logger = logging.getLogger(__name__)


class WantedCells(NamedTuple):
    """The cells that a run wants to read."""

    band: KnownBand
    options: Mapping[str, str]
    """GDAL options for reading."""
    window: Window
    classifier: LevelClassifier | None
    """The classes into which the cells are sorted. None: keep their values."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the codes of the classes, or of the values."""
        return self.band.dtype if self.classifier is None else np.dtype(code_type(self.classifier.nodata))

    def read(self, band: StoredBand, cells: NDArray[Any], threads: int) -> None:
        """Read the cells, and sort them into classes.

        Parameters
        ----------
        band : StoredBand
            The band, with the fingerprint of its file.
        cells : ndarray of `dtype`, shape (rows, columns) of the window
            The result.
        threads : int
            Number of threads.

        Raises
        ------
        RasterError
            If the cells cannot be read, or the file has another fingerprint.
        """
        failpoints.failpoint("cells", band.path.name)
        with thread_pool(threads) as pool:  # the threads end before workers are forked
            cell_reader(band, self.options, self.window, self.classifier, cells).start(pool)()


class ChildCells(NamedTuple):
    """Cells that a child process reads."""

    wanted: WantedCells
    cells: NDArray[Any]
    """Memory that this process shares with the child."""
    finish: Callable[[], Mapping[str, NDArray[Any]]]
    """Wait for the child, and return the fingerprint of the file that it has read."""
    statement: StatementPipe
    """Pipe through which the child sends what GDAL states about the file."""

    @classmethod
    def started(cls, wanted: WantedCells, threads: int, memory: int | None = None) -> Self | None:
        """Start a child process. Return None if that is not possible, or if the cells do not fit into the memory.

        Parameters
        ----------
        wanted : WantedCells
            The cells.
        threads : int
            Number of threads of the child.
        memory : int, optional
            `[run] memory` in MB. By default, as for `auto`.
        """
        try:
            if not can_fork() or wanted.window.cells * wanted.band.dtype.itemsize > memory_budget(memory):
                return None
            return cls._start(wanted, threads)
        except (RegionplotError, OSError) as error:  # such as no process or no memory left; the run reports the error
            logger.debug("no child process reads the cells: %s", error)
            return None

    @classmethod
    def _start(cls, wanted: WantedCells, threads: int) -> Self:
        window = wanted.window
        memory = mmap.mmap(-1, window.cells * wanted.dtype.itemsize)
        cells = np.frombuffer(memory, wanted.dtype).reshape(window.height, window.width)
        pipe = StatementPipe()
        try:
            finish = start_reading(lambda: _read(wanted, threads, cells, pipe), wanted.band.path, RasterError)
        except BaseException:
            pipe.close()
            raise
        finally:
            pipe.close_writer()
        return cls(wanted, cells, finish, pipe)

    def are_complete(self, fingerprint: Fingerprint | None) -> bool:
        """Wait for the child. Return True if it has read all cells of the file with this fingerprint."""
        try:
            found = self.finish()["fingerprint"]
        except (RegionplotError, RuntimeError) as error:
            logger.debug("the cells are read again: %s", error)
            return False
        return str(found) == repr(fingerprint)


def _read(wanted: WantedCells, threads: int, cells: NDArray[Any], pipe: StatementPipe) -> dict[str, NDArray[Any]]:
    """Describe the file to the parent, then read the cells. Called in the child.

    Returns
    -------
    dict
        Fingerprint of the file.
    """
    leave_guard()
    release_ending_signals()  # the parent has started the child while signals are held
    pipe.send(wanted.band.path)
    band = wanted.band._replace(fingerprint=Fingerprint.of(wanted.band.path))
    wanted.read(band, cells, threads)
    return {"fingerprint": np.array(repr(band.fingerprint))}
