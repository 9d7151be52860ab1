"""Open rasters with GDAL. All reads of raster files go through this module.

GDAL chooses a driver by content, and follows references in a file to other files and to URLs. Therefore, each file is
opened only with the driver that its first bytes allow. Files with references to other files are refused, and no URL is
fetched.
"""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Any

from regionplot.errors import RasterError
from regionplot.inputs.crs_texts import path_in_raster
from regionplot.inputs.drivers import NETCDF, raster_driver, read_start
from regionplot.inputs.hdf5 import check_hdf5
from regionplot.inputs.hdf5_errors import silence_hdf5
from regionplot.inputs.remote import gdal_name, options_for
from regionplot.system.guard import reading
from regionplot.system.lazy_import import imported_on_first_use
from regionplot.system.threads import ignored_warnings
from regionplot.text import plain_text, without_secrets

OPTIONS = {
    "GDAL_CACHEMAX": 32 * 2**20,  # bytes per process; a small cache is enough, because each block is read once
    "GDAL_NUM_THREADS": "1",  # GDAL's threads do not survive a fork
    "GDAL_PAM_ENABLED": "NO",  # ignore sidecar files
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "none",  # GDAL reads no URL through /vsicurl/, /vsis3/ ...
    "GDAL_HTTP_PROXY": "none://",  # curl refuses this proxy, so drivers such as HTTP and WMS read no URL
}
"""GDAL options for all work with rasters."""
_CDF5 = b"CDF\x05"
"""Start of a NetCDF file in the format CDF-5. The GDAL of rasterio's wheels does not read this format."""
_OPEN_OPTIONS = {NETCDF: {"HONOUR_VALID_RANGE": "NO"}}  # `inputs.attributes` applies the valid range
_WITHOUT_PLACE = {"GTiff": {"GEOREF_SOURCES": "NONE"}}
"""Open options with which GDAL parses no CRS. GDAL needs 10 ms in each thread and process to prepare for a CRS."""
_MAX_BLOCK_SIZE = 2**30
"""Maximum size of a block in bytes. GDAL decodes a whole block to read one of its cells."""


def import_rasterio() -> ModuleType:
    """Import rasterio and GDAL, and return rasterio.

    rasterio imports boto3 if it is installed, which takes 0.1 s. It uses boto3 only for the keys of Amazon S3, so boto3
    is imported when these keys are needed.
    """
    with nullcontext() if "rasterio" in sys.modules else imported_on_first_use("boto3"):
        return importlib.import_module("rasterio")


def gdal_version() -> str:
    """Return the version of GDAL."""
    return str(import_rasterio().__gdal_version__)


def gdal_options(**more: str | int) -> Any:
    """Return a context manager that sets the GDAL options of this package.

    Parameters
    ----------
    **more : str or int
        Further GDAL options, by name, and other values for these options.
    """
    return import_rasterio().Env(**{**OPTIONS, **more})


@contextmanager
def opened(
    path: Path, name: str | None = None, open_options: Mapping[str, str] = MappingProxyType({}), /, **options: str | int
) -> Iterator[Any]:
    """Open a raster, and close it when the context exits.

    Parameters
    ----------
    path : Path
        The file.
    name : str, optional
        GDAL's name of a part of the file, such as `NETCDF:"grid.nc":snow`. The text of the path stands for the whole
        file.
    open_options : mapping
        Options of the driver, such as `OVERVIEW_LEVEL`.
    **options : str or int
        Further GDAL options.

    Yields
    ------
    rasterio.DatasetReader

    Raises
    ------
    RasterError
        If the format is not allowed, the file refers to other files, or GDAL cannot read the file.
    """
    with (
        reading(path),
        gdal_options(**options, **options_for(path)),
        gdal_errors(path, "cannot be read as a raster"),
        open_raster(path, name, open_options) as dataset,
    ):
        yield dataset


