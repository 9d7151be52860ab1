"""Identify a raster file before GDAL opens it, and choose the one driver that may.

GDAL picks a driver by a file's content, and some drivers then read any other file or address that the content names: a
VRT called grid.tif can show another file or fetch a URL. So the kind of a file is found here, by its first bytes; only
kinds that hold their own data are let in, and GDAL is told the driver or is asked afterwards which one it took.
"""

from __future__ import annotations

from pathlib import Path

from regionplot.errors import InputError, RasterError

START_BYTES = 1024
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


BLANK_BYTES = b"\xef\xbb\xbf \t\r\n"


def raster_driver(path: Path) -> str:
    """The name of the one GDAL driver that may open a raster.

    Raises
    ------
    RasterError
        If the file is none of the kinds that hold their own cells.
    """
    start = read_start(path, RasterError)
    if start.lstrip(BLANK_BYTES).startswith(b"<"):
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


def read_start(path: Path, error: type[InputError]) -> bytes:
    """The first bytes of a regular file under a name that GDAL does not take for anything else."""
    if path.parts[1:2] and path.parts[1].startswith("vsi"):
        raise error(f"{path}: GDAL's virtual files are not read; name a file")
    if "!" in path.name or any("!" in part for part in path.parts):
        raise error(f"{path}: GDAL takes what follows a '!' for a file in an archive; rename it")
    if not path.is_file():
        raise error(f"{path}: {'there is no such file' if not path.exists() else 'it is not a file'}")
    try:
        with path.open("rb") as file:
            start = file.read(START_BYTES)
    except OSError as failure:
        raise error(f"{path}: {failure.strerror or failure}") from None
    if not start.strip(BLANK_BYTES):
        raise error(f"{path}: the file is empty")
    return start
