"""Describe a raster: variable, band, CRS, time; load all of it or a window.

`rioxarray.open_rasterio` is lazy, and a GDAL handle must not be inherited by a forked process: it gives wrong pixels
without an error (https://gdal.org/en/stable/user/multithreading.html). So every function here closes what it opens.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.errors import RasterError
from regionplot.geo.crs import parse_crs
from regionplot.geo.curvilinear.fit import fit_grid
from regionplot.geo.dtypes import decoded_type
from regionplot.geo.extent import LONLAT
from regionplot.geo.grid import GridGeometry, Window
from regionplot.inputs import metadata
from regionplot.inputs.color_tables import PACKED, TrueColor, coloring_of
from regionplot.inputs.drivers import raster_driver
from regionplot.inputs.gdal import GDAL_READ_OPTIONS, check_block, check_references, check_size, first_line
from regionplot.inputs.geolocation import Geolocation, find_geolocation, kind_of, read_coordinates
from regionplot.inputs.metadata import describe_band
from regionplot.inputs.reading import raster_labels, read_window
from regionplot.inputs.source import RasterInfo
from regionplot.settings.colors import ColorSettings
from regionplot.settings.raster import RasterSettings
from regionplot.system.files import Fingerprint

if TYPE_CHECKING:
    import xarray as xr


_BANDS, _GEOLOCATION = "regionplot_bands", "regionplot_geolocation"
"""What is known of a grid beside what xarray knows."""


def inspect_raster(settings: RasterSettings, colors: ColorSettings | None = None) -> RasterInfo:
    """Open the grid that a config names and read its description only; of a curvilinear grid, its coordinates, too.

    Parameters
    ----------
    settings : RasterSettings
        Path, band or variable, CRS.
    colors : ColorSettings, optional
        Those that it will be drawn in, where it is to be drawn; else what is read are numbers.

    Raises
    ------
    RasterError
        If the file cannot be opened, holds no such band, or cannot be placed on the earth.
    """
    with _opened(settings) as (data, number):
        return _info(data, number, settings, colors)


def load_raster(
    settings: RasterSettings, window: Window | None = None, step: int = 1, colors: ColorSettings | None = None
) -> xr.DataArray:
    """Load the grid that a config names, or a window of it.

    Parameters
    ----------
    settings : RasterSettings
        Path, band or variable, CRS.
    window : Window, optional
        The part to load; all by default.
    step : int
        Of every `step` by `step` cells, load one.
    colors : ColorSettings, optional
        As `inspect_raster`.

    Returns
    -------
    xarray.DataArray
        Dimensions (y, x), read-only, with its CRS and affine transform under `.rio`; missing cells are NaN if
        `mask_and_scale` is set. Its file is closed. A curvilinear grid comes as the regular one that it is drawn from.

    Raises
    ------
    RasterError
        If the file cannot be read whole, holds no such band, or cannot be placed on the earth.
    """
    with _opened(settings) as (data, number):
        info = _info(data, number, settings, colors)
        window = window or info.geometry.whole
        if info.geolocation is not None:
            return _labelled(info, *read_window(info, window, step))
        rows = slice(window.row, window.row + window.height, step)
        columns = slice(window.column, window.column + window.width, step)
        part = data.isel({data.rio.y_dim: rows, data.rio.x_dim: columns})
        values, geometry = read_window(info, window, step)
        values.flags.writeable = False
        return _at(geometry, part.copy(data=values))


def _at(geometry: GridGeometry, data: xr.DataArray) -> xr.DataArray:
    """The data with the coordinates and the affine transform of their geometry."""
    if geometry.is_axis_aligned:
        x, _ = geometry.coordinates(np.arange(geometry.width) + 0.5, np.zeros(1))
        _, y = geometry.coordinates(np.zeros(1), np.arange(geometry.height) + 0.5)
        data = data.assign_coords({data.rio.x_dim: x, data.rio.y_dim: y})
    data.rio.write_transform(geometry.affine, inplace=True)  # otherwise it copies the cells
    return data


def _labelled(info: RasterInfo, values: NDArray[Any], geometry: GridGeometry) -> xr.DataArray:
    import xarray as xr  # noqa: PLC0415

    values.flags.writeable = False
    data = xr.DataArray(values, dims=("y", "x"), **raster_labels(info))
    data.rio.write_crs(geometry.crs.to_wkt(), inplace=True)
    return _at(geometry, data)


@contextmanager
def _opened(settings: RasterSettings) -> Iterator[tuple[xr.DataArray, int]]:
    """The grid, lazy and as stored, and its band's number from 0; its faults are told as RasterError."""
    import rasterio  # noqa: PLC0415 (GDAL, rioxarray and xarray take half a second: only who loads pays it)

    path = settings.path
    driver = raster_driver(path)
    try:
        with rasterio.Env(**GDAL_READ_OPTIONS), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_references(path, driver)
            found = _open(path, driver, settings.variable)
            try:
                data, number = _band(_variable(found, settings), settings)
                check_size(data, settings)
                yield with_crs(data, number, settings), number
            finally:
                for dataset in found if isinstance(found, list) else [found]:
                    dataset.close()
    except (rasterio.errors.RasterioError, OSError, ValueError, IndexError, KeyError) as error:
        raise RasterError(f"{path}: cannot be read as a raster: {first_line(error)}") from error


