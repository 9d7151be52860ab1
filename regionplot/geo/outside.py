"""Find the part of a panel that lies outside a grid, and the edge of the grid."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely import affinity

from regionplot.geo.crs import transformer
from regionplot.geo.extent import FULL_TURN, PanelGrid
from regionplot.geo.grid import GridGeometry

_STEPS = 64
"""Number of vertices along each side of a grid."""
_INNER = np.array([0.02, 0.5, 0.98])
"""Places along the rows and columns of a grid whose points must lie inside the outline on the map."""
Geometries = NDArray[np.object_]


class Outside(NamedTuple):
    """The part of a panel outside a grid, in map coordinates."""

    areas: Geometries
    """Polygons."""
    edges: Geometries
    """LineStrings: the edge of the grid in the panel."""


NOTHING = Outside(np.empty(0, object), np.empty(0, object))


@lru_cache(maxsize=4)
def outside_of(grid: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> Outside:
    """Return the part of a panel outside a grid.

    Parameters
    ----------
    grid : GridGeometry
        The grid.
    panel : PanelGrid
        The panel, in map coordinates.
    crs : pyproj.CRS
        CRS of the map.

    Returns
    -------
    Outside
        Without areas if the panel lies in the grid. Also without areas if the grid spans 360°, or if its outline is not
        a simple polygon on the map, for example because the map breaks it at a meridian.
    """
    extent = panel.extent
    box = shapely.box(extent.xmin, extent.ymin, extent.xmax, extent.ymax)
    is_round = grid.columns_per_turn is not None and grid.width > grid.columns_per_turn - 1
    outline = None if is_round else _outline(grid, crs)
    if outline is None or shapely.contains(outline, box):
        return NOTHING
    areas = shapely.get_parts(shapely.difference(box, outline))
    areas = areas[shapely.area(areas) > panel.pixel_width * panel.pixel_height]
    edges = shapely.get_parts(shapely.line_merge(shapely.intersection(shapely.boundary(outline), box)))
    return Outside(areas, edges[shapely.length(edges) > 0])


def dashed(lines: Geometries, dash: float, gap: float) -> Geometries:
    """Cut lines into dashes.

    Parameters
    ----------
    lines : ndarray of LineString
        The lines.
    dash, gap : float
        Length of a dash, and of the gap after it, in the units of the lines.

    Examples
    --------
    >>> dashes = dashed(np.array([shapely.LineString([(0, 0), (10, 0)])]), 3, 2)
    >>> shapely.length(dashes).tolist()
    [3.0, 3.0]
    """
    found = []
    for line in lines:
        starts = np.arange(0, shapely.length(line) - dash / 2, dash + gap)
        points = shapely.line_interpolate_point(line, np.column_stack([starts, starts + dash]))
        found.append(shapely.linestrings(shapely.get_coordinates(points).reshape(-1, 2, 2)))
    return np.concatenate([np.empty(0, object), *found])


def _outline(grid: GridGeometry, crs: pyproj.CRS) -> shapely.Geometry | None:
    """Return the outline of a grid on a map. Return None if it is not simple there."""
    share = np.arange(_STEPS) / _STEPS
    column = np.concatenate([share, np.ones(_STEPS), 1 - share, np.zeros(_STEPS)]) * grid.width
    row = np.concatenate([np.zeros(_STEPS), share, np.ones(_STEPS), 1 - share]) * grid.height
    inner = np.meshgrid(_INNER * grid.width, _INNER * grid.height)
    to_map = transformer(grid.crs, crs)
    x, y = to_map.transform(*grid.coordinates(column, row))
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    outline = shapely.Polygon(np.column_stack([x, y]))
    points = shapely.points(*to_map.transform(*grid.coordinates(inner[0].ravel(), inner[1].ravel())))
    if not (shapely.is_valid(outline) and shapely.contains(outline, points).all()):
        return None
    turns = (-FULL_TURN, 0.0, FULL_TURN) if crs.is_geographic else (0.0,)
    return shapely.union_all([affinity.translate(outline, turn) for turn in turns])
