"""Read vector layers, project them once, index them, and cut out of them what one panel shows.

Cartopy projects when it draws: after the fork, in every child, every feature. Here all vertices of a layer are
projected in bulk before the fork; what two polygons share is kept once; a panel takes its part through an index.

::

    file ─► geometries ─► line segments, each once ─► project, cut at seams ─► lines + STRtree ─► clip ─► simplify
                     └──► polygons (only if filled) ─► project ───────────────► polygons + STRtree ─► clip
"""

from __future__ import annotations

import glob
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pyproj
import shapely
from numpy.typing import NDArray

from regionplot import projections
from regionplot.cache import ArrayCache, digest
from regionplot.config import FeatureSettings
from regionplot.errors import FeaturesError
from regionplot.intake import VectorSource, vector_source
from regionplot.models import Extent, PixelGrid
from regionplot.projections import CIRCLE, meridian_offset, parse_crs, project_geometry, same_crs, transformer, unwrap

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
_AT_EDGE = 1e-7
"""Degrees."""
_PARTS = {".shp": (".shx", ".dbf")}
_SHAPEFILE_MARK = (9994).to_bytes(4, "big")
_SIDECARS = frozenset({".shx", ".dbf", ".prj", ".cpg", ".qix"})
_POINT_TYPES = (0, 4)
_LINE_TYPES = (1, 2, 5)
_POLYGON_TYPES = (3, 6)
_COLLECTION = 7
_CODE = (Path(__file__), Path(projections.__file__))
_PART_NAMES = ("lines", "polygons", "points")


@dataclass(frozen=True)
class IndexedGeometries:
    """Geometries in map coordinates, and the means to find those in a panel."""

    geometries: Geometries
    bounds: Floats
    """xmin, ymin, xmax, ymax of each, shape (n, 4)."""
    tree: shapely.STRtree

    @classmethod
    def of(cls, geometries: Geometries) -> IndexedGeometries:
        """Index some geometries, now and not when the first panel is drawn."""
        tree = shapely.STRtree(geometries)
        tree.query(shapely.box(0, 0, 1, 1))  # GEOS builds the tree with the first query
        return cls(geometries, shapely.bounds(geometries), tree)

    def within(self, panel: PixelGrid, turn: float) -> Geometries:
        """What lies within a panel, clipped to it and simplified to a third of a pixel.

        Parameters
        ----------
        panel : PixelGrid
            The panel, in map units.
        turn : float
            The length of the circle along x in a map in degrees, whose geometries are then shown on each turn of it;
            else 0.
        """
        if not self.geometries.size:
            return self.geometries
        extent = panel.extent.resized(
            panel.extent.width + 2 * _MARGIN * panel.pixel_width, panel.extent.height + 2 * _MARGIN * panel.pixel_height
        )
        found = [self._clip(extent.shifted(-shift), shift) for shift in self._turns(extent, turn)]
        clipped = shapely.get_parts(np.concatenate(found))
        tolerance = SIMPLIFY * min(panel.pixel_width, panel.pixel_height)
        simple = shapely.get_parts(shapely.simplify(clipped, tolerance, preserve_topology=False))  # it may split them
        return np.asarray(simple[~shapely.is_empty(simple)], dtype=object)

    def _turns(self, extent: Extent, turn: float) -> list[float]:
        """The shifts by whole circles that may bring geometries into the extent; at least one, be it of no use."""
        if not turn:
            return [0.0]
        first = int(np.ceil((extent.xmin - self.bounds[:, 2].max()) / turn))
        last = int(np.floor((extent.xmax - self.bounds[:, 0].min()) / turn))
        return [turn * number for number in range(first, max(first, last) + 1)]

    def _clip(self, extent: Extent, shift: float) -> Geometries:
        box = extent.xmin, extent.ymin, extent.xmax, extent.ymax
        index = np.sort(self.tree.query(shapely.box(*box)))
        found, bounds = self.geometries[index], self.bounds[index]
        crossing = (bounds[:, :2] < box[:2]).any(axis=1) | (bounds[:, 2:] > box[2:]).any(axis=1)
        found[crossing] = shapely.clip_by_rect(found[crossing], *box)
        if shift and found.size:
            found = shapely.transform(found, lambda points: np.add(points, (shift, 0.0)))
        return np.asarray(found, dtype=object)


