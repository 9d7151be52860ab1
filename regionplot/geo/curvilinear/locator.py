"""Find the source cell for each cell of a regular grid, and interpolate between source cells.

::

    source cells ─► lookup table at the source spacing ─► Newton's method ─► source row and column of each regular cell

Each entry of the lookup table is a source cell near the center of a coarse regular cell. If no source cell is there,
the entry comes from a coarser level. Newton's method starts from this source cell and finds the fractional row and
column. The slopes are computed from differences between neighboring cells. So a source cell extends halfway to its
neighbors, as in `pcolormesh`, and cells at the edge extend equally far outward. At gaps of the source (between the
scans of a satellite, along the seam of a closed grid), the locator tries several source cells around a point.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.geo.curvilinear.fit import RegularGrid, projected_strips
from regionplot.geo.curvilinear.space import Floats, Plane, Points, Space, Sphere
from regionplot.geo.curvilinear.steps import closed_steps, dot, is_closed, steps
from regionplot.geo.grid import Window

Indices = NDArray[np.int32]
_LEVELS = 5
"""Number of coarser levels of the lookup table. They fill gaps of up to about 2 ** 5 source spacings."""
_MAX_ITERATIONS = 4
"""Maximum number of iterations of Newton's method."""
_EDGE_REACH = 0.55
"""Maximum distance of a point from its source cell at the edge of the source, in source steps. The value is
half a step, plus a little to close the seam of a grid around the earth."""
_CELL_REACH = 0.75
"""Maximum distance of a point from its source cell inside the source, in source steps."""
_GAP_REACH = 1.25
"""Maximum distance of a point from its source cell, in source steps, if the point lies in a gap of the source. In a
gap, no source cell is within `_CELL_REACH`."""
_MAX_SEARCH_STEPS = 3.0
"""Distance from the start of the search, in source steps, beyond which a point in a gap or at an edge is not matched to
a source cell."""
_MAX_STEPS = 2.0**_LEVELS
"""Distance from the start of the search, in source steps, beyond which a point has no source cell."""
_STRIP_CELLS = 2**16
"""Number of cells to process at a time, so that intermediate results stay in the CPU cache."""


class Resampling(Enum):
    """How `CellLocator.resample` computes values."""

    NEAREST = auto()
    """Take the value of the source cell that contains the point."""
    LINEAR = auto()
    """Interpolate between four source cells. If one of them is missing, take the nearest source cell."""


@dataclass(frozen=True, slots=True)
class _Slopes:
    """Derivatives of the fractional source column and row with respect to each axis of the space."""

    across: Points
    """Derivatives of the column."""
    down: Points
    """Derivatives of the row."""

    def of(self, step: Points) -> tuple[Floats, Floats]:
        """Return the change of column and row for a step in space."""
        across, down = (sum(a * b for a, b in zip(axes, step, strict=True)) for axes in (self.across, self.down))
        return np.asarray(across), np.asarray(down)


@dataclass(frozen=True, slots=True)
class _Matches:
    """Points, each with a source cell near it."""

    points: Points
    """The points."""
    cell: Indices
    """Index of a source cell near each point. It is the nearest cell if Newton's method converged."""
    across: Floats
    """Distance of each point from the center of its cell, in source columns."""
    down: Floats
    """Distance of each point from the center of its cell, in source rows."""
    slopes: _Slopes
    """Slopes at the cells."""

    def repeated(self, count: int) -> _Matches:
        """Return the same matches several times, one after the other."""
        if count == 1:
            return self
        points, across, down = (
            tuple(np.tile(axis, count) for axis in axes) for axes in (self.points, self.slopes.across, self.slopes.down)
        )
        cell = np.tile(self.cell, count)
        return _Matches(points, cell, np.tile(self.across, count), np.tile(self.down, count), _Slopes(across, down))


