"""Open one grid: choose the variable and band, know its CRS, name and time; read all of it, or a window.

`rioxarray.open_rasterio` is lazy, and a GDAL handle must not be inherited by a forked process: it gives wrong pixels
without an error (https://gdal.org/en/stable/user/multithreading.html). So every function here closes what it opens.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot import netcdf
from regionplot.coloring import PACKED, Coloring, TrueColor, coloring_of
from regionplot.config import ColorSettings, RasterSettings
from regionplot.curvilinear import CellLocator, RegularGrid, fit_grid
from regionplot.errors import RasterError
from regionplot.geolocation import AS_STORED, Geolocation, find_geolocation, kind_of, read_coordinates
from regionplot.grid import GridGeometry, Window
from regionplot.intake import Fingerprint, raster_driver
from regionplot.models import LONLAT
from regionplot.projections import parse_crs
from regionplot.templates import plain_text

if TYPE_CHECKING:
    import xarray as xr

FIELDS = ("raster", "variable", "long_name", "units", "time")
"""What `RasterInfo.description` may tell of a grid."""

_GDAL = {
    "GDAL_CACHEMAX": 32 * 2**20,
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "none",  # no address is opened, whatever a file says
}
_BANDS, _GEOLOCATION = "regionplot_bands", "regionplot_geolocation"
"""What is known of a grid beside what xarray knows."""
_LARGEST_BLOCK = 2**30
"""Bytes; GDAL unpacks a whole block, even for one cell of it."""
_TIME_TAGS = ("VALID_TIME", "TIFFTAG_DATETIME", "REF_TIME")
_TIME_FORMATS = ("%Y:%m:%d %H:%M:%S", "%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True)
class RasterInfo:
    """A grid as its file describes it; no cell of it is read."""

    path: Path
    source: str
    """What GDAL opens: the path, or a subdataset of it."""
    driver: str
    """The GDAL driver that opens it, and no other."""
    fingerprint: Fingerprint | None
    """Of the file, when it was inspected."""
    band: int
    """From 1."""
    geometry: GridGeometry
    dtype: np.dtype[Any]
    """Of the values once they are read."""
    nodata: float | None
    scale: float
    offset: float
    has_mask: bool
    """A mask band or an alpha band says what is missing."""
    decode: bool
    """Make nodata missing, and apply scale and offset."""
    description: Mapping[str, object]
    """What templates and labels may say: `raster` (the file's stem), `variable`, `long_name`, `units`, and `time` (a
    datetime in UTC) if it is known."""
    geolocation: Geolocation | None = None
    """The 2-D coordinates of a curvilinear grid's cells; `geometry` is then that of a regular grid fitted to them."""
    fineness: int = 1
    """How many cells of that lie along the spacing of the file's."""
    smooth: bool = False
    """Interpolate between the file's cells, rather than take the nearest."""
    coloring: Coloring | None = None
    """How it is drawn; None as numbers. In true colour, its cells are packed: see `TrueColor.read`."""


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
        values = on_regular_grid(info, read_cells(info), window)[::step, ::step]
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
    options = _GDAL if info.geolocation is None else {**_GDAL, **AS_STORED}
    try:
        with rasterio.Env(**options), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with rasterio.open(info.source, driver=info.driver) as dataset:
                values = _cells(dataset, info, area, shape, rasterio.enums.Resampling[resampling])
    except (rasterio.errors.RasterioError, OSError, ValueError) as error:
        raise RasterError(f"{info.path}: cannot be read as a raster: {_first_line(error)}") from error
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
    return decoded(raw, mask, info)


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
        data = xr.DataArray(self.values, places, ("y", "x"), **_labels(info))
        data.rio.write_crs(info.geolocation.crs.to_wkt(), inplace=True)
        for array in (data, data["longitude"], data["latitude"]):
            array.data.flags.writeable = False
        return data


def read_cells(info: RasterInfo) -> CurvilinearCells:
    """Read all cells of a curvilinear grid, and where they lie.

    Raises
    ------
    RasterError
        If they cannot be read, or are no longer those of the file that was inspected.
    """
    import rasterio  # noqa: PLC0415

    assert info.geolocation is not None, "cells of a curvilinear grid"
    try:
        with rasterio.Env(**_GDAL), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            longitudes, latitudes = read_coordinates(info.path, info.driver, info.geolocation)
    except (rasterio.errors.RasterioError, OSError) as error:
        raise RasterError(f"{info.path}: cannot be read as a raster: {_first_line(error)}") from error
    return CurvilinearCells(_read(info, None, None).astype(info.dtype, copy=False), longitudes, latitudes)


