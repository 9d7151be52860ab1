"""Interpolate between the cells of a grid by bilinear or cubic weights.

::

    positions ─► first cell, fractions ─► 2 × 2 or 4 × 4 cells ─► blend along x ─► blend along y ─► values
                                                                             └─ beside missing cells ─► valid cells only

Missing cells are treated as GDAL's warp treats them:

- A pixel whose center is in a missing cell is missing.
- `bilinear` uses the valid cells among four cells. Their weights are scaled so that the sum is 1.
- `cubic` (Catmull-Rom, a = -0.5) falls back to `bilinear` if one of the 16 cells is missing.

Cells outside the grid count as missing. If a panel is coarser than the grid, GDAL widens the weights, so that it uses
all cells within a pixel. This module leaves such panels to `geo.reduction` and to GDAL.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.grid import Lattice
from regionplot.geo.kernels import Kernel, blend
from regionplot.geo.mesh import AxisPositions, Bounds, Floats, Indices
from regionplot.geo.patch import Patch, has_patch
from regionplot.geo.scratch import Scratch, take
from regionplot.geo.smooth import SmoothPositions
from regionplot.geo.strips import row_strips
from regionplot.geo.turns import whole_turns

_MAX_CELLS_PER_PIXEL = 1.05
"""Maximum number of cells along a pixel. GDAL widens the weights if there are more."""
_MIN_CELLS = 2
"""Minimum number of rows and columns of a grid. GDAL does not interpolate in smaller grids."""
_MARGIN = 3
"""Cells on each side of the outermost cells: two for a cubic, and one for rounding."""
_LARGEST_EXACT = 2**24
"""Largest number up to which single precision holds all integers."""
_HALF = 0.5
"""Distance from the center of a cell to its edge."""
_BEYOND = 1.0
"""Distance from the grid to which positions outside the grid are moved, in cells. Such pixels are missing anyway."""


def interpolate(
    values: NDArray[Any],
    lattice: Lattice,
    positions: AxisPositions | SmoothPositions,
    kernel: Kernel,
) -> Floats | None:
    """Return interpolated values at the pixels of a panel.

    Parameters
    ----------
    values, lattice
        The grid.
    positions : AxisPositions or SmoothPositions
        The grid position of each pixel.
    kernel : Kernel
        The weights of the cells.

    Returns
    -------
    ndarray, shape (height, width) of the panel, or None
        NaN at missing pixels. None if the panel is coarser than the grid, if the grid has a single row or column, or if
        the panel crosses the edge of a grid around the earth, and 360° are not a whole number of columns.
    """
    turns, bounds = _bounds_in_grid(lattice, positions)
    if not _is_fine(lattice, bounds, positions.shape):
        return None
    patch = Patch.around(values, lattice, bounds, _MARGIN)
    if patch is None:
        return None
    frame = _Frame.of(patch, bounds, turns, kernel)
    result, scratch = np.empty(positions.shape, patch.cells.dtype), Scratch()
    with np.errstate(over="ignore", invalid="ignore"):  # values that are not finite are computed again
        for rows in row_strips(*positions.shape):
            with scratch.released():
                strip = _strip_of(positions, rows, frame, scratch)
                result[rows] = strip.blend(scratch)
                _fill_holes(result[rows], strip)
    return result


def is_interpolated(lattice: Lattice, positions: AxisPositions | SmoothPositions) -> bool:
    """Return True if `interpolate` returns values for all cells of such a grid."""
    _, bounds = _bounds_in_grid(lattice, positions)
    return _is_fine(lattice, bounds, positions.shape) and has_patch(lattice, bounds, _MARGIN)


def _bounds_in_grid(lattice: Lattice, positions: AxisPositions | SmoothPositions) -> tuple[float, Bounds]:
    """Return the columns of whole turns to subtract from all positions, and the bounds of the positions after this."""
    bounds = positions.bounds
    turns = whole_turns(bounds, lattice)
    return turns, _near_grid(bounds.shifted(-turns), lattice)


def _is_fine(lattice: Lattice, bounds: Bounds, shape: tuple[int, int]) -> bool:
    """Return True if GDAL interpolates in the grid, and the panel is not coarser than the grid."""
    return min(lattice.height, lattice.width) >= _MIN_CELLS and not _is_coarser(bounds, shape)


def _near_grid(bounds: Bounds, lattice: Lattice) -> Bounds:
    """Return bounds without the parts that are far from the grid. Columns in degrees are not limited."""
    top, bottom = np.clip((bounds.top, bounds.bottom), -_BEYOND, lattice.height + _BEYOND)
    if lattice.columns_per_turn is not None:
        return Bounds(bounds.left, bounds.right, float(top), float(bottom))
    left, right = np.clip((bounds.left, bounds.right), -_BEYOND, lattice.width + _BEYOND)
    return Bounds(float(left), float(right), float(top), float(bottom))


def _is_coarser(bounds: Bounds, shape: tuple[int, int]) -> bool:
    """Return True if a panel has fewer pixels than cells along x or y. Bounds are those of the pixel centers.

    Return True also for a panel of one row or column, because its bounds do not show the size of a pixel.
    """
    columns, rows = bounds.right - bounds.left, bounds.bottom - bounds.top
    steps = shape[1] - 1, shape[0] - 1
    return min(steps) < 1 or columns > _MAX_CELLS_PER_PIXEL * steps[0] or rows > _MAX_CELLS_PER_PIXEL * steps[1]


@dataclass(frozen=True)
class _Frame:
    """The cells of a patch, and the way to count positions in it.

    Positions are counted from the center of the cell before which a kernel has `kernel.base` cells. The integer part of
    a position is then the first cell of its kernel.
    """

    cells: Floats
    """Values, shape (rows, columns)."""
    kernel: Kernel
    """The weights of the cells."""
    origin: tuple[float, float]
    """Column and row of the grid to subtract from the positions in the grid."""
    limits: Bounds
    """Limits of the positions in the frame. Positions beyond them are moved to them."""

    @classmethod
    def of(cls, patch: Patch, bounds: Bounds, turns: float, kernel: Kernel) -> _Frame:
        """Return the frame of a patch.

        Parameters
        ----------
        patch : Patch
            The cells.
        bounds : Bounds
            Bounds of the positions in the grid.
        turns : float
            Columns to subtract from the positions first.
        kernel : Kernel
            The weights of the cells.
        """
        column, row = patch.column + kernel.base + _HALF, patch.row + kernel.base + _HALF
        return cls(patch.cells, kernel, (column + turns, row), bounds.shifted(-column, -row))

    def split(self, x: Floats, y: Floats, scratch: Scratch) -> tuple[Floats, Floats]:
        """Limit positions and split them. Return the first column and row of each kernel.

        The distances from the centers of the base cells, 0 to 1, remain in `x` and `y`.
        """
        limits = self.limits
        return _split(x, limits.left, limits.right, scratch), _split(y, limits.top, limits.bottom, scratch)


def _split(position: Floats, low: float, high: float, scratch: Scratch) -> Floats:
    """Limit positions. Return their integer part. The rest remains in `position`."""
    np.clip(position, low, high, out=position)
    cell = np.floor(position, out=scratch.empty(position.shape, position.dtype))
    position -= cell
    return cell


class _Strip(Protocol):
    """Some rows of a panel."""

    @property
    def frame(self) -> _Frame:
        """The cells."""
        ...

    def blend(self, scratch: Scratch) -> Floats:
        """Return the value of each pixel. The value is not finite if a cell of the kernel is missing."""
        ...

    def places(self, pixels: Indices) -> tuple[Indices, Indices, Floats, Floats]:
        """Return first row and column of the kernel, and the distances y and x, for indices of pixels."""
        ...


@dataclass(frozen=True)
class _PixelStrip:
    """A strip in which each pixel has its own column and row."""

    frame: _Frame
    """The cells."""
    first: Indices
    """Index of the first cell of the kernel in the flattened cells, shape (rows of the strip, width)."""
    x: Floats
    """Distance from the center of the base cell along x, 0 to 1."""
    y: Floats
    """Distance from the center of the base cell along y, 0 to 1."""

    @classmethod
    def of(cls, positions: SmoothPositions, rows: slice, frame: _Frame, scratch: Scratch) -> _PixelStrip:
        """Return the strip for some rows of a panel."""
        x, y = positions.at(np.arange(rows.start, rows.stop), frame.origin, frame.cells.dtype, scratch)
        first = scratch.empty(x.shape, np.dtype(np.intp))
        with scratch.released():
            column, row = frame.split(x, y, scratch)
            if frame.cells.size > _LARGEST_EXACT:
                column, row = column.astype(np.float64), row.astype(np.float64)
            row *= frame.cells.shape[1]
            row += column
            index = scratch.empty(x.shape, np.dtype(np.int32))
            np.copyto(index, row, casting="unsafe")  # in two steps, because NumPy has no fast conversion to int64
            np.copyto(first, index)
        return cls(frame, first, x, y)

    def blend(self, scratch: Scratch) -> Floats:
        """See `_Strip`."""
        flat, width, kernel = self.frame.cells.ravel(), self.frame.cells.shape[1], self.frame.kernel
        along_x, along_y = kernel.weights(self.x, scratch), kernel.weights(self.y, scratch)
        lines = []
        for line in kernel.cells:
            lines.append(take(flat[line * width + kernel.base :], self.first, 0, scratch))
            with scratch.released():
                others = [take(flat[line * width + cell :], self.first, 0, scratch) for cell in kernel.others]
                blend([lines[-1], *others], along_x)
        return blend(lines, along_y)

    def places(self, pixels: Indices) -> tuple[Indices, Indices, Floats, Floats]:
        """See `_Strip`."""
        row, column = np.divmod(self.first.ravel()[pixels], self.frame.cells.shape[1])
        return row, column, self.y.ravel()[pixels], self.x.ravel()[pixels]


@dataclass(frozen=True)
class _AxisStrip:
    """A strip whose columns and rows are parallel to the columns and rows of the grid."""

    frame: _Frame
    """The cells."""
    column: Indices
    """First column of the kernel for each column of the panel."""
    row: Indices
    """First row of the kernel for each row of the strip."""
    x: Floats
    """Distance from the center of the base cell for each column of the panel, 0 to 1."""
    y: Floats
    """Distance from the center of the base cell for each row of the strip, 0 to 1."""

    @classmethod
    def of(cls, positions: AxisPositions, rows: slice, frame: _Frame, scratch: Scratch) -> _AxisStrip:
        """Return the strip for some rows of a panel."""
        x, y = positions.column - frame.origin[0], positions.row[rows] - frame.origin[1]
        column, row = frame.split(x, y, scratch)
        x, y = x.astype(frame.cells.dtype), y.astype(frame.cells.dtype)
        return cls(frame, column.astype(np.intp), row.astype(np.intp), x, y)

    def blend(self, scratch: Scratch) -> Floats:
        """See `_Strip`."""
        kernel, top = self.frame.kernel, self.row.min()
        needed = self.frame.cells[top : self.row.max() + len(kernel.cells)]
        along_x, along_y = kernel.weights(self.x, scratch), kernel.weights(self.y[:, None], scratch)
        lines = blend([take(needed, self.column + cell, 1, scratch) for cell in kernel.cells], along_x)
        return blend([take(lines, self.row - top + cell, 0, scratch) for cell in kernel.cells], along_y)

    def places(self, pixels: Indices) -> tuple[Indices, Indices, Floats, Floats]:
        """See `_Strip`."""
        row, column = np.divmod(pixels, self.column.size)
        return self.row[row], self.column[column], self.y[row], self.x[column]


def _strip_of(positions: AxisPositions | SmoothPositions, rows: slice, frame: _Frame, scratch: Scratch) -> _Strip:
    """Return the strip for some rows of a panel."""
    if isinstance(positions, AxisPositions):
        return _AxisStrip.of(positions, rows, frame, scratch)
    return _PixelStrip.of(positions, rows, frame, scratch)


def _fill_holes(values: Floats, strip: _Strip) -> None:
    """Compute pixels beside missing cells again, from valid cells only. Pixels in missing cells become NaN."""
    holes = np.flatnonzero(~np.isfinite(values))
    if not holes.size:
        return
    cells, base = strip.frame.cells, strip.frame.kernel.base
    row, column, y, x = strip.places(holes)
    row, column = row + base, column + base
    own = cells[row + (y >= _HALF), column + (x >= _HALF)]
    valid = ~np.isnan(own)
    filled = _mean_of_valid(cells, row[valid], column[valid], y[valid], x[valid])
    flat = values.reshape(-1)
    flat[holes] = np.nan
    flat[holes[valid]] = filled


def _mean_of_valid(cells: Floats, row: Indices, column: Indices, y: Floats, x: Floats) -> Floats:
    """Return the bilinear mean of the valid cells among four cells, in double precision.

    `row` and `column` are those of the first of the four cells.
    """
    total, weight = np.zeros(x.shape), np.zeros(x.shape)
    for down, along_y in ((0, 1.0 - y), (1, y)):
        for across, along_x in ((0, 1.0 - x), (1, x)):
            value = cells[row + down, column + across].astype(np.float64)
            share = np.where(np.isnan(value), 0.0, along_y.astype(np.float64) * along_x)
            total += np.where(share > 0, share * value, 0.0)
            weight += share
    return total / weight
