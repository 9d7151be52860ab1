"""Merge tiles into one raster, block by block."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.arguments import check_profile
from regionplot.blocks.checksums import checksum_of
from regionplot.blocks.dropped import Extras, warn_of_dropped
from regionplot.blocks.grid import Block, BlockGrid
from regionplot.blocks.new_raster import new_raster
from regionplot.blocks.profile import derive_profile
from regionplot.blocks.report import BlocksReport
from regionplot.blocks.runner import BlockRunner, checked_options
from regionplot.blocks.selectors import is_valid
from regionplot.blocks.sources import Sources, check_axes, read_block, read_mask
from regionplot.blocks.task import BlockResult, BlockWorker, block_options, cast
from regionplot.blocks.tile import Tile
from regionplot.blocks.tile_arguments import check_path, check_tiles, check_value, merge_rule
from regionplot.errors import BlockError, RasterError
from regionplot.geo.dtypes import cell_dtype, fits_dtype
from regionplot.geo.grid import Window, shift_transform
from regionplot.inputs.gdal import gdal_errors, gdal_options, open_raster

_EXACT = 2**53
"""Largest integer below which all integers are exact as floats."""
_ON_GRID = 1e-3
"""Maximum distance of a tile from the grid of the first tile, in cells."""
_BLOCK = 512
"""Rows and columns of a block."""


@dataclass(frozen=True, slots=True)
class _Tile:
    """A tile and its place in the mosaic."""

    path: Path
    window: Window
    """Cells of the mosaic that the tile covers."""
    skips: tuple[float | None, ...]
    """Value of cells without data, for each band."""
    has_mask: bool
    """True if a mask in the file, or an alpha band, marks cells without data."""
    extras: Extras
    """Parts of the tile that the mosaic does not have."""
    area: Window
    """Cells of the mosaic that can get values of the tile. With "core", they exclude the overlap."""


def mosaic(
    tiles: Sequence[str | Path],
    output: str | Path,
    overlap: str | int = "last",
    background: float | None = None,
    skip_value: float | None = None,
    band: int | None = None,
    by: str | None = None,
    **options: Any,
) -> BlocksReport:
    """Merge tiles into one raster, block by block. Memory use does not grow with the raster.

    Parameters
    ----------
    tiles : sequence of path
        Rasters on one grid: the same CRS, cell size and alignment. They must have the same number of bands, and the
        same scale and offset. They must have the same data type, too, unless `profile` sets the data type of the
        output.
    output : path
        Path of the output. It is a GeoTIFF, or a COG if `profile` is `{"driver": "COG"}`.
    overlap : {"first", "last", "min", "max", "mean", "feather", "core"} or {0, 1, 2}
        Rule for cells in which several tiles have data. `feather` is a weighted mean. The weight is the distance from
        the nearest edge of the tile. `core` copies each tile without its overlap, including cells without data. It
        needs the tiles of `split_tiles`, or the results of `process_tiles` for them. 0, 1 and 2 are the rules of
        RSGISLib: "last", and "min" and "max" with `by="pixel"`. The default of `band` is then 1.
    background : float, optional
        Value of cells in which no tile has data. By default, the nodata value of the output, or 0 if the output
        has no nodata value. The output has no mask.
    skip_value : float, optional
        Value of cells without data. By default, the nodata value of each tile. NaN and masked cells are never data.
    band : int, optional
        Number of the band, counted from 1, that decides which cells have data in all bands. By default, the cells with
        data are determined for each band separately. With `by="pixel"`, the default is 1.
    by : {"band", "pixel"}, optional
        With "band", the default, each band of a cell is merged separately. With `min` and `max`, a cell can then have
        values of several tiles, and so a color that no tile has. With "pixel", all bands of a cell come from one tile:
        `min` and `max` compare the values of `band`, as in RSGISLib. If they are equal, the earlier tile is used.
    **options
        `profile`, `executor`, `workers`, `worker_settings` and `observer`: see `process_blocks`.

    Returns
    -------
    BlocksReport

    Raises
    ------
    RasterError
        If the tiles are not on one grid, a tile cannot be read, or the output cannot be written completely.
    BlockError
        If the data type of the output cannot hold the values of a tile.
    TypeError, ValueError
        If an argument has a wrong type or value, the rule does not work for complex numbers, or the data type of the
        output cannot hold the background.
    """
    start = time.perf_counter()
    given = options.pop("profile", None) or {}
    run, observer = checked_options("mosaic", options)
    overlap, by, band = merge_rule(overlap, by, band)
    tiles, output = check_tiles(tiles), check_path("output", output)
    check_profile(given)
    check_value("background", background)
    check_value("skip_value", skip_value)
    first = Sources.of(Path(tiles[0]))
    dtype = None if "dtype" in given else str(first.profile["dtype"])
    placed, extent = _place_tiles([Path(tile) for tile in tiles], skip_value, first, dtype)
    placed = _without_overlap(tiles, placed) if overlap == "core" else placed
    profile, labels = derive_profile(None, {**first.profile, **extent}, first.labels, given)
    nodata = profile.get("nodata")
    filling = background if background is not None else 0 if nodata is None else nodata
    _check_arguments(overlap, filling, band, first, np.dtype(profile["dtype"]))
    _check_extent(profile, {**extent, "count": first.profile["count"]})
    if dtype is not None:
        _check_skip(skip_value, np.dtype(dtype))
    grid = BlockGrid(profile["height"], profile["width"], _BLOCK, _BLOCK)
    runner = BlockRunner.of(len(grid), **run)
    warn_of_dropped([tile.extras for tile in placed], "masked", output)
    with new_raster(output, profile, labels, runner.workers, grid) as sink:
        task = _MosaicTask(
            tuple(placed), overlap, filling, band, by, profile,
            output=sink.file, shares_memory=runner.shares_memory, writer=runner.writer_of(sink),
        )  # fmt: skip
        durations = runner.run(task, grid, sink, [tile.path for tile in placed], observer)
    return BlocksReport(len(durations), time.perf_counter() - start, durations, runner.workers, runner.name)


def _without_overlap(tiles: Sequence[str | Path], placed: Sequence[_Tile]) -> list[_Tile]:
    """Return the tiles with areas that exclude the overlap."""
    found, problems = [], []
    for tile, place in zip(tiles, placed, strict=True):
        if not isinstance(tile, Tile):
            raise ValueError(f"{tile}: overlap='core' needs the tiles of split_tiles, but this is only a path")
        (top, _, left, _), core = tile.overlap, tile.window
        if (place.window.height, place.window.width) != (tile.padded.height, tile.padded.width):
            shape, expected = (place.window.height, place.window.width), (tile.padded.height, tile.padded.width)
            problems.append(f"{tile}: it has {shape} rows and columns, but its tile has {expected}")
        area = Window(place.window.row_off + top, place.window.col_off + left, core.height, core.width)
        found.append(replace(place, area=area))
    if problems:
        raise RasterError(*problems)
    return found


def _check_arguments(overlap: str, background: float, band: int | None, first: Sources, dtype: np.dtype[Any]) -> None:
    count = first.profile["count"]
    if band is not None and not 1 <= band <= count:
        raise ValueError(f"band must be one of 1 to {count}, not {band}")
    if "c" in (dtype.kind, np.dtype(first.profile["dtype"]).kind) and overlap not in ("first", "last", "core"):
        raise ValueError(f"complex numbers have no {overlap}; use overlap='first' or 'last'")
    with np.errstate(all="ignore"):
        held = np.array(background).astype(dtype)
    if not (np.isfinite(held) or not np.isfinite(background) if dtype.kind in "fc" else held == background):
        raise ValueError(f"the output's {dtype} cannot hold the background {background}; choose another background")


def _check_extent(profile: Mapping[str, Any], tiles: Mapping[str, Any]) -> None:
    """Refuse a profile whose height, width or number of bands is not that of the tiles."""
    for name in ("height", "width", "count"):
        if profile[name] != tiles[name]:
            raise ValueError(f"{name} in profile is {profile[name]}, but the tiles make {tiles[name]}; leave it out")


def _check_skip(skip: float | None, dtype: np.dtype[Any]) -> None:
    """Refuse a skip value that no cell can have."""
    if skip is not None and dtype.kind in "iu" and not fits_dtype(dtype, skip):
        raise ValueError(f"skip_value is {skip!r}, which no cell of the type {dtype} can have; choose another value")


def _place_tiles(
    paths: Sequence[Path], skip: float | None, first: Sources, dtype: str | None
) -> tuple[list[_Tile], dict[str, Any]]:
    """Return the tiles with their windows, and the height, width and transform of the mosaic.

    All tiles must have the data type `dtype`, unless `dtype` is None.
    """
    import rasterio  # noqa: PLC0415

    found, problems = [], []
    with gdal_options():
        for path in paths:
            with open_raster(path) as dataset:
                check_axes(path, dataset)
                row, column = _corner(dataset, first)
                misfits = _grid_differences(dataset, first, row, column) + _value_differences(dataset, first, dtype)
                problems += [f"{path}: {problem}" for problem in misfits]
                window = Window(round(row), round(column), dataset.height, dataset.width)
                has_mask = rasterio.enums.MaskFlags.per_dataset in dataset.mask_flag_enums[0]
                skips = dataset.nodatavals if skip is None else (skip,) * dataset.count
                found.append(_Tile(path, window, tuple(skips), has_mask, Extras.of(path, dataset), window))
    if problems:
        raise RasterError(*problems)
    whole = reduce(Window.union, (tile.window for tile in found))
    places = [tile.window.shifted(-whole.row_off, -whole.col_off) for tile in found]
    tiles = [replace(tile, window=place, area=place) for tile, place in zip(found, places, strict=True)]
    transform = shift_transform(first.profile["transform"], whole.row_off, whole.col_off)
    return tiles, {"height": whole.height, "width": whole.width, "transform": transform}


def _corner(dataset: Any, first: Sources) -> tuple[float, float]:
    """Return the fractional row and column of a tile's origin in the grid of the first tile."""
    a, b, c, d, e, f = (~first.profile["transform"])[:6]
    x, y = dataset.transform.c, dataset.transform.f
    return d * x + e * y + f, a * x + b * y + c


