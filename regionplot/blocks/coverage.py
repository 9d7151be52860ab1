"""Record which cells of a grid windows cover, to find windows that overlap or exceed the grid."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from regionplot.geo.grid import Window


@dataclass
class Coverage:
    """The cells that windows cover. Adjacent windows of the same rows are stored as one."""

    height: int
    width: int
    _rows: list[tuple[int, int]] = field(default_factory=list)
    """First row and end of each band of windows, sorted."""
    _columns: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    """Sorted boundaries of the covered columns of each band: start, end, start, end ..."""
    _highest: int = 0
    """Rows of the highest band."""

    def add(self, window: Window) -> None:
        """Add a window.

        Raises
        ------
        ValueError
            If the window is empty, exceeds the grid or overlaps an earlier window.
        """
        rows, (left, right) = window.ranges
        if not (0 <= rows[0] < rows[1] <= self.height and 0 <= left < right <= self.width):
            raise ValueError(
                f"{window} is empty or not within the raster of {self.height} rows and {self.width} columns"
            )
        for band in self._bands_in(*rows):
            bounds = self._columns[band]
            if bisect_right(bounds, left) % 2 or bisect_right(bounds, left) != bisect_left(bounds, right):
                raise ValueError(f"windows must not overlap, but {window} overlaps an earlier window")
        if rows not in self._columns:
            insort(self._rows, rows)
            self._columns[rows] = []
            self._highest = max(self._highest, window.height)
        _insert(self._columns[rows], left, right)

    def _bands_in(self, top: int, bottom: int) -> Iterator[tuple[int, int]]:
        """Yield the bands with rows in a range."""
        start = bisect_left(self._rows, (top - self._highest, 0))
        for band in self._rows[start : bisect_left(self._rows, (bottom, 0))]:
            if band[1] > top:
                yield band


def _insert(bounds: list[int], left: int, right: int) -> None:
    """Insert a range into sorted boundaries of ranges. Join it with ranges that it touches."""
    start, end = bisect_left(bounds, left), bisect_right(bounds, right)
    inner = ([] if start % 2 else [left]) + ([] if end % 2 else [right])
    bounds[start:end] = inner
