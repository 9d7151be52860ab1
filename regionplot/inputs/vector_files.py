"""Check, read and project vector files.

Only this module imports pyogrio, which imports pandas. Layers that are in the cache do not need it.
"""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyogrio.raw
import pyproj
import shapely

from regionplot.errors import ConfigError, FeaturesError
from regionplot.geo.areas import project_polygons
from regionplot.geo.bounds import count_steps, on_earth
from regionplot.geo.crs import is_drawable, not_drawable, parse_crs, same_crs, shortened
from regionplot.geo.foreign_crs import drawable_crs
from regionplot.geo.linework import Geometries, linework, no_geometries, project_points, split_collections
from regionplot.geo.upright import upright
from regionplot.inputs.geopackage import check_layer_table, names_beside_views
from regionplot.inputs.isolation import Arrays, start_reading
from regionplot.inputs.remote_vectors import with_local_file
from regionplot.inputs.surfaces import parse_geometries
from regionplot.inputs.vector_arrays import Note, ProjectedGeometries
from regionplot.inputs.vector_sources import GEOJSON, GEOPACKAGE, VectorSource, check_parts, files_of, vector_source
from regionplot.settings.vector import VectorSettings
from regionplot.system.threads import GLOBALS_LOCK
from regionplot.text import plain_text

logger = logging.getLogger(__name__)
_MAX_VERTICES = 50_000_000
"""Maximum number of vertices of a layer, including the vertices that are added to long edges. They take 800 MB."""
_DEFAULT_CRS_NAMES = ("4326", "crs84")
"""Each name of WGS 84 in a GeoJSON contains one of these texts."""
_LIBRARY_ERRORS = (
    pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, pyproj.exceptions.ProjError,
    shapely.errors.ShapelyError, ValueError, OSError, OverflowError, MemoryError,
)  # fmt: skip
_NOT_GEOJSON = "Failed to read GeoJSON data"
"""Message of GDAL for JSON that is not a GeoJSON, without a reason."""
CRS_CURE = 'set crs = "EPSG:..." in its [[features]]'
"""Cure of a file whose CRS cannot be used, if the file is a layer of the maps."""
_POINT_TYPES = (0, 4)
"""Shapely's type ids of points and multipoints."""
_LINE_TYPES = (1, 2, 5)
_POLYGON_TYPES = (3, 6)


def check_layer(settings: VectorSettings) -> None:
    """Open a vector file and read its metadata, without its geometries.

    Raises
    ------
    FeaturesError
        If the file cannot be opened, a part of it is missing, or neither the file nor the settings state a CRS.
    """
    local = with_local_file(settings)

    def check() -> Arrays:
        VectorFile.opened(local)
        return {}

    start_reading(check, local.path, FeaturesError)()


def read_projected(settings: VectorSettings, crs: pyproj.CRS) -> ProjectedGeometries:
    """Return the geometries of a file in the CRS of the maps.

    Invalid geometries are repaired. Features are skipped if they have no geometry, if their geometry cannot be read, or
    if their coordinates are not on the earth. The result can be empty.

    Raises
    ------
    FeaturesError
        If the file cannot be read, neither the file nor the settings state a CRS, all features are skipped because of
        their geometries or coordinates, or there is no transformation between the two CRSs.
    """
    return _projected(settings, lambda: VectorFile.opened(settings).read(), crs)


def project_wkb(
    settings: VectorSettings, wkb: Sequence[bytes | None], source: pyproj.CRS, crs: pyproj.CRS
) -> ProjectedGeometries:
    """Return geometries in memory in the CRS of the maps, as `read_projected` does for a file.

    Parameters
    ----------
    settings : VectorSettings
        Settings of the layer. The path is the name of the layer, for messages.
    wkb : sequence of bytes or None
        The geometries as WKB. None if missing.
    source, crs : pyproj.CRS
        CRS of the geometries, and CRS of the maps.

    Raises
    ------
    FeaturesError
        If all features are skipped because of their geometries or coordinates, or there is no transformation between
        the two CRSs.
    """
    layer = VectorFile(settings, VectorSource(b"", ""), 0, source, [])
    return _projected(settings, lambda: layer.data_of(wkb), crs)


def _projected(settings: VectorSettings, read: Callable[[], _VectorData], crs: pyproj.CRS) -> ProjectedGeometries:
    data: _VectorData = convert_errors(settings, read)
    try:
        projected: ProjectedGeometries = convert_errors(settings, lambda: _project(settings, data, crs))
    except ConfigError as error:  # there is no transformation between the two CRSs
        raise FeaturesError(f"{settings.path}: {error}") from None
    if data.geometries.size and not (projected.lines.size or projected.polygons.size or projected.points.size):
        text = (
            f"{settings.path}: none of the {data.geometries.size} features can be shown in the projection {crs.name!r}"
        )
        return replace(projected, notes=(*projected.notes, (logging.WARNING, text)))
    return projected


