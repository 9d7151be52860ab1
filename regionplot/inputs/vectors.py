"""Load vector layers: read, project and index them once, and cache the result.

Cartopy would project every feature in every worker, when the map is drawn. This module projects all vertices of a layer
together, before workers are forked. A border that two polygons share is kept once. A spatial index finds the geometries
within a panel.

::

    file ─► geometries ─► line segments, each once ─► project, cut at seams ─► lines + STRtree ─► clip ─► simplify
                     └──► polygons (only if filled) ─► project ───────────────► polygons + STRtree ─► clip
"""

from __future__ import annotations

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from regionplot.errors import ConfigError, FeaturesError
from regionplot.geo.clip import IndexedGeometries
from regionplot.geo.crs import FULL_TURN
from regionplot.geo.extent import PanelGrid
from regionplot.geo.linework import Geometries, linework, no_geometries, project_points, project_polygons
from regionplot.inputs.vector_files import check_parts, convert_vector_errors, read_vectors
from regionplot.settings.vector import VectorSettings
from regionplot.system.cache import ArrayCache, digest
from regionplot.system.code import imported_libraries, library_version, source_files

_SIDECARS = frozenset({".shx", ".dbf", ".prj", ".cpg", ".qix"})
_POINT_TYPES = (0, 4)
"""Shapely's type ids of points and multipoints."""
_LINE_TYPES = (1, 2, 5)
_POLYGON_TYPES = (3, 6)
_KINDS = ("lines", "polygons", "points")


@dataclass(frozen=True)
class VectorLayer:
    """One vector layer in the CRS of the maps, with spatial indexes."""

    line_index: IndexedGeometries
    """LineStrings. A border that polygons share is kept once."""
    polygon_index: IndexedGeometries
    """Polygons. Empty if the settings do not need areas."""
    point_index: IndexedGeometries
    """Points."""
    x_period: float
    """Distance in x after which geometries repeat: 360 for maps in degrees, otherwise 0."""
    key: str
    """Digest of everything that the geometries depend on."""

    @property
    def lines(self) -> Geometries:
        """All lines."""
        return self.line_index.geometries

    @property
    def polygons(self) -> Geometries:
        """All polygons. Empty if the settings do not need areas."""
        return self.polygon_index.geometries

    @property
    def points(self) -> Geometries:
        """All points."""
        return self.point_index.geometries

    def lines_in(self, panel: PanelGrid) -> Geometries:
        """Return the lines within a panel, clipped to it and simplified with a tolerance of a third of a pixel."""
        return self.line_index.clip_to_panel(panel, self.x_period)

    def polygons_in(self, panel: PanelGrid) -> Geometries:
        """Return the polygons within a panel, clipped to it and simplified with a tolerance of a third of a pixel."""
        return self.polygon_index.clip_to_panel(panel, self.x_period)

    def points_in(self, panel: PanelGrid) -> Geometries:
        """Return the points within a panel."""
        return self.point_index.clip_to_panel(panel, self.x_period)


def load_layer(
    settings: VectorSettings, crs: pyproj.CRS, cache: ArrayCache | None = None, loaded: Sequence[VectorLayer] = ()
) -> VectorLayer:
    """Read one vector file and project it into the CRS of the maps.

    Parameters
    ----------
    settings : VectorSettings
        Path, layer and CRS.
    crs : pyproj.CRS
        CRS of the maps.
    cache : ArrayCache, optional
        Cache of projected geometries.
    loaded : sequence of VectorLayer
        Layers from an earlier load. If one of them has the same key, it is returned.

    Raises
    ------
    FeaturesError
        If the file cannot be read, a part of it is missing, or neither the file nor the settings state a CRS.
    """
    check_parts(settings)
    key = layer_key(settings, crs)
    for layer in loaded:
        if layer.key == key:
            return layer
    arrays = cache.read(key) if cache else None
    projected = _from_arrays(arrays) if arrays else None
    if projected is None:
        projected = _project_layer(settings, crs)
        if cache:
            cache.write(key, _to_arrays(projected))
    x_period = FULL_TURN if crs.is_geographic else 0.0
    lines, polygons, points = (IndexedGeometries.of(geometries) for geometries in projected)
    return VectorLayer(lines, polygons, points, x_period, key)


_ByKind = tuple[Geometries, Geometries, Geometries]
"""Lines, polygons and points."""


def _project_layer(settings: VectorSettings, crs: pyproj.CRS) -> _ByKind:
    """Read and project the geometries of a file."""
    geometries, source_crs = read_vectors(settings)
    try:
        return _project(geometries, settings, source_crs, crs)
    except ConfigError as error:  # there is no transformation
        raise FeaturesError(f"{settings.path}: {error}") from None


def _project(geometries: Geometries, settings: VectorSettings, source_crs: pyproj.CRS, crs: pyproj.CRS) -> _ByKind:
    """Project lines, polygons and points."""
    kinds = shapely.get_type_id(geometries)
    areas = geometries[np.isin(kinds, _POLYGON_TYPES)]
    return (
        linework(geometries[np.isin(kinds, _LINE_TYPES + _POLYGON_TYPES)], source_crs, crs),
        project_polygons(areas, source_crs, crs) if settings.has_areas else no_geometries(),
        project_points(shapely.get_parts(geometries[np.isin(kinds, _POINT_TYPES)]), source_crs, crs),
    )


def layer_key(settings: VectorSettings, crs: pyproj.CRS) -> str:
    """Return the digest of everything that the projected geometries depend on: files, settings, CRS, libraries, code.

    Raises
    ------
    FeaturesError
        If the file cannot be read.
    """
    path = settings.path
    files = [
        other for other in sorted(path.parent.glob(f"{glob.escape(path.stem)}.*")) if other.suffix.lower() in _SIDECARS
    ]
    libraries = (f"{name} {library_version(name)}" for name in imported_libraries(__name__))
    versions = (*libraries, shapely.geos_version_string, pyproj.proj_version_str)
    text = (*versions, str(settings.layer), str(settings.crs), str(settings.has_areas), crs.to_wkt())
    key: str = convert_vector_errors(settings, lambda: digest(text, [path, *files, *source_files(__name__)]))
    return key


def _to_arrays(projected: _ByKind) -> dict[str, NDArray[Any]]:
    """Convert geometries to arrays of coordinates and offsets."""
    arrays: dict[str, NDArray[Any]] = {}
    for name, geometries in zip(_KINDS, projected, strict=True):
        if geometries.size:
            _, arrays[name], offsets = shapely.to_ragged_array(geometries)
            arrays |= {f"{name}_{number}": offset for number, offset in enumerate(offsets)}
    return arrays


def _from_arrays(arrays: Mapping[str, NDArray[Any]]) -> _ByKind | None:
    """Convert the arrays of `_to_arrays` to geometries. Return None if the arrays are damaged."""
    types = (shapely.GeometryType.LINESTRING, shapely.GeometryType.POLYGON, shapely.GeometryType.POINT)
    try:
        lines, polygons, points = (_from_ragged(type_, name, arrays) for type_, name in zip(types, _KINDS, strict=True))
    except (KeyError, ValueError, IndexError, shapely.errors.ShapelyError):
        return None
    return lines, polygons, points


def _from_ragged(kind: shapely.GeometryType, name: str, arrays: Mapping[str, NDArray[Any]]) -> Geometries:
    if name not in arrays:
        return no_geometries()
    offsets = tuple(arrays[f"{name}_{number}"] for number in range(int(kind) if kind != 3 else 2))
    return np.asarray(shapely.from_ragged_array(kind, arrays[name], offsets or None), dtype=object)
