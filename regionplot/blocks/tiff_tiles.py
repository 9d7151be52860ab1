"""Write blocks of an uncompressed GeoTIFF into the file without GDAL.

Only one thread at a time can write with GDAL, and GDAL copies each block into its cache. Worker processes must send
their results to the process that has the file open. So GDAL only creates the file, and reserves the space of all tiles.
Each worker then writes its own tiles at the offsets that GDAL reports. No two blocks share a tile.

A worker reads each tile back as soon as it has written the tile, because the cells are still in the cache of its CPU.
At the end, GDAL opens the file again, and its offsets and some blocks are compared.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.grid import Block, BlockGrid
from regionplot.geo.grid import Window

_KNOWN = {
    "driver", "height", "width", "count", "dtype", "crs", "transform", "nodata", "tiled", "blockxsize", "blockysize",
    "interleave", "bigtiff", "compress",
}  # fmt: skip
"""Properties and creation options with which GDAL stores cells as they are in memory."""
_PIECE = 2**18
"""Bytes that are read back at once."""
_TYPES = "bBhHiIlLqQfdFD"
"""Codes of the data types that a GeoTIFF stores as NumPy does."""


def stores_plain_cells(options: Mapping[str, Any]) -> bool:
    """Return True if a GeoTIFF with these options stores its cells as they are in memory, without compression."""
    names = {str(key).lower(): value for key, value in options.items()}
    is_plain = str(names.get("compress") or "none").lower() == "none" and names.keys() <= _KNOWN
    return hasattr(os, "pwrite") and is_plain and _is_stored_as_in_memory(names["dtype"])


def _is_stored_as_in_memory(dtype: Any) -> bool:
    try:
        return np.dtype(dtype).char in _TYPES
    except TypeError:  # a type of GDAL, such as complex_int16
        return False


def are_whole_tiles(blocks: Iterable[Block], shape: tuple[int, int], tile: tuple[int, int]) -> bool:
    """Return True if the blocks consist of whole tiles, and together cover a raster.

    Parameters
    ----------
    blocks : BlockGrid, list of Block, or other iterable
        The blocks, which do not overlap. For an iterable that cannot be iterated twice, the result is False.
    shape : (int, int)
        Rows and columns of the raster.
    tile : (int, int)
        Rows and columns of a tile.
    """
    if isinstance(blocks, BlockGrid):
        sides = (blocks.block_height, blocks.row_offset), (blocks.block_width, blocks.column_offset)
        ends = zip(sides, shape, tile, strict=True)
        return all(offset % own == 0 and (side % own == 0 or side >= length) for (side, offset), length, own in ends)
    if not isinstance(blocks, list):
        return False
    cores = [block.core for block in blocks]
    return sum(core.cells for core in cores) == shape[0] * shape[1] and all(
        first % own == 0 and (end % own == 0 or end == length)
        for core in cores
        for (first, end), length, own in zip(core.ranges, shape, tile, strict=True)
    )


def has_halo(blocks: Iterable[Block]) -> bool:
    """Return True if more cells than the core of a block are read. For an iterator, the result is True."""
    if isinstance(blocks, BlockGrid):
        return blocks.halo > 0
    return not isinstance(blocks, list) or any(block.core != block.padded for block in blocks)


@dataclass
class TiffTiles:
    """The tiles or strips of an uncompressed GeoTIFF. Threads and processes can write different tiles at once."""

    path: Path
    tile: tuple[int, int]
    """Rows and columns of a tile."""
    offsets: NDArray[np.int64]
    """Position of each tile in the file, shape (bands, rows, columns) of tiles. One band if `is_interleaved`."""
    is_interleaved: bool
    """True if a tile contains the values of all bands, cell by cell."""
    _descriptor: int | None = field(default=None, repr=False)
    """File descriptor. Threads and forked processes can share it, because each write gives its own position."""

    @classmethod
    def of(cls, path: Path, dataset: Any) -> TiffTiles:
        """Return the tiles of a file that GDAL has created and opened again.

        Raises
        ------
        OSError
            If GDAL could not reserve the space of all tiles.
        """
        (rows, columns), count = dataset.block_shapes[0], dataset.count
        is_interleaved = count > 1 and dataset.tags(ns="IMAGE_STRUCTURE").get("INTERLEAVE") == "PIXEL"
        bands = range(1, 2 if is_interleaved else count + 1)
        down, across = range(-(-dataset.height // rows)), range(-(-dataset.width // columns))
        names = [f"BLOCK_OFFSET_{column}_{row}" for row in down for column in across]
        found = [dataset.get_tag_item(name, "TIFF", bidx=band) for band in bands for name in names]
        if None in found:
            raise OSError(f"there is no space for {found.count(None)} of its tiles")
        offsets = np.array(found, np.int64).reshape(len(bands), len(down), len(across))
        return cls(path, (rows, columns), offsets, is_interleaved)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_descriptor": None}

    def put(self, window: Window, values: NDArray[Any]) -> None:
        """Write the values of a window, and read them back.

        Parameters
        ----------
        window : Window
            Cells that consist of whole tiles.
        values : ndarray, shape (bands, rows, columns)
            Values in the data type of the file.

        Raises
        ------
        OSError
            If the disk is full, the file cannot be written, or the bytes that are read back differ.
        """
        tiles, descriptor = self._tiles_of(values), self.open()
        (top, bottom), (left, right) = window.ranges
        (rows, columns), size = self.tile, tiles.shape[1]
        places = self.offsets[:, top // rows : -(-bottom // rows), left // columns : -(-right // columns)]
        # the last strip of a raster is shorter than the others
        missing = -window.height % rows * (size // rows) if places.shape[2] == 1 else 0
        for band, part in zip(places, tiles.reshape(len(places), -1, size), strict=True):
            for first, end in _runs(band.ravel(), size):
                length = size * (end - first) - (missing if end == band.size else 0)
                data = part[first:end].reshape(-1)[:length].data
                _write(descriptor, data, int(band.flat[first]))
                _compare(descriptor, data, int(band.flat[first]))

    def _tiles_of(self, values: NDArray[Any]) -> NDArray[np.uint8]:
        """Return values as stored: an array (tiles, bytes). Tiles at the edges of the raster are filled with zeros."""
        (bands, *sides), (rows, columns) = values.shape, self.tile
        down, across = (-(-side // own) for side, own in zip(sides, self.tile, strict=True))
        if sides != [down * rows, across * columns]:
            filled = np.zeros((bands, down * rows, across * columns), values.dtype)
            filled[:, : sides[0], : sides[1]] = values
            values = filled
        split = values.reshape(bands, down, rows, across, columns)
        stored = split.transpose((1, 3, 2, 4, 0) if self.is_interleaved else (0, 1, 3, 2, 4))
        count = down * across * (1 if self.is_interleaved else bands)
        return np.ascontiguousarray(stored).reshape(count, -1).view(np.uint8)

    def open(self) -> int:
        """Open the file if it is not open. Return its file descriptor."""
        if self._descriptor is None:
            self._descriptor = os.open(self.path, os.O_RDWR)
        return self._descriptor

    def close(self) -> None:
        """Close the file.

        Raises
        ------
        OSError
            If the system could not write the file.
        """
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


def _runs(places: NDArray[np.int64], size: int) -> Iterator[tuple[int, int]]:
    """Return the first index and the end of each run of tiles that follow each other in the file."""
    if len(places) == 1:
        return iter([(0, 1)])
    gaps = np.flatnonzero(np.diff(places) != size) + 1
    return pairwise([0, *gaps.tolist(), len(places)])


def _write(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        written = os.pwrite(descriptor, data, offset)
        data, offset = data[written:], offset + written


def _compare(descriptor: int, data: memoryview, offset: int) -> None:
    """Read bytes back in pieces that fit in the cache of a CPU. Raise OSError if they differ from the data."""
    piece = bytearray(min(len(data), _PIECE))
    for start in range(0, len(data), _PIECE):
        part = data[start : start + _PIECE]
        count = os.preadv(descriptor, [piece], offset + start)
        own = piece if len(part) == len(piece) else piece[: len(part)]
        if count < len(part) or own != part:  # bytearray compares faster than memoryview
            raise OSError("the cells that were read back differ from the cells that were written")
