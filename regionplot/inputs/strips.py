"""Read a window of a file in strips of rows, in several threads, so that the values of all cells need no memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.grid import Window
from regionplot.inputs.gdal import opened
from regionplot.inputs.reading import FileSource, check_unchanged, decode, gdal_window
from regionplot.inputs.source import RasterInfo
from regionplot.system.guard import reading

_STRIP_CELLS = 2**18
"""Minimum number of cells in a strip. The values of a strip stay in the CPU cache."""
_THREADED = ("GTiff",)
"""Drivers whose datasets can be read at the same time. Other drivers use libraries with a lock for all datasets."""
MAX_READERS = 2
"""Maximum number of threads that read strips. Each thread has its own dataset."""
UseStrip = Callable[[slice, NDArray[Any]], None]


@dataclass(frozen=True)
class StripReader:
    """Read all strips of a window.

    The threads take strips from one list, so they finish at about the same time. Strips end where the blocks of the
    file end, because GDAL decodes a whole block to read one of its rows.
    """

    source: FileSource
    window: Window
    use: UseStrip
    """Called for each strip, in any of the threads, with the rows of the window and their values. The values are
    overwritten after the call."""

    def start(self, pool: Executor) -> Callable[[], None]:
        """Start to read in the threads of a pool. Return a function that waits for the end.

        Raises
        ------
        RasterError
            If the file cannot be opened. The returned function raises it if the cells cannot be read, or the file has
            changed since it was described.
        """
        info = self.source.info
        with opened(info.path, info.gdal_name, **self.source.options) as dataset:
            block_rows = dataset.block_shapes[info.band - 1][0]
            readers = MAX_READERS if dataset.driver in _THREADED else 1
        strips = iter(list(split_rows(self.window, block_rows)))
        running = [pool.submit(self._read, strips) for _ in range(readers)]

        def finish() -> None:
            with reading(info.path):
                for each in running:
                    each.result()
            check_unchanged(info)

        return finish

    def _read(self, strips: Iterator[Window]) -> None:
        """Read strips until none is left. Threads share the iterator."""
        info = self.source.info
        with opened(info.path, info.gdal_name, **self.source.options) as dataset:
            buffer = np.empty(0, dataset.dtypes[info.band - 1])
            for strip in strips:
                if buffer.size < strip.cells:
                    buffer = np.empty(strip.cells, buffer.dtype)
                cells = buffer[: strip.cells].reshape(strip.height, strip.width)
                first = strip.row_off - self.window.row_off
                self.use(slice(first, first + strip.height), _read_strip(dataset, strip, info, cells))


def _read_strip(dataset: Any, strip: Window, info: RasterInfo, cells: NDArray[Any]) -> NDArray[Any]:
    area = gdal_window(strip)
    stored = dataset.read(info.band, window=area, out=cells)
    mask = dataset.read_masks(info.band, window=area) if info.has_mask else None
    return decode(stored, mask, info)


def split_rows(window: Window, block_rows: int) -> Iterator[Window]:
    """Split a window into strips that end where blocks of a file end.

    Parameters
    ----------
    window : Window
        The cells to read.
    block_rows : int
        Number of rows of a block.

    Examples
    --------
    >>> [strip.ranges[0] for strip in split_rows(Window(100, 0, 700, 1000), 256)]
    [(100, 512), (512, 800)]
    """
    wanted = max(1, -(-_STRIP_CELLS // window.width))
    step = -(-wanted // block_rows) * block_rows
    first, last = window.row_off, window.row_off + window.height
    edges = [first, *range((first // step + 1) * step, last, step), last]
    for top, bottom in pairwise(edges):
        yield Window(top, window.col_off, bottom - top, window.width)
