"""Hillshade and slope of a height grid, after Horn (1981), https://doi.org/10.1109/PROC.1981.11918."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from regionplot.blocks.values import Values
from regionplot.errors import ConfigError
from regionplot.geo.grid import GridGeometry, Window
from regionplot.prepare.base import BlockContext, Operation

_BRIGHTEST = 255.0


_AT_POLE = 1e-9
"""Radians; some millimetres on the ground. The cosine of a right angle is not quite 0, and so says nothing."""


class _Terrain(Operation):
    """What slopes and shading share: the eight neighbours, and how far apart cells are."""

    z_factor: float

    @property
    def halo(self) -> int:
        """See `Operation`."""
        return 1

    def on(self, geometry: GridGeometry) -> Operation:
        """See `Operation`."""
        if not geometry.is_axis_aligned:
            raise ConfigError("hillshade and slope need a grid that is not rotated; reproject it first")
        return self

    def apply(self, values: Values, site: BlockContext) -> Values:
        """See `Operation`; a neighbour that is missing is taken to be as high as the cell itself."""
        across, down = cell_sizes(site.geometry, site.block.padded)
        return np.stack([self._of_band(band, across, down) for band in values]).astype(values.dtype)

    def _of_band(self, band: Values, across: NDArray[np.float64], down: NDArray[np.float64]) -> Values:
        east, north = _gradient(band.astype(np.float64))
        with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
            result = self._of_slope(east * self.z_factor / across, north * self.z_factor / down)
        return np.where(np.isnan(band), np.nan, result)

    def _of_slope(self, east: NDArray[np.float64], north: NDArray[np.float64]) -> Values:
        """The result, from the rise to the east and to the north."""
        raise NotImplementedError


@dataclass(frozen=True)
class Slope(_Terrain):
    """How steep it is.

    Heights are taken to be in metres, unless `z_factor` makes them so; the grid may be in any units, or in degrees.
    """

    units: Literal["degree", "percent"] = "degree"
    z_factor: float = 1.0

    def __post_init__(self) -> None:
        if self.units not in ("degree", "percent"):
            raise ConfigError(f"slope in {self.units!r}: take degree or percent")

    def describe(self, description: Mapping[str, object]) -> dict[str, object]:
        """See `Operation`."""
        return {**description, "long_name": "Slope", "units": self.units}

    def _of_slope(self, east: NDArray[np.float64], north: NDArray[np.float64]) -> Values:
        rise = np.sqrt(east * east + north * north)
        return rise * 100 if self.units == "percent" else np.degrees(np.arctan(rise))


@dataclass(frozen=True)
class Hillshade(_Terrain):
    """How light falls on it: 0 in the dark to 255 where it meets the light."""

    azimuth: float = 315.0
    """Where the light comes from, in degrees clockwise from north."""
    altitude: float = 45.0
    """Of the light, in degrees above the horizon."""
    z_factor: float = 1.0

    def __post_init__(self) -> None:
        if not (0 <= self.altitude <= 90 and math.isfinite(self.azimuth) and math.isfinite(self.z_factor)):
            raise ConfigError(f"hillshade: the altitude {self.altitude:g} must be 0 to 90 degrees, the azimuth finite")

    def describe(self, description: Mapping[str, object]) -> dict[str, object]:
        """See `Operation`."""
        return {**description, "long_name": "Hillshade", "units": ""}

    def _of_slope(self, east: NDArray[np.float64], north: NDArray[np.float64]) -> Values:
        azimuth, altitude = math.radians(self.azimuth), math.radians(self.altitude)
        towards_east, towards_north = (math.cos(altitude) * turn(azimuth) for turn in (math.sin, math.cos))
        facing = math.sin(altitude) - towards_east * east - towards_north * north
        return np.maximum(0.0, _BRIGHTEST * facing / np.sqrt(1 + east * east + north * north))


def _gradient(band: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The rise from column to column and from row to row, as far as a cell is not missing itself."""
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
    """How far, in metres, the next column is to the east and the next row to the north, for each row; shape (rows, 1).

    They are negative where columns run to the west, and rows to the south. In degrees, they are those of the ellipsoid
    at the row's latitude. They are worked out for all rows of the grid, so that a row's do not depend on the window.
    """
    across, down = _row_sizes(geometry)
    rows = slice(window.row, window.row + window.height)
    return across[rows, None], down[rows, None]


def _row_sizes(geometry: GridGeometry) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    affine, count = geometry.affine, geometry.height
    if not geometry.crs.is_geographic:
        unit = geometry.crs.axis_info[0].unit_conversion_factor if geometry.crs.axis_info else 1.0
        return np.full(count, affine.a * unit), np.full(count, affine.e * unit)
    latitude = np.radians(affine.e * (np.arange(count) + 0.5) + affine.f)
    ellipsoid = geometry.crs.ellipsoid
    assert ellipsoid is not None, "a geographic CRS has one"
    axis, polar = ellipsoid.semi_major_metre, ellipsoid.semi_minor_metre
    eccentricity = 1 - (polar / axis) ** 2
    bend = 1 - eccentricity * np.sin(latitude) ** 2
    along_parallel = axis * np.cos(latitude) / np.sqrt(bend)
    along_meridian = axis * (1 - eccentricity) / bend**1.5
    degree = np.pi / 180
    along_parallel[np.abs(latitude) >= np.pi / 2 - _AT_POLE] = np.nan  # at a pole, and in rows beyond it
    return affine.a * degree * along_parallel, affine.e * degree * along_meridian
