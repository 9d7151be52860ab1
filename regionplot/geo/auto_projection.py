"""Choose a projection that is centered on a region, so that north is up in the middle of its map.

The choice depends on the limits of the region in degrees, in this order:

1. near a pole: polar stereographic
2. most of the globe: longitude and latitude
3. around the equator: Mercator
4. elsewhere: Lambert conformal conic, with the standard parallels at 1/6 and 5/6 of the height of the region
   (J. P. Snyder, Map Projections: A Working Manual, 1987, pp. 99 and 104)
"""

from __future__ import annotations

import pyproj

from regionplot.geo.centered import centered_crs
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import FULL_TURN, LONLAT, Extent

AUTO = "auto"
"""Value of `[map] projection` for a projection that is centered on each region."""
_POLAR_EDGE, _POLAR_MIDDLE = 80.0, 70.0
"""A region is near a pole if its limit or its middle is beyond one of these latitudes."""
_SAME_SIDE = 5.0
"""Degrees that a region near a pole can extend beyond the equator."""
_CAP = 20.0
"""Latitude of the lower limit of a region with more than half of all longitudes that is a polar cap."""
_WIDEST, _TALLEST = 180.0, 120.0
"""Degrees of longitude and of latitude of the largest region that is not drawn in degrees."""
_TROPICS, _MERCATOR = 12.0, 60.0
"""Latitude of the middle of regions around the equator, and the highest latitude on their maps."""
_PARALLELS = 1 / 6
_STANDARD = 60.0
"""Lowest latitude of true scale of a polar stereographic projection."""
_POLE = 90.0


def auto_projection(limits: Extent, middle: float | None = None) -> pyproj.CRS:
    """Return the CRS of the map of a region.

    Parameters
    ----------
    limits : Extent
        Limits of the region in degrees. Longitudes can lie beyond 180.
    middle : float, optional
        Longitude of the line from the pole to the lower edge of the map, if the region contains a pole. By default,
        the longitude of the middle of the limits.

    Examples
    --------
    >>> auto_projection(Extent(-109.05, -102.05, 37, 41)).srs.split(" +datum")[0]
    '+proj=lcc +lat_0=39 +lat_1=37.67 +lat_2=40.33 +lon_0=-105.55'
    """
    south, north = max(limits.ymin, -_POLE), min(limits.ymax, _POLE)
    latitude = (south + north) / 2
    longitude = _rounded(_normal(limits.center[0] if middle is None else middle))
    if pole := _pole(south, north, limits.width):
        standard = _rounded(max(abs(latitude), _STANDARD) * pole)
        return centered_crs(f"+proj=stere +lat_0={90 * pole} +lat_ts={standard} +lon_0={longitude}")
    if limits.width > _WIDEST or north - south > _TALLEST:
        return parse_crs(LONLAT)
    if abs(latitude) <= _TROPICS or _is_across_equator(south, north):
        if max(abs(south), abs(north)) > _MERCATOR:
            return parse_crs(LONLAT)
        return centered_crs(f"+proj=merc +lat_ts={_rounded(abs(latitude))} +lon_0={longitude}")
    inset = _PARALLELS * (north - south)
    parallels = f"+lat_1={_rounded(south + inset)} +lat_2={_rounded(north - inset)}"
    return centered_crs(f"+proj=lcc +lat_0={_rounded(latitude)} {parallels} +lon_0={longitude}")


def _pole(south: float, north: float, width: float) -> int:
    """Return 1 or -1 if the map of a region shows the North or the South Pole. Otherwise, return 0."""
    for pole, near, far in ((1, north, south), (-1, -south, -north)):
        is_near = near > _POLAR_EDGE or (near + far) / 2 > _POLAR_MIDDLE or (width > _WIDEST and far >= _CAP)
        if is_near and far >= -_SAME_SIDE:
            return pole
    return 0


def _is_across_equator(south: float, north: float) -> bool:
    """Return True if more than a sixth of a region lies on each side of the equator."""
    return min(-south, north) > _PARALLELS * (north - south)


def _normal(longitude: float) -> float:
    """Return a longitude from -180 to 180."""
    return (longitude + FULL_TURN / 2) % FULL_TURN - FULL_TURN / 2


def _rounded(degrees: float) -> str:
    """Return degrees as text. An error of 0.005 degrees turns a map by less than a pixel."""
    return f"{round(degrees, 2) + 0.0:.15g}"  # no negative zero
