"""Reduce a grid to the pixels of a coarser panel, whose columns and rows are parallel to those of the grid.

::

    positions ─► cells of each pixel, weights ─► sum over rows ─► sum over columns ─► values

GDAL's warp widens the weights of `bilinear` and `cubic` by the number of cells per pixel if a panel is coarser than the
grid. The weights of a pixel are then products of weights along x and y. This module computes the same sums along one
axis after the other, which takes fewer operations. It uses double precision, so that equal cells give their value.

Missing cells are treated as GDAL treats them: the weights of the other cells are scaled so that their sum is 1. A pixel
whose center is in a missing cell is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.dtypes import float_dtype
from regionplot.geo.grid import Lattice
from regionplot.geo.mesh import AxisPositions, Floats, Indices
from regionplot.geo.scratch import Scratch, take
from regionplot.geo.turns import whole_turns

_COARSE = 1 / 0.95
"""Number of cells per pixel along an axis above which GDAL widens the weights."""
_NEAR_INTEGER = 0.05
"""Maximum difference from an integer for which GDAL rounds the number of cells per pixel."""
_ROUNDING = 1e-6
"""Maximum rounding error of a position, in cells."""
_MAX_RADIUS = 2
"""Largest radius of the weights, in pixels."""
_MIN_WEIGHT = 1e-6
"""Minimum sum of the weights of valid cells. GDAL has no value for pixels with a smaller sum."""
_MIN_PIXELS = 2
"""Minimum number of rows and columns of a panel, because the positions must show the size of a pixel."""
_STRIP_CELLS = 2**19
"""Number of cells to process at a time."""
_HALF = 0.5


def _triangle(distance: Floats) -> Floats:
    weights: Floats = np.maximum(1 - np.abs(distance), 0)
    return weights


def _catmull_rom(distance: Floats) -> Floats:
    """Return the weights of Keys (1981), doi:10.1109/TASSP.1981.1163711, a = -0.5."""
    x = np.abs(distance)
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


_FILTERS: dict[str, tuple[int, Callable[[Floats], Floats]]] = {"bilinear": (1, _triangle), "cubic": (2, _catmull_rom)}
"""Radius in pixels, and weights for distances in pixels, by the name of the resampling method."""


@dataclass(frozen=True)
class _Axis:
    """The cells that each pixel of a row or a column of the panel needs."""

    first: Indices
    """First cell of each pixel. It can be outside the grid."""
    weights: Floats
    """Weights of the cells from the first one, shape (cells, pixels). Zero outside the grid."""
    own: Indices
    """The cell at the center of each pixel."""
    inside: slice
    """The pixels of the panel whose centers are in the grid. The other fields are about these pixels."""

    @classmethod
    def of(cls, positions: Floats, length: int, end: float, resampling: str) -> _Axis:
        """Return the cells for increasing positions of pixel centers in a grid of a length.

        GDAL treats `end` as the end of the grid.
        """
        radius, weigh = _FILTERS[resampling]
        widening, inside = max(_cells_per_pixel(positions, end), 1.0), _pixels_in_grid(positions, length)
        positions = positions[inside]
        reach = int(np.ceil(radius * widening))
        centers = positions - _HALF
        base = np.floor(centers)
        offsets = np.arange(1 - reach, reach + 1)[:, None]
        weights = weigh((offsets - (centers - base)) / widening)
        cell = base + offsets
        weights[(cell < 0) | (cell >= length)] = 0
        own = np.floor(positions).astype(np.intp)
        return cls(cell[0].astype(np.intp), weights / weights.sum(axis=0), own, inside)

    def part(self, pixels: slice, length: int) -> tuple[_Axis, slice]:
        """Return the part for some pixels, with cells counted from the returned range of cells in the grid."""
        first = self.first[pixels]
        cells = slice(max(int(first[0]), 0), min(int(first[-1]) + len(self.weights), length))
        return _Axis(first - cells.start, self.weights[:, pixels], self.own[pixels] - cells.start, self.inside), cells


def reduces(lattice: Lattice, positions: AxisPositions) -> bool:
    """Return True if `reduce_cells` returns values for finite cells.

    The panel must be coarser than the grid along at least one axis. It must not extend beyond the first row and the
    first column, because GDAL then widens the weights in another way. It can extend beyond the first column of a grid
    in degrees, but not around the earth.
    """
    if min(positions.shape) < _MIN_PIXELS or positions.column[-1] < positions.column[0]:
        return False
    placed = _in_grid(lattice, positions)
    inside = _pixels_in_grid(placed.column, lattice.width), _pixels_in_grid(placed.row, lattice.height)
    across, down = (
        _cells_per_pixel(placed.column, np.inf),
        _cells_per_pixel(_in_increasing_order(placed.row), lattice.height),
    )
    return (
        max(across, down) > _COARSE
        and placed.bounds.top >= down / 2 - _ROUNDING
        and (lattice.columns_per_turn is not None or placed.bounds.left >= across / 2 - _ROUNDING)
        and all(part.stop > part.start for part in inside)
        and not _shows_columns_of_next_turn(lattice, placed, _MAX_RADIUS * max(across, 1.0) + 1)
    )


def _shows_columns_of_next_turn(lattice: Lattice, placed: AxisPositions, reach: float) -> bool:
    """Return True if a panel shows columns that lie a turn before or after columns of the grid."""
    turn, bounds = lattice.columns_per_turn, placed.bounds
    if turn is None:
        return False
    is_within = bounds.left >= 0 and bounds.right <= lattice.width and lattice.width < turn - reach
    is_apart = bounds.left - reach > lattice.width - turn and bounds.right + reach < turn
    return not (is_within or is_apart)


def _in_grid(lattice: Lattice, positions: AxisPositions) -> AxisPositions:
    """Return positions with columns that are shifted by whole turns, so that their middle is in the first 360°."""
    turns = whole_turns(positions.bounds, lattice)
    return AxisPositions(positions.column - turns, positions.row)


def _in_increasing_order(positions: Floats) -> Floats:
    """Return positions in increasing order."""
    return positions[::-1] if positions[0] > positions[-1] else positions


def _pixels_in_grid(positions: Floats, length: int) -> slice:
    """Return the pixels whose centers are in a grid of a length."""
    found = np.flatnonzero((positions >= 0) & (positions < length))
    return slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 0)


def _cells_per_pixel(positions: Floats, length: float) -> float:
    """Return the number of cells per pixel with which GDAL widens the weights.

    GDAL counts the cells from the first edge of the panel to its last edge. If the grid ends before, the cells to the
    end of the grid count. This number is divided by the number of pixels of the panel.
    """
    size = float(positions[-1] - positions[0]) / (positions.size - 1)
    beyond = max(float(positions[-1]) + size / 2 - length, 0.0)
    ratio = size - beyond / positions.size
    whole = round(ratio)
    return float(whole) if whole >= 1 and abs(ratio - whole) < _NEAR_INTEGER else ratio


def reduce_cells(values: NDArray[Any], lattice: Lattice, positions: AxisPositions, resampling: str) -> Floats | None:
    """Return the weighted means of the cells at the pixels of a panel.

    Parameters
    ----------
    values, lattice
        The grid.
    positions : AxisPositions
        The grid position of each pixel.
    resampling : {"bilinear", "cubic"}
        The weights.

    Returns
    -------
    ndarray, shape (height, width) of the panel, or None
        NaN at missing pixels. None if `reduces` is False, or if a cell is infinite.
    """
    if not reduces(lattice, positions):
        return None
    placed = _in_grid(lattice, positions)
    end = np.inf if lattice.columns_per_turn is not None else lattice.width  # columns in degrees do not end
    columns = _Axis.of(placed.column, lattice.width, end, resampling)
    rows = _Axis.of(_in_increasing_order(placed.row), lattice.height, lattice.height, resampling)
    result = np.full(positions.shape, np.nan, float_dtype(values.dtype))
    inside = (result[::-1] if placed.row[0] > placed.row[-1] else result)[rows.inside, columns.inside]
    across, needed = columns.part(slice(None), lattice.width)
    for pixels in _strips(rows, needed.stop - needed.start):
        down, lines = rows.part(pixels, lattice.height)
        found = _means(values[lines, needed].astype(np.float64), down, across)
        if found is None:
            return None
        inside[pixels] = found
    return result


def _strips(rows: _Axis, width: int) -> Iterator[slice]:
    """Return slices of panel rows. The cells of each slice take some megabytes."""
    cells_per_row = 1 + int(rows.first[-1] - rows.first[0]) // rows.first.size
    lines = max(_STRIP_CELLS // width - len(rows.weights), 1)
    step = max(1, lines // cells_per_row)
    return (slice(first, min(first + step, rows.first.size)) for first in range(0, rows.first.size, step))


def _means(cells: Floats, rows: _Axis, columns: _Axis) -> Floats | None:
    """Return the weighted means of valid cells. Return None if a cell is infinite."""
    valid = np.isfinite(cells)
    if valid.all():
        return _sums(cells, rows, columns)
    if np.isinf(cells).any():
        return None
    means = _sums(np.where(valid, cells, 0), rows, columns)
    weights = _sums(valid.astype(cells.dtype), rows, columns)
    own = cells[np.ix_(rows.own, columns.own)]
    is_lost = np.isnan(own) | (weights < _MIN_WEIGHT)
    means /= np.where(is_lost, 1, weights)
    np.copyto(means, own, where=is_lost)
    return means


def _sums(cells: Floats, rows: _Axis, columns: _Axis) -> Floats:
    """Return the sums of weighted cells: first over rows, which are contiguous, then over columns."""
    lines = np.empty((rows.first.size, cells.shape[1]), cells.dtype)
    down = np.ascontiguousarray(rows.weights.T)
    for line, first in enumerate(rows.first):
        low, high = max(first, 0), min(first + down.shape[1], len(cells))
        np.matmul(down[line, low - first : high - first], cells[low:high], out=lines[line])
    scratch = Scratch()
    sums = np.zeros((len(lines), columns.first.size), cells.dtype)
    for offset, weights in enumerate(columns.weights):
        with scratch.released():
            picked = take(lines, np.clip(columns.first + offset, 0, cells.shape[1] - 1), 1, scratch)
            picked *= weights
            sums += picked
    return sums
