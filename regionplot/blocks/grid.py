"""Cut a grid into blocks with halos. Pure window arithmetic; no files."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from regionplot.geo.grid import Window


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of cells to be worked out, and the larger one that is read for it."""

    core: Window
    """The cells that this block answers for; the cores of a grid cover each cell once."""
    padded: Window
    """The core with its halo, as far as the grid goes."""

    @property
    def trim(self) -> tuple[slice, slice]:
        """Rows and columns of the core within an array of the padded window."""
        top, left = self.core.row - self.padded.row, self.core.column - self.padded.column
        return slice(top, top + self.core.height), slice(left, left + self.core.width)


@dataclass(frozen=True, slots=True)
class BlockGrid:
    """The blocks of a grid, row by row from the top left.

    Examples
    --------
    >>> [block.core.width for block in BlockGrid(100, 250, 100, 100)]
    [100, 100, 50]
    """

    height: int
    """Rows of the whole grid."""
    width: int
    """Columns of the whole grid."""
    block_height: int
    """Rows of a block; those along the edges may have fewer."""
    block_width: int
    halo: int = 0
    """Cells around each block that are read with it, where there are any."""
    row_offset: int = 0
    """Row of the first cut within the grid; the blocks above it are lower."""
    column_offset: int = 0

    def __post_init__(self) -> None:
        if min(self.height, self.width, self.block_height, self.block_width) < 1:
            raise ValueError(f"a grid and its blocks need at least one row and one column: {self}")
        if min(self.halo, self.row_offset, self.column_offset) < 0:
            raise ValueError(f"a halo and offsets cannot be negative: {self}")

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of blocks."""
        return (
            len(_cuts(self.height, self.block_height, self.row_offset)) - 1,
            len(_cuts(self.width, self.block_width, self.column_offset)) - 1,
        )

    def __len__(self) -> int:
        rows, columns = self.shape
        return rows * columns

    def __iter__(self) -> Iterator[Block]:
        rows = _cuts(self.height, self.block_height, self.row_offset)
        columns = _cuts(self.width, self.block_width, self.column_offset)
        for top, bottom in itertools.pairwise(rows):
            for left, right in itertools.pairwise(columns):
                yield self.block(Window(top, left, bottom - top, right - left))

    def block(self, core: Window) -> Block:
        """The block whose core is a window, be it one of this grid's own or any other."""
        top, left = max(0, core.row - self.halo), max(0, core.column - self.halo)
        bottom = min(self.height, core.row + core.height + self.halo)
        right = min(self.width, core.column + core.width + self.halo)
        return Block(core, Window(top, left, bottom - top, right - left))


def _cuts(length: int, block: int, offset: int) -> list[int]:
    """Where a side is cut, its two ends included."""
    first = offset % block or block
    return [0, *range(first, length, block), length]
