"""Decide which part of the raster to load."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from regionplot.colors.key import planned_key
from regionplot.errors import RasterError, RegionError
from regionplot.geo.cartopy import parse_projection
from regionplot.geo.grid import Window
from regionplot.geo.region import Region
from regionplot.geo.windows import needed_window
from regionplot.inputs.color_tables import Classes
from regionplot.inputs.source import RasterInfo
from regionplot.layers.legend import NAME as LEGEND
from regionplot.layers.stack import lay_out
from regionplot.settings.config import Config
from regionplot.sheet.layout import Layout
from regionplot.sheet.view import View
from regionplot.system.files import Fingerprint
from regionplot.system.machine import available_memory

logger = logging.getLogger(__name__)


_MEGABYTE = 2**20


_AUTO_BUDGET = 512 * _MEGABYTE


_WITHOUT_LEGEND = (
    "its classes are too many for the sheet; name those that matter in [colors] classes, or set colorbar = false"
)


_MOST_PLANNED = 500
"""For more regions than these, finding out the part of the raster they need costs more than it saves."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """What of the raster is loaded; decided once in the parent, so that every process does the same."""

    window: Window
    """The part that is loaded."""
    windowed: bool
    """Too much to load: each map reads its own cells."""
    fingerprint: Fingerprint | None = None
    """Of the raster's file when the plan was made; no process draws from another one."""


def plan_load(config: Config, info: RasterInfo, regions: Sequence[Region] | None = None) -> LoadPlan:
    """Decide what of the raster is loaded: the part that the regions need, if it fits the memory budget.

    Parameters
    ----------
    config : Config
        Its `[run] memory` is the budget, in megabytes; `auto` is 512, or a quarter of what is free.
    info : RasterInfo
        The raster.
    regions : sequence of Region, optional
        All that will be drawn; everything is loaded by default.

    Raises
    ------
    RasterError
        If a curvilinear grid does not fit the budget, for a map cannot read its own part of one.
    """
    whole = info.geometry.whole
    window = _union(config, info, regions) if regions is not None and len(regions) <= _MOST_PLANNED else whole
    memory = config.run.memory
    budget = min(_AUTO_BUDGET, available_memory() // 4) if memory == "auto" else memory * _MEGABYTE
    windowed = window.cells * info.dtype.itemsize > budget
    if windowed and info.geolocation is not None:
        needed = -(-window.cells * info.dtype.itemsize // _MEGABYTE)
        raise RasterError(
            f"{info.path}: the regular grid that this curvilinear one is drawn from takes {needed:,} MB, and [run] "
            f"memory gives {budget // _MEGABYTE:,}; set memory = {needed}, draw smaller regions, or regrid the file"
        )
    is_classed = isinstance(info.coloring, Classes)
    if is_classed and config.colors.colorbar and LEGEND not in planned_layout(config, info).rooms:
        logger.warning("%s: no legend: %s", info.path, _WITHOUT_LEGEND)
    return LoadPlan(whole if windowed else window, windowed, info.fingerprint)


def planned_layout(config: Config, info: RasterInfo) -> Layout:
    """Return the layout of the sheets, before the color scale is known.

    Raises
    ------
    ConfigError
        If no space is left for the panel.
    """
    return lay_out(config, planned_key(info.coloring))


def _union(config: Config, info: RasterInfo, regions: Sequence[Region]) -> Window:
    """The window that holds what all regions need; all of the grid if that cannot be told."""
    windows = [window for window in (_region_window(config, info, region) for region in regions) if window]
    if not windows:
        return info.geometry.whole
    top, left = min(window.row for window in windows), min(window.column for window in windows)
    bottom = max(window.row + window.height for window in windows)
    right = max(window.column + window.width for window in windows)
    return Window(top, left, bottom - top, right - left)


def _region_window(config: Config, info: RasterInfo, region: Region) -> Window | None:
    crs = parse_projection(config.map.projection) or info.geometry.crs
    try:
        view = View.of(region, crs, planned_layout(config, info).panel, config.map.fit)
    except RegionError:  # it will be reported when its turn comes
        return None
    return needed_window(info.geometry, view.panel, crs)
