"""Select the cells in which several bands and masks have data, and stack arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.arguments import check_profile, is_integer
from regionplot.blocks.grid import Block
from regionplot.blocks.process import fill_array, process_blocks
from regionplot.blocks.report import BlocksReport
from regionplot.blocks.sources import Sources
from regionplot.blocks.tile_arguments import check_names, check_path, check_value
from regionplot.geo.dtypes import cell_dtype, fits_dtype
from regionplot.inputs.gdal import gdal_errors

Bands = str | Path | tuple[str | Path, int]
"""A raster with all its bands, or a raster and the number of one band, counted from 1."""
MASK_PROFILE: dict[str, Any] = {
    "dtype": "uint8",
    "count": 1,
    "nodata": None,
    "descriptions": (None,),
    "units": (None,),
    "scales": (1.0,),
    "offsets": (0.0,),
    "band_tags": (),
}
"""Properties of a mask or a selector in a file. They replace the properties of the first raster."""
MASK_OPTIONS = ("executor", "workers", "worker_settings", "observer", "grid", "views", "profile")
"""Options of `process_blocks` that functions for masks take."""


@overload
def prepare_selector(
    *bands: Bands, extra_mask: Bands | None = ..., nodata: float | None = ..., output: None = ..., **options: Any
) -> NDArray[np.bool_]: ...
@overload
def prepare_selector(
    *bands: Bands, extra_mask: Bands | None = ..., nodata: float | None = ..., output: str | Path = ..., **options: Any
) -> BlocksReport: ...
def prepare_selector(
    *bands: Bands,
    extra_mask: Bands | None = None,
    nodata: float | None = None,
    output: str | Path | None = None,
    **options: Any,
) -> NDArray[np.bool_] | BlocksReport:
    """Select the cells in which all bands have data. The rasters are read in blocks, in parallel.

    Parameters
    ----------
    *bands : path or (path, int)
        Rasters on one grid. A path stands for all bands of the raster. A tuple of a path and a number, counted from 1,
        stands for one band. A cell has data if the mask, the alpha band or the nodata value of its file does not mark
        it as missing, and its value is not NaN.
    extra_mask : path or (path, int), optional
        A further mask. 0, NaN and the nodata value are masked. Its own mask is ignored. A path stands for the first
        band.
    nodata : float, optional
        Value of missing cells of all `bands`. By default, the file tells which cells are missing.
    output : path, optional
        Raster to write the selector to: 255 for selected cells, 0 elsewhere. By default, the selector is returned.
    **options
        `executor`, `workers`, `grid`, `views`, `worker_settings`, `observer` and, for a new file, `profile`: see
        `process_blocks`.

    Returns
    -------
    ndarray of bool, shape (rows, columns), or BlocksReport if there is an output

    Raises
    ------
    RasterError
        If a raster cannot be read, a raster lacks the band, the rasters are not on one grid, or the output cannot be
        written completely.
    TypeError, ValueError
        If there are no bands, an argument has a wrong type, or the output is also an input.
    """
    if not bands:
        raise ValueError("there are no bands; pass at least one raster")
    check_names("prepare_selector", options, MASK_OPTIONS)
    check_value("nodata", nodata)
    chosen = [_raster_and_band("each of bands", item) for item in bands]
    extra = None if extra_mask is None else _raster_and_band("extra_mask", extra_mask)
    paths = list(dict.fromkeys(path for path, _ in [*chosen, *([extra] if extra else [])]))
    Sources.on_one_grid(paths)
    for path, band in [*chosen, *([extra] if extra else [])]:
        Sources.of(path, None if band is None else [band])
    function = _SelectorFunction(
        tuple((paths.index(path), band) for path, band in chosen),
        None if extra is None else (paths.index(extra[0]), extra[1] or 1),
        nodata,
    )
    options = {"read": "datasets", **options}
    if output is None:
        return fill_array(function, paths, dtype=np.uint8, **options).view(np.bool_)
    output = check_path("output", output)
    if output.resolve() in [path.resolve() for path in paths]:
        raise ValueError(f"output is {output}, which is also an input that the selector would replace; name another")
    profile = {**MASK_PROFILE, **mask_changes(options.pop("profile", None))}
    return process_blocks(_MaskOf(function), paths, output, profile=profile, **options)


def _raster_and_band(name: str, item: Bands) -> tuple[Path, int | None]:
    """Return the path and the band of an argument. The band is None for all bands."""
    if isinstance(item, str | Path):
        return Path(item), None
    if isinstance(item, tuple | list) and len(item) == 2 and isinstance(item[0], str | Path) and is_integer(item[1]):
        return Path(item[0]), int(item[1])
    raise TypeError(f"{name} must be a path or a pair (path, number of the band), not {item!r}")


def mask_changes(profile: Any) -> Mapping[str, Any]:
    """Return changes of the profile of a mask. Raise TypeError or ValueError if they do not suit a mask."""
    check_profile(profile)
    for name in ("dtype", "count"):
        if name in (profile or {}) and profile[name] != MASK_PROFILE[name]:
            raise ValueError(f"{name} in profile is {profile[name]!r}, but a mask needs {MASK_PROFILE[name]!r}")
    return profile or {}


@dataclass(frozen=True)
class _SelectorFunction:
    """Return 1 for the cells of a block in which all bands have data, otherwise 0."""

    bands: tuple[tuple[int, int | None], ...]
    """Number of the dataset, and number of the band or None for all bands."""
    extra: tuple[int, int] | None
    """Dataset and band of the extra mask."""
    nodata: float | None

    def __call__(self, datasets: Sequence[Any], block: Block, _arguments: object) -> NDArray[np.uint8]:
        selected = np.ones((block.core.height, block.core.width), np.bool_)
        for number, band in self.bands:
            dataset = datasets[number]
            with gdal_errors(Path(dataset.name)):
                for index in dataset.indexes if band is None else (band,):
                    selected &= self._has_data(dataset, index, block)
        if self.extra is not None:
            dataset, index = datasets[self.extra[0]], self.extra[1]
            with gdal_errors(Path(dataset.name)):
                values = dataset.read(index, window=block.core.ranges)
            selected &= (values != 0) & is_valid(values, dataset.nodatavals[index - 1])
        return selected.astype(np.uint8)

    def _has_data(self, dataset: Any, band: int, block: Block) -> NDArray[np.bool_]:
        window = block.core.ranges
        is_float = cell_dtype(dataset.dtypes[band - 1]).kind in "fc"
        if self.nodata is not None:
            return is_valid(dataset.read(band, window=window), self.nodata)
        has_data: NDArray[np.bool_] = dataset.read_masks(band, window=window) != 0
        if is_float or dataset.nodatavals[band - 1] is not None:  # a mask hides the nodata value from `read_masks`
            has_data &= is_valid(dataset.read(band, window=window), dataset.nodatavals[band - 1])
        return has_data


@dataclass(frozen=True)
class _MaskOf:
    """Return the selector of a block as a mask: 255 for selected cells, 0 elsewhere."""

    function: _SelectorFunction

    def __call__(self, datasets: Sequence[Any], block: Block, arguments: object) -> NDArray[np.uint8]:
        return self.function(datasets, block, arguments) * np.uint8(255)


def valid_selector(*bands_or_masks: Any, extra_mask: Any = None, nodata: float | None = None) -> NDArray[np.bool_]:
    """Return True for cells in which all given bands and masks have data.

    Parameters
    ----------
    *bands_or_masks : array
        Arrays of the same shape. A cell of a masked array has data if it is not masked and not NaN. In other arrays, a
        cell has data if its boolean is true, its float is not NaN, or its integer is not 0.
    extra_mask : array, optional
        Another mask of any data type. 0, NaN and cells that are masked themselves are masked.
    nodata : float, optional
        Value of missing cells, in `bands_or_masks` and in `extra_mask`.

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
    >>> valid_selector(np.array([1.0, -9999.0]), nodata=-9999)
    array([ True, False])
    """
    check_value("nodata", nodata)
    selectors = [_has_data(array, nodata) for array in bands_or_masks]
    if extra_mask is not None:
        selectors.append(_has_data(extra_mask, nodata) & (np.ma.getdata(extra_mask) != 0))
    _check_shapes(selectors)
    selected: NDArray[np.bool_] = np.logical_and.reduce(selectors)
    return selected


def _has_data(array: Any, nodata: float | None) -> NDArray[np.bool_]:
    values = np.ma.getdata(array)
    if values.dtype.kind not in "biufc":
        raise TypeError(f"bands and masks must be arrays of numbers or booleans, not of {values.dtype}")
    if isinstance(array, np.ma.MaskedArray):
        valid: NDArray[np.bool_] = ~np.ma.getmaskarray(array) & is_valid(values, nodata)
        return valid
    if values.dtype.kind in "fc":
        return is_valid(values, nodata)
    return is_valid(values, nodata) & np.not_equal(values, 0)


def is_valid(values: NDArray[Any], nodata: complex | None) -> NDArray[np.bool_]:
    """Return True for values that are neither NaN nor the nodata value.

    Floats are compared in their own precision, as GDAL does. An integer is never equal to a value that its data type
    cannot hold.
    """
    valid = ~is_nan(values)
    if isinstance(nodata, complex | np.complexfloating) and values.dtype.kind != "c":
        nodata = float(nodata.real) if nodata.imag == 0 else None
    if nodata is None or nodata != nodata or values.dtype.kind == "b":  # NaN differs from itself
        return valid
    if values.dtype.kind in "fc":
        with np.errstate(over="ignore"):
            valid &= values != np.asarray(nodata).astype(values.dtype)
    elif not isinstance(nodata, complex) and fits_dtype(values.dtype, nodata):
        valid &= values != values.dtype.type(nodata)
    return valid


def is_nan(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return True for values that are NaN. Integers never are."""
    missing: NDArray[np.bool_] = np.zeros(values.shape, np.bool_)
    if values.dtype.kind in "fc":
        np.isnan(values, out=missing)
    return missing


