"""Load vector layers: read, project and index them once, and cache the result.

Cartopy would project every feature in every worker, when the map is drawn. This module projects all vertices of a layer
together, before workers are forked. A border that two polygons share is kept once. A spatial index finds the geometries
within a panel.

::

    file ─► geometries ─► line segments, each once ─► project, cut at seams ─► lines + STRtree ─► clip ─► simplify
                     └──► polygons (only if filled) ─► cut at seams, project ──► polygons + STRtree ─► clip ─► snap
"""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from regionplot.errors import ConfigError, FeaturesError
from regionplot.geo.areas import project_polygons
from regionplot.geo.clip import IndexedGeometries
from regionplot.geo.crs import FULL_TURN
from regionplot.geo.extent import PanelGrid
from regionplot.geo.linework import Geometries, linework, no_geometries, project_points
from regionplot.inputs.isolation import Arrays, start_reading
from regionplot.inputs.vector_files import VectorData, convert_vector_errors, read_vectors
from regionplot.inputs.vector_sources import check_parts, files_of
from regionplot.settings.vector import VectorSettings
from regionplot.system.cache import ArrayCache, digest
from regionplot.system.code import imported_libraries, library_version, source_files

logger = logging.getLogger(__name__)
_POINT_TYPES = (0, 4)
"""Shapely's type ids of points and multipoints."""
_LINE_TYPES = (1, 2, 5)
_POLYGON_TYPES = (3, 6)
_KINDS = ("lines", "polygons", "points")
_NOTES = "notes"
"""Name of the array that holds the notes about the file as JSON."""


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

    def lines_in(self, panel: PanelGrid, reach: float = 0.0) -> Geometries:
        """Return the lines within a panel, clipped to it and simplified with a tolerance of a third of a pixel.

        Parameters
        ----------
        panel : PanelGrid
            The panel, in map units.
        reach : float
            Half of the line width in pixels. Lines outside the panel are included if they reach into it.
        """
        return self.line_index.clip_to_panel(panel, self.x_period, reach)

    def polygons_in(self, panel: PanelGrid) -> Geometries:
        """Return the polygons within a panel, clipped to it, with corners on a grid of an eighth of a pixel."""
        return self.polygon_index.areas_in_panel(panel, self.x_period)

    def points_in(self, panel: PanelGrid, reach: float = 0.0) -> Geometries:
        """Return the points within a panel, and those outside it whose symbols reach into it.

        Parameters
        ----------
        panel : PanelGrid
            The panel, in map units.
        reach : float
            Radius of the symbols in pixels.
        """
        return self.point_index.clip_to_panel(panel, self.x_period, reach)


def load_layer(
    settings: VectorSettings, crs: pyproj.CRS, cache: ArrayCache | None = None, loaded: Sequence[VectorLayer] = ()
) -> VectorLayer:
    """Read one vector file and project it into the CRS of the maps; see `start_layer`.

    Raises
    ------
    FeaturesError
        If the file cannot be read, a part of it is missing, or neither the file nor the settings state a CRS.
    """
    return start_layer(settings, crs, cache, loaded)()


Finish = Callable[[], VectorLayer]
"""Function that waits until a layer is read, and returns the layer. It raises the same errors as `load_layer`."""


def start_layer(
    settings: VectorSettings,
    crs: pyproj.CRS,
    cache: ArrayCache | None = None,
    loaded: Sequence[VectorLayer] = (),
    started: dict[str, Finish] | None = None,
) -> Finish:
    """Start to read one vector file and to project it into the CRS of the maps, if possible in a child process.

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
    started : dict, optional
        Layers that are being read, by key. If one of them has the same key, it is returned. The new layer is added.

    Raises
    ------
    FeaturesError
        If the file cannot be opened, or a part of it is missing.
    """
    check_parts(settings.path)
    key = layer_key(settings, crs)
    for layer in loaded:
        if layer.key == key:
            return lambda: layer
    started = {} if started is None else started
    if key not in started:
        started[key] = functools.cache(_start(settings, crs, key, cache))
    return started[key]