@dataclass(frozen=True)
class FeatureLayer:
    """One vector layer in map coordinates, indexed."""

    settings: FeatureSettings
    line_index: IndexedGeometries
    """LineStrings, each piece of a shared border once."""
    polygon_index: IndexedGeometries
    """Polygons to be filled; none if the face colour is `none`."""
    point_index: IndexedGeometries
    turn: float
    """The length of the circle along x in map units, where the map is in degrees; else 0."""
    key: str
    """Names all that the geometries depend on."""

    @property
    def lines(self) -> Geometries:
        """All lines."""
        return self.line_index.geometries

    @property
    def polygons(self) -> Geometries:
        """All polygons that are filled."""
        return self.polygon_index.geometries

    @property
    def points(self) -> Geometries:
        """All points."""
        return self.point_index.geometries

    def lines_in(self, panel: PixelGrid) -> Geometries:
        """The lines within a panel, clipped to it and simplified to a third of a pixel."""
        return self.line_index.within(panel, self.turn)

    def polygons_in(self, panel: PixelGrid) -> Geometries:
        """The polygons within a panel, clipped to it and simplified to a third of a pixel."""
        return self.polygon_index.within(panel, self.turn)

    def points_in(self, panel: PixelGrid) -> Geometries:
        """The points within a panel."""
        return self.point_index.within(panel, self.turn)


def load_layer(
    settings: FeatureSettings, crs: pyproj.CRS, cache: ArrayCache | None = None, known: Sequence[FeatureLayer] = ()
) -> FeatureLayer:
    """Read one vector file and project it into the map's CRS.

    Parameters
    ----------
    settings : FeatureSettings
        Path, layer, CRS and style.
    crs : pyproj.CRS
        The map's CRS.
    cache : ArrayCache, optional
        Where the projected geometries may be found, and are kept for the next time.
    known : sequence of FeatureLayer
        Layers loaded before; one of the same geometries is used again.

    Raises
    ------
    FeaturesError
        If the file cannot be read, lacks a part, or names no CRS while none is given.
    """
    _check_parts(settings)
    key = layer_key(settings, crs)
    for layer in known:
        if layer.key == key:
            return replace(layer, settings=settings)
    arrays = cache.read(key) if cache else None
    parts = _from_arrays(arrays) if arrays else None
    if parts is None:
        parts = _project_layer(settings, crs)
        if cache:
            cache.write(key, _to_arrays(parts))
    turn = CIRCLE if crs.is_geographic else 0.0
    lines, polygons, points = (IndexedGeometries.of(part) for part in parts)
    return FeatureLayer(settings, lines, polygons, points, turn, key)


_Parts = tuple[Geometries, Geometries, Geometries]
"""Lines, polygons, points."""


def _project_layer(settings: FeatureSettings, crs: pyproj.CRS) -> _Parts:
    geometries, source_crs = _read(settings)
    kinds = shapely.get_type_id(geometries)
    areas = geometries[np.isin(kinds, _POLYGON_TYPES)]
    return (
        _linework(geometries[np.isin(kinds, _LINE_TYPES + _POLYGON_TYPES)], source_crs, crs),
        _project_polygons(areas, source_crs, crs) if settings.facecolor != "none" else _none(),
        _project_points(shapely.get_parts(geometries[np.isin(kinds, _POINT_TYPES)]), source_crs, crs),
    )


def layer_key(settings: FeatureSettings, crs: pyproj.CRS) -> str:
    """Names all that the projected geometries depend on, the code that makes them among it.

    Raises
    ------
    FeaturesError
        If the file cannot be read.
    """
    path = settings.path
    files = [
        other for other in sorted(path.parent.glob(f"{glob.escape(path.stem)}.*")) if other.suffix.lower() in _SIDECARS
    ]
    versions = (shapely.__version__, shapely.geos_version_string, pyproj.proj_version_str)
    text = (*versions, str(settings.layer), str(settings.crs), str(settings.facecolor != "none"), crs.to_wkt())
    key: str = _guarded(settings, lambda: digest(text, [path, *files, *_CODE]))
    return key


