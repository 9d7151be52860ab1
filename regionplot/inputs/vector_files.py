"""Check and read vector files."""

from __future__ import annotations

import json
import logging
import mmap
import re
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyogrio.raw
import pyproj
import shapely

from regionplot.errors import ConfigError, FeaturesError
from regionplot.geo.crs import is_drawable, not_drawable, parse_crs
from regionplot.geo.foreign_crs import drawable_crs, path_in_crs
from regionplot.geo.linework import Geometries, split_collections
from regionplot.inputs.crs_texts import path_in_vectors
from regionplot.inputs.drivers import BLANK_BYTES, START_BYTES, read_start
from regionplot.settings.vector import VectorSettings
from regionplot.text import plain_text

logger = logging.getLogger(__name__)
_REQUIRED_PARTS = {".shp": (".shx", ".dbf")}
"""Suffixes of the files that must exist next to a `.shp` file."""
_SHAPEFILE_MARK = (9994).to_bytes(4, "big")


def check_layer(settings: VectorSettings) -> None:
    """Open a vector file and read its metadata, without its geometries.

    Raises
    ------
    FeaturesError
        If the file cannot be opened, a part of it is missing, or neither the file nor the settings state a CRS.
    """
    check_parts(settings)
    source = vector_source(settings.path)
    _crs(settings, _described(settings, source)["crs"])


def _described(settings: VectorSettings, source: VectorSource) -> dict[str, Any]:
    """Return GDAL's metadata of a layer. Refuse a file that GDAL has opened with an unexpected driver."""
    info: dict[str, Any] = convert_vector_errors(
        settings, lambda: pyogrio.read_info(source.name, layer=settings.layer or 0)
    )
    if info["driver"] != source.driver:
        raise FeaturesError(
            f"{settings.path}: cannot be read as vector data: it looks like {source.driver}, but GDAL reads it "
            f"as {info['driver']}"
        )
    return info


def convert_vector_errors(settings: VectorSettings, read: Callable[[], Any]) -> Any:
    """Call `read`, and convert its errors to a FeaturesError that names the file."""
    try:
        return read()
    except (pyogrio.errors.DataSourceError, pyogrio.errors.DataLayerError, ValueError, OSError) as error:
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FeaturesError(f"{settings.path}: cannot be read as vector data: {message}") from error


def check_parts(settings: VectorSettings) -> None:
    """Refuse an empty file, and a shapefile that lacks a part or is truncated.

    GDAL would read only a part of such a shapefile, without an error.
    """
    path = settings.path
    if path.is_file() and not path.stat().st_size:
        raise FeaturesError(f"{path}: the file is empty")
    missing = [
        part
        for part in _REQUIRED_PARTS.get(path.suffix.lower(), ())
        if not path.with_suffix(part).exists() and not path.with_suffix(part.upper()).exists()
    ]
    if missing:
        raise FeaturesError(f"{path}: its {' and '.join(missing)} part is missing; a shapefile needs all its parts")
    if path.suffix.lower() == ".shp":
        for part in (path, path.with_suffix(".shx"), path.with_suffix(".SHX")):
            _check_length(part)


def _check_length(path: Path) -> None:
    """Refuse a file that is shorter than its header says. GDAL would return null geometries for the missing part."""
    if not path.is_file():
        return
    with path.open("rb") as file:
        header = file.read(28)
    declared = 2 * int.from_bytes(header[24:28], "big")
    if header.startswith(_SHAPEFILE_MARK) and path.stat().st_size < max(declared, 100):
        raise FeaturesError(f"{path}: the file is truncated: it has {path.stat().st_size:,} of {declared:,} bytes")


