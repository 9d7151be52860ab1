"""Mask: keep the cells inside polygons, or the cells outside."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np
import shapely
from numpy.typing import NDArray
from pydantic.dataclasses import dataclass

from regionplot.blocks.grid import BlockGrid
from regionplot.blocks.values import Values
from regionplot.errors import ConfigError
from regionplot.geo.grid import GridGeometry, Window
from regionplot.geo.linework import Geometries
from regionplot.inputs.vector_layers import VectorLayer, load_layer
from regionplot.prepare.base import STEP_CONFIG, BlockContext, Operation, StepSettings
from regionplot.prepare.options import Modifier, Option
from regionplot.settings.base import InputPath, Text
from regionplot.settings.vector import VectorSettings
from regionplot.system.cache import user_cache
from regionplot.system.threads import GLOBALS_LOCK

_TILE = 256
"""Size of the tiles that are rasterized, in cells. Tiles start at the corner of the grid, not at the corner of a block.
Therefore, a polygon edge through a cell center is rounded in the same way in all blocks."""
_MARGIN = 4
"""Polygons are clipped to an extent that is wider and higher than a tile by this number of cells. Therefore, the edges
that clipping creates lie outside the tile."""


@dataclass(frozen=True, config=STEP_CONFIG)
class MaskByVector(StepSettings, Operation):
    """Remove the cells whose centers are outside the polygons of a file, or inside.

    Raises
    ------
    ConfigError
        If the file has no polygons, or the CRS of the raster cannot show any of them.
    """

    step: ClassVar[str] = "mask"
    option: ClassVar[Option] = Option(
        "FILE[:outside]",
        "Keep only the cells inside the polygons of a vector file. With :outside, keep the cells outside.",
    )
    modifiers: ClassVar[tuple[Modifier, ...]] = (
        Modifier("layer", "layer", "For masks: the layer of a file with several layers.", "NAME"),
        Modifier("all-touched", "all_touched", "For masks: a cell is inside if a polygon touches it."),
    )

    path: InputPath
    """Vector file with polygons."""
    keep: Literal["inside", "outside"] = "inside"
    """Cells to keep."""
    layer: Text | None = None
    """Layer of a file with several layers."""
    crs: Text | None = None
    """CRS of the file. By default, the CRS that the file states."""
    all_touched: bool = False
    """Count each cell that a polygon touches as inside."""

    @classmethod
    def parse(cls, text: str) -> dict[str, Any]:
        """Return settings from `FILE` or `FILE:outside`."""
        path, colon, keep = text.rpartition(":")
        return {"path": path, "keep": keep} if colon and keep in ("inside", "outside") else {"path": text}

    def bind(self, geometry: GridGeometry) -> Operation:
        """Read the polygons and project them to the CRS of the grid."""
        mask = GridMask(self, geometry)
        if not mask.polygons.polygons.size:
            raise ConfigError(
                f"{self.path}: the layer holds no polygons to mask with, or the CRS of the raster cannot show them"
            )
        return mask


@dataclasses.dataclass(frozen=True)
class GridMask(Operation):
    """A mask that is bound to one grid."""

    settings: MaskByVector
    geometry: GridGeometry

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "polygons"}

    @cached_property
    def polygons(self) -> VectorLayer:
        """The polygons in the CRS of the grid. A process that has not inherited them loads them again."""
        mask = self.settings
        settings = VectorSettings(path=mask.path, layer=mask.layer, crs=mask.crs)
        return load_layer(settings, self.geometry.crs, user_cache())

    def apply(self, values: Values, context: BlockContext) -> Values:
        """Return the values with NaN in the removed cells."""
        inside = self._inside(context.block.padded)
        kept = inside if self.settings.keep == "inside" else ~inside
        return np.where(kept, values, np.nan).astype(values.dtype)

    def _inside(self, window: Window) -> NDArray[np.bool_]:
        inside = np.zeros((window.height, window.width), bool)
        tiles = BlockGrid(self.geometry.height, self.geometry.width, _TILE, _TILE)
        for tile in _tiles_in(tiles, window):
            common = tile.intersection(window)
            assert common is not None, "the tile is in the window"
            inside[common.slices_in(window)] = self._inside_tile(tile)[common.slices_in(tile)]
        return inside

    def _inside_tile(self, tile: Window) -> NDArray[np.bool_]:
        from rasterio.features import rasterize  # noqa: PLC0415 (GDAL: import it only to read)

        part = self.geometry.subgrid(tile)
        shapes = [(polygon, 1) for polygon in self._polygons_in(part)]
        inside = np.zeros((tile.height, tile.width), np.uint8)
        if shapes:
            with GLOBALS_LOCK:
                rasterize(shapes, out=inside, transform=part.transform, all_touched=self.settings.all_touched)
        return inside.astype(bool)

    def _polygons_in(self, part: GridGeometry) -> Geometries:
        extent = part.extent.resized(
            part.extent.width * (1 + _MARGIN / part.width), part.extent.height * (1 + _MARGIN / part.height)
        )
        clipped = self.polygons.polygon_index.clip(extent, self.polygons.x_period)
        return clipped[~shapely.is_empty(clipped)]


def _tiles_in(tiles: BlockGrid, window: Window) -> Iterator[Window]:
    """Yield the tiles that share cells with a window."""
    for row in range(window.row_off // _TILE * _TILE, window.row_off + window.height, _TILE):
        for column in range(window.col_off // _TILE * _TILE, window.col_off + window.width, _TILE):
            yield Window(row, column, min(_TILE, tiles.height - row), min(_TILE, tiles.width - column))
