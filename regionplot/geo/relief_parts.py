"""Shade a part of a larger map, so that neighboring parts fit together without seams.

::

    panel ─► lattice of blocks around it ─► heights ─► smoothed ─► light ─► interpolated ─► levels of the panel

The blocks lie at multiples of their size in map units. The scale of the map and the size of a cell are those of each
row. Hence, the light on a place of the world does not depend on the part of the map that is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.errors import RegionplotError
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import LONLAT, Extent, PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.positions import Locator
from regionplot.geo.project import project_extent
from regionplot.geo.relief import (
    CELL_BLUR,
    FAR_BLOCK,
    FAR_EXAGGERATION,
    FAR_SHARE,
    FLAT,
    REACH,
    Floats,
    Heights,
    block_means,
    enlarged,
    ground_heights,
    light_on,
    smoothed,
    to_levels,
)
from regionplot.geo.strips import row_strips

_BLOCKS_PER_CELL = 3.0
"""Minimum number of blocks along a cell, if a cell covers many pixels."""
_MOST_DOUBLINGS = 20
"""The largest block has 2 ** 20 pixels along a side."""
_TIE = 0.01
"""Number to add to the logarithm of the number of pixels, so that rounding errors do not change the size of blocks."""
_LARGEST_CELL = 48.0
"""Maximum number of blocks along a cell. Near the poles, projections stretch cells without a limit."""
_ROWS = 17
"""Number of rows in which the size of cells is measured."""
_MORE = 2
"""Blocks beyond the reach of the Gaussian: one for slopes, and one for interpolation."""
_QUARTER = 0.25
"""Share of a pixel by which the lattice is shifted, so that rounding does not depend on the panel."""
_FLATTEST = 0.1
"""Minimum length of a pixel along its row, as a fraction of its length across the row."""
_SHARPEST = 1e-3
"""Standard deviation of a Gaussian that does not smooth, in blocks."""
HeightsAt = Callable[[PanelGrid], NDArray[Any]]
"""Function that returns heights in meters at the pixels of any panel, NaN where they are unknown."""


@dataclass(frozen=True)
class MapScale:
    """The scale of a map and the size of a raster's cells, along one column of the map."""

    geometry: GridGeometry
    """Geometry of the raster."""
    crs: pyproj.CRS
    """CRS of the map."""

    @property
    def _middle(self) -> float:
        """X of the column through the middle of the raster."""
        try:
            return project_extent(self.geometry.extent, self.geometry.crs, self.crs).center[0]
        except RegionplotError:
            return 0.0

    def meters(self, panel: PanelGrid) -> Floats:
        """Return the length of a pixel on the ground in each row, shape (height, 1). NaN if no length is known."""
        geod, x, half = self.crs.get_geod(), self._middle, panel.pixel_width / 2
        y = panel.extent.ymax - np.arange(panel.height + 1) * panel.pixel_height
        middle = (y[1:] + y[:-1]) / 2
        to_lonlat = transformer(self.crs, parse_crs(LONLAT)).transform
        west, east = (
            to_lonlat(np.full_like(middle, x - half), middle),
            to_lonlat(np.full_like(middle, x + half), middle),
        )
        across = to_lonlat(np.full_like(y, x), y)
        if geod is None:
            return np.full((panel.height, 1), np.nan)
        along_row = np.asarray(geod.inv(*west, *east)[2])
        along_column = np.asarray(geod.inv(across[0][1:], across[1][1:], across[0][:-1], across[1][:-1])[2])
        return _filled(np.maximum(along_row, _FLATTEST * along_column))[:, None]

    def cells(self, panel: PanelGrid, rows: int | None = None) -> Floats:
        """Return the number of pixels along a cell in each row, or in some rows of equal distance, shape (n, 1)."""
        count, extent = rows or panel.height, panel.extent
        y = extent.ymax - (np.arange(count) + 0.5) * extent.height / count
        return np.minimum(self._cells_at(y, panel), _LARGEST_CELL)[:, None]

    def block(self, panel: PanelGrid) -> int:
        """Return the number of pixels along a block: a power of two that depends only on the resolution of a panel."""
        try:
            raster = project_extent(self.geometry.extent, self.geometry.crs, self.crs)
        except RegionplotError:
            return 1
        cell = self._cells_at(np.linspace(raster.ymin, raster.ymax, _ROWS), panel).min()
        return int(2 ** min(max(math.floor(math.log2(cell / _BLOCKS_PER_CELL) + _TIE), 0), _MOST_DOUBLINGS))

    def _cells_at(self, y: Floats, panel: PanelGrid) -> Floats:
        """Return the number of pixels along a cell at positions along the column, in pixels of a panel."""
        x, extent = self._middle, panel.extent
        limits = Extent(x - panel.pixel_width, x + panel.pixel_width, extent.ymin, extent.ymax)
        column = PanelGrid(limits, 2, panel.height)
        rows = (extent.ymax - y) / panel.pixel_height
        locator, ones = Locator(self.geometry, self.crs, column), np.ones(1)
        with np.errstate(invalid="ignore"):
            sides = np.array(locator(np.array([0.5, 1.5]), rows))
            along_x = np.hypot(*(sides[..., 1] - sides[..., 0]))
            along_y = np.hypot(*(np.array(locator(ones, rows + 0.5)) - locator(ones, rows - 0.5))[..., 0])
        cells = _filled(1 / np.maximum(np.minimum(along_x, along_y), 1e-9))
        return np.where(np.isfinite(cells), cells, 1.0)


