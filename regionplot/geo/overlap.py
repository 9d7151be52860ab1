"""Check whether a grid and an extent overlap, for messages."""

from __future__ import annotations

import numpy as np
import pyproj

from regionplot.geo.crs import Floats, same_crs, transformer, unwrap
from regionplot.geo.extent import Extent
from regionplot.geo.grid import GridGeometry

_POINTS = 65
"""Number of points along each side of the grid and of the extent."""


def has_cells_in(geometry: GridGeometry, extent: Extent, crs: pyproj.CRS) -> bool:
    """Return True if cells of a grid lie within an extent in a CRS.

    Sample points of the grid and of the extent are tested, so a small overlap can be missed.
    """
    columns, rows = _mesh(Extent(0, geometry.width, 0, geometry.height))
    x, y = _transformed(*geometry.coordinates(columns, rows), geometry.crs, crs, extent.center[0])
    if _within(x, y, extent):
        return True
    x, y = _transformed(*_mesh(extent), crs, geometry.crs, geometry.extent.center[0])
    return _within(*geometry.columns_and_rows(x, y), Extent(0, geometry.width, 0, geometry.height))


def _mesh(extent: Extent) -> tuple[Floats, Floats]:
    x, y = np.meshgrid(np.linspace(extent.xmin, extent.xmax, _POINTS), np.linspace(extent.ymin, extent.ymax, _POINTS))
    return x, y


def _transformed(x: Floats, y: Floats, source: pyproj.CRS, target: pyproj.CRS, near: float) -> tuple[Floats, Floats]:
    """Return points in another CRS. Longitudes are near a given longitude."""
    if not same_crs(source, target):
        x, y = transformer(source, target).transform(x, y)
    with np.errstate(invalid="ignore"):
        return (unwrap(x, near) if target.is_geographic else x), y


def _within(x: Floats, y: Floats, extent: Extent) -> bool:
    with np.errstate(invalid="ignore"):
        inside = (x > extent.xmin) & (x < extent.xmax) & (y > extent.ymin) & (y < extent.ymax)
    return bool(inside.any())
