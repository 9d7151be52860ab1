"""Process one block: read, call the function, trim the halo, convert the type."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.grid import Block
from regionplot.blocks.handles import Handles
from regionplot.blocks.sources import read_block
from regionplot.blocks.transport import SharedArray, SharedBuffer
from regionplot.blocks.values import BandReader
from regionplot.errors import BlockError
from regionplot.inputs.gdal import gdal_errors, gdal_options
from regionplot.system import failpoints
from regionplot.system.memory import keep_large_blocks

BlockFunction = Callable[[Any, Block, Any], Any]
"""A function of what was read, the block, and the arguments that all blocks share."""


READS = ("arrays", "stack", "datasets")


@dataclass(frozen=True, slots=True)
class BlockResult:
    """A block's result, as it travels to the parent."""

    content: SharedArray | NDArray[Any]
    """Shape (bands, rows, columns) of the block's core, or (rows, columns)."""
    checksum: int | None
    """Of its bytes; None if nothing is written that could be compared with it."""


@dataclass(kw_only=True)
class BlockWorker:
    """What every task over blocks is in its worker, and how it hands over its results."""

    output: Path | None = None
    """The file that the parent has open for writing."""
    shared_memory: bool = False
    _segment: SharedBuffer = field(default_factory=SharedBuffer, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_segment": SharedBuffer()}

    def start_worker(self) -> None:
        """Close the parent's output file in a worker process, and set the malloc policy for blocks."""
        if self.output is not None:
            disconnect(self.output)
        keep_large_blocks()

    def load(self) -> None:
        """Load nothing: each worker opens its rasters with its first block, after the fork."""

    def handed_over(self, values: NDArray[Any], checksum: int | None) -> BlockResult:
        """A result for the parent, in memory that both see if there is such."""
        return BlockResult(self._segment.put(values) if self.shared_memory else values, checksum)


@dataclass
class BlockTask(BlockWorker):
    """Work out one block; its job is a `Block`."""

    function: BlockFunction
    handles: Handles
    read: str
    bands: tuple[int, ...] | None
    arguments: Any
    dtype: str | None = None
    """What results are converted to; None: they stay as they are."""
    count: int | None = None
    """Bands that a result must have; None: any."""

    def __call__(self, job: Block) -> BlockResult:
        """Work out one block."""
        failpoints.failpoint("block", f"{job.core.row},{job.core.column}")
        with gdal_options():
            result = self._called(self._input(job), job)
        values = self._converted(_core_of(_plain(result), job))
        return self.handed_over(values, None if self.dtype is None else checksum_of(values))

    def _called(self, given: Any, block: Block) -> Any:
        """What the function returns; of one that reads a `Source` by itself, GDAL's errors name the raster.

        Those of a user's function are left alone, for its traceback tells where it reads.
        """
        source = getattr(self.function, "source", None)
        with gdal_errors(source.path) if isinstance(source, BandReader) else nullcontext():
            return self.function(given, block, self.arguments)

    def _input(self, block: Block) -> Any:
        datasets = self.handles.get()
        if self.read == "datasets":
            return datasets
        arrays = [self._read(path, datasets[number], block) for number, path in enumerate(self.handles.paths)]
        return arrays if self.read == "arrays" else np.concatenate(arrays) if len(arrays) > 1 else arrays[0]

    def _read(self, path: Path, dataset: Any, block: Block) -> NDArray[Any]:
        with gdal_errors(path):
            return read_block(dataset, block.padded, self.bands)

    def _converted(self, values: NDArray[Any]) -> NDArray[Any]:
        if self.count is not None and (values.shape[0] if values.ndim == 3 else 1) != self.count:
            bands = values.shape[0] if values.ndim == 3 else 1
            raise BlockError(
                f"the function returned {bands} band(s), but the output has {self.count}; "
                f'give profile={{"count": {bands}}}'
            )
        if self.dtype is None:
            return np.ascontiguousarray(values)
        return np.ascontiguousarray(cast(values, np.dtype(self.dtype)))


def checksum_of(values: NDArray[Any]) -> int:
    """A checksum of an array's bytes."""
    return zlib.crc32(np.ascontiguousarray(values).data)


def _plain(result: Any) -> NDArray[Any]:
    """A function's result as an array, which has no mask that could get lost."""
    if np.ma.is_masked(result):
        raise BlockError(
            "the function returned a masked array, whose mask would be lost; return its .filled(nodata), with the "
            "output's nodata value"
        )
    return np.asarray(result)


def _core_of(values: NDArray[Any], block: Block) -> NDArray[Any]:
    """The part of a function's result that the block answers for."""
    core, padded = (block.core.height, block.core.width), (block.padded.height, block.padded.width)
    if values.ndim in (2, 3) and values.shape[-2:] == core:
        return values
    if values.ndim in (2, 3) and values.shape[-2:] == padded:
        rows, columns = block.trim
        return values[..., rows, columns]
    raise BlockError(
        f"the function returned an array of shape {values.shape}, but the block is {core} (rows, columns)"
        + (f", or {padded} with its halo" if padded != core else "")
    )


def cast(values: NDArray[Any], dtype: np.dtype[Any]) -> NDArray[Any]:
    """Values of another type, if that keeps what they mean.

    No fraction is cut off, no integer wraps around, and no finite value becomes infinite. Cells are only looked at
    where the types alone do not tell.
    """
    if np.can_cast(values.dtype, dtype, "safe"):
        return values.astype(dtype, copy=False)
    if dtype.kind in "iu" and values.dtype.kind in "iu":
        limits = np.iinfo(dtype)
        if not values.size or (limits.min <= values.min() and values.max() <= limits.max):
            return values.astype(dtype)
    elif np.can_cast(values.dtype, dtype, "same_kind"):
        with np.errstate(over="ignore"):
            converted = values.astype(dtype)
        infinite = np.isinf(converted)
        if not infinite.any() or np.isinf(values[infinite]).all():
            return converted
    raise BlockError(
        f"the function returned {values.dtype}, whose values the output's {dtype} does not hold; "
        f'convert it there, or give profile={{"dtype": "{values.dtype}"}}'
    )


def disconnect(path: Path) -> None:
    """Have a forked process write nothing into a file that its parent has open.

    It inherits the file's descriptor, and GDAL's cache with cells that the parent has not written yet. Were the
    cache to fill, it would write them, at the place where the parent's own writing stands; now they go nowhere.
    """
    try:
        target, folder = path.stat(), next(f for f in ("/proc/self/fd", "/dev/fd") if os.path.isdir(f))  # noqa: PTH112
    except (OSError, StopIteration):
        return
    null = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir(folder):  # noqa: PTH208
        try:
            found = os.fstat(int(name))
        except OSError:  # the descriptor that lists them
            continue
        if (found.st_dev, found.st_ino) == (target.st_dev, target.st_ino):
            os.dup2(null, int(name))
    os.close(null)
