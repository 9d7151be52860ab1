"""Split a raster into tile files and process tile files. `mosaic` merges them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regionplot.blocks.arguments import check_profile
from regionplot.blocks.checksums import checksum_of
from regionplot.blocks.dropped import warn_of_dropped
from regionplot.blocks.grid import Block, BlockGrid
from regionplot.blocks.handles import Handles
from regionplot.blocks.mosaics import mosaic
from regionplot.blocks.new_raster import check_creation, check_place, new_raster, os_errors_as_raster_errors
from regionplot.blocks.process import process_blocks
from regionplot.blocks.profile import derive_profile
from regionplot.blocks.report import BlocksReport
from regionplot.blocks.runner import BlockRunner, block_error, checked_options
from regionplot.blocks.sending import check_sendable
from regionplot.blocks.sources import Labels, Sources, read_block
from regionplot.blocks.task import READS, BlockFunction, cast
from regionplot.blocks.tile import Tile
from regionplot.blocks.tile_arguments import (
    check_names,
    check_overlap_cells,
    check_path,
    check_sides,
    check_tiles,
    check_value,
    merge_rule,
)
from regionplot.blocks.tile_files import FilesTask, TileJob, move_files
from regionplot.errors import BlockError, Place, RasterError
from regionplot.executors.base import WorkerSettings
from regionplot.geo.grid import Window, shift_transform
from regionplot.inputs.gdal import gdal_errors, gdal_options
from regionplot.system.files import remove_stale_temporaries, temporary_folder
from regionplot.system.memory import keep_large_blocks, return_large_blocks
from regionplot.system.signals import cleanup_before_signals_end

_TILE_SETTINGS = WorkerSettings(timeout=24 * 3600.0)
"""Limits of workers: one day per tile."""
_MERGE_OPTIONS = ("background", "skip_value", "band", "by")
_RUNNER_OPTIONS = ("executor", "workers", "worker_settings")
_TILE_OPTIONS = ("arguments", "kwargs", "profile", "bands")
_PROPERTIES = ("dtype", "nodata", "count", "descriptions", "units", "scales", "offsets", "tags", "band_tags")
"""Keys of a profile that tiles and the output have in common. The other keys say how a file is stored."""


def split_tiles(
    source: str | Path,
    folder: str | Path,
    tile: tuple[int, int] = (1024, 1024),
    overlap: int = 0,
    offset: tuple[int, int] = (0, 0),
    profile: Mapping[str, Any] | None = None,
    **options: Any,
) -> list[Tile]:
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
    profile : mapping, optional
        Changes of the profile of the tiles: see `process_blocks`. With "dtype", the cells are converted.
    **options
        `executor`, `workers` and `worker_settings`: see `process_blocks`. The default timeout is one day per tile.

    Returns
    -------
    list of Tile
        Paths of the tiles, row by row from the top left. Each path also has the attributes `index`, `window`, `padded`
        and `overlap`.

    Raises
    ------
    RasterError
        If the source cannot be read, or a tile cannot be written completely. New tiles are then removed. Files that
        existed before may have been replaced.
    """
    check_names("split_tiles", options, _RUNNER_OPTIONS)
    tile, offset, overlap = check_sides("tile", tile, 1), check_sides("offset", offset, 0), check_overlap_cells(overlap)
    check_profile(profile)
    folder, sources = check_path("folder", folder), Sources.of(check_path("source", source))
    given, labels = derive_profile(None, sources.profile, sources.labels, profile)
    grid = BlockGrid(*sources.shape, *tile, halo=overlap, row_offset=offset[0], column_offset=offset[1])
    _check_properties(given, sources.profile)
    check_creation(folder, given)
    _make_folder(folder)
    _, columns = grid.shape
    stem = folder / sources.paths[0].stem
    targets = [_tile(stem, block, divmod(number, columns)) for number, block in enumerate(grid)]
    warn_of_dropped(sources.dropped, "arrays", folder)
    task = _CutTask(sources, sources.handles("arrays"), given, labels)
    _run_files(task, [_CutJob(target) for target in targets], options)
    return targets


def _tile(stem: Path, block: Block, index: tuple[int, int]) -> Tile:
    path = stem.with_name(f"{stem.name}_r{index[0]:03d}_c{index[1]:03d}.tif")
    return Tile.at(path, index, block.core, block.padded)


