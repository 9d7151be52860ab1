"""Compute the map positions of points on the earth. Leave out points that a projection cannot show."""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.enums import TransformDirection

from regionplot.geo.centered import CenteredCRS
from regionplot.geo.crs import horizontal, parse_crs, transformer, unit_size
from regionplot.geo.extent import FULL_TURN, LONLAT

Floats = NDArray[np.floating[Any]]
_RADIUS = 6_371_000.0
"""Radius of the earth in meters."""
_FARTHEST = 100.0
"""Maximum coordinate on a map, in radii of the earth."""
_INVERSE_TOLERANCE = 1e-4
"""Maximum distance, in radii of the earth, between a point and the inverse projection of its map position."""


def has_degrees(crs: pyproj.CRS) -> bool:
    """Return True if coordinates are longitude and latitude in degrees. Return False for a CRS with a rotated pole."""
    flat = horizontal(crs)
    return bool(
        flat.is_geographic and not flat.is_derived and {axis.unit_name for axis in flat.axis_info} == {"degree"}
    )


def base_of(crs: pyproj.CRS) -> pyproj.CRS:
    """Return the CRS of longitude and latitude in degrees on which a CRS is based, or WGS 84."""
    if has_degrees(crs):
        return horizontal(crs)
    base = horizontal(crs).geodetic_crs
    return base if base is not None and has_degrees(base) else parse_crs(LONLAT)


def cut_meridian(base: pyproj.CRS, target: pyproj.CRS) -> float:
    """Return the longitude in the base CRS of the left edge of most projections: 180° west of the central meridian."""
    operation = horizontal(target).coordinate_operation
    parameters = operation.params if operation else []
    central = [parameter for parameter in parameters if parameter.name.startswith("Longitude of")]
    longitude = np.degrees(float(central[0].value) * float(central[0].unit_conversion_factor)) if central else 0.0
    return float(longitude + _prime_meridian(target) - _prime_meridian(base) - FULL_TURN / 2)


def _prime_meridian(crs: pyproj.CRS) -> float:
    """Return the longitude of the prime meridian of a CRS, in degrees from Greenwich."""
    prime = crs.prime_meridian
    return float(np.degrees(prime.longitude * float(prime.unit_conversion_factor))) if prime else 0.0


class Charts:
    """Functions from longitude and latitude to positions on one or several maps.

    Parameters
    ----------
    base : pyproj.CRS
        CRS of the longitudes and latitudes, in degrees.
    maps : sequence of pyproj.CRS
        CRSs of the maps.
    """

    def __init__(self, base: pyproj.CRS, *maps: pyproj.CRS) -> None:
        self.base = base
        self.maps = maps

    def __call__(self, points: Floats) -> Floats:
        """Return the positions of points on the maps, in radii of the earth.

        Parameters
        ----------
        points : ndarray, shape (n, 2)
            Longitude and latitude in degrees.

        Returns
        -------
        ndarray, shape (n, 2 * number of maps)
            x and y on each map. NaN if one of the maps cannot show the point, or if the inverse projection of a
            position gives another point.
        """
        positions = np.hstack([self._position(points, crs) for crs in self.maps])
        positions[np.isnan(positions).any(axis=1)] = np.nan
        return positions

    def _position(self, points: Floats, crs: pyproj.CRS) -> Floats:
        operation = transformer(self.base, crs)
        x, y = operation.transform(points[:, 0], points[:, 1])
        position = np.column_stack([x, y]) * _unit(crs)
        usable = np.isfinite(position).all(axis=1) & (abs(position) < _FARTHEST).all(axis=1)
        with suppress(pyproj.exceptions.ProjError):  # some projections have no inverse
            back = operation.transform(x, y, direction=TransformDirection.INVERSE)
            usable &= _separation(points, np.column_stack(back)) < _INVERSE_TOLERANCE
        position[~usable] = np.nan
        return position


def drop_folded(points: Floats, positions: Floats, source: pyproj.CRS, target: pyproj.CRS) -> Floats:
    """Return positions with NaN for each position that belongs to another point of the earth.

    Some formulas, such as Krovak or the oblique Mercator projection of Switzerland, give two points of the earth the
    same position. The inverse projection gives one of the points. The other point is not on the map.

    Parameters
    ----------
    points, positions : ndarray, shape (n, 2)
        Coordinates of points in the source CRS, and their positions in the target CRS.
    source, target : pyproj.CRS
        The two CRSs.
    """
    if not len(points) or isinstance(target, CenteredCRS) or not _is_folded(target):
        return positions
    base = base_of(target)
    own = np.column_stack(transformer(source, base).transform(*points.T))
    return np.where(_is_another(own, positions, base, target)[:, None], np.nan, positions)


@lru_cache(maxsize=16)
def _is_folded(crs: pyproj.CRS) -> bool:
    """Return True if the formula of a CRS gives some points of the earth the same position."""
    base = base_of(crs)
    if has_degrees(crs):
        return False
    longitudes, latitudes = np.meshgrid(np.arange(-177.0, 180.0, 6.0), np.arange(-87.0, 90.0, 6.0))
    points = np.column_stack([longitudes.ravel(), latitudes.ravel()])
    positions = np.column_stack(transformer(base, crs).transform(*points.T))
    return bool(_is_another(points, positions, base, crs).any())


def _is_another(points: Floats, positions: Floats, base: pyproj.CRS, crs: pyproj.CRS) -> NDArray[np.bool_]:
    """Return True for each position whose inverse projection is another point than the given point."""
    try:
        back = transformer(base, crs).transform(positions[:, 0], positions[:, 1], direction=TransformDirection.INVERSE)
    except pyproj.exceptions.ProjError:  # some projections have no inverse
        return np.zeros(len(points), dtype=bool)
    distance = _separation(points, np.column_stack(back))
    return np.asarray(np.isfinite(distance) & (distance > _INVERSE_TOLERANCE))


def _unit(crs: pyproj.CRS) -> float:
    """Return the size of a unit of a CRS, in radii of the earth."""
    return unit_size(crs) if crs.is_geographic else unit_size(crs) / _RADIUS


def _separation(one: Floats, other: Floats) -> Floats:
    """Return the distances of points on a sphere of radius 1, or infinity for a point that is not finite."""
    with np.errstate(invalid="ignore"):
        (x, y, z), (other_x, other_y, other_z) = _vectors(one), _vectors(other)
        distance = np.sqrt((x - other_x) ** 2 + (y - other_y) ** 2 + (z - other_z) ** 2)
    return np.asarray(np.where(np.isfinite(distance), distance, np.inf))


def _vectors(points: Floats) -> tuple[Floats, Floats, Floats]:
    longitude, latitude = np.radians(points).T
    return np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude)
