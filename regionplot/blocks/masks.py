"""Compute masks of whole datasets and selectors over several bands."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.grid import Block
from regionplot.blocks.new_raster import open_for_update, os_errors_as_raster_errors
from regionplot.blocks.process import fill_array, process_blocks
from regionplot.blocks.report import BlocksReport
from regionplot.blocks.sinks import write_error
from regionplot.blocks.task import checksum_of
from regionplot.errors import RasterError
from regionplot.geo.grid import Window
from regionplot.inputs.gdal import gdal_errors, gdal_options, open_raster
from regionplot.system.files import atomic_replace, new_run

VALID = 255
"""In a mask; 0 is masked."""


_PLAIN: dict[str, Any] = {"descriptions": (None,), "units": (None,), "scales": (1.0,), "offsets": (0.0,)}
"""What is said of the band of a mask, whatever is said of the source's."""


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
    """The mask of a whole dataset, worked out in parallel: 0 where it has no data, 255 elsewhere.

    Parameters
    ----------
    source : path
        The raster.
    nodata : float, optional
        The value that means no data, NaN for example. None: what the file says, by a value, a mask or an alpha band;
        NaN is no data in any case.
    logic : {"any", "all"} or callable
        A cell is masked if any, or if all, of the bands have no data there. A callable takes a boolean array (bands,
        rows, columns), true where there is no data, and returns one (rows, columns), true where the cell is masked.
    bands : sequence of int, optional
        Bands to look at, from 1; all by default.
    output : path, optional
        A raster to write the mask to, instead of returning it. If it is the source itself, the mask becomes the file's
        own, within it; the file is replaced by a copy with the mask.
    **options
        `executor`, `workers`, `grid`, `timeout`, `retries`, `nice`, `observer`, as for `process_blocks`.

    Returns
    -------
    ndarray of uint8, shape (rows, columns), or BlocksReport if there is an output

    Raises
    ------
    RasterError
        If the source cannot be read, or the output cannot be written whole.
    """
    function = _MaskFunction(nodata, logic, tuple(bands) if bands else None)
    options = {"bands": bands, "read": "datasets", **options}
    if output is None:
        return fill_array(function, source, dtype=np.uint8, **options)
    if Path(output).resolve() != Path(source).resolve():
        profile = {"dtype": "uint8", "count": 1, "nodata": None, **_PLAIN, **options.pop("profile", {})}
        return process_blocks(function, source, output, profile=profile, **options)
    with _own_mask(Path(source)) as sink:
        return process_blocks(function, source, sink, **options)


@dataclass(frozen=True)
class _MaskFunction:
    """The mask of one block; a class, so that it can be sent to other processes."""

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
        from rasterio.windows import Window as RasterioWindow  # noqa: PLC0415

        core, bands = block.core, list(self.bands) if self.bands else list(dataset.indexes)
        area = RasterioWindow(core.column, core.row, core.width, core.height)
        values = dataset.read(bands, window=area)
        missing = _is_nan(values)
        found = dataset.read_masks(bands, window=area) == 0 if self.nodata is None else values == self.nodata
        missing[found] = True
        return missing


@dataclass
class _MaskSink:
    """The mask of an open dataset."""

    dataset: Any
    written: list[tuple[Window, int | None]] = field(default_factory=list)
    dtype: str | None = "uint8"
    count: int | None = 1

    @property
    def file(self) -> Path | None:
        return Path(self.dataset.name)

    def write(self, block: Block, values: NDArray[Any], checksum: int | None) -> None:
        import rasterio  # noqa: PLC0415

        try:
            self.dataset.write_mask(values, window=_area(block.core))
        except (rasterio.errors.RasterioError, OSError) as error:
            raise write_error(Path(self.dataset.name), error) from error
        self.written.append((block.core, checksum))


def _area(window: Window) -> Any:
    from rasterio.windows import Window as RasterioWindow  # noqa: PLC0415

    return RasterioWindow(window.column, window.row, window.width, window.height)


@contextmanager
def _own_mask(path: Path) -> Iterator[_MaskSink]:
    """The mask of a file, which is replaced by a copy that has it, once that has been read back."""
    import rasterio  # noqa: PLC0415

    _check_that_it_may_change(path)
    with os_errors_as_raster_errors(path), atomic_replace(path, new_run()) as temporary:
        shutil.copy(path, temporary)
        with gdal_options(GDAL_TIFF_INTERNAL_MASK="YES"), open_for_update(temporary) as dataset:
            sink = _MaskSink(dataset)
            yield sink
        try:
            with gdal_options(), open_raster(temporary) as dataset:
                for window, checksum in sink.written:
                    dataset.read(window=_area(window))
                    if checksum_of(dataset.read_masks(1, window=_area(window))) != checksum:
                        raise write_error(path, "the mask that was read back differs from what was written")
        except rasterio.errors.RasterioError as error:
            raise write_error(path, error) from error


def _check_that_it_may_change(path: Path) -> None:
    """GDAL changes no cloud-optimised GeoTIFF, for it would be none any more."""
    with gdal_options(), open_raster(path) as dataset:
        if dataset.tags(ns="IMAGE_STRUCTURE").get("LAYOUT") == "COG":
            raise RasterError(
                f"{path}: a COG takes no mask without losing its layout; write the mask to another file, or make a "
                "GTiff of it first"
            )


def valid_selector(*bands_or_masks: Any, extra_mask: Any = None) -> NDArray[np.bool_]:
    """Where all of several bands have data.

    Parameters
    ----------
    *bands_or_masks : array
        Of one shape each. A masked array selects where it is not masked, booleans where they are true, floats where
        they are not NaN; integers are masks, 0 where masked.
    extra_mask : array, optional
        One more, of any type: 0 where masked.

    Returns
    -------
    ndarray of bool

    Raises
    ------
    ValueError
        If there is none, or their shapes differ.

    Examples
    --------
    >>> valid_selector(np.array([1.0, np.nan, 3.0]), np.array([255, 255, 0], np.uint8))
    array([ True, False, False])
    """
    selectors = [_valid(array) for array in bands_or_masks]
    if extra_mask is not None:
        selectors.append(np.asarray(extra_mask) != 0)
    _check_shapes(selectors)
    selected: NDArray[np.bool_] = np.logical_and.reduce(selectors)
    return selected


def _valid(array: Any) -> NDArray[np.bool_]:
    if isinstance(array, np.ma.MaskedArray):
        return ~np.ma.getmaskarray(array)
    values = np.asarray(array)
    return ~_is_nan(values) if values.dtype.kind in "fc" else np.not_equal(values, 0)


def _is_nan(values: NDArray[Any]) -> NDArray[np.bool_]:
    missing: NDArray[np.bool_] = np.zeros(values.shape, np.bool_)
    if values.dtype.kind in "fc":
        np.isnan(values, out=missing)
    return missing


def stack_arrays(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """All bands of several arrays as one, (bands, rows, columns).

    Parameters
    ----------
    arrays : sequence of ndarray
        Each (bands, rows, columns) or (rows, columns).

    Raises
    ------
    ValueError
        If there is none, or their rows and columns differ.
    """
    bands = [array if array.ndim == 3 else array[None] for array in map(np.asarray, arrays)]
    _check_shapes([array[0] for array in bands])
    return np.concatenate(bands)


def _check_shapes(arrays: Sequence[NDArray[Any]]) -> None:
    if not arrays:
        raise ValueError("no arrays are given")
    for number, array in enumerate(arrays, 1):
        if array.shape != arrays[0].shape:
            raise ValueError(f"array {number} has the shape {array.shape}, but the first one {arrays[0].shape}")
