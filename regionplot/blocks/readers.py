"""Read the cells of one input in a window of the grid, also if the input has another cell size or extent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from regionplot.blocks.input import Input
from regionplot.geo.dtypes import cell_dtype, fits_dtype
from regionplot.geo.grid import Window

_ON_GRID = 1e-3
"""Maximum distance of an input from the grid, in cells of the input."""


@dataclass(frozen=True, slots=True)
class _Axis:
    """Rows or columns of the grid in an input. The position in the input is `offset + scale * position`."""

    offset: float
    scale: float
    length: int
    """Rows or columns of the input."""

    def covered(self, first: int, end: int) -> tuple[int, int]:
        """Return the part of a range of the grid that the input covers completely."""
        slack = _ON_GRID / self.scale
        low = math.ceil(-self.offset / self.scale - slack)
        high = math.floor((self.length - self.offset) / self.scale + slack)
        return max(first, low), min(end, high)

    def own(self, first: int, end: int) -> tuple[float, float]:
        """Return the first position and the length of a range of the grid in the input."""
        low, high = (min(max(self.offset + self.scale * at, 0.0), self.length) for at in (first, end))
        return low, high - low


@dataclass(frozen=True, slots=True)
class Placement:
    """Place of an input in the grid, for inputs with read options."""

    rows: _Axis
    columns: _Axis
    resampling: str
    fills: tuple[float | complex, ...]
    """Value of cells outside of the input, for each band."""
    boundless: bool
    """True if windows may exceed the input."""

    def covered(self, window: Window) -> Window | None:
        """Return the part of a window of the grid that the input covers completely, or None."""
        (top, bottom), (left, right) = window.ranges
        (top, bottom), (left, right) = self.rows.covered(top, bottom), self.columns.covered(left, right)
        return Window(top, left, bottom - top, right - left) if top < bottom and left < right else None

    def read(self, dataset: Any, window: Window, bands: Sequence[int], options: Mapping[str, Any]) -> Any:
        """Return the cells of a window of the grid. Cells outside of the input are filled, or masked."""
        covered = self.covered(window)
        if covered == window:
            return self._cells(dataset, covered, bands, options)
        dtype = cell_dtype(dataset.dtypes[bands[0] - 1])
        fills = np.array(self.fills).astype(dtype)[:, None, None]
        filled: Any = np.broadcast_to(fills, (len(bands), window.height, window.width)).copy()
        if options.get("masked"):
            filled = np.ma.masked_array(filled, mask=True, fill_value=fills.flat[0])
        if covered is not None:
            places = slice(None), *covered.slices_in(window)
            filled[places] = self._cells(dataset, covered, bands, options)
        return filled

    def _cells(self, dataset: Any, covered: Window, bands: Sequence[int], options: Mapping[str, Any]) -> Any:
        from rasterio.enums import Resampling  # noqa: PLC0415 (imports GDAL)
        from rasterio.windows import Window as RasterioWindow  # noqa: PLC0415

        (top, bottom), (left, right) = covered.ranges
        (row, height), (column, width) = self.rows.own(top, bottom), self.columns.own(left, right)
        return dataset.read(
            list(bands), window=RasterioWindow(column, row, width, height), resampling=Resampling[self.resampling],
            out_shape=(len(bands), covered.height, covered.width), **options,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class InputReader:
    """Reader of one input."""

    path: Path
    bands: tuple[int, ...] | None
    """Numbers of the bands. None for all bands."""
    place: Placement | None = None
    """Place in the grid. None if the input is on the grid and has no read options."""

    def read(self, dataset: Any, window: Window, read: str) -> Any:
        """Return the stored values in a window of the grid, shape (bands, rows, columns).

        Parameters
        ----------
        dataset : rasterio.DatasetReader
            The open input.
        window : Window
            Cells of the grid.
        read : str
            With "masked", the result is a masked array.
        """
        options = {"masked": True} if read == "masked" else {}
        if self.place is not None:
            return self.place.read(dataset, window, self.bands or dataset.indexes, options)
        from rasterio.windows import Window as RasterioWindow  # noqa: PLC0415 (imports GDAL)

        place = RasterioWindow(window.col_off, window.row_off, window.width, window.height)
        return dataset.read(list(self.bands) if self.bands else None, window=place, **options)


def placement_of(given: Input, dataset: Any, first: Any) -> tuple[Placement | None, list[str]]:
    """Return the place of an input in the grid of the first input, and the reasons why it has none.

    Parameters
    ----------
    given : Input
        The input.
    dataset, first : rasterio.DatasetReader
        The open input, and the open first input.

    Raises
    ------
    ValueError
        If the data type of a band cannot hold the value for cells outside of the input.
    """
    options = given.read_options
    a, b, c, d, e, f = _grid_to_cells(dataset.transform, first.transform)
    rows, columns = _Axis(f, e, dataset.height), _Axis(c, a, dataset.width)
    sides, problems = [(rows, first.height), (columns, first.width)], []
    if dataset.crs != first.crs:
        problems.append("its CRS is not that of {first}; reproject it first")
    if max(abs(b) * first.height, abs(d) * first.width) > _ON_GRID or a <= 0 or e <= 0:
        problems.append("its rows and columns have other directions than those of {first}; reproject it first")
    elif not options.get("resampling") and not all(_is_aligned(axis, length) for axis, length in sides):
        problems.append("its cells are not those of {first}; set resampling in its read_options")
    elif not options.get("boundless") and any(axis.covered(0, length) != (0, length) for axis, length in sides):
        problems.append("it does not cover {first}; set boundless in its read_options")
    if problems:
        return None, [f"{given.path}: {problem.format(first=first.name)}" for problem in problems]
    if all(_is_aligned(axis, length) for axis, length in sides):
        rows, columns = (_Axis(round(axis.offset), 1, axis.length) for axis in (rows, columns))
    method, boundless = options.get("resampling") or "nearest", bool(options.get("boundless"))
    return Placement(rows, columns, method, _fills(given, dataset), boundless), []


def _grid_to_cells(own: Any, grid: Any) -> tuple[float, ...]:
    """Return the affine coefficients that map positions (column, row) of the grid to positions of the input."""
    one, other = (np.array([*transform[:6], 0, 0, 1], np.float64).reshape(3, 3) for transform in (own, grid))
    return tuple(np.linalg.solve(one, other).flat[:6].tolist())


def _is_aligned(axis: _Axis, length: int) -> bool:
    """Return True if the cells of an input are cells of the grid."""
    return abs(axis.scale - 1) * length <= _ON_GRID and abs(axis.offset - round(axis.offset)) <= _ON_GRID


def _fills(given: Input, dataset: Any) -> tuple[float | complex, ...]:
    """Return the value of cells outside of an input for each band: the given value, the nodata value, or 0."""
    bands = [band - 1 for band in given.bands or dataset.indexes]
    fill = given.read_options.get("fill_value")
    dtype = cell_dtype(dataset.dtypes[bands[0]])
    is_complex = isinstance(fill, complex) and dtype.kind != "c"
    if fill is not None and (is_complex or (dtype.kind != "c" and not fits_dtype(dtype, fill))):
        raise ValueError(f"{given.path}: its {dtype} cannot hold the fill_value {fill!r}; choose another fill_value")
    nodata = [dataset.nodatavals[band] for band in bands]
    return tuple(fill if fill is not None else 0 if own is None else own for own in nodata)
