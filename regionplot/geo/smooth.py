"""Interpolate grid positions that are accurate enough to interpolate values.

An error of a position changes an interpolated value everywhere, but the nearest cell only at the edges of cells. The
positions of this module are therefore more accurate than the positions of `geo.positions`. The mesh is interpolated by
cubic polynomials, so it can be coarse.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import DTypeLike

from regionplot.geo.mesh import Bounds, Floats, Indices, Mesh, mesh_axis
from regionplot.geo.scratch import Scratch, take
from regionplot.geo.strips import row_strips

LINES_PER_STEP = 8
"""Number of lines of positions from one node of the mesh to the next one."""


@dataclass(frozen=True)
class SmoothPositions:
    """Grid position (column, row) of each pixel center. Columns are not wrapped.

    Cubic polynomials give the positions of all pixels of some lines. Between the lines, which are up to eight pixels
    apart, positions are interpolated linearly.
    """

    mesh: Mesh
    column: Floats
    """Grid columns on the lines, shape (lines, width of the panel)."""
    row: Floats
    """Grid rows on the lines, shape (lines, width of the panel)."""

    @classmethod
    def on(cls, mesh: Mesh) -> SmoothPositions:
        """Return the positions that the nodes of a mesh give. The nodes are those of `smooth_axis`."""
        along_x = _cubic_weights(mesh.width, mesh.step, mesh.width).T
        along_y = _cubic_weights(mesh.height, mesh.step, mesh_axis(mesh.height, mesh.step // LINES_PER_STEP).size)
        column, row = (along_y @ (nodes @ along_x) for nodes in (mesh.column, mesh.row))
        return cls(mesh, column, row)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of the panel."""
        return self.mesh.height, self.column.shape[1]

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
        place = rows * ((len(self.column) - 1) / (self.mesh.height - 1))
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


def smooth_axis(length: int, step: int) -> Floats:
    """Return the nodes of `mesh_axis`, but at least four, which a cubic polynomial needs."""
    return mesh_axis(length, min(step, length // 3))


@lru_cache(maxsize=16)
def _cubic_weights(length: int, step: int, count: int) -> Floats:
    """Return the matrix that interpolates from nodes of `smooth_axis` by cubic polynomials through four nodes each.

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
    nodes, targets = smooth_axis(length, step), np.linspace(0.5, length - 0.5, count)
    position = (targets - nodes[0]) / (nodes[1] - nodes[0])
    first = np.clip(np.floor(position).astype(np.intp) - 1, 0, nodes.size - 4)
    weights = np.zeros((count, nodes.size))
    for node in range(4):
        others = [other for other in range(4) if other != node]
        factors = [(position - first - other) / (node - other) for other in others]
        weights[np.arange(count), first + node] = np.prod(factors, axis=0)
    return weights
