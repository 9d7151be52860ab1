"""Boxes around a point, with a size in kilometers."""

from __future__ import annotations

import math

from regionplot.errors import RegionError
from regionplot.geo.centered import centered_crs
from regionplot.geo.extent import FULL_TURN, LONLAT, Extent

_KILOMETERS_PER_DEGREE = math.radians(1) * 6371.0088
"""Length of a degree of latitude on a sphere with the mean radius of the earth (IUGG,
https://doi.org/10.1007/s001900050278)."""
_HIGH = 80.0
"""Latitude beyond which a box in degrees would be much wider on one side than on the other."""
_LARGEST = 16_000.0
"""Largest size in kilometers of a box near a pole."""
_METERS = 1000.0


def kilometers_to_degrees(kilometers: float, latitude: float = 0.0) -> float:
    """Return a distance along a parallel in degrees of longitude. At latitude 0, these are degrees of latitude, too.

    Examples
    --------
    >>> round(kilometers_to_degrees(111.2, 60), 2)
    2.0
    """
    return kilometers / (_KILOMETERS_PER_DEGREE * math.cos(math.radians(latitude)))


def box_around(longitude: float, latitude: float, width: float, height: float) -> tuple[Extent, str]:
    """Return the extent of a box around a point, and its CRS.

    The extent is in degrees, and has the width at the latitude of the point. If it reaches beyond 80° of latitude, the
    extent is in a Lambert azimuthal equal-area projection around the point, because a box in degrees would be much
    larger than its size.

    Parameters
    ----------
    longitude, latitude : float
        The center in degrees.
    width, height : float
        Size in kilometers.

    Raises
    ------
    RegionError
        If the box is larger than the earth.

    Examples
    --------
    >>> str(box_around(-105, 40, 200, 100)[0])
    'x -106.174 to -103.826, y 39.55034 to 40.44966'
    >>> box_around(20, 88, 800, 800)[1].split(" +datum")[0]
    '+proj=laea +lat_0=88 +lon_0=20'
    """
    half_height = kilometers_to_degrees(height) / 2
    if abs(latitude) + half_height > _HIGH:
        if max(width, height) > _LARGEST:
            raise RegionError(
                f"{max(width, height):g} km are more than the largest region near a pole, {_LARGEST:g} km"
            )
        half_x, half_y = width * _METERS / 2, height * _METERS / 2
        return Extent(-half_x, half_x, -half_y, half_y), _crs_around(longitude, latitude)
    half_width = kilometers_to_degrees(width, latitude) / 2
    if half_width > FULL_TURN / 2:
        raise RegionError(
            f"{width:g} km is more than once around the earth at latitude {latitude:g}; use a smaller width"
        )
    limits = longitude - half_width, longitude + half_width, latitude - half_height, latitude + half_height
    return Extent(*limits), LONLAT


def _crs_around(longitude: float, latitude: float) -> str:
    numbers = (f"{round(number, 4) + 0.0:.15g}" for number in (latitude, longitude))
    return str(centered_crs("+proj=laea +lat_0={} +lon_0={}".format(*numbers)).srs)
