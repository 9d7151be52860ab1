"""Sample a grid at known positions. No CRS is needed, so runs that know the positions import no pyproj."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from regionplot.geo.axis_cells import CellsByAxis
from regionplot.geo.grid import Lattice
from regionplot.geo.interpolation import interpolate
from regionplot.geo.kernels import KERNELS
from regionplot.geo.mesh import AxisPositions, Positions
from regionplot.geo.pixel_cells import CellsByPixel
from regionplot.geo.smooth import SmoothPositions

KnownPositions = AxisPositions | Positions | SmoothPositions
"""Positions of all pixels of a panel, from few numbers."""


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
        None if GDAL must warp. See `interpolation.interpolate`.
    """
    if resampling in KERNELS:
        assert not isinstance(positions, Positions), "these positions are not accurate enough"
        return interpolate(values, lattice, positions, KERNELS[resampling])
    if isinstance(positions, AxisPositions):
        return CellsByAxis.of(lattice, positions).sample(values, fill).values
    return CellsByPixel(lattice, positions).sample(values, fill).values
