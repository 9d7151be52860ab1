"""Decide which part of the raster to load."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from numpy.typing import NDArray

from regionplot.colors.choose import Coloring
from regionplot.colors.colormaps import ColormapColors, own_colors
from regionplot.colors.key import planned_key
from regionplot.errors import RasterError, RegionError
from regionplot.geo.grid import Window
from regionplot.geo.region import Region
from regionplot.geo.windows import needed_window
from regionplot.inputs.reading import FileSource, fingerprint_of, has_exact_overviews
from regionplot.inputs.source import RasterInfo
from regionplot.layers.legend import NAME as LEGEND
from regionplot.layers.stack import lay_out, reach_of
from regionplot.settings.config import Config
from regionplot.settings.remote_path import RemotePath
from regionplot.shared.budget import MEGABYTE, memory_budget
from regionplot.sheet.key import LegendKey
from regionplot.sheet.layout import Layout
from regionplot.sheet.projection import have_own_projections, projection_of
from regionplot.sheet.view import View
from regionplot.system.files import Fingerprint

logger = logging.getLogger(__name__)
_MAX_PLANNED = 500
"""Maximum number of regions for which a window is computed. For more regions, computing the windows takes more
time than it saves, so the whole raster is loaded."""
_CELLS_PER_REGION = 100_000
"""Number of cells that are read in the time in which the limits of a region are projected."""
_LEGEND_TOO_LARGE = (
    "it has more classes than fit on the sheet; list the important classes in [colors] classes, or set colorbar = false"
)


class OpenedFile(NamedTuple):
    """A file that GDAL has opened."""

    source: FileSource
    gdal: str
    """Version of GDAL."""


@dataclass(frozen=True, slots=True)
class LoadPlan:
    """The window of the raster to load. The parent decides once, so all processes load the same cells."""

    window: Window
    """The cells to load."""
    reads_per_map: bool
    """True if the window exceeds the memory budget, so that each map reads its own cells."""
    fingerprint: Fingerprint | None = None
    """Fingerprint of the raster's file when the plan was made. If the file has changed, loading raises an error."""
    colormap: ColormapColors | None = None
    """Colors of the colormap. None if the raster is not drawn as numbers."""
    series: NDArray[Any] | None = field(default=None, compare=False, repr=False)
    """Cells that determine the limits of the color scale for all times of a product (`shared.series`). None: only the
    cells of this raster determine the scale."""
    own_projections: bool = False
    """True if maps have projections of their own. Vector layers are then kept in degrees."""
    panels: tuple[LoadPlan, ...] = ()
    """The plan of each panel, if a sheet has several panels."""
    stored: Path | None = None
    """File from which workers that are not forked load data that are only in memory. None if there is no such file."""
    original: Fingerprint | None = None
    """Fingerprint of the raster's file on the machine that made the plan, if `fingerprint` is that of a copy."""
    opened: OpenedFile | None = field(default=None, compare=False, repr=False)
    """The file as the maker of the plan has opened it. Workers that need no cells from it do not load GDAL."""

    @property
    def unchanged_source(self) -> FileSource | None:
        """The raster, if the maker of the plan has opened it and its file is the same here. Otherwise None."""
        if self.opened is None:
            return None
        info = self.opened.source.info
        return self.opened.source if self.fingerprint == info.fingerprint == fingerprint_of(info.path) else None


