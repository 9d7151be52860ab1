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
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyproj
import shapely

from regionplot.errors import FeaturesError
from regionplot.geo.clip import IndexedGeometries
from regionplot.geo.crs import same_crs
from regionplot.geo.extent import FULL_TURN, PanelGrid
from regionplot.geo.linework import Geometries
from regionplot.geo.shown import areas_on_panel, lines_on_panel, points_on_panel
from regionplot.inputs.isolation import Arrays, start_reading
from regionplot.inputs.remote_vectors import with_local_file
from regionplot.inputs.vector_arrays import ProjectedGeometries
from regionplot.inputs.vector_sources import check_parts, files_of
from regionplot.settings.vector import VectorSettings
from regionplot.system.cache import digest
from regionplot.system.cache_turn import Cache
from regionplot.system.code_records import code_records, known_sources

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class VectorLayer:
    """One vector layer, with spatial indexes."""

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
    crs: pyproj.CRS = field(repr=False)
    """CRS of the geometries: that of the maps, or degrees if each map has its own CRS."""

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

    def lines_in(self, panel: PanelGrid, reach: float = 0.0, crs: pyproj.CRS | None = None) -> Geometries:
        """Return the lines within a panel, clipped to it and simplified with a tolerance of a third of a pixel.

        Parameters
        ----------
        panel : PanelGrid
            The panel, in map units.
        reach : float
            Half of the line width in pixels. Lines outside the panel are included if they reach into it.
        crs : pyproj.CRS, optional
            CRS of the map. By default, the CRS of the layer.
        """
        if crs is not None and not self._is_in(crs):
            return lines_on_panel(self.line_index, self.crs, panel, crs, reach)
        return self.line_index.clip_to_panel(panel, self.x_period, reach)

    def polygons_in(self, panel: PanelGrid, crs: pyproj.CRS | None = None) -> Geometries:
        """Return the polygons within a panel, clipped to it, with corners on a grid of an eighth of a pixel.

        Parameters
        ----------
        panel, crs
            As for `lines_in`.
        """
        if crs is not None and not self._is_in(crs):
            return areas_on_panel(self.polygon_index, self.crs, panel, crs)
        return self.polygon_index.areas_in_panel(panel, self.x_period)

    def points_in(self, panel: PanelGrid, reach: float = 0.0, crs: pyproj.CRS | None = None) -> Geometries:
        """Return the points within a panel, and the points outside the panel whose symbols reach into it.

        Parameters
        ----------
        panel : PanelGrid
            The panel, in map units.
        reach : float
            Radius of the symbols in pixels.
        crs : pyproj.CRS, optional
            CRS of the map. By default, the CRS of the layer.
        """
        if crs is not None and not self._is_in(crs):
            points = points_on_panel(shapely.get_coordinates(self.points), self.crs, panel, crs, reach)
            shown = shapely.points(points[np.isfinite(points).all(axis=1)])
            return IndexedGeometries.of(np.asarray(shown, dtype=object)).clip_to_panel(panel, 0.0, reach)
        return self.point_index.clip_to_panel(panel, self.x_period, reach)

    def _is_in(self, crs: pyproj.CRS) -> bool:
        return crs is self.crs or same_crs(crs, self.crs)


def load_layer(
    settings: VectorSettings, crs: pyproj.CRS, cache: Cache | None = None, loaded: Sequence[VectorLayer] = ()
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
    cache: Cache | None = None,
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
    cache : Cache, optional
        Cache of projected geometries.
    loaded : sequence of VectorLayer
        Layers from an earlier load. A layer with the same key is returned.
    started : dict, optional
        Layers that are being read, by key. A layer with the same key is returned. Otherwise, the new layer is added.

    Raises
    ------
    FeaturesError
        If the file cannot be opened, or a part of it is missing.
    """
    settings = with_local_file(settings)
    check_parts(settings.path)
    key = layer_key(settings, crs, records=cache is not None)
    for layer in loaded:
        if layer.key == key:
            return lambda: layer
    started = {} if started is None else started
    if key not in started:
        started[key] = functools.cache(_start(settings, crs, key, cache))
    return started[key]


def _start(settings: VectorSettings, crs: pyproj.CRS, key: str, cache: Cache | None) -> Callable[[], VectorLayer]:
    """Read a layer from the cache, or start to read it from its file."""
    cached = cache.read(key) if cache else None
    finish_reading = _start_reading(settings, crs) if cached is None else None

    def finish() -> VectorLayer:
        projected = None if cached is None else ProjectedGeometries.from_arrays(cached)
        if projected is not None:
            return _layer(projected, key, crs)
        arrays = (finish_reading or _start_reading(settings, crs))()  # a damaged entry is read again
        if cache:
            cache.write(key, arrays)
        projected = ProjectedGeometries.from_arrays(arrays)
        assert projected is not None, "the arrays are complete"
        return _layer(projected, key, crs)

    return finish


def _start_reading(settings: VectorSettings, crs: pyproj.CRS) -> Callable[[], Arrays]:
    """Start to read and project the geometries of a file.

    The import is here because layers in the cache do not need it. It precedes the fork, so children do not repeat it.
    """
    from regionplot.inputs.vector_files import read_projected  # noqa: PLC0415 (imports pyogrio and pandas)

    def read() -> Arrays:
        return read_projected(settings, crs).to_arrays()

    return start_reading(read, settings.path, FeaturesError)


def _layer(projected: ProjectedGeometries, key: str, crs: pyproj.CRS) -> VectorLayer:
    """Build a layer, and log the notes about its file. The cache keeps the notes, so each run logs them."""
    for level, text in projected.notes:
        logger.log(level, "%s", text)
    kinds = (projected.lines, projected.polygons, projected.points)
    lines, polygons, points = (IndexedGeometries.of(geometries) for geometries in kinds)
    return VectorLayer(lines, polygons, points, FULL_TURN if crs.is_geographic else 0.0, key, crs)


def layer_key(settings: VectorSettings, crs: pyproj.CRS, *, records: bool = True) -> str:
    """Return the digest of everything that the projected geometries depend on: files, settings, CRS, libraries, code.

    Parameters
    ----------
    settings : VectorSettings
        Path, layer and CRS.
    crs : pyproj.CRS
        CRS of the maps.
    records : bool
        False: read all source files, as runs without a cache do. The digest is the same.

    Raises
    ------
    FeaturesError
        If the file cannot be read.
    """
    path = settings.path
    try:
        sources = known_sources((__name__,), code_records() if records else None)
    except OSError as error:
        raise FeaturesError(f"{error.filename}: cannot be read: {error.strerror}") from error
    versions = (*sources.versions(), shapely.geos_version_string, pyproj.proj_version_str, sources.digest.hex())
    text = (*versions, str(settings.layer), str(settings.crs), str(settings.has_areas), settings.where, crs.to_wkt())
    try:
        return digest(text, [path, *files_of(path)])
    except OSError as error:
        raise FeaturesError(f"{path}: cannot be read as vector data: {error}") from error
