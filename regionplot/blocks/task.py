"""Process one block: read, call the function, trim the halo, convert the type."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.checksums import checksum_of
from regionplot.blocks.grid import Block, Georeference
from regionplot.blocks.handles import Handles
from regionplot.blocks.readers import InputReader
from regionplot.blocks.reducers import Reduction
from regionplot.blocks.sinks import BlockWriter
from regionplot.blocks.transport import SharedBuffers
from regionplot.errors import BlockError
from regionplot.geo.grid import Window
from regionplot.inputs.gdal import gdal_errors, gdal_options
from regionplot.system import failpoints
from regionplot.system.memory import keep_large_blocks, reuse_large_blocks

BlockFunction = Callable[[Any, Block, Any], Any]
"""Function that is called with three values: the data, the block, and the arguments that all blocks share."""
_CELLS = "bBhHiIlLqQfdFD"
"""Codes of the data types that a file can store."""
READS = ("arrays", "masked", "stack", "datasets")


class BlockResult(NamedTuple):
    """Result of a block, as sent to the parent."""

    content: Any
    """Values of the core, shape (bands, rows, columns) or (rows, columns), as an array or a SharedArray. If the output
    is a function, any other object.
    """
    checksum: int | None
    """Checksum of the values. None if no file is read back."""
    is_written: bool = False
    """True if the worker has written the values itself. Then `content` is None."""


class RasterReader:
    """Base class of objects that read a raster for a function. GDAL errors then name the raster."""

    @property
    def path(self) -> Path:
        """Path of the raster."""
        raise NotImplementedError


_thread = threading.local()
"""Has the attribute `has_options` in a thread that does only jobs, and has set the GDAL options."""


def block_options() -> AbstractContextManager[object]:
    """Return a context manager that sets the GDAL options, if the worker has not set them for all blocks."""
    return nullcontext() if hasattr(_thread, "has_options") else gdal_options()


@dataclass(kw_only=True)
class BlockWorker:
    """Base class of tasks over blocks. It sets up workers and returns results."""

    also_caught: ClassVar[tuple[type[BaseException], ...]] = (SystemExit,)
    """If a function calls `sys.exit`, its block fails. The worker and the program continue."""
    output: Path | None = None
    """File that the parent has open for writing."""
    shares_memory: bool = False
    """True if the parent can map results from the memory of this worker."""
    writer: BlockWriter | None = None
    """Writes the results in the worker itself. Then only their checksums are sent to the parent."""
    _buffers: SharedBuffers = field(default_factory=SharedBuffers, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_buffers": SharedBuffers()}

    def start_worker(self) -> None:
        """Detach the parent's output file from a worker process, and set the malloc policy for blocks."""
        if self.output is not None:
            detach_output(self.output)
        keep_large_blocks()

    @contextmanager
    def worker_context(self) -> Iterator[None]:
        """Set the GDAL options for all blocks of a worker. To set them for each block, a thread needs the GIL."""
        with gdal_options():
            _thread.has_options = True
            yield

    def load(self) -> None:
        """Set the malloc policy for threads.

        Rasters are not opened here. Each worker opens its rasters at its first block, after the fork.
        """
        reuse_large_blocks()

    def result_of(self, job: Block, values: NDArray[Any], checksum: int | None) -> BlockResult:
        """Write the values of a block, or return them for the parent.

        Returned values are put into shared memory if the parent can map this memory.
        """
        if self.writer is not None:
            self.writer.put(job, values)
            return BlockResult(None, checksum, is_written=True)
        return BlockResult(self._buffers.put(values) if self.shares_memory else values, checksum)


