"""Identify a vector file, and name the only files and the only driver with which GDAL may open it."""

from __future__ import annotations

import io
import lzma
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from regionplot.errors import FeaturesError
from regionplot.geo.crs_paths import path_in_crs
from regionplot.inputs.crs_texts import path_in_vectors, refuse_reference
from regionplot.inputs.drivers import BLANK_BYTES, START_BYTES, read_start
from regionplot.inputs.geojson import crs_member
from regionplot.inputs.geopackage import check_tables, companions
from regionplot.inputs.point_table import is_table, points_as_geojson

SHAPEFILE, GEOPACKAGE, GEOJSON, FLATGEOBUF = "ESRI Shapefile", "GPKG", "GeoJSON", "FlatGeobuf"
"""GDAL's names of the drivers that may open a vector file."""
_MARKS = {
    (9994).to_bytes(4, "big"): SHAPEFILE,
    b"fgb\x03": FLATGEOBUF,
    b"SQLite format 3\0": GEOPACKAGE,
    b"{": GEOJSON,
}
_GEOPACKAGES = (b"GPKG", b"GP10", b"GP11")
"""Application ids of GeoPackages. Other SQLite files can have tables that refer to other files."""
_KINDS = "shapefiles (zipped or not), GeoPackage, GeoJSON, FlatGeobuf and tables of points (.csv)"
_REQUIRED_PARTS = (".shx", ".dbf")
_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg", ".qix", ".sbn", ".sbx")
"""Suffixes of the files of a shapefile that GDAL may read."""
_ARCHIVED = (".shp", ".gpkg", ".fgb")
"""Suffixes of the vector files that are looked for in an archive."""
_ARCHIVED_PARTS = (".shp", ".shx", ".dbf", ".prj", ".cpg")
_ZIP = b"PK\x03\x04"
_MAX_UNPACKED = 2**30
"""Maximum unpacked size of a vector file in an archive, in bytes."""
_MAX_CRS = 2**20
"""Maximum number of bytes to search for the definition of a CRS."""
_SHAPEFILE_HEADER = 100
"""Size of the header of a `.shp` or `.shx` file in bytes."""
_ZIP_ERRORS = (
    zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError, zlib.error, lzma.LZMAError,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class VectorSource:
    """A vector file that GDAL may open."""

    name: str | bytes
    """GDAL's name of the file, or the content of the file. The content is opened if the file is in an archive or a
    table, or if pyogrio would interpret its name as the name of another file."""
    driver: str
    """The only driver that may open the file."""
    crs_member: str | None = None
    """Text of the `crs` member of a GeoJSON. None for other formats, and if there is no such member."""
    layer: str = ""
    """Name of the only layer of a shapefile whose content is opened. In the content, the layer has another name."""

    @property
    def content(self) -> bytes | None:
        """Content of the file, if GDAL does not open the file by its name."""
        return self.name if isinstance(self.name, bytes) else None


def files_of(path: Path) -> tuple[Path, ...]:
    """Return the files that GDAL may read for a vector file, without the file itself, if they exist.

    Raises
    ------
    FeaturesError
        If one of them is not a regular file: GDAL would wait forever at a pipe.
    """
    siblings = path.parent.iterdir() if path.suffix.casefold() == ".shp" and path.parent.is_dir() else ()
    found = [other for other in siblings if other.suffix.casefold() in _PARTS and other.stem == path.stem]
    found += [companion for companion in companions(path) if companion.exists()]
    for other in found:
        if not other.is_file():
            raise FeaturesError(f"{other}: it is not a file; remove it, because it belongs to {path.name}")
    return tuple(sorted(other for other in found if other != path))


def check_parts(path: Path) -> None:
    """Refuse an empty file, and a shapefile that lacks a part or is truncated.

    GDAL would read only a part of such a shapefile, without an error.

    Raises
    ------
    FeaturesError
        If the file, or a part of it, is not usable.
    """
    read_start(path, FeaturesError)
    is_shapefile = path.suffix.lower() == ".shp"
    missing = [
        part
        for part in (_REQUIRED_PARTS if is_shapefile else ())
        if not path.with_suffix(part).exists() and not path.with_suffix(part.upper()).exists()
    ]
    if missing:
        raise FeaturesError(f"{path}: its {' and '.join(missing)} part is missing; a shapefile needs all its parts")
    parts = files_of(path)
    if is_shapefile:
        for part in (path, *(part for part in parts if part.suffix.lower() == ".shx")):
            with part.open("rb") as file:
                _check_length(str(part), file.read(_SHAPEFILE_HEADER), part.stat().st_size)


def _check_length(name: str, header: bytes, size: int) -> None:
    """Refuse a file that is shorter than its header says. GDAL would return null geometries for the missing part."""
    declared = 2 * int.from_bytes(header[24:28], "big")
    if _MARKS.get(header[:4]) == SHAPEFILE and size < max(declared, _SHAPEFILE_HEADER):
        raise FeaturesError(f"{name}: the file is truncated: it has {size:,} of {declared:,} bytes")


def vector_source(path: Path) -> VectorSource:
    """Return the name and driver with which GDAL may open a vector file.

    Raises
    ------
    FeaturesError
        If the format of the file is not allowed, or the file refers to other files.
    """
    start = read_start(path, FeaturesError)
    if start.startswith(_ZIP):
        return _zipped(path)
    if is_table(path):
        return VectorSource(points_as_geojson(path), GEOJSON)
    driver = _driver(str(path), start)
    if driver == GEOJSON:  # without the prefix, GDAL would also try other drivers
        return VectorSource(f"GeoJSON:{path}", driver, crs_member(path))
    from pyogrio.util import vsi_path  # noqa: PLC0415 (imports pandas; only files that are read need it)

    content = None if vsi_path(str(path)) == str(path) else _content(path, driver)
    if driver == GEOPACKAGE:
        check_tables(path, content)
    else:
        refuse_reference(path, path_in_vectors(path, driver))
    return VectorSource(str(path) if content is None else content, driver, layer=path.stem)


def _driver(name: str, start: bytes) -> str:
    """Return the driver for a file that starts with these bytes."""
    if start.lstrip(BLANK_BYTES).startswith(b"<"):
        raise FeaturesError(f"{name}: XML (a VRT, KML or GML?) is not read; convert it to GeoPackage")
    driver = next((driver for mark, driver in _MARKS.items() if start.lstrip(BLANK_BYTES).startswith(mark)), None)
    if driver is None or (driver == GEOPACKAGE and start[68:72] not in _GEOPACKAGES):
        raise FeaturesError(f"{name}: cannot be read as vector data: its format is not one of {_KINDS}")
    return driver


def _content(path: Path, driver: str) -> bytes:
    """Return the content of a file whose name pyogrio would change, such as a name with a semicolon."""
    if driver != SHAPEFILE:
        return path.read_bytes()
    others = [part for part in files_of(path) if part.suffix.lower() in _ARCHIVED_PARTS]
    parts = {part.suffix.lower(): part for part in (*others, path)}  # `.shx` sorts after `.SHX`, as GDAL prefers it
    return _packed({suffix: part.read_bytes() for suffix, part in parts.items()})


def _zipped(path: Path) -> VectorSource:
    """Return the only vector file in an archive, unpacked. GDAL does not open the archive itself.

    Python and GDAL may find different members if an archive has several members of one name.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            member = _only_vector(path, archive)
            parts = {suffix: archive.read(part) for suffix, part in _parts_of(path, archive, member).items()}
    except _ZIP_ERRORS as error:
        raise FeaturesError(f"{path}: cannot be read as a zip archive: {error}") from None
    main = parts[PurePosixPath(member.filename).suffix.lower()]
    name = f"{path}: {member.filename}"
    driver = _driver(name, main[:START_BYTES])
    if driver == GEOJSON:
        raise FeaturesError(f"{path}: a GeoJSON in an archive is not read; unpack it")
    if driver == GEOPACKAGE:
        check_tables(path, main)
    else:
        header = main[:_MAX_CRS] if driver == FLATGEOBUF else parts.get(".prj", b"")[:_MAX_CRS]
        refuse_reference(path, path_in_crs(header.decode("latin-1")))
    if driver != SHAPEFILE:
        return VectorSource(main, driver)
    for suffix in (".shp", ".shx"):
        _check_length(name, parts.get(suffix, b"")[:_SHAPEFILE_HEADER], len(parts.get(suffix, b"")))
    return VectorSource(_packed(parts), driver, layer=PurePosixPath(member.filename).stem)


def _only_vector(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    found = [member for member in archive.infolist() if _is_vector(member.filename, _ARCHIVED)]
    if not found and any(_is_vector(name, (".geojson", ".json")) for name in archive.namelist()):
        raise FeaturesError(f"{path}: a GeoJSON in an archive is not read; unpack it")
    if len(found) != 1:
        found_text = "no vector file" if not found else f"{len(found)} vector files"
        raise FeaturesError(
            f"{path}: the archive holds {found_text}; it must hold exactly one shapefile, GeoPackage or FlatGeobuf"
        )
    return found[0]


def _is_vector(name: str, suffixes: tuple[str, ...]) -> bool:
    pure = PurePosixPath(name)
    return pure.suffix.lower() in suffixes and not pure.name.startswith(".") and "__MACOSX" not in pure.parts


def _parts_of(path: Path, archive: zipfile.ZipFile, main: zipfile.ZipInfo) -> dict[str, zipfile.ZipInfo]:
    """Return the members that belong to a vector file, by suffix. Refuse duplicate parts and large files."""
    stem = main.filename.rpartition(".")[0].casefold()
    suffix = PurePosixPath(main.filename).suffix.lower()
    parts: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        own_stem, _, ending = member.filename.casefold().rpartition(".")
        part = f".{ending}"
        if own_stem != stem or part not in (_ARCHIVED_PARTS if suffix == ".shp" else (suffix,)):
            continue
        if part in parts:
            raise FeaturesError(f"{path}: the archive holds two files {member.filename}; remove one of the two")
        parts[part] = member
    size = sum(member.file_size for member in parts.values())
    if size > _MAX_UNPACKED:
        raise FeaturesError(
            f"{path}: {main.filename} and its parts unpack to {size:,} bytes, more than {_MAX_UNPACKED:,}; "
            "if you trust the archive, unpack it and give the path of the file"
        )
    return parts


def _packed(parts: Mapping[str, bytes]) -> bytes:
    """Return a zip archive, not compressed, that holds only the parts of one shapefile."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for suffix, content in parts.items():
            archive.writestr(f"layer{suffix}", content)
    return target.getvalue()
