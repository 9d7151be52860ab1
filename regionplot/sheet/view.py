"""Fit a region's limits to the panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.errors import ConfigError, RegionError
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.foreign_crs import parse_code, parse_file_crs
from regionplot.geo.project import project_extent
from regionplot.geo.region import Region
from regionplot.sheet.layout import Box

P = TypeVar("P", bound=np.generic)


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
            aspect ratio of the limits.

        Raises
        ------
        RegionError
            If the limits cannot be projected.
        """
        requested = _limits(region, crs)
        scale = max(requested.width / box.width, requested.height / box.height)
        if fit == "exact":
            box = _centered(box, max(1, round(requested.width / scale)), max(1, round(requested.height / scale)))
            return cls(box, PanelGrid(requested, box.width, box.height), requested)
        shown = requested.resized(scale * box.width, scale * box.height)
        return cls(box, PanelGrid(shown, box.width, box.height), requested)

    def requested_pixels(self, values: NDArray[P]) -> NDArray[P]:
        """Return the values at the pixels within the requested limits. The result has at least one pixel."""
        panel, shown = self.panel, self.panel.extent
        first_row, last_row = _span(shown.ymax - self.requested.ymax, self.requested.height, panel.pixel_height)
        first_column, last_column = _span(self.requested.xmin - shown.xmin, self.requested.width, panel.pixel_width)
        return values[first_row:last_row, first_column:last_column]


def crs_of(region: Region, crs: pyproj.CRS) -> pyproj.CRS:
    """Return the CRS of a region's limits. It must not name files, because tables can come from other people.

    Parameters
    ----------
    region : Region
        The region. A table can only name a CRS by its code.
    crs : pyproj.CRS
        CRS of the map, which is returned if the region has no CRS of its own.

    Raises
    ------
    RegionError
        If the CRS cannot be used.
    """
    if region.crs is None:
        return crs
    try:
        return parse_code(region.crs) if region.origin else parse_file_crs(region.crs)
    except ConfigError as error:
        raise RegionError(f"column 'crs': {error}") from None


def _limits(region: Region, crs: pyproj.CRS) -> Extent:
    source = crs_of(region, crs)
    limits = project_extent(region.extent, source, crs)
    if not (limits.width > 0 and limits.height > 0):
        raise RegionError(f"the region ({region.extent}) has no area in the projection {crs.name!r}")
    return limits


def _centered(box: Box, width: int, height: int) -> Box:
    return Box(box.left + (box.width - width) // 2, box.bottom + (box.height - height) // 2, width, height)


def _span(offset: float, length: float, pixel: float) -> tuple[int, int]:
    first = int(np.floor(offset / pixel + 1e-6))
    return first, max(first + 1, int(np.ceil((offset + length) / pixel - 1e-6)))
