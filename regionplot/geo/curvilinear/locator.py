"""Find the source cell for each cell of a regular grid, and interpolate between source cells.

::

    source cells ─► scattered on a lookup of their own spacing ─► Newton's method ─► row and column of each regular cell

The lookup holds one source cell near each of its own cells; where there is none, one from a coarser level. From there
Newton's method, with the differences between neighbouring cells as the slope, gives the fractional row and column. A
source cell thus reaches half way to its neighbours, as `pcolormesh` draws it, and as far beyond the outermost ones.
Where the source is torn (between the scans of a satellite, along the seam of a closed grid), cells near by are tried.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.geo.curvilinear.fit import RegularGrid, projected_strips
from regionplot.geo.curvilinear.space import Floats, Plane, Points, Space, Sphere
from regionplot.geo.grid import Window

Indices = NDArray[np.int32]
_LEVELS = 5
"""Of the lookup: cells up to 2 ** 5 spacings apart are taken for neighbours."""
_ROUNDS = 4
_OWN = 0.55
"""Steps between source cells that a cell reaches from its centre, where the grid ends (half a step, and what closes the
seam of a grid around the earth) ..."""
_STRETCHED = 0.75
"""... that it may reach towards another cell ..."""
_REACH = 1.25
"""... and that it may, where that one does not reach so far."""
_BESIDE = 3.0
"""Steps from a source cell beyond which no other is looked for near by."""
_FAR = 2.0**_LEVELS
"""The same, beyond which it tells nothing."""
_STRIP = 2**16
"""Cells that are worked on at a time, so that what is worked out for them stays in the processor's cache."""


@dataclass(frozen=True, slots=True)
class _Slopes:
    """How the source's fractional column and row change along each axis of space."""

    across: Points
    down: Points

    def of(self, step: Points) -> tuple[Floats, Floats]:
        """The change of column and row over a step in space."""
        across, down = (sum(a * b for a, b in zip(axes, step, strict=True)) for axes in (self.across, self.down))
        return np.asarray(across), np.asarray(down)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where some positions lie in the source."""

    spot: Points
    """The positions."""
    cell: Indices
    """A source cell near to each, the nearest if that could be told."""
    across: Floats
    """How far beyond its centre they lie, in the source's columns ..."""
    down: Floats
    """... and rows."""
    slopes: _Slopes
    """At that cell."""


@dataclass(frozen=True, slots=True)
class _Field:
    """What is brought onto the regular grid."""

    cells: NDArray[Any]
    """Of the source, one after the other."""
    fill: float
    """What stands where none is near."""
    interpolate: bool = False
    """Interpolate between them."""


