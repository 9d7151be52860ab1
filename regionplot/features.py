"""Read vector layers, project them once, index them, and cut out of them what one panel shows.

Cartopy projects when it draws: after the fork, in every child, every feature. Here all vertices of a layer are
projected in bulk before the fork; what two polygons share is kept once; a panel takes its part through an index.

::

    file ─► geometries ─► line segments, each once ─► project, cut at seams ─► lines + STRtree ─► clip ─► simplify
                     └──► polygons (only if filled) ─► project ───────────────► polygons + STRtree ─► clip
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pyproj
import shapely
from numpy.typing import NDArray

from regionplot.config import FeatureSettings
from regionplot.errors import FeaturesError
from regionplot.models import Extent, PixelGrid
from regionplot.projections import CIRCLE, parse_crs, project_geometry, same_crs, transformer, unwrap

logger = logging.getLogger(__name__)

Geometries = NDArray[np.object_]
Floats = NDArray[np.floating[Any]]

SIMPLIFY = 1 / 3
"""Tolerance of simplification, in panel pixels."""
_MARGIN = 8
"""Pixels around the panel that are kept, so that cuts and line caps stay out of sight."""
_LONGEST = 0.5
"""Longest step, in degrees, between vertices that are projected; a straight edge on the earth curves on the map."""
_STRETCH = 20
"""A projected step so many times longer than it is on the earth is a jump across a seam of the projection."""
_METRES_PER_DEGREE = 111_320
_PARTS = {".shp": (".shx", ".dbf")}
_SHAPEFILE_MARK = (9994).to_bytes(4, "big")
_LINE_TYPES = (1, 2, 5)
_POLYGON_TYPES = (3, 6)
_COLLECTION = 7


@dataclass(frozen=True)
class FeatureLayer:
    """One vector layer in map coordinates, indexed."""

    settings: FeatureSettings
    lines: Geometries
    """LineStrings, each piece of a shared border once."""
    polygons: Geometries
    """Polygons to be filled; none if the face colour is `none`."""
    points: Geometries
    turn: float
    """The length of the circle along x in map units, where the map is in degrees; else 0."""
    _line_index: shapely.STRtree
    _polygon_index: shapely.STRtree
    _point_index: shapely.STRtree

    def lines_in(self, panel: PixelGrid) -> Geometries:
        """The lines within a panel, clipped to it and simplified to a third of a pixel."""
        return _cut(self.lines, self._line_index, panel, self.turn)

    def polygons_in(self, panel: PixelGrid) -> Geometries:
        """The polygons within a panel, clipped to it and simplified to a third of a pixel."""
        return _cut(self.polygons, self._polygon_index, panel, self.turn)

    def points_in(self, panel: PixelGrid) -> Geometries:
        """The points within a panel."""
        return _cut(self.points, self._point_index, panel, self.turn)


def load_layer(settings: FeatureSettings, crs: pyproj.CRS) -> FeatureLayer:
    """Read one vector file and project it into the map's CRS.

    Parameters
    ----------
    settings : FeatureSettings
        Path, layer, CRS and style.
    crs : pyproj.CRS
        The map's CRS.

    Raises
    ------
    FeaturesError
        If the file cannot be read, lacks a part, or names no CRS while none is given.
    """
    geometries, source_crs = _read(settings)
    kinds = shapely.get_type_id(geometries)
    filled = settings.facecolor != "none"
    areas = geometries[np.isin(kinds, _POLYGON_TYPES)]
    lines = _linework(geometries[np.isin(kinds, _LINE_TYPES + _POLYGON_TYPES)], source_crs, crs)
    polygons = _project_polygons(areas, source_crs, crs) if filled else _none()
    points = _project_points(shapely.get_parts(geometries[np.isin(kinds, (0, 4))]), source_crs, crs)
    turn = CIRCLE if crs.is_geographic else 0.0
    indexes = (shapely.STRtree(parts) for parts in (lines, polygons, points))
    return FeatureLayer(settings, lines, polygons, points, turn, *indexes)


def check_layer(settings: FeatureSettings) -> None:
    """Open a vector file and read its description only.

    Raises
    ------
    FeaturesError
        As `load_layer`, but for faults deeper in the file.
    """
    _check_parts(settings)
    _crs(
        settings, _guarded(settings, lambda: pyogrio.read_info(_gdal_path(settings), layer=settings.layer or 0))["crs"]
    )


def _none() -> Geometries:
    return np.empty(0, dtype=object)


def _gdal_path(settings: FeatureSettings) -> str:
    path = settings.path
    return f"/vsizip/{path}" if path.suffix == ".zip" else str(path)


def _guarded(settings: FeatureSettings, read: Callable[[], Any]) -> Any:
    try:
        return read()
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError, OSError) as error:
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FeaturesError(f"{settings.path}: cannot be read as vector data: {message}") from error


def _check_parts(settings: FeatureSettings) -> None:
    """A shapefile is several files; GDAL reads on without some, and shows less than there is."""
    path = settings.path
    if path.is_file() and not path.stat().st_size:
        raise FeaturesError(f"{path}: the file is empty")
    missing = [
        part
        for part in _PARTS.get(path.suffix.lower(), ())
        if not path.with_suffix(part).exists() and not path.with_suffix(part.upper()).exists()
    ]
    if missing:
        raise FeaturesError(f"{path}: its {' and '.join(missing)} part is missing; a shapefile needs all its parts")
    if path.suffix.lower() == ".shp":
        for part in (path, path.with_suffix(".shx"), path.with_suffix(".SHX")):
            _check_length(part)


def _check_length(path: Path) -> None:
    """Refuse a shapefile that is shorter than its header says; GDAL makes null geometries of what was cut off."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        header = file.read(28)
    declared = 2 * int.from_bytes(header[24:28], "big")
    if header.startswith(_SHAPEFILE_MARK) and path.stat().st_size < max(declared, 100):
        raise FeaturesError(f"{path}: the file is cut: it has {path.stat().st_size:,} bytes of {declared:,}")


