"""Unpack a compressed raster into memory."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from regionplot.errors import RasterError
from regionplot.system.machine import available_memory
from regionplot.text import plain_text

_MAX_BYTES = 4 * 2**30
_CELL_BYTES = 8
"""Bytes of the largest cells."""
_CHUNK = 2**20
_DAMAGED = (OSError, EOFError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError)
"""Errors that damaged archives, and archives with passwords, cause."""


def unpacked_file(path: Path, max_cells: int | None) -> Any:
    """Unpack a raster. See `inputs.unpacked.unpacked`."""
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
