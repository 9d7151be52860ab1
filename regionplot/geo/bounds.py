"""Find coordinates that are not on the earth, because such coordinates could make algorithms slow or exhaust memory."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from regionplot.geo.crs import unit_size
from regionplot.geo.extent import FULL_TURN, Extent
from regionplot.geo.linework import Geometries

_FARTHEST_LONGITUDE = 3600.0
"""Maximum absolute longitude, in degrees: ten turns. Tracks around the earth can continue beyond 360°."""
_FARTHEST_LATITUDE = 100.0
"""Maximum absolute latitude, in degrees. The edges of coarse grid cells can lie beyond the pole."""
_FARTHEST_METERS = 1e8
"""Maximum absolute coordinate in a projected CRS: two and a half times the circumference of the earth. False eastings
that contain a zone number reach 6e7.
"""
_POLE = 90.0
"""Latitude of the North Pole, in degrees."""
_STEP_DEGREES, _STEP_METERS = 0.5, 50_000.0


def on_earth(geometries: Geometries, crs: pyproj.CRS) -> NDArray[np.bool_]:
    """Return True for each geometry whose coordinates are all finite and can be on the earth.

    Parameters
    ----------
    geometries : ndarray of geometries, shape (n,)
        Geometries in the CRS.
    crs : pyproj.CRS
        A geographic or projected CRS.
    """
    coordinates, owner = shapely.get_coordinates(geometries, return_index=True)
    with np.errstate(invalid="ignore"):
        is_far = ~(np.abs(coordinates) <= _farthest(crs)).all(axis=1)
    found = np.ones(geometries.size, dtype=bool)
    found[owner[is_far]] = False
    return found


def _farthest(crs: pyproj.CRS) -> tuple[float, float]:
    if crs.is_geographic:
        return _FARTHEST_LONGITUDE, _FARTHEST_LATITUDE
    limit = _FARTHEST_METERS / unit_size(crs)
    return limit, limit


def is_near_earth(extent: Extent, crs: pyproj.CRS) -> bool:
    """Return True unless an extent is so far from the earth that drawing it would take long.

    Grids whose latitudes exceed 90° pass, because they can be drawn in their own CRS.

    Parameters
    ----------
    extent : Extent
        Extent in the CRS.
    crs : pyproj.CRS
        A geographic or projected CRS.
    """
    return max(map(abs, (extent.xmin, extent.xmax, extent.ymin, extent.ymax))) <= _farthest(crs)[0]


def is_beyond_pole(extent: Extent, crs: pyproj.CRS) -> bool:
    """Return True if all latitudes of an extent in a geographic CRS are beyond 90 degrees.

    Examples
    --------
    >>> is_beyond_pole(Extent(35, 45, -105, -95), pyproj.CRS("EPSG:4326"))
    True
    """
    pole = math.radians(_POLE) / unit_size(crs)
    return crs.is_geographic and (extent.ymin >= pole or extent.ymax <= -pole)


def within_world(extent: Extent) -> Extent:
    """Return the part of an extent in degrees that lies between the poles, at most one turn wide."""
    if extent.width > FULL_TURN:
        extent = extent.resized(FULL_TURN, extent.height)
    return Extent(extent.xmin, extent.xmax, max(extent.ymin, -_POLE), min(extent.ymax, _POLE))


def count_steps(geometries: Geometries, crs: pyproj.CRS) -> float:
    """Return the approximate number of vertices of lines, including the vertices that are added to long edges.

    Parameters
    ----------
    geometries : ndarray of geometries
        Geometries in the CRS.
    crs : pyproj.CRS
        A geographic or projected CRS.
    """
    step = _STEP_DEGREES if crs.is_geographic else _STEP_METERS / unit_size(crs)
    return float(shapely.length(geometries).sum() / step + shapely.get_num_coordinates(geometries).sum())