def _read(settings: FeatureSettings) -> tuple[Geometries, pyproj.CRS]:
    """The geometries of a file, sound and not null, and their CRS."""
    _check_parts(settings)
    meta, _, wkb, _ = _guarded(
        settings, lambda: pyogrio.raw.read(_gdal_path(settings), layer=settings.layer or 0, columns=[], force_2d=True)
    )
    if wkb is None or not len(wkb):
        raise FeaturesError(f"{settings.path}: the layer holds no features")
    geometries = np.asarray(shapely.from_wkb(wkb, on_invalid="fix"), dtype=object)
    kept = geometries[~(shapely.is_missing(geometries) | shapely.is_empty(geometries))]
    if kept.size < geometries.size:
        logger.info("%s: %d features without a geometry skipped", settings.path, geometries.size - kept.size)
    if not kept.size:
        raise FeaturesError(f"{settings.path}: no feature of the layer has a geometry")
    return _without_collections(kept), _crs(settings, meta["crs"])


def _without_collections(geometries: Geometries) -> Geometries:
    """Geometries with the members of collections in the place of the collections."""
    while (nested := shapely.get_type_id(geometries) == _COLLECTION).any():
        geometries = np.concatenate([geometries[~nested], shapely.get_parts(geometries[nested])])
    return geometries


def _crs(settings: FeatureSettings, found: str | None) -> pyproj.CRS:
    named = found or settings.crs
    if named is None:
        raise FeaturesError(f'{settings.path}: the file names no CRS; give it as crs = "EPSG:..." in its [[features]]')
    return parse_crs(named)


def _linework(geometries: Geometries, source: pyproj.CRS, target: pyproj.CRS) -> Geometries:
    """All lines and polygon borders in map coordinates, every segment once, merged into long lines."""
    starts, ends = _segments(shapely.get_parts(geometries))
    starts, ends = _unique_segments(starts, ends)
    if source.is_geographic:
        starts, ends = _without_world_edges(starts, ends)
    lines = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(np.stack([starts, ends], axis=1))))
    if same_crs(source, target) or not lines.size:
        return np.asarray(lines, dtype=object)
    return _project_lines(lines, source, target)


