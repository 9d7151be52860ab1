"""Divide a grid into blocks with halos. This module computes windows and uses no files."""

from __future__ import annotations

import itertools
import numbers
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple

from regionplot.geo.grid import Window


class Georeference(NamedTuple):
    """Transform and CRS of a whole grid, as in rasterio."""

    transform: Any
    """`affine.Affine` that maps (column, row) of cell corners to (x, y)."""
    crs: Any


@dataclass(frozen=True, slots=True)
class Block:
    """A rectangle of cells to compute, and the larger rectangle to read."""

    core: Window
    """Cells to compute. The cores of a grid cover each cell once."""
    padded: Window
    """The core and its halo, clipped to the grid."""
    index: tuple[int, int] | None = field(default=None, compare=False, repr=False)
    """Row and column of the block in its `BlockGrid`. None for a window."""
    reference: Georeference | None = field(default=None, compare=False, repr=False)
    """Transform and CRS of the grid. It is not pickled. Workers have it from their task."""

    def __reduce__(self) -> tuple[Callable[..., Block], tuple[Any, ...]]:
        """Pickle without the reference, because a CRS is large and the same for all blocks."""
        return _block_of, (*_numbers_of(self.core), *_numbers_of(self.padded), self.index)

    @property
    def window(self) -> Any:
        """The core as a `rasterio.windows.Window`."""
        from rasterio.windows import Window as RasterioWindow  # noqa: PLC0415 (imports GDAL)

        return RasterioWindow(self.core.col_off, self.core.row_off, self.core.width, self.core.height)

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns of the core within an array of the whole grid."""
        return tuple(slice(*ends) for ends in self.core.ranges)  # type: ignore[return-value]  # two ranges

    @property
    def transform(self) -> Any:
        """Transform of the core: `affine.Affine` from its (column, row) to (x, y). ValueError if it is unknown."""
        transform, column, row = self._known_reference().transform, self.core.col_off, self.core.row_off
        a, b, c, d, e, f = transform[:6]
        return type(transform)(a, b, a * column + b * row + c, d, e, d * column + e * row + f)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """Left, bottom, right and top of the core in the CRS. ValueError if they are unknown."""
        a, b, c, d, e, f = self.transform[:6]
        corners = list(itertools.product((0, self.core.width), (0, self.core.height)))
        xs, ys = [a * x + b * y + c for x, y in corners], [d * x + e * y + f for x, y in corners]
        return min(xs), min(ys), max(xs), max(ys)

    @property
    def crs(self) -> Any:
        """CRS of the grid, as in rasterio. ValueError if the reference is unknown."""
        return self._known_reference().crs

    def _known_reference(self) -> Georeference:
        if self.reference is None:
            raise ValueError("the transform and the CRS of this block are unknown; set the reference of its BlockGrid")
        return self.reference

    @property
    def trim(self) -> tuple[slice, slice]:
        """Rows and columns of the core within an array of the padded window."""
        return self.core.slices_in(self.padded)


def _numbers_of(window: Window) -> tuple[int, int, int, int]:
    return window.row_off, window.col_off, window.height, window.width


def _block_of(*numbers: Any) -> Block:
    """Return a block from the numbers of its windows, and its index. Numbers pickle faster than windows."""
    return Block(Window(*numbers[:4]), Window(*numbers[4:8]), numbers[8])


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
    """Rows of a block. Blocks at the edges of the grid can have fewer rows."""
    block_width: int
    halo: int = 0
    """Width in cells of the border to read around each block. At the edges of the grid, the border is narrower."""
    row_offset: int = 0
    """Row at which the second row of blocks begins. Blocks of the first row can be smaller. 0 means no offset."""
    column_offset: int = 0
    """Column at which the second column of blocks begins. 0 means no offset."""
    reference: Georeference | None = field(default=None, compare=False, repr=False)
    """Transform and CRS of the grid, for blocks."""

    def __post_init__(self) -> None:
        sizes = [getattr(self, name.name) for name in fields(self) if name.name != "reference"]
        if not all(isinstance(size, numbers.Integral) and not isinstance(size, bool) for size in sizes):
            raise TypeError(f"the sizes, the halo and the offsets of a grid must be integers: {self}")
        if min(self.height, self.width, self.block_height, self.block_width) < 1:
            raise ValueError(f"a grid and its blocks need at least one row and one column: {self}")
        if min(self.halo, self.row_offset, self.column_offset) < 0:
            raise ValueError(f"a halo and offsets cannot be negative: {self}")

    @property
    def shape(self) -> tuple[int, int]:
        """Number of rows and of columns of blocks."""
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
        for row, (top, bottom) in enumerate(itertools.pairwise(rows)):
            for column, (left, right) in enumerate(itertools.pairwise(columns)):
                yield self.block(Window(top, left, bottom - top, right - left), (row, column))

    def block(self, core: Window, index: tuple[int, int] | None = None) -> Block:
        """Return the block with the given core. The core can be any window of the grid."""
        if self.halo == 0:
            return Block(core, core, index, self.reference)
        clipped = core.expanded(self.halo).intersection(Window(0, 0, self.height, self.width))
        assert clipped is not None, "the core is in the grid"
        return Block(core, clipped, index, self.reference)


def _cuts(length: int, block: int, offset: int) -> list[int]:
    """Return the positions of the boundaries between blocks along one side, including both ends."""
    first = offset % block or block
    return [0, *range(first, length, block), length]