def _check_shapes(arrays: Sequence[NDArray[Any]]) -> None:
    """Raise ValueError if there are no arrays, or their shapes differ."""
    if not arrays:
        raise ValueError("there are no arrays; pass at least one")
    for number, array in enumerate(arrays, 1):
        if array.shape != arrays[0].shape:
            raise ValueError(f"array {number} has the shape {array.shape}, but array 1 has {arrays[0].shape}")


def stack_arrays(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Return one array of shape (bands, rows, columns) with the bands of several arrays.

    Parameters
    ----------
    arrays : sequence of ndarray
        Arrays of shape (bands, rows, columns) or (rows, columns). If one of them is a masked array, so is the result.

    Raises
    ------
    TypeError, ValueError
        If there are no arrays, they have another number of axes, or their rows and columns differ.
    """
    if not isinstance(arrays, Iterable):
        raise TypeError(f"arrays must be a sequence of arrays, not {arrays!r}")
    listed = [np.ma.asanyarray(array) if np.ma.isMaskedArray(array) else np.asarray(array) for array in arrays]
    for number, array in enumerate(listed, 1):
        if array.ndim not in (2, 3):
            raise ValueError(f"array {number} has the shape {array.shape}; its axes must be (bands,) rows, columns")
    bands = [array if array.ndim == 3 else array[None] for array in listed]
    _check_shapes([array[0] for array in bands])
    join: Callable[..., Any] = np.ma.concatenate if any(map(np.ma.isMaskedArray, bands)) else np.concatenate
    stacked: NDArray[Any] = join(bands)
    return stacked
