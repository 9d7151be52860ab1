"""Add a margin to the extent of a region."""

from __future__ import annotations

from regionplot.errors import ConfigError
from regionplot.geo.bounds import within_world
from regionplot.geo.boxes import kilometers_to_degrees
from regionplot.geo.centered import parse_centered
from regionplot.geo.charts import has_degrees
from regionplot.geo.crs import unit_size
from regionplot.geo.extent import FULL_TURN, LONLAT, Extent
from regionplot.geo.foreign_crs import parse_code
from regionplot.settings.regions import parse_margin

_POLE = 90.0


def with_margin(extent: Extent, crs: str | None, margin: str) -> Extent:
    """Return an extent with a margin on each side. Extents in degrees stay within the poles and one turn.

    Parameters
    ----------
    extent : Extent
        Extent of a region.
    crs : str or None
        Code of the CRS of the extent. None is the CRS of the map.
    margin : str
        A percentage of the longer side, such as `10%`, or a distance, such as `25 km`.

    Raises
    ------
    ValueError
        If the margin is not valid, or it is a distance and the extent has no CRS.
    ConfigError
        If PROJ does not know the CRS.
    """
    size, unit = parse_margin(margin)
    if not size:
        return extent
    if unit == "km" and crs is None:
        raise ValueError(f"a margin of {margin} needs limits in degrees or a column crs; write the margin in percent")
    dx, dy = _distances(extent, crs, size, unit)
    wider = extent.resized(extent.width + 2 * dx, extent.height + 2 * dy)
    return within_world(wider) if crs is not None and in_degrees(crs) else wider


def with_margin_in_kilometers(width: float, height: float, margin: str) -> tuple[float, float]:
    """Return a size in kilometers with a margin on each side. The margin is as for `with_margin`."""
    size, unit = parse_margin(margin)
    distance = max(width, height) * size / 100 if unit == "%" else size
    return width + 2 * distance, height + 2 * distance


def _distances(extent: Extent, crs: str | None, size: float, unit: str) -> tuple[float, float]:
    """Return a margin along x and along y, in the units of the CRS."""
    if unit == "%":
        distance = max(extent.width, extent.height) * size / 100
        return distance, distance
    assert crs is not None, "with_margin checks this"
    if not in_degrees(crs):
        distance = size * 1000 / unit_size(parse_centered(crs) or parse_code(crs))
        return distance, distance
    dy = kilometers_to_degrees(size)
    farthest = min(max(abs(extent.ymin), abs(extent.ymax)), _POLE - dy)
    return min(kilometers_to_degrees(size, max(farthest, 0.0)), FULL_TURN), dy


def in_degrees(crs: str) -> bool:
    """Return True for a CRS of longitude and latitude. Return False for text that is not a CRS."""
    try:
        return crs == LONLAT or has_degrees(parse_code(crs))
    except ConfigError:
        return False
