"""Find the pixels beside the seams of a grid, such as the antimeridian in a world map."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
_JUMP = 8.0
"""Minimum ratio of the length of a jump to the steps beside it."""
_MIN_JUMP = 2.0
"""Minimum length of a jump, in cells."""


def beside_seams(column: Floats, row: Floats) -> NDArray[np.bool_]:
    """Return True for each pixel that is separated from a neighbor by a seam of the grid.

    Parameters
    ----------
    column, row : ndarray, shape (height, width)
        Position of each pixel in the grid. Positions outside the projection are not finite.
    """
    found = np.zeros(column.shape, dtype=bool)
    for turned, columns, rows in ((found, column, row), (found.T, column.T, row.T)):
        jumps = _jumps(np.hypot(np.diff(columns, axis=1), np.diff(rows, axis=1)))
        turned[:, :-1] |= jumps
        turned[:, 1:] |= jumps
    return found


def _jumps(steps: Floats) -> NDArray[np.bool_]:
    """Return True for steps along a row that are much longer than the shorter of their two neighbors."""
    padded = np.pad(np.where(np.isfinite(steps), steps, np.inf), ((0, 0), (1, 1)), constant_values=np.inf)
    beside = np.minimum(padded[:, :-2], padded[:, 2:])
    return np.asarray(np.isfinite(steps) & (steps > _JUMP * beside + _MIN_JUMP))
