"""Paths of tile files, with the position of each tile in its raster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from regionplot.blocks.grid import Block
from regionplot.geo.grid import Window

if TYPE_CHECKING:
    _PlainPath = Path
else:
    _PlainPath = type(Path())  # Python 3.11 has no constructor for subclasses of Path


class Tile(_PlainPath):
    """Path of a tile file, with the position of the tile in the raster from which it was cut."""

    index: tuple[int, int]
    """Row and column of the tile among the tiles, counted from 0."""
    window: Window
    """Rows and columns of the raster that belong to this tile only, without the overlap."""
    padded: Window
    """Rows and columns of the raster that the file holds, with the overlap."""

    @classmethod
    def at(cls, path: Path, index: tuple[int, int], window: Window, padded: Window) -> Tile:
        """Return a path with a place."""
        tile = cls(path)
        tile.index, tile.window, tile.padded = index, window, padded
        return tile

    def moved(self, path: Path) -> Tile:
        """Return another path with the place of this tile."""
        return Tile.at(path, self.index, self.window, self.padded)

    @property
    def overlap(self) -> tuple[int, int, int, int]:
        """Cells that were added at the top, bottom, left and right. At the edges of the raster, there are fewer."""
        (top, bottom), (left, right) = self.window.ranges
        (first_row, end_row), (first_column, end_column) = self.padded.ranges
        return top - first_row, end_row - bottom, left - first_column, end_column - right

    @property
    def trim(self) -> tuple[slice, slice]:
        """Rows and columns of the file without the overlap."""
        return Block(self.window, self.padded).trim

    def with_segments(self, *segments: Any) -> Path:
        """Return a plain path for paths that are derived from this path (Python 3.12 and later)."""
        return Path(*segments)

    def __reduce__(self) -> Any:
        """Keep the place in processes that do not share memory."""
        return Tile.at, (Path(str(self)), self.index, self.window, self.padded)