@dataclass(frozen=True)
class _VectorData:
    """The geometries of a vector file in its own CRS."""

    geometries: Geometries
    crs: pyproj.CRS
    notes: tuple[Note, ...]
    """Facts about the file that the user should know, such as the number of skipped features."""


def _project(settings: VectorSettings, data: _VectorData, crs: pyproj.CRS) -> ProjectedGeometries:
    """Project geometries to the CRS of the maps."""
    kinds = shapely.get_type_id(data.geometries)
    lines, areas, points = (
        data.geometries[np.isin(kinds, types)] for types in (_LINE_TYPES + _POLYGON_TYPES, _POLYGON_TYPES, _POINT_TYPES)
    )
    parts = (
        linework(lines, data.crs, crs),
        project_polygons(areas, data.crs, crs) if settings.has_areas else no_geometries(),
        project_points(shapely.get_parts(points), data.crs, crs),
    )
    notes = data.notes
    if data.geometries.size and not any(part.size for part in parts):
        text = f"{settings.path}: no part of the layer can be shown in the projection {shortened(crs.name)}"
        notes = (*notes, (logging.WARNING, text))
    return ProjectedGeometries(*parts, notes)


def _library_text(error: Exception) -> str:
    """Return the first line of a message of GDAL or pyogrio, without Python's notation of bytes."""
    first = next(iter(str(error).splitlines()), type(error).__name__)
    return re.sub(r"b'([^']*)'", r"\1", first)


def convert_errors(settings: VectorSettings, read: Callable[[], Any]) -> Any:
    """Call `read`. Log the warnings of libraries, and convert their errors to a FeaturesError that names the file."""
    try:
        with GLOBALS_LOCK, warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            result = read()
    except _LIBRARY_ERRORS as error:
        message = _library_text(error)
        if message == _NOT_GEOJSON:
            message += "; GeoJSON with a feature on each line, TopoJSON and Esri JSON are not read; convert the file"
        raise FeaturesError(f"{settings.path}: cannot be read as vector data: {message}") from error
    for text in dict.fromkeys(str(warning.message) for warning in caught):
        logger.debug("%s: %s", settings.path, plain_text(text))
    return result


@dataclass(frozen=True)
class VectorFile:
    """A layer of a vector file whose metadata have been checked."""

    settings: VectorSettings
    source: VectorSource
    layer: str | int
    crs: pyproj.CRS
    notes: list[Note]

    @classmethod
    def opened(cls, settings: VectorSettings) -> VectorFile:
        """Read and check the metadata of a layer. Refuse a file that GDAL has opened with an unexpected driver."""
        notes: list[Note] = []
        path = settings.path
        check_parts(path)
        source = vector_source(path)
        layer = _choose_layer(settings, source, notes)
        info: dict[str, Any] = convert_errors(
            settings, lambda: pyogrio.read_info(source.name, layer=layer, force_feature_count=True)
        )
        if info["driver"] != source.driver:
            raise FeaturesError(
                f"{path}: cannot be read as vector data: it looks like {source.driver}, but GDAL reads it "
                f"as {info['driver']}"
            )
        size = len(source.content or b"") or sum(part.stat().st_size for part in (path, *files_of(path)))
        if info["features"] > size:
            raise FeaturesError(
                f"{path}: the file is damaged: the layer states {info['features']:,} features, "
                f"but the file has only {size:,} bytes"
            )
        return cls(settings, source, layer, _crs(settings, source, info["crs"], notes), notes)

    def read(self) -> _VectorData:
        """Return the geometries of the layer."""
        _, _, wkb, _ = self.raw(columns=[])
        if wkb is None or not len(wkb):
            self._note(logging.INFO, "the layer holds no features")
        return self.data_of([] if wkb is None else wkb)

    def raw(self, **options: Any) -> tuple[Any, ...]:
        """Return what pyogrio reads: metadata, ids, geometries as WKB, and the values of each attribute.

        Raises
        ------
        FeaturesError
            If the file cannot be read, or the condition is not valid.
        """
        where, name = self.settings.where, self.source.name
        options = {"layer": self.layer, "force_2d": True, **options}
        if where:  # attributes that are not read have no values in the condition
            options = {**options, "where": where, "columns": None}
        try:
            found: tuple[Any, ...] = convert_errors(self.settings, lambda: pyogrio.raw.read(name, **options))
        except FeaturesError as error:
            if where:
                raise FeaturesError(f"{error}; is the condition {where!r} correct?") from None
            raise
        return found

    def data_of(self, wkb: Sequence[bytes | None]) -> _VectorData:
        """Return the usable geometries. Repair invalid geometries."""
        geometries = self._usable_geometries(wkb)
        if count_steps(geometries, self.crs) > _MAX_VERTICES:
            raise FeaturesError(
                f"{self.settings.path}: the lines of the layer are too long: their projection needs more than "
                f"{_MAX_VERTICES:,} vertices; are the coordinates in the CRS {self.crs.name!r}?"
            )
        turned = upright(self.crs)
        if not turned.change.is_identity:
            geometries = shapely.transform(geometries, turned.points)
        return _VectorData(split_collections(geometries), turned.crs, tuple(self.notes))

    def _usable_geometries(self, wkb: Sequence[bytes | None]) -> Geometries:
        """Return the usable geometries, without geometries that are missing, unreadable or not on the earth."""
        geometries = parse_geometries(wkb)
        is_unread = shapely.is_missing(geometries) & np.array([each is not None for each in wkb], dtype=bool)
        is_blank = (shapely.is_missing(geometries) & ~is_unread) | shapely.is_empty(geometries)
        is_far = ~on_earth(geometries, self.crs)
        kept: Geometries = geometries[~(is_unread | is_blank | is_far)]
        self._count(is_blank.sum(), "without a geometry")  # null, or lost in a damaged file
        self._count(is_unread.sum(), "with a geometry that cannot be read")
        self._count(is_far.sum(), "whose coordinates are not numbers, or not on the earth")
        if not kept.size and is_far.any():
            raise FeaturesError(
                f"{self.settings.path}: all features lie outside the earth in the CRS "
                f'{self.crs.name!r}; set crs = "EPSG:..." in its [[features]]'
            )
        if not kept.size and is_unread.any():
            raise FeaturesError(f"{self.settings.path}: no geometry of the layer can be read; check the file")
        return kept

    def _count(self, number: int, kind: str) -> None:
        if number:
            self._note(logging.WARNING, f"skipped {number} feature{'s' if number > 1 else ''} {kind}")

    def _note(self, level: int, text: str) -> None:
        self.notes.append((level, f"{self.settings.path}: {text}"))


