"""Read a sample of a whole raster, for the limits of a color scale. The cost does not depend on the size of the raster.

The sample is the same for each choice of regions. It comes from:

- all cells, if the raster is small
- overviews of any kind, if the file has overviews
- otherwise, rows at equal distances
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.grid import Window
from regionplot.inputs.gdal import opened
from regionplot.inputs.reading import FileSource, Overviews
from regionplot.inputs.source import RasterSource, read_window

_SMALL = 4_000_000
"""Number of cells that are read completely, of all rasters of a sample together."""
_QUICK = 1_000_000
"""Number of cells of one raster that are read completely, because reading a few rows takes as long."""
_SAMPLE = 1_000_000
"""Approximate number of cells of a sample."""
_DECODED = 16_000_000
"""Approximate number of cells to decode for rows at equal distances."""
_MIN_ROWS, _MAX_ROWS = 16, 512


def sample_raster(source: RasterSource, whole: NDArray[Any] | None = None, rasters: int = 1) -> NDArray[Any]:
    """Return cells from all parts of a raster, shape (rows, columns).

    Parameters
    ----------
    source : RasterSource
        The raster.
    whole : ndarray, shape (rows, columns), optional
        All cells of the raster, if they have been loaded.
    rasters : int
        Number of rasters that have a sample together. The more rasters, the smaller is the sample of each raster.

    Raises
    ------
    RasterError
        If the cells cannot be read.
    """
    window = source.describe().geometry.full_window
    if is_read_completely(window.cells, rasters):
        return read_window(source, window)[0] if whole is None else whole
    step = int(np.ceil(np.sqrt(window.cells / (_SAMPLE / rasters))))
    if not isinstance(source, FileSource):
        return read_window(source, window, step)[0]
    block_rows = _block_rows(source)
    if block_rows is None:
        return read_window(replace(source, overviews=Overviews.ANY), window, step)[0]
    return _rows(source, window, block_rows, whole, rasters)


def is_read_completely(cells: int, rasters: int = 1) -> bool:
    """Return True if the sample of a raster with this number of cells consists of all its cells."""
    return cells <= max(_SMALL // rasters, min(_SMALL, _QUICK))


def _block_rows(source: FileSource) -> int | None:
    """Return the number of rows that are decoded together. Return None if the file has overviews."""
    info = source.info
    with opened(info.path, info.gdal_name, source.options) as dataset:
        if dataset.overviews(info.band):
            return None
        return int(dataset.block_shapes[info.band - 1][0])


def _rows(
    source: RasterSource, window: Window, block_rows: int, whole: NDArray[Any] | None, rasters: int
) -> NDArray[Any]:
    """Return rows at equal distances, with every nth cell of each."""
    count = max(_MIN_ROWS, min(_MAX_ROWS, _DECODED // rasters // (window.width * block_rows), window.height))
    positions = ((np.arange(count) + 0.5) * window.height / count).astype(int)
    step = -(-window.width * count * rasters // _SAMPLE)
    if whole is not None:
        return whole[positions, ::step]
    rows = [read_window(source, Window(int(row), 0, 1, window.width))[0][0, ::step] for row in positions]
    return np.array(rows)
