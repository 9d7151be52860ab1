"""Compute gradients and cell sizes of a height grid, after Horn (1981), https://doi.org/10.1109/PROC.1981.11918."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.values import Values
from regionplot.errors import ConfigError
from regionplot.geo.crs import unit_size
from regionplot.geo.grid import GridGeometry, Window
from regionplot.prepare.base import BlockContext, Operation, StepSettings

_AT_POLE = 1e-9
"""Tolerance of latitudes at a pole, in radians (about 6 mm on the ground). It is needed because the cosine of a right
angle is not exactly 0 in floating point."""


class Terrain(StepSettings, Operation):
    """Base class of slope and hillshade. Both use the gradient from the eight neighbors of a cell."""

    z_factor: float

    @property
    def halo(self) -> int:
        """Return 1, because the result depends on the eight neighbors of a cell."""
        return 1

    def bind(self, geometry: GridGeometry) -> Operation:
        """Refuse a rotated grid."""
        if not geometry.is_axis_aligned:
            raise ConfigError("hillshade and slope need a grid that is not rotated; reproject it first")
        return self

    def apply(self, values: Values, context: BlockContext) -> Values:
        """Return the results. A missing neighbor gets the height of the cell itself."""
        across, down = cell_sizes(context.geometry, context.block.padded)
        return np.stack([self._apply_to_band(band, across, down) for band in values]).astype(values.dtype)

    def _apply_to_band(self, band: Values, across: NDArray[np.float64], down: NDArray[np.float64]) -> Values:
        east, north = _gradient(band.astype(np.float64))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            result = self.from_rise(east * self.z_factor / across, north * self.z_factor / down)
        return np.where(np.isnan(band), np.nan, result)

    def from_rise(self, east: NDArray[np.float64], north: NDArray[np.float64]) -> Values:
        """Return the result for a gradient.

        Parameters
        ----------
        east, north : ndarray, shape (rows, columns)
            Rise of the ground toward the east and the north, in meters per meter.
        """
        raise NotImplementedError


def _gradient(band: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the rise from column to column and from row to row. Missing cells give NaN."""
    height, width = band.shape
    around = np.pad(band, 1, constant_values=np.nan)

    def beside(down: int, right: int) -> NDArray[np.float64]:
        found = around[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        return np.where(np.isnan(found), band, found)

    above_left, above, above_right = (beside(-1, right) for right in (-1, 0, 1))
    below_left, below, below_right = (beside(1, right) for right in (-1, 0, 1))
    columns = (above_right + 2 * beside(0, 1) + below_right) - (above_left + 2 * beside(0, -1) + below_left)
    rows = (below_left + 2 * below + below_right) - (above_left + 2 * above + above_right)
    return columns / 8, rows / 8


def cell_sizes(geometry: GridGeometry, window: Window) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the width and height of cells in meters, for each row of a window; shape (rows, 1).

    Widths are negative if columns run to the west, and heights are negative if rows run to the south. In a grid in
    degrees, sizes are computed on the ellipsoid, at the latitude of the row. All rows of the grid are computed, so that
    the size of a cell does not depend on the window.
    """
    across, down = _row_sizes(geometry)
    rows = slice(window.row_off, window.row_off + window.height)
    return across[rows, None], down[rows, None]


def _row_sizes(geometry: GridGeometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    affine, count = geometry.transform, geometry.height
    if not geometry.crs.is_geographic:
        unit = unit_size(geometry.crs)
        return np.full(count, affine.a * unit), np.full(count, affine.e * unit)
    latitude = np.radians(affine.e * (np.arange(count) + 0.5) + affine.f)
    ellipsoid = geometry.crs.ellipsoid
    assert ellipsoid is not None, "a geographic CRS has an ellipsoid"
    axis, polar = ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre
    eccentricity = 1 - (polar / axis) ** 2
    curvature = 1 - eccentricity * np.sin(latitude) ** 2
    along_parallel = axis * np.cos(latitude) / np.sqrt(curvature)
    along_meridian = axis * (1 - eccentricity) / curvature**1.5
    degree = np.pi / 180
    along_parallel[np.abs(latitude) >= np.pi / 2 - _AT_POLE] = np.nan  # a cell has no width at a pole or beyond
    return affine.a * degree * along_parallel, affine.e * degree * along_meridian
