"""Measure steps between neighboring cells, on the grid's plane or on the sphere.

The plane is half the work. It will not do where a grid in degrees comes near a pole, or closes around the earth.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.crs import CIRCLE, unwrap
from regionplot.geo.grid import GridGeometry

Floats = NDArray[np.floating[Any]]
Points = tuple[Floats, ...]
"""One array for each axis of space."""


class Space(Protocol):
    """Positions in columns and rows of a regular grid, as points."""

    @property
    def axes(self) -> int:
        """How many a point has."""
        ...

    def columns_and_rows(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Fractional (column, row) of coordinates in the grid's CRS, on the grid's turn of the circle."""
        ...

    def points(self, columns: Floats, rows: Floats) -> Points:
        """Of fractional columns and rows, in single precision."""
        ...

    def stretch(self, rows: Floats) -> Floats:
        """How many columns are as long as a row is high."""
        ...


@dataclass(frozen=True)
class Plane:
    """Columns and rows as they are."""

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
    """Points on a sphere; the grid is in degrees."""

    grid: GridGeometry
    axes: int = 3

    def columns_and_rows(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """See `Space`."""
        columns, rows = self.grid.columns_and_rows(x, y)
        return self.grid.wrapped(np.where(np.isfinite(rows), columns, np.nan)), rows

    def points(self, columns: Floats, rows: Floats) -> Points:
        """See `Space`; the radius is that at which a step of a row has length one."""
        longitudes, latitudes = (np.radians(axis) for axis in self.grid.coordinates(columns, rows))
        radius = CIRCLE / (2 * np.pi * abs(self.grid.transform.e))
        along = radius * np.cos(latitudes)
        points = along * np.cos(longitudes), along * np.sin(longitudes), radius * np.sin(latitudes)
        return tuple(axis.astype(np.float32) for axis in points)

    def stretch(self, rows: Floats) -> Floats:
        """See `Space`."""
        _, latitudes = self.grid.coordinates(np.zeros(1), rows)
        side = abs(self.grid.transform.a / self.grid.transform.e) * np.cos(np.radians(latitudes))
        return np.clip(np.rint(1 / np.maximum(side, 1e-3)), 1, self.grid.width // 2)
