"""Describe an open NetCDF or HDF5 file: its axes, 2-D coordinates, attributes and valid range."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from typing_extensions import override

from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import LONLAT
from regionplot.inputs.attributes import Attributes
from regionplot.inputs.axes_source import AxesSource, OrderedSource
from regionplot.inputs.cached_dataset import CachedDataset
from regionplot.inputs.curvilinear import CurvilinearSource
from regionplot.inputs.file_axes import PlacedAxes, find_dimensions
from regionplot.inputs.geolocation import Geolocation, find_geolocation
from regionplot.inputs.netcdf import Variable
from regionplot.inputs.netcdf_grid import ChosenVariable, longitudes_in_projection, north_up
from regionplot.inputs.open_grid import OpenGrid, cell_type, check_size
from regionplot.inputs.reading import FileSource
from regionplot.inputs.reordered import ReorderedDataset, can_read, read_positions
from regionplot.inputs.samples import Source, samples_of, with_changes
from regionplot.inputs.source import RasterSource
from regionplot.settings.raster import RasterSettings
from regionplot.system.files import Fingerprint


@dataclass(frozen=True)
class NetcdfGrid(OpenGrid):
    """An open NetCDF or HDF5 file, or an open subdataset that holds the variable to draw."""

    variable: Variable
    axes: PlacedAxes | None
    """None if the file does not say what its axes are."""

    @classmethod
    def of(cls, opened: Any, settings: RasterSettings, chosen: ChosenVariable, state: Fingerprint | None) -> NetcdfGrid:
        """Find the axes of a variable.

        Parameters
        ----------
        opened : rasterio.DatasetReader
            The open file, or a subdataset of it.
        settings : RasterSettings
            Path, variable and CRS.
        chosen : ChosenVariable
            The variable.
        state : Fingerprint or None
            Fingerprint of the file before it was opened.

        Raises
        ------
        RasterError
            If the axes cannot be read or used.
        """
        dataset = CachedDataset(opened, chosen.missing_crs(opened), state)
        axes, variable = chosen.place(dataset), chosen.variable
        grid = find_dimensions(variable, chosen.variables) if axes is None else axes.grid
        if grid is None or can_read(dataset, grid):
            return cls(dataset, settings, variable, axes)
        positions = read_positions(settings.path, grid, chosen.variables)
        return cls(ReorderedDataset(dataset, grid, positions), settings, variable, axes)

    @override
    def source(self, band: int) -> Source:
        check_size(self.dataset.shape, self.settings)
        source = self._source(band)
        if not self.settings.mask_and_scale:
            return source
        valid = self.attributes.valid_range(source.describe().packing, samples_of(source))
        return with_changes(source, valid=valid)

    @override
    def _sources_like(self, first: Any) -> tuple[RasterSource, ...]:
        if not isinstance(first, CurvilinearSource):
            return super()._sources_like(first)
        cells = (self._native(number, first.geolocation) for number in self.dataset.indexes)
        return tuple(first.with_cells(with_changes(own, valid=first.describe().valid)) for own in cells)

    @property
    @override
    def attributes(self) -> Attributes:
        return Attributes(self.path, self.variable.attributes)

    def _source(self, band: int) -> Source:
        """Return the source of a band without its valid range."""
        if self.axes is not None:
            return self._source_on_axes(band, self.axes)
        geolocation = self._geolocation(band)
        if geolocation is not None:
            return CurvilinearSource.of(self._native(band, geolocation), geolocation, self.settings.resampling)
        return FileSource(self.info(band, self.geometry(self._crs())))

    def _source_on_axes(self, band: int, axes: PlacedAxes) -> FileSource | AxesSource:
        is_read_by_gdal = not isinstance(self.dataset, ReorderedDataset)
        if is_read_by_gdal and axes.agrees(self.dataset.transform):
            return FileSource(self.info(band, self.geometry(axes.crs)))
        geometry, options = north_up(axes)
        info = self.info(band, geometry)
        if is_read_by_gdal and axes.is_regular:
            return FileSource(info, options)
        return AxesSource.of(info, cell_type(self.dataset.dtypes[band - 1]), axes, self.settings.resampling)

    def _native(self, band: int, geolocation: Geolocation) -> FileSource | OrderedSource:
        """Return the source of a band in the file's own rows and columns."""
        info = self.info(band, self.geometry(geolocation.crs))
        if isinstance(self.dataset, ReorderedDataset):
            return OrderedSource(info, cell_type(self.dataset.dtypes[band - 1]), self.dataset.grid)
        return FileSource(info, geolocation.options)

    def _geolocation(self, band: int) -> Geolocation | None:
        """Return the 2-D coordinates of a grid that has no other georeferencing. Otherwise, return None."""
        named = parse_crs(self.settings.crs) if self.settings.crs else None
        is_placed = self.dataset.crs is not None or (named is not None and named.is_projected)
        if is_placed and not self.dataset.transform.is_identity:
            return None
        crs = named or parse_crs(LONLAT)
        found = find_geolocation(self.path, self.dataset.name, self.dataset.shape, (band, self.dataset.count), crs)
        if found is not None and not crs.is_geographic:
            raise longitudes_in_projection(self.path, crs)
        return found
