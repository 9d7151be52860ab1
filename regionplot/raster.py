"""Open and load one grid: choose the variable and band, mask and scale, know its CRS, name and time.

`rioxarray.open_rasterio` is lazy, and a GDAL handle must not be inherited by a forked process: it gives wrong pixels
without an error (https://gdal.org/en/stable/user/multithreading.html). So a grid is loaded and its file closed at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj

from regionplot.config import RasterSettings
from regionplot.errors import RasterError
from regionplot.models import LONLAT
from regionplot.projections import parse_crs

if TYPE_CHECKING:
    import xarray as xr

FIELDS = ("raster", "variable", "long_name", "units", "time")
"""What `describe` may tell of a grid."""

_GDAL = {"GDAL_CACHEMAX": 32, "GDAL_PAM_ENABLED": "NO", "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"}
_TIME_TAGS = ("VALID_TIME", "TIFFTAG_DATETIME", "REF_TIME")
_TIME_FORMATS = ("%Y:%m:%d %H:%M:%S", "%Y-%m-%d %H:%M:%S")


def load_raster(settings: RasterSettings) -> xr.DataArray:
    """Load the grid that a config names.

    Parameters
    ----------
    settings : RasterSettings
        Path, band or variable, CRS.

    Returns
    -------
    xarray.DataArray
        Dimensions (y, x), read-only, with its CRS and affine transform under `.rio`; missing cells are NaN if
        `mask_and_scale` is set. Its file is closed.

    Raises
    ------
    RasterError
        If the file cannot be read whole, holds no such band, or cannot be placed on the earth.
    """
    with _opened(settings) as lazy:
        grid = lazy.load()
    data = np.ascontiguousarray(grid.data)
    data.flags.writeable = False
    return grid.copy(data=data)


def check_raster(settings: RasterSettings) -> None:
    """Open the grid and read nothing but its description; raises what `load_raster` would.

    Raises
    ------
    RasterError
        As `load_raster`, but for faults deeper in the file.
    """
    with _opened(settings):
        pass


@contextmanager
def _opened(settings: RasterSettings) -> Iterator[xr.DataArray]:
    """The grid, lazy, with its faults told as RasterError and its file closed at the end."""
    import rasterio  # noqa: PLC0415 (GDAL, rioxarray and xarray take half a second: only who loads pays it)
    import rioxarray  # noqa: PLC0415

    path = settings.path
    _check_content(path)
    try:
        with rasterio.Env(**_GDAL), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = rioxarray.open_rasterio(
                path,
                mask_and_scale=settings.mask_and_scale,
                lock=False,
                cache=False,
                variable=settings.variable,
            )
            try:
                yield _placed(_band(_variable(found, settings), settings), settings)
            finally:
                for dataset in found if isinstance(found, list) else [found]:
                    dataset.close()
    except (rasterio.errors.RasterioError, OSError, ValueError, IndexError, KeyError) as error:
        raise RasterError(f"{path}: cannot be read as a raster: {_first_line(error)}") from error


def _check_content(path: Path) -> None:
    """Refuse what is no grid before GDAL sees it: an XML file (VRT, WMS) can name other files and addresses."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        start = file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n")
    if not start:
        raise RasterError(f"{path}: the file is empty")
    if start.startswith(b"<"):
        raise RasterError(f"{path}: an XML file (a VRT?) is not a grid; name the file that holds the data")


def _first_line(error: BaseException) -> str:
    text = str(error.__cause__ or error).strip() or type(error).__name__
    return text.splitlines()[0]


def _variable(found: Any, settings: RasterSettings) -> xr.DataArray:
    """The one variable asked for, out of whatever shape rioxarray gives."""
    import xarray as xr  # noqa: PLC0415

    if isinstance(found, xr.DataArray):
        return found
    datasets = found if isinstance(found, list) else [found]
    variables: dict[str, xr.DataArray] = {
        str(name): data for dataset in datasets for name, data in dataset.data_vars.items()
    }
    if {"lat", "lon"} <= set(variables) or {"latitude", "longitude"} <= set(variables):
        raise RasterError(
            f"{settings.path}: the grid is curvilinear (2-D latitude and longitude); regrid it onto a regular one"
        )
    if settings.variable in variables:
        return variables[settings.variable]
    if settings.variable is None and len(variables) == 1:
        return next(iter(variables.values()))
    if not variables:
        raise RasterError(f"{settings.path}: there is no variable {settings.variable!r} in the file")
    raise RasterError(f"{settings.path}: choose one with variable = NAME in [raster]: {', '.join(variables)}")