def read_vectors(settings: VectorSettings) -> tuple[Geometries, pyproj.CRS]:
    """Return the geometries of a file and their CRS. Repair invalid geometries, and skip null geometries."""
    source = vector_source(settings.path)
    _described(settings, source)
    meta, _, wkb, _ = convert_vector_errors(
        settings, lambda: pyogrio.raw.read(source.name, layer=settings.layer or 0, columns=[], force_2d=True)
    )
    if wkb is None or not len(wkb):
        raise FeaturesError(f"{settings.path}: the layer holds no features")
    geometries = np.asarray(shapely.from_wkb(wkb, on_invalid="fix"), dtype=object)
    kept = geometries[~(shapely.is_missing(geometries) | shapely.is_empty(geometries))]
    if kept.size < geometries.size:
        logger.info("%s: skipped %d features without a geometry", settings.path, geometries.size - kept.size)
    if not kept.size:
        raise FeaturesError(f"{settings.path}: no feature of the layer has a geometry")
    return split_collections(kept), _crs(settings, meta["crs"])


def _crs(settings: VectorSettings, found: str | None) -> pyproj.CRS:
    try:
        if found:
            return drawable_crs(found)
    except ConfigError as error:
        if not settings.crs:
            raise FeaturesError(f'{settings.path}: {error}, or set crs = "EPSG:..." in its [[features]]') from None
    if settings.crs is None:
        raise FeaturesError(f'{settings.path}: the file has no CRS; set crs = "EPSG:..." in its [[features]]')
    crs = parse_crs(settings.crs)
    if not is_drawable(crs):
        raise FeaturesError(f"{settings.path}: {not_drawable(crs)}")
    return crs


_SHAPEFILE = "ESRI Shapefile"
_VECTOR_MARKS = {
    (9994).to_bytes(4, "big"): _SHAPEFILE,
    b"fgb\x03": "FlatGeobuf",
    b"SQLite format 3\0": "GPKG",
    b"{": "GeoJSON",
}
_GEOPACKAGES = (b"GPKG", b"GP10", b"GP11")
"""Application ids of GeoPackages. Other SQLite files can have tables that refer to other files."""
_VECTOR_KINDS = "shapefiles (zipped or not), GeoPackage, GeoJSON and FlatGeobuf"
_VECTOR_SUFFIXES = {
    ".shp": (".shp", ".shx", ".dbf", ".prj", ".cpg"),
    ".gpkg": (),
    ".geojson": (),
    ".json": (),
    ".fgb": (),
}
_ZIP = b"PK\x03\x04"
_LARGEST_PRJ = 2**20
"""Number of bytes to read from a `.prj` file in an archive."""
_LARGEST_UNPACKED = 2**30
"""Maximum unpacked size of a vector file in an archive, in bytes."""
_CRS_KEYS = ("name", "crs", "code", "wkt", "definition")
"""Members of a GeoJSON that can hold the definition of a CRS."""
_MAYBE_LINK = re.compile(rb"crs|\\u00[4-7]", re.IGNORECASE)
"""Bytes that a GeoJSON with a `crs` member contains: the text `crs`, or an escaped ASCII letter of this text."""


@dataclass(frozen=True, slots=True)
class VectorSource:
    """A vector file that GDAL may open."""

    name: str
    """GDAL's name of the file."""
    driver: str
    """The only driver that may open the file."""


def vector_source(path: Path) -> VectorSource:
    """Return the name and driver with which GDAL may open a vector file.

    Raises
    ------
    FeaturesError
        If the format of the file is not allowed.
    """
    start = read_start(path, FeaturesError)
    if start.startswith(_ZIP):
        return _zipped(path)
    driver = _vector_driver(str(path), start)
    if driver == "GeoJSON":
        with path.open("rb") as file:
            _check_geojson(path, file.fileno())
        return VectorSource(f"GeoJSON:{path}", driver)  # without the prefix, GDAL would also try other drivers
    try:
        _refuse_path(path, path_in_vectors(path, driver))
    except OSError as error:
        raise FeaturesError(f"{path}: {error.strerror or error}") from None
    return VectorSource(str(path), driver)


def _refuse_path(path: Path, reference: str | None) -> None:
    """Refuse a file whose CRS names another file, because GDAL would open that file."""
    if reference is not None:
        raise FeaturesError(f"{path}: its CRS names another file, which is not opened: {plain_text(reference)}")