def _segments(parts: Geometries) -> tuple[Floats, Floats]:
    """The two ends of each segment of some lines and polygons, shape (n, 2) each."""
    rings = np.concatenate(
        [
            shapely.get_rings(parts[shapely.get_type_id(parts) == 3]),
            parts[shapely.get_type_id(parts) == 1],
        ]
    )
    coordinates, line = shapely.get_coordinates(rings, return_index=True)
    joined = line[1:] == line[:-1]
    return coordinates[:-1][joined], coordinates[1:][joined]


def _unique_segments(starts: Floats, ends: Floats) -> tuple[Floats, Floats]:
    """Each segment once, whichever way it runs; those of no length dropped."""
    swap = (starts[:, 0] > ends[:, 0]) | ((starts[:, 0] == ends[:, 0]) & (starts[:, 1] > ends[:, 1]))
    keys = np.where(swap[:, None], np.hstack([ends, starts]), np.hstack([starts, ends]))
    keys = np.ascontiguousarray(keys + 0.0)
    _, first = np.unique(keys.view(np.dtype((np.void, keys.dtype.itemsize * 4))).ravel(), return_index=True)
    first = np.sort(first[(keys[first, :2] != keys[first, 2:]).any(axis=1)])
    return starts[first], ends[first]


def _without_world_edges(starts: Floats, ends: Floats) -> tuple[Floats, Floats]:
    """Drop what runs along the antimeridian or a pole: there polygons are cut, not bordered."""
    at_edge = np.zeros(len(starts), dtype=bool)
    for axis, limit in ((0, 180.0), (1, 90.0)):
        at_edge |= (abs(starts[:, axis]) >= limit - 1e-7) & (abs(ends[:, axis]) >= limit - 1e-7)
    return starts[~at_edge], ends[~at_edge]


def _step_limit(source: pyproj.CRS) -> float:
    """The longest step between vertices, in units of the source."""
    return _LONGEST if source.is_geographic else _LONGEST * _METRES_PER_DEGREE / _unit(source)


def _unit(crs: pyproj.CRS) -> float:
    """Metres, or degrees, per unit of a CRS's first axis."""
    return crs.axis_info[0].unit_conversion_factor if crs.axis_info and not crs.is_geographic else 1.0


def _project(coordinates: Floats, source: pyproj.CRS, target: pyproj.CRS) -> Floats:
    x, y = transformer(source, target).transform(coordinates[:, 0], coordinates[:, 1])
    if source.is_geographic and target.is_geographic:
        x = unwrap(x, coordinates[:, 0])
    return np.column_stack([x, y])


def _project_lines(lines: Geometries, source: pyproj.CRS, target: pyproj.CRS) -> Geometries:
    """Lines in map coordinates, broken where the projection tears."""
    coordinates, line = shapely.get_coordinates(shapely.segmentize(lines, _step_limit(source)), return_index=True)
    projected = _project(coordinates, source, target)
    usable = np.asarray(np.isfinite(projected).all(axis=1))
    joined = np.asarray((line[1:] == line[:-1]) & usable[1:] & usable[:-1])
    joined &= ~_jumps(coordinates, projected, source, target)
    return _runs(projected, joined)


def _jumps(coordinates: Floats, projected: Floats, source: pyproj.CRS, target: pyproj.CRS) -> NDArray[np.bool_]:
    """Which steps are torn apart by the projection (its antimeridian, its pole)."""
    with np.errstate(invalid="ignore"):
        before, after = (np.hypot(*np.diff(points, axis=0).T) for points in (coordinates, projected))
    metres = before * (_METRES_PER_DEGREE if source.is_geographic else _unit(source))
    mapped = after * (_METRES_PER_DEGREE if target.is_geographic else _unit(target))
    return np.asarray(~(mapped <= _STRETCH * np.maximum(metres, 1.0)))


