"""What all maps of a run share, loaded once: the raster, its meshgrid, the features in map coordinates.

Under fork the parent loads and the workers inherit the pages. Under spawn and forkserver a worker finds its slot empty
and loads for itself, once. Nothing here is written to after loading, so no page is copied.

A raster that does not fit the memory budget is not loaded: each map reads its own cells, through a handle of its own.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot import phases
from regionplot.cache import user_cache
from regionplot.coloring import Classes
from regionplot.config import Config
from regionplot.errors import ConfigError, RasterError, RegionError
from regionplot.executors.pool import thread_pool
from regionplot.features import FeatureLayer, check_layer, load_layer
from regionplot.grid import GridGeometry, Window
from regionplot.intake import Fingerprint
from regionplot.layout import Layout
from regionplot.machine import available_memory
from regionplot.models import PixelGrid, Region
from regionplot.projections import parse_projection
from regionplot.raster import RasterInfo, inspect_raster, load_raster, on_regular_grid, read_cells, read_window
from regionplot.sampling import cells_per_pixel, needed_window
from regionplot.view import View

if TYPE_CHECKING:
    import xarray as xr

logger = logging.getLogger(__name__)

_MEGABYTE = 2**20
_AUTO_BUDGET = 512 * _MEGABYTE
_PREVIEW_CELLS = 1_000_000
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


@dataclass(frozen=True)
class SharedData:
    """The data that every region's map is drawn from."""

    config: Config
    raster: xr.DataArray
    """Dimensions (y, x), loaded, read-only: all of the grid that the regions need. Of a grid beyond the memory budget,
    a thinned preview; of a curvilinear grid, all of it as the file has it. In true colour, cells hold the bytes red,
    green, blue and opacity."""
    meshgrid: tuple[NDArray[Any], NDArray[Any]]
    """x and y of every cell of `raster`, shape (y, x) each, in the raster's CRS; views, read-only. Of a curvilinear
    grid, its own longitudes and latitudes, NaN where they are missing."""
    cells_drawn: NDArray[Any]
    """What maps are sampled from: the cells of `raster`, or of the regular grid fitted to a curvilinear one."""
    geometry: GridGeometry
    """Where `cells_drawn` lie."""
    crs: pyproj.CRS
    """The map's CRS."""
    features: tuple[FeatureLayer, ...]
    """The vector layers in the map's CRS, in drawing order."""
    info: RasterInfo
    """The whole grid, as its file describes it."""
    plan: LoadPlan

    @classmethod
    def load(
        cls,
        config: Config,
        regions: Sequence[Region] | None = None,
        plan: LoadPlan | None = None,
        layers: Sequence[FeatureLayer] = (),
    ) -> SharedData:
        """Load all that the maps of a run share, and close every file.

        Parameters
        ----------
        config : Config
            What `read_config` gives.
        regions : sequence of Region, optional
            Load no more of the raster than these need; all of it by default.
        plan : LoadPlan, optional
            What to load, as another process has decided.
        layers : sequence of FeatureLayer
            Vector layers loaded before, which are used again if their files are the same.

        Raises
        ------
        InputError
            If the raster or a vector file cannot be read.
        ConfigError
            If the map's projection is none, or the raster is to be prepared before.
        """
        start = time.perf_counter()
        if config.prepare:
            raise ConfigError("[[prepare]]: its steps come first; load what regionplot.prepared(config) gives")
        phases.reached("read", config.raster.path.name)
        info = inspect_raster(config.raster, config.colors)
        crs = parse_projection(config.map.projection) or info.geometry.crs
        plan = plan or plan_load(config, info, regions)
        if info.fingerprint != plan.fingerprint:
            raise RasterError(f"{info.path}: input changed: the file was replaced or written to since the run began")
        with thread_pool(1) as pool:  # no thread is left when workers are forked
            loading = pool.submit(_load_part, config, info, plan)
            features = _load_layers(config, crs, layers)
            raster, cells, geometry = loading.result()
        logger.info("process %d loaded the shared data in %.2f s", os.getpid(), time.perf_counter() - start)
        return cls(config, raster, _meshgrid(raster, geometry), cells, geometry, crs, features, info, plan)

    @property
    def description(self) -> Mapping[str, object]:
        """What templates and labels may say of the raster: its name, units, time ..."""
        return self.info.description

    def cells(self, panel: PixelGrid) -> tuple[NDArray[Any], GridGeometry] | None:
        """The cells that a panel shows, and where they lie; None if there are none.

        Of loaded data, these are all cells that there are. Otherwise they are read now, as fine as the panel needs.

        Raises
        ------
        RasterError
            If they cannot be read.
        """
        if not self.plan.windowed:
            return self.cells_drawn, self.geometry
        window = needed_window(self.info.geometry, panel, self.crs)
        if window is None:
            return None
        method = self.config.raster.resampling
        step = 1 if method == "max" else max(1, int(cells_per_pixel(self.info.geometry, panel, self.crs)))
        return read_window(self.info, window, step, method)


