"""Find grid positions that are accurate enough to interpolate values.

An error of a position changes an interpolated value everywhere, but the nearest cell only at the edges of cells. The
positions of this module are therefore more accurate than the positions of `geo.positions`. The mesh is interpolated by
cubic polynomials, so it can be coarse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyproj
from numpy.typing import DTypeLike

from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.positions import Bounds, Floats, Indices, Locator, in_pixels, mesh_axis
from regionplot.geo.scratch import Scratch, take
from regionplot.geo.strips import row_strips

MAX_SMOOTH_ERROR = 1 / 64
"""Maximum allowed error of a position, in panel pixels."""
_MESH_STEPS = (64, 32, 16, 8)
"""Distances between mesh nodes to try, in panel pixels, from coarse to fine."""
_ORDER = 4
"""The error of cubic interpolation is proportional to this power of the distance between nodes."""
_LINES_PER_STEP = 8
"""Number of lines of positions from one node of the mesh to the next one."""
_MIN_PIXELS = 8
"""Minimum width and height of a panel. Smaller panels have too few pixels for a mesh."""


@dataclass(frozen=True)
class SmoothPositions:
    """Grid position (column, row) of each pixel center. Columns are not wrapped.

    Cubic polynomials give the positions of all pixels of some lines. Between the lines, which are up to eight pixels
    apart, positions are interpolated linearly.
    """

    height: int
    """Number of rows of the panel."""
    column: Floats
    """Grid columns on the lines, shape (lines, width of the panel)."""
    row: Floats
    """Grid rows on the lines, shape (lines, width of the panel)."""

    @classmethod
    def find(cls, geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> SmoothPositions | None:
        """Return positions with errors of at most `MAX_SMOOTH_ERROR`, or None if no mesh is accurate enough."""
        if min(panel.width, panel.height) < _MIN_PIXELS:
            return None
        locate = Locator(geometry, crs, panel)
        for step in _MESH_STEPS:
            positions = cls._on_mesh(locate, step)
            error = positions._largest_error(locate, step)
            if error <= MAX_SMOOTH_ERROR:
                return positions
            if not error <= MAX_SMOOTH_ERROR * (step / _MESH_STEPS[-1]) ** _ORDER:
                return None  # even the finest mesh would not be accurate enough
        return None

    @classmethod
    def _on_mesh(cls, locate: Locator, step: int) -> SmoothPositions:
        """Return positions from a mesh whose nodes are `step` pixels apart."""
        width, height = locate.panel.width, locate.panel.height
        along_x = _cubic_weights(width, step, width).T
        along_y = _cubic_weights(height, step, mesh_axis(height, step // _LINES_PER_STEP).size)
        column, row = (
            along_y @ (nodes @ along_x) for nodes in locate(_mesh_axis(width, step), _mesh_axis(height, step))
        )
        return cls(height, column, row)

    def _largest_error(self, locate: Locator, step: int) -> float:
        """Return the largest error at the nodes of a mesh and halfway between the nodes, in pixels.

        Rows are compared halfway between the lines, where the error of linear interpolation is largest.
        """
        x, y = (_halves(_mesh_axis(length, step)) for length in (locate.panel.width, locate.panel.height))
        y = np.unique(np.minimum(y + step // _LINES_PER_STEP // 2, self.height - 1))
        exact = locate(x + 0.5, y + 0.5)
        column, row = SmoothPositions(self.height, self.column[:, x], self.row[:, x]).at(y)
        errors = column - exact[0], row - exact[1]
        with np.errstate(divide="ignore", invalid="ignore"):
            return float(np.max(in_pixels(errors, exact, (x + 0.5, y + 0.5))))

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the panel."""
        return self.height, self.column.shape[1]

    @property
    def bounds(self) -> Bounds:
        """Bounds of all positions."""
        return Bounds.of(self.column, self.row)

    def at(
        self,
        rows: Indices,
        origin: tuple[float, float] = (0.0, 0.0),
        dtype: DTypeLike = np.float64,
        scratch: Scratch | None = None,
    ) -> tuple[Floats, Floats]:
        """Return (columns, rows) of the grid in some rows of the panel.

        Parameters
        ----------
        rows : ndarray
            Rows of the panel, in ascending order.
        origin : (float, float)
            Column and row from which the result is counted.
        dtype : data type
            Floating-point type of the result.
        scratch : Scratch, optional
            Memory for the result.

        Returns
        -------
        ndarray, ndarray, shape (rows.size, width of the panel)
        """
        place = rows * ((len(self.column) - 1) / (self.height - 1))
        line = np.minimum(place.astype(np.intp), len(self.column) - 2)
        needed, share = slice(line[0], line[-1] + 2), (place - line)[:, None].astype(dtype)
        column, row = (
            _between_lines((lines[needed] - start).astype(dtype), line - line[0], share, scratch or Scratch())
            for lines, start in zip((self.column, self.row), origin, strict=True)
        )
        return column, row

    def strips(self) -> Iterator[tuple[Floats, Floats]]:
        """Yield (columns, rows) for strips of the panel from the top. Each strip consists of whole panel rows."""
        for rows in row_strips(*self.shape):
            yield self.at(np.arange(rows.start, rows.stop))


def _between_lines(lines: Floats, line: Indices, share: Floats, scratch: Scratch) -> Floats:
    """Return positions between two lines. `share` is the distance from `line`, 0 to 1."""
    result = take(lines, line, 0, scratch)
    with scratch.released():
        step = take(lines, line + 1, 0, scratch)
        step -= result
        step *= share
        result += step
    return result


def _mesh_axis(length: int, step: int) -> Floats:
    """Return the nodes of `mesh_axis`, but at least four, which a cubic polynomial needs."""
    return mesh_axis(length, min(step, length // 3))


def _halves(nodes: Floats) -> Indices:
    """Return the pixels at nodes and halfway between nodes."""
    return np.unique(np.linspace(nodes[0], nodes[-1], 2 * nodes.size - 1).astype(np.intp))


@lru_cache(maxsize=16)
def _cubic_weights(length: int, step: int, count: int) -> Floats:
    """Return the matrix that interpolates from nodes of `_mesh_axis` by cubic polynomials through four nodes each.

    Parameters
    ----------
    length, step : int
        Length of the panel and distance between the nodes, in pixels.
    count : int
        Number of results, at equal distances from the first pixel center to the last one.

    Returns
    -------
    ndarray, shape (count, nodes)
    """
    nodes, targets = _mesh_axis(length, step), np.linspace(0.5, length - 0.5, count)
    position = (targets - nodes[0]) / (nodes[1] - nodes[0])
    first = np.clip(np.floor(position).astype(np.intp) - 1, 0, nodes.size - 4)
    weights = np.zeros((count, nodes.size))
    for node in range(4):
        others = [other for other in range(4) if other != node]
        factors = [(position - first - other) / (node - other) for other in others]
        weights[np.arange(count), first + node] = np.prod(factors, axis=0)
    return weights
