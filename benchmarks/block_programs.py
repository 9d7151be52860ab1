"""The programs that `blocks.py` compares: ``python benchmarks/block_programs.py PROGRAM WORK FOLDER SIDE``.

Each program reads `FOLDER/in.tif` and writes `FOLDER/out.tif` with two workers. Each is a process of its own, and
imports only what it needs. All programs use the same blocks of SIDE × SIDE cells.

riogrande cannot be installed from PyPI. Its two functions are written here after its documentation: a pool of
processes reads views of the file and puts the results into a queue. One job of the pool takes them from the queue.
"""

from __future__ import annotations

import functools
import multiprocessing
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

WORKERS = 2
_LOOPS = 350_000


def light(values: np.ndarray) -> np.ndarray:
    """Do almost no work, so that only reading, sending and writing the cells takes time."""
    return values * np.float32(2)


def release(values: np.ndarray) -> np.ndarray:
    """Do work that releases the GIL: elementary functions of NumPy."""
    for _ in range(4):
        values = np.cos(np.sin(values))
    return values


def hold(values: np.ndarray) -> np.ndarray:
    """Do work that holds the GIL."""
    total = 0
    for number in range(_LOOPS * values.size // 2**18):
        total += number & 7
    return values + np.float32(total & 0)


WORK: dict[str, Callable[[np.ndarray], np.ndarray]] = {"light": light, "release": release, "hold": hold}


def _over_block(arrays: list[np.ndarray], _block: Any, work: str) -> np.ndarray:
    return WORK[work](arrays[0])


def _over_window(arrays: list[np.ndarray], _window: Any, _ij: Any, arguments: dict[str, str]) -> np.ndarray:
    return WORK[arguments["work"]](arrays[0])


def ours(executor: str, work: str, folder: Path, side: int) -> None:
    """Run `process_blocks`."""
    from regionplot.blocks import process_blocks  # noqa: PLC0415 (its import is part of the run)

    source, grid = folder / "in.tif", (side, side)
    process_blocks(
        _over_block, source, folder / "out.tif", grid=grid, arguments=work, executor=executor, workers=WORKERS
    )


def our_pipe(work: str, folder: Path, side: int) -> None:
    """Run `process_blocks` with processes, and without shared memory."""
    from regionplot.blocks import runner  # noqa: PLC0415

    runner.memory_can_be_shared = lambda: False
    ours("fork", work, folder, side)


def our_mask(_work: str, folder: Path, side: int) -> None:
    """Run `compute_mask`."""
    from regionplot.blocks import compute_mask  # noqa: PLC0415

    compute_mask(folder / "in.tif", 0, "all", output=folder / "out.tif", grid=(side, side), workers=WORKERS)


def our_selector(_work: str, folder: Path, side: int) -> None:
    """Run `prepare_selector`."""
    from regionplot.blocks import prepare_selector  # noqa: PLC0415

    np.save(folder / "out.npy", prepare_selector(folder / "in.tif", grid=(side, side), workers=WORKERS))


def rasterio_threads(work: str, folder: Path, side: int) -> None:  # noqa: ARG001 (the blocks are those of the file)
    """Run the recipe of rasterio's documentation with threads."""
    import rasterio  # noqa: PLC0415

    with rasterio.open(folder / "in.tif") as source, rasterio.open(folder / "out.tif", "w", **source.profile) as target:
        reading, writing = threading.Lock(), threading.Lock()

        def process(window: Any) -> None:
            with reading:
                values = source.read(window=window)
            result = WORK[work](values)
            with writing:
                target.write(result, window=window)

        with ThreadPoolExecutor(WORKERS) as pool:
            list(pool.map(process, [window for _, window in target.block_windows()]))


def rasterio_processes(work: str, folder: Path, side: int) -> None:  # noqa: ARG001
    """Run the recipe of rasterio's documentation with processes. The parent reads all cells first."""
    import rasterio  # noqa: PLC0415

    with rasterio.open(folder / "in.tif") as source, rasterio.open(folder / "out.tif", "w", **source.profile) as target:
        windows = [window for _, window in target.block_windows()]
        arrays = [source.read(window=window) for window in windows]
        with ProcessPoolExecutor(WORKERS) as pool:
            for window, result in zip(windows, pool.map(WORK[work], arrays), strict=True):
                target.write(result, window=window)


def rio_mucho(work: str, folder: Path, side: int) -> None:  # noqa: ARG001
    """Run rio-mucho."""
    import rasterio  # noqa: PLC0415
    import riomucho  # noqa: PLC0415 (optional)

    with rasterio.open(folder / "in.tif") as source:
        windows, profile = [(window, ij) for ij, window in source.block_windows()], source.profile
    paths, arguments = (str(folder / "in.tif"), str(folder / "out.tif")), {"work": work}
    with riomucho.RioMucho(
        [paths[0]], paths[1], _over_window, windows=windows, global_args=arguments, options=profile
    ) as program:
        program.run(WORKERS)


def _map_block(work: str, array: Any) -> Any:
    return array.copy(data=WORK[work](array.values))


def dask_xarray(work: str, folder: Path, side: int) -> None:
    """Run `xarray.map_blocks` with dask's default scheduler, which uses threads, and write with rioxarray."""
    import dask  # noqa: PLC0415 (optional)
    import rioxarray  # noqa: PLC0415

    with dask.config.set(scheduler="threads", num_workers=WORKERS):
        array = rioxarray.open_rasterio(folder / "in.tif", chunks={"y": side, "x": side}, lock=False)
        mapped = array.map_blocks(functools.partial(_map_block, work), template=array)
        mapped.rio.to_raster(folder / "out.tif", tiled=True, blockxsize=side, blockysize=side, lock=threading.Lock())


def _views(path: Path, side: int) -> tuple[tuple[int, int], list[tuple[int, int, int, int]]]:
    """Return the shape of a file, and its views (x, y, width, height)."""
    import rasterio  # noqa: PLC0415

    with rasterio.open(path) as source:
        height, width = source.shape
    starts = [(x, y) for y in range(0, height, side) for x in range(0, width, side)]
    return (height, width), [(x, y, min(side, width - x), min(side, height - y)) for x, y in starts]


def _window(view: tuple[int, int, int, int]) -> Any:
    from rasterio.windows import Window  # noqa: PLC0415

    return Window(*view)


def _put_mask(path: Path, view: tuple[int, int, int, int], queue: Any) -> None:
    import rasterio  # noqa: PLC0415

    with rasterio.open(path) as source:
        values = source.read(window=_window(view))
    queue.put({"view": view, "data": np.where((values == 0).all(axis=0), 0, 255).astype(np.uint8)})


def _put_selector(path: Path, view: tuple[int, int, int, int], queue: Any) -> None:
    import rasterio  # noqa: PLC0415

    with rasterio.open(path) as source:
        masks = [source.read_masks(band, window=_window(view)) for band in source.indexes]
    queue.put({"view": view, "data": np.all([mask != 0 for mask in masks], axis=0)})


def _write_mask(path: Path, queue: Any) -> None:
    import rasterio  # noqa: PLC0415

    with rasterio.open(path, "r+") as target:
        while "signal" not in (item := queue.get()):
            target.write_mask(item["data"], window=_window(item["view"]))


def _fill_matrix(matrix: np.ndarray, queue: Any) -> np.ndarray:
    while "signal" not in (item := queue.get()):
        x, y, width, height = item["view"]
        matrix[y : y + height, x : x + width] = item["data"]
    return matrix


def _run_queue(task: Callable[..., None], path: Path, views: list[Any], aggregator: Callable[[Any], Any]) -> Any:
    """Run a task for each view, and one aggregator, in a pool with one more process."""
    with multiprocessing.Manager() as manager, multiprocessing.Pool(WORKERS + 1) as pool:
        queue = manager.Queue()
        result = pool.apply_async(aggregator, [queue])
        for job in [pool.apply_async(task, (path, view, queue)) for view in views]:
            job.get()
        queue.put({"signal": "kill"})
        return result.get()


def riogrande_mask(_work: str, folder: Path, side: int) -> None:
    """Compute a mask after the documentation of riogrande's `compute_mask`."""
    import rasterio  # noqa: PLC0415

    path = folder / "in.tif"
    _, views = _views(path, side)
    with rasterio.open(path) as source, rasterio.open(folder / "out.tif", "w", **{**source.profile, "dtype": "uint8"}):
        pass
    _run_queue(_put_mask, path, views, functools.partial(_write_mask, folder / "out.tif"))


def riogrande_selector(_work: str, folder: Path, side: int) -> None:
    """Compute a selector after the documentation of riogrande's `prepare_selector`."""
    path = folder / "in.tif"
    shape, views = _views(path, side)
    selector = _run_queue(_put_selector, path, views, functools.partial(_fill_matrix, np.ones(shape, np.bool_)))
    np.save(folder / "out.npy", selector)


PROGRAMS: dict[str, Callable[[str, Path, int], None]] = {
    **{name: functools.partial(ours, name) for name in ("serial", "threads", "fork", "spawn", "dask")},
    "pipe": our_pipe,
    "compute_mask": our_mask,
    "prepare_selector": our_selector,
    "rasterio-threads": rasterio_threads,
    "rasterio-processes": rasterio_processes,
    "rio-mucho": rio_mucho,
    "dask-xarray": dask_xarray,
    "riogrande-mask": riogrande_mask,
    "riogrande-selector": riogrande_selector,
}
"""Programs by name."""

if __name__ == "__main__":
    PROGRAMS[sys.argv[1]](sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
