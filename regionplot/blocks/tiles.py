"""Split a raster into tile files and process tile files. `mosaic` merges them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regionplot.blocks.grid import Block, BlockGrid
from regionplot.blocks.handles import Handles
from regionplot.blocks.new_raster import new_raster
from regionplot.blocks.process import process_blocks
from regionplot.blocks.runner import BlockRunner, block_error
from regionplot.blocks.sources import Sources, read_block
from regionplot.blocks.task import BlockFunction, checksum_of
from regionplot.errors import Place, RasterError
from regionplot.executors.base import WorkerSettings
from regionplot.geo.grid import Window, shift_transform
from regionplot.inputs.gdal import gdal_errors, gdal_options
from regionplot.system.files import remove_stale_temporaries
from regionplot.system.memory import keep_large_blocks, return_large_blocks

_TILE_SETTINGS = WorkerSettings(timeout=24 * 3600.0)
"""Limits of workers: one day per tile."""
_RUNNER_OPTIONS = ("executor", "workers", "worker_settings")


def split_tiles(
    source: str | Path,
    folder: str | Path,
    tile: tuple[int, int] = (1024, 1024),
    overlap: int = 0,
    offset: tuple[int, int] = (0, 0),
    **options: Any,
) -> list[Path]:
    """Split a raster into tile files with names `STEM_rROW_cCOLUMN.tif`. Tile rows and columns are counted from 0.

    Parameters
    ----------
    source : path
        The raster.
    folder : path
        Folder of the files. The folder is created if it does not exist.
    tile : (int, int)
        Rows and columns of a tile, without the overlap.
    overlap : int
        Number of cells to add on each side. At the edges of the raster, fewer cells are added.
    offset : (int, int)
        Row at which the second row of tiles begins, and column at which the second column of tiles begins. Tiles of the
        first row and column can be smaller. 0 means no offset.
    **options
        `executor`, `workers` and `worker_settings`: see `process_blocks`. The default timeout is one day per tile.

    Returns
    -------
    list of Path
        Paths of the tiles, row by row from the top left.

    Raises
    ------
    RasterError
        If the source cannot be read, or a tile cannot be written completely. New tiles are then removed. Files that
        existed before may have been replaced.
    """
    sources = Sources.of(source)
    grid = BlockGrid(*sources.shape, *tile, halo=overlap, row_offset=offset[0], column_offset=offset[1])
    Path(folder).mkdir(parents=True, exist_ok=True)
    _, columns = grid.shape
    stem = Path(folder) / sources.paths[0].stem
    targets = [stem.with_name(f"{stem.name}_r{n // columns:03d}_c{n % columns:03d}.tif") for n in range(len(grid))]
    jobs = [_CutJob(block, target) for block, target in zip(grid, targets, strict=True)]
    _run_files(_CutTask(sources, Handles(sources.paths)), jobs, options)
    return targets


def process_tiles(
    function: BlockFunction, tiles: Sequence[str | Path], folder: str | Path, **options: Any
) -> list[Path]:
    """Apply a function to whole tile files, several tiles at a time.

    Parameters
    ----------
    function : callable
        See `process_blocks`. The block is the whole tile.
    tiles : sequence of path
        Tile files.
    folder : path
        Folder of the results, which have the names of their tiles. The folder is created if it does not exist.
    **options
        See `process_blocks`, without `grid`, `halo` and `observer`. The default timeout is one day per tile.

    Returns
    -------
    list of Path
        Paths of the results, in the order of the tiles.

    Raises
    ------
    BlockError, RasterError
        If a tile fails, or two tiles have the same name. New results are then removed. Files that existed before may
        have been replaced.
    """
    jobs = [_TileJob(Path(tile), Path(folder) / Path(tile).name) for tile in tiles]
    times = Counter(job.target for job in jobs)
    twice = [str(job.source) for job in jobs if times[job.target] > 1]
    if twice:
        raise RasterError(f"{folder}: the results of {', '.join(twice)} would have the same name; rename the tiles")
    if any(job.source.resolve() == job.target.resolve() for job in jobs):
        raise RasterError(f"{folder}: the results would replace the tiles; choose another folder")
    Path(folder).mkdir(parents=True, exist_ok=True)
    own = {name: options.pop(name) for name in _RUNNER_OPTIONS if name in options}
    _run_files(_TileTask(function, options), jobs, own)
    return [job.target for job in jobs]


@dataclass(frozen=True, slots=True)
class _TileJob:
    """A tile file to process, and the file of the result."""

    source: Path
    target: Path


@dataclass(frozen=True, slots=True)
class _CutJob:
    """A block to cut from a raster, and the file of the tile."""

    block: Block
    target: Path


@dataclass
class _CutTask:
    """Cut tiles from a raster and write them to files."""

    sources: Sources
    handles: Handles

    def start_worker(self) -> None:
        """Return freed memory to the system, because each tile is a large array that is used once."""
        return_large_blocks()

    def load(self) -> None:
        """Load nothing, because each worker opens its rasters at its first tile, after the fork."""

    def __call__(self, job: _CutJob) -> None:
        window, profile = job.block.padded, self.sources.profile
        place = shift_transform(profile["transform"], window.row_off, window.col_off)
        profile = {**profile, "height": window.height, "width": window.width, "transform": place}
        whole = Block(*(Window(0, 0, window.height, window.width),) * 2)
        with gdal_options(), gdal_errors(self.sources.paths[0]):
            values = read_block(self.handles.get()[0], window, None)
        with new_raster(job.target, profile, self.sources.labels, 1) as sink:
            sink.write(whole, values, checksum_of(values))


@dataclass
class _TileTask:
    """Apply a function to tile files."""

    function: BlockFunction
    options: dict[str, Any]

    def start_worker(self) -> None:
        """Set the malloc policy for blocks."""
        keep_large_blocks()

    def load(self) -> None:
        """Load nothing. Each tile is a separate raster."""

    def __call__(self, job: _TileJob) -> None:
        shape = Sources.of(job.source).shape
        process_blocks(
            self.function, job.source, job.target, grid=BlockGrid(*shape, *shape), executor="serial", **self.options
        )


def _run_files(task: Any, jobs: Sequence[Any], options: dict[str, Any]) -> None:
    """Run jobs that write files. If a job fails, remove all new files."""
    options = {"worker_settings": _TILE_SETTINGS, **options}
    runner = BlockRunner.of(len(jobs), getattr(task, "function", None), **options)
    existing = {job.target for job in jobs if job.target.exists()}
    try:
        with closing(runner.executor.run(task, jobs)) as outcomes:  # type: ignore[type-var]  # it is a generator
            for outcome in outcomes:
                if outcome.failure is not None:
                    raise block_error(outcome.failure, Place(file=str(outcome.job.target)))
    except BaseException:
        for job in jobs:
            if job.target not in existing:
                job.target.unlink(missing_ok=True)
        raise
    finally:
        remove_stale_temporaries({job.target.parent for job in jobs})
