"""Fit a region's limits to the panel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.errors import ConfigError, RegionError
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.project import project_extent
from regionplot.geo.region import Region
from regionplot.sheet.layout import Box

P = TypeVar("P", bound=np.generic)


@dataclass(frozen=True, slots=True)
class View:
    """A region fitted to a panel."""

    box: Box
    """The panel's pixels on the sheet."""
    panel: PanelGrid
    """The same pixels on the earth."""
    asked: Extent
    """The region's own limits in map units; the panel may show more."""

    @classmethod
    def of(cls, region: Region, crs: pyproj.CRS, box: Box, fit: str) -> View:
        """Fit a region to a panel.

        Parameters
        ----------
        region : Region
            With limits in its own CRS.
        crs : pyproj.CRS
            The map's.
        box : Box
            The panel of the layout.
        fit : {"datalim", "exact"}
            Widen the limits to the box's aspect, or narrow the box to that of the limits.

        Raises
        ------
        RegionError
            If the limits cannot be projected.
        """
        asked = _limits(region, crs)
        scale = max(asked.width / box.width, asked.height / box.height)
        if fit == "exact":
            box = _centered(box, max(1, round(asked.width / scale)), max(1, round(asked.height / scale)))
            return cls(box, PanelGrid(asked, box.width, box.height), asked)
        shown = asked.resized(scale * box.width, scale * box.height)
        return cls(box, PanelGrid(shown, box.width, box.height), asked)

    def asked_pixels(self, values: NDArray[P]) -> NDArray[P]:
        """The part of an array of the panel's shape that lies within the limits asked for; at least one pixel."""
        panel, shown = self.panel, self.panel.extent
        first_row, last_row = _span(shown.ymax - self.asked.ymax, self.asked.height, panel.pixel_height)
        first_column, last_column = _span(self.asked.xmin - shown.xmin, self.asked.width, panel.pixel_width)
        return values[first_row:last_row, first_column:last_column]


def _limits(region: Region, crs: pyproj.CRS) -> Extent:
    try:
        source = crs if region.crs is None else parse_crs(region.crs)
    except ConfigError as error:
        raise RegionError(f"column 'crs': {error}") from None
    limits = project_extent(region.extent, source, crs)
    if not (limits.width > 0 and limits.height > 0):
        raise RegionError(f"the region ({region.extent}) has no area in the projection {crs.name!r}")
    return limits


def _centered(box: Box, width: int, height: int) -> Box:
    return Box(box.left + (box.width - width) // 2, box.bottom + (box.height - height) // 2, width, height)


def _span(offset: float, length: float, pixel: float) -> tuple[int, int]:
    first = int(np.floor(offset / pixel + 1e-6))
    return first, max(first + 1, int(np.ceil((offset + length) / pixel - 1e-6)))
