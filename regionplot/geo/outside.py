"""Find the part of a panel that lies outside a grid, and the edge of the grid."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely import affinity

from regionplot.geo.centered import CenteredCRS
from regionplot.geo.charts import cut_meridian, has_degrees
from regionplot.geo.crs import transformer
from regionplot.geo.extent import FULL_TURN, PanelGrid
from regionplot.geo.grid import GridGeometry

_STEPS = 64
"""Number of vertices along each side of a grid."""
_INNER = np.array([0.02, 0.5, 0.98])
"""Places along the rows and columns of a grid whose points must lie inside the outline on the map."""
_POLE = 90.0
_BESIDE_CUT = 1e-7
"""Degrees between the meridian at which a map of the world is cut, and the outline of the grid."""
_SAMPLES = 21
"""Number of columns, and of rows, of points of a panel where an outline is checked."""
_SAMPLES_APART = 2.0
"""Pixels from an outline within which points are not checked."""
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
        Without areas if the panel lies in the grid. Also without areas if the outline of the grid is not a simple
        polygon on the map, for example because the map breaks it at a meridian.
    """
    extent = panel.extent
    box = shapely.box(extent.xmin, extent.ymin, extent.xmax, extent.ymax)
    is_round = grid.columns_per_turn is not None and grid.width > grid.columns_per_turn - 1
    outline = _round_outline(grid, panel, crs) if is_round else _outline(grid, crs)
    if outline is None or shapely.contains(outline, box):
        return NOTHING
    areas = shapely.get_parts(shapely.difference(box, outline))
    areas = areas[shapely.area(areas) > panel.pixel_width * panel.pixel_height]
    edges = shapely.get_parts(shapely.line_merge(shapely.intersection(shapely.boundary(outline), box)))
    return Outside(areas, edges[shapely.length(edges) > 0])


def _round_outline(grid: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> shapely.Geometry | None:
    """Return the outline of a grid that spans 360°: two parallels, and on a projected map also two meridians.

    Return None if the map does not show the earth between two meridians, but around a pole, for example.
    """
    south, north = np.clip([grid.extent.ymin, grid.extent.ymax], -_POLE, _POLE)
    if isinstance(crs, CenteredCRS):  # it is never used for the whole earth
        return None
    if has_degrees(crs):
        return shapely.box(panel.extent.xmin, south, panel.extent.xmax, north)
    west = cut_meridian(grid.crs, crs)
    ring = _sides(west + _BESIDE_CUT, west + FULL_TURN - _BESIDE_CUT, north, south)
    points = np.column_stack(transformer(grid.crs, crs).transform(*ring))
    if not np.isfinite(points).all():
        return None
    outline = shapely.Polygon(points)
    return outline if outline.is_valid and _agrees(outline, grid, panel, crs) else None


def _agrees(outline: shapely.Polygon, grid: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> bool:
    """Return True if an outline contains the sample points of a panel that lie in a grid around the earth."""
    extent, margin = panel.extent, _SAMPLES_APART * max(panel.pixel_width, panel.pixel_height)
    columns, rows = np.linspace(extent.xmin, extent.xmax, _SAMPLES), np.linspace(extent.ymin, extent.ymax, _SAMPLES)
    x, y = (axis.ravel() for axis in np.meshgrid(columns, rows))
    longitude, latitude = transformer(crs, grid.crs).transform(x, y)
    back_x, back_y = transformer(grid.crs, crs).transform(longitude, latitude)
    is_on_earth = np.hypot(back_x - x, back_y - y) < margin
    in_grid = is_on_earth & (grid.extent.ymin <= latitude) & (latitude <= grid.extent.ymax)
    points = shapely.points(x, y)
    is_inside = shapely.contains(outline, points)
    is_near = shapely.distance(shapely.boundary(outline), points) < margin
    return bool((is_near | (in_grid == is_inside)).all())


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
    column, row = _sides(0, grid.width, 0, grid.height)
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


def _sides(left: float, right: float, first: float, last: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return points along the four sides of a rectangle, as two coordinates. The sides begin at (left, first)."""
    share, ones = np.arange(_STEPS) / _STEPS, np.ones(_STEPS)
    across = np.concatenate([share, ones, 1 - share, 0 * ones])
    along = np.concatenate([0 * ones, share, ones, 1 - share])
    return left + (right - left) * across, first + (last - first) * along