def _start(settings: VectorSettings, crs: pyproj.CRS, key: str, cache: ArrayCache | None) -> Callable[[], VectorLayer]:
    """Read a layer from the cache, or start to read it from its file."""
    read = functools.partial(_read_arrays, settings, crs)
    cached = cache.read(key) if cache else None
    finish_reading = None if cached is not None else start_reading(read, settings.path, FeaturesError)

    def finish() -> VectorLayer:
        projected = None if cached is None else _from_arrays(cached)
        if cached is not None and projected is not None:
            return _layer(cached, projected, key, crs)
        arrays = finish_reading() if finish_reading else read()  # a damaged entry is read again
        if cache:
            cache.write(key, arrays)
        projected = _from_arrays(arrays)
        assert projected is not None, "the arrays are complete"
        return _layer(arrays, projected, key, crs)

    return finish


def _layer(arrays: Arrays, projected: _ByKind, key: str, crs: pyproj.CRS) -> VectorLayer:
    """Build a layer, and log the notes about its file. The cache keeps the notes, so each run logs them."""
    for level, text in json.loads(arrays[_NOTES].tobytes()):
        logger.log(level, "%s", text)
    lines, polygons, points = (IndexedGeometries.of(geometries) for geometries in projected)
    return VectorLayer(lines, polygons, points, FULL_TURN if crs.is_geographic else 0.0, key)


_ByKind = tuple[Geometries, Geometries, Geometries]
"""Lines, polygons and points."""


def _read_arrays(settings: VectorSettings, crs: pyproj.CRS) -> dict[str, NDArray[Any]]:
    """Read and project the geometries of a file. Return arrays of coordinates and offsets, and the notes as JSON."""
    data = convert_vector_errors(settings, lambda: read_vectors(settings))
    try:
        projected = convert_vector_errors(settings, lambda: _project(settings, data, crs))
    except ConfigError as error:  # there is no transformation between the two CRSs
        raise FeaturesError(f"{settings.path}: {error}") from None
    notes = list(data.notes)
    if data.geometries.size and not any(geometries.size for geometries in projected):
        text = (
            f"{settings.path}: none of the {data.geometries.size} features can be shown in the projection {crs.name!r}"
        )
        notes.append((logging.WARNING, text))
    return {**_to_arrays(projected), _NOTES: np.frombuffer(json.dumps(notes).encode(), dtype=np.uint8)}


def _project(settings: VectorSettings, data: VectorData, crs: pyproj.CRS) -> _ByKind:
    """Project geometries to the CRS of the maps."""
    kinds = shapely.get_type_id(data.geometries)
    lines, areas, points = (
        data.geometries[np.isin(kinds, types)] for types in (_LINE_TYPES + _POLYGON_TYPES, _POLYGON_TYPES, _POINT_TYPES)
    )
    return (
        linework(lines, data.crs, crs),
        project_polygons(areas, data.crs, crs) if settings.has_areas else no_geometries(),
        project_points(shapely.get_parts(points), data.crs, crs),
    )


def layer_key(settings: VectorSettings, crs: pyproj.CRS) -> str:
    """Return the digest of everything that the projected geometries depend on: files, settings, CRS, libraries, code.

    Raises
    ------
    FeaturesError
        If the file cannot be read.
    """
    path = settings.path
    libraries = (f"{name} {library_version(name)}" for name in imported_libraries(__name__))
    versions = (*libraries, shapely.geos_version_string, pyproj.proj_version_str)
    text = (*versions, str(settings.layer), str(settings.crs), str(settings.has_areas), crs.to_wkt())
    key: str = convert_vector_errors(settings, lambda: digest(text, [path, *files_of(path), *source_files(__name__)]))
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
        json.loads(arrays[_NOTES].tobytes())
    except (KeyError, ValueError, IndexError, shapely.errors.ShapelyError):
        return None
    return lines, polygons, points


def _from_ragged(kind: shapely.GeometryType, name: str, arrays: Mapping[str, NDArray[Any]]) -> Geometries:
    if name not in arrays:
        return no_geometries()
    offsets = tuple(arrays[f"{name}_{number}"] for number in range(int(kind) if kind != 3 else 2))
    return np.asarray(shapely.from_ragged_array(kind, arrays[name], offsets or None), dtype=object)
