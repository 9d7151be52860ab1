"""Use data in memory as inputs: DataArrays as rasters, and geometries as vector layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pyproj
import shapely
import xarray as xr
from affine import Affine
from numpy.typing import NDArray
from typing_extensions import override

from regionplot.errors import ConfigError, FeaturesError, RasterError
from regionplot.geo.curvilinear.fit import fit_grid
from regionplot.geo.curvilinear.locator import Resampling
from regionplot.geo.extent import LONLAT
from regionplot.geo.foreign_crs import drawable_crs
from regionplot.geo.grid import GridGeometry
from regionplot.inputs.array import ArraySource, info_of, name_of, rows_and_columns
from regionplot.inputs.curvilinear import CurvilinearSource, NativeCells
from regionplot.inputs.geolocation import Geolocation, degrees_per_unit, kind_of
from regionplot.inputs.source import RasterSource

Floats = NDArray[np.floating[Any]]
_INTERPOLATING = ("bilinear", "cubic")
_MAX_LATITUDE, _MAX_LONGITUDE = 90.0, 720.0


def source_of(data: xr.DataArray, resampling: str = "nearest") -> RasterSource:
    """Return a raster source for a DataArray.

    Parameters
    ----------
    data : xarray.DataArray
        Array as for `ArraySource.of`, or an array with coordinates of two dimensions that are latitudes and longitudes.
    resampling : str
        `[raster] resampling`, for arrays with coordinates of two dimensions.

    Raises
    ------
    RasterError
        If the array cannot be drawn.
    """
    data = rows_and_columns(data)
    positions = _positions(data)
    return ArraySource.of(data) if positions is None else CurvilinearArray.of_array(data, *positions, resampling)


def _positions(data: xr.DataArray) -> tuple[Floats, Floats] | None:
    """Return the longitudes and latitudes of the cells of a curvilinear grid, or None for other grids."""
    if all(dim in data.coords and data[dim].ndim == 1 for dim in data.dims) and data.rio.crs is not None:
        return None
    found = {}
    for name, coordinate in data.coords.items():
        if set(coordinate.dims) == set(data.dims):
            kind = kind_of(str(name), coordinate.attrs) or kind_of(str(name).lower(), coordinate.attrs)
            size = degrees_per_unit(str(coordinate.attrs.get("units", ""))) or 1.0
            if kind is not None:
                found[kind] = np.array(coordinate.transpose(*data.dims).values, dtype=np.float64) * size
    if len(found) < 2:
        return None
    longitudes, latitudes = found["longitude"], found["latitude"]
    with np.errstate(invalid="ignore"):
        is_known = (abs(latitudes) <= _MAX_LATITUDE) & (abs(longitudes) <= _MAX_LONGITUDE)
    if not is_known.any():
        raise RasterError(f"{name_of(data)}: no cell has a valid longitude and latitude; correct its coordinates")
    longitudes[~is_known] = latitudes[~is_known] = np.nan
    return longitudes, latitudes


@dataclass(frozen=True)
class CurvilinearArray(CurvilinearSource):
    """A `RasterSource` for a DataArray with coordinates of two dimensions."""

    native: NativeCells

    @classmethod
    def of_array(cls, data: xr.DataArray, longitudes: Floats, latitudes: Floats, resampling: str) -> CurvilinearArray:
        """Fit a regular grid to an array.

        Parameters
        ----------
        data : xarray.DataArray
            The array, with two dimensions.
        longitudes, latitudes : ndarray
            Positions of the cells in degrees, in the shape of the array. NaN if unknown.
        resampling : str
            `[raster] resampling`; `bilinear` and `cubic` interpolate.

        Raises
        ------
        RasterError
            If all cells have the same coordinates.
        """
        crs = drawable_crs(data.rio.crs.to_wkt()) if data.rio.crs is not None else pyproj.CRS(LONLAT)
        if not crs.is_geographic:
            crs = pyproj.CRS(LONLAT)
        grid = fit_grid(longitudes, latitudes, crs)
        if grid is None:
            raise RasterError(f"{name_of(data)}: all cells have the same coordinates; correct its coordinates")
        height, width = data.shape
        stored = np.asarray(data.values)
        cells = ArraySource(info_of(data, GridGeometry(Affine.identity(), height, width, crs), stored.dtype), stored)
        values = cells.read(cells.info.geometry.full_window, (height, width))
        method = Resampling.LINEAR if resampling in _INTERPOLATING else Resampling.NEAREST
        native = NativeCells(values[:], longitudes, latitudes)
        return cls(cells, Geolocation("longitude", "latitude", 1, crs), grid, method, native)

    @override
    def read_native(self) -> NativeCells:
        """Return the cells and their coordinates."""
        native = self.native
        return NativeCells(native.values[:], native.longitudes[:], native.latitudes[:])

    @override
    def _read_values(self) -> NDArray[Any]:
        return self.native.values


class NamedGeometries(NamedTuple):
    """Geometries in memory, for a vector layer."""

    name: str
    wkb: NDArray[np.object_]
    """The geometries as WKB. None if missing."""
    crs: pyproj.CRS
    style: Mapping[str, Any]
    """Keys of `[[features]]`, without `path`."""


def named_geometries(features: Any) -> Iterator[NamedGeometries]:
    """Yield the vector layers in memory that a user has passed.

    Parameters
    ----------
    features : GeoDataFrame, sequence, or mapping
        One layer, several layers, or layers by name. A layer is any object with geometries: a GeoDataFrame, a
        GeoSeries, an object with `__geo_interface__`, or shapely geometries. A mapping
        `{"data": layer, "linewidth": 0.5}` also has keys of `[[features]]`. Layers without a CRS are in degrees if they
        are GeoJSON; other layers need the key `crs`.

    Raises
    ------
    FeaturesError
        If an object holds no geometries, or has no CRS.
    """
    if features is None:
        return
    if isinstance(features, Mapping) and not ({"data", "type"} & features.keys()):
        named = [(str(name), layer) for name, layer in features.items()]
    elif isinstance(features, list | tuple) and not all(isinstance(item, shapely.Geometry) for item in features):
        named = [(f"features {number}", layer) for number, layer in enumerate(features, 1)]
    else:
        named = [("features 1", features)]
    for name, layer in named:
        style = dict(layer) if isinstance(layer, Mapping) and "data" in layer else {"data": layer}
        yield _layer_of(name, style.pop("data"), style)


def _layer_of(name: str, data: Any, style: dict[str, Any]) -> NamedGeometries:
    crs, geometries = getattr(data, "crs", None), _geometries_of(name, data)
    if crs is None and hasattr(data, "geometry"):
        crs = getattr(data.geometry, "crs", None)
    is_json = isinstance(data, Mapping) or (hasattr(data, "__geo_interface__") and not hasattr(data, "geometry"))
    crs = style.pop("crs", None) or crs or (LONLAT if is_json and not isinstance(data, shapely.Geometry) else None)
    if crs is None:
        raise FeaturesError(f"{name}: the geometries have no CRS; set it, for example with .set_crs")
    try:
        text = crs if isinstance(crs, str) else pyproj.CRS.from_user_input(crs).to_wkt()
        wkb = np.asarray(shapely.to_wkb(shapely.force_2d(geometries)), dtype=object)
        return NamedGeometries(name, wkb, drawable_crs(text), style)
    except (ConfigError, pyproj.exceptions.CRSError) as error:
        raise FeaturesError(f"{name}: {error}") from None


def _geometries_of(name: str, data: Any) -> NDArray[np.object_]:
    """Return the geometries of an object as an array."""
    if isinstance(data, shapely.Geometry):
        return np.array([data], dtype=object)
    found = getattr(data, "geometry", data)
    try:
        if isinstance(found, Mapping) or (hasattr(found, "__geo_interface__") and not hasattr(found, "__len__")):
            return _from_json(found if isinstance(found, Mapping) else found.__geo_interface__)
        geometries = np.asarray(found, dtype=object)
        if geometries.ndim == 1 and shapely.is_valid_input(geometries).all():
            return geometries
    except (TypeError, ValueError, KeyError, AttributeError):
        pass
    raise FeaturesError(
        f"{name}: an object of type {type(data).__name__} holds no geometries; pass a GeoDataFrame, shapely "
        "geometries, or an object with __geo_interface__"
    )


def _from_json(content: Mapping[str, Any]) -> NDArray[np.object_]:
    """Return the geometries of a GeoJSON mapping."""
    if content["type"] == "FeatureCollection":
        parts = [_from_json(feature) for feature in content["features"]]
        return np.concatenate([np.empty(0, object), *parts])
    if content["type"] == "Feature":
        geometry = content["geometry"]
        return np.array([None], dtype=object) if geometry is None else _from_json(geometry)
    from shapely.geometry import shape  # noqa: PLC0415 (only GeoJSON needs it)

    return np.array([shape(dict(content))], dtype=np.object_)
