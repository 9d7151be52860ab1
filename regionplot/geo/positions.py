"""Find the grid position (fractional column and row) of each panel pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.geo.crs import same_crs, transformer, unwrap
from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.strips import row_strips

MAX_POSITION_ERROR = 0.125
"""Maximum allowed error of an interpolated position, in panel pixels."""
_MESH_STEPS = (64, 32, 16, 8)
"""Distances between mesh nodes to try, in panel pixels, from coarse to fine."""
WINDOW_MESH_STEP = 32
"""Distance in panel pixels between the mesh nodes that are used to compute the window of the grid for a panel."""
Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Bounds:
    """The smallest and the largest of some grid positions."""

    left: float
    right: float
    top: float
    bottom: float

    @classmethod
    def of(cls, column: Floats, row: Floats) -> Bounds:
        """Return the bounds of fractional columns and rows."""
        return cls(float(column.min()), float(column.max()), float(row.min()), float(row.max()))

    def shifted(self, columns: float, rows: float = 0.0) -> Bounds:
        """Return the bounds moved by some columns and rows."""
        return Bounds(self.left + columns, self.right + columns, self.top + rows, self.bottom + rows)


@dataclass(frozen=True)
class Positions:
    """Grid position (column, row) of each pixel center, interpolated from mesh nodes. Columns are not wrapped."""

    along_y: Floats
    """Weight of each node along y for each row of the panel, shape (height, nodes)."""
    column: Floats
    """Grid columns, already interpolated along x, shape (nodes along y, width of the panel)."""
    row: Floats
    """Grid rows, already interpolated along x, shape (nodes along y, width of the panel)."""

    @property
    def bounds(self) -> Bounds:
        """Bounds of all positions, because interpolated positions lie between the positions of nodes."""
        return Bounds.of(self.column, self.row)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the panel."""
        return len(self.along_y), self.column.shape[1]

    @classmethod
    def of(cls, geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> Positions | ExactPositions:
        """Return positions from the coarsest mesh that is accurate enough.

        If no mesh is accurate enough, return exact positions.
        """
        locate = Locator(geometry, crs, panel)
        for step in _MESH_STEPS:
            mesh = mesh_axis(panel.width, step), mesh_axis(panel.height, step)
            column, row = locate(*mesh)
            if locate.is_close(mesh, column, row):
                along_x = _interpolation_weights(panel.width, step).T
                return cls(_interpolation_weights(panel.height, step), column @ along_x, row @ along_x)
        return ExactPositions(locate)

    def strips(self) -> Iterator[tuple[Floats, Floats]]:
        """Yield (columns, rows) for strips of the panel from the top. Each strip consists of whole panel rows."""
        for rows in row_strips(len(self.along_y), self.column.shape[1]):
            yield self.along_y[rows] @ self.column, self.along_y[rows] @ self.row


@dataclass(frozen=True)
class ExactPositions:
    """Grid positions of pixel centers. Each pixel is transformed exactly."""

    locate: Locator

    def strips(self) -> Iterator[tuple[Floats, Floats]]:
        """See `Positions.strips`."""
        panel = self.locate.panel
        x, y = np.arange(panel.width) + 0.5, np.arange(panel.height) + 0.5
        for rows in row_strips(panel.height, panel.width):
            yield self.locate(x, y[rows])


@dataclass(frozen=True)
class Locator:
    """Exact transformation of positions on the panel to positions in the grid."""

    geometry: GridGeometry
    crs: pyproj.CRS
    panel: PanelGrid

    def __call__(self, x_pixels: Floats, y_pixels: Floats) -> tuple[Floats, Floats]:
        """Return (columns, rows) of the grid for all pairs of x and y on the panel.

        Parameters
        ----------
        x_pixels, y_pixels : ndarray
            Fractional columns and rows of the panel, from its top left corner.

        Returns
        -------
        ndarray, ndarray, shape (y_pixels.size, x_pixels.size)
        """
        extent = self.panel.extent
        x, y = np.meshgrid(
            extent.xmin + x_pixels * self.panel.pixel_width, extent.ymax - y_pixels * self.panel.pixel_height
        )
        if not same_crs(self.crs, self.geometry.crs):
            x, y = self._to_grid(x, y)
        if self.geometry.crs.is_geographic and self.geometry.columns_per_turn is None:
            x = unwrap(x, self.geometry.extent.center[0])  # the columns of a rotated grid cannot be wrapped
        return self.geometry.columns_and_rows(x, y)

    def _to_grid(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        to_grid = transformer(self.crs, self.geometry.crs)
        x, y = to_grid.transform(x, y)
        if self.geometry.columns_per_turn is not None:
            x = unwrap(x, middle_longitude(self.geometry, self.panel, self.crs))
        return x, y

    def is_close(self, mesh: tuple[Floats, Floats], column: Floats, row: Floats) -> bool:
        """Return True if interpolation in a mesh is accurate enough.

        The errors are checked at the centers of mesh cells and at the midpoints of their edges. The centers alone are
        not enough: between conformal projections, the errors along x and y cancel there.

        Parameters
        ----------
        mesh : (ndarray, ndarray)
            x and y of the nodes, in pixels.
        column, row : ndarray
            Grid positions at the nodes.
        """
        finer = tuple(np.linspace(nodes[0], nodes[-1], 2 * nodes.size - 1) for nodes in mesh)
        exact_column, exact_row = self(finer[0], finer[1])
        errors = _add_midpoints(column) - exact_column, _add_midpoints(row) - exact_row
        with np.errstate(divide="ignore", invalid="ignore"):
            return bool(np.all(in_pixels(errors, (exact_column, exact_row), finer) <= MAX_POSITION_ERROR))


def _add_midpoints(nodes: Floats) -> Floats:
    """Return values at nodes, with interpolated values halfway between the nodes."""
    rows = np.repeat(nodes, 2, axis=0)[:-1]
    rows[1::2] = (nodes[:-1] + nodes[1:]) / 2
    result = np.repeat(rows, 2, axis=1)[:, :-1]
    result[:, 1::2] = (rows[:, :-1] + rows[:, 1:]) / 2
    return result


def in_pixels(errors: tuple[Floats, Floats], exact: tuple[Floats, Floats], mesh: tuple[Floats, ...]) -> Floats:
    """Convert errors from grid columns and rows to panel pixels. Return the length of each error.

    Parameters
    ----------
    errors, exact : (ndarray, ndarray)
        Errors and exact positions (column, row) in the grid.
    mesh : tuple of ndarray
        x and y of the nodes, in pixels.
    """
    (column_y, column_x), (row_y, row_x) = (np.gradient(positions, mesh[1], mesh[0]) for positions in exact)
    determinant = column_x * row_y - column_y * row_x
    x = (row_y * errors[0] - column_y * errors[1]) / determinant
    y = (column_x * errors[1] - row_x * errors[0]) / determinant
    return np.hypot(x, y)


def mesh_axis(length: int, step: int) -> Floats:
    """Return nodes about `step` pixels apart, from the first pixel center (0.5) to the last one (`length` - 0.5)."""
    return np.linspace(0.5, length - 0.5, max(2, -(-length // step) + 1))


@lru_cache(maxsize=16)
def _interpolation_weights(length: int, step: int) -> Floats:
    """Return the matrix that interpolates linearly from nodes of `mesh_axis` to pixels, shape (length, nodes)."""
    nodes = mesh_axis(length, step)
    position = (np.arange(length) + 0.5 - nodes[0]) / (nodes[1] - nodes[0])
    weights: Floats = np.clip(1 - abs(position[:, None] - np.arange(nodes.size)), 0, None)
    return weights


def middle_longitude(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> float:
    """Return the longitude of a panel's center, or 0 if the center is outside the projection."""
    middle = float(transformer(crs, geometry.crs).transform(*panel.extent.center)[0])
    return middle if np.isfinite(middle) else 0.0