@dataclass
class BlockTask(BlockWorker):
    """Process one block: read, call the function, trim the halo, convert the type."""

    function: BlockFunction
    handles: Handles
    read: str
    readers: tuple[InputReader, ...]
    arguments: Any
    dtype: str | None = None
    """Data type of results. None keeps the data type that the function returns."""
    count: int | None = None
    """Number of bands that a result must have. None allows any number."""
    kwargs: Mapping[str, Any] | None = None
    """Keyword arguments. If given, the function is called with the data and these arguments only."""
    reduction: Reduction | None = None
    """Summarizes results. Then only the summaries are sent to the parent."""
    nodata: float | None = None
    """Value of masked cells in the output, if masked arrays are read."""
    reference: Georeference | None = None
    """Transform and CRS of the grid, for blocks."""
    boundless_halo: int | None = None
    """Width of a halo that is not clipped at the edges of the grid. None if the halo is clipped."""

    def load(self) -> None:
        """Set the malloc policy for threads. Import numpy.ma if it is needed, so that forked workers inherit it."""
        super().load()
        if self.read == "masked" or self.reduction is not None:
            import numpy.ma  # noqa: F401, PLC0415

    def __call__(self, job: Block) -> BlockResult:
        """Return the result of one block."""
        failpoints.failpoint("block", f"{job.core.row_off},{job.core.col_off}")
        job = Block(job.core, self._padded(job), job.index, self.reference)
        with block_options():
            return self._result(self._call(self._input(job), job), job)

    def merged(self, results: list[BlockResult]) -> list[BlockResult]:
        """Merge summaries into the first result. Other results are not changed. See `Task`."""
        if self.reduction is None:
            return results
        summaries = self.reduction.merged([result.content for result in results])
        return [BlockResult(summaries, None), *([BlockResult(None, None)] * (len(results) - 1))]

    def _result(self, result: Any, job: Block) -> BlockResult:
        if self.reduction is not None:
            return BlockResult(self.reduction.summarize(_core_of(_masked(result), job), job), None)
        if self.dtype is None and not _is_raster(result, job):
            return BlockResult(result, None)
        if self.dtype is None and type(result) is not np.ndarray and isinstance(result, np.ma.MaskedArray):
            return BlockResult(_core_of(result, job), None)
        values = self._converted(_core_of(_masked(result) if self.read == "masked" else _plain(result), job))
        checksum = None if self.dtype is None else checksum_of(values)
        return self.result_of(job, values, checksum)

    def _call(self, data: Any, block: Block) -> Any:
        """Call the function. If the function has a `RasterReader` as its `source`, GDAL errors name the raster.

        Errors of other functions are not changed. Their traceback shows which raster was read.
        """
        source = getattr(self.function, "source", None)
        with gdal_errors(source.path) if isinstance(source, RasterReader) else nullcontext():
            if self.kwargs is None:
                return self.function(data, block, self.arguments)
            function: Callable[..., Any] = self.function
            return function(*(data if self.read in ("arrays", "masked") else [data]), **self.kwargs)

    def _padded(self, block: Block) -> Window:
        halo = self.boundless_halo
        return block.padded if halo is None else block.core.expanded(halo)

    def _input(self, block: Block) -> Any:
        datasets = self.handles.get()
        if self.read == "datasets":
            return datasets
        arrays = [self._read(reader, datasets[number], block) for number, reader in enumerate(self.readers)]
        return arrays if self.read != "stack" else np.concatenate(arrays) if len(arrays) > 1 else arrays[0]

    def _read(self, reader: InputReader, dataset: Any, block: Block) -> Any:
        with gdal_errors(reader.path):
            return reader.read(dataset, block.padded, self.read)

    def _converted(self, values: NDArray[Any]) -> NDArray[Any]:
        if self.count is not None and (values.shape[0] if values.ndim == 3 else 1) != self.count:
            bands = values.shape[0] if values.ndim == 3 else 1
            raise BlockError(
                f"the function returned {bands} band(s), but the output has {self.count}; "
                f'set profile={{"count": {bands}}}, or pass rasterio.band(dataset, numbers) as the output'
            )
        if self.dtype is None:
            return np.ascontiguousarray(values)
        dtype = np.dtype(self.dtype)
        return np.ascontiguousarray(
            cast_masked(values, dtype, self.nodata) if self.read == "masked" else cast(values, dtype)
        )


