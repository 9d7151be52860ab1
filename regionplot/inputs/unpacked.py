"""Unpack compressed rasters (`.gz`, `.bz2`, and `.zip` with a single file) into memory, from where GDAL reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from regionplot.inputs.copies import Copies

SUFFIXES = (".gz", ".bz2", ".zip")
DRIVERS = ("GTiff", "GRIB")
"""Drivers of formats that are read when they are compressed."""
_copies = Copies()


def is_compressed(path: Path) -> bool:
    """Return True if the name of a raster ends like that of a compressed file."""
    return path.suffix.lower() in SUFFIXES


def unpack(path: Path, max_cells: int) -> None:
    """Unpack a raster if it is compressed. See `unpacked`."""
    if is_compressed(path):
        unpacked(path, max_cells)


def unpacked(path: Path, max_cells: int | None = None) -> Any:
    """Return a compressed raster, unpacked in memory. It is unpacked only once while it is unchanged.

    Parameters
    ----------
    path : Path
        The compressed file.
    max_cells : int, optional
        `[raster] max_cells`. The unpacked file has at most 8 bytes for each cell, and at most half of the free memory
        and 4 GiB. By default, only the last two limits apply.

    Returns
    -------
    rasterio.MemoryFile
        GDAL opens it by its name.

    Raises
    ------
    RasterError
        If the file cannot be unpacked, or is larger than a limit. Then unpacking stops at the limit.
    """
    from regionplot.inputs.archives import unpacked_file  # noqa: PLC0415 (few rasters are compressed)

    return _copies.of(path, lambda: unpacked_file(path, max_cells))


@contextmanager
def opened_content(path: Path) -> Iterator[BinaryIO]:
    """Open a raster for reading its bytes. Those of a compressed raster are unpacked.

    Raises
    ------
    OSError
        If the file cannot be opened.
    RasterError
        If the file cannot be unpacked.
    """
    if is_compressed(path):
        yield unpacked(path)  # stays open for the next reader
        return
    with path.open("rb") as file:
        yield file
