"""Find the grid position of each panel pixel."""

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

TOLERANCE = 0.125
"""Largest error of a sampled position, in panel pixels."""
_STEPS = (64, 32, 16, 8)
MESH_STEP = 32
"""Pixels between the positions from which the part of the grid that a panel needs is found."""
_STRIP = 2**16
"""Pixels that are worked on at a time, so that what is worked out for them stays in the processor's cache."""
Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class Positions:
    """(column, row) of the grid under each pixel centre, interpolated along y from nodes; not wrapped."""

    along_y: Floats
    """Weights of the nodes for each row of the panel, shape (height, nodes)."""
    column: Floats
    """The grid's columns at the nodes, for each column of the panel, shape (nodes, width)."""
    row: Floats

    @classmethod
    def of(cls, geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> Positions | ExactPositions:
        """From the coarsest mesh that is exact enough; or transformed one by one, if none is."""
        locate = Locator(geometry, crs, panel)
        for step in _STEPS:
            mesh = mesh_axis(panel.width, step), mesh_axis(panel.height, step)
            column, row = locate(*mesh)
            if locate.is_close(mesh, column, row):
                along_x = _weights(panel.width, step).T
                return cls(_weights(panel.height, step), column @ along_x, row @ along_x)
        return ExactPositions(locate)

    def strips(self) -> Iterator[tuple[Floats, Floats]]:
        """Column and row for the pixels of some rows of the panel at a time, from the top."""
        for rows in strips_of(len(self.along_y), self.column.shape[1]):
            yield self.along_y[rows] @ self.column, self.along_y[rows] @ self.row


@dataclass(frozen=True)
class ExactPositions:
    """The same, by the exact transform."""

    locate: Locator

    def strips(self) -> Iterator[tuple[Floats, Floats]]:
        """See `_Positions`."""
        panel = self.locate.panel
        x, y = np.arange(panel.width) + 0.5, np.arange(panel.height) + 0.5
        for rows in strips_of(panel.height, panel.width):
            yield self.locate(x, y[rows])


def strips_of(height: int, width: int) -> Iterator[slice]:
    """Slices of rows that hold so many pixels as stay in the processor's cache."""
    rows = max(1, _STRIP // width)
    return (slice(first, min(first + rows, height)) for first in range(0, height, rows))


@dataclass(frozen=True)
class Locator:
    """The exact transform from positions on the panel to positions on the grid."""

    geometry: GridGeometry
    crs: pyproj.CRS
    panel: PanelGrid

    def __call__(self, x_pixels: Floats, y_pixels: Floats) -> tuple[Floats, Floats]:
        """(column, row) at the crossings of panel columns and rows (fractional, from the top left)."""
        extent = self.panel.extent
        x, y = np.meshgrid(
            extent.xmin + x_pixels * self.panel.pixel_width, extent.ymax - y_pixels * self.panel.pixel_height
        )
        if not same_crs(self.crs, self.geometry.crs):
            x, y = self._to_grid(x, y)
        return self.geometry.columns_and_rows(x, y)

    def _to_grid(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        to_grid = transformer(self.crs, self.geometry.crs)
        x, y = to_grid.transform(x, y)
        if self.geometry.crs.is_geographic:
            x = unwrap(x, middle_longitude(self.geometry, self.panel, self.crs))
        return x, y

    def is_close(self, mesh: tuple[Floats, Floats], column: Floats, row: Floats) -> bool:
        """Whether interpolating the mesh is exact enough, seen at the middles of its cells and of their edges.

        The middles of the cells would not do: between conformal projections the errors along x and y cancel there.
        """
        finer = tuple(np.linspace(nodes[0], nodes[-1], 2 * nodes.size - 1) for nodes in mesh)
        exact_column, exact_row = self(finer[0], finer[1])
        off = _halved(column) - exact_column, _halved(row) - exact_row
        with np.errstate(divide="ignore", invalid="ignore"):
            return bool(np.all(_in_pixels(off, (exact_column, exact_row), finer) <= TOLERANCE))


def _halved(nodes: Floats) -> Floats:
    """Values at nodes, and interpolated half way between them."""
    rows = np.repeat(nodes, 2, axis=0)[:-1]
    rows[1::2] = (nodes[:-1] + nodes[1:]) / 2
    result = np.repeat(rows, 2, axis=1)[:, :-1]
    result[:, 1::2] = (rows[:, :-1] + rows[:, 1:]) / 2
    return result


def _in_pixels(off: tuple[Floats, Floats], exact: tuple[Floats, Floats], mesh: tuple[Floats, ...]) -> Floats:
    """Distances in columns and rows of the grid as pixels of the panel, by the slopes of the exact positions."""
    (column_y, column_x), (row_y, row_x) = (np.gradient(positions, mesh[1], mesh[0]) for positions in exact)
    determinant = column_x * row_y - column_y * row_x
    x = (row_y * off[0] - column_y * off[1]) / determinant
    y = (column_x * off[1] - row_x * off[0]) / determinant
    return np.hypot(x, y)


def mesh_axis(length: int, step: int) -> Floats:
    """Nodes that span the pixel centres 0.5 ... length - 0.5, about `step` apart."""
    return np.linspace(0.5, length - 0.5, max(2, -(-length // step) + 1))


@lru_cache(maxsize=16)
def _weights(length: int, step: int) -> Floats:
    """The matrix that interpolates the nodes of `_mesh` linearly to every pixel: shape (length, nodes)."""
    nodes = mesh_axis(length, step)
    position = (np.arange(length) + 0.5 - nodes[0]) / (nodes[1] - nodes[0])
    weights: Floats = np.clip(1 - abs(position[:, None] - np.arange(nodes.size)), 0, None)
    return weights


def middle_longitude(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> float:
    """The longitude in the middle of a panel; 0 where the middle is off the earth, as beside a projection's edge."""
    middle = float(transformer(crs, geometry.crs).transform(*panel.extent.center)[0])
    return middle if np.isfinite(middle) else 0.0
