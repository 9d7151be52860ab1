"""Axes of a grid: the coordinates of its rows or columns. An uneven axis is mapped to regular rows or columns.

This module uses plain arrays and no files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
_TOLERANCE = 0.002
"""Maximum distance of a coordinate from a regular axis, in cells, in addition to rounding errors."""
_DECIMALS = range(7)
"""Numbers of decimal places for which rounding of the coordinates is tested."""
_MAX_QUANTUM = 0.25
"""Maximum rounding unit, in cells. Differences from a regular axis that need a larger unit are not treated as
rounding.
"""
_FLOAT_QUANTUM = 4.0
"""Maximum error of a decimal fraction in floating point, in units in the last place (ULP)."""
_OVERSAMPLING = (64, 32, 16, 8, 4, 2)
"""Numbers of regular cells per smallest cell of an uneven axis to try."""
_MAX_CELLS = 2**24
"""Desired limit for the number of regular cells. A larger grid gets the smallest oversampling."""
_MAX_LENGTH = 2**17
"""Maximum number of regular cells along an uneven axis, unless the axis itself has more cells."""


@dataclass(frozen=True, eq=False)
class Axis:
    """Coordinates of the rows or columns of a grid. They increase throughout or decrease throughout."""

    centers: Floats
    """Coordinates of the cell centers, at least one."""
    error: float = 0.0
    """Largest rounding error of a coordinate."""
    width: float | None = None
    """Width of the cell, if the axis has only one cell. None if it is unknown."""

    @classmethod
    def of(
        cls,
        values: Floats,
        error: float = 0.0,
        quantum: float = 0.0,
        width: float | None = None,
        period: float | None = None,
    ) -> Axis:
        """Create an axis from coordinates.

        Parameters
        ----------
        values : ndarray of float64
            Coordinates of the cell centers.
        error : float
            Largest rounding error of a coordinate in floating point.
        quantum : float
            Unit to which the coordinates are rounded, if the file stores them as integers. By default, decimal rounding
            is detected from the values.
        width : float, optional
            Width of the cell, for an axis with one cell.
        period : float, optional
            For longitudes, 360 degrees. Then jumps such as 359, 0 are removed.

        Raises
        ------
        ValueError
            If a coordinate is not finite, or the coordinates neither increase nor decrease.
        """
        missing = int((~np.isfinite(values)).sum())
        if missing:
            raise ValueError(f"{missing} of its {values.size} values are missing")
        centers = values if period is None else np.unwrap(values, period=period)
        steps = np.diff(centers)
        if not (np.all(steps > 0) or np.all(steps < 0)):
            at = int(np.argmax(np.sign(steps) != np.sign(steps.sum()))) + 1
            raise ValueError(f"its values neither increase nor decrease throughout (value {at + 1} is {values[at]:g})")
        return cls(centers, error + _rounding_error(values, steps, quantum), width)

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.centers.size

    @property
    def step(self) -> float:
        """Mean signed distance between neighboring centers. For one cell, its width; NaN if it is unknown."""
        if self.size == 1:
            return np.nan if self.width is None else self.width
        return float(self.centers[-1] - self.centers[0]) / (self.size - 1)

    @property
    def is_regular(self) -> bool:
        """True if all centers lie on a line, except for rounding errors."""
        return self.matches(float(self.centers[0]), self.step)

    def matches(self, first: float, step: float) -> bool:
        """Return True if this is the axis with a first center and a step, except for rounding errors."""
        errors = abs(first + step * np.arange(self.size) - self.centers)
        tolerance = _TOLERANCE * abs(self.step) + 2 * self.error
        return bool(np.all(errors <= tolerance) and (self.width is None or np.isclose(abs(step), self.width)))

    def edges(self, lowest: float = -np.inf, highest: float = np.inf) -> Floats:
        """Return the edges of the cells, from low to high, shape (size + 1,).

        Edges are halfway between centers. An outer edge is as far from the outer center as the inner edge of the same
        cell. It is not beyond `lowest` or `highest`.
        """
        centers = np.sort(self.centers)
        if self.size == 1:
            return np.array([centers[0] - self.step / 2, centers[0] + self.step / 2])
        middle = (centers[:-1] + centers[1:]) / 2
        first, last = 2 * centers[0] - middle[0], 2 * centers[-1] - middle[-1]
        return np.concatenate([[max(first, lowest)], middle, [min(last, highest)]])


def _rounding_error(values: Floats, steps: Floats, quantum: float) -> float:
    """Return the rounding error of coordinates that are rounded to a unit, such as 0.01. Otherwise, return 0.

    Steps of 1/24, for example, can be stored as 0.04, 0.04, 0.05. A unit is accepted only if it is at most a quarter of
    the mean step.
    """
    largest = _MAX_QUANTUM * float(np.mean(abs(steps))) if steps.size else 0.0
    units = (quantum,) if quantum else tuple(10.0**-decimals for decimals in _DECIMALS)
    return next((unit / 2 for unit in units if unit <= largest and (quantum or _is_rounded(values, unit))), 0.0)


def _is_rounded(values: Floats, unit: float) -> bool:
    scaled = values / unit
    return bool(np.all(abs(scaled - np.rint(scaled)) <= _FLOAT_QUANTUM * np.spacing(abs(scaled))))


def float_error(values: NDArray[Any]) -> float:
    """Return the largest rounding error of values in floating point. For integers, return 0.

    Values in float64 that float32 can hold have the precision of float32.
    """
    finite = values[np.isfinite(values)] if values.dtype.kind == "f" else values[:0]
    if not finite.size:
        return 0.0
    with np.errstate(over="ignore"):
        single = finite.astype(np.float32)
    largest = abs(single if np.array_equal(single, finite) else finite).max()
    return float(np.spacing(largest)) / 2


@dataclass(frozen=True, eq=False)
class RegularAxis:
    """Regular cells, from low to high coordinates, and the source cell at the center of each regular cell."""

    start: float
    """Low edge of the first regular cell."""
    step: float
    """Width of a regular cell."""
    source: Indices
    """Index of the source cell at each regular cell."""
    below: Indices
    """Index of the neighboring source cell on the low side of the center of the regular cell."""
    above: Indices
    """Index of the neighboring source cell on the high side."""
    weight: Floats
    """Weight of the source cell on the high side, for interpolation: 0 to 1."""

    @property
    def size(self) -> int:
        """Number of regular cells."""
        return self.source.size

    @property
    def is_resampled(self) -> bool:
        """True if the regular cells are not the source cells."""
        return bool(np.any(self.weight != 0)) or self.below.size != np.unique(self.below).size


def fit_axes(
    columns: Axis, rows: Axis, limits: tuple[float, float] = (-np.inf, np.inf)
) -> tuple[RegularAxis, RegularAxis]:
    """Return regular columns and regular rows for two axes. A regular axis keeps its cells.

    An uneven axis gets regular cells that are smaller than its smallest cell.

    Parameters
    ----------
    columns, rows : Axis
        Axes of a grid.
    limits : (float, float)
        Lowest and highest edge of the rows.
    """
    for n in _OVERSAMPLING:
        lengths = _length(columns, columns.edges(), n), _length(rows, rows.edges(*limits), n)
        if lengths[0] * lengths[1] <= _MAX_CELLS:
            break
    return _fit(columns, columns.edges(), lengths[0]), _fit(rows, rows.edges(*limits), lengths[1])


def _length(axis: Axis, edges: Floats, oversampling: int) -> int:
    """Return the number of regular cells for an axis."""
    if axis.is_regular:
        return axis.size
    smallest = float(np.diff(edges).min())
    wanted = np.ceil((edges[-1] - edges[0]) / smallest * oversampling)
    return int(min(wanted, max(_MAX_LENGTH, axis.size)))


def _fit(axis: Axis, edges: Floats, length: int) -> RegularAxis:
    """Return regular cells between the outer edges of an axis."""
    upward = axis.size == 1 or axis.step > 0
    order = np.arange(axis.size) if upward else np.arange(axis.size)[::-1]
    if axis.is_regular:
        step = abs(axis.step)
        return RegularAxis(float(np.min(axis.centers)) - step / 2, step, order, order, order, np.zeros(order.size))
    step = float(edges[-1] - edges[0]) / length
    positions = edges[0] + (np.arange(length) + 0.5) * step
    nearest = np.clip(np.searchsorted(edges, positions, "right") - 1, 0, axis.size - 1)
    centers = axis.centers[order]
    low = np.clip(np.searchsorted(centers, positions, "right") - 1, 0, axis.size - 2)
    weight = np.clip((positions - centers[low]) / (centers[low + 1] - centers[low]), 0, 1)
    return RegularAxis(float(edges[0]), step, order[nearest], order[low], order[low + 1], weight)