def load_layers(config: Config) -> tuple[FeatureLayer, ...]:
    """The vector layers alone, for the CRS that the maps will have.

    Raises
    ------
    InputError
        If a vector file, or the raster's description, cannot be read.
    """
    if not config.features:
        return ()
    return _load_layers(config, parse_projection(config.map.projection) or inspect_raster(config.raster).geometry.crs)


def _load_layers(config: Config, crs: pyproj.CRS, known: Sequence[FeatureLayer] = ()) -> tuple[FeatureLayer, ...]:
    cache = user_cache() if config.run.cache else None
    return tuple(load_layer(settings, crs, cache, known) for settings in config.features)


def _load_part(config: Config, info: RasterInfo, plan: LoadPlan) -> tuple[xr.DataArray, NDArray[Any], GridGeometry]:
    """The raster, the cells that maps are sampled from, and where these lie."""
    if info.geolocation is not None:
        stored = read_cells(info)
        cells = on_regular_grid(info, stored, plan.window)
        cells.flags.writeable = False
        return stored.labelled(info), cells, info.geometry.part(plan.window)
    step = max(1, int(np.ceil(np.sqrt(plan.window.cells / _PREVIEW_CELLS)))) if plan.windowed else 1
    raster = load_raster(config.raster, plan.window, step, config.colors)
    return raster, raster.data, info.geometry.part(plan.window, *raster.shape)


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
    if isinstance(info.coloring, Classes) and config.colors.colorbar and not Layout.of(config, info.coloring).legend:
        logger.warning("%s: no legend: %s", info.path, _WITHOUT_LEGEND)
    return LoadPlan(whole if windowed else window, windowed, info.fingerprint)


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
        view = View.of(region, crs, Layout.of(config, info.coloring).panel, config.map.fit)
    except RegionError:  # it will be reported when its turn comes
        return None
    return needed_window(info.geometry, view.panel, crs)


def _meshgrid(raster: xr.DataArray, geometry: GridGeometry) -> tuple[NDArray[Any], NDArray[Any]]:
    """Coordinates of all cell centres. Of an unrotated grid, a row and a column, repeated without a copy."""
    if "longitude" in raster.coords:
        return raster["longitude"].data, raster["latitude"].data
    columns, rows = np.arange(geometry.width) + 0.5, np.arange(geometry.height) + 0.5
    shape = (geometry.height, geometry.width)
    if geometry.is_axis_aligned:
        x, _ = geometry.coordinates(columns, np.zeros(1))
        _, y = geometry.coordinates(np.zeros(1), rows)
        return np.broadcast_to(x, shape), np.broadcast_to(y[:, None], shape)
    x, y = geometry.coordinates(*np.meshgrid(columns, rows))
    x.flags.writeable = y.flags.writeable = False
    return x, y


def check_inputs(config: Config, regions: Sequence[Region]) -> LoadPlan:
    """Open every input and read its description only: one clear error here instead of one from each process.

    Raises
    ------
    InputError
        If the raster or a vector file cannot be opened.
    """
    info = inspect_raster(config.raster, config.colors)
    for settings in config.features:
        check_layer(settings)
    return plan_load(config, info, regions)


def input_changed(config: Config, plan: LoadPlan) -> bool:
    """Whether the raster's file is no longer the one that the plan was made for."""
    return Fingerprint.of(config.raster.path) != plan.fingerprint


_slot: SharedData | None = None
"""This process's shared data: put there before a fork, so that children inherit it, or by the first use in a process
that could not. Beside the hook of `phases`, which is for tests, the only mutable
global of the package."""


@contextmanager
def shared_by_children(data: SharedData) -> Iterator[SharedData]:
    """Keep the data in this process's slot, for processes forked meanwhile."""
    global _slot  # noqa: PLW0603 (the slot is what children inherit)
    before, _slot = _slot, data
    try:
        yield data
    finally:
        _slot = before


def shared_data(config: Config, plan: LoadPlan) -> SharedData:
    """This process's shared data: inherited, or loaded now because nothing was."""
    global _slot  # noqa: PLW0603
    if _slot is None or _slot.config != config or _slot.plan != plan:
        _slot = SharedData.load(config, plan=plan)
    return _slot
