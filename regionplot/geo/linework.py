"""Project lines and points to the map's CRS. Each border that polygons share is kept once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from regionplot.geo.charts import has_degrees
from regionplot.geo.crs import meridian_offset, same_crs, transformer, unwrap

Geometries = NDArray[np.object_]
Floats = NDArray[np.floating[Any]]
_MAX_STEP = 0.5
"""Largest distance between vertices before projection, in degrees. Longer edges get more vertices, because edges that
are straight in the source may be curved on the map."""
_SEAM_STRETCH = 20
"""Ratio of the length on the map to the length on the earth, above which a step counts as crossing a seam."""
_METERS_PER_DEGREE = 111_320
_EDGE_TOLERANCE = 1e-7
"""Distance in degrees from the antimeridian or a pole, below which a vertex counts as lying on it."""
_COLLECTION_TYPE = 7
"""Type id of a GeometryCollection in shapely."""


def no_geometries() -> Geometries:
    """Return an empty array of geometries."""
    return np.empty(0, dtype=object)


def split_collections(geometries: Geometries) -> Geometries:
    """Return geometries in which each collection is replaced by its members."""
    while (nested := shapely.get_type_id(geometries) == _COLLECTION_TYPE).any():
        geometries = np.concatenate([geometries[~nested], shapely.get_parts(geometries[nested])])
    return geometries


def linework(geometries: Geometries, source: pyproj.CRS, target: pyproj.CRS) -> Geometries:
    """Return all lines and polygon borders in map coordinates, each segment once.

    Borders of polygons along the antimeridian or a pole are left out.
    """
    coordinates, line_index = _vertices(shapely.get_parts(geometries))
    is_joined = np.asarray(line_index[1:] == line_index[:-1])
    is_joined[is_joined] = unique_segments(coordinates[:-1][is_joined], coordinates[1:][is_joined])
    if source.is_geographic:
        is_joined &= ~_along_world_edge(coordinates)
    lines = join_segments(coordinates, is_joined)
    return lines if same_crs(source, target) or not lines.size else _project_lines(lines, source, target)


def _vertices(parts: Geometries) -> tuple[Floats, NDArray[np.intp]]:
    """Return the vertices of lines and polygons, shape (n, 2), and the index of the line or ring of each vertex."""
    rings = np.concatenate(
        [shapely.get_rings(parts[shapely.get_type_id(parts) == 3]), parts[shapely.get_type_id(parts) <= 2]]
    )
    return shapely.get_coordinates(rings, return_index=True)


def unique_segments(starts: Floats, ends: Floats) -> NDArray[np.bool_]:
    """Return True for each segment of nonzero length that does not repeat an earlier segment in either direction."""
    swap = (starts[:, 0] > ends[:, 0]) | ((starts[:, 0] == ends[:, 0]) & (starts[:, 1] > ends[:, 1]))
    keys = np.where(swap[:, None], np.hstack([ends, starts]), np.hstack([starts, ends]))
    keys = np.ascontiguousarray(keys + 0.0)  # -0.0 becomes 0.0, because bytes are compared
    _, first = np.unique(keys.view(np.dtype((np.void, keys.dtype.itemsize * 4))).ravel(), return_index=True)
    kept = np.zeros(len(keys), dtype=bool)
    kept[first] = True
    return np.asarray(kept & (starts != ends).any(axis=1))


def _along_world_edge(coordinates: Floats) -> NDArray[np.bool_]:
    """Return True for steps along the antimeridian or a pole. Polygons are cut there, so the steps are not borders."""
    at_edge = abs(abs(coordinates) - np.array([180.0, 90.0])) < _EDGE_TOLERANCE
    return np.asarray((at_edge[:-1] & at_edge[1:]).any(axis=1))


def step_limit(source: pyproj.CRS) -> float:
    """Return the largest distance between vertices, in units of the source."""
    return _MAX_STEP if source.is_geographic else _MAX_STEP * _METERS_PER_DEGREE / unit_size(source)


def unit_size(crs: pyproj.CRS) -> float:
    """Return the number of meters per unit of a projected CRS, or 1 for a CRS in degrees."""
    return crs.axis_info[0].unit_conversion_factor if crs.axis_info and not crs.is_geographic else 1.0


def project(coordinates: Floats, source: pyproj.CRS, target: pyproj.CRS) -> Floats:
    """Return projected coordinates, shape (n, 2). Longitudes stay near the longitudes of the source."""
    x, y = transformer(source, target).transform(coordinates[:, 0], coordinates[:, 1])
    if has_degrees(source) and has_degrees(target):
        x = unwrap(x, coordinates[:, 0] + meridian_offset(source, target))
    return np.column_stack([x, y])


def _project_lines(lines: Geometries, source: pyproj.CRS, target: pyproj.CRS) -> Geometries:
    """Return lines in map coordinates, split at seams of the projection."""
    dense = shapely.segmentize(lines, step_limit(source))
    coordinates, line_index = shapely.get_coordinates(dense, return_index=True)
    projected = project(coordinates, source, target)
    usable = np.asarray(np.isfinite(projected).all(axis=1))
    is_joined = np.asarray((line_index[1:] == line_index[:-1]) & usable[1:] & usable[:-1])
    is_joined &= ~seam_crossings(coordinates, projected, source, target)
    return join_segments(projected, is_joined)


def seam_crossings(coordinates: Floats, projected: Floats, source: pyproj.CRS, target: pyproj.CRS) -> NDArray[np.bool_]:
    """Return True for each step between consecutive points that crosses a seam of the projection, such as its edge.

    Parameters
    ----------
    coordinates, projected : ndarray, shape (n, 2)
        The points in the source CRS and in the target CRS.
    source, target : pyproj.CRS
        The two CRSs.

    Returns
    -------
    ndarray of bool, shape (n - 1,)
    """
    with np.errstate(invalid="ignore"):
        before, after = (np.hypot(*np.diff(points, axis=0).T) for points in (coordinates, projected))
    meters = before * (_METERS_PER_DEGREE if source.is_geographic else unit_size(source))
    mapped = after * (_METERS_PER_DEGREE if target.is_geographic else unit_size(target))
    return np.asarray(~(mapped <= _SEAM_STRETCH * np.maximum(meters, 1.0)))


def join_segments(points: Floats, is_joined: NDArray[np.bool_]) -> Geometries:
    """Return one LineString for each series of consecutive joined points.

    Parameters
    ----------
    points : ndarray, shape (n, 2)
        The points.
    is_joined : ndarray of bool, shape (n - 1,)
        True for each point that is joined to the next point.
    """
    ends = np.flatnonzero(~np.append(is_joined, False))
    run = np.repeat(np.arange(ends.size), np.diff(np.concatenate([[-1], ends])))
    lengths = np.bincount(run)
    kept = lengths[run] >= 2
    _, index = np.unique(run[kept], return_inverse=True)
    if not index.size:
        return no_geometries()
    return np.asarray(shapely.linestrings(points[kept], indices=index), dtype=object)


def project_points(points: Geometries, source: pyproj.CRS, target: pyproj.CRS) -> Geometries:
    """Return points in map coordinates, without points that cannot be projected."""
    if not points.size:
        return no_geometries()
    projected = project(shapely.get_coordinates(points), source, target)
    return np.asarray(shapely.points(projected[np.isfinite(projected).all(axis=1)]), dtype=object)