def on_regular_grid(info: RasterInfo, cells: CurvilinearCells, window: Window) -> NDArray[Any]:
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
        cells = read_cells(info)
        if info.geolocation != known:
            known, nearest = info.geolocation, _locator(info, cells).nearest(info.geometry.whole)
        values = cells.values.ravel()[nearest]
        np.putmask(values, nearest < 0, np.nan)
        yield values


def _labelled(info: RasterInfo, values: NDArray[Any], geometry: GridGeometry) -> xr.DataArray:
    import xarray as xr  # noqa: PLC0415

    values.flags.writeable = False
    data = xr.DataArray(values, dims=("y", "x"), **_labels(info))
    data.rio.write_crs(geometry.crs.to_wkt(), inplace=True)
    return _at(geometry, data)


def _labels(info: RasterInfo) -> dict[str, Any]:
    said = info.description
    return {"name": said["variable"] or None, "attrs": {key: said[key] for key in ("long_name", "units") if said[key]}}


def is_changed(info: RasterInfo) -> bool:
    """Whether the file is no longer the one that was inspected."""
    return Fingerprint.of(info.path) != info.fingerprint


def decoded(raw: NDArray[Any], mask: NDArray[np.uint8] | None, info: RasterInfo) -> NDArray[Any]:
    """The values in their units, NaN where there are none; in place where the type allows it."""
    if not info.decode:
        return raw
    values = raw.astype(info.dtype, copy=False)
    if info.nodata is not None and can_hold(raw.dtype, info.nodata):
        np.putmask(values, raw == raw.dtype.type(info.nodata), np.nan)
    if mask is not None:
        np.putmask(values, mask == 0, np.nan)
    if info.scale != 1.0:
        values *= info.dtype.type(info.scale)
    if info.offset != 0.0:
        values += info.dtype.type(info.offset)
    return values


def can_hold(dtype: np.dtype[Any], value: float) -> bool:
    """Whether a value can occur among values of a type; some files name a nodata value that cannot."""
    if dtype.kind not in "iu":
        return not np.isnan(value)
    limits = np.iinfo(dtype)
    return value.is_integer() and limits.min <= value <= limits.max


@contextmanager
def _opened(settings: RasterSettings) -> Iterator[tuple[xr.DataArray, int]]:
    """The grid, lazy and as stored, and its band's number from 0; its faults are told as RasterError."""
    import rasterio  # noqa: PLC0415 (GDAL, rioxarray and xarray take half a second: only who loads pays it)

    path = settings.path
    driver = raster_driver(path)
    try:
        with rasterio.Env(**_GDAL), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            check_references(path, driver)
            found = _open(path, driver, settings.variable)
            try:
                data, number = _band(_variable(found, settings), settings)
                _check_size(data, settings)
                yield _placed(data, number, settings), number
            finally:
                for dataset in found if isinstance(found, list) else [found]:
                    dataset.close()
    except (rasterio.errors.RasterioError, OSError, ValueError, IndexError, KeyError) as error:
        raise RasterError(f"{path}: cannot be read as a raster: {_first_line(error)}") from error


def _open(path: Path, driver: str, variable: str | None) -> Any:
    """What rioxarray makes of a file, be it an array, a dataset or several."""
    import rioxarray  # noqa: PLC0415

    options: dict[str, Any] = {"lock": False, "cache": False, "parse_coordinates": False}
    if variable is None and driver == netcdf.DRIVER and _holds_several(path, driver):
        return netcdf.open_variables(path, driver)  # rioxarray 0.19 leaves files open where shapes differ
    try:
        return rioxarray.open_rasterio(path, variable=variable, driver=driver, **options)
    except ValueError:
        if driver != netcdf.DRIVER:
            raise
        return netcdf.open_variables(path, driver)


def _holds_several(path: Path, driver: str) -> bool:
    """Whether a file holds several variables."""
    import rasterio  # noqa: PLC0415

    with rasterio.open(path, driver=driver) as dataset:
        return len(dataset.subdatasets) > 1


