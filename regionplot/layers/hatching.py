"""Hatching of areas: parallel lines or dots, at fixed places of the map's CRS."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal

import numpy as np
import shapely

from regionplot.geo.contours import Floats
from regionplot.geo.joining import united
from regionplot.geo.linework import Geometries
from regionplot.sheet.marks import Markers, PanelMark, Path
from regionplot.sheet.view import View

Hatch = Literal["none", "/", "\\", "-", "|", "x", "+", "."]
_DIRECTIONS: dict[str, tuple[float, ...]] = {
    "/": (45.0,), "\\": (135.0,), "-": (0.0,), "|": (90.0,), "x": (45.0, 135.0), "+": (0.0, 90.0),
}  # fmt: skip
"""Directions of the lines in degrees, counterclockwise from the right."""
_DOT = 3.0
"""Diameter of a dot, as a multiple of the line width."""


def hatching(
    areas: Geometries, kind: str, view: View, *, spacing: float, color: str, linewidth: float
) -> Iterator[PanelMark]:
    r"""Yield the marks that hatch areas.

    Maps of the same scale have the same lines and dots where they overlap.

    Parameters
    ----------
    areas : ndarray of Polygon
        The areas in map coordinates.
    kind : {"none", "/", "\\", "-", "|", "x", "+", "."}
        The pattern.
    view : View
        The panel.
    spacing : float
        Pixels between two lines or dots.
    color : str
        Color of lines and dots.
    linewidth : float
        Line width in points.
    """
    if kind == "none" or not areas.size:
        return
    area = united(areas)
    shapely.prepare(area)
    if kind == ".":
        points = _dots(view, spacing)
        inside = points[shapely.contains_xy(area, *points.T)]
        if inside.size:
            yield Markers(inside, _DOT * linewidth, color, "none", 0.0)
        return
    for angle in _DIRECTIONS[kind]:
        lines = shapely.get_parts(shapely.intersection(shapely.linestrings(_lines(view, spacing, angle)), area))
        lines = lines[shapely.get_type_id(lines) == shapely.GeometryType.LINESTRING]
        if lines.size:
            yield Path.of_lines(lines, color, linewidth)


def _dots(view: View, spacing: float) -> Floats:
    """Return places in rows, every second row shifted, shape (n, 2)."""
    extent, panel = view.panel.extent, view.panel
    across, up = spacing * panel.pixel_width, spacing * panel.pixel_height
    rows = np.arange(math.floor(extent.ymin / up), math.ceil(extent.ymax / up) + 1)
    columns = np.arange(math.floor(extent.xmin / across) - 1, math.ceil(extent.xmax / across) + 1)
    row, column = (each.ravel() for each in np.meshgrid(rows, columns, indexing="ij"))
    return np.column_stack([(column + 0.5 * (row % 2)) * across, row * up])


def _lines(view: View, spacing: float, angle: float) -> Floats:
    """Return parallel lines across a panel in map coordinates, shape (n, 2, 2).

    The distance of each line from the origin of the map's CRS is a multiple of the spacing.
    """
    extent, panel = view.panel.extent, view.panel
    scale = np.array([panel.pixel_width, panel.pixel_height])
    corners = np.array([(x, y) for x in (extent.xmin, extent.xmax) for y in (extent.ymin, extent.ymax)]) / scale
    along = np.array([math.cos(math.radians(angle)), math.sin(math.radians(angle))])
    across = np.array([-along[1], along[0]])
    low, high = (corners @ across / spacing).min(), (corners @ across / spacing).max()
    number = np.arange(math.floor(low), math.ceil(high) + 1)
    ends = np.array([(corners @ along).min(), (corners @ along).max()])
    return np.asarray((number[:, None, None] * spacing * across + ends[:, None] * along) * scale)
