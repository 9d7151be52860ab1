"""Fit a region's limits to the panel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias, TypeVar

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.errors import ConfigError, RegionError
from regionplot.geo.bounds import is_near_earth, within_world
from regionplot.geo.centered import parse_centered
from regionplot.geo.crs import is_drawable, not_drawable
from regionplot.geo.crs_cache import crs_cache
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.foreign_crs import parse_code, parse_file_crs
from regionplot.geo.project import project_extent
from regionplot.geo.region import Region
from regionplot.geo.upright import Upright, own_axes, upright
from regionplot.sheet.layout import Box

P = TypeVar("P", bound=np.generic)
_Parser: TypeAlias = Callable[[str], pyproj.CRS]
_KEPT_VIEWS = 4096


@dataclass(frozen=True, slots=True)
class View:
    """A region fitted to a panel."""

    box: Box
    """Box of the panel on the sheet, in pixels."""
    panel: PanelGrid
    """Extent of the panel in map units, and its number of pixels."""
    requested: Extent
    """Limits of the region in map units. The panel can show a larger area."""

    @classmethod
    def of(cls, region: Region, crs: pyproj.CRS, box: Box, fit: str) -> View:
        """Fit a region to a panel.

        Parameters
        ----------
        region : Region
            The region. Its limits are in `region.crs`, or in the CRS of the map if `region.crs` is None.
        crs : pyproj.CRS
            CRS of the map.
        box : Box
            Panel of the layout.
        fit : {"datalim", "exact"}
            `datalim` widens the limits to the aspect ratio of the box. `exact` makes the box narrower or lower, to the
            aspect ratio of the limits. A map in rotated degrees shows the globe at most once.

        Raises
        ------
        RegionError
            If the limits cannot be projected, or the place of a moving region is not known.
        """
        if region.track is not None:
            raise RegionError(region.track.problem or "the region moves; its place at a time is region.at(time)")
        return _view(region.extent, region.crs, _parser_for(region), crs, box, fit)

    def requested_pixels(self, values: NDArray[P]) -> NDArray[P]:
        """Return the values at the pixels within the requested limits. The result has at least one pixel."""
        return values[self.requested_area]

    def place(self, size: tuple[int, int]) -> tuple[slice, slice]:
        """Return the rows and columns of the panel on a sheet of some width and height, counted from the top left."""
        _, height = size
        return slice(height - self.box.top, height - self.box.bottom), slice(self.box.left, self.box.right)

    @property
    def requested_area(self) -> tuple[slice, slice]:
        """Rows and columns of the panel within the requested limits, at least one of each."""
        panel, shown = self.panel, self.panel.extent
        first_row, last_row = _pixel_range(shown.ymax - self.requested.ymax, self.requested.height, panel.pixel_height)
        first_column, last_column = _pixel_range(
            self.requested.xmin - shown.xmin, self.requested.width, panel.pixel_width
        )
        return slice(first_row, last_row), slice(first_column, last_column)


@crs_cache(_KEPT_VIEWS)
def _view(extent: Extent, own_crs: str | None, parse: _Parser, crs: pyproj.CRS, box: Box, fit: str) -> View:
    """Return the view of an extent. The result is cached, because several stages of a run need it."""
    requested = _limits(extent, _axes(own_crs, parse, crs), crs)
    scale = max(requested.width / box.width, requested.height / box.height)
    if fit == "exact":
        box = _centered(box, max(1, round(requested.width / scale)), max(1, round(requested.height / scale)))
        return View(box, PanelGrid(requested, box.width, box.height), requested)
    shown = requested.resized(scale * box.width, scale * box.height)
    if crs.is_geographic and crs.is_derived:
        shown = within_world(shown)
        box = _centered(box, max(1, round(shown.width / scale)), max(1, round(shown.height / scale)))
    return View(box, PanelGrid(shown, box.width, box.height), requested)


def axes_of(region: Region, crs: pyproj.CRS) -> Upright:
    """Return the CRS of a region's limits, with the standard axes. Refuse a CRS that names files.

    Parameters
    ----------
    region : Region
        The region. Tables can come from other people, so a table can only name a CRS by its code.
    crs : pyproj.CRS
        CRS of the map, which is returned if the region has no CRS of its own.

    Raises
    ------
    RegionError
        If the CRS cannot be used.
    """
    return _axes(region.crs, _parser_for(region), crs)


def _parser_for(region: Region) -> _Parser:
    """Return the function that parses the CRS of a region. Regions of a table have an origin."""
    return parse_code if region.origin else parse_file_crs


def _axes(own_crs: str | None, parse: _Parser, crs: pyproj.CRS) -> Upright:
    if own_crs is None:
        return own_axes(crs)
    try:
        return _parsed(own_crs, parse)
    except ConfigError as error:
        raise RegionError(f"column 'crs': {error}") from None


@lru_cache(maxsize=64)
def _parsed(text: str, parse: _Parser) -> Upright:
    crs = parse_centered(text) or parse(text)
    if not is_drawable(crs):
        raise ConfigError(not_drawable(crs))
    return upright(crs)


def _limits(own: Extent, axes: Upright, crs: pyproj.CRS) -> Extent:
    extent = axes.extent(own)
    if not is_near_earth(extent, axes.crs):
        raise RegionError(
            f"the region ({own}) lies outside the earth in the CRS {axes.crs.name!r}; "
            "use coordinates in this CRS, or name their CRS in the column 'crs'"
        )
    try:
        limits = project_extent(extent, axes.crs, crs)
    except ConfigError as error:
        raise RegionError(str(error)) from None
    if not (limits.width > 0 and limits.height > 0):
        raise RegionError(f"the region ({own}) has no area in the projection {crs.name!r}; use a larger region")
    return limits


def _centered(box: Box, width: int, height: int) -> Box:
    return Box(box.left + (box.width - width) // 2, box.bottom + (box.height - height) // 2, width, height)


def _pixel_range(offset: float, length: float, pixel: float) -> tuple[int, int]:
    first = int(np.floor(offset / pixel + 1e-6))
    return first, max(first + 1, int(np.ceil((offset + length) / pixel - 1e-6)))