class CellLocator:
    """Finds the cells of a curvilinear grid at the cells of a regular one.

    Parameters
    ----------
    longitudes, latitudes : ndarray, shape (rows, columns)
        As `fit_grid` takes them.
    grid : RegularGrid
        What it gave.
    crs : pyproj.CRS
        Of the coordinates.
    """

    def __init__(self, longitudes: Floats, latitudes: Floats, grid: RegularGrid, crs: pyproj.CRS) -> None:
        self._grid = grid
        self._rows, self._columns = longitudes.shape
        self._space: Space = Sphere(grid.coarse) if grid.is_global else Plane(grid.coarse)
        self._points, self._lookup = self._placed(longitudes, latitudes, crs)
        shaped = [axis.reshape(longitudes.shape) for axis in self._points]
        self._is_closed = _is_closed(shaped)
        self._right = tuple(_steps(axis, 1, closed=self._is_closed).ravel() for axis in shaped)
        self._below = tuple(_steps(axis, 0).ravel() for axis in shaped)

    def resample(self, values: NDArray[Any], window: Window, *, interpolate: bool = False) -> Floats:
        """The values of the curvilinear grid in a window of the regular one.

        Parameters
        ----------
        values : ndarray, shape (rows, columns)
            Of floating type, NaN where they are missing.
        window : Window
            Rows and columns of the regular grid.
        interpolate : bool
            Interpolate between four cells, where all have a value; else take the nearest.

        Returns
        -------
        ndarray
            Of the window's shape, NaN where no cell is near.
        """
        return self._resampled(_Field(np.ascontiguousarray(values).ravel(), np.nan, interpolate), window)

    def nearest(self, window: Window) -> Indices:
        """The cells themselves, counted row by row; -1 where none is near.

        Parameters
        ----------
        window : Window
            Rows and columns of the regular grid.
        """
        return self._resampled(_Field(np.arange(self._rows * self._columns, dtype=np.int32), -1), window)

    def _resampled(self, field: _Field, window: Window) -> NDArray[Any]:
        n = self._grid.oversampling
        first, last = window.row_off // n, -(-(window.row_off + window.height) // n)
        left, right = window.col_off // n, -(-(window.col_off + window.width) // n)
        result = np.full((last - first, n, right - left, n), field.fill, field.cells.dtype)
        step = max(1, _STRIP // (right - left))
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # where cells lie on one another
            for top in range(first, last, step):
                rows = slice(top, min(top + step, last))
                self._fill(result[top - first : rows.stop - first], field, rows, slice(left, right))
        row, column = window.row_off - first * n, window.col_off - left * n
        fine = result.reshape((last - first) * n, (right - left) * n)
        return np.ascontiguousarray(fine[row : row + window.height, column : column + window.width])

    def _placed(self, longitudes: Floats, latitudes: Floats, crs: pyproj.CRS) -> tuple[Points, Indices]:
        """The source's cells in space, and one near each cell of the coarse regular grid; -1 where none is in reach."""
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
        return points, _filled(lookup, _LEVELS)

    def _fill(self, result: NDArray[Any], field: _Field, rows: slice, columns: slice) -> None:
        """Fill a strip of shape (rows, oversampling, columns, oversampling)."""
        near = self._lookup[rows, columns].ravel()
        known = np.flatnonzero(near >= 0)
        row, column = np.divmod(known, columns.stop - columns.start)
        x, y = column + (columns.start + 0.5), row + (rows.start + 0.5)
        start = self._settled(near[known], self._space.points(x, y))
        offsets = (np.arange(self._grid.oversampling) + 0.5) / self._grid.oversampling - 0.5
        for a, b in np.ndindex(offsets.size, offsets.size):
            fine_x, fine_y = x + offsets[b], y + offsets[a]
            result[:, a, :, b].flat[known] = self._sample(field, start, (fine_x, fine_y))

    def _sample(self, field: _Field, start: _Places, position: tuple[Floats, Floats]) -> NDArray[Any]:
        """The source's values at positions beside those where a search started."""
        spot = self._space.points(*position)
        step = start.slopes.of(tuple(a - b for a, b in zip(spot, start.spot, strict=True)))
        cell, across, down = self._own_cell(start, start.across + step[0], start.down + step[1], spot, position)
        missing = cell < 0
        sampled = field.cells[np.where(missing, 0, cell)]
        if field.interpolate:
            between = self._interpolated(field.cells, cell, across, down)
            sampled = np.where(np.isnan(between), sampled, between)
        np.putmask(sampled, missing, field.fill)
        return sampled

    def _own_cell(
        self, start: _Places, across: Floats, down: Floats, spot: Points, position: tuple[Floats, Floats]
    ) -> tuple[Indices, Floats, Floats]:
        """The source cell that each position lies in, and how far from its centre; -1 where it lies in none."""
        row, column = np.divmod(start.cell, np.int32(self._columns))
        off = np.fmax(abs(across), abs(down))
        near = off < _FAR
        column = column + np.rint(np.where(near, across, 0)).astype(np.int32)
        row = row + np.rint(np.where(near, down, 0)).astype(np.int32)
        if self._is_closed:
            column %= self._columns
        inside = near & (column >= 0) & (column < self._columns) & (row >= 0) & (row < self._rows)
        cell = np.where(inside, row * np.int32(self._columns) + column, start.cell)
        across, down = self._beyond(cell, spot, start.slopes)
        known = inside & ~np.isnan(across)
        cell[~(known & (abs(across) <= _STRETCHED) & (abs(down) <= _STRETCHED))] = -1
        lost = np.flatnonzero((off < _BESIDE) & (cell < 0))
        if lost.size:
            reach = np.where(known[lost], _REACH, _OWN)
            places = tuple(axis[lost] for axis in spot), tuple(axis[lost] for axis in position)
            cell[lost], across[lost], down[lost] = self._searched(*places, reach)
        return cell, across, down

    def _searched(self, spot: Points, position: tuple[Floats, ...], reach: Floats) -> tuple[Indices, Floats, Floats]:
        """The same for positions where the source is torn, or ends: from the lookup's cells all around."""
        dy, dx = (step.reshape(9, 1) - 1 for step in np.indices((3, 3)))
        wide = self._space.stretch(position[1])
        near = self._looked_up(np.floor(position[0]) + dx * wide, np.floor(position[1]) + dy)
        tried = tuple(np.broadcast_to(axis, near.shape).ravel() for axis in spot)
        found = self._settled(np.maximum(near, 0).ravel(), tried)
        cell, across, down = (values.reshape(near.shape) for values in (found.cell, found.across, found.down))
        distance = np.fmax(abs(across), abs(down))
        distance[(near < 0) | ~(distance <= reach)] = np.inf
        best = distance.argmin(axis=0), np.arange(reach.size)
        return np.where(np.isfinite(distance[best]), cell[best], -1), across[best], down[best]

    def _looked_up(self, column: Floats, row: Floats) -> Indices:
        """The lookup at columns and rows of the coarse grid; -1 beyond it."""
        height, width = self._lookup.shape
        column = self._grid.coarse.wrapped(column)
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        at = np.where(inside, row, 0).astype(np.intp), np.where(inside, column, 0).astype(np.intp)
        return np.where(inside, self._lookup[at], -1).astype(np.int32)

    def _settled(self, cell: Indices, spot: Points) -> _Places:
        """The places of positions in the source, from source cells not far from them."""
        cell = cell.copy()
        across, down, slopes = self._offsets(cell, spot)
        moving = np.arange(cell.size)
        for _ in range(_ROUNDS):
            moved = self._moved(cell[moving], across[moving], down[moving])
            moving, moved = moving[moved != cell[moving]], moved[moved != cell[moving]]
            if not moving.size:
                break
            *offsets, steeper = self._offsets(moved, tuple(axis[moving] for axis in spot))
            better = ~(np.hypot(*offsets) >= np.hypot(across[moving], down[moving]))  # NaN is worst
            moving, moved = moving[better], moved[better]
            cell[moving] = moved
            old, new = (across, down, *slopes.across, *slopes.down), (*offsets, *steeper.across, *steeper.down)
            for values, changed in zip(old, new, strict=True):
                values[moving] = changed[better]
        return _Places(spot, cell, across, down, slopes)

    def _offsets(self, cell: Indices, spot: Points) -> tuple[Floats, Floats, _Slopes]:
        """How far positions lie from source cells, in the source's columns and rows, and the slopes of these."""
        right, below = (tuple(axis[cell] for axis in step) for step in (self._right, self._below))
        a, b, c = (_dot(one, other) for one, other in ((right, right), (right, below), (below, below)))
        factor = 1 / (a * c - b * b)
        a, b, c = a * factor, b * factor, c * factor
        slopes = _Slopes(
            tuple(c * u - b * v for u, v in zip(right, below, strict=True)),
            tuple(a * v - b * u for u, v in zip(right, below, strict=True)),
        )
        return *self._beyond(cell, spot, slopes), slopes

    def _beyond(self, cell: Indices, spot: Points, slopes: _Slopes) -> tuple[Floats, Floats]:
        """How far positions lie from source cells, by known slopes."""
        return slopes.of(tuple(there - axis[cell] for there, axis in zip(spot, self._points, strict=True)))

    def _moved(self, cell: Indices, across: Floats, down: Floats) -> Indices:
        """The cells so many columns and rows on, as far as the grid goes; the same where none is known there."""
        row, column = np.divmod(cell, np.int32(self._columns))
        column = self._on_grid(column + _whole(across, self._columns))
        row = np.clip(row + _whole(down, self._rows), 0, self._rows - 1)
        moved = row * np.int32(self._columns) + column
        return np.where(np.isfinite(self._points[0][moved]), moved, cell)

    def _on_grid(self, column: Indices) -> Indices:
        """Columns brought back onto a closed grid, or to the ends of another."""
        return column % self._columns if self._is_closed else np.clip(column, 0, self._columns - 1)

    def _interpolated(self, cells: NDArray[Any], cell: Indices, across: Floats, down: Floats) -> Floats:
        """Between the four cells around each position; NaN where one of them has no value."""
        row, column = np.divmod(np.maximum(cell, 0), np.int32(self._columns))
        left, above = np.where(across < 0, -1, 0), np.where(down < 0, -1, 0)
        across, down = across - left, down - above
        columns = [self._on_grid(column + left + step) for step in (0, 1)]
        rows = [np.clip(row + above + step, 0, self._rows - 1) * np.int32(self._columns) for step in (0, 1)]
        upper, lower = (cells[first + columns[0]] * (1 - across) + cells[first + columns[1]] * across for first in rows)
        result: Floats = (upper * (1 - down) + lower * down).astype(cells.dtype)
        return result


def _is_closed(points: list[Floats]) -> bool:
    """Whether the first column of a grid lies one step beyond the last, as around the earth."""
    step = [axis[:, -1] - axis[:, -2] for axis in points]
    beyond = [axis[:, 0] - axis[:, -1] - last for axis, last in zip(points, step, strict=True)]
    with np.errstate(invalid="ignore"):
        near = _dot(tuple(beyond), tuple(beyond)) < _dot(tuple(step), tuple(step)) / 4
    return bool(near.sum() > near.size / 2)


def _dot(one: Points, other: Points) -> Floats:
    return np.asarray(sum(a * b for a, b in zip(one, other, strict=True)))


def _whole(steps: Floats, most: int) -> Indices:
    """Steps rounded, none where they are not known."""
    whole: Indices = np.rint(np.clip(np.where(np.isnan(steps), 0, steps), -most, most)).astype(np.int32)
    return whole


def _steps(places: Floats, axis: int, *, closed: bool = False) -> Floats:
    """How far it is from each cell to the next along an axis; a step unlike those before and after does not count."""
    if closed:
        around = np.concatenate([places[:, -3:], places, places[:, :3]], axis=1)
        return np.ascontiguousarray(_steps(around, axis)[:, 3:-3])
    steps = _medians(np.moveaxis(np.diff(places, axis=axis), axis, 0))
    ends = np.concatenate([steps[:1], steps, steps[-1:]])
    before, after = ends[:-1], ends[1:]
    mean = (before + after) / 2
    return np.ascontiguousarray(np.moveaxis(np.where(np.isnan(mean), np.fmax(before, after), mean), 0, axis))


def _medians(steps: Floats) -> Floats:
    """The median of each value with those before and after it, along the first axis, NaN left out."""
    if len(steps) < 3:
        return steps
    before, after = np.concatenate([steps[1:2], steps[:-1]]), np.concatenate([steps[1:], steps[-2:-1]])
    low, high = np.fmin(before, steps), np.fmax(before, steps)
    medians: Floats = np.fmax(low, np.fmin(high, after))
    return medians


def _filled(lookup: Indices, levels: int) -> Indices:
    """The lookup with what is free taken from coarser and coarser ones."""
    if not levels or min(lookup.shape) < 2:
        return lookup
    starts = [np.arange(0, length - 1, 2) for length in lookup.shape]
    coarser = np.maximum.reduceat(np.maximum.reduceat(lookup, starts[0], axis=0), starts[1], axis=1)
    wide = _filled(coarser, levels - 1).repeat(2, axis=0).repeat(2, axis=1)
    rest = [(0, length - doubled) for length, doubled in zip(lookup.shape, wide.shape, strict=True)]
    return np.where(lookup < 0, np.pad(wide, rest, mode="edge"), lookup)
