"""Turn geometries into line segments and polygons in the map's CRS, each shared border once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from regionplot.geo.cartopy import project_geometry
from regionplot.geo.crs import meridian_offset, same_crs, transformer, unwrap

Geometries = NDArray[np.object_]
Floats = NDArray[np.floating[Any]]
_LONGEST = 0.5
"""Longest step, in degrees, between vertices that are projected; a straight edge on the earth curves on the map."""
_STRETCH = 20
"""A projected step so many times longer than it is on the earth is a jump across a seam of the projection."""
_METRES_PER_DEGREE = 111_320
_AT_EDGE = 1e-7
"""Degrees."""
_COLLECTION = 7


def no_geometries() -> Geometries:
    """Return an empty array of geometries."""
    return np.empty(0, dtype=object)


def split_collections(geometries: Geometries) -> Geometries:
    """Geometries with the members of collections in the place of the collections."""
    while (nested := shapely.get_type_id(geometries) == _COLLECTION).any():
        geometries = np.concatenate([geometries[~nested], shapely.get_parts(geometries[nested])])
    return geometries


def linework(geometries: Geometries, source: pyproj.CRS, target: pyproj.CRS) -> Geometries:
    """All lines and polygon borders in map coordinates, every segment once."""
    coordinates, line = _vertices(shapely.get_parts(geometries))
    joined = np.asarray(line[1:] == line[:-1])
    joined[joined] = unique_segments(coordinates[:-1][joined], coordinates[1:][joined])
    if source.is_geographic:
        joined &= ~_along_world_edge(coordinates)
    lines = join_segments(coordinates, joined)
    return lines if same_crs(source, target) or not lines.size else _project_lines(lines, source, target)


def _vertices(parts: Geometries) -> tuple[Floats, NDArray[np.intp]]:
    """The vertices of some lines and polygons, shape (n, 2), and which line or ring each belongs to."""
    rings = np.concatenate(
        [shapely.get_rings(parts[shapely.get_type_id(parts) == 3]), parts[shapely.get_type_id(parts) <= 2]]
    )
    return shapely.get_coordinates(rings, return_index=True)


def unique_segments(starts: Floats, ends: Floats) -> NDArray[np.bool_]:
    """Whether each segment has a length and none before it is the same, whichever way the two run."""
    swap = (starts[:, 0] > ends[:, 0]) | ((starts[:, 0] == ends[:, 0]) & (starts[:, 1] > ends[:, 1]))
    keys = np.where(swap[:, None], np.hstack([ends, starts]), np.hstack([starts, ends]))
    keys = np.ascontiguousarray(keys + 0.0)  # -0.0 and 0.0 are one coordinate
    _, first = np.unique(keys.view(np.dtype((np.void, keys.dtype.itemsize * 4))).ravel(), return_index=True)
    kept = np.zeros(len(keys), dtype=bool)
    kept[first] = True
    return np.asarray(kept & (starts != ends).any(axis=1))


def _along_world_edge(coordinates: Floats) -> NDArray[np.bool_]:
    """Which steps run along the antimeridian or a pole: there polygons are cut, not bordered."""
    at_edge = abs(abs(coordinates) - np.array([180.0, 90.0])) < _AT_EDGE
    return np.asarray((at_edge[:-1] & at_edge[1:]).any(axis=1))


def _step_limit(source: pyproj.CRS) -> float:
    """The longest step between vertices, in units of the source."""
    return _LONGEST if source.is_geographic else _LONGEST * _METRES_PER_DEGREE / _unit(source)


def _unit(crs: pyproj.CRS) -> float:
    """Metres, or degrees, per unit of a CRS's first axis."""
    return crs.axis_info[0].unit_conversion_factor if crs.axis_info and not crs.is_geographic else 1.0


def _project(coordinates: Floats, source: pyproj.CRS, target: pyproj.CRS) -> Floats:
    x, y = transformer(source, target).transform(coordinates[:, 0], coordinates[:, 1])
    if source.is_geographic and target.is_geographic:
        x = unwrap(x, coordinates[:, 0] + meridian_offset(source, target))
    return np.column_stack([x, y])


