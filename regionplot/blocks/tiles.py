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
from regionplot.errors import RasterError
from regionplot.geo.grid import Window, shifted
from regionplot.inputs.gdal import gdal_errors, gdal_options
from regionplot.system.files import remove_stale_temporaries
from regionplot.system.memory import keep_large_blocks, return_large_blocks

_TILE_TIMEOUT = 24 * 3600.0


_OF_EXECUTORS = ("executor", "workers", "timeout", "retries", "nice")


def split_tiles(
    source: str | Path,
    folder: str | Path,
    tile: tuple[int, int] = (1024, 1024),
    overlap: int = 0,
    offset: tuple[int, int] = (0, 0),
    **options: Any,
) -> list[Path]:
    """Cut a raster into files, `STEM_rROW_cCOLUMN.tif` by row and column of tiles from 0.

    Parameters
    ----------
    source : path
        The raster.
    folder : path
        Where the files go; it is made if need be.
    tile : (int, int)
        Rows and columns of a tile without its overlap.
    overlap : int
        Cells that a tile has in addition on each side, as far as the raster goes.
    offset : (int, int)
        Row and column of the first cut; the tiles before it are smaller.
    **options
        `executor`, `workers`, `timeout`, `retries` and `nice`, as for `process_blocks`.

    Returns
    -------
    list of Path
        Row by row from the top left.

    Raises
    ------
    RasterError
        If the source cannot be read or a tile not be written whole. No new tile is left then; files that were there
        before under tiles' names may have been replaced.
    """
    sources = Sources.of(source)
    grid = BlockGrid(*sources.shape, *tile, halo=overlap, row_offset=offset[0], column_offset=offset[1])
    Path(folder).mkdir(parents=True, exist_ok=True)
    _, columns = grid.shape
    stem = Path(folder) / sources.paths[0].stem
    targets = [stem.with_name(f"{stem.name}_r{n // columns:03d}_c{n % columns:03d}.tif") for n in range(len(grid))]
    jobs = [_Cut(block, target) for block, target in zip(grid, targets, strict=True)]
    _run_files(_Cutter(sources, Handles(sources.paths)), jobs, options)
    return targets


def process_tiles(
    function: BlockFunction, tiles: Sequence[str | Path], folder: str | Path, **options: Any
) -> list[Path]:
    """Apply a function to each of some tile files as a whole, several tiles at a time.

    Parameters
    ----------
    function : callable
        As for `process_blocks`; its block is the whole tile.
    tiles : sequence of path
        The files.
    folder : path
        Where the results go, each under its tile's name; it is made if need be.
    **options
        As for `process_blocks`, but for `grid`, `halo` and `observer`.

    Returns
    -------
    list of Path
        The results, in the order of the tiles.

    Raises
    ------
    BlockError, RasterError
        If one fails, or two tiles have one name. No new result is left then; of files that were there before under the
        results' names, those stay replaced whose tiles were done already.
    """
    jobs = [_File(Path(tile), Path(folder) / Path(tile).name) for tile in tiles]
    times = Counter(job.target for job in jobs)
    twice = [str(job.source) for job in jobs if times[job.target] > 1]
    if twice:
        raise RasterError(f"{folder}: the results of {', '.join(twice)} would have one name; give the tiles others")
    if any(job.source.resolve() == job.target.resolve() for job in jobs):
        raise RasterError(f"{folder}: the results would take the tiles' places; name another folder")
    Path(folder).mkdir(parents=True, exist_ok=True)
    own = {name: options.pop(name) for name in _OF_EXECUTORS if name in options}
    _run_files(_OverTile(function, options), jobs, own)
    return [job.target for job in jobs]


@dataclass(frozen=True, slots=True)
class _File:
    """A file that a job makes."""

    source: Path
    target: Path


@dataclass(frozen=True, slots=True)
class _Cut:
    block: Block
    target: Path


@dataclass
class _Cutter:
    """Write one tile."""

    sources: Sources
    handles: Handles

    def start_worker(self) -> None:
        """Return large blocks: each tile is an array of its own."""
        return_large_blocks()

    def load(self) -> None:
        """Load nothing: each worker opens its rasters with its first tile, after the fork."""

    def __call__(self, job: _Cut) -> None:

        window, profile = job.block.padded, self.sources.profile
        place = shifted(profile["transform"], window.row, window.column)
        profile = {**profile, "height": window.height, "width": window.width, "transform": place}
        whole = Block(*(Window(0, 0, window.height, window.width),) * 2)
        with gdal_options(), gdal_errors(self.sources.paths[0]):
            values = read_block(self.handles.get()[0], window, None)
        with new_raster(job.target, profile, self.sources.labels, 1) as sink:
            sink.write(whole, values, checksum_of(values))


@dataclass
class _OverTile:
    """Apply a function to one tile."""

    function: BlockFunction
    options: dict[str, Any]

    def start_worker(self) -> None:
        """Set the malloc policy for blocks."""
        keep_large_blocks()

    def load(self) -> None:
        """Load nothing: each tile is a raster of its own."""

    def __call__(self, job: _File) -> None:
        shape = Sources.of(job.source).shape
        process_blocks(
            self.function, job.source, job.target, grid=BlockGrid(*shape, *shape), executor="serial", **self.options
        )


def _run_files(task: Any, jobs: Sequence[Any], options: dict[str, Any]) -> None:
    """Have files made; if one fails, those that are new are removed."""
    crew = BlockRunner.of(len(jobs), getattr(task, "function", None), **{"timeout": _TILE_TIMEOUT, **options})
    existing = {job.target for job in jobs if job.target.exists()}
    try:
        with closing(crew.executor.run(task, jobs)) as outcomes:  # type: ignore[type-var]  # it is a generator
            for outcome in outcomes:
                if outcome.failure is not None:
                    raise block_error(str(outcome.job.target), outcome.failure)
    except BaseException:
        for job in jobs:
            if job.target not in existing:
                job.target.unlink(missing_ok=True)
        raise
    finally:
        remove_stale_temporaries({job.target.parent for job in jobs})