def plan_load(
    config: Config,
    info: RasterInfo,
    regions: Sequence[Region] | None = None,
    coloring: Coloring = None,
    budget: int | None = None,
    code_size: int | None = None,
) -> LoadPlan:
    """Return the plan: load the part of the raster that the regions need, or let each map read its own cells.

    Each map reads its own cells if the part that the regions need exceeds the memory budget. If only the classes of its
    cells fit, they are loaded if the maps together need at least as many cells.

    Parameters
    ----------
    config : Config
        The settings.
    info : RasterInfo
        Metadata of the raster.
    regions : sequence of Region, optional
        All regions that will be drawn. By default, the whole raster is loaded.
    coloring : Classes or RgbBands, optional
        Classes or bands of the raster. By default, the raster is drawn as numbers.
    budget : int, optional
        Memory budget in bytes. By default, `[run] memory`. Its value `auto` means 512 MB or a quarter of the free
        memory, whichever is less.
    code_size : int, optional
        Bytes of the class of a cell, if the loaded cells are classified. By default, their values are kept.

    Raises
    ------
    RasterError
        If a curvilinear grid exceeds the budget. Its windows cannot be read separately.
    """
    key = planned_key(coloring)
    layout = lay_out(config, key)
    whole = info.geometry.full_window
    is_planned = regions is not None and len(regions) <= _MAX_PLANNED
    memory = config.run.memory
    budget = memory_budget(None if memory == "auto" else memory) if budget is None else budget
    whole_fits = whole.cells * info.dtype.itemsize <= budget
    worth = _CELLS_PER_REGION if whole_fits else 0
    needed = _Needed(whole, whole.cells)
    if regions and is_planned:
        needed = _needed(config, info, regions, layout, worth)
    window = needed.union
    if config.map.functions and whole_fits:  # functions can use any cell
        window = whole
    size = window.cells * info.dtype.itemsize
    if code_size is not None and regions and size > budget and _is_worth_loading(needed, info):
        size = window.cells * code_size
    reads_per_map = size > budget and (info.fingerprint is not None or not info.has_windows)  # else it is in memory
    if reads_per_map and not info.has_windows:
        megabytes = -(-size // MEGABYTE)
        raise RasterError(
            f"{info.path}: the regular grid for this curvilinear grid needs {megabytes:,} MB, but [run] memory "
            f"allows {budget // MEGABYTE:,} MB; set memory = {megabytes}, draw smaller regions, or regrid the file"
        )
    if isinstance(key, LegendKey) and config.colors.colorbar and LEGEND not in layout.rooms:
        logger.warning("%s: no legend: %s", info.path, _LEGEND_TOO_LARGE)
    colormap = own_colors(config) if coloring is None else None
    own = have_own_projections(config.map.projection, regions or ())
    return LoadPlan(whole if reads_per_map else window, reads_per_map, info.fingerprint, colormap, own_projections=own)


class _Needed(NamedTuple):
    """The cells that maps need."""

    union: Window
    """Window that holds all these cells."""
    cells: int
    """Sum of the cells of the windows of all maps."""


def _is_worth_loading(needed: _Needed, info: RasterInfo) -> bool:
    """Return True if the classes of all cells should be loaded, although their values exceed the memory budget.

    This takes less time than maps that read their own cells, if these maps read at least as many cells. It is not done
    if maps could read fewer cells from overviews, or if the file is remote.
    """
    if needed.cells < needed.union.cells or isinstance(info.path, RemotePath):
        return False
    return not has_exact_overviews(info)


def _needed(config: Config, info: RasterInfo, regions: Sequence[Region], layout: Layout, worth: int) -> _Needed:
    """Return the cells that all regions need, or the whole grid if no region overlaps it.

    Parameters
    ----------
    config, info, regions, layout
        The regions to draw, and the raster and the sheet for which their windows are computed.
    worth : int
        Number of cells that may be read needlessly for each region whose window is not computed. If the rest of the
        grid has fewer cells, the whole grid is returned.
    """
    union, cells, whole, reach = None, 0, info.geometry.full_window, reach_of(config)
    for left, region in zip(range(len(regions) - 1, -1, -1), regions, strict=True):
        if window := _region_window(config, info, region, layout, reach):
            union = window if union is None else union.union(window)
            cells += window.cells
            if worth and whole.cells - union.cells <= left * worth:
                return _Needed(whole, whole.cells)
    return _Needed(union or whole, cells)


def _region_window(config: Config, info: RasterInfo, region: Region, layout: Layout, reach: int) -> Window | None:
    """Return the window that a region needs, or None if the region lies outside the raster or cannot be drawn.

    `reach` is the number of pixels around the panel that layers need.
    """
    try:
        region = region.at(info.description.get("time"))
        crs = projection_of(region, config.map.projection, info.geometry.crs)
        view = View.of(region, crs, layout.panel, config.map.fit)
    except RegionError:  # the error is reported when the region is drawn
        return None
    return needed_window(info.geometry, view.panel.grown(reach), crs)
