"""Choose the CRS of the map of a region: the CRS of the run, or a CRS for this region."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

import pyproj

from regionplot.errors import ConfigError, RegionError
from regionplot.geo.auto_projection import AUTO, auto_projection
from regionplot.geo.cartopy import RASTER, parse_projection
from regionplot.geo.crs import is_drawable, not_drawable, parse_crs, transformer
from regionplot.geo.extent import LONLAT, Extent
from regionplot.geo.foreign_crs import parse_code
from regionplot.geo.project import project_extent
from regionplot.geo.region import Region
from regionplot.geo.upright import upright
from regionplot.sheet.view import axes_of

_POLE = 89.0
"""Latitude beyond which limits contain a pole."""


def have_own_projections(setting: str | Mapping[str, Any], regions: Iterable[Region] = ()) -> bool:
    """Return True if maps can have different projections. `setting` is `[map] projection`."""
    return setting == AUTO or any(region.projection for region in regions)


def projection_of(region: Region, setting: str | Mapping[str, Any], raster: pyproj.CRS) -> pyproj.CRS:
    """Return the CRS of the map of a region.

    Parameters
    ----------
    region : Region
        The region. Its own projection takes precedence.
    setting : str or mapping
        `[map] projection`.
    raster : pyproj.CRS
        CRS of the raster.

    Raises
    ------
    RegionError
        If the projection of the region is unknown, or if the limits of the region cannot be converted to degrees.
    """
    choice = region.projection or setting
    if choice == AUTO:
        return _auto(region)
    if choice == RASTER:
        return raster
    return _of_code(region.projection) if region.projection else parse_projection(setting) or raster


def _auto(region: Region) -> pyproj.CRS:
    if region.crs is None:
        raise RegionError(
            "the projection is centered on the region (auto), so limits in map units need a CRS; name it in the column "
            "crs"
        )
    axes = axes_of(region, parse_crs(LONLAT))
    return _centered(axes.extent(region.extent), axes.crs)


@lru_cache(maxsize=4096)
def _centered(extent: Extent, crs: pyproj.CRS) -> pyproj.CRS:
    """Return the centered projection for an extent in a CRS."""
    lonlat = parse_crs(LONLAT)
    try:
        limits = project_extent(extent, crs, lonlat)
    except ConfigError as error:
        raise RegionError(str(error)) from None
    if crs.is_geographic or max(-limits.ymin, limits.ymax) < _POLE:
        return auto_projection(limits)
    x, y = extent.center[0], extent.ymin if limits.ymax >= _POLE else extent.ymax
    longitude = float(transformer(crs, lonlat).transform(x, y)[0])
    return auto_projection(limits, longitude if math.isfinite(longitude) else None)


@lru_cache(maxsize=64)
def _of_code(code: str) -> pyproj.CRS:
    try:
        crs = parse_code(code)
    except ConfigError as error:
        raise RegionError(f"column 'projection': {error}, or auto, or raster") from None
    if not is_drawable(crs):
        raise RegionError(f"column 'projection': {not_drawable(crs)}")
    return upright(crs).crs


def crs_name(crs: pyproj.CRS) -> str:
    """Return the code of a CRS, such as `EPSG:4326`, or its name if it has no code."""
    code = crs.to_authority()
    return crs.name if code is None else ":".join(code)
