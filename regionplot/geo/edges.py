"""Find the borders of polygons along the edges of the world. Polygons are cut there, so these borders are not drawn."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.geo.charts import Charts, Floats, base_of, cut_meridian, has_degrees
from regionplot.geo.crs import FULL_TURN, transformer

Bools = NDArray[np.bool_]
_ANTIMERIDIAN = FULL_TURN / 2
_POLE = 90.0
_MERCATOR_EDGE = 85.0511287798066
"""Latitude of the edges of the square in which Web Mercator shows the world."""
_TOLERANCE, _PROJECTED_TOLERANCE = 1e-7, 1e-5
"""Distances in degrees below which a vertex lies on an edge: for layers in degrees and for projected layers."""
_PIECES, _PIECE = 36, 16
"""Number of pieces of each edge, and number of points of each piece."""


class _Places(NamedTuple):
    """Vertices as longitudes and latitudes, and the edges of the world."""

    points: Floats
    """Longitude and latitude, shape (n, 2). NaN for vertices that are far from all edges."""
    meridians: list[float]
    """Longitudes of the edges."""
    tolerance: float
    has_pole_points: bool
    """True if a pole can be a point of the plane, so that it lies on each meridian."""


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
    places = _in_degrees(coordinates) if has_degrees(source) else _in_plane(coordinates, source)
    longitudes, latitudes = places.points.T
    edges = [_is_near(latitudes, latitude, places) for latitude in (_POLE, -_POLE, _MERCATOR_EDGE, -_MERCATOR_EDGE)]
    is_pole = (edges[0] | edges[1]) & places.has_pole_points
    edges += [_is_near(longitudes, longitude, places) | is_pole for longitude in places.meridians]
    return np.asarray(np.any([edge[:-1] & edge[1:] for edge in edges], axis=0))


def _is_near(values: Floats, value: float, places: _Places) -> Bools:
    return np.asarray(abs(values - value) < places.tolerance)


def _in_degrees(coordinates: Floats) -> _Places:
    meridians = [-_ANTIMERIDIAN, _ANTIMERIDIAN]
    if len(coordinates):
        west, east = float(coordinates[:, 0].min()), float(coordinates[:, 0].max())
        if abs(east - west - FULL_TURN) < _TOLERANCE:
            meridians += [west, east]
    return _Places(coordinates, meridians, _TOLERANCE, has_pole_points=False)


def _in_plane(coordinates: Floats, source: pyproj.CRS) -> _Places:
    """Return the vertices near the edges in degrees. Vertices far from the edges are not transformed."""
    base = base_of(source)
    seam = (cut_meridian(base, source) + _ANTIMERIDIAN) % FULL_TURN - _ANTIMERIDIAN
    cuts = {-_ANTIMERIDIAN, _ANTIMERIDIAN} | ({seam} if _is_torn(base, source, seam) else set())
    meridians = sorted(cuts)
    is_near = np.zeros(len(coordinates), bool)
    for low, high in _boxes(base, source, meridians):
        is_near |= ((coordinates >= low) & (coordinates <= high)).all(axis=1)
    points = np.full(coordinates.shape, np.nan)
    if is_near.any():
        points[is_near] = np.column_stack(transformer(source, base).transform(*coordinates[is_near].T))
    return _Places(points, meridians, _PROJECTED_TOLERANCE, has_pole_points=True)


def _is_torn(base: pyproj.CRS, source: pyproj.CRS, longitude: float) -> bool:
    """Return True if points just west and just east of a meridian are far apart in the plane."""
    west, east = Charts(base, source)(np.array([[longitude - 1e-6, 10.0], [longitude + 1e-6, 10.0]]))
    return bool(np.hypot(*(west - east)) > 1e-3)


def _boxes(base: pyproj.CRS, source: pyproj.CRS, meridians: list[float]) -> Iterator[tuple[Floats, Floats]]:
    """Yield the bounds of short pieces of the edges in the plane, slightly enlarged."""
    along = np.linspace(0.0, 1.0, _PIECES * (_PIECE - 1) + 1)
    nudged = {longitude + step for longitude in meridians for step in (-1e-9, 1e-9)}
    lines = [np.column_stack([np.full(along.size, x), 180.0 * along - _POLE]) for x in sorted(nudged)]
    parallels = (-_POLE, -_MERCATOR_EDGE, _MERCATOR_EDGE, _POLE)
    lines += [np.column_stack([360.0 * along - _ANTIMERIDIAN, np.full(along.size, y)]) for y in parallels]
    for line in lines:
        points = np.column_stack(transformer(base, source).transform(*line.T))
        for first in range(0, len(points) - 1, _PIECE - 1):
            piece = points[first : first + _PIECE]
            piece = piece[np.isfinite(piece).all(axis=1)]
            if len(piece):
                low, high = piece.min(axis=0), piece.max(axis=0)
                margin = 0.05 * float((high - low).max()) + 1e-6 * float(abs(piece).max()) + 1e-9
                yield low - margin, high + margin
