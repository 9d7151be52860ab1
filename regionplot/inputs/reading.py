"""Read windows of raster files, and decode stored cells to values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.errors import RasterError
from regionplot.geo.grid import Window
from regionplot.inputs.gdal import opened
from regionplot.inputs.source import RasterInfo, RasterSource
from regionplot.system.files import Fingerprint


@dataclass(frozen=True)
class FileSource:
    """A `RasterSource` for one band of a raster file."""

    info: RasterInfo
    options: Mapping[str, str] = field(default_factory=dict)
    """GDAL options for reading."""

    def describe(self) -> RasterInfo:
        """Return the metadata of the band."""
        return self.info

    def read(self, window: Window, shape: tuple[int, int], resampling: str = "nearest") -> NDArray[Any]:
        """Read a window. GDAL uses an overview if the file has a suitable overview. See `RasterSource.read`."""
        info = self.info
        area = gdal_window(window)
        with opened(info.path, info.gdal_name, **self.options) as dataset:
            stored = dataset.read(info.band, window=area, out_shape=shape, resampling=gdal_resampling(resampling))
            mask = dataset.read_masks(info.band, window=area, out_shape=shape) if info.has_mask else None
        check_unchanged(info)
        return decode(stored, mask, info)


def is_plain(source: RasterSource) -> bool:
    """Return True if GDAL reads the cells of a source without options, in the rows and columns of its geometry."""
    return isinstance(source, FileSource) and not source.options


def gdal_window(window: Window) -> Any:
    """Convert a window to a rasterio window."""
    from rasterio.windows import Window as RasterioWindow  # noqa: PLC0415 (imports GDAL)

    return RasterioWindow(window.col_off, window.row_off, window.width, window.height)


def gdal_resampling(name: str) -> Any:
    """Return rasterio's constant for a resampling method."""
    from rasterio.enums import Resampling  # noqa: PLC0415 (imports GDAL)

    return Resampling[name]


def check_unchanged(info: RasterInfo) -> None:
    """Raise RasterError if the file has changed since it was described."""
    if Fingerprint.of(info.path) != info.fingerprint:
        raise RasterError(f"{info.path}: input changed: the file was replaced or written to while it was in use")


def decode(stored: NDArray[Any], mask: NDArray[np.uint8] | None, info: RasterInfo) -> NDArray[Any]:
    """Convert stored cells to values.

    Parameters
    ----------
    stored : ndarray
        Cells as they are stored in the file. They may be overwritten.
    mask : ndarray of uint8, optional
        Mask of the cells: 0 if a cell is missing.
    info : RasterInfo
        Metadata of the band.

    Returns
    -------
    ndarray of `info.dtype`
        Values with scale and offset applied, NaN if missing. If `info.mask_and_scale` is False, the stored cells.
    """
    if info.stored is not None and stored.dtype.itemsize == info.stored.itemsize:
        stored = stored.view(info.stored)
    if not info.mask_and_scale:
        return stored
    values = info.packing.decode(stored, info.dtype)
    if mask is not None:
        np.putmask(values, mask == 0, np.nan)
    return values
