"""Find the borders of polygons along the edges of the world.

These borders are not drawn, because they are only cuts.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.geo.charts import Charts, Floats, base_of, cut_meridian, has_degrees
from regionplot.geo.crs import transformer
from regionplot.geo.extent import FULL_TURN

Bools = NDArray[np.bool_]
_ANTIMERIDIAN = FULL_TURN / 2
_POLE = 90.0
_MERCATOR_EDGE = 85.0511287798066
"""Latitude of the edges of the square in which Web Mercator shows the world."""
_TOLERANCE, _PROJECTED_TOLERANCE = 1e-7, 1e-5
"""A vertex counts as on an edge up to this distance from the edge, in degrees: for layers in degrees, and for projected
layers.
"""
_NEAR_MERIDIAN = 1.0
"""Maximum distance in degrees between a meridian and the middle of a step along the meridian. In a projected layer, the
step is a chord of a curve.
"""
_PIECES, _POINTS_PER_PIECE = 36, 16
"""Number of pieces of each edge, and number of points of each piece."""


def along_world_edge(coordinates: Floats, source: pyproj.CRS) -> Bools:
    """Return True for each step between consecutive vertices along an edge of the world.

    The edges are the antimeridian, the left and right edge of the projection of the vertices, the poles, and the
    parallels that bound the square of Web Mercator. If a layer in degrees spans exactly 360°, its first and its last
    meridian are edges.

    Parameters
    ----------
    coordinates : ndarray, shape (n, 2)
        Vertices of polygons.
    source : pyproj.CRS
        CRS of the vertices.
    """
    return _along_edge_in_degrees(coordinates) if has_degrees(source) else _along_edge_in_plane(coordinates, source)


def _on_edge_at_both_ends(is_on_edge: Bools) -> Bools:
    """Return True for each step whose two ends are on an edge."""
    return is_on_edge[:-1] & is_on_edge[1:]


def _on_parallels(latitudes: Floats, tolerance: float) -> list[Bools]:
    parallels = (_POLE, -_POLE, _MERCATOR_EDGE, -_MERCATOR_EDGE)
    return [np.asarray(abs(latitudes - latitude) < tolerance) for latitude in parallels]


def _along_edge_in_degrees(coordinates: Floats) -> Bools:
    meridians = {-_ANTIMERIDIAN, _ANTIMERIDIAN}
    if len(coordinates):
        west, east = float(coordinates[:, 0].min()), float(coordinates[:, 0].max())
        meridians |= {west, east} if abs(east - west - FULL_TURN) < _TOLERANCE else set()
    on_edges = _on_parallels(coordinates[:, 1], _TOLERANCE)
    on_edges += [np.asarray(abs(coordinates[:, 0] - longitude) < _TOLERANCE) for longitude in meridians]
    return np.asarray(np.any([_on_edge_at_both_ends(is_on_edge) for is_on_edge in on_edges], axis=0))


def _along_edge_in_plane(coordinates: Floats, source: pyproj.CRS) -> Bools:
    """Return the steps along an edge of the world in a projected layer.

    Vertices far from the edges are not transformed. If a pole is a point of the plane, the pole lies on each meridian.
    """
    edges = _edges_in_plane(source)
    points = np.full(coordinates.shape, np.nan)
    near = _near(coordinates, edges.boxes)
    if near.size:
        points[near] = np.column_stack(transformer(source, edges.base).transform(*coordinates[near].T))
    on_parallels = _on_parallels(points[:, 1], _PROJECTED_TOLERANCE)
    is_on_all = on_parallels[0] | on_parallels[1]  # poles
    is_on_all[near] |= ~np.isfinite(points[near]).all(axis=1)  # the edge itself can lie just outside the projection
    found = np.asarray(np.any([_on_edge_at_both_ends(is_on_edge) for is_on_edge in on_parallels], axis=0))
    for longitude in edges.meridians:
        step = np.flatnonzero(
            _on_edge_at_both_ends((_turned(points[:, 0], longitude) < _PROJECTED_TOLERANCE) | is_on_all)
        )
        if step.size:  # a step from the left edge to the right edge is a border
            middle = (coordinates[step] + coordinates[step + 1]) / 2
            at, _ = transformer(source, edges.base).transform(*middle.T)
            found[step[_turned(at, longitude) < _NEAR_MERIDIAN]] = True
    return found


def _turned(longitudes: Floats, longitude: float) -> Floats:
    """Return the distances of longitudes from a longitude, in degrees."""
    with np.errstate(invalid="ignore"):
        return np.asarray(abs((longitudes - longitude + _ANTIMERIDIAN) % FULL_TURN - _ANTIMERIDIAN))


class _Edges(NamedTuple):
    """The edges of the world in the plane of a projected layer."""

    base: pyproj.CRS
    meridians: list[float]
    boxes: list[tuple[Floats, Floats]]
    """Bounds of short pieces of the edges."""


@lru_cache(maxsize=16)
def _edges_in_plane(source: pyproj.CRS) -> _Edges:
    base = base_of(source)
    seam = (cut_meridian(base, source) + _ANTIMERIDIAN) % FULL_TURN - _ANTIMERIDIAN
    cuts = {_ANTIMERIDIAN} | ({seam} if _is_torn(base, source, seam) else set())
    return _Edges(base, sorted(cuts), list(_boxes(base, source, sorted(cuts))))


def _near(coordinates: Floats, boxes: list[tuple[Floats, Floats]]) -> NDArray[np.intp]:
    """Return the indices of the vertices that lie in at least one box. Most layers overlap few or no boxes."""
    if not len(coordinates):
        return np.zeros(0, np.intp)
    first, last = coordinates.min(axis=0), coordinates.max(axis=0)
    is_near = np.zeros(len(coordinates), bool)
    x, y = np.ascontiguousarray(coordinates.T)
    for low, high in boxes:
        if (low <= last).all() and (high >= first).all():
            is_near |= (x >= low[0]) & (x <= high[0]) & (y >= low[1]) & (y <= high[1])
    return np.flatnonzero(is_near)


def _is_torn(base: pyproj.CRS, source: pyproj.CRS, longitude: float) -> bool:
    """Return True if points just west and just east of a meridian are far apart in the plane."""
    west, east = Charts(base, source)(np.array([[longitude - 1e-6, 10.0], [longitude + 1e-6, 10.0]]))
    return bool(np.hypot(*(west - east)) > 1e-3)


def _boxes(base: pyproj.CRS, source: pyproj.CRS, meridians: list[float]) -> Iterator[tuple[Floats, Floats]]:
    """Yield the bounds of short pieces of the edges in the plane, slightly enlarged."""
    along = np.linspace(0.0, 1.0, _PIECES * (_POINTS_PER_PIECE - 1) + 1)
    nudged = {longitude + step for longitude in meridians for step in (-1e-9, 1e-9)}
    lines = [np.column_stack([np.full(along.size, x), 180.0 * along - _POLE]) for x in sorted(nudged)]
    parallels = (-_POLE, -_MERCATOR_EDGE, _MERCATOR_EDGE, _POLE)
    lines += [np.column_stack([360.0 * along - _ANTIMERIDIAN, np.full(along.size, y)]) for y in parallels]
    for line in lines:
        points = np.column_stack(transformer(base, source).transform(*line.T))
        for first in range(0, len(points) - 1, _POINTS_PER_PIECE - 1):
            piece = points[first : first + _POINTS_PER_PIECE]
            piece = piece[np.isfinite(piece).all(axis=1)]
            if len(piece):
                low, high = piece.min(axis=0), piece.max(axis=0)
                margin = 0.05 * float((high - low).max()) + 1e-6 * float(abs(piece).max()) + 1e-9
                yield low - margin, high + margin
