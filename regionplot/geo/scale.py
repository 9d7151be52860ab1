"""The scale of a map."""

from __future__ import annotations

import pyproj

from regionplot.geo.crs import unit_size
from regionplot.geo.extent import PanelGrid

_DEGREE = 111_195.0
"""Length of a degree of latitude in meters."""


def meters_per_pixel(panel: PanelGrid, crs: pyproj.CRS) -> float:
    """Return the height of a pixel of a panel in meters, where the projection is true to scale.

    Examples
    --------
    >>> from regionplot.geo.extent import Extent
    >>> meters_per_pixel(PanelGrid(Extent(0, 10, 40, 50), 100, 100), pyproj.CRS.from_epsg(4326))
    11119.5
    """
    return panel.pixel_height * (_DEGREE if crs.is_geographic else unit_size(crs))