def _open(path: Path, driver: str, variable: str | None) -> Any:
    """What rioxarray makes of a file, be it an array, a dataset or several."""
    import rioxarray  # noqa: PLC0415

    options: dict[str, Any] = {"lock": False, "cache": False, "parse_coordinates": False}
    if variable is None and driver == metadata.DRIVER and _holds_several(path, driver):
        return metadata.open_variables(path, driver)  # rioxarray 0.19 leaves files open where shapes differ
    try:
        return rioxarray.open_rasterio(path, variable=variable, driver=driver, **options)
    except ValueError:
        if driver != metadata.DRIVER:
            raise
        return metadata.open_variables(path, driver)


def _holds_several(path: Path, driver: str) -> bool:
    """Whether a file holds several variables."""
    import rasterio  # noqa: PLC0415

    with rasterio.open(path, driver=driver) as dataset:
        return len(dataset.subdatasets) > 1


def _info(data: xr.DataArray, number: int, settings: RasterSettings, colors: ColorSettings | None = None) -> RasterInfo:
    import rasterio  # noqa: PLC0415

    attributes = data.attrs
    source, driver = str(data.encoding.get("source", settings.path)), raster_driver(settings.path)
    with rasterio.open(source, driver=driver) as dataset:
        flags = dataset.mask_flag_enums[number]
        check_block(settings.path, dataset.block_shapes[number], data.dtype.itemsize)
        coloring = coloring_of(dataset, number + 1, settings, colors) if colors else None
    scale, offset = float(attributes.get("scale_factor", 1.0)), float(attributes.get("add_offset", 0.0))
    nodata = attributes.get("_FillValue", attributes.get("missing_value"))
    dtype = decoded_type(data.dtype) if settings.mask_and_scale else data.dtype
    info = RasterInfo(
        path=settings.path,
        source=source,
        driver=driver,
        fingerprint=Fingerprint.of(settings.path),
        band=number + 1,
        geometry=GridGeometry(data.rio.transform(), data.sizes[data.rio.y_dim], data.sizes[data.rio.x_dim], _crs(data)),
        dtype=PACKED if isinstance(coloring, TrueColor) else dtype,
        nodata=None if nodata is None else float(nodata),
        scale=scale,
        offset=offset,
        has_mask=rasterio.enums.MaskFlags.per_dataset in flags,
        decode=settings.mask_and_scale,
        description=describe_band(data, settings.path),
        coloring=coloring,
    )
    geolocation = data.encoding.get(_GEOLOCATION)
    return info if geolocation is None else _fitted(info, geolocation, settings)


def _fitted(info: RasterInfo, geolocation: Geolocation, settings: RasterSettings) -> RasterInfo:
    """The description of a curvilinear grid, with that of the regular one that it is drawn from."""
    grid = fit_grid(*read_coordinates(info.path, info.driver, geolocation), geolocation.crs)
    if grid is None:
        raise RasterError(f"{info.path}: all cells of the curvilinear grid lie at one place; no map can be drawn")
    return replace(
        info,
        geometry=grid.geometry,
        fineness=grid.fineness,
        geolocation=geolocation,
        dtype=info.dtype if info.dtype.kind == "f" else decoded_type(info.dtype),  # for NaN, where no cell lies
        smooth=settings.resampling in ("bilinear", "cubic"),
    )


