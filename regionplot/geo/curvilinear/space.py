"""Convert positions in a grid to points, in the plane of the grid or on a sphere, to measure steps between cells.

Computations in the plane take half as long as on the sphere. The sphere is for grids in degrees that come near a pole
or close around the earth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.crs import unwrap
from regionplot.geo.extent import FULL_TURN
from regionplot.geo.grid import GridGeometry

Floats = NDArray[np.floating[Any]]
Points = tuple[Floats, ...]
"""Coordinates of points: one array for each axis of the space."""


class Space(Protocol):
    """Conversion of positions in a regular grid to points in a space where distances can be measured."""

    @property
    def axes(self) -> int:
        """Number of coordinates of a point."""
        ...

    def columns_and_rows(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return fractional (column, row) for coordinates in the grid's CRS. Longitudes are wrapped to the grid."""
        ...

    def points(self, columns: Floats, rows: Floats) -> Points:
        """Return the points at fractional columns and rows, in single precision."""
        ...

    def stretch(self, rows: Floats) -> Floats:
        """Return, for each row, the number of columns whose total width equals the height of the row."""
        ...


@dataclass(frozen=True)
class Plane:
    """A plane whose coordinates are the columns and rows of the grid."""

    grid: GridGeometry
    axes: int = 2

    def columns_and_rows(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """See `Space`."""
        if self.grid.crs.is_geographic:
            x = unwrap(x, self.grid.extent.center[0])
        return self.grid.columns_and_rows(x, y)

    def points(self, columns: Floats, rows: Floats) -> Points:
        """See `Space`."""
        return columns.astype(np.float32), rows.astype(np.float32)

    def stretch(self, rows: Floats) -> Floats:
        """See `Space`."""
        return np.ones_like(rows)


@dataclass(frozen=True)
class Sphere:
    """A sphere, for a grid in degrees."""

    grid: GridGeometry
    axes: int = 3

    def columns_and_rows(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """See `Space`."""
        columns, rows = self.grid.columns_and_rows(x, y)
        return self.grid.wrapped(np.where(np.isfinite(rows), columns, np.nan)), rows

    def points(self, columns: Floats, rows: Floats) -> Points:
        """See `Space`. The radius is chosen so that a step from row to row has length 1."""
        longitudes, latitudes = (np.radians(axis) for axis in self.grid.coordinates(columns, rows))
        radius = FULL_TURN / (2 * np.pi * abs(self.grid.transform.e))
        along = radius * np.cos(latitudes)
        points = along * np.cos(longitudes), along * np.sin(longitudes), radius * np.sin(latitudes)
        return tuple(axis.astype(np.float32) for axis in points)

    def stretch(self, rows: Floats) -> Floats:
        """See `Space`."""
        _, latitudes = self.grid.coordinates(np.zeros(1), rows)
        side = abs(self.grid.transform.a / self.grid.transform.e) * np.cos(np.radians(latitudes))
        return np.clip(np.rint(1 / np.maximum(side, 1e-3)), 1, self.grid.width // 2)
