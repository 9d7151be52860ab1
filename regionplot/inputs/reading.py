"""Read windows of raster files, and decode stored cells to values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.errors import RasterError, RasterReplacedError
from regionplot.geo.grid import Window
from regionplot.inputs.block_cache import block_cache
from regionplot.inputs.gdal import opened
from regionplot.inputs.remote import with_retries
from regionplot.inputs.source import RasterInfo, RasterSource, StoredBand
from regionplot.inputs.stores import is_store, store_fingerprint
from regionplot.inputs.thinning import HONORING, read_thinned
from regionplot.settings.remote_path import is_remote
from regionplot.system.files import Fingerprint

_SELECTING = ("nearest", "mode", "max")
"""Resampling methods that produce no new values."""
_SELECTED = ("NEAREST", "MODE")
"""Methods that gdaladdo names in overviews without new values."""
_NO_OVERVIEWS = MappingProxyType({"OVERVIEW_LEVEL": "NONE"})


class Overviews(Enum):
    """The overviews that a thinned read may use."""

    EXACT = "exact"
    """Overviews whose cells are cells of the raster. An average of two classes would be another class."""
    ANY = "any"


@dataclass(frozen=True)
class FileSource:
    """A `RasterSource` for one band of a raster file."""

    info: RasterInfo
    options: Mapping[str, str] = field(default_factory=dict)
    """GDAL options for reading."""
    overviews: Overviews = Overviews.EXACT
    """Overviews to use with the resampling methods that produce no new values."""

    def describe(self) -> RasterInfo:
        """Return the metadata of the band."""
        return self.info

    def read(self, window: Window, shape: tuple[int, int], resampling: str = "nearest") -> NDArray[Any]:
        """Read a window, from a suitable overview if there is one. See `RasterSource.read`."""
        return with_retries(self.info.path, lambda: self._read(window, shape, resampling))

    def _read(self, window: Window, shape: tuple[int, int], resampling: str) -> NDArray[Any]:
        info = self.info
        area, method = gdal_window(window), gdal_resampling(resampling, window, shape)
        options = overview_options(info, window, shape, resampling) if self.overviews is Overviews.EXACT else {}
        with (
            opened(info.path, info.gdal_name, options, **self.options) as dataset,
            block_cache(dataset, window, resampling),
        ):
            if options and dataset.driver not in HONORING:
                stored = read_thinned(dataset, [info.band], window, shape, method)[0]
            else:
                stored = dataset.read(info.band, window=area, out_shape=shape, resampling=method)
            mask = dataset.read_masks(info.band, window=area, out_shape=shape) if info.has_mask else None
        check_unchanged(info)
        return decode(stored, mask, info)


def is_plain(source: RasterSource) -> bool:
    """Return True if GDAL reads the cells of a source without options, in the rows and columns of its geometry."""
    return isinstance(source, FileSource) and not source.options


def overview_options(info: RasterInfo, window: Window, shape: tuple[int, int], resampling: str) -> Mapping[str, str]:
    """Return the GDAL options with which a read uses only overviews whose cells are cells of the raster.

    Parameters
    ----------
    info : RasterInfo
        Metadata of the band.
    window : Window
        The cells to read.
    shape : (int, int)
        Rows and columns of the result.
    resampling : str
        Resampling method. Methods that mix cells, such as `average`, may use all overviews.
    """
    is_thinned = shape[0] < window.height or shape[1] < window.width
    if not is_thinned or resampling not in _SELECTING:
        return {}
    return {} if _has_exact_overviews(info.path, info.gdal_name, info.fingerprint, info.band) else _NO_OVERVIEWS


def has_exact_overviews(info: RasterInfo) -> bool:
    """Return True if a band has overviews from which `nearest` may read: their cells are cells of the raster."""
    with opened(info.path, info.gdal_name) as dataset:
        if not dataset.overviews(info.band):
            return False
    return _has_exact_overviews(info.path, info.gdal_name, info.fingerprint, info.band)


@lru_cache(maxsize=64)
def _has_exact_overviews(path: Path, name: str, fingerprint: Fingerprint | None, band: int) -> bool:  # noqa: ARG001
    """Return True if the file states for all overviews of a band that their cells were selected, not computed.

    The argument `fingerprint` makes the answer valid for one version of the file.
    """
    with opened(path, name) as dataset:
        count = len(dataset.overviews(band))
    for level in range(count):
        with opened(path, name, {"OVERVIEW_LEVEL": str(level)}) as overview:
            if overview.tags(band).get("RESAMPLING", overview.tags(1).get("RESAMPLING")) not in _SELECTED:
                return False
    return True


def gdal_window(window: Window) -> Any:
    """Convert a window to a rasterio window."""
    from rasterio.windows import Window as RasterioWindow  # noqa: PLC0415 (imports GDAL)

    return RasterioWindow(window.col_off, window.row_off, window.width, window.height)


def gdal_resampling(name: str, window: Window, shape: tuple[int, int]) -> Any:
    """Return rasterio's constant for the resampling method with which to read a window.

    If the result has the shape of the window, the cells are read as they are. Some methods, such as `max`, would be
    refused.
    """
    from rasterio.enums import Resampling  # noqa: PLC0415 (imports GDAL)

    return Resampling[name if shape != (window.height, window.width) else "nearest"]


def fingerprint_of(path: Path) -> Fingerprint | None:
    """Return the fingerprint of a file, or None if there is no such file.

    The fingerprint of a remote object is its size, time and ETag. That of a Zarr store covers all its files.

    Raises
    ------
    RasterError
        If a remote object does not exist, or its server does not answer.
    """
    if is_store(path):
        return store_fingerprint(path)
    found = Fingerprint.of(path)
    if found is None and is_remote(path):
        raise RasterError(
            f"{path}: there is no such object, or these credentials may not read it, or its server does not answer"
        )
    return found


def check_unchanged(info: StoredBand) -> None:
    """Raise RasterError if the file has changed since it was described.

    Raises
    ------
    RasterReplacedError
        If another file is in its place.
    RasterError
        If the same file has been written to, or is missing.
    """
    before, now = info.fingerprint, fingerprint_of(info.path)
    if now == before:
        return
    is_replaced = before is not None and now is not None and now.inode != before.inode
    kind = RasterReplacedError if is_replaced else RasterError
    raise kind(f"{info.path}: input changed: the file was replaced or written to while it was in use")


def decode(stored: NDArray[Any], mask: NDArray[np.uint8] | None, info: StoredBand) -> NDArray[Any]:
    """Convert stored cells to values.

    Parameters
    ----------
    stored : ndarray
        Cells as they are stored in the file. They may be overwritten.
    mask : ndarray of uint8, optional
        Mask of the cells: 0 if a cell is missing.
    info : StoredBand
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
