"""Ramps: colors that change gradually between stops.

A ramp is drawn exactly. The colors of an image have 256 steps per channel, so a ramp is a list of intervals of values
in which the rounded color is constant. The limits of these intervals are computed once. A value then needs one search.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
_WHITE = 255
_THRESHOLDS = {"nearest": 0.5, "gdal": 0.55, "qgis": 0.0}
"""Smallest fraction that each program rounds up."""
_TINY = 1e-9
_MAX_RATIO = 10.0
"""If the largest distance between stops is more than this multiple of the smallest distance, all distances are equal on
the color bar."""


@dataclass(frozen=True)
class Ramp:
    """Colors at values, with linear transitions between them."""

    positions: Floats
    """Values that do not decrease, shape (n,). Two equal values make a sharp edge."""
    rgba: Floats
    """Colors from 0 to 1, shape (n, 4)."""
    rounding: str = "nearest"
    """How mixed colors are rounded: `nearest`, `gdal` or `qgis`."""

    @classmethod
    def of(cls, positions: Sequence[float], colors: Sequence[Any]) -> Self:
        """Return the ramp of positions and colors."""
        return cls(np.asarray(positions, dtype=float), np.asarray(colors, dtype=float).reshape(-1, 4))

    def at(self, values: Floats) -> Floats:
        """Return the colors of values, shape (n, 4). Values beyond the ramp get the color of its nearest end."""
        within = np.clip(values, self.positions[0], self.positions[-1])
        last = len(self.positions) - 1
        left = np.clip(np.searchsorted(self.positions, within, side="right") - 1, 0, last - 1)
        width = self.positions[left + 1] - self.positions[left]
        share = ((within - self.positions[left]) / np.where(width > 0, width, 1))[:, None]
        colors: Floats = self.rgba[left] * (1 - share) + self.rgba[left + 1] * share
        return colors

    def sampled(self, count: int) -> Floats:
        """Return `count` colors, shape (count, 4), at equal distances from the first stop to the last."""
        return self.at(np.linspace(self.positions[0], self.positions[-1], count))

    def edges(self) -> Floats:
        """Return the values at which the rounded color changes, from the first stop to the last, increasing."""
        found = [self.positions]
        for number, (low, high) in enumerate(pairwise(self.positions)):
            if low < high:
                changes = _changes(self.rgba[number], self.rgba[number + 1], _THRESHOLDS[self.rounding])
                shares = np.fromiter(changes, dtype=float)
                found.append(low + shares * (high - low))
        return np.unique(np.concatenate(found))

    def steps(self) -> tuple[Floats, Floats]:
        """Return the edges, and the rounded colors between them, shape (n, 4), from 0 to 1.

        The last interval contains only the last stop.
        """
        edges = self.edges()
        middles = (edges[:-1] + edges[1:]) / 2
        exact = self.at(middles) * _WHITE
        if self.rounding == "qgis":  # truncates the difference from the lower stop
            left = np.searchsorted(self.positions, middles, side="right") - 1
            rising = self.rgba[left + 1] >= self.rgba[left]
            rounded = np.where(rising, np.floor(exact + _TINY), np.ceil(exact - _TINY))
        else:
            rounded = np.floor(exact + 1 - _THRESHOLDS[self.rounding])
        rows = np.vstack([rounded, np.rint(self.rgba[-1:] * _WHITE)]) / _WHITE
        return np.append(edges, np.nextafter(edges[-1], np.inf)), rows

    def axis(self) -> tuple[Floats, Floats]:
        """Return distinct values and their places on a color bar, from 0 to 1.

        The places are proportional to the values. If the distances between stops differ very much, the stops have
        equal distances on the bar.
        """
        values = np.unique(self.positions)
        gaps = np.diff(values)
        if gaps.max() <= _MAX_RATIO * gaps.min():
            values = values[[0, -1]]
        return values, np.linspace(0, 1, len(values))


def _changes(first: Floats, last: Floats, threshold: float) -> Iterator[float]:
    """Yield the places between two colors, from 0 to 1, at which a channel rounds to another number.

    A fraction rounds up if it is at least the threshold.
    """
    for start, end in zip(first[:3] * _WHITE, last[:3] * _WHITE, strict=True):
        low, high = min(start, end), max(start, end)
        changes = np.arange(np.ceil(low - threshold), np.floor(high - threshold) + 1) + threshold
        yield from (float(change - start) / float(end - start) for change in changes if start != end)
