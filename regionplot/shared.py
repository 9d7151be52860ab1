"""What all maps of a run share, loaded once: the raster, its meshgrid, the features in map coordinates.

Under fork the parent loads and the workers inherit the pages. Under spawn and forkserver a worker finds its slot empty
and loads for itself, once. Nothing here is written to after loading, so no page is copied.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.config import Config
from regionplot.features import FeatureLayer, check_layer, load_layer
from regionplot.projections import parse_projection
from regionplot.raster import check_raster, describe, load_raster, raster_crs
from regionplot.sampling import GridGeometry

if TYPE_CHECKING:
    import xarray as xr

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SharedData:
    """The data that every region's map is drawn from."""

    config: Config
    raster: xr.DataArray
    """Dimensions (y, x), loaded, read-only."""
    meshgrid: tuple[NDArray[Any], NDArray[Any]]
    """x and y of every cell, shape (y, x) each, in the raster's CRS; views, read-only."""
    geometry: GridGeometry
    """Where the raster's cells lie."""
    crs: pyproj.CRS
    """The map's CRS."""
    features: tuple[FeatureLayer, ...]
    """The vector layers in the map's CRS, in drawing order."""

    @classmethod
    def load(cls, config: Config) -> SharedData:
        """Load all that the maps of a run share, and close every file.

        Parameters
        ----------
        config : Config
            What `read_config` gives.

        Raises
        ------
        InputError
            If the raster or a vector file cannot be read.
        ConfigError
            If the map's projection is none.
        """
        start = time.perf_counter()
        crs = parse_projection(config.map.projection)
        raster = load_raster(config.raster)
        geometry = GridGeometry(
            raster.rio.transform(), raster.sizes[raster.dims[0]], raster.sizes[raster.dims[1]], raster_crs(raster)
        )
        crs = crs or geometry.crs
        features = tuple(load_layer(settings, crs) for settings in config.features)
        logger.info("process %d loaded the shared data in %.2f s", os.getpid(), time.perf_counter() - start)
        return cls(config, raster, _meshgrid(geometry), geometry, crs, features)

    @property
    def description(self) -> Mapping[str, object]:
        """What templates and labels may say of the raster: its name, units, time ..."""
        return describe(self.raster, self.config.raster.path)


def _meshgrid(geometry: GridGeometry) -> tuple[NDArray[Any], NDArray[Any]]:
    """X and y of all cell centres. Of an unrotated grid, a row and a column, repeated without a copy."""
    columns, rows = np.arange(geometry.width) + 0.5, np.arange(geometry.height) + 0.5
    shape = (geometry.height, geometry.width)
    if geometry.is_axis_aligned:
        x, _ = geometry.coordinates(columns, np.zeros(1))
        _, y = geometry.coordinates(np.zeros(1), rows)
        return np.broadcast_to(x, shape), np.broadcast_to(y[:, None], shape)
    x, y = geometry.coordinates(*np.meshgrid(columns, rows))
    x.flags.writeable = y.flags.writeable = False
    return x, y


def check_inputs(config: Config) -> None:
    """Open every input and read its description only: one clear error here instead of one from each process.

    Raises
    ------
    InputError
        If the raster or a vector file cannot be opened.
    """
    check_raster(config.raster)
    for settings in config.features:
        check_layer(settings)


_slot: SharedData | None = None
"""This process's shared data: put there before a fork, so that children inherit it, or by the first use in a process
that could not. The only mutable global of the package."""


@contextmanager
def shared_by_children(data: SharedData) -> Iterator[None]:
    """Keep the data in this process's slot, for processes forked meanwhile."""
    global _slot  # noqa: PLW0603 (the slot is what children inherit)
    before, _slot = _slot, data
    try:
        yield
    finally:
        _slot = before


def shared_data(config: Config) -> SharedData:
    """This process's shared data: inherited, or loaded now because nothing was."""
    global _slot  # noqa: PLW0603
    if _slot is None or _slot.config != config:
        _slot = SharedData.load(config)
    return _slot
