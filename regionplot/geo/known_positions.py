"""Sample a grid at known positions. No CRS is needed, so runs that know the positions import no pyproj."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.axis_cells import CellsByAxis
from regionplot.geo.grid import Lattice
from regionplot.geo.interpolation import interpolate, is_interpolated
from regionplot.geo.kernels import KERNELS
from regionplot.geo.mesh import AxisPositions, Floats, Mesh, Positions
from regionplot.geo.pixel_cells import CellsByPixel
from regionplot.geo.reduction import reduce_cells, reduces
from regionplot.geo.smooth import SmoothPositions

KnownPositions = AxisPositions | Positions | SmoothPositions
"""Positions of all pixels of a panel, from few numbers."""
_MESHES: dict[str, type[Positions | SmoothPositions]] = {"linear": Positions, "cubic": SmoothPositions}


def values_at(
    values: NDArray[Any], lattice: Lattice, positions: KnownPositions, resampling: str, fill: int | None = None
) -> NDArray[Any] | None:
    """Return the values of a grid at the pixels of a panel.

    Parameters
    ----------
    values : ndarray, shape (rows, columns)
        Cells of the grid.
    lattice : Lattice
        Rows and columns of the grid.
    positions : AxisPositions, Positions or SmoothPositions
        The grid position of each pixel. Interpolated values need `AxisPositions` or `SmoothPositions`.
    resampling : {"nearest", "bilinear", "cubic"}
        Resampling method.
    fill : int, optional
        See `sampling.sample`.

    Returns
    -------
    ndarray, shape (height, width) of the panel, or None
        None if GDAL must warp. See `interpolation.interpolate` and `reduction.reduce_cells`.
    """
    if resampling in KERNELS:
        assert not isinstance(positions, Positions), "these positions are not accurate enough"
        if isinstance(positions, AxisPositions) and reduces(lattice, positions):
            return reduce_cells(values, lattice, positions, resampling)
        return interpolate(values, lattice, positions, KERNELS[resampling])
    if isinstance(positions, AxisPositions):
        return CellsByAxis.of(lattice, positions).sample(values, fill).values
    return CellsByPixel(lattice, positions).sample(values, fill).values


def is_known(positions: KnownPositions, lattice: Lattice, resampling: str) -> bool:
    """Return True if `values_at` samples any cells at these positions."""
    if resampling not in KERNELS:
        return True
    if isinstance(positions, Positions):
        return False
    is_reduced = isinstance(positions, AxisPositions) and reduces(lattice, positions)
    return is_reduced or is_interpolated(lattice, positions)


def can_sample(positions: KnownPositions, resampling: str) -> bool:
    """Return True if the positions suit a resampling method, and all numbers are finite."""
    is_suitable = not isinstance(positions, Positions) if resampling in KERNELS else resampling == "nearest"
    return is_suitable and all(bool(np.isfinite(array).all()) for array in position_arrays(positions))


def position_arrays(positions: KnownPositions) -> tuple[Floats, Floats]:
    """Return the columns and the rows from which `positions_from` makes the positions again."""
    source = positions if isinstance(positions, AxisPositions) else positions.mesh
    return source.column, source.row


def position_items(positions: KnownPositions) -> list[Any]:
    """Return values for JSON from which `positions_from` makes the positions again."""
    if isinstance(positions, AxisPositions):
        return ["axes", *positions.shape]
    mesh = positions.mesh
    kind = next(name for name, found in _MESHES.items() if isinstance(positions, found))
    return [kind, mesh.height, mesh.width, mesh.step, *mesh.column.shape]


def positions_from(items: Sequence[Any], columns: Floats, rows: Floats) -> KnownPositions:
    """Return kept positions.

    Parameters
    ----------
    items : sequence
        Values from `position_items`.
    columns, rows : ndarray, shape (n,)
        Numbers from `position_arrays`, perhaps followed by the numbers of other positions.

    Raises
    ------
    ValueError
        If there are too few numbers.
    KeyError
        If the kind of the positions is unknown.
    """
    kind, height, width, *mesh = items
    if kind == "axes":
        return AxisPositions(columns[:width], rows[:height])
    step, down, across = mesh
    column, row = (array[: down * across].reshape(down, across) for array in (columns, rows))
    return _MESHES[kind].on(Mesh(height, width, step, column, row))
