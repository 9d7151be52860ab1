"""Compute masks of whole datasets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from regionplot.blocks.grid import Block
from regionplot.blocks.new_raster import open_for_update, os_errors_as_raster_errors
from regionplot.blocks.process import fill_array, process_blocks
from regionplot.blocks.report import BlocksReport
from regionplot.blocks.sinks import DatasetSink, write_error
from regionplot.blocks.task import checksum_of
from regionplot.errors import RasterError
from regionplot.geo.grid import Window
from regionplot.inputs.gdal import gdal_errors, gdal_options, open_raster
from regionplot.system.files import atomic_replace, new_run

VALID = 255
"""Value of valid cells in a mask. Masked cells are 0."""
_NO_LABELS: dict[str, Any] = {
    "descriptions": (None,),
    "units": (None,),
    "scales": (1.0,),
    "offsets": (0.0,),
    "band_tags": (),
}
"""Labels of a mask. They replace the labels of the source."""
Logic = str | Callable[[NDArray[np.bool_]], NDArray[np.bool_]]


@overload
def compute_mask(
    source: str | Path, nodata: float | None = ..., logic: Logic = ..., bands: Sequence[int] | None = ...,
    output: None = ..., **options: Any,
) -> NDArray[np.uint8]: ...  # fmt: skip
@overload
def compute_mask(
    source: str | Path, nodata: float | None = ..., logic: Logic = ..., bands: Sequence[int] | None = ...,
    output: str | Path = ..., **options: Any,
) -> BlocksReport: ...  # fmt: skip
def compute_mask(
    source: str | Path,
    nodata: float | None = None,
    logic: Logic = "any",
    bands: Sequence[int] | None = None,
    output: str | Path | None = None,
    **options: Any,
) -> NDArray[np.uint8] | BlocksReport:
    """Compute the mask of a whole dataset, in parallel. Masked cells are 0, valid cells 255.

    Parameters
    ----------
    source : path
        The raster.
    nodata : float, optional
        Value of missing cells. By default, the nodata value, the mask or the alpha band of the file marks missing
        cells. NaN is always missing.
    logic : {"any", "all"} or callable
        With "any", a cell is masked if at least one band is missing. With "all", a cell is masked if all bands are
        missing. A callable gets a boolean array of shape
        (bands, rows, columns) that is true for missing values. It returns a boolean array of shape (rows, columns) that
        is true for masked cells.
    bands : sequence of int, optional
        Numbers of the bands to read, counted from 1. By default, all bands.
    output : path, optional
        Raster to write the mask to. By default, the mask is returned. If `output` is the source, which must be a
        GeoTIFF, the mask is written into a copy of the source. The copy then replaces the source.
    **options
        `executor`, `workers`, `grid`, `worker_settings` and `observer`: see `process_blocks`.

    Returns
    -------
    ndarray of uint8, shape (rows, columns), or BlocksReport if there is an output

    Raises
    ------
    RasterError
        If the source cannot be read, the output cannot be written completely, or the output is the source and its
        format cannot hold a mask without a change of its data.
    """
    function = _MaskFunction(nodata, logic, tuple(bands) if bands else None)
    options = {"bands": bands, "read": "datasets", **options}
    if output is None:
        return fill_array(function, source, dtype=np.uint8, **options)
    if Path(output).resolve() != Path(source).resolve():
        profile = {"dtype": "uint8", "count": 1, "nodata": None, **_NO_LABELS, **options.pop("profile", {})}
        return process_blocks(function, source, output, profile=profile, **options)
    with new_mask(Path(source)) as sink:
        return process_blocks(function, source, sink, **options)


@dataclass(frozen=True)
class _MaskFunction:
    """Compute the mask of one block. This is a class because a closure cannot be sent to other processes."""

    nodata: float | None
    logic: Logic
    bands: tuple[int, ...] | None

    def __post_init__(self) -> None:
        if not callable(self.logic) and self.logic not in ("any", "all"):
            raise ValueError(f"logic must be 'any', 'all' or a function, not {self.logic!r}")

    def __call__(self, datasets: list[Any], block: Block, _arguments: object) -> NDArray[np.uint8]:
        with gdal_errors(Path(datasets[0].name)):
            missing = self._missing(datasets[0], block)
        rules: dict[Any, Callable[..., Any]] = {"any": np.any, "all": np.all}
        masked = self.logic(missing) if callable(self.logic) else rules[self.logic](missing, axis=0)
        return np.where(masked, np.uint8(0), np.uint8(VALID))

    def _missing(self, dataset: Any, block: Block) -> NDArray[np.bool_]:
        window, bands = block.core.ranges, list(self.bands) if self.bands else list(dataset.indexes)
        values = dataset.read(bands, window=window)
        missing = is_nan(values)
        found = dataset.read_masks(bands, window=window) == 0 if self.nodata is None else values == self.nodata
        missing[found] = True
        return missing


class MaskSink(DatasetSink):
    """Write results to the mask of an open dataset."""

    @property
    @override
    def dtype(self) -> str | None:
        return "uint8"

    @property
    @override
    def count(self) -> int | None:
        return 1

    @override
    def store(self, values: NDArray[Any], window: Window) -> None:
        self.dataset.write_mask(values, window=window.ranges)


@contextmanager
def new_mask(path: Path) -> Iterator[MaskSink]:
    """Write the mask of a file into a copy. At the end, read the copy back and replace the file.

    Parameters
    ----------
    path : Path
        A GeoTIFF.

    Yields
    ------
    MaskSink
        Receives the blocks of the mask.

    Raises
    ------
    RasterError
        If the file is not a GeoTIFF, or it is a COG. If the mask cannot be written, or what is read back differs from
        the written mask or from the cells of the source.
    """
    import rasterio  # noqa: PLC0415

    _refuse_other_formats(path)
    with os_errors_as_raster_errors(path), atomic_replace(path, new_run()) as temporary:
        shutil.copy(path, temporary)
        with gdal_options(GDAL_TIFF_INTERNAL_MASK="YES"), open_for_update(temporary) as dataset:
            sink = MaskSink(dataset, str(path))
            yield sink
        try:
            with gdal_options(), open_raster(path) as source, open_raster(temporary) as dataset:
                for window, checksum in sink.written:
                    if checksum_of(dataset.read(window=window.ranges)) != checksum_of(
                        source.read(window=window.ranges)
                    ):
                        raise write_error(path, "the cells that were read back differ from the cells of the source")
                    if checksum_of(dataset.read_masks(1, window=window.ranges)) != checksum:
                        raise write_error(path, "the mask that was read back differs from the mask that was written")
        except rasterio.errors.RasterioError as error:
            raise write_error(path, error) from error


def _refuse_other_formats(path: Path) -> None:
    """Refuse a file that is not a GeoTIFF, because GDAL would encode its cells again, and a cloud-optimized GeoTIFF.

    A cloud-optimized GeoTIFF would lose its layout. GDAL refuses to change such a file, too.
    """
    with gdal_options(), open_raster(path) as dataset:
        if dataset.driver != "GTiff":
            raise RasterError(
                f"{path}: a mask cannot be written into a file of the format {dataset.driver} without a change of its "
                "data; write the mask to another file, or convert the raster to GeoTIFF first"
            )
        if dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG":
            raise RasterError(
                f"{path}: a COG would lose its layout with a new mask; write the mask to another file, or convert the "
                "COG to an ordinary GeoTIFF first"
            )


def is_nan(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return True for NaN. Integers are never NaN."""
    missing: NDArray[np.bool_] = np.zeros(values.shape, np.bool_)
    if values.dtype.kind in "fc":
        np.isnan(values, out=missing)
    return missing
