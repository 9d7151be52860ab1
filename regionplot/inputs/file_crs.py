"""Find the CRS of a raster file: the file states it, or the settings do."""

from __future__ import annotations

from typing import Any

import pyproj

from regionplot.errors import ConfigError, RasterError
from regionplot.geo.crs import parse_crs
from regionplot.geo.foreign_crs import drawable_crs
from regionplot.settings.raster import RasterSettings


def stated_crs(dataset: Any, settings: RasterSettings) -> pyproj.CRS | None:
    """Return the CRS of a file. If the file has no CRS of a map, return the CRS of the settings, which can be None.

    Parameters
    ----------
    dataset : rasterio.DatasetReader
        The file, or a subdataset of it.
    settings : RasterSettings
        Path and CRS of the raster.

    Raises
    ------
    RasterError
        If the CRS of the file is not the CRS of a map, and the settings state none.
    """
    if dataset.crs:
        try:
            return drawable_crs(dataset.crs.to_wkt())
        except ConfigError as error:
            if not settings.crs:
                raise RasterError(f'{settings.path}: {error}, or set crs = "EPSG:..." in [raster]') from None
    return _as_in_files(parse_crs(settings.crs)) if settings.crs else None


def _as_in_files(crs: pyproj.CRS) -> pyproj.CRS:
    """Return a CRS as GDAL reads it from a file. The result compares equal to the same CRS in a file."""
    from rasterio.crs import CRS  # noqa: PLC0415 (imports GDAL)

    return pyproj.CRS.from_wkt(CRS.from_wkt(crs.to_wkt()).to_wkt())
