"""Apply a function to rasters block by block, in parallel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.arguments import blocks_of, check_bands, check_kwargs, check_limits, check_profile, halo_of
from regionplot.blocks.grid import Block, BlockGrid
from regionplot.blocks.handles import Handles
from regionplot.blocks.new_raster import new_raster
from regionplot.blocks.profile import derive_profile
from regionplot.blocks.reducers import Reducer, Reduction, open_reducer
from regionplot.blocks.report import BlockObserver, BlocksReport
from regionplot.blocks.runner import DEFAULT_SETTINGS, BlockRunner
from regionplot.blocks.sending import check_sendable
from regionplot.blocks.sinks import DatasetSink, FunctionSink, Sink
from regionplot.blocks.sources import Inputs, Sources
from regionplot.blocks.task import READS, BlockFunction, BlockTask
from regionplot.executors.base import WorkerSettings
from regionplot.geo.grid import Window
from regionplot.system.machine import usable_cpus

Grid = BlockGrid | Iterable[Any] | None
"""A grid of blocks, (rows, columns) of a block, windows, or None for the blocks of the first input."""
Output = str | Path | Callable[[Block, NDArray[Any]], object] | Any
"""A path, a function, a `Reducer`, or an open rasterio dataset."""


def process_blocks(
    function: BlockFunction,
    inputs: Inputs,
    output: Output,
    *,
    read: str = "arrays",
    grid: Grid = None,
    halo: int = 0,
    arguments: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    profile: Mapping[str, Any] | None = None,
    bands: Sequence[int] | None = None,
    executor: Any = "auto",
    workers: int | str = "auto",
    worker_settings: WorkerSettings = DEFAULT_SETTINGS,
    observer: BlockObserver | None = None,
) -> BlocksReport:
    """Apply a function to every block of some rasters, in parallel, and write the results.

    Parameters
    ----------
    function : callable
        Called as `function(data, block, arguments)`. It returns an array of shape (rows, columns) or (bands, rows,
        columns). The array covers the core of the block or its padded window. A padded array is trimmed to the
        core. The function can have three attributes. `halo` is used if the argument `halo` is 0. `profile` is a method
        that gets the profile of the first input and returns the profile of the output. `releases_gil` is true if the
        function releases the GIL most of the time.
    inputs : path or sequence of path
        One raster or several rasters. The rasters must have the same shape, transform and CRS, unless `read` is
        "datasets".
    output : path, rasterio dataset, callable or Reducer
        The path of a GeoTIFF, a dataset that is open for writing, a function, or a reducer such as `Mean()`. A GeoTIFF
        is replaced atomically. A reducer computes statistics of the results in the workers. A function is called in
        this process as `output(block, result)`. Then the results can be any objects that pickle, such as numbers and
        dicts. Only the results are sent to this process.
    read : {"arrays", "masked", "stack", "datasets"}
        The data for the function. "arrays" is a list with one array (bands, rows, columns) per input. "masked" is a
        list of masked arrays. Masked cells of the result become the nodata value of the output. "stack" is one array
        with all bands of all inputs. "datasets" is the sequence of open datasets.
    grid : BlockGrid, (int, int), iterable of windows, or None
        The blocks. (256, 256) is the number of rows and columns of a block. Windows can be windows of rasterio, pairs
        of `block_windows()`, or pairs `[window, ij]` of rio-mucho. They must not overlap. By default, the blocks of the
        first input, merged to about 512 × 512 cells. If `read` is "datasets", the grid can differ from the grids of the
        inputs.
    halo : int
        Width in cells of the border to read around each block.
    arguments : object
        Passed to each call of the function.
    kwargs : mapping, optional
        Keyword arguments. If given, the function is called as `function(*arrays, **kwargs)`, without block and
        arguments. So functions such as `np.hypot` can be passed as they are. If `read` is "stack" or "datasets", it is
        called as `function(data, **kwargs)`.
    profile : mapping, optional
        Overrides of the profile of the output, with the keys of rasterio. `driver="COG"` writes a cloud-optimized
        GeoTIFF. Further keys are `tags`, and `descriptions`, `units`, `scales` and `offsets` with one value per band.
        For a reducer, the only key is `nodata`, the value of cells to leave out.
    bands : sequence of int, optional
        Numbers of the bands to read, counted from 1. By default, all bands.
    executor : str or distributed.Client
        Name of an executor, such as "serial", "threads", "fork", "forkserver", "spawn" or "dask"; or the address or
        client of a dask cluster. "auto" is "serial" for one block or one worker, "threads" if the function
        has `releases_gil`, "fork" if it is safe, and otherwise "threads".
    workers : int or "auto"
        Number of workers. "auto" is one per usable CPU.
    worker_settings : WorkerSettings
        Limits of workers: `timeout` in seconds per block (default: one hour), `retries`, `memory`, `nice`.
    observer : BlockObserver, optional
        Receives the outcome of each block.

    Returns
    -------
    BlocksReport
        Number of blocks and times.

    Raises
    ------
    RasterError
        If an input cannot be read, its grid differs from the grid of the first input, or the output cannot be written
        completely.
    BlockError
        If the function fails for a block, or a worker dies. The error contains the traceback, and `__cause__` is the
        error that the function raised, if it pickles. An old output file is unchanged.
    ExecutorError
        If the executor cannot be used. An UnpicklableError, which is also a TypeError, names an argument that cannot be
        sent to its workers.
    TypeError, ValueError
        If an argument has a wrong type or value. The error names the argument, its value and the accepted forms.
    """
    start = time.perf_counter()
    if read not in READS:
        raise ValueError(f"read must be one of {', '.join(READS)}, not {read!r}")
    _check_profile(profile, output)
    if not callable(function):
        raise TypeError(f"function must be callable, not {function!r}")
    check_kwargs(kwargs, arguments)
    check_limits(worker_settings, observer)
    width, bands = halo_of(function, halo), check_bands(bands)
    describe = Sources.of if read == "datasets" else Sources.on_one_grid
    sources = describe(inputs, bands)
    shape = _shape(sources, output, read)
    if isinstance(grid, BlockGrid) and read != "datasets" and (grid.height, grid.width) != shape:
        given = (grid.height, grid.width)
        raise ValueError(f"the grid has {given} rows and columns, but the raster has {shape}")
    default = sources.default_grid
    if read == "datasets" and grid is not None:  # the grid can be that of no input
        default = replace(default, reference=None)
    blocks = blocks_of(grid, default, width, shape)
    runner = BlockRunner.of(len(blocks), function, executor=executor, workers=workers, worker_settings=worker_settings)
    check_sendable(runner.name, function=function, arguments=arguments, kwargs=kwargs, output=_sent(output))
    handles = Handles(sources.paths)
    with _sink(function, sources, output, profile, runner.workers) as sink, closing(handles):
        task = BlockTask(
            function, handles, read, bands, arguments, sink.dtype, sink.count,
            output=sink.file, shares_memory=runner.shares_memory, kwargs=kwargs,
            reduction=_reduction(function, sources, output, profile), nodata=sink.nodata,
            reference=blocks.reference if isinstance(blocks, BlockGrid) else blocks[0].reference,
        )  # fmt: skip
        durations = runner.run(task, blocks, sink, sources.paths, observer or BlockObserver())
    return BlocksReport(len(durations), time.perf_counter() - start, durations, runner.workers, runner.name)


def fill_array(
    function: BlockFunction,
    inputs: Inputs,
    *,
    dtype: Any,
    count: int | None = None,
    fill: float = 0,
    **options: Any,
) -> NDArray[Any]:
    """Apply a function to every block of some rasters, and return the results as one array.

    Parameters
    ----------
    function, inputs, **options
        See `process_blocks`. `profile` is refused, because no file is written.
    dtype : data type
        Data type of the array.
    count : int, optional
        Number of bands. By default, the array has no axis for bands.
    fill : float
        Value of cells that no block covers, and of masked cells of results if `read` is "masked".

    Returns
    -------
    ndarray, shape (rows, columns), or (count, rows, columns)
    """
    shape = Sources.of(inputs).shape
    whole = Window(0, 0, *shape)
    filled = np.full(shape if count is None else (count, *shape), fill, dtype)

    def insert(block: Block, values: NDArray[Any]) -> None:
        rows, columns = block.core.slices_in(whole)
        filled[..., rows, columns] = values[0] if count is None and values.ndim == 3 else values

    process_blocks(function, inputs, FunctionSink(insert, np.dtype(dtype).name, count or 1, nodata=fill), **options)
    return filled


def _check_profile(profile: Mapping[str, Any] | None, output: Output) -> None:
    """Refuse a profile that is no mapping, or would be ignored."""
    check_profile(profile)
    if profile is None or isinstance(output, str | Path):
        return
    if not isinstance(output, Reducer):
        raise ValueError("profile sets the properties of a new file, but the output is not a path; leave profile out")
    if set(profile) - {"nodata"}:
        raise ValueError(f"a reducer takes only the key nodata of profile, not {', '.join(map(str, profile))}")


def _reduction(function: object, sources: Sources, output: Output, given: Mapping[str, Any] | None) -> Reduction | None:
    """Return the reduction that workers do, with the nodata value that an output file would have."""
    if not isinstance(output, Reducer):
        return None
    return Reduction(output, derive_profile(function, sources.profile, sources.labels, given)[0].get("nodata"))


def _sent(output: object) -> object:
    """Return the part of the output that is sent to workers: a reducer, or nothing."""
    return output if isinstance(output, Reducer) else None


def _is_dataset(output: object) -> bool:
    return hasattr(output, "write") and hasattr(output, "block_shapes")


def _shape(sources: Sources, output: Any, read: str) -> tuple[int, int]:
    """Return the rows and columns that blocks must not exceed. Refuse an open dataset of another shape."""
    if isinstance(output, Sink) or not _is_dataset(output):
        return sources.shape
    shape = (int(output.height), int(output.width))
    if read != "datasets" and shape != sources.shape:
        raise ValueError(f"the output has {shape} rows and columns, but the raster has {sources.shape}")
    return shape


def _sink(
    function: object, sources: Sources, output: Output, given: Mapping[str, Any] | None, workers: int
) -> AbstractContextManager[Sink]:
    if isinstance(output, str | Path):
        profile, labels = derive_profile(function, sources.profile, sources.labels, given)
        return new_raster(Path(output), profile, labels, max(1, min(workers, usable_cpus())))
    if isinstance(output, Reducer):
        return open_reducer(output, sources.paths[0])
    if isinstance(output, Sink):
        return nullcontext(output)
    if isinstance(output, type) and issubclass(output, Reducer):
        raise TypeError(f"the output must be a reducer such as {output.__name__}(), not the class {output.__name__}")
    if callable(output):
        return nullcontext(FunctionSink(output))
    if _is_dataset(output):
        return nullcontext(DatasetSink(output, str(output.name)))
    raise TypeError(
        f"the output must be a path, a rasterio dataset, a function or a reducer, not {type(output).__name__}"
    )
