"""Mask: keep the cells inside polygons, or those outside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import shapely
from numpy.typing import NDArray

from regionplot.blocks.grid import BlockGrid
from regionplot.blocks.values import Values
from regionplot.errors import ConfigError
from regionplot.geo.grid import GridGeometry, Window
from regionplot.inputs.vectors import VectorLayer, load_layer
from regionplot.prepare.base import BlockContext, Operation
from regionplot.settings.vector import VectorSettings
from regionplot.system.cache import user_cache

_TILE = 256
"""Rows and columns that are rasterized at a time. The cuts are those of the grid and not of the blocks, so that
rounding at an edge through the middle of a cell is the same in any block."""


_MARGIN = 4
"""Cells by which polygons are cut wider and higher than a tile, so that no cut edge is in it."""


_one_at_a_time = threading.Lock()
"""Rasterio silences a warning meanwhile, which two threads cannot do at once without one hearing it."""


@dataclass(frozen=True)
class MaskByVector(Operation):
    """Cells whose centres lie outside of a file's polygons (or inside) become missing.

    Raises
    ------
    ConfigError
        If the file holds no polygons.
    """

    path: Path
    keep: Literal["inside", "outside"] = "inside"
    layer: str | None = None
    crs: str | None = None
    """CRS of a file that names none."""
    all_touched: bool = False
    """Count a cell as inside if any part of it is."""
    geometry: GridGeometry | None = None
    """The grid; `on` sets it."""

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "polygons"}

    def on(self, geometry: GridGeometry) -> Operation:
        """See `Operation`; the polygons are read and projected now."""
        ready = replace(self, geometry=geometry)
        if not ready.polygons.polygons.size:
            raise ConfigError(f"{self.path}: the layer holds no polygons to mask by")
        return ready

    @cached_property
    def polygons(self) -> VectorLayer:
        """The polygons in the grid's CRS; a process that could not inherit them loads them for itself."""
        assert self.geometry is not None, "on() comes first"
        settings = VectorSettings(path=self.path, layer=self.layer, crs=self.crs)
        return load_layer(settings, self.geometry.crs, user_cache())

    def apply(self, values: Values, site: BlockContext) -> Values:
        """See `Operation`."""
        inside = self._inside(site.block.padded)
        return np.where(inside if self.keep == "inside" else ~inside, values, np.nan).astype(values.dtype)

    def _inside(self, window: Window) -> NDArray[np.bool_]:
        assert self.geometry is not None, "on() comes first"
        inside = np.zeros((window.height, window.width), bool)
        tiles = BlockGrid(self.geometry.height, self.geometry.width, _TILE, _TILE)
        for tile in _crossing(tiles, window):
            top, left = max(tile.row, window.row), max(tile.column, window.column)
            bottom = min(tile.row + tile.height, window.row + window.height)
            right = min(tile.column + tile.width, window.column + window.width)
            found = self._inside_tile(tile)[
                top - tile.row : bottom - tile.row, left - tile.column : right - tile.column
            ]
            inside[top - window.row : bottom - window.row, left - window.column : right - window.column] = found
        return inside

    def _inside_tile(self, tile: Window) -> NDArray[np.bool_]:
        from rasterio.features import rasterize  # noqa: PLC0415 (GDAL: only who reads pays for its import)

        assert self.geometry is not None
        part = self.geometry.part(tile)
        shapes = [(polygon, 1) for polygon in self._polygons_at(part)]
        inside = np.zeros((tile.height, tile.width), np.uint8)
        if shapes:
            with _one_at_a_time:
                rasterize(shapes, out=inside, transform=part.affine, all_touched=self.all_touched)
        return inside.astype(bool)

    def _polygons_at(self, part: GridGeometry) -> Iterator[shapely.Geometry]:
        """What there is of polygons, cut a little outside; in degrees, on whichever turn of the circle the grid is."""
        index, turn = self.polygons.polygon_index, self.polygons.turn
        extent = part.extent.resized(
            part.extent.width * (1 + _MARGIN / part.width), part.extent.height * (1 + _MARGIN / part.height)
        )
        first = int(np.ceil((extent.xmin - index.bounds[:, 2].max()) / turn)) if turn else 0
        last = int(np.floor((extent.xmax - index.bounds[:, 0].min()) / turn)) if turn else 0
        for shift in (turn * number for number in range(first, last + 1)):
            bounds = extent.xmin - shift, extent.ymin, extent.xmax - shift, extent.ymax
            found = index.geometries[np.sort(index.tree.query(shapely.box(*bounds)))]
            clipped = shapely.clip_by_rect(found, *bounds)
            for polygon in clipped[~shapely.is_empty(clipped)]:
                yield shapely.transform(polygon, partial(np.add, (shift, 0.0))) if shift else polygon


def _crossing(tiles: BlockGrid, window: Window) -> Iterator[Window]:
    """The tiles that share cells with a window."""
    for row in range(window.row // _TILE * _TILE, window.row + window.height, _TILE):
        for column in range(window.column // _TILE * _TILE, window.column + window.width, _TILE):
            yield Window(row, column, min(_TILE, tiles.height - row), min(_TILE, tiles.width - column))