def _grid_differences(dataset: Any, first: Sources, row: float, column: float) -> list[str]:
    """Return the reasons why a tile is not on the grid of the first tile."""
    found, name, profile = [], first.paths[0], first.profile
    if dataset.crs != profile["crs"]:
        found.append(f"its CRS is not that of {name}; reproject it first")
    if dataset.count != profile["count"]:
        found.append(f"it has {dataset.count} bands, but {name} has {profile['count']}")
    sides = [affine[i] for affine in (dataset.transform, profile["transform"]) for i in (0, 1, 3, 4)]
    off = max(abs(row - round(row)), abs(column - round(column)))
    if not np.allclose(sides[:4], sides[4:], rtol=1e-7, atol=1e-7 * max(map(abs, sides[4:]))):
        found.append(f"its cell size is not that of {name}; reproject it first")
    elif off > _ON_GRID:
        found.append(f"its grid is shifted by {off:.3g} of a cell from the grid of {name}; reproject it first")
    return found


def _value_differences(dataset: Any, first: Sources, dtype: str | None) -> list[str]:
    """Return the reasons why the stored values of a tile cannot be merged with the values of the first tile."""
    found, name = [], first.paths[0]
    other = [own for own in map(str, map(cell_dtype, dataset.dtypes)) if dtype is not None and own != dtype]
    if other:
        found.append(f'its data type is {other[0]}, but {name} has {dtype}; set profile={{"dtype": ...}} to fit both')
    stored = tuple(zip(dataset.scales, dataset.offsets, strict=True))
    if dataset.count == first.profile["count"] and stored != tuple(
        zip(first.labels.scales, first.labels.offsets, strict=True)
    ):
        found.append(f"its scale or offset is not that of {name}; convert its values first")
    return found


