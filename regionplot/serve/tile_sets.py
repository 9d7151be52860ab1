"""Tile matrix sets: how the world is cut into tiles. The definitions come from morecantile."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from regionplot.serve.catalog import Box
from regionplot.serve.parameters import named

MERCATOR = "WebMercatorQuad"
CODES = {
    MERCATOR: "EPSG:3857",
    "WorldCRS84Quad": "OGC:CRS84",
    "WGS1984Quad": "EPSG:4326",
    "WorldMercatorWGS84Quad": "EPSG:3395",
    "EuropeanETRS89_LAEAQuad": "EPSG:3035",
    "CanadianNAD83_LCC": "EPSG:3978",
    "UPSArcticWGS84Quad": "EPSG:5041",
    "UPSAntarcticWGS84Quad": "EPSG:5042",
}
"""The tile matrix sets that the service offers, and the codes of their CRSs."""


@dataclass(frozen=True)
class Matrix:
    """The tiles of one zoom level."""

    left: float
    top: float
    tile_size: float
    """Size of a tile in units of the CRS."""
    rows: int
    columns: int

    def box(self, row: int, column: int) -> Box:
        """Return the box of a tile, in the order x, y."""
        left, top = self.left + column * self.tile_size, self.top - row * self.tile_size
        return left, top - self.tile_size, left + self.tile_size, top


@dataclass(frozen=True)
class TileSet:
    """A tile matrix set."""

    name: str
    code: str
    """Code of the CRS. Boxes have the order x, y."""
    matrices: Mapping[str, Matrix]
    document: Mapping[str, Any]
    """The definition as JSON (OGC 17-083r4)."""

    @property
    def is_mercator(self) -> bool:
        """True for the tiles of most web maps."""
        return self.name == MERCATOR


def tile_set(name: str) -> TileSet:
    """Return a tile matrix set.

    Raises
    ------
    RequestError
        If there is no such tile matrix set.
    """
    named(name, CODES, "tile matrix set")
    return _tile_set(name)


@lru_cache(maxsize=len(CODES))
def _tile_set(name: str) -> TileSet:
    import morecantile  # noqa: PLC0415 (only tiles other than XYZ need it)

    found = morecantile.tms.get(name)
    matrices = {}
    for zoom, each in enumerate(found.tileMatrices):
        first = found.xy_bounds(morecantile.Tile(0, 0, zoom))
        size = first.right - first.left
        matrices[each.id] = Matrix(first.left, first.top, size, each.matrixHeight, each.matrixWidth)
    return TileSet(name, CODES[name], matrices, found.model_dump(mode="json", exclude_none=True))
