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

from regionplot.blocks.grid import Block, BlockGrid
from regionplot.blocks.handles import Handles
from regionplot.blocks.new_raster import new_raster
from regionplot.blocks.profile import derive_profile
from regionplot.blocks.report import BlockObserver, BlocksReport
from regionplot.blocks.runner import BlockRunner
from regionplot.blocks.sinks import DatasetSink, FunctionSink, Sink
from regionplot.blocks.sources import Inputs, Sources
from regionplot.blocks.task import READS, BlockFunction, BlockTask
from regionplot.geo.grid import Window
from regionplot.system.machine import usable_cpus

Grid = BlockGrid | Iterable[Any] | None
"""What blocks there are: a grid, windows (ours or rasterio's), or the first input's own blocks."""


Output = str | Path | Callable[[Block, NDArray[Any]], object] | Any


def process_blocks(
    function: BlockFunction,
    inputs: Inputs,
    output: Output,
    *,
    read: str = "arrays",
    grid: Grid = None,
    halo: int = 0,
    arguments: Any = None,
    profile: Mapping[str, Any] | None = None,
    bands: Sequence[int] | None = None,
    executor: Any = "auto",
    workers: int | str = "auto",
    timeout: float = 3600.0,
    retries: int = 1,
    nice: int = 0,
    observer: BlockObserver | None = None,
) -> BlocksReport:
    """Apply a function to every block of some rasters, in parallel, and write what it returns.

    Parameters
    ----------
    function : callable
        Of what was read, the `Block`, and `arguments`. It returns an array, (rows, columns) or (bands, rows, columns),
        of the block's padded window, which is then trimmed, or of its core. It may have an attribute `halo`, which
        counts where the argument is 0; a method `profile`, which makes the output's profile from the first input's;
        and `releases_gil`, true if threads suit it.
    inputs : sequence of path
        Rasters of one shape, affine transform and CRS, unless `read` is "datasets".
    output : path, rasterio dataset or callable
        A GeoTIFF that appears whole or not at all; or a dataset that is open for writing; or a function of the block
        and its values, called in this process as they come.
    read : {"arrays", "stack", "datasets"}
        What the function gets: a list of arrays (bands, rows, columns), one for each input; one such array of all
        bands of all inputs; or the open datasets.
    grid : BlockGrid, iterable of windows, or None
        The blocks; windows must not overlap. None: the first input's own, merged to some 512 × 512 cells. A BlockGrid
        may be other than the inputs' where `read` is "datasets".
    halo : int
        Cells around each block that are read with it.
    arguments : object
        Given to each call.
    profile : mapping, optional
        What of the output's profile is to be other than the first input's, in rasterio's words; `driver="COG"` makes a
        cloud-optimised GeoTIFF. `descriptions`, `units`, `scales`, `offsets` (one for each band) and `tags` as well.
    bands : sequence of int, optional
        Bands to read, from 1; all by default.
    executor : str or distributed.Client
        "serial", "threads", "fork", "forkserver", "spawn", "dask", a scheduler's address or client. "auto" is fork
        where it is safe, else threads.
    workers : int or "auto"
        Threads or processes; `auto` is one for each usable CPU.
    timeout : float
        Seconds for one block, in processes.
    retries : int
        How often a block whose process was killed or ran out of memory is tried again, alone, after all others.
    nice : int
        How far processes give way to other programs, 0 to 19.
    observer : BlockObserver, optional
        Is told of each block as it is done.

    Returns
    -------
    BlocksReport
        What it took.

    Raises
    ------
    RasterError
        If an input cannot be read or does not fit the others, or the output cannot be written whole.
    BlockError
        If the function fails, or its worker ends, at one block: with the traceback. The output is as it was.
    ExecutorError
        If there can be no workers of this kind.
    """
    start = time.perf_counter()
    if read not in READS:
        raise ValueError(f"read must be one of {', '.join(READS)}, not {read!r}")
    sources = Sources.of(inputs, bands, alike=read != "datasets")
    blocks = _blocks(grid, sources, halo or getattr(function, "halo", 0), fits=read != "datasets")
    crew = BlockRunner.of(
        len(blocks), function, executor=executor, workers=workers, timeout=timeout, retries=retries, nice=nice
    )
    handles = Handles(sources.paths)
    with _sink(function, sources, output, profile, crew.workers) as sink, closing(handles):
        task = BlockTask(
            function, handles, read, tuple(bands) if bands else None, arguments, sink.dtype, sink.count,
            output=sink.file, shared_memory=crew.shares_memory,
        )  # fmt: skip
        durations = crew.run(task, blocks, sink, sources.paths, observer)
    return BlocksReport(len(durations), time.perf_counter() - start, durations, crew.workers, crew.method)


