"""Measure lengths on the ground."""

from __future__ import annotations

import math

import pyproj

from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import LONLAT, PanelGrid

_SAMPLE = 100
"""Number of pixels over which a distance is measured."""


def meters_per_pixel(crs: pyproj.CRS, panel: PanelGrid) -> float:
    """Return the length of a pixel on the ellipsoid at the center of a panel, along its rows. NaN if it is unknown.

    Parameters
    ----------
    crs : pyproj.CRS
        CRS of the map.
    panel : PanelGrid
        The panel.
    """
    extent, geod = panel.extent, crs.get_geod()
    x, y = (extent.xmin + extent.xmax) / 2, (extent.ymin + extent.ymax) / 2
    reach = min(_SAMPLE, panel.width) / 2 * panel.pixel_width
    longitudes, latitudes = transformer(crs, parse_crs(LONLAT)).transform([x - reach, x + reach], [y, y])
    if geod is None or not all(map(math.isfinite, (*longitudes, *latitudes))):
        return math.nan
    meters = geod.inv(longitudes[0], latitudes[0], longitudes[1], latitudes[1])[2]
    return float(meters) * panel.pixel_width / (2 * reach)
