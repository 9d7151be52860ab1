"""Trace streamlines of a vector field, and choose lines that keep a distance from each other. Plain arrays in pixels.

The lines of a group of seeds are traced at once. The lines are taken in the order of their seeds, and each line ends
where it comes too near to a line that was taken before, as in B. Jobard and W. Lefer, "Creating evenly-spaced
streamlines of arbitrary density", 1997.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
_STEP = 4.0
"""Pixels between two vertices of a line."""
_CELLS = 2
"""Number of cells along the distance between two lines, in the grid that records where lines are."""
_TURN = 3.0
"""A line that comes back to a cell after this many times the length of a cell has turned around."""


@dataclass(frozen=True, eq=False)
class DirectionField:
    """Directions at the nodes of a regular grid."""

    origin: tuple[float, float]
    """x and y of the first node in pixels."""
    spacing: float
    """Pixels between two nodes."""
    vectors: Floats
    """Unit vectors along x and y, NaN if missing, shape (rows, columns, 2)."""

    def at(self, points: Floats) -> Floats:
        """Return interpolated directions at points, shape (n, 2). They are NaN beside missing nodes and outside."""
        rows, columns, _ = self.vectors.shape
        x, y = ((points - self.origin) / self.spacing).T
        inside = (x >= 0) & (x <= columns - 1) & (y >= 0) & (y <= rows - 1)  # False for NaN
        x, y = np.where(inside, x, 0.0), np.where(inside, y, 0.0)
        column, row = np.minimum(x.astype(np.intp), columns - 2), np.minimum(y.astype(np.intp), rows - 2)
        right, up = (x - column)[:, None], (y - row)[:, None]
        flat = self.vectors.reshape(-1, 2)
        node = row * columns + column
        low = flat[node] * (1 - right) + flat[node + 1] * right
        high = flat[node + columns] * (1 - right) + flat[node + columns + 1] * right
        found = low * (1 - up) + high * up
        length = np.hypot(found[:, 0], found[:, 1])
        is_known = inside & (length > 0)
        return np.where(is_known[:, None], found / np.where(is_known, length, 1.0)[:, None], np.nan)


def trace_lines(field: DirectionField, seeds: Floats, longest: float) -> list[Floats]:
    """Return the streamline through each seed, as vertices in the direction of the field.

    Parameters
    ----------
    field : DirectionField
        The directions.
    seeds : ndarray, shape (n, 2)
        Points through which the lines run.
    longest : float
        Maximum length of a line in each direction from its seed, in pixels.
    """
    places, sign = np.concatenate([seeds, seeds]), np.repeat([1.0, -1.0], len(seeds))[:, None] * _STEP
    vertices = [places]
    for _ in range(int(longest / _STEP)):
        middle = places + 0.5 * sign * field.at(places)
        places = places + sign * field.at(middle)
        if np.isnan(places).all():
            break
        vertices.append(places)
    traced = np.stack(vertices, axis=1)
    known = np.isfinite(traced[..., 0]).sum(axis=1)
    count = len(seeds)
    return [
        np.concatenate([traced[n + count, 1 : known[n + count]][::-1], traced[n, : known[n]]]) for n in range(count)
    ]


def spaced_lines(
    field: DirectionField, groups: Iterable[Floats], spacing: float, shortest: float, longest: float
) -> Iterator[Floats]:
    """Yield streamlines that keep a distance from each other, as vertices in the direction of the field.

    Parameters
    ----------
    field : DirectionField
        The directions.
    groups : iterable of ndarray, shape (n, 2)
        Seeds. The first seeds have precedence. Seeds beside lines of earlier groups are left out.
    spacing : float
        Distance between two lines in pixels.
    shortest : float
        Minimum length of a line in pixels.
    longest : float
        Maximum length of a line in each direction from its seed, in pixels.
    """
    cell = spacing / _CELLS
    rows, columns, _ = field.vectors.shape
    start = np.array(field.origin) - 2 * cell
    taken = np.zeros([math.ceil(count * field.spacing / cell) + 4 for count in (columns, rows)], bool)
    for group in groups:
        column, row = ((group - start) / cell).astype(np.intp).T
        seeds = group[~taken[column, row]]
        for line, seed in zip(trace_lines(field, seeds, longest), seeds, strict=True):
            column, row = ((line - start) / cell).astype(np.intp).T
            kept = _free_part(
                taken, column, row, int(np.argmin(np.hypot(*(line - seed).T))), round(_TURN * cell / _STEP)
            )
            if (kept.stop - kept.start) * _STEP < shortest:
                continue
            for dx, dy in np.ndindex(3, 3):
                taken[column[kept] + dx - 1, row[kept] + dy - 1] = True
            yield line[kept]


def _free_part(
    taken: NDArray[np.bool_], column: NDArray[np.intp], row: NDArray[np.intp], seed: int, turn: int
) -> slice:
    """Return the vertices around the seed that are in free cells, up to the first cell that the line enters again."""
    blocked = taken[column, row]
    if blocked[seed]:
        return slice(seed, seed)
    before, after = np.flatnonzero(blocked[:seed]), np.flatnonzero(blocked[seed:])
    first = int(before[-1]) + 1 if before.size else 0
    last = seed + int(after[0]) if after.size else len(blocked)
    cells = column[first:last] * taken.shape[1] + row[first:last]
    _, earliest, number = np.unique(cells, return_index=True, return_inverse=True)
    again = np.flatnonzero(np.arange(last - first) - earliest[number] > turn)
    return slice(first, first + int(again[0]) if again.size else last)
