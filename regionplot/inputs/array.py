"""Use an xarray DataArray as a raster source."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import rioxarray  # noqa: F401 (adds `.rio` to arrays)
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from rioxarray.exceptions import MissingSpatialDimensionError

from regionplot.errors import ConfigError, RasterError
from regionplot.geo.axes import Axis, fit_axes, float_error
from regionplot.geo.dtypes import float_dtype
from regionplot.geo.extent import FULL_TURN
from regionplot.geo.foreign_crs import drawable_crs
from regionplot.geo.grid import GridGeometry, Window
from regionplot.geo.upright import upright_grid
from regionplot.inputs.flags import Flags, flags_of
from regionplot.inputs.geolocation import kind_of
from regionplot.inputs.packing import EVERYTHING
from regionplot.inputs.reading import decode
from regionplot.inputs.source import RasterInfo
from regionplot.text import plain_text

_DIMS = {
    "y": ("y", "lat", "latitude", "rlat", "northing", "projection_y_coordinate"),
    "x": ("x", "lon", "long", "longitude", "rlon", "easting", "projection_x_coordinate"),
}
"""Names of dimensions, in lower case, that rioxarray does not know without attributes."""
_DEGREES = 4326


@dataclass(frozen=True)
class ArraySource:
    """A `RasterSource` for the cells of a DataArray.

    Examples
    --------
    >>> import rioxarray, xarray
    >>> snow = xarray.DataArray([[1.0, 2.0], [3.0, 4.0]], {"y": [41.0, 40.0], "x": [-99.0, -98.0]}, ("y", "x"), "snow")
    >>> source = ArraySource.of(snow.rio.write_crs("EPSG:4326"))
    >>> source.describe().description["long_name"]
    'snow'
    >>> source.read(Window(0, 1, 2, 1), (2, 1))
    array([[2.],
           [4.]])
    """

    info: RasterInfo
    values: NDArray[Any]

    @classmethod
    def of(cls, data: xr.DataArray) -> ArraySource:
        """Create a raster source for a DataArray.

        Parameters
        ----------
        data : xarray.DataArray
            Array of rows and columns, with a CRS in `.rio`, or with coordinates that are latitudes and longitudes, and
            with coordinates or a transform. Other dimensions must have the length 1. Cells that are not in memory yet,
            such as cells of dask arrays, are loaded. Cells in memory are not copied. Cells that equal the nodata value
            of the array are missing.

        Raises
        ------
        RasterError
            If the array is not two-dimensional, is empty, does not hold real numbers, or has no CRS, or if neither its
            transform nor its coordinates give the positions of its cells.
        """
        data = rows_and_columns(data)
        name = name_of(data)
        crs = crs_of(data)
        values, transform = _on_regular_grid(name, _with_y_and_x(name, data), crs)
        height, width = values.shape
        geometry = upright_grid(GridGeometry(transform, height, width, crs))
        if problem := geometry.problem():
            raise RasterError(f"{name}: {problem}; correct its coordinates")
        return cls(info_of(data, geometry, values.dtype), values)

    def describe(self) -> RasterInfo:
        """Return the metadata of the array."""
        return self.info

    def read(self, window: Window, shape: tuple[int, int], resampling: str = "nearest") -> NDArray[Any]:  # noqa: ARG002
        """Read a window. See `RasterSource.read`.

        Thinning keeps the first cell of each thinned block. The argument `resampling` is ignored. If no cell must be
        converted, the result is a view of the array.
        """
        if shape == (window.height, window.width):
            cells = self.values[window.slices_in(self.info.geometry.full_window)]
            is_plain = self.info.nodata is None or np.isnan(self.info.nodata)
            if is_plain and cells.dtype == self.info.dtype:
                return cells[:]
            return decode(cells.copy(), None, self.info)
        rows = window.row_off + np.arange(shape[0]) * window.height // shape[0]
        columns = window.col_off + np.arange(shape[1]) * window.width // shape[1]
        return decode(self.values[np.ix_(rows, columns)], None, self.info)


def rows_and_columns(data: xr.DataArray) -> xr.DataArray:
    """Return an array of two dimensions: the given array without dimensions of length 1, such as a time.

    Raises
    ------
    RasterError
        If the object is not a DataArray of real numbers, or does not have two dimensions.
    """
    if not isinstance(data, xr.DataArray):
        raise RasterError(f"a map needs an xarray.DataArray, not {type(data).__name__}")
    name, shape = name_of(data), data.shape
    single = [dim for dim, length in zip(data.dims, data.shape, strict=True) if length == 1]
    data = data.squeeze(single[: max(0, data.ndim - 2)])
    if data.ndim > 2:
        dim = data.dims[0]
        raise RasterError(
            f"{name}: a map needs an array of rows and columns, but its shape is {shape}; "
            f"choose a part of it, such as .isel({dim}=0)"
        )
    if data.ndim < 2 or min(data.shape) < 1:
        raise RasterError(f"{name}: a map needs an array of rows and columns, but its shape is {shape}")
    if data.dtype.kind not in "biuf":
        raise RasterError(f"{name}: a map needs an array of real numbers, but its type is {data.dtype}")
    return data


def name_of(data: xr.DataArray) -> str:
    """Return the name of an array, for messages and titles."""
    return plain_text(str(data.name or "array"))


def crs_of(data: xr.DataArray) -> pyproj.CRS:
    """Return the CRS of an array: the CRS in `.rio`, or degrees if its coordinates are latitudes and longitudes.

    Raises
    ------
    RasterError
        If the CRS is unknown or cannot be drawn.
    """
    name = name_of(data)
    if data.rio.crs is None:
        kinds = {kind_of(str(dim), data[dim].attrs) for dim in data.dims if dim in data.coords}
        if kinds != {"latitude", "longitude"}:
            raise RasterError(f"{name}: the array has no CRS; set it with .rio.write_crs")
        return pyproj.CRS.from_epsg(_DEGREES)
    try:
        return drawable_crs(data.rio.crs.to_wkt())
    except ConfigError as error:
        raise RasterError(f"{name}: {error}, or set it with .rio.write_crs") from None


def info_of(data: xr.DataArray, geometry: GridGeometry, dtype: np.dtype[Any]) -> RasterInfo:
    """Return the metadata of an array."""
    name, nodata, flags = name_of(data), _nodata(data), _flags(data)
    times = {key: time for key, time in (("time", _time(data, "time")),) if time is not None}
    return RasterInfo(
        path=Path(name),
        gdal_name=name,
        fingerprint=None,
        band=1,
        geometry=geometry,
        dtype=float_dtype(dtype),
        nodata=None if nodata is None else float(nodata),
        scale=1.0,
        offset=0.0,
        has_mask=False,
        mask_and_scale=True,
        description={
            "raster": name,
            "variable": name,
            "long_name": plain_text(str(data.attrs.get("long_name", name))),
            "units": plain_text(str(data.attrs.get("units", ""))),
            **times,
        },
        standard_name=plain_text(str(data.attrs.get("standard_name", ""))),
        color_table=flags.colors,
        class_names=flags.names,
        has_bit_flags=flags.are_masks,
    )


def _time(data: xr.DataArray, name: str) -> datetime | None:
    """Return a time that all cells have, as a datetime in UTC. Return None if there is no such coordinate."""
    coordinate = data.coords.get(name)
    if coordinate is None or coordinate.size != 1 or coordinate.dtype.kind != "M" or bool(coordinate.isnull().all()):
        return None
    seconds = coordinate.values.astype("datetime64[us]").item()
    return seconds.replace(tzinfo=UTC) if isinstance(seconds, datetime) else None


def _nodata(data: xr.DataArray) -> Any:
    """Return the value of missing cells, or None. If integers are decoded, no cell is missing."""
    try:
        return data.rio.nodata
    except (ValueError, OverflowError):  # rioxarray converts NaN to an integer
        return None


def _with_y_and_x(name: str, data: xr.DataArray) -> xr.DataArray:
    """Return an array with the dimensions y and x, in this order."""
    try:
        dims = data.rio.y_dim, data.rio.x_dim
    except MissingSpatialDimensionError:
        known = {axis: dim for dim in data.dims for axis, names in _DIMS.items() if str(dim).lower() in names}
        if len(known) < len(_DIMS):
            dims_text = plain_text(", ".join(map(str, data.dims)))
            raise RasterError(
                f"{name}: which of the dimensions {dims_text} is y and which is x is not known; rename them to y and x"
            ) from None
        others = [axis for axis in _DIMS if axis in data.coords]
        data = data.drop_vars(others).rename({known[axis]: axis for axis in _DIMS})
        dims = "y", "x"
    return data.transpose(*dims)


def _on_regular_grid(name: str, data: xr.DataArray, crs: pyproj.CRS) -> tuple[NDArray[Any], Affine]:
    """Return the cells of an array with dimensions (y, x) on a regular grid, and the transform of the grid.

    The transform in `.rio` is kept if it agrees with the coordinates. Otherwise, the coordinates give the transform.
    If they are uneven, the cells are repeated on a finer grid.
    """
    transform, values = data.rio.transform(), np.asarray(data.values)
    is_known = transform.determinant != 0 and bool(np.isfinite(transform[:6]).all()) and not transform.is_identity
    is_rotated = is_known and (transform.b, transform.d) != (0, 0)
    y, x = (_axis(name, data, dim, crs) for dim in data.dims)
    if y is None or x is None or 1 in values.shape or is_rotated:
        if is_known:
            return values, transform
        raise RasterError(
            f"{name}: the size of the cells is unknown, because the array has neither a transform nor two coordinates "
            f"along each dimension; set a transform with .rio.write_transform"
        )
    if y.matches(transform.f + transform.e / 2, transform.e) and x.matches(transform.c + transform.a / 2, transform.a):
        return values, transform
    columns, rows = fit_axes(x, y, (-90.0, 90.0) if crs.is_geographic else (-np.inf, np.inf))
    north = rows.start + rows.size * rows.step
    cells = values[np.ix_(rows.source[::-1], columns.source)]
    return cells, Affine(columns.step, 0, columns.start, 0, -rows.step, north)


def _axis(name: str, data: xr.DataArray, dim: Hashable, crs: pyproj.CRS) -> Axis | None:
    """Return the coordinates along a dimension, or None if there are none."""
    if dim not in data.coords or data[dim].dtype.kind not in "iuf":
        return None
    stored = np.asarray(data[dim].values)
    period = FULL_TURN if crs.is_geographic and dim == data.dims[1] else None
    try:
        return Axis.of(stored.astype(np.float64), float_error(stored), period=period)
    except ValueError as error:
        raise RasterError(f"{name}: the coordinate {dim} cannot be used: {error}") from None


def _flags(data: xr.DataArray) -> Flags:
    """Return the CF flags that the attributes of an array declare."""
    keys = ("flag_values", "flag_masks", "flag_meanings", "flag_colors")
    tags = {
        key: ",".join(map(str, np.atleast_1d(data.attrs[key]).tolist())) if key in keys[:2] else str(data.attrs[key])
        for key in keys
        if key in data.attrs
    }
    return flags_of(tags, data.dtype, str(data.attrs.get("units", "")), EVERYTHING)