def fill_array(
    function: BlockFunction,
    inputs: Inputs,
    *,
    dtype: Any,
    count: int | None = None,
    fill: float = 0,
    **options: Any,
) -> NDArray[Any]:
    """Apply a function to every block of some rasters and put what it returns into one array.

    Parameters
    ----------
    function, inputs, **options
        As for `process_blocks`, which has no `profile` here.
    dtype : data type
        Of the array.
    count : int, optional
        Its bands; without, it has none.
    fill : float
        What is in the cells that no block covers.

    Returns
    -------
    ndarray, shape (rows, columns), or (count, rows, columns)
    """
    shape = Sources.of(inputs, alike=False).shape
    filled = np.full(shape if count is None else (count, *shape), fill, dtype)

    def take(block: Block, values: NDArray[Any]) -> None:
        core = block.core
        if count is None and values.ndim == 3:
            values = values[0]
        filled[..., core.row : core.row + core.height, core.column : core.column + core.width] = values

    process_blocks(function, inputs, FunctionSink(take, np.dtype(dtype).name, count or 1), **options)
    return filled


def _blocks(grid: Grid, sources: Sources, halo: int, *, fits: bool) -> BlockGrid | list[Block]:
    if grid is None:
        return replace(sources.natural, halo=halo)
    if isinstance(grid, BlockGrid):
        if fits and (grid.height, grid.width) != sources.shape:
            raise ValueError(f"the grid has {(grid.height, grid.width)} rows and columns, the raster {sources.shape}")
        return replace(grid, halo=halo or grid.halo)
    whole = replace(sources.natural, halo=halo)
    windows = [_window(window) for window in grid]
    _check_windows(windows, *sources.shape)
    return [whole.block(window) for window in windows]


def _window(window: Any) -> Window:
    """A window of ours, be it one of rasterio's."""
    if isinstance(window, Window):
        return window
    return Window(*(round(getattr(window, name)) for name in ("row_off", "col_off", "height", "width")))


def _check_windows(windows: Sequence[Window], height: int, width: int) -> None:
    """Windows that overlap would be written in any order."""
    active: list[Window] = []
    for window in sorted(windows, key=lambda w: (w.row, w.column)):
        right, bottom = window.column + window.width, window.row + window.height
        if min(window.row, window.column) < 0 or bottom > height or right > width or window.cells < 1:
            raise ValueError(f"{window} is empty or not within the raster of {height} rows and {width} columns")
        active = [other for other in active if other.row + other.height > window.row]
        for other in active:
            if other.column < right and window.column < other.column + other.width:
                raise ValueError(f"windows overlap: {other} and {window}")
        active.append(window)


def _sink(
    function: object, sources: Sources, output: Output, given: Mapping[str, Any] | None, workers: int
) -> AbstractContextManager[Sink]:
    if isinstance(output, str | Path):
        profile, labels = derive_profile(function, sources.profile, sources.labels, given)
        return new_raster(Path(output), profile, labels, max(1, min(workers, usable_cpus())))
    if isinstance(output, Sink):
        return nullcontext(output)
    if callable(output):
        return nullcontext(FunctionSink(output))
    if hasattr(output, "write") and hasattr(output, "block_shapes"):
        return nullcontext(DatasetSink(output, str(output.name)))
    raise TypeError(f"the output must be a path, a rasterio dataset or a function, not {type(output).__name__}")
