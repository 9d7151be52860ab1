"""Describe a raster: find its variable, band, CRS, transform, metadata and colors, without reading cells.

For a grid with 2-D coordinates, the coordinates are read, because its extent depends on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from regionplot.errors import RasterError
from regionplot.inputs.bands import band_times, find_bands
from regionplot.inputs.cached_dataset import CachedDataset
from regionplot.inputs.drivers import NETCDF, raster_driver
from regionplot.inputs.gdal import opened
from regionplot.inputs.open_grid import OpenGrid
from regionplot.inputs.source import RasterInfo, RasterSource
from regionplot.inputs.statement import opened_or_stated
from regionplot.inputs.stores import is_store
from regionplot.inputs.subdatasets import chosen_subdataset
from regionplot.inputs.unpacked import is_compressed, unpack
from regionplot.registry import SOURCES
from regionplot.settings.raster import RasterSettings
from regionplot.settings.remote_path import is_remote
from regionplot.settings.vrt_path import is_vrt
from regionplot.system.files import Fingerprint


def open_source(settings: RasterSettings) -> RasterSource:
    """Return the source of the raster that the settings name.

    GDAL reads the formats that `inputs.drivers` allows. Files of other formats are read by the plug-in that is
    registered for their suffix.

    Parameters
    ----------
    settings : RasterSettings
        Path, variable, band and CRS of the raster.

    Raises
    ------
    RasterError
        If the file cannot be opened, is too large, or has no CRS or transform. If the file does not have the variable
        or band. If the file has several variables and the settings name none of them.
    """
    if settings.minus is not None:
        from regionplot.inputs.difference import open_difference  # noqa: PLC0415 (few rasters are differences)

        return open_difference(settings, settings.minus)
    unpack(settings.path, settings.max_cells)
    try:
        raster_driver(settings.path)
    except RasterError:
        suffix = settings.path.suffix.removeprefix(".").lower()
        if (plugin := SOURCES.get(suffix)) is None:
            raise
        source: RasterSource = SOURCES.checked(suffix, plugin.open(settings))
        return source
    with opened_grid(settings) as grid:
        bands = find_bands(grid.dataset, settings)
        if isinstance(settings.member, str):
            from regionplot.inputs.ensemble import EnsembleSource  # noqa: PLC0415 (few rasters are ensembles)

            return EnsembleSource.of([grid.source(band) for band in bands], settings.member)
        return grid.source(bands[0])


def is_plain_file(path: Path) -> bool:
    """Return True if GDAL reads a raster from its own file: not from memory, a folder, or other files."""
    return not (is_remote(path) or is_compressed(path) or is_vrt(path) or is_store(path))


def raster_times(settings: RasterSettings) -> list[datetime]:
    """Return the times of the raster that the settings name, in ascending order, each once.

    Raises
    ------
    RasterError
        For the same reasons as `open_source`.
    """
    if is_store(settings.path):
        return list(SOURCES["zarr"].times(settings))
    with opened_grid(settings) as grid:
        return band_times(grid.dataset, settings)


def open_bands(settings: RasterSettings) -> tuple[RasterSource, ...]:
    """Return one source for each band of the raster or variable that the settings name.

    The settings do not have to select a band. If they select by level, member or time, the result has one source.

    Raises
    ------
    RasterError
        For the same reasons as `open_source`.
    """
    if settings.selects_band or settings.minus is not None:
        return (open_source(settings),)
    with opened_grid(settings) as grid:
        return grid.sources(1 if settings.band is None else find_bands(grid.dataset, settings)[0])


def inspect_raster(settings: RasterSettings) -> RasterInfo:
    """Return the metadata of the raster that the settings name.

    Raises
    ------
    RasterError
        For the same reasons as `open_source`.
    """
    return open_source(settings).describe()


@contextmanager
def opened_grid(settings: RasterSettings) -> Iterator[OpenGrid]:
    """Open the file, or the subdataset that holds the variable to draw.

    Raises
    ------
    RasterError
        If the file cannot be opened, or the settings do not select one variable.
    """
    path, state = settings.path, Fingerprint.of(settings.path)
    unpack(path, settings.max_cells)
    with opened_or_stated(path) as dataset:
        name, grid_of = _part(dataset, settings, state)
        if name is None:
            yield grid_of(dataset)
            return
    with opened(path, name) as dataset:
        yield grid_of(dataset)


def _part(
    dataset: Any, settings: RasterSettings, state: Fingerprint | None
) -> tuple[str | None, Callable[[Any], OpenGrid]]:
    """Return GDAL's name of the part of a file to open, and a function that describes the open part.

    The name is None if the part is the whole file.
    """
    if dataset.driver != NETCDF:
        name = chosen_subdataset(dataset, settings)
        return name, lambda opened: OpenGrid(CachedDataset(opened, state=state), settings)
    from regionplot.inputs.netcdf_grid import ChosenVariable  # noqa: PLC0415 (few files are NetCDF or HDF5)
    from regionplot.inputs.netcdf_open import NetcdfGrid  # noqa: PLC0415

    chosen = ChosenVariable.of(settings)
    return chosen.gdal_name(dataset), lambda opened: NetcdfGrid.of(opened, settings, chosen, state)