@dataclass(frozen=True, slots=True)
class _Field:
    """Source values to resample."""

    cells: NDArray[Any]
    """Values of all source cells, row by row, shape (n,)."""
    fill: float
    """Value of regular cells without a source cell."""
    method: Resampling = Resampling.NEAREST


class CellLocator:
    """Find the cell of a curvilinear grid for each cell of a regular grid, and resample values.

    Parameters
    ----------
    longitudes, latitudes : ndarray, shape (rows, columns)
        Coordinates of the source cells; see `fit_grid`.
    grid : RegularGrid
        Regular grid, as returned by `fit_grid` for these coordinates.
    crs : pyproj.CRS
        CRS of the coordinates.
    """

    def __init__(self, longitudes: Floats, latitudes: Floats, grid: RegularGrid, crs: pyproj.CRS) -> None:
        self._grid = grid
        self._rows, self._columns = longitudes.shape
        self._space: Space = Sphere(grid.coarse) if grid.is_global else Plane(grid.coarse)
        self._source_points, lookup = self._build_lookup(longitudes, latitudes, crs)
        shaped = [axis.reshape(longitudes.shape) for axis in self._source_points]
        self._is_closed = is_closed(shaped)
        self._right = tuple((closed_steps(axis) if self._is_closed else steps(axis, 1)).ravel() for axis in shaped)
        self._below = tuple(steps(axis, 0).ravel() for axis in shaped)
        self._lookup = _fill_gaps(np.where(self._have_area(lookup), lookup, -1), _LEVELS)

    def resample(self, values: NDArray[Any], window: Window, method: Resampling) -> Floats:
        """Return values of the curvilinear grid, resampled to a window of the regular grid.

        Parameters
        ----------
        values : ndarray, shape (rows, columns)
            Values of a floating-point type; NaN if missing.
        window : Window
            Rows and columns of the regular grid.
        method : Resampling
            How the values are computed.

        Returns
        -------
        ndarray
            Values, shape (height, width) of the window; NaN if there is no source cell.
        """
        return self._resample(_Field(np.ascontiguousarray(values).ravel(), np.nan, method), window)

    def nearest(self, window: Window) -> Indices:
        """Return the index of the source cell for each cell of a window; -1 if there is no source cell.

        Source cells are counted row by row.

        Parameters
        ----------
        window : Window
            Rows and columns of the regular grid.
        """
        return self._resample(_Field(np.arange(self._rows * self._columns, dtype=np.int32), -1), window)

    def _resample(self, field: _Field, window: Window) -> NDArray[Any]:
        n = self._grid.oversampling
        first, last = window.row_off // n, -(-(window.row_off + window.height) // n)
        left, right = window.col_off // n, -(-(window.col_off + window.width) // n)
        result = np.full((last - first, n, right - left, n), field.fill, field.cells.dtype)
        step = max(1, _STRIP_CELLS // (right - left))
        # several source cells can have the same position
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            for top in range(first, last, step):
                rows = slice(top, min(top + step, last))
                self._fill(result[top - first : rows.stop - first], field, rows, slice(left, right))
        row, column = window.row_off - first * n, window.col_off - left * n
        fine = result.reshape((last - first) * n, (right - left) * n)
        return np.ascontiguousarray(fine[row : row + window.height, column : column + window.width])

    def _build_lookup(self, longitudes: Floats, latitudes: Floats, crs: pyproj.CRS) -> tuple[Points, Indices]:
        """Return the source cells as points, and the finest level of the lookup table. -1 means no cell."""
        coarse, done = self._grid.coarse, 0
        points = tuple(np.empty(longitudes.size, np.float32) for _ in range(self._space.axes))
        lookup = np.full((coarse.height, coarse.width), -1, np.int32)
        for x, y in projected_strips(longitudes, latitudes, crs, coarse.crs):
            column, row = self._space.columns_and_rows(x.ravel(), y.ravel())
            for axis, placed in zip(points, self._space.points(column, row), strict=True):
                axis[done : done + column.size] = placed
            known = np.flatnonzero(np.isfinite(column))
            at = (np.clip(np.floor(row[known]), 0, coarse.height - 1), np.clip(column[known], 0, coarse.width - 1))
            lookup[at[0].astype(np.intp), at[1].astype(np.intp)] = known + done
            done += column.size
        return points, lookup

    def _have_area(self, cell: Indices) -> NDArray[np.bool_]:
        """Return True for cells with an area. A cell without neighbors along one axis has no area."""
        right, below = (tuple(axis[cell] for axis in step) for step in (self._right, self._below))
        with np.errstate(invalid="ignore", over="ignore"):
            return dot(right, right) * dot(below, below) > dot(right, below) ** 2

    def _fill(self, result: NDArray[Any], field: _Field, rows: slice, columns: slice) -> None:
        """Resample into a strip of the result, shape (rows, oversampling, columns, oversampling)."""
        near = self._lookup[rows, columns].ravel()
        known = np.flatnonzero(near >= 0)
        row, column = np.divmod(known, columns.stop - columns.start)
        x, y = column + (columns.start + 0.5), row + (rows.start + 0.5)
        start = self._refine(near[known], self._space.points(x, y))
        n = self._grid.oversampling
        offsets = (np.arange(n) + 0.5) / n - 0.5
        by_offset = result.transpose(1, 3, 0, 2)
        at_once = max(1, _STRIP_CELLS // max(known.size, 1))  # in a small grid, single offsets would take long
        for first in range(0, n * n, at_once):
            a, b = np.divmod(np.arange(first, min(first + at_once, n * n))[:, None], n)
            position = (x + offsets[b]).ravel(), (y + offsets[a]).ravel()
            sampled = self._sample(field, start.repeated(a.size), position)
            by_offset[a, b, row, column] = sampled.reshape(a.size, known.size)

    def _sample(self, field: _Field, start: _Matches, position: tuple[Floats, Floats]) -> NDArray[Any]:
        """Return the source values at positions near the matched points in `start`.

        Parameters
        ----------
        field : _Field
            Source values.
        start : _Matches
            Matches at the centers of coarse cells.
        position : (ndarray, ndarray)
            Fractional columns and rows of the coarse grid.
        """
        points = self._space.points(*position)
        step = start.slopes.of(tuple(a - b for a, b in zip(points, start.points, strict=True)))
        cell, across, down = self._find_cell(start, start.across + step[0], start.down + step[1], points, position)
        missing = cell < 0
        sampled = field.cells[np.where(missing, 0, cell)]
        if field.method is Resampling.LINEAR:
            interpolated = self._interpolate(field.cells, cell, across, down)
            sampled = np.where(np.isnan(interpolated), sampled, interpolated)
        np.putmask(sampled, missing, field.fill)
        return sampled

    def _find_cell(
        self, start: _Matches, across: Floats, down: Floats, points: Points, position: tuple[Floats, Floats]
    ) -> tuple[Indices, Floats, Floats]:
        """Return the source cell of each point, and its distance from the cell's center in columns and rows.

        The cell is -1 if the point is in no source cell.

        Parameters
        ----------
        start : _Matches
            Matches from which the search starts.
        across, down : ndarray
            Estimated distances of the points from the cells in `start`, in source columns and rows.
        points : Points
            The points.
        position : (ndarray, ndarray)
            The same points as fractional columns and rows of the coarse grid.
        """
        row, column = np.divmod(start.cell, np.int32(self._columns))
        distance = np.fmax(abs(across), abs(down))
        near = distance < _MAX_STEPS
        column = column + np.rint(np.where(near, across, 0)).astype(np.int32)
        row = row + np.rint(np.where(near, down, 0)).astype(np.int32)
        if self._is_closed:
            column %= self._columns
        inside = near & (column >= 0) & (column < self._columns) & (row >= 0) & (row < self._rows)
        cell = np.where(inside, row * np.int32(self._columns) + column, start.cell)
        across, down = self._offsets_by_slopes(cell, points, start.slopes)
        known = inside & ~np.isnan(across)
        cell[~(known & (abs(across) <= _CELL_REACH) & (abs(down) <= _CELL_REACH))] = -1
        unmatched = np.flatnonzero((distance < _MAX_SEARCH_STEPS) & (cell < 0))
        if unmatched.size:
            reach = np.where(known[unmatched], _GAP_REACH, _EDGE_REACH)
            rest = tuple(axis[unmatched] for axis in points), tuple(axis[unmatched] for axis in position)
            cell[unmatched], across[unmatched], down[unmatched] = self._search_around(*rest, reach)
        return cell, across, down

    def _search_around(
        self, points: Points, position: tuple[Floats, ...], reach: Floats
    ) -> tuple[Indices, Floats, Floats]:
        """Return cells and distances like `_find_cell`, for points at gaps and edges of the source.

        The search starts from the lookup table at the coarse cell of each point and at its eight neighbors. `reach` is
        the largest allowed distance of each point from its cell, in source steps.
        """
        dy, dx = (step.reshape(9, 1) - 1 for step in np.indices((3, 3)))
        wide = self._space.stretch(position[1])
        near = self._look_up(np.floor(position[0]) + dx * wide, np.floor(position[1]) + dy)
        is_tried = _are_first(near) & (near >= 0)  # outside the source, most of the nine entries are equal
        _, point = np.nonzero(is_tried)
        found = self._refine(near[is_tried], tuple(axis[point] for axis in points))
        offset = np.fmax(abs(found.across), abs(found.down))
        cell, across, down = (np.zeros(near.shape, values.dtype) for values in (found.cell, found.across, found.down))
        cell[is_tried], across[is_tried], down[is_tried] = found.cell, found.across, found.down
        distance = np.full(near.shape, np.inf, offset.dtype)
        distance[is_tried] = np.where(offset <= reach[point], offset, np.inf)
        best = distance.argmin(axis=0), np.arange(reach.size)
        return np.where(np.isfinite(distance[best]), cell[best], -1), across[best], down[best]

    def _look_up(self, column: Floats, row: Floats) -> Indices:
        """Return entries of the lookup table for columns and rows of the coarse grid; -1 outside the grid."""
        height, width = self._lookup.shape
        column = self._grid.coarse.wrapped(column)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        at = np.where(inside, row, 0).astype(np.intp), np.where(inside, column, 0).astype(np.intp)
        return np.where(inside, self._lookup[at], -1).astype(np.int32)

    def _refine(self, cell: Indices, points: Points) -> _Matches:
        """Match points to source cells by Newton's method, starting from source cells near the points."""
        cell = cell.copy()
        across, down, slopes = self._offsets(cell, points)
        moving = np.arange(cell.size)
        for _ in range(_MAX_ITERATIONS):
            moved = self._shift_cells(cell[moving], across[moving], down[moving])
            moving, moved = moving[moved != cell[moving]], moved[moved != cell[moving]]
            if not moving.size:
                break
            *offsets, new_slopes = self._offsets(moved, tuple(axis[moving] for axis in points))
            before, after = np.hypot(across[moving], down[moving]), np.hypot(*offsets)
            better = (after < before) | (np.isnan(before) & ~np.isnan(after))
            moving, moved = moving[better], moved[better]
            cell[moving] = moved
            old = (across, down, *slopes.across, *slopes.down)
            new = (*offsets, *new_slopes.across, *new_slopes.down)
            for values, changed in zip(old, new, strict=True):
                values[moving] = changed[better]
        return _Matches(points, cell, across, down, slopes)

    def _offsets(self, cell: Indices, points: Points) -> tuple[Floats, Floats, _Slopes]:
        """Return distances of points from source cells, in source columns and rows, and the slopes at the cells."""
        right, below = (tuple(axis[cell] for axis in step) for step in (self._right, self._below))
        a, b, c = (dot(one, other) for one, other in ((right, right), (right, below), (below, below)))
        factor = 1 / (a * c - b * b)
        a, b, c = a * factor, b * factor, c * factor
        slopes = _Slopes(
            tuple(c * u - b * v for u, v in zip(right, below, strict=True)),
            tuple(a * v - b * u for u, v in zip(right, below, strict=True)),
        )
        return *self._offsets_by_slopes(cell, points, slopes), slopes

    def _offsets_by_slopes(self, cell: Indices, points: Points, slopes: _Slopes) -> tuple[Floats, Floats]:
        """Return distances of points from source cells, in source columns and rows, for known slopes."""
        return slopes.of(tuple(target - axis[cell] for target, axis in zip(points, self._source_points, strict=True)))

    def _shift_cells(self, cell: Indices, across: Floats, down: Floats) -> Indices:
        """Return cells shifted by rounded distances in columns and rows. The cells stay within the source.

        A cell is not shifted if the new cell has no coordinates.
        """
        row, column = np.divmod(cell, np.int32(self._columns))
        column = self._wrap_or_clip(column + _round_steps(across, self._columns))
        row = np.clip(row + _round_steps(down, self._rows), 0, self._rows - 1)
        moved = row * np.int32(self._columns) + column
        return np.where(np.isfinite(self._source_points[0][moved]), moved, cell)

    def _wrap_or_clip(self, column: Indices) -> Indices:
        """Return columns within the source: wrapped if the source is closed, otherwise clipped."""
        return column % self._columns if self._is_closed else np.clip(column, 0, self._columns - 1)

    def _interpolate(self, cells: NDArray[Any], cell: Indices, across: Floats, down: Floats) -> Floats:
        """Return values that are interpolated between the four source cells around each point; NaN if one is NaN."""
        row, column = np.divmod(np.maximum(cell, 0), np.int32(self._columns))
        left, above = np.where(across < 0, -1, 0), np.where(down < 0, -1, 0)
        across, down = across - left, down - above
        columns = [self._wrap_or_clip(column + left + step) for step in (0, 1)]
        rows = [np.clip(row + above + step, 0, self._rows - 1) * np.int32(self._columns) for step in (0, 1)]
        upper, lower = (cells[first + columns[0]] * (1 - across) + cells[first + columns[1]] * across for first in rows)
        result: Floats = (upper * (1 - down) + lower * down).astype(cells.dtype)
        return result


def _are_first(values: Indices) -> NDArray[np.bool_]:
    """Return True for each value that is not equal to an earlier value of its column, shape (rows, columns)."""
    are_first = np.ones(values.shape, bool)
    for number in range(1, len(values)):
        are_first[number] = (values[:number] != values[number]).all(axis=0)
    return are_first


def _round_steps(steps: Floats, limit: int) -> Indices:
    """Return steps rounded to integers between -limit and limit. NaN becomes 0."""
    rounded: Indices = np.rint(np.clip(np.where(np.isnan(steps), 0, steps), -limit, limit)).astype(np.int32)
    return rounded


def _fill_gaps(lookup: Indices, levels: int) -> Indices:
    """Return the lookup table. Its empty entries are filled from coarser levels."""
    if not levels or min(lookup.shape) < 2:
        return lookup
    starts = [np.arange(0, length - 1, 2) for length in lookup.shape]
    coarser = np.maximum.reduceat(np.maximum.reduceat(lookup, starts[0], axis=0), starts[1], axis=1)
    wide = _fill_gaps(coarser, levels - 1).repeat(2, axis=0).repeat(2, axis=1)
    rest = [(0, length - doubled) for length, doubled in zip(lookup.shape, wide.shape, strict=True)]
    return np.where(lookup < 0, np.pad(wide, rest, mode="edge"), lookup)
