"""Merge tiles into one raster, block by block."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.grid import Block, BlockGrid
from regionplot.blocks.new_raster import new_raster
from regionplot.blocks.profile import derive_profile
from regionplot.blocks.report import BlocksReport
from regionplot.blocks.runner import BlockRunner
from regionplot.blocks.sources import Sources, read_block, read_mask
from regionplot.blocks.task import BlockResult, BlockWorker, cast, checksum_of
from regionplot.errors import RasterError
from regionplot.geo.grid import Window, shifted
from regionplot.inputs.gdal import gdal_errors, gdal_options, open_raster

OVERLAPS = ("first", "last", "min", "max", "mean", "feather")


_ON_GRID = 1e-3
"""How far, in cells, a tile may lie off the others' grid."""


_BLOCK = 512


@dataclass(frozen=True, slots=True)
class _Tile:
    """Where a tile lies in the mosaic."""

    path: Path
    window: Window
    skip: float | None
    """The value of its cells that do not count."""
    masked: bool
    """Whether a mask within the file, or an alpha band, says which cells do not count."""

    def meets(self, window: Window) -> Window | None:
        """The cells of the mosaic that a window of it and this tile have in common."""
        own = self.window
        top, left = max(own.row, window.row), max(own.column, window.column)
        bottom = min(own.row + own.height, window.row + window.height)
        right = min(own.column + own.width, window.column + window.width)
        return Window(top, left, bottom - top, right - left) if top < bottom and left < right else None


def mosaic(
    tiles: Sequence[str | Path],
    output: str | Path,
    overlap: str = "last",
    background: float | None = None,
    skip_value: float | None = None,
    band: int | None = None,
    **options: Any,
) -> BlocksReport:
    """Put tiles together, block by block of the whole, so that memory does not grow with it.

    Parameters
    ----------
    tiles : sequence of path
        Rasters on one grid (CRS, cell size, alignment), anywhere on it, with the same number of bands, of one scale and
        offset, and of one data type unless the profile names that of the output.
    output : path
        A GeoTIFF, or a COG by `profile={"driver": "COG"}`.
    overlap : {"first", "last", "min", "max", "mean", "feather"}
        What counts where several tiles have data; `feather` is the mean weighted by the distance from a tile's edge.
    background : float, optional
        Value of cells where no tile has data; the tiles' nodata value, else 0. The output has no mask of its own.
    skip_value : float, optional
        Value of cells that do not count; the tiles' nodata value, if they have one. NaN never counts, nor does a cell
        that a tile's mask or alpha band leaves out.
    band : int, optional
        The band, from 1, that tells for all bands which cells do not count. None: each band tells for itself.
    **options
        `profile`, `executor`, `workers`, `timeout`, `retries`, `nice`, `observer`, as for `process_blocks`.

    Returns
    -------
    BlocksReport

    Raises
    ------
    RasterError
        If the tiles do not fit together, one cannot be read, or the output cannot be written whole.
    BlockError
        If a tile's values do not fit into the type that the profile names.
    ValueError
        If there is no such rule or band, complex numbers have no such rule, or the type cannot hold the background.
    """
    start = time.perf_counter()
    if overlap not in OVERLAPS:
        raise ValueError(f"overlap must be one of {', '.join(OVERLAPS)}, not {overlap!r}")
    first = Sources.of(tiles[:1])
    given = options.pop("profile", None) or {}
    placed, whole = _place_tiles([Path(tile) for tile in tiles], skip_value, first, any_type="dtype" in given)
    profile, labels = derive_profile(None, {**first.profile, **whole}, first.labels, given)
    observer = options.pop("observer", None)
    nodata = profile.get("nodata")
    filling = background if background is not None else 0 if nodata is None else nodata
    _check_arguments(overlap, filling, band, first, np.dtype(profile["dtype"]))
    grid = BlockGrid(profile["height"], profile["width"], _BLOCK, _BLOCK)
    crew = BlockRunner.of(len(grid), **options)
    with new_raster(Path(output), profile, labels, crew.workers) as sink:
        task = _MosaicTask(
            tuple(placed), overlap, filling, band, profile, output=sink.file, shared_memory=crew.shares_memory
        )
        durations = crew.run(task, grid, sink, [tile.path for tile in placed], observer)
    return BlocksReport(len(durations), time.perf_counter() - start, durations, crew.workers, crew.method)