def process_tiles(
    function: Callable[..., Any],
    tiles: Sequence[str | Path],
    folder: str | Path,
    *,
    read: str = "arrays",
    **options: Any,
) -> list[Path]:
    """Apply a function to whole tile files, several tiles at a time.

    Parameters
    ----------
    function : callable
        See `process_blocks`. The block is the whole tile. If `read` is "files", the function is called as
        `function(source, target)` with the path of the tile and the path of the file to write. The name of the target
        is the name of the tile. Files that the function writes beside the target belong to the result.
    tiles : sequence of path
        Tile files.
    folder : path
        Folder of the results, which have the names of their tiles. The folder is created if it does not exist.
    read : {"arrays", "stack", "datasets", "files"}
        What the function gets: the cells or the dataset of a tile as in `process_blocks`, or paths.
    **options
        See `process_blocks`, without `grid`, `halo` and `observer`. If `read` is "files", only `executor`, `workers`
        and `worker_settings`. The default timeout is one day per tile.

    Returns
    -------
    list of Path
        Paths of the results, in the order of the tiles. The results of tiles of `split_tiles` are `Tile` objects, too.

    Raises
    ------
    BlockError, RasterError
        If a tile fails, or two tiles have the same name. New results are then removed. Files that existed before may
        have been replaced. `__cause__` is the error that the function raised, if it pickles.
    TypeError
        If `read` is "files", and an option sets the output.
    """
    check_names("process_tiles", options, (*_RUNNER_OPTIONS, *_TILE_OPTIONS))
    tiles, folder = check_tiles(tiles), check_path("folder", folder)
    if not callable(function):
        raise TypeError(f"function must be callable, not {function!r}")
    if read not in (*READS, "files"):
        raise ValueError(f"read must be one of {', '.join((*READS, 'files'))}, not {read!r}")
    check_profile(options.get("profile"))
    if options.get("profile"):
        _check_output(function, tiles[0], folder, options["profile"])
    jobs = [TileJob(tile if isinstance(tile, Tile) else Path(tile), _result_of(tile, folder)) for tile in tiles]
    times = Counter(job.target for job in jobs)
    twice = [str(job.source) for job in jobs if times[job.target] > 1]
    if twice:
        raise RasterError(f"{folder}: the results of {', '.join(twice)} would have the same name; rename the tiles")
    if any(job.source.resolve() == job.target.resolve() for job in jobs):
        raise RasterError(f"{folder}: the results would replace the tiles; choose another folder")
    _make_folder(folder)
    own = {name: options.pop(name) for name in _RUNNER_OPTIONS if name in options}
    if read != "files":
        _run_files(_TileTask(function, {"read": read, **options}), jobs, own)
    elif options:
        raise TypeError(f"{', '.join(options)}: a function of files writes its own output; leave these arguments out")
    else:
        with os_errors_as_raster_errors(Path(folder)), temporary_folder(Path(folder) / "tiles") as work:
            _run_files(FilesTask(function, work), jobs, own)
    return [job.target for job in jobs]


def _check_output(function: object, source: str | Path, output: Path, profile: Mapping[str, Any] | None) -> None:
    """Raise an error if a raster like `source` with changes of its profile cannot be created."""
    sources = Sources.of(source)
    check_creation(output, derive_profile(function, sources.profile, sources.labels, profile)[0])


