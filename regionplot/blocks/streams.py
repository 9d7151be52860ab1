"""Take windows from a generator while blocks are processed, so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice

from regionplot.blocks.arguments import blocks_of, window_of
from regionplot.blocks.coverage import Coverage
from regionplot.blocks.grid import Block, BlockGrid, Georeference


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
