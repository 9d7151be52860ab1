"""Project lines and points to the map's CRS. Each border that polygons share is kept once."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from regionplot.geo.charts import drop_folded, has_degrees
from regionplot.geo.crs import meridian_offset, same_crs, transformer, unit_size, unwrap
from regionplot.geo.edges import along_world_edge
from regionplot.geo.seams import find_tears

Geometries = NDArray[np.object_]
Floats = NDArray[np.floating[Any]]
_MAX_STEP = 0.5
"""Maximum distance between vertices before projection, in degrees. Longer edges get more vertices, because edges that
are straight in the source may be curved on the map."""
_SEAM_STRETCH = 20
"""Maximum ratio of map length to length on the earth. A step with a larger ratio may cross a seam."""
_FARTHEST = 1e9
"""Maximum coordinate on a map, in meters, to which a line is extended."""
_METERS_PER_DEGREE = 111_320
_LONG_STEP, _LONG_STRETCH = 50_000, 1.5
"""Map length in meters, and ratio of map length to length on the earth. A step that exceeds both may cross a seam."""
_COLLECTION_TYPE = 7
"""Type id of a GeometryCollection in shapely."""


def no_geometries() -> Geometries:
    """Return an empty array of geometries."""
    return np.empty(0, dtype=object)


def split_collections(geometries: Geometries) -> Geometries:
    """Return geometries with each collection replaced by its members."""
    while (nested := shapely.get_type_id(geometries) == _COLLECTION_TYPE).any():
        geometries = np.concatenate([geometries[~nested], shapely.get_parts(geometries[nested])])
    return geometries


def linework(geometries: Geometries, source: pyproj.CRS, target: pyproj.CRS) -> Geometries:
    """Return all lines and polygon borders in map coordinates, each segment once.

    Borders of polygons along the edges of the world are left out, because polygons are cut there.
    """
    coordinates, line_index, border_count = _vertices(shapely.get_parts(geometries))
    is_joined = np.asarray(line_index[1:] == line_index[:-1])
    is_joined[: max(0, border_count - 1)] &= ~along_world_edge(coordinates[:border_count], source)
    is_joined[is_joined] = unique_segments(coordinates[:-1][is_joined], coordinates[1:][is_joined])
    lines = join_segments(coordinates, is_joined)
    return lines if same_crs(source, target) or not lines.size else _project_lines(lines, source, target)


def _vertices(parts: Geometries) -> tuple[Floats, NDArray[np.intp], int]:
    """Return the vertices of polygons and lines.

    Returns
    -------
    coordinates : ndarray, shape (n, 2)
        The vertices of all rings of the polygons, then the vertices of the lines.
    line_index : ndarray, shape (n,)
        Index of the ring or line of each vertex.
    border_count : int
        Number of vertices of rings.
    """
    kinds = shapely.get_type_id(parts)
    rings = shapely.get_rings(parts[kinds == 3])
    coordinates, line_index = shapely.get_coordinates(np.concatenate([rings, parts[kinds <= 2]]), return_index=True)
    return coordinates, line_index, int(shapely.get_num_coordinates(rings).sum())


def unique_segments(starts: Floats, ends: Floats) -> NDArray[np.bool_]:
    """Return True for each segment of nonzero length that does not repeat an earlier segment in either direction."""
    swap = (starts[:, 0] > ends[:, 0]) | ((starts[:, 0] == ends[:, 0]) & (starts[:, 1] > ends[:, 1]))
    keys = np.where(swap[:, None], np.hstack([ends, starts]), np.hstack([starts, ends]))
    keys = np.ascontiguousarray(keys + 0.0)  # -0.0 becomes 0.0, because bytes are compared
    _, first = np.unique(keys.view(np.dtype((np.void, keys.dtype.itemsize * 4))).ravel(), return_index=True)
    kept = np.zeros(len(keys), dtype=bool)
    kept[first] = True
    return np.asarray(kept & (starts != ends).any(axis=1))


def step_limit(source: pyproj.CRS) -> float:
    """Return the maximum distance between vertices, in units of the source."""
    return _MAX_STEP if source.is_geographic else _MAX_STEP * _METERS_PER_DEGREE / unit_size(source)


def project(coordinates: Floats, source: pyproj.CRS, target: pyproj.CRS) -> Floats:
    """Return projected coordinates, shape (n, 2). Longitudes stay near the longitudes of the source."""
    x, y = transformer(source, target).transform(coordinates[:, 0], coordinates[:, 1])
    if has_degrees(source) and has_degrees(target):
        x = unwrap(x, coordinates[:, 0] + meridian_offset(source, target))
    return np.column_stack([x, y])


def project_shown(coordinates: Floats, source: pyproj.CRS, target: pyproj.CRS) -> Floats:
    """Return projected coordinates like `project`. Points that the map cannot show are not finite."""
    return drop_folded(coordinates, project(coordinates, source, target), source, target)


def _project_lines(lines: Geometries, source: pyproj.CRS, target: pyproj.CRS) -> Geometries:
    """Return lines in map coordinates, split at seams of the projection."""
    dense = shapely.segmentize(lines, step_limit(source))
    coordinates, line_index = shapely.get_coordinates(dense, return_index=True)
    projected = project_shown(coordinates, source, target)
    split = split_at_seams(coordinates, projected, source, target, np.asarray(line_index[1:] == line_index[:-1]))
    return join_segments(split.points, split.is_joined)


class SplitLines(NamedTuple):
    """Lines on a map. At a seam of the projection, a line ends and another line begins."""

    points: Floats
    """x and y, shape (n, 2): the given points, and two points for each seam, just before and just after it."""
    is_joined: NDArray[np.bool_]
    """True for each point that is joined to the next point, shape (n - 1,)."""
    source_index: NDArray[np.intp]
    """Index of each point in the given points. The points at a seam have the index of the point before the seam."""


def split_at_seams(
    coordinates: Floats, projected: Floats, source: pyproj.CRS, target: pyproj.CRS, is_joined: NDArray[np.bool_]
) -> SplitLines:
    """Split lines at the seams of a projection.

    Parameters
    ----------
    coordinates, projected : ndarray, shape (n, 2)
        The points of the lines in the source CRS and in the target CRS.
    source, target : pyproj.CRS
        The two CRSs.
    is_joined : ndarray of bool, shape (n - 1,)
        True for each point that is joined to the next point.
    """
    seams = _find_seams(coordinates, projected, source, target, is_joined)
    place = np.repeat(seams.steps + 1, 2)
    ends = np.stack([seams.before, seams.after], axis=1).reshape(-1, 2)
    points = np.insert(projected, place, ends, axis=0)
    starts = np.insert(np.append(True, ~is_joined), place, np.tile([False, True], seams.steps.size))
    index = np.insert(np.arange(len(projected)), place, np.repeat(seams.steps, 2))
    is_known = np.asarray(np.isfinite(points).all(axis=1))
    return SplitLines(points, ~starts[1:] & is_known[1:] & is_known[:-1], index)


class _SeamCrossings(NamedTuple):
    """The steps between points that cross a seam of a projection."""

    steps: NDArray[np.intp]
    """Index of the point before each seam, in ascending order."""
    before: Floats
    """Positions on the map just before the seams, shape (n, 2). NaN if the step begins outside the map."""
    after: Floats
    """Positions on the map just after the seams."""


def _find_seams(
    coordinates: Floats, projected: Floats, source: pyproj.CRS, target: pyproj.CRS, is_joined: NDArray[np.bool_]
) -> _SeamCrossings:
    """Find the steps between joined points that cross a seam of the projection, such as its edge."""
    with np.errstate(invalid="ignore"):
        before, after = (np.hypot(*np.diff(points, axis=0).T) for points in (coordinates, projected))
    meters = np.maximum(before * (_METERS_PER_DEGREE if source.is_geographic else unit_size(source)), 1.0)
    mapped = after * (_METERS_PER_DEGREE if target.is_geographic else unit_size(target))
    is_suspect = ~(mapped <= _SEAM_STRETCH * meters) | ((mapped > _LONG_STEP) & (mapped > _LONG_STRETCH * meters))
    steps = np.flatnonzero(is_suspect & is_joined)
    farthest = _FARTHEST if target.is_geographic else _FARTHEST / unit_size(target)
    at = _shown_points(projected, farthest)
    tears = find_tears(
        lambda points: _shown_points(project_shown(points, source, target), farthest),
        coordinates[steps], coordinates[steps + 1], at[steps], at[steps + 1],
    )  # fmt: skip
    found = tears.is_torn
    return _SeamCrossings(steps[found], tears.at_before[found], tears.at_after[found])


def _shown_points(points: Floats, farthest: float) -> Floats:
    """Return points with NaN for each point that is not finite or far outside each map."""
    return np.where((abs(points) < farthest).all(axis=1, keepdims=True), points, np.nan)


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
    projected = project_shown(shapely.get_coordinates(points), source, target)
    return np.asarray(shapely.points(projected[np.isfinite(projected).all(axis=1)]), dtype=object)
