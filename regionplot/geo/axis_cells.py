"""Pick the nearest cells of a grid whose rows and columns are parallel to those of a map panel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.dtypes import float_dtype
from regionplot.geo.strips import row_strips

if TYPE_CHECKING:
    from regionplot.geo.grid import Lattice
    from regionplot.geo.mesh import AxisPositions

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.signedinteger[Any]]
Change = Callable[[NDArray[Any]], NDArray[Any]]
"""Function of some rows of sampled values. It returns an array of the same shape."""


_UNCHECKED: Literal["clip"] = "clip"
"""Mode of `numpy.take` without an error for each index out of range. It is faster, and all indices are in the range."""


@dataclass(frozen=True)
class Sample:
    """Values of a grid at the pixels of a panel."""

    values: NDArray[Any]
    """Values, shape (height, width) of the panel. Row 0 is in the north. Pixels outside the grid are NaN or `fill`."""
    inside: NDArray[np.bool_]
    """True for pixels whose center is in the grid, with or without data. Broadcasts to the shape of `values`."""


@dataclass(frozen=True)
class CellsByAxis:
    """Grid cells of a panel whose columns and rows are parallel to the columns and rows of the grid."""

    columns: Indices
    """Grid column for each panel column; -1 outside the grid."""
    rows: Indices
    """Grid row for each panel row; -1 outside the grid."""
    has_seams: ClassVar[bool] = False
    torn: ClassVar[None] = None

    @classmethod
    def of(cls, lattice: Lattice, positions: AxisPositions) -> CellsByAxis:
        """Return the cells at some positions."""
        columns = _cell_index(lattice.wrapped(positions.column), lattice.width)
        return cls(columns, _cell_index(positions.row, lattice.height))

    @property
    def inside(self) -> NDArray[np.bool_]:
        """See `sampling`."""
        columns, rows = self.columns >= 0, self.rows >= 0
        if columns.all() and rows.all():  # the usual case; needs no memory per pixel
            return np.broadcast_to(np.True_, (rows.size, columns.size))
        return np.asarray(rows[:, None] & columns)

    def sample(self, values: NDArray[Any], fill: int | None, change: Change | None = None) -> Sample:
        """See `sampling`."""
        if change is None:
            return Sample(self._values(values, fill), self.inside)
        strips = (CellsByAxis(self.columns, self.rows[rows]) for rows in row_strips(self.rows.size, self.columns.size))
        return Sample(np.concatenate([change(strip._values(values, fill)) for strip in strips]), self.inside)

    def _values(self, values: NDArray[Any], fill: int | None) -> NDArray[Any]:
        dtype = float_dtype(values.dtype) if fill is None else values.dtype
        rows_in, columns_in = np.flatnonzero(self.rows >= 0), np.flatnonzero(self.columns >= 0)
        picked = _pick(values, self.rows[rows_in], self.columns[columns_in]).astype(dtype, copy=False)
        if picked.shape == (self.rows.size, self.columns.size):
            return picked
        result = np.full((self.rows.size, self.columns.size), np.nan if fill is None else fill, dtype)
        result[np.ix_(rows_in, columns_in)] = picked
        return result


def _pick(values: NDArray[Any], rows: Indices, columns: Indices) -> NDArray[Any]:
    """Return `values[rows][:, columns]`. First index the axis that gives the smaller intermediate array."""
    if not rows.size or not columns.size:
        return np.empty((rows.size, columns.size), values.dtype)
    top, left = rows.min(), columns.min()
    part = values[top : rows.max() + 1, left : columns.max() + 1]
    if part.shape[0] < rows.size:
        return np.asarray(part.take(columns - left, axis=1, mode=_UNCHECKED).take(rows - top, axis=0, mode=_UNCHECKED))
    return np.asarray(part[rows - top].take(columns - left, axis=1, mode=_UNCHECKED))


def _cell_index(position: Floats, length: int) -> Indices:
    """Return the integer column or row for fractional positions along an axis, or -1 outside the grid."""
    index = np.floor(position)
    return np.where((index >= 0) & (index < length), index, -1).astype(np.intp)
