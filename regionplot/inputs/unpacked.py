"""Unpack compressed rasters (`.gz`, `.bz2`, and `.zip` with a single file) into memory, from where GDAL reads them."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from regionplot.errors import RasterError
from regionplot.inputs.copies import Copies
from regionplot.system.machine import available_memory
from regionplot.text import plain_text

SUFFIXES = (".gz", ".bz2", ".zip")
DRIVERS = ("GTiff", "GRIB")
"""Drivers of formats that are read when they are compressed."""
_MAX_BYTES = 4 * 2**30
_CELL_BYTES = 8
"""Bytes of the largest cells."""
_CHUNK = 2**20
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)
"""Errors that damaged archives, and archives with passwords, cause."""
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
    return _copies.of(path, lambda: _unpack(path, max_cells))


def _unpack(path: Path, max_cells: int | None) -> Any:
    import rasterio  # noqa: PLC0415 (imports GDAL)

    limit = min(_MAX_BYTES, available_memory() // 2)
    if max_cells is not None:
        limit = min(limit, _CHUNK + _CELL_BYTES * max_cells)
    memory, size = rasterio.MemoryFile(), 0
    try:
        with _stream(path) as stream:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    memory.close()
                    raise RasterError(
                        f"{path}: unpacks to more than {limit:,} bytes, the limit for [raster] max_cells and the free "
                        "memory; if you trust the file, unpack it and give the path of the unpacked file"
                    )
                memory.write(chunk)
    except _DAMAGED as error:
        raise RasterError(f"{path}: cannot be unpacked: {plain_text(str(error))}") from None
    if not size:
        raise RasterError(f"{path}: the file in it is empty")
    return memory


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


@contextmanager
def _stream(path: Path) -> Iterator[IO[bytes]]:
    """Open a compressed file for reading its content."""
    with path.open("rb") as file:
        suffix = path.suffix.lower()
        if suffix == ".zip":
            with zipfile.ZipFile(file) as archive, archive.open(_only_member(path, archive)) as member:
                yield member
        elif suffix == ".gz":
            with gzip.GzipFile(fileobj=file) as stream:
                yield stream  # type: ignore[misc]
        else:
            with bz2.BZ2File(file) as stream:
                yield stream


def _only_member(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    members = [member for member in archive.infolist() if not member.is_dir()]
    if len(members) != 1:
        raise RasterError(f"{path}: the archive holds {len(members)} files; it must hold only the raster")
    return members[0]
