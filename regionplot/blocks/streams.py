"""Take windows from a generator while blocks are processed, so that memory does not grow with their number."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from regionplot.blocks.arguments import blocks_of, window_of
from regionplot.blocks.grid import Block, BlockGrid, Georeference
from regionplot.geo.grid import Window


def stream_or_blocks(
    grid: object, default: BlockGrid, halo: int, shape: tuple[int, int]
) -> BlockGrid | list[Block] | BlockStream:
    """Return the blocks of a grid like `blocks_of`. An iterator with more than two windows becomes a BlockStream.

    Raises
    ------
    TypeError, ValueError
        See `blocks_of`. Windows of a stream are checked later, each when its block is needed.
    """
    if not isinstance(grid, Iterator):
        return blocks_of(grid, default, halo, shape)
    first = list(islice(grid, 3))
    if len(first) < 3:
        return blocks_of(first, default, halo, shape)
    return BlockStream(chain(first, grid), BlockGrid(*shape, *shape, halo, reference=default.reference))


@dataclass
class BlockStream:
    """The blocks of windows that a generator yields. They can be iterated once. Their number is not known."""

    windows: Iterable[object]
    """Windows in any accepted form."""
    whole: BlockGrid
    """The whole grid as one block."""

    @property
    def reference(self) -> Georeference | None:
        """Transform and CRS of the grid."""
        return self.whole.reference

    def __iter__(self) -> Iterator[Block]:
        """Yield the blocks.

        Raises
        ------
        TypeError, ValueError
            If the next window has a wrong form, is not within the grid, or overlaps an earlier window.
        """
        covered = Coverage(self.whole.height, self.whole.width)
        for entry in self.windows:
            window = window_of(entry)
            covered.add(window)
            yield self.whole.block(window)


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
        if window.intersection(Window(0, 0, self.height, self.width)) != window:
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
