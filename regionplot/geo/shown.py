"""Project only the geometries that a map shows.

If each map has its own projection, vector layers are kept in degrees. For each map, they are clipped to a window in
degrees, and only the rest is projected.

::

    panel ─► window in degrees ─► clip (spatial index) ─► project ─► clip to the panel
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from regionplot.geo.bounds import within_world
from regionplot.geo.charts import has_degrees
from regionplot.geo.clip import SIMPLIFY, IndexedGeometries, clip_near_panel
from regionplot.geo.crs import same_crs, transformer, unit_size
from regionplot.geo.extent import FULL_TURN, Extent, PanelGrid
from regionplot.geo.joining import join_pieces
from regionplot.geo.linework import Floats, Geometries, join_segments, no_geometries, step_limit
from regionplot.geo.project import project_extent

_SAMPLES = 41
"""Number of points on each side of a panel, from which the window in degrees is found."""
_MARGIN = 0.02
"""Width of the border around a panel that also belongs to the window, as a fraction of the panel."""
_POLE = 90.0
_LINE, _POLYGON = 1, 3
"""Types of geometries in shapely."""
_METERS_PER_DEGREE = 111_320
_PRECISION = 1e-3
"""Size in meters of the grid on which the corners of joined areas lie."""


def shown_window(panel: PanelGrid, crs: pyproj.CRS, source: pyproj.CRS, reach: float = 0.0) -> Extent:
    """Return an extent in another CRS that contains everything that a panel shows.

    In degrees, longitudes are continuous: the extent can lie beyond 180. A panel with a pole needs all longitudes.

    Parameters
    ----------
    panel : PanelGrid
        The panel.
    crs, source : pyproj.CRS
        CRS of the map, and CRS of the window.
    reach : float
        Pixels around the panel that also belong to the window.

    Raises
    ------
    RegionError
        If no part of the panel can be projected.
    """
    border = [2 * max(_MARGIN * length, (reach + 1) * side) for side, length in _sides(panel)]
    extent = panel.extent.resized(panel.extent.width + border[0], panel.extent.height + border[1])
    return _window(extent, crs, source)


@lru_cache(maxsize=32)
def _window(extent: Extent, crs: pyproj.CRS, source: pyproj.CRS) -> Extent:
    if not has_degrees(source):
        return project_extent(extent, crs, source)
    longitudes, latitudes = transformer(crs, source).transform(*_edge(extent))
    middle, latitude = transformer(crs, source).transform(*extent.center)
    known = np.isfinite(longitudes) & np.isfinite(latitudes)
    if not (known.all() and math.isfinite(middle)):
        return within_world(project_extent(extent, crs, source))
    longitudes = middle + (longitudes - middle + FULL_TURN / 2) % FULL_TURN - FULL_TURN / 2
    south, north = min(latitudes.min(), latitude), max(latitudes.max(), latitude)
    poles = [pole for pole in (-_POLE, _POLE) if _contains(extent, transformer(source, crs).transform(middle, pole))]
    if poles:
        west, south, north = middle - FULL_TURN / 2, min(south, *poles), max(north, *poles)
        return Extent(west, west + FULL_TURN, float(south), float(north))
    return Extent(float(longitudes.min()), float(longitudes.max()), float(south), float(north))


def _sides(panel: PanelGrid) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the size of a pixel and of the panel, along x and along y."""
    return (panel.pixel_width, panel.extent.width), (panel.pixel_height, panel.extent.height)


