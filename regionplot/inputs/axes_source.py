"""Read the cells of a variable that GDAL does not handle: dimensions in another order, or uneven axes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from regionplot.geo.axes import RegularAxis, fit_axes
from regionplot.geo.grid import GridGeometry, Window
from regionplot.geo.upright import upright_grid
from regionplot.inputs.file_axes import GridAxes, PlacedAxes
from regionplot.inputs.netcdf import read_stored
from regionplot.inputs.reading import check_unchanged, decode
from regionplot.inputs.source import RasterInfo

_STRIP_CELLS = 2**24
"""Number of cells of the file to read at a time."""
_POLES = (-90.0, 90.0)
_EVERYWHERE = (-np.inf, np.inf)


@dataclass(frozen=True, eq=False)
class AxesSource:
    """A `RasterSource` for a variable with 1-D axes. Its dimensions may have any order, and its axes may be uneven.

    The grid runs from west to east and from north to south. An uneven axis is resampled to regular cells. These cells
    are smaller than the smallest cell of the axis.
    """

    info: RasterInfo
    stored: np.dtype[Any]
    """Type of the stored cells."""
    grid: GridAxes
    rows: RegularAxis
    """Rows, from south to north."""
    columns: RegularAxis
    interpolate: bool
    """True to interpolate along uneven axes. False to take the nearest cell."""

    @classmethod
    def of(cls, info: RasterInfo, stored: np.dtype[Any], axes: PlacedAxes, resampling: str) -> AxesSource:
        """Return a source for a band.

        Parameters
        ----------
        info : RasterInfo
            Metadata of the band. Its geometry is ignored.
        stored : dtype
            Type of the stored cells, as GDAL gives it.
        axes : PlacedAxes
            Axes of the variable.
        resampling : str
            `[raster] resampling`; `bilinear` and `cubic` interpolate along uneven axes.
        """
        limits = _POLES if axes.crs.is_geographic else _EVERYWHERE
        columns, rows = fit_axes(axes.columns, axes.rows, limits)
        north = rows.start + rows.size * rows.step
        transform = Affine(columns.step, 0, columns.start, 0, -rows.step, north)
        geometry = upright_grid(GridGeometry(transform, rows.size, columns.size, axes.crs))
        interpolate = resampling in ("bilinear", "cubic") and info.mask_and_scale
        return cls(replace(info, geometry=geometry), stored, axes.grid, rows, columns, interpolate)

    def describe(self) -> RasterInfo:
        """Return the metadata of the band."""
        return self.info

    def read(self, window: Window, shape: tuple[int, int], resampling: str = "nearest") -> NDArray[Any]:  # noqa: ARG002
        """Read a window. See `RasterSource.read`.

        Thinning keeps the middle cell of each thinned block. The argument `resampling` is ignored.
        """
        rows = self.rows.size - 1 - _thinned(window.row_off, window.height, shape[0])
        columns = _thinned(window.col_off, window.width, shape[1])
        result = np.empty(shape, self.info.dtype)
        for part in _strips(self.rows, rows, self.columns, columns):
            result[part] = self._pick(rows[part], columns)
        check_unchanged(self.info)
        return result

    def _pick(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[Any]:
        """Return the values at the given rows and columns of the regular grid."""
        nearest = self._cells(self.rows.source[rows], self.columns.source[columns])
        is_uneven = self.rows.is_resampled or self.columns.is_resampled
        if not (self.interpolate and self.info.mask_and_scale and is_uneven):
            return nearest
        down, across = self.rows.weight[rows][:, None], self.columns.weight[columns]
        lower, upper = (
            self._cells(y[rows], self.columns.below[columns]) * (1 - across)
            + self._cells(y[rows], self.columns.above[columns]) * across
            for y in (self.rows.below, self.rows.above)
        )
        mixed = (lower * (1 - down) + upper * down).astype(nearest.dtype)
        return np.where(np.isnan(mixed), nearest, mixed)

    def _cells(self, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> NDArray[Any]:
        """Return the values at the given rows and columns of the file."""
        (top, bottom), (left, right) = ((at.min(), at.max() + 1) for at in (rows, columns))
        cells = slice(top, bottom), slice(left, right)
        part = decode(read_cells(self.info.path, self.grid, self.info.band, *cells, self.stored), None, self.info)
        return part[np.ix_(rows - top, columns - left)]


@dataclass(frozen=True, eq=False)
class OrderedSource:
    """A `RasterSource` for the file's own rows and columns of a variable that GDAL cannot read."""

    info: RasterInfo
    stored: np.dtype[Any]
    """Type of the stored cells."""
    grid: GridAxes

    def describe(self) -> RasterInfo:
        """Return the metadata of the band."""
        return self.info

    def read(self, window: Window, shape: tuple[int, int], resampling: str = "nearest") -> NDArray[Any]:  # noqa: ARG002
        """Read a window. See `RasterSource.read`. The argument `resampling` is ignored."""
        rows, columns = (slice(*limits) for limits in window.ranges)
        stored = read_cells(self.info.path, self.grid, self.info.band, rows, columns, self.stored)
        check_unchanged(self.info)
        kept = _thinned(0, window.height, shape[0]), _thinned(0, window.width, shape[1])
        return decode(np.ascontiguousarray(stored[np.ix_(*kept)]), None, self.info)