def open_raster(path: Path, name: str | None = None, open_options: Mapping[str, str] = MappingProxyType({})) -> Any:
    """Open a raster. The caller sets `gdal_options`, with `inputs.remote.options_for`, and closes the dataset.

    Parameters
    ----------
    path : Path
        The file.
    name : str, optional
        GDAL's name of a part of the file.
    open_options : mapping
        Options of the driver.

    Returns
    -------
    rasterio.DatasetReader

    Raises
    ------
    RasterError
        If the format is not allowed, the file refers to other files, or GDAL cannot open the file.
    """
    rasterio = import_rasterio()
    driver = raster_driver(path)
    with gdal_errors(path, "cannot be read as a raster"):
        if (reference := path_in_raster(path)) is not None:
            raise RasterError(f"{path}: its CRS names another file, which is not opened: {plain_text(reference)}")
    check_hdf5(path)
    if driver == "netCDF":
        silence_hdf5()
    without_transform = ignored_warnings(rasterio.errors.NotGeoreferencedWarning)  # files with 2-D coordinates
    with reading(path), gdal_errors(path, "cannot be read as a raster"), without_transform:
        whole = gdal_name(path)
        dataset = rasterio.open(
            whole if name in (None, str(path)) else name,
            driver=driver,
            sharing=False,
            **{**_OPEN_OPTIONS.get(driver, {}), **open_options},
        )
    try:
        _check_references(path, dataset)
    except RasterError:
        dataset.close()
        raise
    return dataset


def options_without_place(path: Path) -> Mapping[str, str]:
    """Return open options for a raster whose cells are read, but neither its transform nor its CRS."""
    return _WITHOUT_PLACE.get(raster_driver(path), {})


def open_own_raster(path: Path) -> Any:
    """Open a GeoTIFF that this program has just written, without its transform and CRS.

    The file is not searched for references to other files. The caller sets `gdal_options` and closes the dataset.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    rasterio.DatasetReader
    """
    rasterio = import_rasterio()
    with ignored_warnings(rasterio.errors.NotGeoreferencedWarning):
        return rasterio.open(path, driver="GTiff", sharing=False, **_WITHOUT_PLACE["GTiff"])


@contextmanager
def gdal_errors(path: Path, problem: str = "cannot be read") -> Iterator[None]:
    """Convert GDAL's errors to a RasterError that names the file."""
    from rasterio.errors import CRSError, RasterioError  # noqa: PLC0415 (imports GDAL)

    try:
        yield
    except (RasterioError, CRSError, OSError) as error:
        raise RasterError(f"{path}: {problem}{_hint(path)}: {_first_line(error)}") from error


def _hint(path: Path) -> str:
    """Return the cure for a file in a format that GDAL may not read, or an empty text."""
    with suppress(RasterError):  # there is no such file
        if read_start(path, RasterError).startswith(_CDF5):
            return f" (this GDAL may not read the format CDF-5; convert the file: nccopy -k nc4 {path.name} copy.nc)"
    return ""


def _first_line(error: BaseException) -> str:
    """Return the first line of an error message. If the error has a cause, use the message of the cause."""
    text = str(error.__cause__ or error).strip() or type(error).__name__
    return without_secrets(text.splitlines()[0])


def _check_references(path: Path, dataset: Any) -> None:
    """Refuse a file whose metadata name other files or URLs as overviews or subdatasets.

    GDAL would open these files and URLs. Any GeoTIFF can contain such metadata. Overviews and subdatasets in the file
    itself do not need such metadata.
    """
    references = list(dataset.tags(ns="OVERVIEWS").values())
    references += [name for name in dataset.subdatasets if not _is_within(name, path)]
    if references:
        reference = plain_text(references[0])
        raise RasterError(f"{path}: its metadata refer to another file, which is not opened: {reference}")


def _is_within(subdataset: str, path: Path) -> bool:
    """Return True if GDAL's name of a subdataset refers to a part of this file."""
    file = re.escape(str(path))
    pattern = rf'(?i:netcdf|hdf5):("{file}"|{file}):[^"]*|(?i:gtiff_dir):\d+:{file}'
    return re.fullmatch(pattern, subdataset) is not None


def check_block(path: Path, shape: tuple[int, int], itemsize: int) -> None:
    """Raise RasterError if one block of a file is too large to decode.

    Parameters
    ----------
    path : Path
        The file, for the message.
    shape : (int, int)
        Rows and columns of a block.
    itemsize : int
        Bytes per cell.
    """
    size = shape[0] * shape[1] * itemsize
    if size > _MAX_BLOCK_SIZE:
        raise RasterError(
            f"{path}: its cells are stored in blocks of {size:,} bytes, and each read would take that much memory; "
            "store the file in tiles (gdal_translate -co TILED=YES)"
        )
