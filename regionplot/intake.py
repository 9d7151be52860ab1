"""Look at an input file before GDAL does: which driver may open it, and whether it is still the file that it was.

GDAL picks a driver by a file's content, and some drivers then read any other file or address that the content names: a
VRT called grid.tif can show another file or fetch a URL. So the kind of a file is found here, by its first bytes; only
kinds that hold their own data are let in, and GDAL is told the driver or is asked afterwards which one it took.
"""

from __future__ import annotations

import json
import mmap
import re
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from regionplot.errors import FeaturesError, InputError, RasterError

_START = 1024
"""Bytes that GDAL, too, looks at to tell what a file is."""
_RASTER_MARKS = {
    b"II*\0": "GTiff",
    b"MM\0*": "GTiff",
    b"II+\0": "GTiff",
    b"MM\0+": "GTiff",
    b"CDF\x01": "netCDF",
    b"CDF\x02": "netCDF",
    b"CDF\x05": "netCDF",
    b"\x89HDF\r\n\x1a\n": "netCDF",
    b"\0\0\0\x0cjP  \r\n": "JP2OpenJPEG",
    b"\xffO\xffQ": "JP2OpenJPEG",
    b"EHFA_HEADER_TAG": "HFA",
}
_RASTER_KINDS = "GeoTIFF, NetCDF, GRIB, JPEG 2000, Erdas Imagine, Arc/Info ASCII and SRTM grids"
_SHAPEFILE = "ESRI Shapefile"
_VECTOR_MARKS = {
    (9994).to_bytes(4, "big"): _SHAPEFILE,
    b"fgb\x03": "FlatGeobuf",
    b"SQLite format 3\0": "GPKG",
    b"{": "GeoJSON",
}
_GEOPACKAGES = (b"GPKG", b"GP10", b"GP11")
"""What a database says that it is; others can have tables that stand for other files."""
_VECTOR_KINDS = "shapefiles (zipped or not), GeoPackage, GeoJSON and FlatGeobuf"
_VECTOR_SUFFIXES = {
    ".shp": (".shp", ".shx", ".dbf", ".prj", ".cpg"),
    ".gpkg": (),
    ".geojson": (),
    ".json": (),
    ".fgb": (),
}
_ZIP = b"PK\x03\x04"
_MOST_UNPACKED = 2**30
_MAYBE_LINK = re.compile(rb"crs|\\u00[4-7]", re.IGNORECASE)
"""A GeoJSON's `crs` member, or an escaped ASCII letter that may be part of one."""
_BLANK = b"\xef\xbb\xbf \t\r\n"


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What changes when a file is replaced, cut or written to."""

    device: int
    inode: int
    size: int
    modified: int
    """When it was written to, in nanoseconds; a copy can have that of its original."""
    changed: int
    """When anything about it changed, in nanoseconds, which nobody can set back."""

    @classmethod
    def of(cls, path: Path) -> Fingerprint | None:
        """The fingerprint of a file as it is now; None if it is not there."""
        try:
            found = path.stat()
        except OSError:
            return None
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def raster_driver(path: Path) -> str:
    """The name of the one GDAL driver that may open a raster.

    Raises
    ------
    RasterError
        If the file is none of the kinds that hold their own cells.
    """
    start = _start_of(path, RasterError)
    if start.lstrip(_BLANK).startswith(b"<"):
        raise RasterError(f"{path}: an XML file (a VRT?) is not a grid; name the file that holds the data")
    driver = next((name for mark, name in _RASTER_MARKS.items() if start.startswith(mark)), None)
    driver = driver or _text_driver(start) or ("SRTMHGT" if path.suffix.lower() == ".hgt" else None)
    if driver is None:
        raise RasterError(f"{path}: cannot be read as a raster: it is none of {_RASTER_KINDS}")
    return driver


def _text_driver(start: bytes) -> str | None:
    if start.lstrip()[:5].lower() == b"ncols":
        return "AAIGrid"
    return "GRIB" if b"GRIB" in start else None  # a bulletin's header may stand before it


def _start_of(path: Path, error: type[InputError]) -> bytes:
    """The first bytes of a regular file under a name that GDAL does not take for anything else."""
    if path.parts[1:2] and path.parts[1].startswith("vsi"):
        raise error(f"{path}: GDAL's virtual files are not read; name a file")
    if "!" in path.name or any("!" in part for part in path.parts):
        raise error(f"{path}: GDAL takes what follows a '!' for a file in an archive; rename it")
    if not path.is_file():
        raise error(f"{path}: {'there is no such file' if not path.exists() else 'it is not a file'}")
    try:
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError as failure:
        raise error(f"{path}: {failure.strerror or failure}") from None
    if not start.strip(_BLANK):
        raise error(f"{path}: the file is empty")
    return start


@dataclass(frozen=True, slots=True)
class VectorSource:
    """A vector file as GDAL may open it."""

    name: str
    """What GDAL is given."""
    driver: str
    """The only driver that may have opened it."""


def vector_source(path: Path) -> VectorSource:
    """How GDAL may open a vector file.

    Raises
    ------
    FeaturesError
        If the file is none of the kinds that hold their own features.
    """
    start = _start_of(path, FeaturesError)
    if start.startswith(_ZIP):
        return _zipped(path)
    driver = _vector_driver(str(path), start)
    if driver == "GeoJSON":
        with path.open("rb") as file:
            _check_geojson(path, file.fileno())
        return VectorSource(f"GeoJSON:{path}", driver)  # without the prefix, GDAL would try other drivers, too
    return VectorSource(str(path), driver)


def _vector_driver(name: str, start: bytes) -> str:
    if start.lstrip(_BLANK).startswith(b"<"):
        raise FeaturesError(f"{name}: XML (a VRT, KML or GML?) is not read; convert it to GeoPackage")
    driver = next((driver for mark, driver in _VECTOR_MARKS.items() if start.lstrip(_BLANK).startswith(mark)), None)
    if driver is None or (driver == "GPKG" and start[68:72] not in _GEOPACKAGES):
        raise FeaturesError(f"{name}: cannot be read as vector data: only {_VECTOR_KINDS} are")
    return driver


def _zipped(path: Path) -> VectorSource:
    """The one vector file in an archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            member = _only_member(path, archive)
            with archive.open(member) as file:
                start = file.read(_START)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
        raise FeaturesError(f"{path}: cannot be read as a zip archive: {error}") from None
    driver = _vector_driver(f"{path}: {member.filename}", start)
    if driver == "GeoJSON":
        raise FeaturesError(f"{path}: a GeoJSON is read only as it is; unpack it")
    return VectorSource(f"/vsizip/{{{path}}}/{member.filename}", driver)


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = {member.filename: member for member in archive.infolist() if not member.is_dir()}
    found = [member for name, member in members.items() if _is_vector(name)]
    if len(found) != 1:
        what = "no vector file" if not found else f"{len(found)} vector files"
        raise FeaturesError(f"{path}: the archive holds {what}; it must hold one of {_VECTOR_KINDS}")
    stem = found[0].filename.rpartition(".")[0]
    size = sum(member.file_size for name, member in members.items() if name.rpartition(".")[0] == stem)
    if size > _MOST_UNPACKED:
        raise FeaturesError(
            f"{path}: {found[0].filename} and its parts unpack to {size:,} bytes, more than {_MOST_UNPACKED:,}; "
            "unpack the archive, if you trust it, and name the file"
        )
    return found[0]


def _is_vector(name: str) -> bool:
    pure = PurePosixPath(name)
    return pure.suffix.lower() in _VECTOR_SUFFIXES and not pure.name.startswith(".") and "__MACOSX" not in pure.parts


def _check_geojson(path: Path, descriptor: int) -> None:
    """Refuse a GeoJSON whose `crs` member is a link, for GDAL would fetch it; few files need to be parsed for that."""
    with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as content:
        if not _MAYBE_LINK.search(content):
            return
        try:
            json.loads(content[:], object_pairs_hook=lambda pairs: _check_members(path, pairs))
        except (ValueError, RecursionError) as error:
            raise FeaturesError(f"{path}: cannot be read as vector data: not valid JSON: {error}") from None


def _check_members(path: Path, pairs: list[tuple[str, Any]]) -> str | None:
    """Forget an object once it is read, but for a kind that GDAL would follow."""
    for key, value in pairs:
        if key.casefold() == "crs" and value == "link":
            raise FeaturesError(f"{path}: its CRS is a link, which is not followed; give the CRS by name")
    kinds = {str(value).casefold() for key, value in pairs if key.casefold() == "type"}
    return "link" if kinds & {"link", "url"} else None