def _make_folder(folder: Path) -> None:
    """Create a folder. Raise RasterError if the path is a file, or the folder cannot be created."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RasterError(f"{folder}: the folder cannot be created: {error.strerror}; choose another folder") from None


def _check_properties(profile: Mapping[str, Any], source: Mapping[str, Any]) -> None:
    """Refuse a profile of tiles that changes their size, position, CRS or number of bands."""
    for name in ("height", "width", "count", "transform", "crs"):
        if profile[name] != source[name]:
            raise ValueError(f"{name} in profile is {profile[name]!r}, which tiles cannot change; leave it out")


def _result_of(tile: str | Path, folder: str | Path) -> Path:
    target = Path(folder) / Path(tile).name
    return tile.moved(target) if isinstance(tile, Tile) else target


def map_tiles(
    source: str | Path,
    function: Callable[..., Any],
    output: str | Path,
    tile: tuple[int, int] = (1024, 1024),
    overlap: int = 0,
    offset: tuple[int, int] = (0, 0),
    merge: str | int = "core",
    profile: Mapping[str, Any] | None = None,
    **options: Any,
) -> BlocksReport:
    """Split a raster into tiles, apply a function to each tile, and merge the results.

    The tiles are written to a temporary folder beside the output, which needs room for two copies of the raster. The
    folder is removed at the end, also after an error, Ctrl-C, SIGTERM or SIGHUP. The two signals are handled if this
    program does not handle them, and this function runs in the main thread. After SIGKILL or a power failure, the
    folder stays until the next call for an output in the same folder. The old output is replaced by a complete output
    or stays as it is.

    Parameters
    ----------
    source : path
        The raster.
    function : callable
        See `process_tiles`.
    output : path
        Path of the output, a GeoTIFF or a COG.
    tile, overlap, offset
        Tiles, as in `split_tiles`.
    merge : {"core", "first", "last", "min", "max", "mean", "feather"} or {0, 1, 2}
        Rule for cells of several tiles: see the argument `overlap` of `mosaic`. By default, each tile is used without
        its overlap, so the result is that of the function over the whole raster, if the overlap is wide enough.
    profile : mapping, optional
        Changes of the profile of the results and of the output: see `process_blocks`. If `read` is "files", changes of
        the profile of the output only. Creation options are those of the output.
    **options
        `background`, `skip_value`, `band` and `by`: see `mosaic`. All others: see `process_tiles`.

    Returns
    -------
    BlocksReport
        Report of the merge.

    Raises
    ------
    RasterError, BlockError
        If the source cannot be read, the function fails for a tile, or the output cannot be written completely.
    """
    output = check_path("output", output)
    check_place(output)
    check_names("map_tiles", options, (*_RUNNER_OPTIONS, *_TILE_OPTIONS, *_MERGE_OPTIONS, "read"))
    merge_rule(merge, options.get("by"), options.get("band"))
    check_value("background", options.get("background"))
    check_value("skip_value", options.get("skip_value"))
    check_profile(profile)
    _check_output(function, check_path("source", source), output, profile)
    merging = {name: options.pop(name) for name in _MERGE_OPTIONS if name in options}
    own = {name: options[name] for name in _RUNNER_OPTIONS if name in options}
    if profile and options.get("read") != "files":
        options["profile"] = {name: value for name, value in profile.items() if name in _PROPERTIES}
    with cleanup_before_signals_end(), os_errors_as_raster_errors(output), temporary_folder(output) as work:
        tiles = split_tiles(source, work / "tiles", tile, overlap, offset, **own)
        results = process_tiles(function, tiles, work / "results", **options)
        return mosaic(results, output, merge, profile=profile, **merging, **own)


@dataclass(frozen=True, slots=True)
class _CutJob:
    """A tile to cut from a raster."""

    target: Tile


@dataclass
class _CutTask:
    """Cut tiles from a raster and write them to files."""

    sources: Sources
    handles: Handles
    profile: dict[str, Any]
    """Profile of a tile, except for its place."""
    labels: Labels | None

    def start_worker(self) -> None:
        """Return freed memory to the system, because each tile is a large array that is used once."""
        return_large_blocks()

    def load(self) -> None:
        """Load nothing, because each worker opens its rasters at its first tile, after the fork."""

    def __call__(self, job: _CutJob) -> None:
        window = job.target.padded
        place = shift_transform(self.profile["transform"], window.row_off, window.col_off)
        profile = {**self.profile, "height": window.height, "width": window.width, "transform": place}
        whole = Block(*(Window(0, 0, window.height, window.width),) * 2)
        with gdal_options(), gdal_errors(self.sources.paths[0]):
            values = read_block(self.handles.get()[0], window, None)
        try:
            values = cast(values, np.dtype(profile["dtype"]))
        except BlockError:
            name, dtype = self.sources.paths[0], profile["dtype"]
            raise RasterError(f"{name}: its {values.dtype} values do not fit {dtype}; choose another dtype") from None
        with new_raster(job.target, profile, self.labels, 1) as sink:
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

    def __call__(self, job: TileJob) -> None:
        shape = Sources.of(job.source).shape
        process_blocks(
            self.function, job.source, job.target, grid=BlockGrid(*shape, *shape), executor="serial", **self.options
        )


def _run_files(task: Any, jobs: Sequence[Any], options: dict[str, Any]) -> None:
    """Run jobs that write files. If a job fails, remove all new files."""
    options, _ = checked_options("tiles", {"worker_settings": _TILE_SETTINGS, **options})
    function = getattr(task, "function", None)
    runner = BlockRunner.of(len(jobs), function, **options)
    check_sendable(runner.name, function=function, **getattr(task, "options", {}))
    new = [job.target for job in jobs if not job.target.exists()]
    try:
        with closing(runner.executor.run(task, jobs)) as outcomes:  # type: ignore[type-var]  # it is a generator
            for outcome in outcomes:
                if outcome.failure is not None:
                    place = Place(file=str(outcome.job.target))
                    raise block_error(outcome.failure, place) from outcome.failure.error
                if outcome.value is not None:
                    new += move_files(outcome.value, outcome.job.target)
    except BaseException:
        for path in new:
            with suppress(OSError):  # an error here must not hide the first error
                path.unlink(missing_ok=True)
        raise
    finally:
        remove_stale_temporaries({job.target.parent for job in jobs})
