"""Identify a file before GDAL opens it, and choose the only driver that may open it.

GDAL chooses a driver by content. Some drivers then read other files or URLs that the content names. For example, a VRT
file with the name `grid.tif` can make GDAL read another file or fetch a URL. Therefore, this module identifies a file
by its first bytes, and allows only formats that contain all their data. A raster is opened only with the driver of its
format. For a vector file, the driver that GDAL used is compared with the driver of the format.
"""

from __future__ import annotations

from pathlib import Path

from regionplot.errors import InputError, RasterError
from regionplot.inputs.stores import is_store
from regionplot.inputs.unpacked import DRIVERS, is_compressed, unpacked
from regionplot.settings.remote_path import is_remote
from regionplot.settings.vrt_path import is_vrt

NETCDF = "netCDF"
"""The driver of NetCDF and HDF5 files."""
START_BYTES = 1024
"""Number of bytes that are read to identify a file. GDAL reads the same number."""
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
_VRT_CURE = ", or, for a .vrt of GeoTIFF files, set allow_vrt = true in [raster]"
BLANK_BYTES = b"\xef\xbb\xbf \t\r\n"
"""Bytes that can precede the content of a text file: a byte-order mark, and white space."""


def raster_driver(path: Path) -> str:
    """Return the name of the GDAL driver that may open a raster.

    Parameters
    ----------
    path : Path
        The file. Its first bytes are read.

    Raises
    ------
    RasterError
        If the file cannot be read, or its format is not allowed.
    """
    if is_vrt(path):
        return "VRT"  # `inputs.virtual` checks it before GDAL opens a copy
    if is_store(path):  # `inputs.describe` then has it read by `inputs.zarr`
        raise RasterError(
            f"{path}: Zarr stores and references can only be the raster of maps; convert them to a GeoTIFF"
        )
    start = read_start(path, RasterError)
    if is_compressed(path):
        file = unpacked(path)
        file.seek(0)
        start = file.read(START_BYTES)
    if start.lstrip(BLANK_BYTES).startswith(b"<"):
        raise RasterError(f"{path}: an XML file (a VRT?) is not a grid; name the file that holds the data{_VRT_CURE}")
    driver = next((name for mark, name in _RASTER_MARKS.items() if start.startswith(mark)), None)
    driver = driver or _text_driver(start) or ("SRTMHGT" if path.suffix.lower() == ".hgt" else None)
    if driver is None:
        raise RasterError(f"{path}: cannot be read as a raster: its format is not one of {_RASTER_KINDS}")
    if is_compressed(path) and driver not in DRIVERS:
        raise RasterError(f"{path}: only GeoTIFF and GRIB files are read from compressed files; unpack the file")
    if driver == "netCDF" and is_remote(path):
        raise RasterError(f"{path}: NetCDF and HDF5 files must be on a local disk; download the file, or use Zarr")
    return driver


def _text_driver(start: bytes) -> str | None:
    if start.lstrip()[:5].lower() == b"ncols":
        return "AAIGrid"
    return "GRIB" if b"GRIB" in start else None  # the header of a weather bulletin can precede the mark


def read_start(path: Path, error: type[InputError]) -> bytes:
    """Return the first bytes of a file.

    Parameters
    ----------
    path : Path
        The file.
    error : type
        Class of the error to raise.

    Raises
    ------
    InputError
        An error of the class `error`, if GDAL would not open the path as a plain file, if the path is not a regular
        file, or if the file is empty or cannot be read.
    """
    if path.parts[1:2] and path.parts[1].startswith("vsi"):
        raise error(f"{path}: GDAL's virtual files are not read; give the path of a file")
    if "!" in path.name or any("!" in part for part in path.parts):
        raise error(f"{path}: GDAL would look for an archive, because the path contains a '!'; rename the file")
    if any("\ud800" <= character <= "\udfff" for character in str(path)):
        raise error(f"{path}: GDAL cannot open the path, because it is not valid UTF-8; rename the file or folder")
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
