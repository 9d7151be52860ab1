"""Draw neighboring tiles as one image, so that labels and symbols at the edges of tiles are not cut.

Each tile on its own would place its labels without regard to its neighbors. A metatile places all labels once and is
then divided into tiles. No label crosses the edge of a metatile. This module is pure.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from regionplot.serve.catalog import Box
from regionplot.serve.request import MapRequest

_SIDE = 4
"""Maximum number of tiles along each side of a metatile."""


@dataclass(frozen=True, slots=True)
class MetatileRequest:
    """Several tiles that are drawn together, row by row from the north west."""

    whole: MapRequest
    """Image of all tiles together."""
    columns: int
    rows: int


@dataclass(frozen=True)
class TileMatrix:
    """The tiles of one zoom level."""

    columns: int
    rows: int
    box: Callable[[int, int], Box]
    """Return the box of a tile from its column and row."""


@dataclass(frozen=True)
class Metatile:
    """A metatile, and the tile in it that a request asks for."""

    request: MetatileRequest
    tiles: tuple[MapRequest, ...]
    """All tiles, row by row."""
    position: int
    """Position of the tile of the request in `tiles`."""

    @classmethod
    def around(cls, tile: MapRequest, column: int, row: int, matrix: TileMatrix) -> Metatile:
        """Return the metatile that holds a tile.

        Parameters
        ----------
        tile : MapRequest
            The tile.
        column, row : int
            Place of the tile in its matrix.
        matrix : TileMatrix
            The tiles of the zoom level.
        """
        left, top = column - column % _SIDE, row - row % _SIDE
        columns, rows = min(_SIDE, matrix.columns - left), min(_SIDE, matrix.rows - top)
        boxes = [matrix.box(left + x, top + y) for y in range(rows) for x in range(columns)]
        first, last = boxes[0], boxes[-1]
        whole = replace(
            tile,
            box=(first[0], last[1], last[2], first[3]),
            width=tile.width * columns,
            height=tile.height * rows,
        )
        tiles = tuple(replace(tile, box=box) for box in boxes)
        return cls(MetatileRequest(whole, columns, rows), tiles, (row - top) * columns + column - left)
