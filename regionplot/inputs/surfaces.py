"""Convert the geometries of a file to shapely, including surfaces and nested curves, which GEOS cannot read."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from regionplot.geo.linework import Geometries

_POINT, _LINE, _POLYGON, _COLLECTION = 1, 2, 3, 7
_ARCS, _COMPOUND_CURVE, _CURVE_POLYGON, _TRIANGLE = 8, 9, 10, 17
_COLLECTIONS = (4, 5, 6, 7, 11, 12, 15, 16)
"""Type ids in WKB of Multi..., GeometryCollection, MultiCurve, MultiSurface, PolyhedralSurface and TIN."""
_MAX_DEPTH = 32
"""Maximum depth of nested collections."""
_HEADER = 5
"""Bytes of the byte order and the type id of a geometry."""
_ARC_STEP = np.radians(4.0)
"""Maximum angle between two vertices of a circular arc. GDAL uses the same angle."""
_ERRORS = (ValueError, IndexError, struct.error, shapely.errors.ShapelyError)


def parse_geometries(wkb: Sequence[bytes | None]) -> Geometries:
    """Return geometries for WKB in two dimensions. The result is None for a geometry that cannot be read.

    A surface (PolyhedralSurface, TIN) becomes a collection of its polygons, because they can overlap on the map. Curves
    in a collection become lines. GDAL converts all other curves to lines.
    """
    with np.errstate(invalid="ignore"):  # coordinates that are not numbers
        found = np.asarray(shapely.from_wkb(np.asarray(wkb, dtype=object), on_invalid="fix"), dtype=object)
        is_unread = shapely.is_missing(found) | (shapely.get_type_id(found) == _COLLECTION)
        for index in np.flatnonzero(is_unread).tolist():
            unread = wkb[index]
            found[index] = None if unread is None else _collection(unread)
    return found


def _collection(wkb: bytes) -> shapely.Geometry | None:
    """Return a collection of all parts of a geometry, or None if the geometry is damaged."""
    try:
        return shapely.GeometryCollection(list(_Reader(wkb).parts()))
    except _ERRORS:
        return None


@dataclass
class _Reader:
    """Reads one geometry and the geometries in it."""

    wkb: bytes
    position: int = 0

    def _head(self) -> tuple[str, int]:
        """Return the byte order and the type id of the next geometry."""
        order = "<" if self.wkb[self.position] else ">"
        self.position += 1
        return order, self._number(order)

    def _number(self, order: str) -> int:
        (value,) = struct.unpack_from(f"{order}I", self.wkb, self.position)
        self.position += 4
        return int(value)

    def _points(self, order: str, count: int) -> NDArray[np.float64]:
        """Return the next points, shape (count, 2)."""
        points = np.frombuffer(self.wkb, f"{order}f8", 2 * count, self.position).reshape(-1, 2)
        self.position += points.nbytes
        return points.astype(np.float64)

    def parts(self, depth: int = 0) -> Iterator[shapely.Geometry]:
        """Yield the points, lines and polygons of the next geometry."""
        start = self.position
        order, kind = self._head()
        if depth > _MAX_DEPTH:
            raise ValueError("the collections are nested too deeply")
        if kind in _COLLECTIONS:
            for _ in range(self._number(order)):
                yield from self.parts(depth + 1)
        elif kind == _POINT:
            yield shapely.points(self._points(order, 1)[0])
        elif kind in (_POLYGON, _TRIANGLE):
            yield _polygon([self._points(order, self._number(order)) for _ in range(self._number(order))])
        elif kind == _CURVE_POLYGON:
            yield _polygon([self._curve() for _ in range(self._number(order))])
        else:
            self.position = start
            yield shapely.LineString(self._curve())

    def _curve(self) -> NDArray[np.float64]:
        """Return the points of the next line or curve."""
        order, kind = self._head()
        if kind == _COMPOUND_CURVE:
            pieces = [self._curve() for _ in range(self._number(order))]
            return np.concatenate([pieces[0], *(piece[1:] for piece in pieces[1:])])
        if kind not in (_LINE, _ARCS):
            raise ValueError(f"geometries of type {kind} are not known")
        points = self._points(order, self._number(order))
        return _flattened(points) if kind == _ARCS else points


def _polygon(rings: Sequence[NDArray[np.float64]]) -> shapely.Geometry:
    return shapely.Polygon(rings[0], rings[1:]) if rings else shapely.Polygon()


def _flattened(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the vertices of circular arcs. An arc has three points. The last point is the first of the next arc."""
    arcs = [_arc(*points[index : index + 3]) for index in range(0, len(points) - 2, 2)]
    return np.concatenate([points[:1], *arcs])


def _arc(start: NDArray[np.float64], middle: NDArray[np.float64], end: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the vertices of a circular arc through three points, without the first. A closed arc is a circle."""
    (x1, y1), (x2, y2) = middle - start, end - start
    determinant = 2 * (x1 * y2 - y1 * x2)
    if (start == end).all():
        center, turn = (start + middle) / 2, 2 * np.pi
    elif determinant == 0 or not np.isfinite(determinant):
        return np.array([middle, end])
    else:
        square1, square2 = x1 * x1 + y1 * y1, x2 * x2 + y2 * y2
        center = start + np.array([y2 * square1 - y1 * square2, x1 * square2 - x2 * square1]) / determinant
        turn = (_angle(end - center) - _angle(start - center)) % (2 * np.pi)
        turn = turn if determinant > 0 else turn - 2 * np.pi
    first = _angle(start - center)
    angles = first + np.linspace(0, turn, max(2, int(np.ceil(abs(turn) / _ARC_STEP))) + 1)[1:-1]
    radius = np.hypot(*(start - center))
    vertices = center + radius * np.column_stack([np.cos(angles), np.sin(angles)])
    return np.vstack([vertices, end])


def _angle(vector: NDArray[np.float64]) -> float:
    return float(np.arctan2(vector[1], vector[0]))
