"""Parse the CRSs of files, and search files for CRSs that name other files before GDAL opens the files.

When GDAL reads a CRS, it opens each grid that the CRS names. A named pipe would block GDAL.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from regionplot.errors import FeaturesError
from regionplot.geo.crs_paths import path_in_crs, path_in_wkt
from regionplot.system.files import Fingerprint
from regionplot.text import plain_text

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

    The start and the end of the file are searched. NetCDF classic and GeoTIFF files hold their metadata there.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    return _path_in_ends(path, Fingerprint.of(path))


@lru_cache(maxsize=64)
def _path_in_ends(path: Path, _: Fingerprint) -> str | None:
    with path.open("rb") as file:
        start = file.read(_PART)
        size = file.seek(0, 2)
        file.seek(max(_PART, size - _PART))
        end = file.read()
    return next(filter(None, map(_path_in_bytes, (start, end))), None)


def _path_in_bytes(content: bytes) -> str | None:
    """Return the first path in WKT within binary data, or None. Data without the keywords are skipped quickly."""
    folded = content.lower()
    if b"proj4_grids" not in folded and b"parameterfile" not in folded:
        return None
    return path_in_wkt(content.decode("latin-1"))


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