def _is_raster(result: Any, block: Block) -> bool:
    """Return True if a result is an array with a value for each cell of a block, or of its padded window."""
    shapes = [(window.height, window.width) for window in (block.core, block.padded)]
    return isinstance(result, np.ndarray) and result.ndim in (2, 3) and result.shape[-2:] in shapes


def _masked(result: Any) -> NDArray[Any]:
    """Return the result of a function as an array, masked or not."""
    array: NDArray[Any] = np.ma.asanyarray(_present(result))
    return array


def _present(result: Any) -> Any:
    """Return the result of a function. Raise BlockError if there is none."""
    if result is None:
        raise BlockError("the function returned None; return an array with the values of the block")
    return result


def _plain(result: Any) -> NDArray[Any]:
    """Return the result of a function as an array. Refuse a masked array, whose mask would be lost."""
    if type(result) is np.ndarray:  # without an import of numpy.ma
        return result
    if np.ma.is_masked(result):
        raise BlockError(
            "the function returned a masked array, whose mask would be lost; return its .filled(nodata), with the "
            "nodata value of the output"
        )
    return np.asarray(_present(result))


def _core_of(values: NDArray[Any], block: Block) -> NDArray[Any]:
    """Return the core of a result."""
    core, padded = (block.core.height, block.core.width), (block.padded.height, block.padded.width)
    if values.ndim == 3 and not len(values):
        raise BlockError("the function returned an array without bands; return at least one band")
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
    """Convert values to another data type without changing their meaning.

    No fraction is truncated, no integer overflows, and no finite value becomes infinite. The values are checked only if
    the conversion is not safe for all values of the data type.

    Raises
    ------
    BlockError
        If the data type cannot hold the values.
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
    change = f', or set profile={{"dtype": "{values.dtype}"}}' if values.dtype.char in _CELLS else ""
    raise BlockError(
        f"the function returned {values.dtype}, whose values the output's {dtype} cannot hold; "
        f"convert the result in the function{change}"
    )


def cast_masked(values: NDArray[Any], dtype: np.dtype[Any], nodata: float | None) -> NDArray[Any]:
    """Convert values like `cast`. Masked cells become nodata. Their stored values are not checked.

    Raises
    ------
    BlockError
        If the data type cannot hold the values, or cells are masked and there is no nodata value.
    """
    if not np.ma.is_masked(values):
        return cast(np.ma.getdata(values), dtype)
    if nodata is None:
        raise BlockError(
            "the function returned masked cells, but the output has no nodata value; "
            'set profile={"nodata": value}, or return .filled(value)'
        )
    mask = np.ma.getmaskarray(values)
    converted = cast(np.where(mask, values.dtype.type(0), np.ma.getdata(values)), dtype)
    converted = converted if converted.flags.writeable else converted.copy()
    converted[mask] = nodata
    return converted


def detach_output(path: Path) -> None:
    """Prevent a forked process from writing to a file that its parent has open.

    The process inherits the file descriptor, and GDAL's cache with cells that the parent has not written yet. If the
    cache became full, the process would write these cells to the parent's file. So the descriptor is redirected to the
    null device.
    """
    try:
        target, folder = path.stat(), next(f for f in ("/proc/self/fd", "/dev/fd") if os.path.isdir(f))  # noqa: PTH112
    except (OSError, StopIteration):
        return
    null = os.open(os.devnull, os.O_RDWR)
    for name in os.listdir(folder):  # noqa: PTH208
        try:
            found = os.fstat(int(name))
        except OSError:  # `listdir` has closed its own descriptor
            continue
        if (found.st_dev, found.st_ino) == (target.st_dev, target.st_ino):
            os.dup2(null, int(name))
    os.close(null)
