"""Project polygons. Cut them at the seams of the projection before they are projected.

A polygon that is not near a seam is projected as a whole. Any other polygon is cut into pieces by the leaves of
`Seams`. The pieces are projected and joined again.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from regionplot.geo.charts import has_degrees
from regionplot.geo.crs import same_crs, transformer, unit_size
from regionplot.geo.extent import FULL_TURN
from regionplot.geo.joining import join_pieces
from regionplot.geo.linework import Floats, Geometries, no_geometries, project, split_collections, step_limit
from regionplot.geo.seams import Seams, seams_between

Indices = NDArray[np.intp]
_POLYGON_TYPE = 3
_SPLIT_WORK = 300_000
"""Product of the numbers of vertices and leaves. Above this product, a polygon is divided before the leaves cut it."""
_MAX_TURNS = 3
"""Maximum number of full turns that longitudes may lie outside the range from -180 to 180."""
_IMAGE_MARGIN = 0.05
"""Margin around the bounds of a leaf on the map, as a fraction of their size. All points of the leaf lie within it."""
_BISECTIONS = 30
_EDGE = 1e-10
"""A vertex counts as on the edge of a projection up to this distance from the edge, in full turns."""
_PRECISION_METERS, _PRECISION_DEGREES = 1e-3, 1e-8
"""Size of the grid on which the corners of joined pieces lie."""


def project_polygons(polygons: Geometries, source: pyproj.CRS, target: pyproj.CRS) -> Geometries:
    """Return valid polygons in map coordinates.

    A point of the map is inside a projected polygon if the same point of the earth is inside the original polygon.
    Parts of polygons that the projection cannot show are left out.

    Parameters
    ----------
    polygons : ndarray of Polygon or MultiPolygon
        The polygons. Each invalid polygon is repaired: a point is inside if it is inside an odd number of rings.
    source, target : pyproj.CRS
        CRS of the polygons, and CRS of the map.
    """
    valid = _polygons_of(shapely.make_valid(shapely.get_parts(polygons)))
    if same_crs(source, target) or not valid.size:
        return valid
    dense = np.asarray(shapely.segmentize(valid, step_limit(source)), dtype=object)
    if has_degrees(source) and has_degrees(target):
        return _project_whole(dense, source, target)
    seams = seams_between(source, target)
    is_cut = _meet_seams(dense, source, seams)
    whole = _project_whole(dense[~is_cut], source, target)
    if not is_cut.any():
        return whole
    cutter = _Cutter(source, target)
    return np.concatenate([whole, *(cutter.project(polygon) for polygon in dense[is_cut])])


def _polygons_of(geometries: Geometries) -> Geometries:
    """Return the polygons in geometries of any type. `make_valid` can return lines, too."""
    parts = np.asarray(shapely.get_parts(split_collections(np.asarray(geometries, dtype=object))), dtype=object)
    return np.asarray(parts[shapely.get_type_id(parts) == _POLYGON_TYPE], dtype=object)


def _project_whole(polygons: Geometries, source: pyproj.CRS, target: pyproj.CRS) -> Geometries:
    """Project polygons that no seam is near."""
    if not polygons.size:
        return no_geometries()
    coordinates = project(shapely.get_coordinates(polygons), source, target)
    return _polygons_of(shapely.make_valid(shapely.set_coordinates(polygons.copy(), coordinates)))


def _meet_seams(polygons: Geometries, source: pyproj.CRS, seams: Seams) -> NDArray[np.bool_]:
    """Return True for each polygon that a seam may divide."""
    coordinates, owner = shapely.get_coordinates(polygons, return_index=True)
    if not seams.has_turns:
        coordinates = np.column_stack(transformer(source, seams.base).transform(*coordinates.T))
    meets = np.zeros(polygons.size, bool)
    meets[owner[seams.near(coordinates)]] = True
    if seams.has_turns and not seams.is_cyclic:
        first, last = _turns(polygons, seams)
        meets |= first != last
    inner = _in_source_plane(seams.torn_points(), polygons, source, seams)
    found, _ = shapely.STRtree(inner).query(polygons, predicate="contains")
    meets[found] = True
    return meets


def _turns(polygons: Geometries, seams: Seams) -> tuple[Floats, Floats]:
    """Return the first and the last full turn of longitudes that each polygon overlaps.

    Turn 0 begins at the west edge.
    """
    bounds = (shapely.bounds(polygons)[:, [0, 2]] - seams.west) / FULL_TURN
    return np.floor(bounds[:, 0] - _EDGE), np.floor(bounds[:, 1] + _EDGE)


def _in_source_plane(points: Floats, polygons: Geometries, source: pyproj.CRS, seams: Seams) -> Geometries:
    """Convert longitudes and latitudes to points in the plane of polygons, in each turn that the polygons overlap."""
    if seams.has_turns:
        first, last = _turns(polygons, seams)
        turns = np.arange(max(first.min(), -_MAX_TURNS), min(last.max(), _MAX_TURNS) + 1)
        points = np.concatenate([np.add(points, (turn * FULL_TURN, 0.0)) for turn in turns])
    else:
        points = np.column_stack(transformer(seams.base, source).transform(*points.T))
    return np.asarray(shapely.points(points[np.isfinite(points).all(axis=1)]), dtype=object)


class _Cutter:
    """Cut polygons at the seams of a projection, and project the pieces.

    Parameters
    ----------
    source, target : pyproj.CRS
        CRS of the polygons, and CRS of the map.
    """

    def __init__(self, source: pyproj.CRS, target: pyproj.CRS) -> None:
        self._crs = source, target
        self._seams = seams_between(source, target)
        self._leaves = self._seams.leaves
        if not self._seams.has_turns:
            to_source = transformer(self._seams.base, source)
            self._leaves = shapely.transform(
                self._leaves, lambda points: np.column_stack(to_source.transform(*points.T))
            )
        self._tree = shapely.STRtree(self._leaves)
        self._images = self._image_bounds()
        self._precision = _PRECISION_DEGREES if target.is_geographic else _PRECISION_METERS / unit_size(target)

    def _image_bounds(self) -> Floats:
        """Return slightly enlarged bounds of each leaf on the map, shape (n, 4)."""
        coordinates = project(shapely.get_coordinates(self._leaves), *self._crs)
        bounds = shapely.bounds(shapely.set_coordinates(self._leaves.copy(), coordinates))
        margin = _IMAGE_MARGIN * (bounds[:, 2:] - bounds[:, :2]).max(axis=1, keepdims=True)
        return np.hstack([bounds[:, :2] - margin, bounds[:, 2:] + margin])

    def project(self, polygon: shapely.Geometry) -> Geometries:
        """Return the parts of a polygon that the map can show, in map coordinates."""
        pieces, leaf = self._cut(polygon)
        if not pieces.size:
            return pieces
        coordinates, owner = shapely.get_coordinates(pieces, return_index=True)
        projected = shapely.set_coordinates(pieces, self._project_points(coordinates, leaf[owner]))
        joined = join_pieces(_polygons_of(shapely.make_valid(projected)), self._precision)
        return _polygons_of(np.array([joined], dtype=object))

    def _project_points(self, points: Floats, leaf: Indices) -> Floats:
        """Return projected points. Points just outside their leaf are moved into it.

        The side of a leaf along a curved seam is straight. Therefore, points on this side can lie beyond the seam.
        """
        projected = project(points, *self._crs)
        beyond = np.flatnonzero(~self._is_in_image(projected, leaf))
        if beyond.size:
            inner, outer = shapely.get_coordinates(shapely.centroid(self._leaves[leaf[beyond]])), points[beyond]
            for _ in range(_BISECTIONS):
                middle = (inner + outer) / 2
                fits = self._is_in_image(project(middle, *self._crs), leaf[beyond])[:, None]
                inner, outer = np.where(fits, middle, inner), np.where(fits, outer, middle)
            projected[beyond] = project(inner, *self._crs)
        return projected

    def _is_in_image(self, projected: Floats, leaf: Indices) -> NDArray[np.bool_]:
        low, high = self._images[leaf, :2], self._images[leaf, 2:]
        return np.asarray(((projected >= low) & (projected <= high)).all(axis=1))

    def _cut(self, polygon: shapely.Geometry) -> tuple[Geometries, Indices]:
        """Return the parts of a polygon in the leaves, and the leaf of each part."""
        turns = _turns(np.array([polygon], dtype=object), self._seams)
        first, last = (int(turn[0]) for turn in turns) if self._seams.has_turns else (0, 0)
        moved = [
            _shifted(polygon, -turn * FULL_TURN) for turn in range(max(first, -_MAX_TURNS), min(last, _MAX_TURNS) + 1)
        ]
        found = [pair for part in moved for pair in _pieces(part, self._leaves, self._tree.query(part))]
        parts, owner = shapely.get_parts(
            np.concatenate([no_geometries(), *(part for part, _ in found)]), return_index=True
        )
        leaf = np.concatenate([np.zeros(0, int), *(index for _, index in found)])[owner]
        is_area = (shapely.get_type_id(parts) == _POLYGON_TYPE) & ~shapely.is_empty(parts)
        return parts[is_area], leaf[is_area]


def _shifted(polygon: shapely.Geometry, offset: float) -> shapely.Geometry:
    return shapely.transform(polygon, lambda points: np.add(points, (offset, 0.0))) if offset else polygon


def _pieces(polygon: shapely.Geometry, leaves: Geometries, index: Indices) -> Iterator[tuple[Geometries, Indices]]:
    """Yield the parts of a polygon in some leaves, and the leaves.

    A large polygon is divided first, because this is faster.
    """
    if index.size < 2 or index.size * shapely.get_num_coordinates(polygon) < _SPLIT_WORK:
        shapely.prepare(polygon)
        parts, is_cut = leaves[index], ~shapely.contains_properly(polygon, leaves[index])
        parts[is_cut] = shapely.intersection(polygon, parts[is_cut])
        yield parts, index
        return
    bounds = shapely.bounds(leaves[index])
    axis = int(np.ptp(bounds[:, 1] + bounds[:, 3]) > np.ptp(bounds[:, 0] + bounds[:, 2]))
    order = index[np.argsort(bounds[:, axis] + bounds[:, axis + 2])]
    for half in (order[: order.size // 2], order[order.size // 2 :]):
        part = shapely.intersection(polygon, shapely.box(*shapely.total_bounds(leaves[half])))
        if not part.is_empty:
            yield from _pieces(part, leaves, half)