def _variable(found: Any, settings: RasterSettings) -> xr.DataArray:
    """The one variable asked for, out of whatever shape rioxarray gives."""
    import xarray as xr  # noqa: PLC0415

    if isinstance(found, xr.DataArray):
        if settings.variable not in (None, found.name):
            raise RasterError(f"{settings.path}: there is no variable {settings.variable!r} in the file")
        return found
    datasets = found if isinstance(found, list) else [found]
    variables: dict[str, xr.DataArray] = {
        str(name): data for dataset in datasets for name, data in dataset.data_vars.items()
    }
    fields = {name: data for name, data in variables.items() if kind_of(name, data.attrs) is None}
    if settings.variable is None and fields:
        variables = fields
    if settings.variable in variables:
        return variables[settings.variable]
    if settings.variable is None and len(variables) == 1:
        return next(iter(variables.values()))
    if settings.variable is not None or not variables:
        there = f"; there are {', '.join(variables)}" if variables else ""
        raise RasterError(f"{settings.path}: there is no variable {settings.variable!r} in the file{there}")
    raise RasterError(f"{settings.path}: choose one with variable = NAME in [raster]: {', '.join(variables)}")


def _band(data: xr.DataArray, settings: RasterSettings) -> tuple[xr.DataArray, int]:
    """The (y, x) slice of one band, with the attributes of that band only, and the band's number from 0."""
    extra = [dim for dim in data.dims if dim not in (data.rio.y_dim, data.rio.x_dim)]
    shape = tuple(data.sizes[dim] for dim in extra)
    count = int(np.prod(shape, dtype=int))
    number = _band_index(data, settings, count)
    band = data.isel(dict(zip(extra, np.unravel_index(number, shape), strict=True)))
    band.attrs = {
        key: value[number] if isinstance(value, tuple) and len(value) == count else value
        for key, value in data.attrs.items()
    }
    band.encoding = {**data.encoding, _BANDS: count}
    return band, number


def _band_index(data: xr.DataArray, settings: RasterSettings, count: int) -> int:
    """The position of the band, from 0."""
    names = data.attrs.get("long_name", ())
    names = (names,) if isinstance(names, str) else tuple(names)
    if settings.band is None:
        return 0
    if isinstance(settings.band, int):
        if not 1 <= settings.band <= count:
            raise RasterError(f"{settings.path}: there is no band {settings.band}: the bands are 1 to {count}")
        return settings.band - 1
    if settings.band in names:
        return names.index(settings.band)
    raise RasterError(f"{settings.path}: no band is described as {settings.band!r}: there are {', '.join(names) or 1}")


def with_crs(data: xr.DataArray, number: int, settings: RasterSettings) -> xr.DataArray:
    """The grid with a CRS: its own, the one given, or WGS 84 where its axes are in degrees."""
    if min(data.shape) < 2:
        raise RasterError(f"{settings.path}: {' x '.join(map(str, data.shape[::-1]))} cells are too few to make a grid")
    if (geolocation := _geolocation(data, number, settings)) is not None:
        data = data.rio.write_crs(geolocation.crs.to_wkt())
        data.encoding[_GEOLOCATION] = geolocation
        return data
    if data.rio.crs is None:
        data = data.rio.write_crs((parse_crs(settings.crs) if settings.crs else _assumed_crs(data, settings)).to_wkt())
    if data.rio.transform().is_identity:
        raise RasterError(f"{settings.path}: the raster has no georeference (no affine transform)")
    return data


def _geolocation(data: xr.DataArray, number: int, settings: RasterSettings) -> Geolocation | None:
    """The 2-D coordinates of a grid that is not placed otherwise."""
    driver, source = raster_driver(settings.path), str(data.encoding.get("source", settings.path))
    placed = data.rio.crs is not None or (settings.crs is not None and parse_crs(settings.crs).is_projected)
    if driver != metadata.DRIVER or (placed and not data.rio.transform().is_identity):
        return None
    crs = parse_crs(settings.crs or LONLAT)
    found = find_geolocation(settings.path, driver, source, (number, data.encoding[_BANDS]), crs)
    if found is not None and not crs.is_geographic:
        raise RasterError(
            f"{settings.path}: its cells are placed by longitudes and latitudes, and {crs.name!r} has none; leave out "
            "crs in [raster], and choose the map's with projection in [map]"
        )
    return found


def _assumed_crs(data: xr.DataArray, settings: RasterSettings) -> pyproj.CRS:
    units = {str(value) for key, value in data.attrs.items() if str(key).endswith("#units")}
    if {"degrees_north", "degrees_east"} <= units:
        return parse_crs(LONLAT)
    raise RasterError(f'{settings.path}: the raster names no CRS; give it as crs = "EPSG:..." in [raster]')


def _crs(data: xr.DataArray) -> pyproj.CRS:
    return pyproj.CRS.from_wkt(data.rio.crs.to_wkt())
