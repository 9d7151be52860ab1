"""Receivers of results: a new raster file, an open dataset, or a function.

GDAL writes the last cells when a file is closed, and rasterio reports no error at that moment. On a full disk, a file
is truncated without an error. So a new file is read back, and the checksum of each block is compared, before the file
replaces the old file.
"""

from __future__ import annotations

import shutil
import threading
from array import array
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.grid import Block
from regionplot.blocks.tiff_tiles import TiffTiles
from regionplot.errors import Place, Problem, RasterError
from regionplot.geo.grid import Window

LOSSY_OPTIONS = {"nbits", "discard_lsb", "max_z_error"}
"""Creation options of GDAL that change values. Such values cannot be compared with their checksums."""
_NO_CHECKSUM = -1
_FULL = 2**20
"""Free space in bytes below which a disk is treated as full."""


@runtime_checkable
class Sink(Protocol):
    """Receiver of the results of blocks."""

    @property
    def dtype(self) -> str | None:
        """Data type that results must have, or None for any type."""

    @property
    def count(self) -> int | None:
        """Number of bands that results must have, or None for any number."""

    @property
    def nodata(self) -> float | None:
        """Value for masked cells of results, or None if there is no such value."""

    @property
    def file(self) -> Path | None:
        """File that the sink has open for writing, or None."""

    def write(self, block: Block, values: NDArray[Any], checksum: int | None) -> None:
        """Write the values of a block. The array is valid until this method returns."""


class BlockWriter(Protocol):
    """Writer of results that workers can use themselves."""

    def put(self, block: Block, values: NDArray[Any]) -> None:
        """Write the values of a block.

        Raises
        ------
        RasterError
            If the values cannot be written.
        """


@runtime_checkable
class SharedSink(Sink, Protocol):
    """Sink of a new file. Workers can write their results themselves. The sink then gets only the checksums."""

    @property
    def thread_writer(self) -> BlockWriter | None:
        """Writer for threads, or None if they cannot write."""

    @property
    def process_writer(self) -> BlockWriter | None:
        """Writer for other processes, or None if they cannot write. It pickles."""

    def record(self, block: Block, checksum: int | None) -> None:
        """Keep the checksum of a block that a worker has written."""


class WrittenBlocks(Sequence[tuple[Window, int | None]]):
    """Windows that were written, and the checksums of their values. A window takes 40 bytes."""

    def __init__(self) -> None:
        self._numbers = array("q")

    def add(self, window: Window, checksum: int | None) -> None:
        """Add a window. Without a checksum, its values cannot be compared."""
        numbers = window.row_off, window.col_off, window.height, window.width
        self._numbers.extend((*numbers, _NO_CHECKSUM if checksum is None else checksum))

    def __len__(self) -> int:
        return len(self._numbers) // 5

    @overload
    def __getitem__(self, index: int) -> tuple[Window, int | None]: ...
    @overload
    def __getitem__(self, index: slice) -> list[tuple[Window, int | None]]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        start = 5 * range(len(self))[index]
        *window, checksum = self._numbers[start : start + 5]
        return Window(*window), None if checksum == _NO_CHECKSUM else checksum


@dataclass
class FunctionSink:
    """Pass results to a function. The function may keep the arrays."""

    function: Callable[[Block, NDArray[Any]], object]
    dtype: str | None = None
    count: int | None = None
    file: Path | None = None
    nodata: float | None = None

    def write(self, block: Block, values: NDArray[Any], checksum: int | None) -> None:  # noqa: ARG002
        """Call the function. A result that is not an array is passed unchanged."""
        is_view = isinstance(values, np.ndarray) and not values.flags.owndata
        self.function(block, values.copy() if is_view else values)