def _check_arguments(overlap: str, background: float, band: int | None, first: Sources, dtype: np.dtype[Any]) -> None:
    count = first.profile["count"]
    if band is not None and not 1 <= band <= count:
        raise ValueError(f"band must be one of 1 to {count}, not {band}")
    if "c" in (dtype.kind, np.dtype(first.profile["dtype"]).kind) and overlap not in ("first", "last"):
        raise ValueError(f"complex numbers have no {overlap}; the overlap must be first or last")
    with np.errstate(all="ignore"):
        held = np.array(background).astype(dtype)
    if not (np.isfinite(held) or not np.isfinite(background) if dtype.kind in "fc" else held == background):
        raise ValueError(f"the background {background} is no value of the output's {dtype}; name one that is")


def _place_tiles(
    paths: Sequence[Path], skip: float | None, first: Sources, *, any_type: bool
) -> tuple[list[_Tile], dict[str, Any]]:
    """Where tiles lie in their mosaic, and what of its profile is not that of the first tile."""
    import rasterio  # noqa: PLC0415

    found, problems = [], []
    with gdal_options():
        for path in paths:
            with open_raster(path) as dataset:
                row, column = _corner(dataset, first)
                misfits = _misfits(dataset, first, row, column) + _other_values(dataset, first, any_type=any_type)
                problems += [f"{path}: {problem}" for problem in misfits]
                window = Window(round(row), round(column), dataset.height, dataset.width)
                masked = rasterio.enums.MaskFlags.per_dataset in dataset.mask_flag_enums[0]
                found.append(_Tile(path, window, dataset.nodata if skip is None else skip, masked))
    if problems:
        raise RasterError(*problems)
    top, left = min(tile.window.row for tile in found), min(tile.window.column for tile in found)
    tiles = [replace(tile, window=_moved(tile.window, -top, -left)) for tile in found]
    return tiles, {
        "height": max(tile.window.row + tile.window.height for tile in tiles),
        "width": max(tile.window.column + tile.window.width for tile in tiles),
        "transform": shifted(first.profile["transform"], top, left),
    }


def _moved(window: Window, rows: int, columns: int) -> Window:
    return Window(window.row + rows, window.column + columns, window.height, window.width)


def _corner(dataset: Any, first: Sources) -> tuple[float, float]:
    """Row and column of a tile's first corner from that of the first tile, in cells of the first."""
    a, b, c, d, e, f = (~first.profile["transform"])[:6]
    x, y = dataset.transform.c, dataset.transform.f
    return d * x + e * y + f, a * x + b * y + c


def _misfits(dataset: Any, first: Sources, row: float, column: float) -> list[str]:
    """What keeps a tile from being put beside the first."""
    found, name, profile = [], first.paths[0], first.profile
    if dataset.crs != profile["crs"]:
        found.append(f"another CRS than that of {name}; reproject it first")
    if dataset.count != profile["count"]:
        found.append(f"{dataset.count} bands, but {name} has {profile['count']}")
    sides = [affine[i] for affine in (dataset.transform, profile["transform"]) for i in (0, 1, 3, 4)]
    off = max(abs(row - round(row)), abs(column - round(column)))
    if not np.allclose(sides[:4], sides[4:], rtol=1e-7, atol=1e-7 * max(map(abs, sides[4:]))):
        found.append(f"its cells have another size than those of {name}; reproject it first")
    elif off > _ON_GRID:
        found.append(f"its cells are shifted by {off:.3g} of a cell from those of {name}; reproject it first")
    return found


def _other_values(dataset: Any, first: Sources, *, any_type: bool) -> list[str]:
    """What keeps a tile's stored values from meaning what the same ones of the first mean."""
    found, name, dtype = [], first.paths[0], first.profile["dtype"]
    other = [own for own in dataset.dtypes if own != dtype]
    if other and not any_type:
        found.append(f'{other[0]}, but {name} is {dtype}; give profile={{"dtype": ...}}, one that holds both')
    stored = tuple(zip(dataset.scales, dataset.offsets, strict=True))
    if dataset.count == first.profile["count"] and stored != tuple(
        zip(first.labels.scales, first.labels.offsets, strict=True)
    ):
        found.append(f"another scale or offset than that of {name}; convert its values first")
    return found