def _edge(extent: Extent) -> tuple[Floats, Floats]:
    """Return points along the edge of an extent, and on the lines through its center."""
    x, y = np.linspace(extent.xmin, extent.xmax, _SAMPLES), np.linspace(extent.ymin, extent.ymax, _SAMPLES)
    rows, columns = (
        [low, middle, high] for low, middle, high in (y[[0, _SAMPLES // 2, -1]], x[[0, _SAMPLES // 2, -1]])
    )
    points = [(x, np.full(_SAMPLES, row)) for row in rows] + [(np.full(_SAMPLES, column), y) for column in columns]
    return np.concatenate([each for each, _ in points]), np.concatenate([each for _, each in points])


def _contains(extent: Extent, point: tuple[float, float]) -> bool:
    x, y = point
    return extent.xmin <= x <= extent.xmax and extent.ymin <= y <= extent.ymax


def lines_on_panel(
    index: IndexedGeometries, source: pyproj.CRS, panel: PanelGrid, crs: pyproj.CRS, reach: float = 0.0
) -> Geometries:
    """Return the lines of a layer in a panel, simplified, projected and clipped.

    The tolerance is a third of a pixel, as for `clip_to_panel`. Lines are simplified before they are projected, because
    projecting all vertices of a national map would take much longer.

    Parameters
    ----------
    index : IndexedGeometries
        Lines.
    source : pyproj.CRS
        CRS of the lines.
    panel : PanelGrid
        The panel.
    crs : pyproj.CRS
        CRS of the map.
    reach : float
        Half of the line width in pixels.
    """
    if not index.geometries.size:
        return index.geometries
    window = shown_window(panel, crs, source, reach)
    found = _clipped(index, source, window)
    found = found[shapely.get_type_id(found) == _LINE]
    simple = np.asarray(shapely.simplify(found, SIMPLIFY * _pixel_in(source, panel, crs), preserve_topology=False))
    simple = simple[shapely.length(simple) > 0]  # GEOS reduces a small ring to one point
    if not simple.size:
        return no_geometries()
    dense, coordinates, line = _with_short_steps(simple, step_limit(source))
    points = np.column_stack(transformer(source, crs).transform(*coordinates.T))
    is_known = np.isfinite(points).all(axis=1)
    if is_known.all():
        lines = np.asarray(shapely.set_coordinates(dense, points), dtype=object)
    else:
        lines = join_segments(points, (line[1:] == line[:-1]) & is_known[1:] & is_known[:-1])
    return clip_near_panel(lines, panel, reach)


def _with_short_steps(lines: Geometries, limit: float) -> tuple[Geometries, Floats, NDArray[np.intp]]:
    """Return lines with vertices at most a distance apart, their vertices, and the line of each vertex.

    Most lines need no further vertices. `segmentize` takes ten times as long as finding the others.
    """
    coordinates, line = shapely.get_coordinates(lines, return_index=True)
    is_long = (abs(np.diff(coordinates, axis=0)).max(axis=1) > limit) & (line[1:] == line[:-1])
    if not is_long.any():
        return lines, coordinates, line
    long = np.unique(line[1:][is_long])
    dense = lines.copy()
    dense[long] = shapely.segmentize(lines[long], limit)
    return (dense, *shapely.get_coordinates(dense, return_index=True))


def _pixel_in(source: pyproj.CRS, panel: PanelGrid, crs: pyproj.CRS) -> float:
    """Return the length of a pixel in the units of a CRS. In degrees, these are degrees of latitude."""
    pixel = min(panel.pixel_width, panel.pixel_height)
    meters = pixel * (_METERS_PER_DEGREE if crs.is_geographic else unit_size(crs))
    return meters / (_METERS_PER_DEGREE if source.is_geographic else unit_size(source))


def areas_on_panel(index: IndexedGeometries, source: pyproj.CRS, panel: PanelGrid, crs: pyproj.CRS) -> Geometries:
    """Return the polygons of a layer in a panel, projected, and clipped as by `areas_in_panel`.

    Parameters
    ----------
    index, source, panel, crs
        As for `lines_on_panel`, with polygons.
    """
    if not index.geometries.size:
        return index.geometries
    window = shown_window(panel, crs, source)
    projected = project_areas(_clipped(index, source, window), source, crs, window)
    return IndexedGeometries.of(projected).areas_in_panel(panel, 0.0) if projected.size else projected


def project_areas(areas: Geometries, source: pyproj.CRS, crs: pyproj.CRS, window: Extent) -> Geometries:
    """Return polygons that have been clipped to a window in map coordinates.

    If a window in degrees has all longitudes, the areas are joined, so that no gap is left where they were cut.
    """
    parts = np.asarray(shapely.get_parts(areas), dtype=object)
    parts = np.asarray(parts[shapely.get_type_id(parts) == _POLYGON], dtype=object)
    if not parts.size or same_crs(source, crs):
        return parts
    dense = shapely.segmentize(parts, step_limit(source))
    points = np.column_stack(transformer(source, crs).transform(*shapely.get_coordinates(dense).T))
    if not np.isfinite(points).all():
        usable = (
            np.bincount(shapely.get_coordinates(dense, return_index=True)[1], ~np.isfinite(points).all(axis=1)) == 0
        )
        return project_areas(parts[usable], source, crs, window) if usable.any() else no_geometries()
    projected = np.asarray(shapely.set_coordinates(dense, points), dtype=object)
    if not has_degrees(source) or window.width < FULL_TURN:
        return projected
    joined = join_pieces(np.asarray(shapely.make_valid(projected), dtype=object), _PRECISION / unit_size(crs))
    found = np.asarray(shapely.get_parts([joined]), dtype=object)
    return np.asarray(found[shapely.get_type_id(found) == _POLYGON], dtype=object)


def points_on_panel(
    points: Floats, source: pyproj.CRS, panel: PanelGrid, crs: pyproj.CRS, reach: float = 0.0
) -> Floats:
    """Return points in map coordinates, shape (n, 2). Points outside the window of the panel are NaN."""
    result = np.full(points.shape, np.nan)
    if not len(points):
        return result
    window = shown_window(panel, crs, source, reach)
    x, y = points[:, 0], points[:, 1]
    if has_degrees(source):
        x = window.xmin + (x - window.xmin) % FULL_TURN
    inside = (x >= window.xmin) & (x <= window.xmax) & (y >= window.ymin) & (y <= window.ymax)
    result[inside] = np.column_stack(transformer(source, crs).transform(x[inside], y[inside]))
    result[~np.isfinite(result).all(axis=1)] = np.nan
    return result


def _clipped(index: IndexedGeometries, source: pyproj.CRS, window: Extent) -> Geometries:
    """Return the parts of geometries in a window."""
    found = index.clip(window, FULL_TURN if has_degrees(source) else 0.0)
    parts = np.asarray(shapely.get_parts(found), dtype=object)
    return np.asarray(parts[~shapely.is_empty(parts)], dtype=object)