def _band(data: xr.DataArray, settings: RasterSettings) -> xr.DataArray:
    """The (y, x) slice of one band, with the attributes of that band only."""
    extra = [dim for dim in data.dims if dim not in (data.rio.y_dim, data.rio.x_dim)]
    shape = tuple(data.sizes[dim] for dim in extra)
    count = int(np.prod(shape, dtype=int))
    number = _band_index(data, settings, count)
    data = data.isel(dict(zip(extra, np.unravel_index(number, shape), strict=True)))
    data.attrs = {
        key: value[number] if isinstance(value, tuple) and len(value) == count else value
        for key, value in data.attrs.items()
    }
    return data


def _band_index(data: xr.DataArray, settings: RasterSettings, count: int) -> int:
    """The position of the band, from 0."""
    names = data.attrs.get("long_name", ())
    names = (names,) if isinstance(names, str) else tuple(names)
    if isinstance(settings.band, int):
        if not 1 <= settings.band <= count:
            raise RasterError(f"{settings.path}: there is no band {settings.band}: the bands are 1 to {count}")
        return settings.band - 1
    if settings.band in names:
        return names.index(settings.band)
    raise RasterError(f"{settings.path}: no band is described as {settings.band!r}: there are {', '.join(names) or 1}")


def _placed(data: xr.DataArray, settings: RasterSettings) -> xr.DataArray:
    """The grid with a CRS: its own, the one given, or WGS 84 where its axes are in degrees."""
    if data.rio.crs is None:
        data = data.rio.write_crs((parse_crs(settings.crs) if settings.crs else _assumed_crs(data, settings)).to_wkt())
    if min(data.shape) < 2 or data.rio.transform().is_identity:
        raise RasterError(f"{settings.path}: the raster has no georeference (no affine transform)")
    return data


def _assumed_crs(data: xr.DataArray, settings: RasterSettings) -> pyproj.CRS:
    units = {str(value) for key, value in data.attrs.items() if str(key).endswith("#units")}
    if {"degrees_north", "degrees_east"} <= units:
        return parse_crs(LONLAT)
    raise RasterError(f'{settings.path}: the raster names no CRS; give it as crs = "EPSG:..." in [raster]')


def raster_crs(grid: xr.DataArray) -> pyproj.CRS:
    """The grid's CRS."""
    return pyproj.CRS.from_wkt(grid.rio.crs.to_wkt())


def describe(grid: xr.DataArray, path: Path) -> Mapping[str, object]:
    """What templates and labels may say of a grid.

    Returns
    -------
    mapping
        `raster` (the file's stem), `variable`, `long_name`, `units`, and `time` (a datetime in UTC) if it is known.
    """
    attributes = grid.attrs
    variable = str(grid.name or attributes.get("GRIB_ELEMENT") or "")
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
    time = _time(grid)
    return description if time is None else {**description, "time": time}


def _time(grid: xr.DataArray) -> datetime | None:
    if "GRIB_VALID_TIME" in grid.attrs:
        return datetime.fromtimestamp(int(str(grid.attrs["GRIB_VALID_TIME"]).split()[0]), UTC)
    candidates = [
        str(grid[name].values) for name in ("time", "valid_time") if name in grid.coords and not grid[name].ndim
    ]
    candidates += [str(grid.attrs[tag]) for tag in _TIME_TAGS if tag in grid.attrs]
    return next((time for text in candidates if (time := _parse_time(text))), None)


def _parse_time(text: str) -> datetime | None:
    text = text.partition(".")[0].removesuffix("Z")
    for parse in (datetime.fromisoformat, *(lambda t, f=f: datetime.strptime(t, f) for f in _TIME_FORMATS)):  # noqa: DTZ007 (UTC is set below)
        try:
            return parse(text).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
