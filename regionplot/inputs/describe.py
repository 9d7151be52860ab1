"""Describe a raster: find its variable, band, CRS, transform, metadata and colors, without reading cells.

For a grid with 2-D coordinates, the coordinates are read, because its extent depends on them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyproj

from regionplot.errors import RasterError
from regionplot.geo.crs import parse_crs
from regionplot.geo.dtypes import float_dtype
from regionplot.geo.extent import LONLAT
from regionplot.geo.grid import GridGeometry
from regionplot.geo.upright import upright_grid
from regionplot.inputs.attributes import Attributes
from regionplot.inputs.axes_source import AxesSource, OrderedSource
from regionplot.inputs.bands import band_times, find_bands
from regionplot.inputs.cached_dataset import CachedDataset
from regionplot.inputs.color_tables import class_names, color_table, mask_flags, rgb_bands, unmasked_rgb_bands
from regionplot.inputs.curvilinear import CurvilinearSource
from regionplot.inputs.drivers import raster_driver
from regionplot.inputs.ensemble import EnsembleSource
from regionplot.inputs.file_axes import PlacedAxes, find_dimensions
from regionplot.inputs.file_crs import stated_crs
from regionplot.inputs.flags import NO_FLAGS, Flags, flags_of
from regionplot.inputs.gdal import check_block, opened
from regionplot.inputs.geolocation import Geolocation, find_geolocation
from regionplot.inputs.metadata import band_tags, describe_band
from regionplot.inputs.netcdf import Variable
from regionplot.inputs.netcdf_grid import DRIVER as NETCDF
from regionplot.inputs.netcdf_grid import ChosenVariable, longitudes_in_projection, north_up
from regionplot.inputs.packing import EVERYTHING, usable_scaling
from regionplot.inputs.reading import FileSource, fingerprint_of
from regionplot.inputs.remote import has_changing_name
from regionplot.inputs.reordered import ReorderedDataset, can_read, read_positions
from regionplot.inputs.samples import Source, samples_of, with_changes
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
from regionplot.text import plain_text

_MIN_POINTS = 3
"""Minimum number of ground control points that can place a raster."""


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
        band = 1 if settings.band is None else find_bands(grid.dataset, settings)[0]
        first = grid.source(band)
        geometry, valid = first.describe().geometry, first.describe().valid
        if isinstance(first, CurvilinearSource):
            cells = (grid.native(number, first.geolocation) for number in grid.dataset.indexes)
            return tuple(first.with_cells(with_changes(own, valid=valid)) for own in cells)
        infos = (replace(grid.info(number, geometry), valid=valid) for number in grid.dataset.indexes)
        return tuple(replace(first, info=info) for info in infos)


def inspect_raster(settings: RasterSettings) -> RasterInfo:
    """Return the metadata of the raster that the settings name.

    Raises
    ------
    RasterError
        For the same reasons as `open_source`.
    """
    return open_source(settings).describe()


@dataclass(frozen=True)
class OpenGrid:
    """An open raster file, or an open subdataset that holds the variable to draw."""

    dataset: Any
    """A `CachedDataset` or a `ReorderedDataset`."""
    settings: RasterSettings
    axes: PlacedAxes | None = None
    """Axes of a NetCDF or HDF5 file. None if the file does not say what its axes are."""
    variable: Variable | None = None
    """Variable of a NetCDF or HDF5 file. None for other files."""

    @property
    def path(self) -> Path:
        """The file."""
        return self.settings.path

    def source(self, band: int) -> Source:
        """Return the source of a band."""
        check_size(self.dataset.shape, self.settings)
        source = self._source(band)
        if not self.settings.mask_and_scale:
            return source
        valid = self.attributes.valid_range(source.describe().packing, samples_of(source))
        return with_changes(source, valid=valid)

    def _flags(self, tags: Mapping[str, str], description: Mapping[str, object], stored: np.dtype[Any]) -> Flags:
        """Return the CF flags of a band."""
        return flags_of(tags, stored, str(description["units"]), _stated_range(tags))

    @property
    def attributes(self) -> Attributes:
        """Attributes of the variable of a NetCDF or HDF5 file. Empty for other files."""
        return Attributes(self.path, {} if self.variable is None else self.variable.attributes)

    def _source(self, band: int) -> Source:
        """Return the source of a band without its valid range."""
        if self.axes is not None:
            return self._source_on_axes(band, self.axes)
        crs, geolocation = self._placement(band)
        if geolocation is not None:
            return CurvilinearSource.of(self.native(band, geolocation), geolocation, self.settings.resampling)
        return FileSource(self.info(band, self._geometry(crs)))

    def _source_on_axes(self, band: int, axes: PlacedAxes) -> FileSource | AxesSource:
        is_read_by_gdal = not isinstance(self.dataset, ReorderedDataset)
        if is_read_by_gdal and axes.agrees(self.dataset.transform):
            return FileSource(self.info(band, self._geometry(axes.crs)))
        geometry, options = north_up(axes)
        info = self.info(band, geometry)
        if is_read_by_gdal and axes.is_regular:
            return FileSource(info, options)
        return AxesSource.of(info, _cell_type(self.dataset.dtypes[band - 1]), axes, self.settings.resampling)

    def native(self, band: int, geolocation: Geolocation) -> FileSource | OrderedSource:
        """Return the source of a band in the file's own rows and columns."""
        info = self.info(band, self._geometry(geolocation.crs))
        if isinstance(self.dataset, ReorderedDataset):
            return OrderedSource(info, _cell_type(self.dataset.dtypes[band - 1]), self.dataset.grid)
        return FileSource(info, geolocation.options)

    def _geometry(self, crs: pyproj.CRS) -> GridGeometry:
        """Return the geometry that GDAL gives to the file, with a CRS."""
        return upright_grid(GridGeometry(self.dataset.transform, self.dataset.height, self.dataset.width, crs))

    def info(self, band: int, geometry: GridGeometry) -> RasterInfo:
        """Return the metadata of a band."""
        dataset, settings = self.dataset, self.settings
        given = _cell_type(dataset.dtypes[band - 1])
        check_block(self.path, dataset.block_shapes[band - 1], given.itemsize)
        if problem := geometry.problem():
            raise RasterError(
                f"{self.path}: {problem}; set the bounds of the raster "
                f"(gdal_edit.py -a_ullr WEST NORTH EAST SOUTH {self.path.name})"
            )
        if given.kind == "c":
            raise RasterError(
                f"{self.path}: its cells are complex numbers, which a map cannot show; write their amplitude to a file "
                f"first: gdal_translate DERIVED_SUBDATASET:AMPLITUDE:{self.path} amplitude.tif"
            )
        stored = self.attributes.stored_type(given)
        nodata = _nodata(dataset.nodatavals[band - 1], stored)
        table = color_table(dataset, band)
        scale, offset = float(dataset.scales[band - 1]), float(dataset.offsets[band - 1])
        if settings.mask_and_scale:
            scale, offset = usable_scaling(self.path, scale, offset)
        tags = band_tags(dataset, band, self.path)
        description = describe_band(dataset, band, self.path, settings.valid_time)
        flags = NO_FLAGS if table or (scale, offset) != (1, 0) else self._flags(tags, description, stored)
        return RasterInfo(
            path=self.path,
            gdal_name=str(self.path) if has_changing_name(self.path) else dataset.name,
            fingerprint=fingerprint_of(self.path),
            band=band,
            geometry=geometry,
            dtype=float_dtype(stored) if settings.mask_and_scale else stored,
            nodata=nodata,
            missing=self.attributes.further_missing(nodata, stored) if settings.mask_and_scale else (),
            scale=scale,
            offset=offset,
            has_mask="per_dataset" in mask_flags(dataset, band),
            mask_and_scale=settings.mask_and_scale,
            description=description,
            standard_name=plain_text(tags.get("standard_name", "")),
            color_table=table or flags.colors,
            class_names=class_names(dataset.dataset, band) if table else flags.names,
            has_bit_flags=flags.are_masks,
            rgb=rgb_bands(dataset) if settings.mask_and_scale else unmasked_rgb_bands(dataset),
            stored=stored if stored != given else None,
        )

    def _placement(self, band: int) -> tuple[pyproj.CRS, Geolocation | None]:
        """Return the CRS, and the 2-D coordinates if they define the grid.

        The CRS in the settings overrides the file's CRS.
        """
        geolocation = self._geolocation(band)
        if geolocation is not None:
            return geolocation.crs, geolocation
        self._check_control_points()
        crs = stated_crs(self.dataset, self.settings)
        if crs is None:
            raise RasterError(f'{self.path}: the raster has no CRS; set crs = "EPSG:..." in [raster]')
        self._check_transform()
        return crs, None

    def _check_control_points(self) -> None:
        """Raise RasterError if the file has ground control points or a sensor model instead of a transform."""
        dataset = self.dataset
        has_points = len(dataset.gcps[0]) >= _MIN_POINTS
        if not dataset.transform.is_identity or not (has_points or dataset.rpcs):
            return
        option = "" if has_points else "-rpc "
        raise RasterError(
            f"{self.path}: the raster has control points (or RPCs) instead of a transform; warp it first: "
            f"gdalwarp {option}-r near {self.path.name} warped.tif"
        )

    def _check_transform(self) -> None:
        """Raise RasterError if the file has no transform, or a transform in which cells have no area."""
        if self.dataset.transform.is_identity:
            raise RasterError(f"{self.path}: the raster has no transform; set its bounds (gdal_edit.py -a_ullr ...)")

    def _geolocation(self, band: int) -> Geolocation | None:
        """Return the 2-D coordinates of a grid that has no other georeferencing. Otherwise, return None."""
        named = parse_crs(self.settings.crs) if self.settings.crs else None
        is_placed = self.dataset.crs is not None or (named is not None and named.is_projected)
        if self.dataset.driver != NETCDF or (is_placed and not self.dataset.transform.is_identity):
            return None
        crs = named or parse_crs(LONLAT)
        found = find_geolocation(self.path, self.dataset.name, self.dataset.shape, (band, self.dataset.count), crs)
        if found is not None and not crs.is_geographic:
            raise longitudes_in_projection(self.path, crs)
        return found


