"""Apply a function to rasters block by block, in parallel."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.arguments import (
    check_array,
    check_grid_halo,
    check_grid_shape,
    check_kwargs,
    grid_of_views,
    halo_of,
)
from regionplot.blocks.dropped import warn_of_dropped
from regionplot.blocks.grid import Block, BlockGrid
from regionplot.blocks.input import Inputs, inputs_of
from regionplot.blocks.outputs import Output, Target
from regionplot.blocks.report import BlocksReport
from regionplot.blocks.runner import BlockRunner, RunOptions, checked_options, count_of
from regionplot.blocks.sending import check_sendable
from regionplot.blocks.sinks import FunctionSink
from regionplot.blocks.sources import Sources
from regionplot.blocks.streams import BlockStream, stream_or_blocks
from regionplot.blocks.task import READS, BlockFunction, BlockTask
from regionplot.executors.base import UNLIMITED_JOBS
from regionplot.geo.grid import Window

Grid = BlockGrid | Iterable[Any] | None
"""A grid of blocks, (rows, columns) of a block, windows, or None for the blocks of the first input."""
OptionsOfInputs = Mapping[str, Any] | Sequence[Mapping[str, Any] | None] | None
"""Options of all inputs, or of each input."""


def process_blocks(
    function: BlockFunction,
    inputs: Inputs,
    output: Output,
    *,
    read: str = "arrays",
    grid: Grid = None,
    views: Iterable[Sequence[int]] | None = None,
    halo: int = 0,
    arguments: Any = None,
    kwargs: Mapping[str, Any] | None = None,
    profile: Mapping[str, Any] | None = None,
    bands: Sequence[int] | Sequence[Sequence[int] | None] | None = None,
    open_options: OptionsOfInputs = None,
    read_options: OptionsOfInputs = None,
    **run: Unpack[RunOptions],
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
    inputs : path, Input, or sequence of both
        One raster or several rasters. An `Input` has its own bands, open options and read options. The rasters must
        have the same shape, transform and CRS, unless `read` is "datasets", or read options allow other grids.
    output : path, rasterio dataset, rasterio.band, callable or Reducer
        The path of a GeoTIFF, a dataset that is open for writing, `rasterio.band(dataset, numbers)`, a function, or a
        reducer such as `Mean()`. A GeoTIFF is replaced atomically. A reducer computes statistics of the results in the
        workers. A function is called in this process as `output(block, result)`. Then the results can be any objects
        that pickle, such as numbers and dicts. Only the results are sent to this process.
    read : {"arrays", "masked", "stack", "datasets"}
        The data for the function. "arrays" is a list with one array (bands, rows, columns) per input. "masked" is a
        list of masked arrays. Masked cells of the result become the nodata value of the output. "stack" is one array
        with all bands of all inputs. "datasets" is the sequence of open datasets.
    grid : BlockGrid, (int, int), iterable of windows, or None
        The blocks. (256, 256) is the number of rows and columns of a block. Windows can be windows of rasterio, pairs
        of `block_windows()`, or pairs `[window, ij]` of rio-mucho. They must not overlap. By default, the blocks of the
        first input, merged to about 512 × 512 cells. If `read` is "datasets", the grid can differ from the grids of the
        inputs, but not from the grid of an output file or dataset.
    views : iterable of (int, int, int, int), optional
        The blocks as views (x, y, width, height) of riogrande, instead of `grid`.
    halo : int
        Width in cells of the border to read around each block. 0 is the halo of the function or of a `BlockGrid`.
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
    bands : sequence of int, or sequence of sequences, optional
        Numbers of the bands to read, counted from 1: of all inputs, or of each input. By default, all bands.
    open_options, read_options : mapping, or sequence of mappings, optional
        Options for opening and reading: of all inputs, or of each input. The bands and options of an `Input` take
        precedence.
    executor : str or distributed.Client
        Name of an executor, such as "serial", "threads", "fork", "forkserver", "spawn" or "dask"; or the address or
        client of a dask cluster. "auto" (default) is "serial" for one block or one worker, "threads" if the function
        has `releases_gil`, "fork" if it is safe, and otherwise "threads".
    workers : int or "auto"
        Number of workers. "auto" (default) is one per usable CPU.
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
    _check_call(function, read, arguments, kwargs)
    options, observer = checked_options("process_blocks", run)
    grid = grid if views is None else grid_of_views(views, grid)
    width = check_grid_halo(grid, halo, halo_of(function, halo))
    inputs = inputs_of(inputs, bands, open_options, read_options)
    sources = (Sources.of if read == "datasets" else Sources.on_one_grid)(inputs)
    target = Target.of(function, sources, output, read, profile)
    blocks = _blocks(grid, target, width)
    runner = BlockRunner.of(count_of(blocks) or UNLIMITED_JOBS, function, **options)
    check_sendable(
        runner.name, function=function, arguments=arguments, kwargs=kwargs, output=target.reduction and output
    )
    warn_of_dropped(sources.dropped, read, target.output)
    handles = sources.handles(read, blocks)
    with target.open(runner.workers, blocks) as sink, closing(handles):
        task = BlockTask(
            function, handles, read, sources.readers, arguments, sink.dtype, sink.count,
            output=sink.file, shares_memory=runner.shares_memory, kwargs=kwargs,
            reduction=target.reduction, nodata=sink.nodata,
            reference=blocks[0].reference if isinstance(blocks, list) else blocks.reference,
            boundless_halo=width if sources.is_boundless else None,
            writer=runner.writer_of(sink),
        )  # fmt: skip
        durations = runner.run(task, blocks, sink, sources.paths, observer)
    return BlocksReport(len(durations), time.perf_counter() - start, durations, runner.workers, runner.name)


def _check_call(function: object, read: str, arguments: Any, kwargs: Mapping[str, Any] | None) -> None:
    if read not in READS:
        raise ValueError(f"read must be one of {', '.join(READS)}, not {read!r}")
    if not callable(function):
        raise TypeError(f"function must be callable, not {function!r}")
    check_kwargs(kwargs, arguments)


def _blocks(grid: Grid, target: Target, halo: int) -> BlockGrid | list[Block] | BlockStream:
    """Return the blocks of a run."""
    target.check_grid(grid)
    default = target.default_grid
    if target.is_free and grid is not None:  # the grid can be that of no input
        default = replace(default, reference=None)
    return stream_or_blocks(grid, default, halo, target.shape)


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

    Raises
    ------
    TypeError, ValueError
        If `dtype`, `count` or `fill` has a wrong type or value, or the grid is not that of the first input. For all
        other errors, see `process_blocks`.
    """
    check_array(dtype, count, fill)
    inputs = inputs_of(inputs, *(options.pop(name, None) for name in ("bands", "open_options", "read_options")))
    describe = Sources.of if options.get("read") == "datasets" else Sources.on_one_grid
    shape = describe(inputs).shape
    whole = Window(0, 0, *shape)
    check_grid_shape(options.get("grid"), shape, "raster")
    filled = np.full(shape if count is None else (count, *shape), fill, dtype)

    def insert(block: Block, values: NDArray[Any]) -> None:
        rows, columns = block.core.slices_in(whole)
        filled[..., rows, columns] = values[0] if count is None and values.ndim == 3 else values

    process_blocks(function, inputs, FunctionSink(insert, np.dtype(dtype).name, count or 1, nodata=fill), **options)
    return filled
