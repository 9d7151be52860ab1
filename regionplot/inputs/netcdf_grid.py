"""Open the variable of a NetCDF or HDF5 file, and find out where its axes place its cells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyproj
from affine import Affine

from regionplot.errors import RasterError
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import LONLAT
from regionplot.geo.grid import GridGeometry
from regionplot.geo.upright import upright_grid
from regionplot.inputs.drivers import NETCDF
from regionplot.inputs.file_axes import AxisKind, PlacedAxes, dimension_of_places, find_axes, missing_role, place_axes
from regionplot.inputs.file_crs import stated_crs
from regionplot.inputs.geolocation import kind_of
from regionplot.inputs.grid_mapping import missing_crs
from regionplot.inputs.hdfeos import place_hdfeos
from regionplot.inputs.netcdf import Variable, list_variables
from regionplot.inputs.variables import choose_variable
from regionplot.settings.raster import RasterSettings
from regionplot.text import plain_text


@dataclass(frozen=True)
class ChosenVariable:
    """The variable of a file that is drawn."""

    settings: RasterSettings
    variable: Variable
    variables: Sequence[Variable]
    """All variables of the file."""

    @classmethod
    def of(cls, settings: RasterSettings) -> ChosenVariable:
        """Choose the variable that the settings name, or the only grid of the file.

        Raises
        ------
        RasterError
            If the file cannot be read, or the settings do not select one variable.
        """
        variables = list_variables(settings.path)
        return cls(settings, choose_variable(settings.path, variables, settings.variable), variables)

    def gdal_name(self, dataset: Any) -> str | None:
        """Return GDAL's name of the variable in a file, or None if GDAL opens it without a name.

        Parameters
        ----------
        dataset : rasterio.DatasetReader
            The file, opened without the name of a variable.
        """
        name = self.variable.path if self.variable.group != "/" else self.variable.name
        if not dataset.subdatasets and dataset.count and dataset.tags(1).get("NETCDF_VARNAME") == self.variable.name:
            return None
        listed = (subdataset for subdataset in dataset.subdatasets if subdataset.endswith(f":{name}"))
        return next(listed, f'NETCDF:"{self.settings.path}":{name}')

    def missing_crs(self, dataset: Any) -> Any:
        """Return the CRS of the variable as a `rasterio.crs.CRS` if only its grid mapping states the CRS, else None.

        A variable with 2-D coordinates needs no projection.

        Parameters
        ----------
        dataset : rasterio.DatasetReader
            The variable.
        """
        return None if self._has_2d_coordinates else missing_crs(dataset, self.variable, self.variables)

    def place(self, dataset: Any) -> PlacedAxes | None:
        """Return the axes of the variable in their CRS. Return None if the file does not say what its axes are.

        Parameters
        ----------
        dataset : rasterio.DatasetReader
            The variable. Its CRS and transform are used.

        Raises
        ------
        RasterError
            If an axis cannot be used, or the axes are longitudes and latitudes but `[raster] crs` is projected.
        """
        path, crs = self.settings.path, stated_crs(dataset, self.settings)
        grid = find_axes(self.variable, self.variables, AxisKind.GEOGRAPHIC if crs is None else AxisKind.PROJECTED)
        if grid is None:
            return None if self._has_2d_coordinates else self._place_without_axes(dataset)
        if crs is None and not grid.is_geographic:
            return None
        found = self._geographic_crs(crs) if grid.is_geographic else crs
        assert found is not None, "axes in x and y have a CRS"
        return place_axes(path, grid, found, self.variables, dataset.transform)

    def _place_without_axes(self, dataset: Any) -> PlacedAxes | None:
        """Return the axes of an HDF-EOS5 grid. Raise RasterError for a section or an unstructured grid."""
        path, variable = self.settings.path, self.variable
        missing, places = missing_role(variable, self.variables), dimension_of_places(variable, self.variables)
        if places is not None and dataset.transform.is_identity:
            raise RasterError(
                f"{path}: {plain_text(variable.path)} is not on a grid of rows and columns: its dimension "
                f"{plain_text(places)} lists places; interpolate it to a grid first, such as with: "
                f"cdo remapnn,r1440x720 {path.name} grid.nc"
            )
        if missing is not None and dataset.transform.is_identity:
            names = ", ".join(plain_text(dimension.name) for dimension in variable.dimensions)
            raise RasterError(
                f"{path}: {plain_text(variable.path)} has no {missing.value}s along its dimensions {names}; choose "
                "another variable with variable = NAME in [raster]"
            )
        return place_hdfeos(path, variable, self.variables)

    @property
    def _has_2d_coordinates(self) -> bool:
        """True if the file has longitudes or latitudes for each cell."""
        sides = self.variable.shape[-2:]
        return any(other.shape[-2:] == sides and kind_of(other.name, other.attributes) for other in self.variables)

    def _geographic_crs(self, crs: pyproj.CRS | None) -> pyproj.CRS:
        """Return the CRS of longitudes and latitudes."""
        if crs is None:
            return parse_crs(LONLAT)
        if crs.is_geographic:
            return crs
        if self.settings.crs:
            raise longitudes_in_projection(self.settings.path, crs)
        geodetic = crs.geodetic_crs
        return parse_crs(LONLAT) if geodetic is None else geodetic


def check_read_by_gdal(path: Path, dataset: Any) -> None:
    """Raise RasterError if the rows and columns that GDAL reads differ from the rows and columns that the axes define.

    Parameters
    ----------
    path : Path
        The file.
    dataset : rasterio.DatasetReader
        The file, opened without the name of a variable.
    """
    if not dataset.count:
        raise RasterError(
            f"{path}: the file holds several grids, but blocks can be read only from a file with one grid; copy one "
            f"grid to a GeoTIFF first (gdal_translate 'NETCDF:\"{path}\":NAME' grid.tif)"
        )
    if dataset.driver != NETCDF:
        return
    axes = ChosenVariable.of(RasterSettings(path=path)).place(dataset)
    if axes is not None and not axes.agrees(dataset.transform):
        raise RasterError(
            f"{path}: GDAL ignores the axes of this file and would read the cells at wrong positions; copy the grid "
            f"to a GeoTIFF first (regionplot prepare {path.name} --output grid.tif)"
        )


def longitudes_in_projection(path: Path, crs: pyproj.CRS) -> RasterError:
    """Return the error for cells with longitudes and latitudes, if the settings state a projected CRS."""
    return RasterError(
        f"{path}: its cells have longitudes and latitudes, but {crs.name!r} is a projected CRS; remove "
        "crs from [raster], and choose the projection of the maps with projection in [map]"
    )


def north_up(axes: PlacedAxes) -> tuple[GridGeometry, dict[str, str]]:
    """Return the geometry of a regular grid, with rows from north to south, and GDAL options for this order."""
    columns, rows = axes.columns, axes.rows
    height = abs(rows.step)
    north = float(rows.centers.max()) + height / 2
    west = float(columns.centers[0]) - columns.step / 2
    transform = Affine(columns.step, 0, west, 0, -height, north)
    geometry = upright_grid(GridGeometry(transform, rows.size, columns.size, axes.crs))
    is_ascending = rows.size > 1 and rows.step > 0
    return geometry, {"GDAL_NETCDF_BOTTOMUP": "YES" if is_ascending else "NO"}
