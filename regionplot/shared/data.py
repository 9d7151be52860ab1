"""SharedData: the raster and the vector layers, loaded once for all maps."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyproj
from numpy.typing import NDArray

from regionplot.colors.base import Scale
from regionplot.colors.choose import Coloring
from regionplot.colors.classifier import Codes
from regionplot.colors.scales import scale_of
from regionplot.errors import ConfigError, RasterError
from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry, Window, meshgrid
from regionplot.geo.region import Region
from regionplot.geo.windows import cells_per_pixel, needed_window
from regionplot.inputs.source import RasterInfo, RasterSource, ResampledSource, read_window
from regionplot.inputs.strips import MAX_READERS
from regionplot.inputs.zarr_threads import end_zarr_threads
from regionplot.layers.base import Layer, LoadContext
from regionplot.layers.stack import all_layers, start_layers
from regionplot.settings.config import Config
from regionplot.shared.drawing import DrawingTools
from regionplot.shared.load import (
    DrawnRaster,
    LoadedCells,
    Loading,
    StartCells,
    array_cache,
    crs_of_layers,
)
from regionplot.shared.plan import LoadPlan, logger
from regionplot.shared.unseen_layers import warn_of_unseen_layers
from regionplot.sheet.projection import crs_name, projection_of
from regionplot.system import failpoints
from regionplot.system.signals import interrupts_held
from regionplot.system.threads import thread_pool

if TYPE_CHECKING:
    import xarray as xr


@dataclass(frozen=True, repr=False)
class SharedData(DrawingTools):
    """The data that all maps are drawn from."""

    config: Config
    source: RasterSource
    """Source of the raster, for cells that are not loaded."""
    loaded: LoadedCells
    """The loaded cells that the regions need."""
    crs: pyproj.CRS
    """CRS of the maps. If maps have projections of their own (`crs_of`), CRS of the vector layers, in degrees."""
    layers: tuple[Layer, ...]
    """Layers that are drawn on each map, from bottom to top."""
    info: RasterInfo
    """Metadata of the whole raster."""
    plan: LoadPlan
    coloring: Coloring = None
    """Classes or RGB bands of the raster. None if the cells are drawn as numbers."""
    products: Mapping[str, SharedData] = field(default_factory=dict)
    """The data of each field by name, such as `snow` or `snow/2026-03-10T06:00`, if the settings have products or
    several times. All fields share the vector layers. Otherwise, empty."""
    panels: tuple[tuple[SharedData, ...], ...] = ()
    """The data of each panel, row by row, if the sheet has several panels. Otherwise, empty."""

    @classmethod
    def load(
        cls,
        config: Config,
        regions: Sequence[Region] | None = None,
        plan: LoadPlan | None = None,
        layers: Sequence[Layer] = (),
        source: RasterSource | None = None,
        *,
        raster: DrawnRaster | None = None,
        cells: LoadedCells | None = None,
        meanwhile: Callable[[SharedData], None] | None = None,
        start_cells: StartCells = DrawnRaster.start,
    ) -> SharedData:
        """Load all data that the maps of a run share, and close every file.

        Parameters
        ----------
        config : Config
            The settings, from `read_config`.
        regions : sequence of Region, optional
            Load only the part of the raster that these regions need. By default, the whole raster is loaded.
        plan : LoadPlan, optional
            The load plan, if another process has already made it.
        layers : sequence of Layer
            Layers from an earlier load. Their data are reused if the input files are unchanged.
        source : RasterSource, optional
            The raster, such as an `ArraySource`. By default, the raster that the config names.
        raster : DrawnRaster, optional
            The raster and its coloring, if the caller has already opened it.
        cells : LoadedCells, optional
            The cells of the plan, if they are already loaded for another field.
        meanwhile : callable, optional
            Called with the data while threads read and classify the cells, so it must not look at the cells. Not called
            if the values of the cells are loaded, or if cells are given.
        start_cells : callable
            Starts to load the cells of a raster and a plan in the threads of a pool.

        Returns
        -------
        SharedData
            If the settings have products or several times, the data of the first field. Then `products` holds the data
            of all fields.

        Raises
        ------
        InputError
            If the raster or a vector file cannot be read.
        ConfigError
            If the config is not a `Config`, `[map] projection` is not a projection, or `[[prepare]]` steps have not
            been run yet.
        """
        start = time.perf_counter()
        several = cls._load_several(config, regions, plan, layers, start_cells)
        if several is not None:
            return several
        failpoints.failpoint("read", config.raster.path.name)
        raster = raster or DrawnRaster.of(config, source, plan)
        info, config = raster.info, raster.config
        plan = plan or raster.plan(regions)
        crs = crs_of_layers(config, plan, info.geometry.crs)
        if info.fingerprint != plan.fingerprint:
            raise RasterError(f"{info.path}: input changed: the file was replaced or written to since the run began")
        grid = None if isinstance(raster.source, ResampledSource) else info.geometry
        facts = (info.description, grid, info.can_miss, array_cache(config))
        context = LoadContext(config, crs, *facts, loaded=layers)
        # The layers start before the threads, because this forks. The threads end before workers are forked.
        with start_layers(all_layers(config), context) as finish_layers, thread_pool(MAX_READERS) as pool:
            failpoints.failpoint("cells", config.raster.path.name)
            with interrupts_held():  # so that the threads do not take signals from this thread
                loading = start_cells(raster, plan, pool) if cells is None else Loading.done(cells)
            loaded_layers = finish_layers()
            rest = (crs, loaded_layers, info, plan, raster.coloring)
            early = None if loading.classified is None else cls(config, raster.source, loading.classified, *rest)
            if early is not None and meanwhile is not None:
                meanwhile(early)
            loaded = loading.finish()
        end_zarr_threads()
        if regions:  # without regions, for example in a spawned worker, the maps are not known
            warn_of_unseen_layers(loaded_layers, config, crs, raster.coloring, regions)
        logger.info("process %d loaded the shared data in %.2f s", os.getpid(), time.perf_counter() - start)
        return cls(config, raster.source, loaded, *rest) if early is None else early

    @classmethod
    def _load_several(
        cls, config: Config, regions: Sequence[Region] | None, plan: LoadPlan | None, layers: Sequence[Layer],
        start_cells: StartCells,
    ) -> SharedData | None:  # fmt: skip
        """Load the data of several panels, products or times. Return None for settings with one raster.

        Raises
        ------
        ConfigError
            If the config is not a `Config`, or its `[[prepare]]` steps have not been run yet.
        """
        if isinstance(config, Config) and config.panels:
            from regionplot.shared.panels import load_sheet  # noqa: PLC0415 (it imports this module)

            return load_sheet(config, regions, plan, layers, start_cells)
        if not isinstance(config, Config):
            kind = type(config).__name__
            raise ConfigError(f"the settings are of type {kind}; pass a Config from regionplot.read_config")
        if config.prepare:
            raise ConfigError(
                "[[prepare]]: the steps have not been run; load the config that regionplot.prepared(config) returns"
            )
        if config.has_fields and config.facts == {}:
            from regionplot.shared.all_fields import load_all_fields  # noqa: PLC0415 (it imports this module)

            return load_all_fields(config, regions, layers)
        return None

    @classmethod
    def from_arrays(
        cls,
        data: xr.DataArray,
        features: Any = None,
        config: Config | Mapping[str, Any] | None = None,
        regions: Sequence[Region] | None = None,
    ) -> SharedData:
        """Return shared data for a raster and vector layers that are in memory.

        The cells are not copied, if they are floating-point numbers without a nodata value. Forked workers inherit the
        data. For other workers, `render_regions` writes the data once to a temporary file, which the workers map into
        memory.

        Parameters
        ----------
        data : xarray.DataArray
            Rows and columns with a CRS in `.rio` (or latitudes and longitudes as coordinates, of one or two
            dimensions). Other dimensions must have the length 1. Cells of dask arrays are computed.
        features : GeoDataFrame, sequence, or mapping, optional
            One vector layer, several layers, or layers by name. Each layer is a GeoDataFrame or another object with
            geometries, or a mapping such as `{"data": counties, "linewidth": 0.5}` with keys of `[[features]]`.
        config : Config or mapping, optional
            Settings, or tables of settings. They need no raster.
        regions : sequence of Region, optional
            Load only the part of the raster that these regions need. By default, the whole raster is loaded.

        Raises
        ------
        InputError
            If the array or the geometries cannot be drawn.
        ConfigError
            If the settings cannot be used.
        """
        from regionplot.shared.memory import shared_from_arrays  # noqa: PLC0415 (only data in memory need it)

        return shared_from_arrays(data, features, config, regions)

    def with_config(self, config: Config) -> SharedData:
        """Return the same data with settings that draw the same cells, such as another size of the maps."""
        return replace(self, config=config)

    def with_products(self, products: Mapping[str, SharedData]) -> SharedData:
        """Return these data together with the data of all fields."""
        return replace(self, products=products)

    def __repr__(self) -> str:
        """Return the name of the raster, the shape and the type of the loaded cells, the CRSs and the layers."""
        shape = (self.geometry.height, self.geometry.width)
        cells = f"cells {shape} {self.info.dtype} in {crs_name(self.geometry.crs)}"
        layers = ", ".join(type(layer).__name__ for layer in self.layers)
        return f"<SharedData {self.info.path.name}: {cells}; maps in {crs_name(self.crs)}; layers {layers}>"

    @cached_property
    def cells(self) -> NDArray[Any]:
        """The values of the cells that the regions need, read-only, shape (rows, columns).

        If the cells were classified while they were loaded, their values are read on first use. If the raster exceeds
        the memory budget, the cells are a thinned preview. For a curvilinear grid, the cells belong to the regular grid
        that is fitted to it. For RGB bands, each cell packs the bytes red, green, blue and opacity.

        Raises
        ------
        RasterError
            If the values are read now, and they cannot be read, or the file has changed since it was loaded.
        """
        if self.loaded.values is not None:
            return self.loaded.values
        values, _ = read_window(self.source, self.plan.window)
        values.flags.writeable = False
        return values

    @property
    def codes(self) -> Codes | None:
        """Codes of the cells, if the cells were classified while they were loaded. The shape is that of `cells`."""
        return self.loaded.codes

    @property
    def geometry(self) -> GridGeometry:
        """Geometry of `cells`."""
        return self.loaded.geometry

    @cached_property
    def scale(self) -> Scale:
        """The color scale. If the settings do not give its limits, a sample of the whole raster determines them."""
        is_adaptive = self.coloring is None and self.config.colors.is_adaptive
        cells = self.cells if is_adaptive and self.loaded.series is None else self.loaded.series
        return scale_of(self.coloring, self.config, cells, self.plan.colormap, self.info.units)

    @property
    def description(self) -> Mapping[str, object]:
        """Text about the raster for titles and labels: name, units, time ..."""
        return self.info.description

    @cached_property
    def raster(self) -> xr.DataArray:
        """The cells as a DataArray, read-only, with CRS and transform under `.rio`.

        Its dimensions are (y, x). For a regular grid, its values are `cells`. For a curvilinear grid, its values are
        all cells of the file, which are read on first use. xarray and rioxarray are imported on first use.

        Raises
        ------
        RasterError
            If the cells of a curvilinear grid cannot be read, or the file has changed since it was loaded.
        """
        from regionplot.inputs import dataarray  # noqa: PLC0415 (maps are drawn without xarray)

        if isinstance(self.source, ResampledSource):
            return dataarray.curvilinear_array(self.source.cells.describe(), self.source.read_native())
        return dataarray.regular_array(self.info, self.cells, self.geometry)

    @cached_property
    def meshgrid(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Coordinates x and y of every cell of `raster`, shape (y, x) each, in the raster's CRS, read-only.

        For an unrotated grid, the arrays are views that take no memory. For a curvilinear grid, they are the longitudes
        and latitudes in the file, NaN if missing.
        """
        if isinstance(self.source, ResampledSource):
            return self.raster["longitude"].data, self.raster["latitude"].data
        return meshgrid(self.geometry)

    def crs_of(self, region: Region) -> pyproj.CRS:
        """Return the CRS of the map of a region. It can differ from map to map (`[map] projection = "auto"`).

        Raises
        ------
        RegionError
            If the projection of the region is unknown, or its limits cannot be converted to degrees.
        """
        if not (self.plan.own_projections or region.projection):
            return self.crs
        return projection_of(region, self.config.map.projection, self.info.geometry.crs)

    def with_scale_of(self, panel: PanelGrid, crs: pyproj.CRS) -> SharedData:
        """Return the same data with a color scale for the cells of one panel, if `[colors] scale` is `"region"`.

        Return this object if the scale does not depend on the cells, or if the panel shows no cells.

        Parameters
        ----------
        panel : PanelGrid
            The panel.
        crs : pyproj.CRS
            CRS of the panel.

        Raises
        ------
        RasterError
            If the cells cannot be read.
        """
        colors = self.config.colors
        window = None
        has_limits = colors.vmin is not None and colors.vmax is not None
        if colors.scale == "region" and colors.is_adaptive and not has_limits and self.coloring is None:
            window = needed_window(self.info.geometry, panel, crs)
        cells = None if window is None else self._cells_in(window, panel, crs)
        if cells is None:
            return self
        config = self.config.model_copy(update={"colors": colors.model_copy(update={"scale": "series"})})
        return replace(self, config=config, loaded=replace(self.loaded, series=cells))

    def _cells_in(self, window: Window, panel: PanelGrid, crs: pyproj.CRS) -> NDArray[Any] | None:
        """Return the cells of a window, or None if there are none. If maps read their own cells, thin the cells."""
        if self.plan.reads_per_map:
            found = self.read_panel(panel, crs)
            return None if found is None else found[0]
        area = self.plan.window
        top, left = window.row_off - area.row_off, window.col_off - area.col_off
        cells = self.cells[max(top, 0) : top + window.height, max(left, 0) : left + window.width]
        return cells if cells.size else None

    def check_workers_can_load(self, start_method: str) -> None:
        """Raise ConfigError if the raster is an array in memory, and workers can be on other machines.

        Parameters
        ----------
        start_method : str
            `[run] start_method`, for the message.
        """
        if self.info.fingerprint is None:
            raise ConfigError(
                f"[run] start_method: with {start_method!r}, workers load the raster from its file, but "
                f"{self.info.path} is an array in memory; use fork, forkserver, spawn, threads or serial"
            )

    def read_panel(self, panel: PanelGrid, crs: pyproj.CRS | None = None) -> tuple[NDArray[Any], GridGeometry] | None:
        """Return cells that cover a panel, and their geometry, or None if the panel shows no cells.

        If `plan.reads_per_map` is True, read the cells at about the resolution of the panel. For the resampling method
        `max`, read all cells. If `plan.reads_per_map` is False, return all loaded cells.

        Parameters
        ----------
        panel : PanelGrid
            The panel.
        crs : pyproj.CRS, optional
            CRS of the panel. By default, the CRS of the maps.

        Raises
        ------
        RasterError
            If the cells cannot be read.
        """
        if not self.plan.reads_per_map:
            return self.cells, self.geometry
        crs = crs or self.crs
        window = needed_window(self.info.geometry, panel, crs)
        if window is None:
            return None
        method = self.config.raster.resampling
        step = 1 if method == "max" else max(1, int(cells_per_pixel(self.info.geometry, panel, crs)))
        return read_window(self.source, window, step, method)