def _vector_driver(name: str, start: bytes) -> str:
    if start.lstrip(BLANK_BYTES).startswith(b"<"):
        raise FeaturesError(f"{name}: XML (a VRT, KML or GML?) is not read; convert it to GeoPackage")
    driver = next(
        (driver for mark, driver in _VECTOR_MARKS.items() if start.lstrip(BLANK_BYTES).startswith(mark)), None
    )
    if driver is None or (driver == "GPKG" and start[68:72] not in _GEOPACKAGES):
        raise FeaturesError(f"{name}: cannot be read as vector data: its format is not one of {_VECTOR_KINDS}")
    return driver


def _zipped(path: Path) -> VectorSource:
    """Return the only vector file in an archive. Refuse an archive with no vector file or with several."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = _only_member(path, archive)
            with archive.open(member) as file:
                start = file.read(START_BYTES)
            _check_archived_crs(path, member, archive)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise FeaturesError(f"{path}: cannot be read as a zip archive: {error}") from None
    driver = _vector_driver(f"{path}: {member.filename}", start)
    if driver == "GeoJSON":
        raise FeaturesError(f"{path}: a GeoJSON in an archive is not read; unpack it")
    return VectorSource(f"/vsizip/{{{path}}}/{member.filename}", driver)


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = {member.filename: member for member in archive.infolist() if not member.is_dir()}
    found = [member for name, member in members.items() if _is_vector(name)]
    if len(found) != 1:
        found_text = "no vector file" if not found else f"{len(found)} vector files"
        raise FeaturesError(
            f"{path}: the archive holds {found_text}; it must hold exactly one shapefile, GeoPackage or FlatGeobuf"
        )
    stem = found[0].filename.rpartition(".")[0]
    size = sum(member.file_size for name, member in members.items() if name.rpartition(".")[0] == stem)
    if size > _LARGEST_UNPACKED:
        raise FeaturesError(
            f"{path}: {found[0].filename} and its parts unpack to {size:,} bytes, more than {_LARGEST_UNPACKED:,}; "
            "unpack the archive, if you trust it, and name the file"
        )
    return found[0]


def _check_archived_crs(path: Path, member: zipfile.ZipInfo, archive: zipfile.ZipFile) -> None:
    """Refuse a shapefile in an archive whose CRS names another file."""
    stem = member.filename.rpartition(".")[0].lower()
    for other in archive.infolist():
        if other.filename.lower() == f"{stem}.prj":
            with archive.open(other) as file:
                _refuse_path(path, path_in_crs(file.read(_LARGEST_PRJ).decode("latin-1")))


def _is_vector(name: str) -> bool:
    pure = PurePosixPath(name)
    return pure.suffix.lower() in _VECTOR_SUFFIXES and not pure.name.startswith(".") and "__MACOSX" not in pure.parts


def _check_geojson(path: Path, descriptor: int) -> None:
    """Refuse a GeoJSON whose `crs` member is a link, because GDAL would fetch the link.

    The file is parsed only if it may have a `crs` member.
    """
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as content:
        if not _MAYBE_LINK.search(content):
            return
        try:
            json.loads(content[:], object_pairs_hook=lambda pairs: _check_members(path, pairs))
        except (ValueError, RecursionError) as error:
            raise FeaturesError(f"{path}: cannot be read as vector data: not valid JSON: {error}") from None


def _check_members(path: Path, pairs: list[tuple[str, Any]]) -> str | None:
    """Return `link` for a JSON object that is a link, otherwise None. Refuse a `crs` member that is a link.

    Parsed objects are not kept, so parsing a large file needs little additional memory.
    """
    for key, value in pairs:
        if isinstance(value, str) and key.casefold() in _CRS_KEYS:
            _refuse_path(path, path_in_crs(value))
        if key.casefold() == "crs" and value == "link":
            raise FeaturesError(f"{path}: its CRS is a link, which is not followed; give the CRS by name")
    kinds = {str(value).casefold() for key, value in pairs if key.casefold() == "type"}
    return "link" if kinds & {"link", "url"} else None
