"""GDAL settings for reading, and checks before anything is read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regionplot.errors import RasterError
from regionplot.inputs.drivers import raster_driver
from regionplot.settings.raster import RasterSettings
from regionplot.text import plain_text

if TYPE_CHECKING:
    import xarray as xr


GDAL_OPTIONS = {
    "GDAL_CACHEMAX": 32 * 2**20,  # bytes; it is for each process, and blocks are read once
    "GDAL_NUM_THREADS": "1",  # GDAL's own threads do not survive a fork
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
}


def open_raster(path: Path) -> Any:
    """A handle of a raster's own.

    Raises
    ------
    RasterError
        If there is no file that GDAL reads as a grid.
    """
    import rasterio  # noqa: PLC0415 (GDAL: only who reads pays for its import)

    driver = raster_driver(path)
    try:
        check_references(path, driver)
        return rasterio.open(path, driver=driver, sharing=False)
    except (rasterio.errors.RasterioError, OSError) as error:
        raise RasterError(f"{path}: cannot be read as a raster: {error}") from error


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What GDAL says of cells that it cannot read, as an error that names the raster."""
    import rasterio  # noqa: PLC0415

    try:
        yield
    except (rasterio.errors.RasterioError, OSError) as error:
        raise RasterError(f"{path}: cannot be read: {error.__cause__ or error}") from error


GDAL_READ_OPTIONS = {
    "GDAL_CACHEMAX": 32 * 2**20,
    "GDAL_PAM_ENABLED": "NO",
    "GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR",
    "CPL_VSIL_CURL_ALLOWED_FILENAME": "none",  # no address is opened, whatever a file says
}


_LARGEST_BLOCK = 2**30
"""Bytes; GDAL unpacks a whole block, even for one cell of it."""


def check_references(path: Path, driver: str) -> None:
    """Refuse a file whose metadata give other files or addresses as its overviews or subdatasets: GDAL would open them.

    Any GeoTIFF can carry such metadata. Its own overviews and subdatasets need none.

    Raises
    ------
    RasterError
        With the first of them.
    """
    import rasterio  # noqa: PLC0415

    with rasterio.open(path, driver=driver) as dataset:
        named = list(dataset.tags(ns="OVERVIEWS").values())
        named += [name for name in dataset.subdatasets if not _is_within(name, path)]
    if named:
        raise RasterError(f"{path}: its metadata refer to another file, which is not followed: {plain_text(named[0])}")


def _is_within(subdataset: str, path: Path) -> bool:
    """Whether the name of a subdataset is one that GDAL makes up itself for a part of a file."""
    file = re.escape(str(path))
    pattern = rf'(?i:netcdf|hdf5):("{file}"|{file}):[^"]*|(?i:gtiff_dir):\d+:{file}'
    return re.fullmatch(pattern, subdataset) is not None


def check_size(data: xr.DataArray, settings: RasterSettings) -> None:
    """Refuse what a small file can claim to be: a grid without end, before a cell of it is read."""
    height, width = data.sizes[data.rio.y_dim], data.sizes[data.rio.x_dim]
    if height * width > settings.max_cells:
        raise RasterError(
            f"{settings.path}: the grid claims {width:,} x {height:,} cells, more than [raster] max_cells = "
            f"{settings.max_cells:,}"
        )


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message, or of its cause's."""
    text = str(error.__cause__ or error).strip() or type(error).__name__
    return text.splitlines()[0]


def check_block(path: Path, shape: tuple[int, int], itemsize: int) -> None:
    """Raise RasterError if one block of a file is too large to decode."""
    size = shape[0] * shape[1] * itemsize
    if size > _LARGEST_BLOCK:
        raise RasterError(
            f"{path}: its cells are stored in blocks of {size:,} bytes, and each read would take that much memory; "
            "store it in tiles (gdal_translate -co TILED=YES)"
        )