@contextmanager
def opened_grid(settings: RasterSettings) -> Iterator[OpenGrid]:
    """Open the file, or the subdataset that holds the variable to draw.

    Raises
    ------
    RasterError
        If the file cannot be opened, or the settings do not select one variable.
    """
    path, chosen, state = settings.path, None, Fingerprint.of(settings.path)
    unpack(path, settings.max_cells)
    with opened_or_stated(path) as dataset:
        if dataset.driver == NETCDF:
            chosen = ChosenVariable.of(settings)
            name = chosen.gdal_name(dataset)
        else:
            name = chosen_subdataset(dataset, settings)
        if name is None:
            yield _with_axes(dataset, settings, chosen, state)
            return
    with opened(path, name) as dataset:
        yield _with_axes(dataset, settings, chosen, state)


def _with_axes(opened: Any, settings: RasterSettings, chosen: ChosenVariable | None, state: Any) -> OpenGrid:
    dataset = CachedDataset(opened, None if chosen is None else chosen.missing_crs(opened), state)
    if chosen is None:
        return OpenGrid(dataset, settings)
    axes, variable = chosen.place(dataset), chosen.variable
    grid = find_dimensions(variable, chosen.variables) if axes is None else axes.grid
    if grid is None or can_read(dataset, grid):
        return OpenGrid(dataset, settings, axes, variable)
    positions = read_positions(settings.path, grid, chosen.variables)
    return OpenGrid(ReorderedDataset(dataset, grid, positions), settings, axes, variable)


