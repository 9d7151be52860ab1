"""Load what all maps share.

Under fork the parent loads and the workers inherit the pages. Under spawn and forkserver a worker finds its slot empty
and loads for itself, once. Nothing here is written to after loading, so no page is copied.

A raster that does not fit the memory budget is not loaded: each map reads its own cells, through a handle of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regionplot.geo.cartopy import parse_projection
from regionplot.geo.grid import GridGeometry
from regionplot.geo.region import Region
from regionplot.inputs.describe import inspect_raster, load_raster
from regionplot.inputs.reading import read_native, resample_to_grid
from regionplot.inputs.source import RasterInfo
from regionplot.layers.base import Layer, LoadContext
from regionplot.layers.stack import check_layers, configured_layers, load_layers
from regionplot.settings.config import Config
from regionplot.shared.plan import LoadPlan, plan_load
from regionplot.system.cache import ArrayCache, user_cache
from regionplot.system.files import Fingerprint

if TYPE_CHECKING:
    import xarray as xr


_PREVIEW_CELLS = 1_000_000


def preload_layers(config: Config) -> tuple[Layer, ...]:
    """Load the layers that have a table in the settings, before the raster is there.

    Raises
    ------
    InputError
        If an input file of a layer, or the description of the raster, cannot be read.
    """
    planned = configured_layers(config)
    if not planned:
        return ()
    crs = parse_projection(config.map.projection) or inspect_raster(config.raster).geometry.crs
    return load_layers(planned, LoadContext(config, crs, cache=array_cache(config)))


def array_cache(config: Config) -> ArrayCache | None:
    """Return the folder for computed arrays. Return None if the settings turn the cache off."""
    return user_cache() if config.run.cache else None


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
    check_layers(config)
    return plan_load(config, info, regions)


def input_changed(config: Config, plan: LoadPlan) -> bool:
    """Whether the raster's file is no longer the one that the plan was made for."""
    return Fingerprint.of(config.raster.path) != plan.fingerprint
