"""Select the cells in which several bands have data, and stack arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.grid import Block
from regionplot.blocks.masks import is_nan
from regionplot.blocks.process import fill_array
from regionplot.blocks.sources import Sources
from regionplot.inputs.gdal import gdal_errors

BandOfFile = str | Path | tuple[str | Path, int]
"""A band of a raster: the path of the file and the number of the band, or only the path, for band 1."""


def prepare_selector(*bands: BandOfFile, extra_mask: BandOfFile | None = None, **options: Any) -> NDArray[np.bool_]:
    """Return True for cells in which all bands have data. The files are read block by block, in parallel.

    This is `riogrande.parallel.prepare_selector`. In addition, NaN is never data.

    Parameters
    ----------
    *bands : path or (path, int)
        Bands of rasters with the same shape, transform and CRS. A cell has data if the mask, the alpha band or the
        nodata value of the file does not exclude it, and it is not NaN.
    extra_mask : path or (path, int), optional
        A band that is used as a mask: cells with the value 0, NaN or nodata are excluded.
    **options
        `executor`, `workers`, `grid`, `worker_settings` and `observer`: see `process_blocks`.

    Returns
    -------
    ndarray of bool, shape (rows, columns)

    Raises
    ------
    RasterError
        If a file cannot be read, or the rasters are not on one grid.
    BlockError
        If a file has no band of this number.
    TypeError
        If a band is neither a path nor a pair of a path and a number.
    ValueError
        If there are no bands.
    """
    if not bands:
        raise ValueError("there are no bands; pass at least one")
    chosen = [_path_and_band(band) for band in bands]
    extra = [] if extra_mask is None else [_path_and_band(extra_mask)]
    paths = list(dict.fromkeys(path for path, _ in [*chosen, *extra]))
    Sources.on_one_grid(paths)
    places = [(paths.index(path), band) for path, band in [*chosen, *extra]]
    function = _SelectorFunction(tuple(places[: len(chosen)]), tuple(places[len(chosen) :]))
    return fill_array(function, paths, dtype=np.uint8, read="datasets", **options).view(np.bool_)


def _path_and_band(band: BandOfFile) -> tuple[Path, int]:
    if isinstance(band, str | Path):
        return Path(band), 1
    if isinstance(band, tuple) and len(band) == 2 and isinstance(band[0], str | Path) and isinstance(band[1], int):
        return Path(band[0]), band[1]
    raise TypeError(f"a band must be a path or a pair (path, number of the band), not {band!r}")


@dataclass(frozen=True)
class _SelectorFunction:
    """Select cells of one block. This is a class because a closure cannot be sent to other processes."""

    bands: tuple[tuple[int, int], ...]
    """Index of the dataset and number of the band."""
    extra: tuple[tuple[int, int], ...]
    """Bands that are masks themselves."""

    def __call__(self, datasets: list[Any], block: Block, _arguments: object) -> NDArray[np.uint8]:
        selected = np.ones((block.core.height, block.core.width), np.bool_)
        for index, band in (*self.bands, *self.extra):
            selected &= _has_data(datasets[index], band, block)
        for index, band in self.extra:
            with gdal_errors(Path(datasets[index].name)):
                selected &= datasets[index].read(band, window=block.core.ranges) != 0
        return selected.view(np.uint8)


def _has_data(dataset: Any, band: int, block: Block) -> NDArray[np.bool_]:
    """Return True for cells of a band that are neither masked, nor nodata, nor NaN."""
    if not 1 <= band <= dataset.count:
        raise ValueError(f"{dataset.name}: there is no band {band}; the bands are 1 to {dataset.count}")
    window = block.core.ranges
    with gdal_errors(Path(dataset.name)):
        valid: NDArray[np.bool_] = dataset.read_masks(band, window=window) != 0
        return valid & ~is_nan(dataset.read(band, window=window))


def valid_selector(*bands_or_masks: Any, extra_mask: Any = None) -> NDArray[np.bool_]:
    """Return True for cells in which all given bands and masks have data. For files, use `prepare_selector`.

    Parameters
    ----------
    *bands_or_masks : array
        Arrays of the same shape. A cell of a masked array has data if it is not masked and not NaN. In other arrays, a
        cell has data if its boolean is true, its float is not NaN, or its integer is not 0. An array does not know the
        nodata value of its file, so read bands with `masked=True`.
    extra_mask : array, optional
        Another mask of any data type. Cells are excluded if they are 0, NaN or masked.

    Returns
    -------
    ndarray of bool

    Raises
    ------
    ValueError
        If there are no arrays, or their shapes differ.

    Examples
    --------
    >>> valid_selector(np.array([1.0, np.nan, 3.0]), np.array([255, 255, 0], np.uint8))
    array([ True, False, False])
    """
    selectors = [_valid(array) for array in bands_or_masks]
    if extra_mask is not None:
        selectors.append(_valid(extra_mask) & (np.ma.getdata(extra_mask) != 0))
    _check_shapes(selectors)
    selected: NDArray[np.bool_] = np.logical_and.reduce(selectors)
    return selected


def _valid(array: Any) -> NDArray[np.bool_]:
    values = np.ma.getdata(array)
    if isinstance(array, np.ma.MaskedArray):
        return ~np.ma.getmaskarray(array) & ~is_nan(values)
    return ~is_nan(values) if values.dtype.kind in "fc" else np.not_equal(values, 0)


def stack_arrays(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return one array of shape (bands, rows, columns) with the bands of several arrays.

    Parameters
    ----------
    arrays : sequence of ndarray
        Arrays of shape (bands, rows, columns) or (rows, columns).

    Raises
    ------
    ValueError
        If there are no arrays, or their rows and columns differ.
    """
    bands = [array if array.ndim == 3 else array[None] for array in map(np.asarray, arrays)]
    _check_shapes([array[0] for array in bands])
    return np.concatenate(bands)


def _check_shapes(arrays: Sequence[NDArray[Any]]) -> None:
    if not arrays:
        raise ValueError("there are no arrays; pass at least one")
    for number, array in enumerate(arrays, 1):
        if array.shape != arrays[0].shape:
            raise ValueError(f"array {number} has the shape {array.shape}, but array 1 has {arrays[0].shape}")