@dataclass
class DatasetSink:
    """Write results to an open rasterio dataset."""

    dataset: Any
    name: str
    """Name of the dataset in messages."""
    written: WrittenBlocks = field(default_factory=WrittenBlocks)
    bands: tuple[int, ...] | None = None
    """Numbers of the bands to write, counted from 1. None for all bands."""
    is_new: bool = False
    """True if only this run uses the dataset. Then threads can write to it, one at a time."""
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @property
    def dtype(self) -> str | None:
        """Data type of the first written band."""
        return str(self.dataset.dtypes[self.bands[0] - 1 if self.bands else 0])

    @property
    def count(self) -> int | None:
        """Number of bands to write."""
        return len(self.bands) if self.bands else int(self.dataset.count)

    @property
    def nodata(self) -> float | None:
        """Nodata value of the first written band."""
        value: float | None = self.dataset.nodatavals[self.bands[0] - 1 if self.bands else 0]
        return value

    @property
    def file(self) -> Path | None:
        """File of the dataset."""
        return Path(self.dataset.name)

    def write(self, block: Block, values: NDArray[Any], checksum: int | None) -> None:
        """Write the values, and keep the checksum for the comparison when the file is read back."""
        self.put(block, values)
        self.record(block, checksum)

    @property
    def thread_writer(self) -> BlockWriter | None:
        """This object, if the dataset is new. Threads write one at a time."""
        return self if self.is_new else None

    @property
    def process_writer(self) -> BlockWriter | None:
        """None, because only this process has the dataset open."""
        return None

    def put(self, block: Block, values: NDArray[Any]) -> None:
        """Write the values of a block."""
        import rasterio  # noqa: PLC0415

        try:
            with self._lock:
                self.store(values, block.core)
        except (rasterio.errors.RasterioError, OSError) as error:
            raise write_error(Path(self.name), error) from error

    def record(self, block: Block, checksum: int | None) -> None:
        """Keep the checksum of a block."""
        self.written.add(block.core, checksum)

    def close(self) -> None:
        """Close the dataset. An error is not raised, because it is found when the file is read back."""
        import rasterio  # noqa: PLC0415

        with suppress(rasterio.errors.RasterioError):
            self.dataset.close()

    def store(self, values: NDArray[Any], window: Window) -> None:
        """Write the values of a window to the dataset."""
        indexes = list(self.bands) if self.bands else None
        self.dataset.write(values if values.ndim == 3 else values[None], indexes, window=window.ranges)


@dataclass
class TileSink:
    """Write results to the tiles of a new GeoTIFF without GDAL."""

    tiles: TiffTiles
    name: str
    """Name of the file in messages."""
    dtype: str
    count: int
    nodata: float | None
    written: WrittenBlocks = field(default_factory=WrittenBlocks)
    file: Path | None = None
    """None, because GDAL has no handle of the file."""

    def write(self, block: Block, values: NDArray[Any], checksum: int | None) -> None:
        """Write the values, and keep the checksum for the comparison when the file is read back."""
        self.thread_writer.put(block, values)
        self.record(block, checksum)

    @property
    def thread_writer(self) -> TileWriter:
        """Writer for threads."""
        return TileWriter(self.tiles, self.name)

    process_writer = thread_writer

    def record(self, block: Block, checksum: int | None) -> None:
        """Keep the checksum of a block."""
        self.written.add(block.core, checksum)

    def close(self) -> None:
        """Close the file. Raise OSError if the system could not write it."""
        self.tiles.close()


@dataclass(frozen=True)
class TileWriter:
    """Writer of blocks that consist of whole tiles."""

    tiles: TiffTiles
    name: str
    """Name of the file in messages."""

    def put(self, block: Block, values: NDArray[Any]) -> None:
        """Write the values of a block."""
        try:
            self.tiles.put(block.core, values if values.ndim == 3 else values[None])
        except OSError as error:
            raise write_error(Path(self.name), error) from error


def write_error(path: Path, error: object) -> RasterError:
    """Return the error for a raster that could not be written."""
    hint, cause = "", getattr(error, "__cause__", None) or error  # rasterio only refers to the error of GDAL
    with suppress(OSError):
        hint = "; the disk is full" if shutil.disk_usage(path.parent).free < _FULL else ""
    return RasterError(Problem(f"could not be written completely: {cause}{hint}", Place(file=str(path))))