def _runs(points: Floats, joined: NDArray[np.bool_]) -> Geometries:
    """LineStrings out of runs of points that are joined to the next one."""
    ends = np.flatnonzero(~np.append(joined, False))
    run = np.repeat(np.arange(ends.size), np.diff(np.concatenate([[-1], ends])))
    lengths = np.bincount(run)
    kept = lengths[run] >= 2
    _, index = np.unique(run[kept], return_inverse=True)
    if not index.size:
        return _none()
    return np.asarray(shapely.linestrings(points[kept], indices=index), dtype=object)


def _project_points(points: Geometries, source: pyproj.CRS, target: pyproj.CRS) -> Geometries:
    if not points.size:
        return _none()
    projected = _project(shapely.get_coordinates(points), source, target)
    return np.asarray(shapely.points(projected[np.isfinite(projected).all(axis=1)]), dtype=object)


def _project_polygons(areas: Geometries, source: pyproj.CRS, target: pyproj.CRS) -> Geometries:
    """Polygons in map coordinates; those that the projection tears go through cartopy, which cuts and closes them."""
    areas = shapely.get_parts(_without_collections(np.asarray(shapely.make_valid(areas), dtype=object)))
    areas = np.asarray(areas[shapely.get_type_id(areas) == 3], dtype=object)  # without what a repair left as lines
    if same_crs(source, target):
        return areas
    dense = np.asarray(shapely.segmentize(areas, _step_limit(source)), dtype=object)
    coordinates, owner = shapely.get_coordinates(dense, return_index=True)
    projected = _project(coordinates, source, target)
    torn = np.asarray(~np.isfinite(projected).all(axis=1))
    inner = owner[1:] == owner[:-1]
    torn[1:] |= inner & _jumps(coordinates, projected, source, target) & _same_ring(dense)
    is_torn: NDArray[np.bool_] = np.isin(np.arange(areas.size), owner[torn])
    whole = shapely.set_coordinates(dense[~is_torn], projected[~is_torn[owner]]) if (~is_torn).any() else _none()
    cut = [shapely.get_parts(project_geometry(area, source, target)) for area in areas[is_torn]]
    return _without_collections(np.concatenate([shapely.make_valid(whole), *cut]).astype(object))


def _same_ring(polygons: Geometries) -> NDArray[np.bool_]:
    """Whether each vertex but the first lies on the same ring as the one before."""
    _, ring = shapely.get_coordinates(shapely.get_rings(polygons), return_index=True)
    return np.asarray(ring[1:] == ring[:-1])


def _cut(parts: Geometries, index: shapely.STRtree, panel: PixelGrid, turn: float) -> Geometries:
    """What of some geometries lies within a panel; of those in degrees, on each turn of the circle."""
    if not parts.size:
        return parts
    extent = panel.extent.resized(
        panel.extent.width + 2 * _MARGIN * panel.pixel_width, panel.extent.height + 2 * _MARGIN * panel.pixel_height
    )
    found = [_clip(parts, index, extent.shifted(-shift), shift) for shift in _turns(extent, turn)]
    clipped = shapely.get_parts(np.concatenate(found))
    tolerance = SIMPLIFY * min(panel.pixel_width, panel.pixel_height)
    simple = shapely.simplify(clipped, tolerance, preserve_topology=False)
    return np.asarray(simple[~shapely.is_empty(simple)], dtype=object)


def _turns(extent: Extent, turn: float) -> list[float]:
    """The shifts by whole circles that may bring geometries within ±180 into the extent."""
    if not turn:
        return [0.0]
    first = int(np.floor((extent.xmin + turn / 2) / turn))
    last = int(np.floor((extent.xmax + turn / 2) / turn))
    return [turn * number for number in range(first, last + 1)]


def _clip(parts: Geometries, index: shapely.STRtree, extent: Extent, shift: float) -> Geometries:
    box = shapely.box(extent.xmin, extent.ymin, extent.xmax, extent.ymax)
    found = parts[np.sort(index.query(box))]
    crossing = ~np.asarray(shapely.covered_by(found, box))
    found[crossing] = shapely.clip_by_rect(found[crossing], extent.xmin, extent.ymin, extent.xmax, extent.ymax)
    if shift and found.size:
        found = shapely.transform(found, lambda points: np.add(points, (shift, 0.0)))
    return np.asarray(found, dtype=object)
