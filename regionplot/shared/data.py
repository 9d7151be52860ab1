"""SharedData: the raster, its meshgrid and the vector layers, loaded once for all maps."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.errors import ConfigError, RasterError
from regionplot.geo.cartopy import parse_projection
from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.region import Region
from regionplot.geo.windows import cells_per_pixel, needed_window
from regionplot.inputs.describe import inspect_raster
from regionplot.inputs.reading import read_window
from regionplot.inputs.source import RasterInfo
from regionplot.layers.base import Layer, LoadContext
from regionplot.layers.stack import all_layers, load_layers
from regionplot.settings.config import Config
from regionplot.shared.load import array_cache, load_part
from regionplot.shared.plan import LoadPlan, logger, plan_load
from regionplot.system import failpoints
from regionplot.system.threads import thread_pool

if TYPE_CHECKING:
    import xarray as xr


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
    layers: tuple[Layer, ...]
    """Everything that is drawn on a map, from the bottom to the top."""
    info: RasterInfo
    """The whole grid, as its file describes it."""
    plan: LoadPlan

    @classmethod
    def load(
        cls,
        config: Config,
        regions: Sequence[Region] | None = None,
        plan: LoadPlan | None = None,
        layers: Sequence[Layer] = (),
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
        layers : sequence of Layer
            Layers loaded before. Their data are used again if the input files are the same.

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
        failpoints.failpoint("read", config.raster.path.name)
        info = inspect_raster(config.raster, config.colors)
        crs = parse_projection(config.map.projection) or info.geometry.crs
        plan = plan or plan_load(config, info, regions)
        if info.fingerprint != plan.fingerprint:
            raise RasterError(f"{info.path}: input changed: the file was replaced or written to since the run began")
        with thread_pool(1) as pool:  # no thread is left when workers are forked
            loading = pool.submit(load_part, config, info, plan)
            context = LoadContext(config, crs, info.description, array_cache(config), loaded=layers)
            loaded = load_layers(all_layers(config), context)
            raster, cells, geometry = loading.result()
        logger.info("process %d loaded the shared data in %.2f s", os.getpid(), time.perf_counter() - start)
        return cls(config, raster, _meshgrid(raster, geometry), cells, geometry, crs, loaded, info, plan)

    @property
    def description(self) -> Mapping[str, object]:
        """What templates and labels may say of the raster: its name, units, time ..."""
        return self.info.description

    def cells(self, panel: PanelGrid) -> tuple[NDArray[Any], GridGeometry] | None:
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
