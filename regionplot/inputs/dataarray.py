"""Convert cells to an xarray DataArray with georeferencing in `.rio`. Runs that draw maps do not import this module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import rioxarray  # noqa: F401 (adds `.rio` to arrays)
import xarray as xr
from numpy.typing import NDArray

from regionplot.geo.grid import GridGeometry
from regionplot.inputs.curvilinear import NativeCells
from regionplot.inputs.source import RasterInfo


def regular_array(info: RasterInfo, values: NDArray[Any], geometry: GridGeometry) -> xr.DataArray:
    """Return cells of a regular grid as a DataArray.

    Parameters
    ----------
    info : RasterInfo
        Metadata of the raster.
    values : ndarray, shape (rows, columns)
        Cells of the raster. They are not copied.
    geometry : GridGeometry
        Geometry of the cells.

    Returns
    -------
    xarray.DataArray
        Array with dimensions (y, x). It has coordinates unless the grid is rotated.
    """
    coordinates: dict[str, Any] = {}
    if geometry.is_axis_aligned:
        x, _ = geometry.coordinates(np.arange(geometry.width) + 0.5, np.zeros(1))
        _, y = geometry.coordinates(np.zeros(1), np.arange(geometry.height) + 0.5)
        coordinates = {"x": x, "y": y}
    data = xr.DataArray(values, coordinates, ("y", "x"), **_labels(info.description))
    data.rio.write_crs(geometry.crs.to_wkt(), inplace=True)
    data.rio.write_transform(geometry.transform, inplace=True)
    return data


def curvilinear_array(info: RasterInfo, cells: NativeCells) -> xr.DataArray:
    """Return the cells of a curvilinear grid as a DataArray, in the file's own rows and columns.

    Parameters
    ----------
    info : RasterInfo
        Metadata of the file's own cells.
    cells : NativeCells
        Cells and coordinates. Their arrays become read-only.

    Returns
    -------
    xarray.DataArray
        Array with dimensions (y, x) and 2-D coordinates `longitude` and `latitude`.
    """
    coordinates = {"longitude": (("y", "x"), cells.longitudes), "latitude": (("y", "x"), cells.latitudes)}
    data = xr.DataArray(cells.values, coordinates, ("y", "x"), **_labels(info.description))
    data.rio.write_crs(info.geometry.crs.to_wkt(), inplace=True)
    for array in (data, data["longitude"], data["latitude"]):
        array.data.flags.writeable = False
    return data


def _labels(description: Mapping[str, object]) -> dict[str, Any]:
    """Return the name and the attributes of a DataArray, as keyword arguments."""
    attributes = {key: description[key] for key in ("long_name", "units") if description[key]}
    return {"name": description["variable"] or None, "attrs": attributes}