def read_cells(
    path: Path, grid: GridAxes, band: int, rows: slice, columns: slice, stored: np.dtype[Any]
) -> NDArray[Any]:
    """Read cells of a band as they are stored, shape (rows, columns).

    Parameters
    ----------
    path : Path
        The file.
    grid : GridAxes
        The variable and its dimensions.
    band : int
        Number of the band, from 1.
    rows, columns : slice
        Rows and columns of the file.
    stored : dtype
        Type of the cells, as GDAL gives it.

    Raises
    ------
    RasterError
        If the cells cannot be read.
    """
    index: list[Any] = list(band_position(grid, band))
    index[grid.y_position], index[grid.x_position] = rows, columns
    cells = read_stored(path, grid.variable.path, tuple(index))
    cells = cells.T if grid.y_position > grid.x_position else cells
    is_reinterpreted = cells.dtype.kind in "iu" and stored.kind in "iu" and cells.itemsize == stored.itemsize
    return np.ascontiguousarray(cells).view(stored) if is_reinterpreted else cells.astype(stored)


def band_count(grid: GridAxes) -> int:
    """Return the number of bands: the number of positions along the dimensions other than y and x."""
    return int(np.prod(_other_sizes(grid)))


def band_position(grid: GridAxes, band: int) -> tuple[int, ...]:
    """Return the position of a band (from 1) along all dimensions. The positions along y and x are 0.

    The last of the other dimensions varies fastest, as in GDAL.
    """
    return tuple(int(i) for i in np.unravel_index(band - 1, _other_sizes(grid)))


def _other_sizes(grid: GridAxes) -> tuple[int, ...]:
    """Return the sizes of all dimensions, with 1 for y and x."""
    return tuple(1 if i in (grid.y_position, grid.x_position) else n for i, n in enumerate(grid.variable.shape))


def _thinned(first: int, length: int, count: int) -> NDArray[np.intp]:
    """Return `count` evenly spaced cells of a window, each in the middle of a block of cells."""
    return first + (2 * np.arange(count) + 1) * length // (2 * count)


def _strips(
    rows: RegularAxis, at_rows: NDArray[np.intp], columns: RegularAxis, at_columns: NDArray[np.intp]
) -> Iterator[slice]:
    """Yield slices of rows to read at a time, so that memory is limited."""
    height, width = np.ptp(rows.source[at_rows]) + 1, np.ptp(columns.source[at_columns]) + 1
    count = min(at_rows.size, -(-int(height) * int(width) // _STRIP_CELLS))
    size = -(-at_rows.size // count)
    return (slice(first, first + size) for first in range(0, at_rows.size, size))