def list_layers(settings: VectorSettings, source: VectorSource) -> tuple[list[str], list[str]]:
    """Return the names of the layers of a GeoPackage: layers with geometries, and other tables.

    Raises
    ------
    FeaturesError
        If the file cannot be read.
    """
    if names := names_beside_views(settings.path, source.content):
        return names, []
    found = convert_errors(settings, lambda: pyogrio.list_layers(source.name))
    return [str(name) for name, kind in found if kind is not None], [str(name) for name, kind in found if kind is None]


def _choose_layer(settings: VectorSettings, source: VectorSource, notes: list[Note]) -> str | int:
    """Return the name or the number of the layer to read. Only a GeoPackage can have several layers."""
    if source.driver != GEOPACKAGE:
        is_own_name = source.content is not None and settings.layer == source.layer
        return 0 if settings.layer is None or is_own_name else settings.layer
    names, others = list_layers(settings, source)
    layer = settings.layer
    if not names or (layer is not None and layer not in names):
        missing = (
            f"there is no layer {layer!r}; the layers" if names else "there is no layer with geometries; the tables"
        )
        listed = plain_text(", ".join(names or others)) or "none"
        raise FeaturesError(f"{settings.path}: {missing} are: {listed}")
    if layer is None and len(names) > 1:
        listed = plain_text(", ".join(names))
        text = f"the first layer is drawn; choose another layer with layer = NAME (the file has {listed})"
        notes.append((logging.WARNING, f"{settings.path}: {text}"))
    layer = layer or names[0]
    check_layer_table(settings.path, layer, source.content)
    return layer


def _crs(settings: VectorSettings, source: VectorSource, found: str | None, notes: list[Note]) -> pyproj.CRS:
    """Return the CRS of the settings, or otherwise the CRS that the file states."""
    stated = None if _is_assumed(source, found) else found
    if settings.crs is None:
        return _stated_crs(settings, stated)
    crs = parse_crs(settings.crs)
    if not is_drawable(crs):
        raise FeaturesError(f"{settings.path}: {not_drawable(crs)}")
    is_default = source.driver == GEOJSON and source.crs_member is None
    with suppress(FeaturesError):  # the file states no CRS
        other = _stated_crs(settings, None if is_default else stated)
        if not same_crs(other, crs):
            text = f"the file states the CRS {other.name!r}, but crs = {settings.crs!r} in the settings is used"
            notes.append((logging.WARNING, f"{settings.path}: {text}"))
    return crs


def _stated_crs(settings: VectorSettings, stated: str | None) -> pyproj.CRS:
    if stated is None:
        raise FeaturesError(f"{settings.path}: the file has no CRS; {CRS_CURE}")
    try:
        return drawable_crs(stated)
    except ConfigError as error:
        raise FeaturesError(f"{settings.path}: {error}, or {CRS_CURE}") from None


def _is_assumed(source: VectorSource, found: str | None) -> bool:
    """Return True if GDAL has assumed WGS 84 because it does not know the `crs` member of a GeoJSON."""
    if source.driver != GEOJSON or source.crs_member is None or found is None or "4326" not in found:
        return False
    return not any(name in source.crs_member.casefold() for name in _DEFAULT_CRS_NAMES)
