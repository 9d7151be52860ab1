"""Trace contour lines, find straight parts of lines for labels, and find highs and lows. Plain arrays in pixels."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
_STEP = 4.0
"""Maximum pixels between two vertices of a line."""
_BEND_WEIGHT, _SLOPE_WEIGHT = 60.0, 1 / 60
"""Weights of the bend of a part (extra length, as a fraction of its length) and of its slope in degrees."""
_MAX_BADNESS = 1.6
_MAX_SLOPE = 50.0
_FINITE = 0.5
"""Minimum fraction of the surroundings of a high or low with values."""


@dataclass(frozen=True)
class ContourLine:
    """One contour line."""

    level: float
    points: Floats
    """x and y of the vertices in pixels, shape (n, 2)."""

    @cached_property
    def along(self) -> Floats:
        """Length of the line up to each vertex, shape (n,)."""
        return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(self.points, axis=0).T))])

    @property
    def length(self) -> float:
        """Length of the line in pixels."""
        return float(self.along[-1])

    def from_left(self) -> ContourLine:
        """Return the line. A closed line starts at its leftmost vertex, where it is steep and has no label."""
        if not (self.points[0] == self.points[-1]).all():
            return self
        start = int(self.points[:, 0].argmin())
        return ContourLine(self.level, np.concatenate([self.points[start:-1], self.points[: start + 1]]))

    def parts(self, gaps: Iterable[tuple[float, float]]) -> Iterator[Floats]:
        """Yield the parts of the line outside of gaps.

        Parameters
        ----------
        gaps : iterable of (float, float)
            Start and end of each gap along the line, in pixels.
        """
        start, gaps = 0.0, sorted(gaps)
        if not gaps:
            yield self.points
            return
        for first, last in [*gaps, (self.length, self.length)]:
            if first > start:
                yield self._points_between(start, first)
            start = max(start, last)

    def _points_between(self, start: float, end: float) -> Floats:
        inner = self.points[(self.along > start) & (self.along < end)]
        ends = [[np.interp(at, self.along, self.points[:, axis]) for axis in (0, 1)] for at in (start, end)]
        return np.concatenate([ends[:1], inner, ends[1:]])


class LabelSpots(NamedTuple):
    """Vertices of lines beside which the line is nearly straight and level."""

    line: NDArray[np.intp]
    """Number of the line of each vertex, shape (n,)."""
    points: Floats
    """x and y of the vertices in pixels, shape (n, 2)."""
    along: Floats
    """Length of the line up to each vertex, shape (n,)."""
    angle: Floats
    """Direction of the line in degrees, from -90 to 90, shape (n,)."""
    badness: Floats
    """Measure of bend and slope, shape (n,). 0: straight and level."""


def trace(x: Floats, y: Floats, values: Floats, levels: Iterable[float]) -> list[ContourLine]:
    """Return the contour lines of a grid.

    Parameters
    ----------
    x, y : ndarray
        Columns and rows of the grid in pixels.
    values : ndarray, shape (y.size, x.size)
        Values at the nodes. Lines end at nodes that are NaN.
    levels : iterable of float
        Values of the lines.
    """
    import contourpy  # noqa: PLC0415 (few maps have contours)

    generator = contourpy.contour_generator(x, y, np.ma.masked_invalid(values))
    traced = ((level, np.asarray(line, float)) for level in levels for line in generator.lines(level))
    return [
        ContourLine(level, shapely.get_coordinates(shapely.segmentize(shapely.linestrings(line), _STEP)))
        for level, line in traced
        if len(line) > 1
    ]


def trace_areas(x: Floats, y: Floats, values: Floats, low: float, high: float) -> NDArray[np.object_]:
    """Return the areas of a grid between two levels as Polygons.

    Parameters
    ----------
    x, y : ndarray
        Columns and rows of the grid in pixels.
    values : ndarray, shape (y.size, x.size)
        Values at the nodes. Areas end at nodes that are NaN.
    low, high : float
        The levels. They can be infinite.
    """
    import contourpy  # noqa: PLC0415 (few maps have contours)

    generator = contourpy.contour_generator(x, y, np.ma.masked_invalid(values), fill_type="OuterOffset")
    found = []
    for points, offsets in zip(*generator.filled(low, high), strict=True):
        rings = np.split(np.asarray(points, float), np.asarray(offsets[1:-1], int))
        found.append(shapely.Polygon(rings[0], rings[1:]))
    return np.array(found, object)


def label_spots(lines: Sequence[ContourLine], widths: Sequence[float]) -> LabelSpots:
    """Return the vertices at which labels can be written along their lines.

    Parameters
    ----------
    lines : sequence of ContourLine
        The lines.
    widths : sequence of float
        Width of the label of each line, in pixels.
    """
    found = [_spots(number, *each) for number, each in enumerate(zip(lines, widths, strict=True))]
    if not found:
        return LabelSpots(np.empty(0, np.intp), np.empty((0, 2)), *np.empty((3, 0)))
    return LabelSpots(*(np.concatenate(parts) for parts in zip(*found, strict=True)))


def _spots(number: int, line: ContourLine, width: float) -> LabelSpots:
    along, points = line.along, line.points
    first, last = np.searchsorted(along, along - width / 2), np.searchsorted(along, along + width / 2)
    index = np.flatnonzero((along >= width / 2) & (last < along.size))
    chord = points[last[index]] - points[first[index]]
    bend = (along[last[index]] - along[first[index]]) / np.maximum(np.hypot(*chord.T), 1.0) - 1
    angle = (np.degrees(np.arctan2(chord[:, 1], chord[:, 0])) + 90) % 180 - 90
    badness = bend * _BEND_WEIGHT + abs(angle) * _SLOPE_WEIGHT
    good = (badness <= _MAX_BADNESS) & (abs(angle) <= _MAX_SLOPE)
    index = index[good]
    return LabelSpots(np.full(index.size, number), points[index], along[index], angle[good], badness[good])


def levels_between(low: float, high: float, interval: float, base: float) -> Floats:
    """Return the multiples of an interval, counted from a base, between two values."""
    first, last = math.ceil((low - base) / interval), math.floor((high - base) / interval)
    return base + np.arange(first, last + 1) * interval


def blurred(values: Floats, radius: float) -> Floats:
    """Return values averaged with a Gaussian weight. Nodes without a value stay NaN, and have no weight.

    Parameters
    ----------
    values : ndarray, shape (rows, columns)
        The values, NaN if missing.
    radius : float
        Standard deviation of the weight, in nodes.
    """
    reach = math.ceil(3 * radius)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / radius) ** 2)
    is_known = np.isfinite(values)
    total, weight = (_convolved(each, weights) for each in (np.where(is_known, values, 0.0), is_known.astype(float)))
    return np.where(is_known, total / np.where(is_known, weight, 1.0), np.nan)


def roughness(values: NDArray[Any]) -> float:
    """Return how much neighboring cells differ from a smooth surface: 0 for a plane, 1.7 for white noise.

    The result is the mean absolute second difference divided by the mean absolute difference over two cells, along
    the axis where this ratio is larger.

    Parameters
    ----------
    values : ndarray, shape (rows, columns)
        The cells, NaN if missing.
    """
    ratios = [0.0]
    for along in (np.asarray(values, float), np.asarray(values, float).T):
        first, middle, last = along[:-2], along[1:-1], along[2:]
        known = np.isfinite(first) & np.isfinite(middle) & np.isfinite(last)
        first, middle, last = first[known], middle[known], last[known]
        slope = np.abs(last - first).sum()
        ratios.append(float(np.abs(first - 2 * middle + last).sum() / slope) if slope else 0.0)
    return max(ratios)


def _convolved(values: Floats, weights: Floats) -> Floats:
    """Return values multiplied with the weights along both axes. There is nothing beyond the edges."""
    reach = weights.size // 2
    for axis in (0, 1):
        padded = np.pad(values, [(reach, reach) if own == axis else (0, 0) for own in (0, 1)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, weights.size, axis=axis)
        values = windows @ weights
    return values


def find_highs(values: Floats, reach: int, prominence: float) -> Iterator[tuple[int, int]]:
    """Yield the row and column of each node that is the highest within a distance, the highest first.

    Nodes at the edge of the grid and beside missing values are left out.

    Parameters
    ----------
    values : ndarray, shape (rows, columns)
        The values, NaN if missing. Pass negative values to find lows.
    reach : int
        Distance along rows and columns, in nodes.
    prominence : float
        Minimum difference between a high and the mean within the distance.
    """
    inner = values[1:-1, 1:-1]
    around = [values[1 + i : values.shape[0] - 1 + i, 1 + j : values.shape[1] - 1 + j] for i, j in _NEIGHBORS]
    with np.errstate(invalid="ignore"):
        is_high = np.logical_and.reduce([inner >= each for each in around])
    rows, columns = (index + 1 for index in np.nonzero(is_high))
    taken = np.zeros(values.shape, bool)
    for number in np.argsort(-values[rows, columns], kind="stable"):
        row, column = int(rows[number]), int(columns[number])
        area = slice(max(row - reach, 0), row + reach + 1), slice(max(column - reach, 0), column + reach + 1)
        if taken[row, column]:
            continue
        known = values[area][np.isfinite(values[area])]
        if known.size < _FINITE * values[area].size or known.max() > values[row, column]:
            continue
        taken[area] = True
        if values[row, column] - known.mean() > prominence:
            yield row, column


_NEIGHBORS = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if (i, j) != (0, 0)]