@dataclass
class _MosaicTask(BlockWorker):
    """Merge the tiles in one block of a mosaic."""

    tiles: tuple[_Tile, ...]
    overlap: str
    background: float
    band: int | None
    by: str
    profile: dict[str, Any]

    def __call__(self, job: Block) -> BlockResult:
        """Return the values of one block."""
        dtype = np.dtype(self.profile["dtype"])
        decides = self.band - 1 if self.by == "pixel" and self.band is not None else None
        merge = Merge(self.overlap, (self.profile["count"], job.core.height, job.core.width), dtype, decides)
        with block_options():
            for tile in self.tiles:
                common = tile.area.intersection(job.core)
                if common is not None:
                    self._add(merge, tile, common, job.core)
        values = cast(merge.result(self.background), dtype)
        return self.result_of(job, values, checksum_of(values))

    def _add(self, merge: Merge, tile: _Tile, common: Window, core: Window) -> None:
        own = common.shifted(-tile.window.row_off, -tile.window.col_off)
        with gdal_errors(tile.path), open_raster(tile.path) as dataset:
            values = read_block(dataset, own, None)
            mask = read_mask(dataset, own) if tile.has_mask else None
        if self.overlap == "core":
            everywhere = np.ones(values.shape, np.bool_)
            merge.add((slice(None), *common.slices_in(core)), self._typed(values, everywhere), everywhere, None)
            return
        valid = np.stack([is_valid(own_values, skip) for own_values, skip in zip(values, tile.skips, strict=True)])
        if mask is not None:
            valid &= mask
        if self.band is not None:
            valid = np.broadcast_to(valid[self.band - 1], valid.shape)
        weights = edge_distance(own, tile.window.height, tile.window.width) if self.overlap == "feather" else None
        merge.add((slice(None), *common.slices_in(core)), self._typed(values, valid), valid, weights)

    def _typed(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
        """Return values in the data type of the output. Only the values of cells with data are checked."""
        dtype = np.dtype(self.profile["dtype"])
        return values if values.dtype == dtype else cast(np.where(valid, values, values.dtype.type(0)), dtype)


def edge_distance(window: Window, height: int, width: int) -> NDArray[np.float64]:
    """Return the distance in cells from each cell of a window to the nearest edge of the tile. At an edge, it is 1."""
    rows = np.arange(window.row_off, window.row_off + window.height)
    columns = np.arange(window.col_off, window.col_off + window.width)
    down, across = np.minimum(rows + 1, height - rows), np.minimum(columns + 1, width - columns)
    return np.minimum(down[:, None], across[None, :]).astype(np.float64)


def _check_exact(values: NDArray[Any]) -> None:
    """Refuse integers that are not exact as floats, because a mean would change them."""
    if values.size and values.dtype.char in "lLqQ" and max(-int(values.min()), int(values.max())) > _EXACT:
        raise BlockError("a mean would round integers beyond 2**53; choose an overlap other than mean and feather")


class Merge:
    """Values of one block, merged from several tiles."""

    def __init__(
        self, overlap: str, shape: tuple[int, int, int], dtype: np.dtype[Any], decides: int | None = None
    ) -> None:
        """Create an empty block. The band `decides`, counted from 0, decides for all bands with `min` and `max`."""
        self._overlap, self._dtype = overlap, dtype
        self._decides = slice(None) if decides is None else slice(decides, decides + 1)
        self._mean = overlap in ("mean", "feather")
        self._values = np.zeros(shape, np.float64 if self._mean else dtype)
        self._weight = np.zeros(shape, np.float64)

    def add(
        self, place: tuple[slice, ...], values: NDArray[Any], valid: NDArray[np.bool_], weights: NDArray[Any] | None
    ) -> None:
        """Add values of one tile.

        Parameters
        ----------
        place : tuple of slice
            Bands, rows and columns of the values in the block.
        values : ndarray, shape (bands, rows, columns)
            Values in the data type of the block.
        valid : ndarray of bool
            True for valid values.
        weights : ndarray, optional
            Weights for `feather`.
        """
        merged, weight = self._values[place], self._weight[place]
        if self._mean:
            _check_exact(values[valid])
            share = valid * (1.0 if weights is None else weights)
            merged += np.where(valid, values, 0) * share
            weight += share
            return
        new = weight == 0
        ours, theirs = values[self._decides], merged[self._decides]
        taken: Any = True if self._overlap in ("last", "core") else new
        if self._overlap in ("min", "max"):
            taken = new | (ours < theirs if self._overlap == "min" else ours > theirs)
        np.copyto(merged, values, where=valid & taken, casting="unsafe")
        np.copyto(weight, 1.0, where=valid)

    def result(self, background: float) -> NDArray[Any]:
        """Return the merged values. Cells in which no tile has data get the background."""
        values = self._values
        if self._mean:
            values = np.divide(values, self._weight, out=values, where=self._weight > 0)
            values = (np.rint(values) if self._dtype.kind in "iu" else values).astype(self._dtype)
        return np.where(self._weight > 0, values, np.array(background).astype(self._dtype))
