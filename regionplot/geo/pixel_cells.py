"""Pick the nearest cells of a grid that is rotated, or has another CRS than the map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.axis_cells import Change, Sample
from regionplot.geo.dtypes import float_dtype
from regionplot.geo.grid import Lattice
from regionplot.geo.jumps import beside_seams
from regionplot.geo.mesh import Bounds, Floats, Positions
from regionplot.geo.smooth import SmoothPositions

_ROUNDING = 1e-6
"""Maximum rounding error of a position, in cells."""


class ComputedPositions(Protocol):
    """Grid positions that are computed for each pixel, such as `positions.ExactPositions`."""

    def strips(self) -> Iterator[tuple[Floats, Floats]]:
        """See `mesh.Positions.strips`."""
        ...


@dataclass(frozen=True)
class CellsByPixel:
    """Grid cells of a panel, for a grid that is rotated or has another CRS than the map.

    Positions are computed in strips, because the array of positions for a whole panel takes about ten megabytes.
    """

    lattice: Lattice
    positions: Positions | SmoothPositions | ComputedPositions

    @property
    def inside(self) -> NDArray[np.bool_]:
        """See `sampling`."""
        if isinstance(self.positions, Positions | SmoothPositions) and self._offset is not None:
            return np.broadcast_to(np.True_, self.positions.shape)  # the usual case; needs no memory per pixel
        return np.concatenate([inside for _, _, inside in self._strips()])

    @property
    def _offset(self) -> float | None:
        """The number of columns to add, so that all pixels are in the grid. None if this is not possible."""
        if not isinstance(self.positions, Positions | SmoothPositions):
            return None
        bounds, period = self.positions.bounds, self.lattice.columns_per_turn or 0.0
        offsets = (turn * period for turn in (0, 1, -1))
        return next((offset for offset in offsets if _lies_within(bounds.shifted(offset), self.lattice)), None)

    @property
    def has_seams(self) -> bool:
        """See `sampling`. Positions at a seam cannot be interpolated."""
        return not isinstance(self.positions, Positions | SmoothPositions)

    @property
    def torn(self) -> NDArray[np.bool_] | None:
        """See `sampling`."""
        if not self.has_seams:
            return None
        strips = list(self.positions.strips())
        column, row = (np.concatenate(parts) for parts in zip(*strips, strict=True))
        return beside_seams(column, row)

    def sample(self, values: NDArray[Any], fill: int | None, change: Change | None = None) -> Sample:
        """See `sampling`."""
        change = change or (lambda strip: strip)
        missing, dtype = (np.nan, float_dtype(values.dtype)) if fill is None else (fill, values.dtype)
        if (offset := self._offset) is not None:
            picked = (self._pick(values, row, column + offset) for column, row in self.positions.strips())
            return Sample(np.concatenate([change(strip.astype(dtype, copy=False)) for strip in picked]), self.inside)
        cells, sampled, masks = values.ravel(), [], []
        for row, column, inside in self._strips():
            flat = np.where(inside, row, 0).astype(np.intp)
            flat *= self.lattice.width
            flat += np.where(inside, column, 0).astype(np.intp)
            strip = cells.take(flat).astype(dtype, copy=False)
            np.putmask(strip, ~inside, missing)
            sampled.append(change(strip))
            masks.append(inside)
        return Sample(np.concatenate(sampled), np.concatenate(masks))

    def _pick(self, values: NDArray[Any], row: Floats, column: Floats) -> NDArray[Any]:
        """Return the cells at some positions in the grid."""
        flat = row.astype(np.intp)
        flat *= self.lattice.width
        flat += column.astype(np.intp)
        return values.ravel().take(flat, mode="clip")

    def _strips(self) -> Iterator[tuple[Floats, Floats, NDArray[np.bool_]]]:
        """Yield (rows, columns, inside) for strips of the panel. Positions outside the projection are not finite."""
        height, width = self.lattice.height, self.lattice.width
        for column, row in self.positions.strips():
            column = self.lattice.wrapped(column)
            yield row, column, (row >= 0) & (row < height) & (column >= 0) & (column < width)


def _lies_within(bounds: Bounds, lattice: Lattice) -> bool:
    """Return True if all positions within some bounds are in the grid, and no column must be wrapped."""
    return (
        bounds.left >= _ROUNDING and bounds.right <= lattice.width - _ROUNDING
        and bounds.top >= _ROUNDING and bounds.bottom <= lattice.height - _ROUNDING
    )  # fmt: skip