def _stated_range(tags: Mapping[str, str]) -> tuple[float, float]:
    """Return the valid range that attributes state, without a check against the cells."""
    text = tags.get("valid_range") or "{},{}".format(tags.get("valid_min", ""), tags.get("valid_max", ""))
    limits = text.split(",")
    if len(limits) != len(EVERYTHING):
        return EVERYTHING
    with suppress(ValueError):
        low, high = (text.strip(" {}") for text in limits)
        return float(low or -math.inf), float(high or math.inf)
    return EVERYTHING


def check_size(shape: tuple[int, int], settings: RasterSettings) -> None:
    """Raise RasterError if a file declares more cells than the settings allow.

    Even a small file can declare a very large grid.
    """
    height, width = shape
    if height * width > settings.max_cells:
        raise RasterError(
            f"{settings.path}: the file declares {width:,} x {height:,} cells, more than [raster] max_cells = "
            f"{settings.max_cells:,}; raise max_cells if you trust the file"
        )


def _cell_type(name: str) -> np.dtype[Any]:
    """Convert rasterio's name of a data type to a NumPy type."""
    return np.dtype({"complex_int16": "complex64"}.get(name, name))


def _nodata(value: float | None, stored: np.dtype[Any]) -> float | None:
    """Return a nodata value. If the cells are in floating point, round it to their precision."""
    if value is None:
        return None
    return float(stored.type(value)) if stored.kind == "f" else float(value)
