"""Read windows of a raster, decoded, or of a curvilinear grid, resampled to a regular one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regionplot.errors import RasterError
from regionplot.geo.curvilinear.fit import RegularGrid
from regionplot.geo.curvilinear.locator import CellLocator
from regionplot.geo.dtypes import fits_dtype
from regionplot.geo.grid import GridGeometry, Window
from regionplot.inputs.color_tables import TrueColor
from regionplot.inputs.gdal import GDAL_READ_OPTIONS, first_line
from regionplot.inputs.geolocation import AS_STORED, read_coordinates
from regionplot.inputs.source import RasterInfo
from regionplot.system.files import Fingerprint

if TYPE_CHECKING:
    import xarray as xr


def read_window(
    info: RasterInfo, window: Window, step: int = 1, resampling: str = "nearest"
) -> tuple[NDArray[Any], GridGeometry]:
    """Read a window as it is, or thinned by whole steps (from an overview, where there is one that suits).

    Parameters
    ----------
    info : RasterInfo
        The grid.
    window : Window
        The part to read.
    step : int
        So many rows and columns become one.
    resampling : str
        How they do, as rasterio names it.

    Returns
    -------
    values : ndarray, shape (rows, columns)
        In their units, NaN where there are none, if `info.decode` is set; else as stored. In true colour, packed.
    geometry : GridGeometry
        Where they lie.

    Raises
    ------
    RasterError
        If the cells cannot be read, or are no longer those of the file that was inspected.
    """
    if info.geolocation is not None:
        values = resample_to_grid(info, read_native(info), window)[::step, ::step]
        return values, info.geometry.part(window, *values.shape)
    shape = -(-window.height // step), -(-window.width // step)
    return _read(info, window, shape, resampling), info.geometry.part(window, *shape)


def _read(
    info: RasterInfo, window: Window | None, shape: tuple[int, int] | None, resampling: str = "nearest"
) -> NDArray[Any]:
    """The cells of the file's own rows and columns, all or a window of them, onto so many."""
    import rasterio  # noqa: PLC0415 (GDAL: only who reads pays for its import)
    from rasterio.windows import Window as RasterioWindow  # noqa: PLC0415

    area = window and RasterioWindow(window.column, window.row, window.width, window.height)
    options = GDAL_READ_OPTIONS if info.geolocation is None else {**GDAL_READ_OPTIONS, **AS_STORED}
    try:
        with rasterio.Env(**options), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.open(info.source, driver=info.driver) as dataset:
                values = _cells(dataset, info, area, shape, rasterio.enums.Resampling[resampling])
    except (rasterio.errors.RasterioError, OSError, ValueError) as error:
        raise RasterError(f"{info.path}: cannot be read as a raster: {first_line(error)}") from error
    if is_changed(info):
        raise RasterError(f"{info.path}: input changed: the file was replaced or written to while it was in use")
    return values


def _cells(dataset: Any, info: RasterInfo, area: Any, shape: tuple[int, int] | None, method: Any) -> NDArray[Any]:
    """See `read_window`."""
    if isinstance(info.coloring, TrueColor):
        assert shape is not None, "only curvilinear grids are read without"
        return info.coloring.read(dataset, area, shape, method)
    raw = dataset.read(info.band, window=area, out_shape=shape, resampling=method)
    mask = dataset.read_masks(info.band, window=area, out_shape=shape) if info.has_mask else None
    return decode(raw, mask, info)


@dataclass(frozen=True)
class CurvilinearCells:
    """The cells of a curvilinear grid as its file has them."""

    values: NDArray[Any]
    """Of floating type, shape (rows, columns); NaN where they are missing."""
    longitudes: NDArray[np.floating[Any]]
    """Of the cells' centres, in degrees; NaN where they are not known."""
    latitudes: NDArray[np.floating[Any]]

    def labelled(self, info: RasterInfo) -> xr.DataArray:
        """The values with their coordinates, read-only."""
        import xarray as xr  # noqa: PLC0415

        assert info.geolocation is not None, "cells of a curvilinear grid"
        places = {"longitude": (("y", "x"), self.longitudes), "latitude": (("y", "x"), self.latitudes)}
        data = xr.DataArray(self.values, places, ("y", "x"), **raster_labels(info))
        data.rio.write_crs(info.geolocation.crs.to_wkt(), inplace=True)
        for array in (data, data["longitude"], data["latitude"]):
            array.data.flags.writeable = False
        return data


def read_native(info: RasterInfo) -> CurvilinearCells:
    """Read all cells of a curvilinear grid, and where they lie.

    Raises
    ------
    RasterError
        If they cannot be read, or are no longer those of the file that was inspected.
    """
    import rasterio  # noqa: PLC0415

    assert info.geolocation is not None, "cells of a curvilinear grid"
    try:
        with rasterio.Env(**GDAL_READ_OPTIONS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            longitudes, latitudes = read_coordinates(info.path, info.driver, info.geolocation)
    except (rasterio.errors.RasterioError, OSError) as error:
        raise RasterError(f"{info.path}: cannot be read as a raster: {first_line(error)}") from error
    return CurvilinearCells(_read(info, None, None).astype(info.dtype, copy=False), longitudes, latitudes)


def resample_to_grid(info: RasterInfo, cells: CurvilinearCells, window: Window) -> NDArray[Any]:
    """A window of the regular grid that a curvilinear one is drawn from."""
    return _locator(info, cells).resample(cells.values, window, smooth=info.smooth)


def _locator(info: RasterInfo, cells: CurvilinearCells) -> CellLocator:
    assert info.geolocation is not None, "cells of a curvilinear grid"
    grid = RegularGrid(info.geometry, info.fineness)
    return CellLocator(cells.longitudes, cells.latitudes, grid, info.geolocation.crs)


def bands_on_regular_grid(bands: Sequence[RasterInfo]) -> Iterator[NDArray[Any]]:
    """Several bands of a curvilinear grid, whole, one after the other; where their cells lie is found out only once.

    Raises
    ------
    RasterError
        If one cannot be read.
    """
    known, nearest = None, np.empty(0, np.int32)
    for info in bands:
        cells = read_native(info)
        if info.geolocation != known:
            known, nearest = info.geolocation, _locator(info, cells).nearest(info.geometry.whole)
        values = cells.values.ravel()[nearest]
        np.putmask(values, nearest < 0, np.nan)
        yield values


def raster_labels(info: RasterInfo) -> dict[str, Any]:
    """Return the name and the attributes that a DataArray of the raster has."""
    said = info.description
    return {"name": said["variable"] or None, "attrs": {key: said[key] for key in ("long_name", "units") if said[key]}}


def is_changed(info: RasterInfo) -> bool:
    """Whether the file is no longer the one that was inspected."""
    return Fingerprint.of(info.path) != info.fingerprint


def decode(raw: NDArray[Any], mask: NDArray[np.uint8] | None, info: RasterInfo) -> NDArray[Any]:
    """The values in their units, NaN where there are none; in place where the type allows it."""
    if not info.decode:
        return raw
    values = raw.astype(info.dtype, copy=False)
    if info.nodata is not None and fits_dtype(raw.dtype, info.nodata):
        np.putmask(values, raw == raw.dtype.type(info.nodata), np.nan)
    if mask is not None:
        np.putmask(values, mask == 0, np.nan)
    if info.scale != 1.0:
        values *= info.dtype.type(info.scale)
    if info.offset != 0.0:
        values += info.dtype.type(info.offset)
    return values
