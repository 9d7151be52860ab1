"""Cut the cells of a grid that surround some positions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.dtypes import float_dtype
from regionplot.geo.grid import Lattice
from regionplot.geo.mesh import Bounds, Floats, Indices

_INTEGRAL = 1e-6
"""Maximum relative difference between the number of columns in 360° and an integer."""
_OUTSIDE = -1
"""Index for a column that the grid does not have."""


@dataclass(frozen=True)
class Patch:
    """Cells of a grid as floating-point numbers. Missing cells and cells outside the grid are NaN."""

    cells: Floats
    """Values, shape (rows, columns)."""
    column: int
    """Column of the grid at the left of the patch. It can be outside the grid."""
    row: int
    """Row of the grid at the top of the patch. It can be outside the grid."""

    @classmethod
    def around(cls, values: NDArray[Any], lattice: Lattice, bounds: Bounds, margin: int) -> Patch | None:
        """Return the cells around some positions.

        Parameters
        ----------
        values, lattice
            The grid.
        bounds : Bounds
            Bounds of the positions.
        margin : int
            Number of cells to add on each side.

        Returns
        -------
        Patch or None
            None if the patch crosses the edge of a grid around the earth, and 360° are not a whole number of columns.
        """
        left, right = _column_range(bounds, margin)
        top, bottom = int(np.floor(bounds.top)) - margin, int(np.floor(bounds.bottom)) + 1 + margin
        columns = _columns_of_grid(lattice, np.arange(left, right))
        if columns is None:
            return None
        cells = np.full((bottom - top, right - left), np.nan, float_dtype(values.dtype))
        first, end = max(top, 0), min(bottom, lattice.height)
        if first < end:
            _copy_columns(values[first:end], columns, cells[first - top : end - top])
        return cls(cells, left, top)


def has_patch(lattice: Lattice, bounds: Bounds, margin: int) -> bool:
    """Return True if `Patch.around` returns a patch."""
    return _columns_of_grid(lattice, np.arange(*_column_range(bounds, margin))) is not None


def _column_range(bounds: Bounds, margin: int) -> tuple[int, int]:
    """Return the first and the end column of a patch."""
    return int(np.floor(bounds.left)) - margin, int(np.floor(bounds.right)) + 1 + margin


def _columns_of_grid(lattice: Lattice, columns: Indices) -> Indices | None:
    """Return the column of the grid for each column of a patch, or `_OUTSIDE`.

    Return None if the columns must be repeated every 360°, but cannot be.
    """
    period, width = lattice.columns_per_turn, lattice.width
    if period is not None and (columns[0] < width - period or columns[-1] >= period):
        if abs(period - round(period)) > _INTEGRAL * period:
            return None
        columns = np.mod(columns, round(period))
    return np.where((columns >= 0) & (columns < width), columns, _OUTSIDE)


def _copy_columns(values: NDArray[Any], columns: Indices, target: Floats) -> None:
    """Copy columns of some cells, except columns that the grid does not have."""
    known = np.flatnonzero(columns != _OUTSIDE)
    if not known.size:
        return
    first, last = known[0], known[-1]
    if columns[last] - columns[first] == last - first == known.size - 1:
        target[:, first : last + 1] = values[:, columns[first] : columns[last] + 1]
    else:
        target[:, known] = values[:, columns[known]]
