"""Load what all maps share.

Under fork the parent loads and the workers inherit the pages. Under spawn and forkserver a worker finds its slot empty
and loads for itself, once. Nothing here is written to after loading, so no page is copied.

A raster that does not fit the memory budget is not loaded: each map reads its own cells, through a handle of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.geo.cartopy import parse_projection
from regionplot.geo.grid import GridGeometry
from regionplot.geo.region import Region
from regionplot.inputs.describe import inspect_raster, load_raster
from regionplot.inputs.reading import read_native, resample_to_grid
from regionplot.inputs.source import RasterInfo
from regionplot.inputs.vector_files import check_layer
from regionplot.inputs.vectors import FeatureLayer, load_layer
from regionplot.settings.config import Config
from regionplot.shared.plan import LoadPlan, plan_load
from regionplot.system.cache import user_cache
from regionplot.system.files import Fingerprint

if TYPE_CHECKING:
    import xarray as xr


_PREVIEW_CELLS = 1_000_000


def load_layers(config: Config) -> tuple[FeatureLayer, ...]:
    """The vector layers alone, for the CRS that the maps will have.

    Raises
    ------
    InputError
        If a vector file, or the raster's description, cannot be read.
    """
    if not config.features:
        return ()
    return load_projected_layers(
        config, parse_projection(config.map.projection) or inspect_raster(config.raster).geometry.crs
    )


def load_projected_layers(
    config: Config, crs: pyproj.CRS, known: Sequence[FeatureLayer] = ()
) -> tuple[FeatureLayer, ...]:
    """Load the vector layers in the map's CRS; reuse known layers whose files are unchanged."""
    cache = user_cache() if config.run.cache else None
    return tuple(load_layer(settings, crs, cache, known) for settings in config.features)


def load_part(config: Config, info: RasterInfo, plan: LoadPlan) -> tuple[xr.DataArray, NDArray[Any], GridGeometry]:
    """The raster, the cells that maps are sampled from, and where these lie."""
    if info.geolocation is not None:
        stored = read_native(info)
        cells = resample_to_grid(info, stored, plan.window)
        cells.flags.writeable = False
        return stored.labelled(info), cells, info.geometry.part(plan.window)
    step = max(1, int(np.ceil(np.sqrt(plan.window.cells / _PREVIEW_CELLS)))) if plan.windowed else 1
    raster = load_raster(config.raster, plan.window, step, config.colors)
    return raster, raster.data, info.geometry.part(plan.window, *raster.shape)


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
