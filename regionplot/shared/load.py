"""Open the raster, choose its colors, load the vector layers, and check all inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.colors.choose import Coloring, classifier_of, coloring_of
from regionplot.colors.classifier import Classifier, Codes, classify, code_type
from regionplot.colors.effective import effective_config
from regionplot.colors.units import needed_conversion
from regionplot.errors import ConfigError, Place, Problem
from regionplot.geo.auto_projection import AUTO
from regionplot.geo.cartopy import parse_projection
from regionplot.geo.grid import GridGeometry, Window
from regionplot.geo.region import Region
from regionplot.inputs.color_tables import RgbBands
from regionplot.inputs.describe import inspect_raster, is_plain_file, open_source
from regionplot.inputs.gdal import gdal_version, import_rasterio
from regionplot.inputs.metadata import with_lead_time
from regionplot.inputs.overview import is_read_completely, sample_raster
from regionplot.inputs.reading import FileSource, Overviews
from regionplot.inputs.rgb import RgbSource
from regionplot.inputs.source import RasterInfo, RasterSource, read_window
from regionplot.inputs.statement import statement_about
from regionplot.layers.base import Layer, LoadContext
from regionplot.layers.stack import all_layers, check_layers, configured_layers, load_layers
from regionplot.settings.config import Config
from regionplot.shared.cell_strips import cell_reader
from regionplot.shared.plan import LoadPlan, OpenedFile, plan_load
from regionplot.system.cache import ArrayCache, user_cache
from regionplot.system.signals import interrupts_held

_PREVIEW_CELLS = 1_000_000
_CODED_ROWS = 64
"""Number of rows that are classified at a time, so that they stay in the CPU cache."""


@dataclass(frozen=True)
class LoadedCells:
    """The cells that a plan loads: their values, or their classes. Arrays are read-only, shape (rows, columns)."""

    geometry: GridGeometry
    values: NDArray[Any] | None = None
    """Values of the cells. None if the cells were classified while they were read."""
    codes: Codes | None = None
    """Codes of the color scale. None if the values were loaded."""
    series: NDArray[Any] | None = None
    """Cells that determine the limits of the color scale. None if the scale does not depend on cells."""


Sample = Callable[[Callable[[], NDArray[Any]]], NDArray[Any]]
"""Function that returns the result of a function that reads a sample."""
Reserve = Callable[[tuple[int, ...], np.dtype[Any]], NDArray[Any]]
"""Function that returns an array with a shape and a type."""


class Loading(NamedTuple):
    """Cells that are being loaded."""

    finish: Callable[[], LoadedCells]
    """Wait for the cells and return them. Raise RasterError if they cannot be read."""
    classified: LoadedCells | None = None
    """The same cells, while threads still write their classes. None if the values of the cells are loaded."""

    @classmethod
    def done(cls, cells: LoadedCells) -> Loading:
        """Return cells that are already loaded."""
        return cls(lambda: cells)


@dataclass(frozen=True)
class DrawnRaster:
    """A raster and its coloring."""

    source: RasterSource
    info: RasterInfo
    coloring: Coloring
    config: Config
    """Settings whose `[colors]` name no file and no scale of the package."""

    @classmethod
    def of(cls, config: Config, source: RasterSource | None = None, plan: LoadPlan | None = None) -> DrawnRaster:
        """Open the raster of a config, and choose how it is drawn.

        Parameters
        ----------
        config : Config
            The settings. `[raster]` and `[colors]` are used.
        source : RasterSource, optional
            The raster. By default, the raster that the config names.
        plan : LoadPlan, optional
            The load plan, if another process has made it. Its open file is used.

        Raises
        ------
        RasterError
            If the raster cannot be opened.
        ConfigError
            If the classes in the raster or in the config cannot be drawn with these settings.
        """
        opened = None if plan is None else plan.unchanged_source
        source = source or opened or open_source(config.raster)
        info = source.describe()
        config = effective_config(config, info)
        coloring = coloring_of(info, config.raster, config.colors)
        if isinstance(coloring, RgbBands):
            _check_publish(config)
            source = RgbSource.of(info, coloring)
        if coloring is None:  # refuse unknown units before any cell is read
            needed_conversion(info.units, config.colors.units)
        info = source.describe()
        if config.facts:
            info = replace(info, description=with_lead_time({**info.description, **config.facts}))
        return cls(source, info, coloring, config)

    def start(self, plan: LoadPlan, pool: Executor) -> Loading:
        """Start to load the cells of a plan in the threads of a pool.

        Cells of a class scale are classified strip by strip, if the pixels of all maps are cells and no layer needs
        their values. Otherwise, the values of all cells are loaded.

        Raises
        ------
        RasterError
            If the raster cannot be opened.
        """
        classifier = self.classifier(plan)
        if isinstance(self.source, FileSource):
            import_rasterio()  # before threads read, and for all workers that are forked later
        if classifier is None or not isinstance(self.source, FileSource):
            loading = pool.submit(lambda: self.with_series(self.load_values(plan), plan))
            return Loading(loading.result)
        return self._start_classes(plan.window, self.source, classifier, pool)

    def plan(self, regions: Sequence[Region] | None = None) -> LoadPlan:
        """Return the plan for drawing regions. See `plan_load`."""
        classifier = self._classifier()
        code_size = None if classifier is None else np.dtype(code_type(classifier.nodata)).itemsize
        plan = plan_load(self.config, self.info, regions, self.coloring, code_size=code_size)
        if not isinstance(self.source, FileSource) or not is_plain_file(self.info.path):
            return plan
        stated = statement_about(self.info.path)
        return replace(plan, opened=OpenedFile(self.source, gdal_version() if stated is None else stated.gdal))

    def classifier(self, plan: LoadPlan) -> Classifier | None:
        """Return the classifier of the cells, or None if the maps need the values of the cells."""
        return None if plan.reads_per_map else self._classifier()

    def _classifier(self) -> Classifier | None:
        """Return the classifier of loaded cells, or None if the maps need the values of the cells."""
        wants_values = any(planned.wants_values for planned in all_layers(self.config))
        if (
            wants_values
            or self.config.needs_values
            or self.config.raster.resampling != "nearest"
            or not isinstance(self.source, FileSource)
        ):
            return None
        return classifier_of(self.coloring, self.config.colors, self.info.units)

    def loaded_bytes(self, plan: LoadPlan) -> int:
        """Return the memory of the cells that a plan loads, in bytes. The cells of a class scale have one byte."""
        if plan.reads_per_map:
            return min(plan.window.cells, _PREVIEW_CELLS) * self.info.dtype.itemsize
        classifier = self.classifier(plan)
        kind = self.info.dtype if classifier is None else np.dtype(code_type(classifier.nodata))
        return plan.window.cells * kind.itemsize

    def coded(self, loaded: LoadedCells, plan: LoadPlan) -> LoadedCells:
        """Return the cells in the form that `start` loads, from their values. Other fields can share these values.

        Parameters
        ----------
        loaded : LoadedCells
            The values that `load_values` returned, for this field or for another.
        plan : LoadPlan
            As for `start`.
        """
        classifier = self.classifier(plan)
        if classifier is None or loaded.values is None:
            return self.with_series(loaded, plan)
        codes = np.empty(loaded.values.shape, code_type(classifier.nodata))
        for first in range(0, len(codes), _CODED_ROWS):
            rows = slice(first, first + _CODED_ROWS)
            classify(loaded.values[rows], classifier, codes[rows])
        codes.flags.writeable = False
        return LoadedCells(loaded.geometry, codes=codes)

    def _start_classes(self, window: Window, source: FileSource, classifier: Classifier, pool: Executor) -> Loading:
        codes = np.empty((window.height, window.width), code_type(classifier.nodata))
        finish_reading = cell_reader(source.info, source.options, window, classifier, codes).start(pool)
        classified = LoadedCells(self.info.geometry.subgrid(window), codes=codes)

        def finish() -> LoadedCells:
            finish_reading()
            codes.flags.writeable = False
            return classified

        return Loading(finish, classified)

    def load_into(self, reserve: Reserve, plan: LoadPlan, pool: Executor) -> None:
        """Load the cells that `start` loads into an array of the caller. No other array holds all cells of a file.

        Parameters
        ----------
        reserve : callable
            Return an array with a shape and a type.
        plan, pool
            As for `start`. The plan must not let each map read its own cells.

        Raises
        ------
        RasterError
            If the cells cannot be read.
        """
        classifier, window = self.classifier(plan), plan.window
        if not isinstance(self.source, FileSource):
            values = self.source.read(window, (window.height, window.width), "nearest")
            reserve(values.shape, values.dtype)[...] = values
            return
        kind = self.info.dtype if classifier is None else np.dtype(code_type(classifier.nodata))
        cells = reserve((window.height, window.width), kind)
        with interrupts_held():  # so that the threads do not take signals from this thread
            source = self.source
            finish_reading = cell_reader(source.info, source.options, window, classifier, cells).start(pool)
        finish_reading()

    def of_cells(self, cells: NDArray[Any], plan: LoadPlan) -> LoadedCells:
        """Return loaded cells for an array that `load_into` or `load_cells` has read in this process or in another.

        The cells that determine the color scale are left out. See `with_series`.
        """
        geometry = self.info.geometry.subgrid(plan.window, *cells.shape)
        if self.classifier(plan) is not None:
            return LoadedCells(geometry, codes=cells)
        return LoadedCells(geometry, values=cells)

    def load_values(self, plan: LoadPlan) -> LoadedCells:
        """Return the values of the cells that a plan loads, and the cells that determine the color scale.

        Raises
        ------
        RasterError
            If the cells cannot be read.
        """
        return self.with_series(self.load_cells(plan), plan)

    def with_series(self, loaded: LoadedCells, plan: LoadPlan, sample: Sample = lambda read: read()) -> LoadedCells:
        """Add the cells that determine the color scale, if it depends on cells.

        Parameters
        ----------
        loaded : LoadedCells
            The cells of the plan.
        plan : LoadPlan
            As for `start`.
        sample : callable
            Called with a function that reads a sample of the raster. Returns its result, or the same sample from
            another process.

        Raises
        ------
        RasterError
            If the sample cannot be read.
        """
        if self.coloring is not None or not self.config.colors.is_adaptive:
            return replace(loaded, series=None)
        if plan.series is not None:
            return replace(loaded, series=plan.series)
        if loaded.series is not None:
            return loaded
        is_whole = not plan.reads_per_map and plan.window == self.info.geometry.full_window
        whole = loaded.values if is_whole else None
        if whole is not None and is_read_completely(whole.size):
            return replace(loaded, series=whole)
        return replace(loaded, series=sample(lambda: sample_raster(self.source, whole)))

    def load_cells(self, plan: LoadPlan) -> LoadedCells:
        """Return the values of the cells that a plan loads.

        If each map reads its own cells, the result is a thinned preview of the raster. It can come from overviews of
        any kind, because it only determines the limits of a color scale.

        Raises
        ------
        RasterError
            If the cells cannot be read.
        """
        step = max(1, int(np.ceil(np.sqrt(plan.window.cells / _PREVIEW_CELLS)))) if plan.reads_per_map else 1
        source = self.source
        if plan.reads_per_map and isinstance(source, FileSource | RgbSource):
            source = replace(source, overviews=Overviews.ANY)
        cells, geometry = read_window(source, plan.window, step)
        cells.flags.writeable = False
        return LoadedCells(geometry, values=cells)


StartCells = Callable[[DrawnRaster, LoadPlan, Executor], Loading]
"""Function that starts to load cells, such as `DrawnRaster.start`."""


def _check_publish(config: Config) -> None:
    """Refuse checks of values for a raster in true color.

    Raises
    ------
    ConfigError
        If `[publish]` compares values.
    """
    message = "the raster is drawn in true color, so it has no values to compare; choose a band, or remove this key"
    problems = [
        Problem(message, config.places.locate(Place(section="publish", key=key)))
        for key in config.publish.keys_of_values
    ]
    if problems:
        raise ConfigError(*problems)


def preload_layers(config: Config) -> tuple[Layer, ...]:
    """Load the layers that have a table in the settings. A watcher does this once for all runs.

    Layers that use values of rasters are left out, because each run has other values.

    Raises
    ------
    InputError
        If an input file of a layer, or the metadata of the raster, cannot be read.
    """
    planned = [each for each in configured_layers(config) if not each.wants_values]
    if not planned:
        return ()
    crs = parse_projection(config.map.projection) or inspect_raster(config.raster).geometry.crs
    return load_layers(planned, LoadContext(config, crs, cache=array_cache(config)))


def crs_of_layers(config: Config, plan: LoadPlan, raster: pyproj.CRS) -> pyproj.CRS:
    """Return the CRS in which vector layers are kept: the CRS of the maps, or degrees if each map has its own CRS."""
    setting = AUTO if plan.own_projections else config.map.projection
    return parse_projection(setting) or raster


def array_cache(config: Config) -> ArrayCache | None:
    """Return the cache for computed arrays, or None if the settings turn the cache off."""
    return user_cache() if config.run.cache else None


def check_inputs(config: Config, regions: Sequence[Region]) -> LoadPlan:
    """Open every input, read its metadata, and return the load plan.

    A bad input then causes one error in the parent, instead of one error in each worker.

    Raises
    ------
    InputError
        If the raster or a vector file cannot be opened.
    """
    raster = DrawnRaster.of(config)
    check_layers(config)
    return raster.plan(regions)
