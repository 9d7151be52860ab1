"""Find the CRS of a raster file, in the settings or in the file."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyproj

from regionplot.errors import ConfigError, RasterError
from regionplot.geo.crs import is_drawable, not_drawable, parse_crs, same_crs
from regionplot.geo.foreign_crs import drawable_crs
from regionplot.settings.raster import RasterSettings

logger = logging.getLogger(__name__)


def stated_crs(dataset: Any, settings: RasterSettings) -> pyproj.CRS | None:
    """Return the CRS of the settings. If the settings state none, return the CRS of the file, which can be None.

    A warning says if the settings and the file state different CRSs.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The file, or a subdataset of it.
    settings : RasterSettings
        Path and CRS of the raster.

    Raises
    ------
    RasterError
        If the CRS is not the CRS of a map.
    """
    found = dataset.crs.to_wkt() if dataset.crs else None
    if settings.crs is None:
        return _file_crs(found, settings.path) if found else None
    crs = _as_in_files(parse_crs(settings.crs))
    if not is_drawable(crs):
        raise RasterError(f"{settings.path}: {not_drawable(crs)}")
    if found:
        _warn_of_difference(found, crs, settings)
    return crs


def _file_crs(found: str, path: Path) -> pyproj.CRS:
    try:
        return drawable_crs(found)
    except ConfigError as error:
        raise RasterError(f'{path}: {error}, or set crs = "EPSG:..." in [raster]') from None


def _warn_of_difference(found: str, crs: pyproj.CRS, settings: RasterSettings) -> None:
    """Log a warning if the file states another CRS than the settings."""
    with suppress(RasterError):  # the CRS of the file cannot be used: no warning, because the settings must replace it
        stated = _file_crs(found, settings.path)
        if not same_crs(stated, crs):
            _warn_once(f"{settings.path}: the file states the CRS {stated.name!r}, but crs = {settings.crs!r} is used")


@lru_cache(maxsize=64)
def _warn_once(text: str) -> None:
    """Log a warning only once, although a run opens a raster several times. Forked workers inherit the cache."""
    logger.warning("%s", text)


def _as_in_files(crs: pyproj.CRS) -> pyproj.CRS:
    """Return a CRS as GDAL reads it from a file. The result compares equal to the same CRS in a file."""
    from rasterio.crs import CRS  # noqa: PLC0415 (imports GDAL)

    return pyproj.CRS.from_wkt(CRS.from_wkt(crs.to_wkt()).to_wkt())
