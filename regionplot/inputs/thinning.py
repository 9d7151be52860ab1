"""Read thinned windows from full-resolution cells, for formats in which GDAL cannot ignore overviews."""

from __future__ import annotations

from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from regionplot.geo.grid import Window

_ANY_TRANSFORM = Affine(2, 0, 0, 0, -2, 0)
"""Transform of cells in memory. It only avoids a warning."""
HONORING = ("GTiff",)
"""Drivers of GDAL that respect the option `OVERVIEW_LEVEL=NONE`. The driver HFA ignores this option."""
_STRIP_CELLS = 2**24
"""Number of cells to read at a time."""


def read_thinned(
    dataset: Any, bands: list[int], window: Window, shape: tuple[int, int], resampling: Any
) -> NDArray[Any]:
    """Read a window at full resolution, strip by strip, and thin each strip.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The file.
    bands : list of int
        Numbers of the bands, from 1.
    window : Window
        The cells to read.
    shape : (int, int)
        Rows and columns of the result.
    resampling : rasterio.enums.Resampling
        Resampling method.

    Returns
    -------
    ndarray, shape (bands, rows, columns)
        Stored cells.
    """
    result = np.empty((len(bands), *shape), dataset.dtypes[bands[0] - 1])
    edges = np.rint(np.linspace(0, window.height, shape[0] + 1)).astype(int)
    rows = max(1, _STRIP_CELLS * shape[0] // (window.height * window.width * len(bands)))
    for first in range(0, shape[0], rows):
        last = min(first + rows, shape[0])
        top, bottom = window.row_off + int(edges[first]), window.row_off + int(edges[last])
        ranges = (top, bottom), (window.col_off, window.col_off + window.width)
        result[:, first:last] = _thinned(dataset.read(bands, window=ranges), (last - first, shape[1]), resampling)
    return result


def _thinned(cells: NDArray[Any], shape: tuple[int, int], resampling: Any) -> NDArray[Any]:
    """Return cells resampled to a smaller shape by GDAL, which reads them from memory."""
    from rasterio.io import MemoryFile  # noqa: PLC0415 (imports GDAL)

    count, height, width = cells.shape
    profile = {"driver": "GTiff", "dtype": cells.dtype, "count": count, "height": height, "width": width}
    with MemoryFile() as memory, memory.open(**profile, transform=_ANY_TRANSFORM) as strip:
        strip.write(cells)
        found: NDArray[Any] = strip.read(out_shape=(count, *shape), resampling=resampling)
        return found