@dataclass
class _MosaicTask(BlockWorker):
    """Put one block of a mosaic together."""

    tiles: tuple[_Tile, ...]
    overlap: str
    background: float
    band: int | None
    profile: dict[str, Any]

    def __call__(self, job: Block) -> BlockResult:

        dtype = np.dtype(self.profile["dtype"])
        merge = Merge(self.overlap, (self.profile["count"], job.core.height, job.core.width), dtype)
        with gdal_options():
            for tile in self.tiles:
                common = tile.meets(job.core)
                if common is not None:
                    self._add(merge, tile, common, job.core)
        values = cast(merge.result(self.background), dtype)
        return self.handed_over(values, checksum_of(values))

    def _add(self, merge: Merge, tile: _Tile, common: Window, core: Window) -> None:
        own = Window(common.row - tile.window.row, common.column - tile.window.column, common.height, common.width)
        with gdal_errors(tile.path), open_raster(tile.path) as dataset:
            values = read_block(dataset, own, None)
            mask = read_mask(dataset, own) if tile.masked else None
        valid = valid_mask(values, tile.skip)
        if mask is not None:
            valid &= mask
        if self.band is not None:
            valid = np.broadcast_to(valid[self.band - 1], valid.shape)
        rows = slice(common.row - core.row, common.row - core.row + common.height)
        columns = slice(common.column - core.column, common.column - core.column + common.width)
        weights = edge_distance(own, tile.window.height, tile.window.width) if self.overlap == "feather" else None
        merge.add((slice(None), rows, columns), self._typed(values, valid), valid, weights)

    def _typed(self, values: NDArray[Any], valid: NDArray[np.bool_]) -> NDArray[Any]:
        """Values in the output's type; those that do not count need not fit into it."""
        dtype = np.dtype(self.profile["dtype"])
        return values if values.dtype == dtype else cast(np.where(valid, values, values.dtype.type(0)), dtype)


def valid_mask(values: NDArray[Any], skip: float | None) -> NDArray[np.bool_]:
    """Which values count: those that are neither NaN nor to be skipped."""
    valid: NDArray[np.bool_] = ~np.isnan(values) if values.dtype.kind in "fc" else np.ones(values.shape, bool)
    if skip is not None and not np.isnan(skip):
        valid &= values != values.dtype.type(skip) if values.dtype.kind == "f" else values != skip
    return valid


def edge_distance(window: Window, height: int, width: int) -> NDArray[np.float64]:
    """How far each cell of a window of a tile lies from the nearest edge of the tile, in cells; 1 along the edge."""
    rows = np.arange(window.row, window.row + window.height)
    columns = np.arange(window.column, window.column + window.width)
    down, across = np.minimum(rows + 1, height - rows), np.minimum(columns + 1, width - columns)
    return np.minimum(down[:, None], across[None, :]).astype(np.float64)


class Merge:
    """Values of one block from several tiles, added one after the other."""

    def __init__(self, overlap: str, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self._overlap, self._dtype = overlap, dtype
        self._mean = overlap in ("mean", "feather")
        self._values = np.zeros(shape, np.float64 if self._mean else dtype)
        self._weight = np.zeros(shape, np.float64)

    def add(
        self, place: tuple[slice, ...], values: NDArray[Any], valid: NDArray[np.bool_], weights: NDArray[Any] | None
    ) -> None:
        """Add a tile's values at some place; weights only count for `feather`."""
        there, weight = self._values[place], self._weight[place]
        if self._mean:
            share = valid * (1.0 if weights is None else weights)
            there += np.where(valid, values, 0) * share
            weight += share
            return
        new = weight == 0
        taken = {
            "first": new,
            "last": True,
            "min": new | (values < there),
            "max": new | (values > there),
        }[self._overlap]
        np.copyto(there, values, where=valid & taken, casting="unsafe")
        np.copyto(weight, 1.0, where=valid)

    def result(self, background: float) -> NDArray[Any]:
        """The values, with the background where there were none."""
        values = self._values
        if self._mean:
            values = np.divide(values, self._weight, out=values, where=self._weight > 0)
            values = (np.rint(values) if self._dtype.kind in "iu" else values).astype(self._dtype)
        return np.where(self._weight > 0, values, np.array(background).astype(self._dtype))