@dataclass(frozen=True)
class _Lattice:
    """Blocks of pixels that cover a panel and its surroundings. They lie at multiples of their size in map units."""

    panel: PanelGrid
    """Its pixels are the blocks."""
    start: tuple[int, int]
    """Row and column of the first pixel of the panel, counted in pixels from the first block."""

    @classmethod
    def around(cls, panel: PanelGrid, block: int, reach: float) -> _Lattice:
        """Return the blocks that cover a panel and `reach` pixels around it."""
        extent, x, y = panel.extent, panel.pixel_width, panel.pixel_height
        starts, limits, counts = [], [], []
        for edge, pixel, count, sign in ((-extent.ymax, y, panel.height, -1), (extent.xmin, x, panel.width, 1)):
            place = math.floor(edge / pixel + _QUARTER)
            first, last = math.floor((place - reach) / block), math.ceil((place + count + reach) / block)
            starts.append(place - first * block)
            counts.append(last - first)
            low = edge - starts[-1] * pixel
            limits.append(sorted((sign * low, sign * (low + counts[-1] * block * pixel))))
        return cls(PanelGrid(Extent(*limits[1], *limits[0]), counts[1], counts[0]), (starts[0], starts[1]))


@dataclass(frozen=True, eq=False)
class _Blocks:
    """Heights of square blocks of pixels."""

    panel: PanelGrid
    """Its pixels are the blocks."""
    start: tuple[int, int]
    """Row and column of the first pixel of the map, counted in pixels from the first block."""
    side: int
    """Pixels along a block."""
    ground: Heights

    def light(self, scale: MapScale, sigma: float | Floats, exaggeration: Callable[[Floats], Floats]) -> Heights:
        """Return the light on each block after smoothing."""
        meters = scale.meters(self.panel)
        return light_on(smoothed(self.ground, sigma), exaggeration(meters / self.side) / meters)

    def at_pixels(self, light: Heights, shape: tuple[int, int], rows: slice) -> Heights:
        """Return light at some rows of the pixels of the map."""
        return enlarged(light, self.side, shape, rows, self.start)


def part_levels(
    panel: PanelGrid,
    heights: HeightsAt,
    scale: MapScale,
    *,
    exaggeration: Callable[[Floats], Floats],
    blur: float,
    sea: float,
) -> NDArray[np.uint8]:
    """Return the light on each pixel as a level. See `geo.relief.relief_levels`.

    Parameters
    ----------
    panel : PanelGrid
        The part of the map.
    heights : callable
        Function that returns the heights in meters at the pixels of a panel, NaN where they are unknown.
    scale : MapScale
        The scale of the map.
    exaggeration : callable
        Function that returns the factor for heights from the length of a pixel in meters.
    blur : float
        Standard deviation of the Gaussian that smooths heights for broad forms, in pixels.
    sea : float
        Factor for heights below zero.
    """
    shape = panel.height, panel.width
    if not np.isfinite(scale.meters(panel)).all():
        return np.full(shape, FLAT, np.uint8)
    near, far = _blocks(panel, heights, scale, blur, sea)
    cells = scale.cells(near.panel)
    near_light = near.light(scale, np.where(cells * near.side > 1, CELL_BLUR * cells, _SHARPEST), exaggeration)
    far_light = far.light(scale, blur / far.side, lambda meters: FAR_EXAGGERATION * exaggeration(meters))
    levels = np.empty(shape, np.uint8)
    for rows in row_strips(*shape):
        light = near.at_pixels(near_light, shape, rows) * np.float32(1 - FAR_SHARE)
        light += far.at_pixels(far_light, shape, rows) * np.float32(FAR_SHARE)
        to_levels(light)
        levels[rows] = light
    return levels


def _blocks(panel: PanelGrid, heights: HeightsAt, scale: MapScale, blur: float, sea: float) -> tuple[_Blocks, _Blocks]:
    """Return small blocks for the light on the heights, and blocks for the light on broad forms.

    The heights of large blocks are those at their centers, because a cell covers several blocks.
    """
    side = scale.block(panel)
    cell = scale.cells(_with_pixels(panel, 1 / side), _ROWS).max() * side
    near_reach, far_reach = REACH * CELL_BLUR * cell + _MORE * side, REACH * blur + _MORE * FAR_BLOCK
    if side < FAR_BLOCK:
        lattice = _Lattice.around(panel, FAR_BLOCK, max(near_reach, far_reach))
        ground, _ = ground_heights(heights(_with_pixels(lattice.panel, FAR_BLOCK)), sea)
        near = _Blocks(_with_pixels(lattice.panel, FAR_BLOCK // side), lattice.start, side, block_means(ground, side))
        return near, _Blocks(lattice.panel, lattice.start, FAR_BLOCK, block_means(ground, FAR_BLOCK))
    found = []
    for block, reach in ((side, near_reach), (FAR_BLOCK, far_reach)):
        lattice = _Lattice.around(panel, block, reach)
        found.append(_Blocks(lattice.panel, lattice.start, block, ground_heights(heights(lattice.panel), sea)[0]))
    return found[0], found[1]


def _with_pixels(panel: PanelGrid, number: float) -> PanelGrid:
    """Return a grid of the same extent with a number of pixels along each side of a pixel, rounded."""
    return PanelGrid(panel.extent, max(1, round(panel.width * number)), max(1, round(panel.height * number)))


def _filled(values: Floats) -> Floats:
    """Return values of rows. Those that are not finite are replaced by the nearest finite value, if there is one."""
    known = np.flatnonzero(np.isfinite(values))
    if known.size in (0, values.size):
        return values
    found: Floats = np.interp(np.arange(values.size), known, values[known])
    return found
