"""Read a window of a file in strips, in several threads, so that memory never holds the values of all cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.grid import Window
from regionplot.inputs.gdal import gdal_errors, gdal_options, open_raster, options_without_place
from regionplot.inputs.reading import check_unchanged, decode, gdal_window
from regionplot.inputs.remote import options_for, with_retries
from regionplot.inputs.source import StoredBand
from regionplot.system.guard import reading

_STRIP_CELLS = 2**18
"""Number of cells in a strip, if the blocks of the file are not larger. The cells of a strip stay in the CPU cache."""
_CACHE = 4 * 2**20
"""Size of GDAL's block cache in bytes. Each block is read only once, so a larger cache would not help."""
_THREADED = ("GTiff",)
"""Drivers whose datasets can be read at the same time. Other drivers use libraries with a lock for all datasets."""
MAX_READERS = 2
"""Maximum number of threads that read strips. Each thread has its own dataset."""
UseStrip = Callable[[tuple[slice, slice], NDArray[Any]], None]


@dataclass(frozen=True)
class StripReader:
    """Read all strips of a window.

    The threads take strips from one list, so they finish at about the same time. Strips end where the blocks of the
    file end, because GDAL decodes a whole block to read one of its rows.
    """

    band: StoredBand
    """The band to read."""
    options: Mapping[str, str]
    """GDAL options for reading."""
    window: Window
    use: UseStrip
    """Called for each strip, in any of the threads, with the rows and columns of the strip in the window, and with the
    values of the strip. The values are overwritten after the call."""

    def start(self, pool: Executor) -> Callable[[], None]:
        """Start to read in the threads of a pool. Return a function that waits for the end.

        Raises
        ------
        RasterError
            If the file cannot be opened. The returned function raises it if the cells cannot be read, or the file has
            changed since it was described.
        """
        info = self.band
        with ExitStack() as unused:
            datasets = [unused.enter_context(closing(self._opened()))]
            if datasets[0].driver in _THREADED:
                datasets += [unused.enter_context(closing(self._opened())) for _ in range(MAX_READERS - 1)]
            unused.pop_all()  # the threads close the datasets
        strips = iter(list(split_window(self.window, datasets[0].block_shapes[info.band - 1])))
        activity = ExitStack()  # the threads set and reset the activity of the process in any order
        activity.enter_context(reading(info.path))
        running = [pool.submit(self._read, strips, dataset) for dataset in datasets]

        def finish() -> None:
            with activity:
                for each in running:
                    each.result()
            check_unchanged(info)

        return finish

    @cached_property
    def _gdal_options(self) -> Mapping[str, str | int]:
        """GDAL options for reading. A mask can be in the same blocks as the cells, which then need a larger cache."""
        return {
            **self.options,
            **options_for(self.band.path),
            **({} if self.band.has_mask else {"GDAL_CACHEMAX": _CACHE}),
        }

    def _opened(self) -> Any:
        """Return an open dataset for one thread.

        The file is opened without its CRS, because GDAL needs 10 ms in each thread to prepare for a CRS. rasterio warns
        of this. The main thread opens all datasets, because filters of warnings are not safe in other threads.
        """
        info = self.band
        with gdal_options(**self._gdal_options):
            return open_raster(info.path, info.gdal_name, options_without_place(info.path))

    def _read(self, strips: Iterator[Window], dataset: Any) -> None:
        """Read strips until none is left, and close the dataset. Threads share the iterator."""
        info = self.band
        with gdal_options(**self._gdal_options), gdal_errors(info.path, "cannot be read as a raster"), closing(dataset):
            buffer = np.empty(0, dataset.dtypes[info.band - 1])
            for strip in strips:
                if buffer.size < strip.cells:
                    buffer = np.empty(strip.cells, buffer.dtype)
                cells = buffer[: strip.cells].reshape(strip.height, strip.width)
                decoded = with_retries(info.path, partial(_read_strip, dataset, strip, info, cells))
                self.use(strip.slices_in(self.window), decoded)


def _read_strip(dataset: Any, strip: Window, info: StoredBand, cells: NDArray[Any]) -> NDArray[Any]:
    area = gdal_window(strip)
    with gdal_errors(info.path, "cannot be read as a raster"):
        stored = dataset.read(info.band, window=area, out=cells)
        mask = dataset.read_masks(info.band, window=area) if info.has_mask else None
    return decode(stored, mask, info)


def split_window(window: Window, block_shape: tuple[int, int]) -> Iterator[Window]:
    """Split a window into strips that end where blocks of a file end.

    Parameters
    ----------
    window : Window
        The cells to read.
    block_shape : (int, int)
        Rows and columns of a block.

    Examples
    --------
    >>> [strip.ranges for strip in split_window(Window(100, 0, 300, 1000), (256, 1000))]
    [((100, 256), (0, 1000)), ((256, 400), (0, 1000))]
    """
    height, width = block_shape
    columns = _whole_blocks(_STRIP_CELLS // height, width)
    rows = _whole_blocks(_STRIP_CELLS // min(columns, window.width), height)
    for top, bottom in pairwise(_edges(window.row_off, window.height, rows)):
        for left, right in pairwise(_edges(window.col_off, window.width, columns)):
            yield Window(top, left, bottom - top, right - left)


def _whole_blocks(wanted: int, length: int) -> int:
    """Return the largest multiple of the length of a block that is at most `wanted`, but at least one block."""
    return max(1, wanted // length) * length


def _edges(first: int, length: int, step: int) -> list[int]:
    last = first + length
    return [first, *range((first // step + 1) * step, last, step), last]
