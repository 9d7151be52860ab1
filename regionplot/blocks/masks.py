"""Compute masks of whole datasets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.arguments import check_bands
from regionplot.blocks.grid import Block
from regionplot.blocks.input import Input
from regionplot.blocks.mask_files import can_keep_mask, external_mask, mask_tags, new_mask
from regionplot.blocks.process import fill_array, process_blocks
from regionplot.blocks.report import BlocksReport
from regionplot.blocks.selectors import MASK_OPTIONS, MASK_PROFILE, is_nan, is_valid, mask_changes
from regionplot.blocks.sources import Sources
from regionplot.blocks.tile_arguments import check_names, check_path, check_value
from regionplot.errors import BlockError
from regionplot.inputs.gdal import gdal_errors

VALID = 255
"""Value of valid cells in a mask. Masked cells are 0."""
Logic = str | Callable[[NDArray[np.bool_]], NDArray[np.bool_]]


@overload
def compute_mask(
    source: str | Path | Input, nodata: float | None = ..., logic: Logic = ..., bands: Sequence[int] | None = ...,
    output: None = ..., **options: Any,
) -> NDArray[np.uint8]: ...  # fmt: skip
@overload
def compute_mask(
    source: str | Path | Input, nodata: float | None = ..., logic: Logic = ..., bands: Sequence[int] | None = ...,
    output: str | Path = ..., **options: Any,
) -> BlocksReport: ...  # fmt: skip
def compute_mask(
    source: str | Path | Input,
    nodata: float | None = None,
    logic: Logic = "any",
    bands: Sequence[int] | None = None,
    output: str | Path | None = None,
    **options: Any,
) -> NDArray[np.uint8] | BlocksReport:
    """Compute the mask of a whole dataset, in parallel. Masked cells are 0, valid cells 255.

    Parameters
    ----------
    source : path or Input
        The raster. An `Input` has its own bands and open options.
    nodata : float, optional
        Value of missing cells. By default, the nodata value, the mask or the alpha band of the file marks missing
        cells. NaN is always missing.
    logic : {"any", "all"} or callable
        With "any", a cell is masked if at least one band is missing. With "all", a cell is masked if all bands are
        missing. A callable gets a boolean array of shape
        (bands, rows, columns) that is true for missing values. It returns a boolean array of shape (rows, columns) that
        is true for masked cells.
    bands : sequence of int, optional
        Numbers of the bands to read, counted from 1. By default, those of an `Input`, or all bands.
    output : path, optional
        Raster to write the mask to. By default, the mask is returned. If `output` is the source, the mask becomes the
        mask of this file. A GeoTIFF gets an internal mask: the mask is written into a copy, all cells of the copy are
        compared with the source, and the copy replaces the source. Every other file is left as it is, and the mask is
        written beside it, to `NAME.msk`. GDAL reads this file as the mask.
    **options
        `executor`, `workers`, `grid`, `views`, `worker_settings`, `observer` and, for a new file, `profile`: see
        `process_blocks`.

    Returns
    -------
    ndarray of uint8, shape (rows, columns), or BlocksReport if there is an output

    Raises
    ------
    RasterError
        If the source cannot be read, the output cannot be written completely, or `output` is the source, and GDAL
        ignores masks beside files of this format. The source is then unchanged.
    TypeError, ValueError
        If an argument has a wrong type or value, or `output` is the source, and the source has open options.
    """
    check_names("compute_mask", options, MASK_OPTIONS)
    given = _source(source, check_bands(bands))
    check_value("nodata", nodata)
    function = _MaskFunction(nodata, logic, given.bands)
    options = {"read": "datasets", **options}
    if output is None:
        return fill_array(function, given, dtype=np.uint8, **options)
    tags: dict[str, str] = {}
    output = check_path("output", output)
    path = Path(given.path)
    if output.resolve() == path.resolve():
        if given.open_options:
            raise ValueError(f"{path}: open_options change how the file is read; write the mask to another file")
        if can_keep_mask(path):
            with new_mask(path.resolve()) as sink:
                return process_blocks(function, given, sink, **options)
        output, tags = external_mask(output), mask_tags(Sources.of(path).profile["count"])
    profile = {**MASK_PROFILE, "tags": tags, **mask_changes(options.pop("profile", None))}
    return process_blocks(function, given, output, profile=profile, **options)


def _source(source: Any, bands: tuple[int, ...] | None) -> Input:
    """Return the raster as an Input with the bands to read."""
    if not isinstance(source, Input):
        return Input(check_path("source", source), bands)
    if source.bands is not None and bands is not None:
        raise ValueError(f"bands is {bands}, but the Input has its own bands {source.bands}; leave one of both out")
    return source if bands is None else replace(source, bands=bands)


@dataclass(frozen=True)
class _MaskFunction:
    """Compute the mask of one block. This is a class because a closure cannot be sent to other processes."""

    nodata: float | None
    logic: Logic
    bands: Sequence[int] | None

    def __post_init__(self) -> None:
        if not callable(self.logic) and self.logic not in ("any", "all"):
            raise ValueError(f"logic must be 'any', 'all' or a function, not {self.logic!r}")

    def __call__(self, datasets: list[Any], block: Block, _arguments: object) -> NDArray[np.uint8]:
        with gdal_errors(Path(datasets[0].name)):
            missing = self._missing(datasets[0], block)
        rules: dict[Any, Callable[..., Any]] = {"any": np.any, "all": np.all}
        masked = self.logic(missing) if callable(self.logic) else rules[self.logic](missing, axis=0)
        if np.shape(masked) != missing.shape[1:]:
            raise BlockError(f"logic returned the shape {np.shape(masked)}; return an array of shape (rows, columns)")
        return np.where(masked, np.uint8(0), np.uint8(VALID))

    def _missing(self, dataset: Any, block: Block) -> NDArray[np.bool_]:
        window, bands = block.core.ranges, list(self.bands) if self.bands else list(dataset.indexes)
        values = dataset.read(bands, window=window)
        if self.nodata is not None:
            return ~is_valid(values, self.nodata)
        missing: NDArray[np.bool_] = is_nan(values) | (dataset.read_masks(bands, window=window) == 0)
        for number, band in enumerate(bands):
            if _is_alpha(dataset, band):  # GDAL has no mask for the alpha band itself
                missing[number] |= values[number] == 0
        return missing


def _is_alpha(dataset: Any, band: int) -> bool:
    """Return True if a band is the alpha band that GDAL uses as the mask of the other bands."""
    import rasterio  # noqa: PLC0415

    uses_alpha = any(rasterio.enums.MaskFlags.alpha in flags for flags in dataset.mask_flag_enums)
    return uses_alpha and dataset.colorinterp[band - 1] == rasterio.enums.ColorInterp.alpha
