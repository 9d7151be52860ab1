"""Parse the CRSs of files, and search files for CRSs that name other files before GDAL opens the files.

When GDAL reads a CRS, it opens each grid that the CRS names. A named pipe would block GDAL.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO

from regionplot.errors import FeaturesError
from regionplot.geo.crs_paths import path_in_crs, path_in_wkt
from regionplot.inputs.tiff_texts import tiff_texts
from regionplot.inputs.unpacked import is_compressed, unpacked
from regionplot.settings.remote_path import is_remote
from regionplot.settings.vrt_path import is_vrt
from regionplot.system.files import Fingerprint
from regionplot.text import plain_text

_BLOCK = 2**17
"""Number of bytes to search at a time."""
_KEYWORDS = (b"proj4_grids", b"parameterfile")
"""Words in WKT before the name of a file."""
_OVERLAP = max(map(len, _KEYWORDS)) - 1
_PART = 4 * 2**20
"""Number of bytes to search at each end of a raster."""
_MAX_TEXT = 2**20
"""Number of bytes to search in a file that holds only a CRS."""
_MAX_HEADER = 64 * 2**20
_PRJ_SUFFIXES = (".prj", ".PRJ", ".Prj")


def refuse_reference(path: Path, reference: str | None) -> None:
    """Refuse a vector file whose CRS names another file, because GDAL would open that file.

    Raises
    ------
    FeaturesError
        If there is a reference.
    """
    if reference is not None:
        raise FeaturesError(f"{path}: its CRS names another file, which is not opened: {plain_text(reference)}")


def path_in_raster(path: Path) -> str | None:
    """Return the first path that a CRS in a raster file names, or None.

    Of a TIFF, the texts of its tags are searched. Of other files, the start and the end are searched. NetCDF classic
    files hold their metadata there.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    if is_vrt(path):  # `inputs.virtual` has replaced its CRS
        return None
    if is_compressed(path):
        return _path_in_file(unpacked(path))
    if is_remote(path):  # the start of the object is in GDAL's cache
        return _path_in_remote(path)
    return _path_in_local_file(path, Fingerprint.of(path))


@lru_cache(maxsize=64)
def _path_in_local_file(path: Path, _: Fingerprint) -> str | None:
    """Return the first path in the texts of a TIFF, or in the start or the end of another file.

    Other files are read in small blocks, because new memory for large blocks would take most of the time.
    """
    with path.open("rb") as tiff:
        if (texts := tiff_texts(tiff)) is not None:
            return path_in_wkt("\n".join(texts))
    with path.open("rb", buffering=0) as file:
        size = file.seek(0, 2)
        for start, end in ((0, min(_PART, size)), (max(_PART, size - _PART), size)):
            if found := _path_in_part(file, start, end):
                return found
    return None


def _path_in_remote(path: Path) -> str | None:
    """Return the first path in a remote raster. Of a TIFF, only the texts of its tags are read."""
    with path.open("rb") as file:
        return _path_in_file(file)


def _path_in_file(file: BinaryIO) -> str | None:
    """Return the first path in a raster. Of a TIFF, only the texts of its tags are read."""
    if (texts := tiff_texts(file)) is not None:
        return path_in_wkt("\n".join(texts))
    file.seek(0, 2)
    size = file.tell()
    file.seek(0)
    start = file.read(_PART)
    file.seek(max(len(start), size - _PART))
    return path_in_wkt((start + file.read(_PART)).decode("latin-1"))


def _path_in_part(file: RawIOBase, start: int, end: int) -> str | None:
    """Return the first path in WKT in a part of a file, or None. Parts without the keywords are skipped quickly."""
    before, position = b"", file.seek(start)
    while position < end and (block := file.read(min(_BLOCK, end - position))):
        position += len(block)
        folded = (before + block).lower()
        if any(word in folded for word in _KEYWORDS):
            file.seek(start)
            return path_in_wkt((file.read(end - start) or b"").decode("latin-1"))
        before = block[-_OVERLAP:]
    return None


def path_in_vectors(path: Path, driver: str) -> str | None:
    """Return the first path that a CRS of a shapefile or FlatGeobuf names, or None.

    Parameters
    ----------
    path : Path
        The file.
    driver : str
        GDAL's driver for the file.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    return next(filter(None, map(path_in_crs, _texts(path, driver))), None)


def _texts(path: Path, driver: str) -> Iterator[str]:
    """Yield the texts of a vector file that may hold a CRS."""
    if driver == "ESRI Shapefile":
        for suffix in _PRJ_SUFFIXES:
            if (beside := path.with_suffix(suffix)).is_file():
                with beside.open("rb") as file:
                    yield file.read(_MAX_TEXT).decode("latin-1")
    elif driver == "FlatGeobuf":
        with path.open("rb") as file:
            length = int.from_bytes(file.read(12)[8:], "little")
            yield file.read(min(length, _MAX_HEADER)).decode("latin-1")
