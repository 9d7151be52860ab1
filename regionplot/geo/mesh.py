"""Interpolate grid positions (fractional columns and rows) between the nodes of a mesh over a panel.

This module needs no CRS, so runs that know the positions of the nodes import no pyproj. `geo.positions` finds them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.strips import row_strips

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
class AxisPositions:
    """Grid positions of a panel whose columns and rows are parallel to the columns and rows of the grid."""

    column: Floats
    """Fractional grid column of each panel column, not wrapped."""
    row: Floats
    """Fractional grid row of each panel row."""

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the panel."""
        return self.row.size, self.column.size

    @property
    def bounds(self) -> Bounds:
        """Bounds of all positions."""
        return Bounds.of(self.column, self.row)


@dataclass(frozen=True)
class Mesh:
    """Exact grid positions at nodes of a panel. Columns are not wrapped."""

    height: int
    """Rows of the panel."""
    width: int
    """Columns of the panel."""
    step: int
    """Distance between the nodes in pixels."""
    column: Floats
    """Grid column of each node, shape (nodes along y, nodes along x)."""
    row: Floats
    """Grid row of each node, shape (nodes along y, nodes along x)."""


@dataclass(frozen=True)
class Positions:
    """Grid position (column, row) of each pixel center, interpolated from mesh nodes. Columns are not wrapped."""

    mesh: Mesh
    along_y: Floats
    """Weight of each node along y for each row of the panel, shape (height, nodes)."""
    column: Floats
    """Grid columns, already interpolated along x, shape (nodes along y, width of the panel)."""
    row: Floats
    """Grid rows, already interpolated along x, shape (nodes along y, width of the panel)."""

    @classmethod
    def on(cls, mesh: Mesh) -> Positions:
        """Return the positions that the nodes of a mesh give."""
        along_x, along_y = (_interpolation_weights(length, mesh.step) for length in (mesh.width, mesh.height))
        return cls(mesh, along_y, mesh.column @ along_x.T, mesh.row @ along_x.T)

    @property
    def bounds(self) -> Bounds:
        """Bounds of all positions, because interpolated positions lie between the positions of nodes."""
        return Bounds.of(self.column, self.row)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the panel."""
        return len(self.along_y), self.column.shape[1]

    def strips(self) -> Iterator[tuple[Floats, Floats]]:
        """Yield (columns, rows) for strips of the panel from the top. Each strip consists of whole panel rows."""
        for rows in row_strips(len(self.along_y), self.column.shape[1]):
            yield self.along_y[rows] @ self.column, self.along_y[rows] @ self.row


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
