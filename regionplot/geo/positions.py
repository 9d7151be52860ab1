"""Find the grid position (fractional column and row) of each panel pixel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pyproj

from regionplot.geo.crs import same_crs, transformer, unwrap
from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.mesh import Floats, Indices, Mesh, Positions, mesh_axis
from regionplot.geo.smooth import LINES_PER_STEP, SmoothPositions, smooth_axis
from regionplot.geo.strips import row_strips

MAX_POSITION_ERROR = 0.125
"""Maximum allowed error of an interpolated position, in panel pixels."""
_MESH_STEPS = (64, 32, 16, 8)
"""Distances between mesh nodes to try, in panel pixels, from coarse to fine."""
MAX_SMOOTH_ERROR = 1 / 64
"""Maximum allowed error of a position for interpolated values, in panel pixels."""
_ORDER = 4
"""The error of cubic interpolation is proportional to this power of the distance between nodes."""
_MIN_SMOOTH_PIXELS = 8
"""Minimum width and height of a panel. Smaller panels have too few pixels for a mesh of cubic polynomials."""
WINDOW_MESH_STEP = 32
"""Distance in panel pixels between the mesh nodes that are used to compute the window of the grid for a panel."""


def find_positions(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> Positions | ExactPositions:
    """Return positions from the coarsest mesh that is accurate enough.

    If no mesh is accurate enough, return exact positions.
    """
    locate = Locator(geometry, crs, panel)
    found: tuple[Floats, Floats] | None = None
    for step in _MESH_STEPS:
        nodes = mesh_axis(panel.width, step), mesh_axis(panel.height, step)
        if found is None or found[0].shape != (nodes[1].size, nodes[0].size):
            found = locate(*nodes)  # otherwise, the check of the previous mesh has found these nodes
        mesh = Mesh(panel.height, panel.width, step, *found)
        error, found = locate.largest_error(nodes, mesh.column, mesh.row)
        if error <= MAX_POSITION_ERROR:
            return Positions.on(mesh)
    return ExactPositions(locate)


def find_smooth_positions(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> SmoothPositions | None:
    """Return positions with errors of at most `MAX_SMOOTH_ERROR`, or None if no mesh is accurate enough."""
    if min(panel.width, panel.height) < _MIN_SMOOTH_PIXELS:
        return None
    locate = Locator(geometry, crs, panel)
    for step in _MESH_STEPS:
        nodes = smooth_axis(panel.width, step), smooth_axis(panel.height, step)
        positions = SmoothPositions.on(Mesh(panel.height, panel.width, step, *locate(*nodes)))
        error = _largest_error(positions, locate)
        if error <= MAX_SMOOTH_ERROR:
            return positions
        if not error <= MAX_SMOOTH_ERROR * (step / _MESH_STEPS[-1]) ** _ORDER:
            return None  # even the finest mesh would not be accurate enough
    return None


def _largest_error(positions: SmoothPositions, locate: Locator) -> float:
    """Return the largest error at the nodes of a mesh and halfway between the nodes, in pixels.

    Rows are compared halfway between the lines, where the error of linear interpolation is largest.
    """
    height, step = positions.mesh.height, positions.mesh.step
    x, y = (_with_halfway_pixels(smooth_axis(length, step)) for length in (positions.mesh.width, height))
    y = np.unique(np.minimum(y + step // LINES_PER_STEP // 2, height - 1))
    exact = locate(x + 0.5, y + 0.5)
    column, row = replace(positions, column=positions.column[:, x], row=positions.row[:, x]).at(y)
    errors = column - exact[0], row - exact[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.max(_in_pixels(errors, exact, (x + 0.5, y + 0.5))))


def _with_halfway_pixels(nodes: Floats) -> Indices:
    """Return the pixels at nodes and halfway between nodes."""
    return np.unique(np.linspace(nodes[0], nodes[-1], 2 * nodes.size - 1).astype(np.intp))


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

    def largest_error(
        self, mesh: tuple[Floats, Floats], column: Floats, row: Floats
    ) -> tuple[float, tuple[Floats, Floats]]:
        """Return the largest error of interpolation in a mesh, in pixels, and exact positions at twice as many nodes.

        The error is NaN if positions are not finite.

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
            error = float(np.max(_in_pixels(errors, (exact_column, exact_row), finer)))
        return error, (exact_column, exact_row)


def _add_midpoints(nodes: Floats) -> Floats:
    """Return values at nodes, with interpolated values halfway between the nodes."""
    rows = np.repeat(nodes, 2, axis=0)[:-1]
    rows[1::2] = (nodes[:-1] + nodes[1:]) / 2
    result = np.repeat(rows, 2, axis=1)[:, :-1]
    result[:, 1::2] = (rows[:, :-1] + rows[:, 1:]) / 2
    return result


def _in_pixels(errors: tuple[Floats, Floats], exact: tuple[Floats, Floats], mesh: tuple[Floats, ...]) -> Floats:
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


def middle_longitude(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> float:
    """Return the longitude of a panel's center, or 0 if the center is outside the projection."""
    middle = float(transformer(crs, geometry.crs).transform(*panel.extent.center)[0])
    return middle if np.isfinite(middle) else 0.0
