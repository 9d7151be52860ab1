"""Choose the size of GDAL's block cache for the reading of a window."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from regionplot.geo.grid import Window

_LARGEST = 256 * 2**20
"""Maximum size of the cache in bytes."""
_USUAL = 32 * 2**20
"""Size of the cache for resampling methods that compute new values."""
_MORE_BLOCKS = 2


def block_cache(dataset: Any, window: Window, resampling: str) -> AbstractContextManager[Any]:
    """Return a context in which GDAL's cache holds the blocks in one row of a window.

    GDAL reads a window at a lower resolution row by row, and needs the same blocks for several rows. If the cache is
    smaller, GDAL decodes each block again for each row. If it is larger, it takes memory and saves no time.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The open file.
    window : Window
        The cells to read.
    resampling : str
        Resampling method.
    """
    import rasterio  # noqa: PLC0415 (imports GDAL)

    needed = _row_bytes(dataset, window)
    wanted = needed if resampling == "nearest" else max(needed, _USUAL)
    environment: AbstractContextManager[Any] = rasterio.Env(GDAL_CACHEMAX=min(wanted, _LARGEST))
    return environment


def _row_bytes(dataset: Any, window: Window) -> int:
    """Return the size of the blocks in one row of a window, and of some more blocks, in bytes.

    A mask has one byte for each cell. If the cells of several bands are stored together, GDAL keeps the blocks of all
    bands.
    """
    height, width = dataset.block_shapes[0]
    first, last = window.col_off // width, (window.col_off + window.width - 1) // width
    bands = dataset.count if str(dataset.interleaving).endswith("pixel") else 1
    largest = max(16 if "complex" in kind else np.dtype(kind).itemsize for kind in dataset.dtypes)
    return int(height * width * (largest * bands + 1) * (last - first + 1 + _MORE_BLOCKS))