def _to_arrays(parts: _Parts) -> dict[str, NDArray[Any]]:
    """Geometries as plain arrays of coordinates and offsets."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, geometries in zip(_PART_NAMES, parts, strict=True):
        if geometries.size:
            _, arrays[name], offsets = shapely.to_ragged_array(geometries)
            arrays |= {f"{name}_{number}": offset for number, offset in enumerate(offsets)}
    return arrays


def _from_arrays(arrays: Mapping[str, NDArray[Any]]) -> _Parts | None:
    """The geometries out of what `_to_arrays` made; None if that is damaged."""
    kinds = (shapely.GeometryType.LINESTRING, shapely.GeometryType.POLYGON, shapely.GeometryType.POINT)
    try:
        lines, polygons, points = (
            _from_ragged(kind, name, arrays) for kind, name in zip(kinds, _PART_NAMES, strict=True)
        )
    except (KeyError, ValueError, IndexError, shapely.errors.ShapelyError):
        return None
    return lines, polygons, points


def _from_ragged(kind: shapely.GeometryType, name: str, arrays: Mapping[str, NDArray[Any]]) -> Geometries:
    if name not in arrays:
        return _none()
    offsets = tuple(arrays[f"{name}_{number}"] for number in range(int(kind) if kind != 3 else 2))
    return np.asarray(shapely.from_ragged_array(kind, arrays[name], offsets or None), dtype=object)


def check_layer(settings: FeatureSettings) -> None:
    """Open a vector file and read its description only.

    Raises
    ------
    FeaturesError
        As `load_layer`, but for faults deeper in the file.
    """
    _check_parts(settings)
    source = vector_source(settings.path)
    _crs(settings, _described(settings, source)["crs"])


def _none() -> Geometries:
    return np.empty(0, dtype=object)


def _described(settings: FeatureSettings, source: VectorSource) -> dict[str, Any]:
    """What GDAL tells of a layer, if it was opened by the driver that it was let in for."""
    info: dict[str, Any] = _guarded(settings, lambda: pyogrio.read_info(source.name, layer=settings.layer or 0))
    if info["driver"] != source.driver:
        raise FeaturesError(
            f"{settings.path}: cannot be read as vector data: it looks like {source.driver}, but is {info['driver']}"
        )
    return info


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
    source = vector_source(settings.path)
    _described(settings, source)
    meta, _, wkb, _ = _guarded(
        settings, lambda: pyogrio.raw.read(source.name, layer=settings.layer or 0, columns=[], force_2d=True)
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
    """All lines and polygon borders in map coordinates, every segment once."""
    coordinates, line = _vertices(shapely.get_parts(geometries))
    joined = np.asarray(line[1:] == line[:-1])
    joined[joined] = _first_of_its_kind(coordinates[:-1][joined], coordinates[1:][joined])
    if source.is_geographic:
        joined &= ~_along_world_edge(coordinates)
    lines = _runs(coordinates, joined)
    return lines if same_crs(source, target) or not lines.size else _project_lines(lines, source, target)


def _vertices(parts: Geometries) -> tuple[Floats, NDArray[np.intp]]:
    """The vertices of some lines and polygons, shape (n, 2), and which line or ring each belongs to."""
    rings = np.concatenate(
        [shapely.get_rings(parts[shapely.get_type_id(parts) == 3]), parts[shapely.get_type_id(parts) <= 2]]
    )
    return shapely.get_coordinates(rings, return_index=True)


def _first_of_its_kind(starts: Floats, ends: Floats) -> NDArray[np.bool_]:
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
    found = _without_collections(np.concatenate([shapely.make_valid(whole), *cut]).astype(object))
    return _only_polygons(found)


def _only_polygons(geometries: Geometries) -> Geometries:
    parts = np.asarray(shapely.get_parts(geometries), dtype=object)
    return np.asarray(parts[shapely.get_type_id(parts) == 3], dtype=object)


def _same_ring(polygons: Geometries) -> NDArray[np.bool_]:
    """Whether each vertex but the first lies on the same ring as the one before."""
    _, ring = shapely.get_coordinates(shapely.get_rings(polygons), return_index=True)
    return np.asarray(ring[1:] == ring[:-1])