def check_references(path: Path, driver: str) -> None:
    """Refuse a file whose metadata give other files or addresses as its overviews or subdatasets: GDAL would open them.

    Any GeoTIFF can carry such metadata. Its own overviews and subdatasets need none.

    Raises
    ------
    RasterError
        With the first of them.
    """
    import rasterio  # noqa: PLC0415

    with rasterio.open(path, driver=driver) as dataset:
        named = list(dataset.tags(ns="OVERVIEWS").values())
        named += [name for name in dataset.subdatasets if not _is_within(name, path)]
    if named:
        raise RasterError(f"{path}: its metadata refer to another file, which is not followed: {plain_text(named[0])}")


def _is_within(subdataset: str, path: Path) -> bool:
    """Whether the name of a subdataset is one that GDAL makes up itself for a part of a file."""
    file = re.escape(str(path))
    pattern = rf'(?i:netcdf|hdf5):("{file}"|{file}):[^"]*|(?i:gtiff_dir):\d+:{file}'
    return re.fullmatch(pattern, subdataset) is not None


def _check_size(data: xr.DataArray, settings: RasterSettings) -> None:
    """Refuse what a small file can claim to be: a grid without end, before a cell of it is read."""
    height, width = data.sizes[data.rio.y_dim], data.sizes[data.rio.x_dim]
    if height * width > settings.max_cells:
        raise RasterError(
            f"{settings.path}: the grid claims {width:,} x {height:,} cells, more than [raster] max_cells = "
            f"{settings.max_cells:,}"
        )


def _first_line(error: BaseException) -> str:
    text = str(error.__cause__ or error).strip() or type(error).__name__
    return text.splitlines()[0]


def _info(data: xr.DataArray, number: int, settings: RasterSettings, colors: ColorSettings | None = None) -> RasterInfo:
    import rasterio  # noqa: PLC0415

    attributes = data.attrs
    source, driver = str(data.encoding.get("source", settings.path)), raster_driver(settings.path)
    with rasterio.open(source, driver=driver) as dataset:
        flags = dataset.mask_flag_enums[number]
        _check_block(settings.path, dataset.block_shapes[number], data.dtype.itemsize)
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
        description=_describe(data, settings.path),
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


def _check_block(path: Path, shape: tuple[int, int], itemsize: int) -> None:
    size = shape[0] * shape[1] * itemsize
    if size > _LARGEST_BLOCK:
        raise RasterError(
            f"{path}: its cells are stored in blocks of {size:,} bytes, and each read would take that much memory; "
            "store it in tiles (gdal_translate -co TILED=YES)"
        )


def decoded_type(stored: np.dtype[Any]) -> np.dtype[Any]:
    """The floating type that holds the stored values and NaN."""
    exact_in_single = stored.itemsize <= 2 or stored == np.float32
    return np.dtype(np.float32 if exact_in_single else np.float64)


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


def _placed(data: xr.DataArray, number: int, settings: RasterSettings) -> xr.DataArray:
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
    if driver != netcdf.DRIVER or (placed and not data.rio.transform().is_identity):
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


def _describe(data: xr.DataArray, path: Path) -> Mapping[str, object]:
    """See `RasterInfo.description`."""
    attributes = data.attrs
    variable = str(data.name or attributes.get("GRIB_ELEMENT") or "")
    units = str(attributes.get("units") or attributes.get("GRIB_UNIT") or "").strip("[]")
    long_name = str(attributes.get("GRIB_COMMENT") or attributes.get("long_name") or variable or path.stem)
    if " " not in long_name and "description" in attributes:  # some files repeat the variable's name as its long name
        long_name = str(attributes["description"])
    description: dict[str, object] = {
        "raster": path.stem,
        "variable": variable,
        "long_name": long_name.partition(" [")[0],
        "units": units,
    }
    description = {name: plain_text(str(text)) for name, text in description.items()}
    time = _time(data)
    return description if time is None else {**description, "time": time}


def _time(data: xr.DataArray) -> datetime | None:
    if "GRIB_VALID_TIME" in data.attrs:
        return datetime.fromtimestamp(int(str(data.attrs["GRIB_VALID_TIME"]).split()[0]), UTC)
    candidates = [
        str(data[name].values) for name in ("time", "valid_time") if name in data.coords and not data[name].ndim
    ]
    candidates += [str(data.attrs[tag]) for tag in _TIME_TAGS if tag in data.attrs]
    return next((time for text in candidates if (time := _parse_time(text))), None)


def _parse_time(text: str) -> datetime | None:
    text = text.partition(".")[0].removesuffix("Z")
    for parse in (datetime.fromisoformat, *(lambda t, f=f: datetime.strptime(t, f) for f in _TIME_FORMATS)):  # noqa: DTZ007 (UTC is set below)
        try:
            return parse(text).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