def _project_lines(lines: Geometries, source: pyproj.CRS, target: pyproj.CRS) -> Geometries:
    """Lines in map coordinates, broken where the projection tears."""
    coordinates, line = shapely.get_coordinates(shapely.segmentize(lines, _step_limit(source)), return_index=True)
    projected = _project(coordinates, source, target)
    usable = np.asarray(np.isfinite(projected).all(axis=1))
    joined = np.asarray((line[1:] == line[:-1]) & usable[1:] & usable[:-1])
    joined &= ~seam_crossings(coordinates, projected, source, target)
    return join_segments(projected, joined)


def seam_crossings(coordinates: Floats, projected: Floats, source: pyproj.CRS, target: pyproj.CRS) -> NDArray[np.bool_]:
    """Which steps are torn apart by the projection (its antimeridian, its pole)."""
    with np.errstate(invalid="ignore"):
        before, after = (np.hypot(*np.diff(points, axis=0).T) for points in (coordinates, projected))
    metres = before * (_METRES_PER_DEGREE if source.is_geographic else _unit(source))
    mapped = after * (_METRES_PER_DEGREE if target.is_geographic else _unit(target))
    return np.asarray(~(mapped <= _STRETCH * np.maximum(metres, 1.0)))


def join_segments(points: Floats, joined: NDArray[np.bool_]) -> Geometries:
    """LineStrings out of runs of points that are joined to the next one."""
    ends = np.flatnonzero(~np.append(joined, False))
    run = np.repeat(np.arange(ends.size), np.diff(np.concatenate([[-1], ends])))
    lengths = np.bincount(run)
    kept = lengths[run] >= 2
    _, index = np.unique(run[kept], return_inverse=True)
    if not index.size:
        return no_geometries()
    return np.asarray(shapely.linestrings(points[kept], indices=index), dtype=object)


def project_points(points: Geometries, source: pyproj.CRS, target: pyproj.CRS) -> Geometries:
    """Project points; drop those that the target CRS cannot hold."""
    if not points.size:
        return no_geometries()
    projected = _project(shapely.get_coordinates(points), source, target)
    return np.asarray(shapely.points(projected[np.isfinite(projected).all(axis=1)]), dtype=object)


def project_polygons(areas: Geometries, source: pyproj.CRS, target: pyproj.CRS) -> Geometries:
    """Polygons in map coordinates; those that the projection tears go through cartopy, which cuts and closes them."""
    areas = shapely.get_parts(split_collections(np.asarray(shapely.make_valid(areas), dtype=object)))
    areas = np.asarray(areas[shapely.get_type_id(areas) == 3], dtype=object)  # without what a repair left as lines
    if same_crs(source, target):
        return areas
    dense = np.asarray(shapely.segmentize(areas, _step_limit(source)), dtype=object)
    coordinates, owner = shapely.get_coordinates(dense, return_index=True)
    projected = _project(coordinates, source, target)
    torn = np.asarray(~np.isfinite(projected).all(axis=1))
    inner = owner[1:] == owner[:-1]
    torn[1:] |= inner & seam_crossings(coordinates, projected, source, target) & _same_ring(dense)
    is_torn: NDArray[np.bool_] = np.isin(np.arange(areas.size), owner[torn])
    whole = (
        shapely.set_coordinates(dense[~is_torn], projected[~is_torn[owner]]) if (~is_torn).any() else no_geometries()
    )
    cut = [shapely.get_parts(project_geometry(area, source, target)) for area in areas[is_torn]]
    found = split_collections(np.concatenate([shapely.make_valid(whole), *cut]).astype(object))
    return _only_polygons(found)


def _only_polygons(geometries: Geometries) -> Geometries:
    parts = np.asarray(shapely.get_parts(geometries), dtype=object)
    return np.asarray(parts[shapely.get_type_id(parts) == 3], dtype=object)


def _same_ring(polygons: Geometries) -> NDArray[np.bool_]:
    """Whether each vertex but the first lies on the same ring as the one before."""
    _, ring = shapely.get_coordinates(shapely.get_rings(polygons), return_index=True)
    return np.asarray(ring[1:] == ring[:-1])
