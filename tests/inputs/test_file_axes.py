"""Cells of NetCDF and HDF5 files lie where the axes in the file say, whatever GDAL makes of the file."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pyproj
import pytest
from numpy.typing import NDArray

from regionplot.blocks import process_blocks
from regionplot.errors import RasterError
from regionplot.inputs.axes_source import AxesSource
from regionplot.inputs.describe import inspect_raster, open_bands, open_source
from regionplot.inputs.source import read_window
from regionplot.prepare.run import prepare_raster
from regionplot.settings.raster import RasterSettings

LAT = 50 - 0.5 * np.arange(12)
LON = -100 + 0.5 * np.arange(17)
NORTH, EAST = {"units": "degrees_north"}, {"units": "degrees_east"}
MERCATOR = np.degrees(np.arctan(np.sinh(np.linspace(0.6, 1.6, 12))))
TIMES = {"units": "hours since 2026-03-10"}


@dataclass(frozen=True)
class Grid:
    """A grid to write: the value of each cell says its row and column."""

    lat: NDArray[Any] = field(default_factory=lambda: LAT)
    lon: NDArray[Any] = field(default_factory=lambda: LON)
    names: tuple[str, str] = ("lat", "lon")
    attributes: tuple[Mapping[str, Any], Mapping[str, Any]] = (NORTH, EAST)
    dimensions: tuple[str, str] | None = None
    """Names of the dimensions; by default, the names of the axes."""
    order: str = "yx"
    """Order of the dimensions of the variable: y, x, and t for two times."""
    group: str = "/"
    axes_group: str = "/"
    dtype: Any = "f8"
    variable: Mapping[str, Any] = field(default_factory=dict)
    """Further attributes of the variable."""
    mapping: Mapping[str, Any] | None = None
    """Attributes of the grid mapping."""
    format: str = "NETCDF4"

    def write(self, path: Path) -> Path:
        """Write the grid to a file."""
        with netCDF4.Dataset(path, "w", format=self.format) as file:
            y, x = self.dimensions or self.names
            for name, size in ((y, self.lat.size), (x, self.lon.size), ("time", 2)):
                file.createDimension(name, size)
            axes = file.createGroup(self.axes_group) if self.axes_group != "/" else file
            values = (self.lat, self.lon)
            for name, dimension, axis, texts in zip(self.names, (y, x), values, self.attributes, strict=True):
                stored = axes.createVariable(name, self.dtype, (dimension,), fill_value=texts.get("_FillValue"))
                stored.setncatts({key: text for key, text in texts.items() if key != "_FillValue"})
                stored[:] = axis
            if "t" in self.order:
                file.createVariable("time", "f8", ("time",))[:] = [0, 6]
                file["time"].setncatts(TIMES)
            group = file.createGroup(self.group) if self.group != "/" else file
            names = [{"y": y, "x": x, "t": "time"}[letter] for letter in self.order]
            rain = group.createVariable("rain", "f4", names, fill_value=-999.0)
            rain.setncatts({"units": "mm", "long_name": "rain rate", **self.variable})
            rain[:] = self.values()
            if self.mapping:
                file.createVariable("mapping", "i4").setncatts(self.mapping)
                rain.grid_mapping = "mapping"
        return path

    def values(self) -> NDArray[Any]:
        """Return the cells in the order of the dimensions: 100 x row + column, and 10,000 more at the second time."""
        size = {"y": self.lat.size, "x": self.lon.size, "t": 2}
        indices = np.indices([size[letter] for letter in self.order])
        weight = {"y": 100, "x": 1, "t": 10_000}
        return sum(index * weight[letter] for index, letter in zip(indices, self.order, strict=True))


def expected(grid: Grid) -> NDArray[Any]:
    rows, columns = np.indices((grid.lat.size, grid.lon.size))
    return rows * 100 + columns


def values_at(path: Path, x: NDArray[Any], y: NDArray[Any], **settings: Any) -> NDArray[Any]:
    """Return the values that a map shows at positions in the CRS of the grid, shape (y, x)."""
    source = open_source(RasterSettings(path=path, **settings))
    geometry = source.describe().geometry
    values, _ = read_window(source, geometry.full_window)
    columns, rows = geometry.columns_and_rows(*np.meshgrid(x, y))
    columns = np.floor(geometry.wrapped(columns)).astype(int)
    return values[np.floor(rows).astype(int), columns]


RIGHT: dict[str, Grid] = {
    "usual": Grid(),
    "south to north": Grid(lat=LAT[::-1]),
    "east to west": Grid(lon=LON[::-1]),
    "longitude first": Grid(order="xy"),
    "time, longitude, latitude": Grid(order="txy"),
    "latitude, longitude, time": Grid(order="yxt"),
    "longitude, latitude, time": Grid(order="xyt"),
    "latitude, time, longitude": Grid(order="ytx"),
    "longitude first, square": Grid(lat=35 + LON - LON[0], order="xy"),
    "latitude, longitude, time in NetCDF-3": Grid(order="yxt", format="NETCDF3_CLASSIC", lat=LAT[::-1]),
    "dimensions y and x": Grid(dimensions=("y", "x")),
    "dimensions y and x, south to north": Grid(dimensions=("y", "x"), lat=LAT[::-1]),
    "dimensions y and x, named": Grid(dimensions=("y", "x"), variable={"coordinates": "lat lon"}),
    "dimensions x and y": Grid(dimensions=("y", "x"), order="xy"),
    "variable in a group": Grid(group="product"),
    "variable in a group, longitude first": Grid(group="product", order="txy"),
    "variable in a nested group": Grid(group="a/b c"),
    "axes in another group": Grid(group="product", axes_group="geolocation", dimensions=("rows", "columns")),
    "degree_north": Grid(names=("a", "b"), attributes=({"units": "degree_north"}, {"units": "degree_east"})),
    "degrees_N": Grid(names=("a", "b"), attributes=({"units": "degrees_N"}, {"units": "degrees_E"})),
    "degreeN": Grid(names=("a", "b"), attributes=({"units": "degreeN"}, {"units": "degreeE"}), order="xy"),
    "degrees_west": Grid(lon=-LON, attributes=(NORTH, {"units": "degrees_west"})),
    "degrees": Grid(names=("latitude", "longitude"), attributes=({"units": "degrees"}, {"units": "degrees"})),
    "no units": Grid(attributes=({}, {})),
    "standard names": Grid(
        names=("a", "b"), attributes=({"standard_name": "latitude"}, {"standard_name": "longitude"}), order="xy"
    ),
    "0 to 360": Grid(lon=np.arange(0.0, 360, 20)),
    "0 to 360, longitude first": Grid(lon=np.arange(0.0, 360, 20), order="xy"),
    "across the prime meridian": Grid(lon=np.mod(352 + np.arange(17), 360)),
    "across the antimeridian": Grid(lon=np.mod(172 + np.arange(17) + 180, 360) - 180),
    "across the antimeridian, uneven": Grid(lat=MERCATOR, lon=np.mod(172 + np.arange(17) + 180, 360) - 180),
    "float32": Grid(dtype="f4", lat=50 - np.arange(12) / 1200, lon=-100 + np.arange(17) / 1200),
    "Mercator": Grid(lat=MERCATOR),
    "Mercator, north to south": Grid(lat=MERCATOR[::-1]),
    "Mercator, longitude first": Grid(lat=MERCATOR, order="txy"),
    "Mercator, time last": Grid(lat=MERCATOR, order="yxt"),
    "nearly even": Grid(lat=LAT - 0.09 * np.sin(np.arange(12))),
    "uneven columns": Grid(lon=-100 + 0.03 * np.arange(17) ** 2 + np.arange(17)),
    "uneven rows and columns": Grid(lat=MERCATOR, lon=-60 - 0.03 * np.arange(17) ** 2),
    "uneven on dimensions y and x": Grid(lat=MERCATOR, dimensions=("y", "x"), variable={"coordinates": "lon lat"}),
    "stale actual_range": Grid(
        attributes=({**NORTH, "actual_range": [-80.0, 80.0]}, {**EAST, "actual_range": [0.0, 350.0]})
    ),
    "stale transform": Grid(mapping={"grid_mapping_name": "latitude_longitude", "GeoTransform": "10 2 0 70 0 -2"}),
    "transform from north, axis from south": Grid(
        lat=LAT[::-1],
        names=("y", "x"),
        attributes=({"standard_name": "latitude"}, {"standard_name": "longitude"}),
        mapping={"grid_mapping_name": "latitude_longitude", "GeoTransform": "-100.25 0.5 0 50.25 0 -0.5"},
    ),
    "transform from south, axis from north": Grid(
        names=("y", "x"),
        attributes=({"standard_name": "latitude"}, {"standard_name": "longitude"}),
        mapping={"grid_mapping_name": "latitude_longitude", "GeoTransform": "-100.25 0.5 0 44.25 0 0.5"},
    ),
    "transform from north, bare axis from south": Grid(
        lat=LAT[::-1],
        dimensions=("rows", "columns"),
        mapping={"grid_mapping_name": "latitude_longitude", "GeoTransform": "-100.25 0.5 0 50.25 0 -0.5"},
    ),
    "transform without area": Grid(
        mapping={"grid_mapping_name": "latitude_longitude", "GeoTransform": "0 0 0 0 0 0"}, dimensions=("y", "x")
    ),
}


@pytest.mark.parametrize("grid", RIGHT.values(), ids=RIGHT)
def test_each_cell_is_where_the_axes_say(tmp_path: Path, grid: Grid) -> None:
    path = grid.write(tmp_path / "grid.nc")
    lon = -grid.lon if grid.attributes[1].get("units") == "degrees_west" else grid.lon
    np.testing.assert_array_equal(values_at(path, lon, grid.lat), expected(grid))
    info = inspect_raster(RasterSettings(path=path))
    assert info.geometry.crs.is_geographic
    assert (info.description["long_name"], info.description["units"]) == ("rain rate", "mm")
    if "t" in grid.order:
        np.testing.assert_array_equal(values_at(path, grid.lon, grid.lat, band=2), expected(grid) + 10_000)
        bands = [source.describe().description for source in open_bands(RasterSettings(path=path))]
        assert [text["time"] for text in bands] == [datetime(2026, 3, 10, hour, tzinfo=UTC) for hour in (0, 6)]


@pytest.mark.parametrize("name", ["latitude, longitude, time", "dimensions y and x", "Mercator", "variable in a group"])
def test_prepared_rasters_have_the_cells_where_the_axes_say(tmp_path: Path, name: str) -> None:
    grid = RIGHT[name]
    path = grid.write(tmp_path / "grid.nc")
    prepare_raster([path], tmp_path / "grid.tif", [], executor="serial")
    assert len(open_bands(RasterSettings(path=tmp_path / "grid.tif"))) == (2 if "t" in grid.order else 1)
    np.testing.assert_array_equal(values_at(tmp_path / "grid.tif", grid.lon, grid.lat), expected(grid))


def unchanged(data: Any, *_: Any) -> Any:
    return data


@pytest.mark.parametrize("name", ["time, longitude, latitude", "Mercator", "stale actual_range"])
def test_blocks_of_misplaced_cells_are_refused(tmp_path: Path, name: str) -> None:
    path = RIGHT[name].write(tmp_path / "grid.nc")
    with pytest.raises(RasterError, match="GDAL ignores the axes of this file"):
        process_blocks(unchanged, path, tmp_path / "grid.tif", executor="serial")


def test_a_window_is_read_without_the_rest(tmp_path: Path) -> None:
    source = open_source(RasterSettings(path=RIGHT["Mercator, longitude first"].write(tmp_path / "grid.nc")))
    assert isinstance(source, AxesSource)
    whole = source.describe().geometry.full_window
    full, _ = read_window(source, whole)
    window = whole.shifted(100, 4).intersection(whole)
    assert window is not None
    part, geometry = read_window(source, window)
    np.testing.assert_array_equal(part, full[100:, 4:])
    assert geometry == source.describe().geometry.subgrid(window)
    thin, _ = read_window(source, whole, 3)
    assert thin.shape == (-(-full.shape[0] // 3), -(-full.shape[1] // 3))
    assert set(np.unique(thin)) <= set(np.unique(full))


def test_bilinear_resampling_interpolates_along_an_uneven_axis(tmp_path: Path) -> None:
    path = Grid(lat=MERCATOR).write(tmp_path / "grid.nc")
    with netCDF4.Dataset(path, "a") as file:
        file["rain"][:] = np.broadcast_to(MERCATOR[:, None], (12, 17))
        file["rain"][3, :4] = -999
    y = np.linspace(MERCATOR[0], MERCATOR[-1], 50)
    found = values_at(path, LON, y, resampling="bilinear")
    np.testing.assert_allclose(found[:, 5], y, atol=0.05)
    assert np.isnan(found[:, 0]).any()
    np.testing.assert_array_equal(np.isnan(found), np.isnan(values_at(path, LON, y)))


def projected(units: str, factor: float, crs: Mapping[str, Any], **options: Any) -> tuple[Grid, float]:
    standard = [{"standard_name": f"projection_{axis}_coordinate", "units": units} for axis in "yx"]
    y, x = (700 - 10.0 * np.arange(12)) * 1000, (-300 + 10.0 * np.arange(17)) * 1000
    grid = Grid(lat=y / factor, lon=x / factor, names=("y", "x"), attributes=(standard[0], standard[1]), mapping=crs)
    return Grid(**{**grid.__dict__, **options}), factor


LAEA = pyproj.CRS("+proj=laea +lat_0=90 +lon_0=10").to_cf()
GEOS = pyproj.CRS("+proj=geos +h=35786023 +lon_0=-75 +sweep=x").to_cf()
PROJECTED = {
    "km": projected("km", 1000, LAEA),
    "kilometers, x first": projected("kilometers", 1000, LAEA, order="txy"),
    "km, in a group": projected("km", 1000, LAEA, group="data"),
    "m, time last": projected("m", 1, LAEA, order="yxt"),
    "no units": projected("", 1, LAEA, order="xy"),
    "100 km": projected("100 km", 100_000, LAEA),
    "feet, x first": projected("feet", 0.3048, LAEA, order="xy"),
    "radians": projected("rad", 35786023, GEOS),
    "radians, x first": projected("radians", 35786023, GEOS, order="xy"),
    "microradians, time last": projected("microradian", 35.786023, GEOS, order="yxt"),
}


@pytest.mark.parametrize(("grid", "factor"), PROJECTED.values(), ids=PROJECTED)
def test_projected_axes_are_converted_to_units_of_the_crs(tmp_path: Path, grid: Grid, factor: float) -> None:
    path = grid.write(tmp_path / "grid.nc")
    np.testing.assert_array_equal(values_at(path, grid.lon * factor, grid.lat * factor), expected(grid))
    assert inspect_raster(RasterSettings(path=path)).geometry.crs.is_projected


ROTATED = pyproj.CRS("+proj=ob_tran +o_proj=longlat +o_lon_p=0 +o_lat_p=40 +lon_0=10 +R=6371000").to_cf()


@pytest.mark.parametrize("order", ["yx", "txy", "yxt"])
@pytest.mark.parametrize("lat", [np.linspace(-5, 6, 12), MERCATOR - 50], ids=["even", "uneven"])
def test_rotated_axes_are_in_the_rotated_crs(tmp_path: Path, order: str, lat: NDArray[Any]) -> None:
    texts = [{"standard_name": f"grid_{name}", "units": "degrees"} for name in ("latitude", "longitude")]
    grid = Grid(
        lat=lat, lon=np.arange(17.0), names=("rlat", "rlon"), attributes=(texts[0], texts[1]), mapping=ROTATED,
        order=order,
    )  # fmt: skip
    path = grid.write(tmp_path / "grid.nc")
    np.testing.assert_array_equal(values_at(path, grid.lon, grid.lat), expected(grid))
    assert inspect_raster(RasterSettings(path=path)).geometry.crs.is_derived


ANGLES = {
    "radians": ("radians", np.pi / 180),
    "arc minutes": ("arcminutes", 60.0),
    "arc seconds": ("arc_second", 3600.0),
}


@pytest.mark.parametrize(("units", "factor"), ANGLES.values(), ids=ANGLES)
@pytest.mark.parametrize("lat", [LAT, MERCATOR], ids=["even", "uneven"])
def test_longitudes_and_latitudes_may_have_other_units(
    tmp_path: Path, units: str, factor: float, lat: NDArray[Any]
) -> None:
    grid = Grid(lat=lat * factor, lon=LON * factor, attributes=({"units": units}, {"units": units}))
    np.testing.assert_array_equal(values_at(grid.write(tmp_path / "grid.nc"), LON, lat), expected(grid))


def test_packed_axes_are_scaled(tmp_path: Path) -> None:
    for lat in (LAT, MERCATOR.round(2)):
        path = Grid(
            lat=lat, lon=LON, dtype="i2", order="xy",
            attributes=({**NORTH, "scale_factor": 0.01, "add_offset": 40.0}, {**EAST, "scale_factor": 0.1}),
        ).write(tmp_path / "grid.nc")  # fmt: skip
        np.testing.assert_array_equal(values_at(path, LON, lat), expected(Grid()))


REFUSED = {
    "missing value": (Grid(lat=np.where(LAT == 48, np.nan, LAT)), "axis /lat cannot be used: 1 of its 12 values are"),
    "fill value": (
        Grid(lon=np.where(LON == -98, -1, LON), attributes=(NORTH, {**EAST, "_FillValue": -1.0})),
        "axis /lon cannot be used: 1 of its 17 values are missing",
    ),
    "repeated value": (Grid(lat=np.where(LAT == 48, 48.5, LAT)), "/lat cannot be used: its values neither increase"),
    "beyond the pole": (Grid(lat=LAT + 60), "the axis /lat has latitudes beyond 90 degrees"),
    "one row": (Grid(lat=LAT[:1]), "the axis /lat has only one value, so the width of its cell is unknown"),
}


@pytest.mark.parametrize(("grid", "message"), REFUSED.values(), ids=REFUSED)
def test_an_axis_that_cannot_be_used_is_named(tmp_path: Path, grid: Grid, message: str) -> None:
    path = grid.write(tmp_path / "grid.nc")
    with pytest.raises(RasterError, match=message) as caught:
        open_source(RasterSettings(path=path))
    assert str(caught.value).startswith(str(path))


def test_attributes_that_are_not_numbers_are_ignored(tmp_path: Path) -> None:
    path = Grid(order="xy").write(tmp_path / "grid.nc")
    with netCDF4.Dataset(path, "a") as file:
        for name in ("lat", "lon"):
            file[name].setncatts({"scale_factor": "x", "missing_value": "none", "bounds": 3})
    np.testing.assert_array_equal(values_at(path, LON, LAT), expected(Grid()))


def test_a_variable_without_cells_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "grid.nc"
    with netCDF4.Dataset(path, "w") as file:
        for name, size in (("time", None), ("lat", 12), ("lon", 17)):
            file.createDimension(name, size)
        file.createVariable("rain", "f4", ("time", "lat", "lon"))
    with pytest.raises(RasterError, match="/rain has no cells, because its dimension time is empty"):
        open_source(RasterSettings(path=path))


@pytest.mark.parametrize("name", ["a#mode=zarr.nc", "a?b.nc", "a%20b.nc", "file:x.nc", "a[1].nc", "ü ' \".nc"])
def test_a_path_is_not_taken_for_an_address(tmp_path: Path, name: str) -> None:
    for grid in (Grid(), Grid(order="yxt"), Grid(group="p q")):
        path = grid.write(tmp_path / "grid.nc").rename(tmp_path / name)
        np.testing.assert_array_equal(values_at(path, grid.lon, grid.lat), expected(grid))


def test_longitudes_and_latitudes_in_a_projected_crs_are_refused(tmp_path: Path) -> None:
    path = Grid().write(tmp_path / "grid.nc")
    with pytest.raises(RasterError, match=r"its cells have longitudes and latitudes, but .* is a projected CRS"):
        open_source(RasterSettings(path=path, crs="EPSG:5070"))


def test_the_transform_gives_the_width_of_one_row(tmp_path: Path) -> None:
    mapping = {"grid_mapping_name": "latitude_longitude", "GeoTransform": "-100.25 0.5 0 51 0 -2"}
    path = Grid(lat=LAT[:1], mapping=mapping).write(tmp_path / "grid.nc")
    np.testing.assert_array_equal(values_at(path, LON, np.array([49.1, 50.9])), [np.arange(17)] * 2)


@pytest.mark.parametrize("name", ["lat", "lon"])
def test_a_variable_without_longitudes_or_latitudes_is_refused(tmp_path: Path, name: str) -> None:
    path = Grid(order="txy" if name == "lat" else "tyx").write(tmp_path / "grid.nc")
    with netCDF4.Dataset(path, "a") as file:
        file.createVariable("section", "f4", ("time", name))[:] = 1
    missing = "longitude" if name == "lat" else "latitude"
    with pytest.raises(RasterError, match=rf"/section has no {missing}s along its dimensions time, {name}; choose"):
        open_source(RasterSettings(path=path, variable="section"))


def test_a_variable_on_an_unstructured_grid_is_refused(tmp_path: Path) -> None:
    with netCDF4.Dataset(tmp_path / "icon.nc", "w") as file:
        file.createDimension("time", 2)
        file.createDimension("cell", 30)
        for name in ("clat", "clon"):
            file.createVariable(name, "f8", ("cell",))[:] = np.linspace(0, 1, 30)
            file[name].setncatts({"units": "radian", "standard_name": {"a": "latitude", "o": "longitude"}[name[2]]})
        file.createVariable("t_2m", "f4", ("time", "cell"))[:] = 1
    with pytest.raises(RasterError, match=r"/t_2m is not on a grid of rows and columns: its dimension cell lists"):
        open_source(RasterSettings(path=tmp_path / "icon.nc"))


def test_bounds_give_the_width_of_one_row(tmp_path: Path) -> None:
    path = Grid(lat=LAT[:1], attributes=({**NORTH, "bounds": "lat_bnds"}, EAST)).write(tmp_path / "grid.nc")
    with netCDF4.Dataset(path, "a") as file:
        file.createDimension("bnds", 2)
        file.createVariable("lat_bnds", "f8", ("lat", "bnds"))[:] = [[49, 51]]
    np.testing.assert_array_equal(values_at(path, LON, np.array([49.1, 50.9])), [np.arange(17)] * 2)
    assert inspect_raster(RasterSettings(path=path)).geometry.extent.height == 2


def test_numbers_of_cells_do_not_hide_the_transform(tmp_path: Path) -> None:
    """x and y without units that count the cells are not coordinates."""
    mapping = {**LAEA, "GeoTransform": "0 1000 0 5000 0 -1000"}
    grid = Grid(
        lat=np.arange(12.0), lon=np.arange(17.0), names=("y", "x"), attributes=({}, {}), mapping=mapping,
    )  # fmt: skip
    geometry = inspect_raster(RasterSettings(path=grid.write(tmp_path / "grid.nc"))).geometry
    assert abs(geometry.transform.a) == 1000


def write_variables(path: Path, variables: Mapping[str, Sequence[str]], *, bounds: bool = False) -> Path:
    with netCDF4.Dataset(path, "w") as file:
        for name, values, texts in (("lat", LAT, NORTH), ("lon", LON, EAST)):
            file.createDimension(name, values.size)
            file.createVariable(name, "f8", (name,))[:] = values
            file[name].setncatts({**texts, **({"bounds": f"{name}_edges"} if bounds else {})})
        file.createDimension("two", 2)
        file.createDimension("color", 256)
        for number, (name, dimensions) in enumerate(variables.items(), 1):
            file.createVariable(name, "f4", dimensions)[:] = number
    return path


CHOICES = {
    "/rain": 1,
    "rain": 1,
    "/product/no2": 2,
    "product/no2": 2,
    "no2": 2,
}


@pytest.mark.parametrize("variable", CHOICES)
def test_a_variable_is_chosen_by_name_or_path(tmp_path: Path, variable: str) -> None:
    path = write_variables(tmp_path / "grid.nc", {"rain": ("lat", "lon"), "product/no2": ("lat", "lon")})
    assert values_at(path, LON, LAT, variable=variable).max() == CHOICES[variable]


def test_messages_list_only_variables_that_can_be_drawn(tmp_path: Path) -> None:
    names = {"rain": ("lat", "lon"), "product/no2": ("lat", "lon"), "lat_edges": ("lat", "two")}
    names |= {"lon_edges": ("lon", "two"), "time_bnds": ("lat", "two")}
    path = write_variables(tmp_path / "grid.nc", names, bounds=True)
    with pytest.raises(RasterError, match=r"choose one with variable = NAME in \[raster\]: rain, no2$"):
        open_source(RasterSettings(path=path))
    with pytest.raises(RasterError, match=r"there is no variable 'snow' in the file; the variables are rain, no2$"):
        open_source(RasterSettings(path=path, variable="snow"))


def test_one_grid_and_its_bounds_need_no_choice(tmp_path: Path) -> None:
    names = {"rain": ("lat", "lon"), "lat_edges": ("lat", "two"), "lon_edges": ("lon", "two")}
    path = write_variables(tmp_path / "grid.nc", names, bounds=True)
    assert inspect_raster(RasterSettings(path=path)).description["variable"] == "rain"


def test_a_message_lists_not_more_than_50_variables(tmp_path: Path) -> None:
    path = write_variables(tmp_path / "grid.nc", {f"v{number}": ("lat", "lon") for number in range(60)})
    with pytest.raises(RasterError, match=r"v48, v49 and 10 more$"):
        open_source(RasterSettings(path=path))


def test_a_palette_is_not_offered_as_a_variable(tmp_path: Path) -> None:
    path = write_variables(tmp_path / "grid.nc", {"chlorophyll": ("lat", "lon"), "palette": ("two", "color")})
    assert inspect_raster(RasterSettings(path=path)).description["variable"] == "chlorophyll"
    assert inspect_raster(RasterSettings(path=path, variable="chlorophyll")).geometry.width == LON.size


def test_variables_with_one_name_are_chosen_by_path(tmp_path: Path) -> None:
    path = write_variables(tmp_path / "grid.nc", {"a/rain": ("lat", "lon"), "b/rain": ("lat", "lon")})
    with pytest.raises(RasterError, match=r"several variables have the name 'rain'; .* by its path: /a/rain, /b/rain"):
        open_source(RasterSettings(path=path, variable="rain"))
    with pytest.raises(RasterError, match=r"choose one with .*: /a/rain, /b/rain"):
        open_source(RasterSettings(path=path))
    assert values_at(path, LON, LAT, variable="/b/rain").max() == 2


def test_a_climatology_has_no_time(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = Grid(order="tyx").write(tmp_path / "grid.nc")
    with netCDF4.Dataset(path, "a") as file:
        file["time"].climatology = "climatology_bounds"
    with caplog.at_level(logging.WARNING):
        assert "time" not in inspect_raster(RasterSettings(path=path)).description
    assert "the time is unknown: the axis time has the units" in caplog.text
    assert "climatology" in caplog.text


@pytest.mark.parametrize("order", ["yx", "xy", "yxt"])
def test_valid_range_and_sign_apply_in_any_order(tmp_path: Path, order: str) -> None:
    """The cells are not read through GDAL if the order of the dimensions is unusual."""
    path = tmp_path / "grid.nc"
    with netCDF4.Dataset(path, "w") as file:
        for name, values, texts in (("lat", LAT, NORTH), ("lon", LON, EAST), ("time", np.arange(2.0), TIMES)):
            file.createDimension(name, values.size)
            file.createVariable(name, "f8", (name,))[:] = values
            file[name].setncatts(texts)
        names = [{"y": "lat", "x": "lon", "t": "time"}[letter] for letter in order]
        rain = file.createVariable("rain", "i1", names)
        rain.set_auto_maskandscale(False)
        limits = {"valid_max": np.int8(-6), "missing_value": np.int8(7)}
        rain.setncatts({"_Unsigned": "true", "scale_factor": 0.5, **limits})
        cells = np.broadcast_to(np.indices(rain.shape)[order.index("y")] * 20 + 7, rain.shape)
        rain[:] = cells.astype("u1").view("i1")
    values = (np.arange(12) * 20 + 7) * 0.5
    values[0] = np.nan
    np.testing.assert_array_equal(values_at(path, LON, LAT), np.broadcast_to(values[:, None], (12, 17)))


REAL = {
    "air_temperature_small.nc": ("lon", "lat", ["air"]),
    "aqm_pm25_conus_lcc.nc": ("x", "y", ["pm25"]),
    "coads_slp_wind_climatology.nc": ("COADSX", "COADSY", ["SLP", "UWND", "VWND"]),
    "gridmet_tmmx_20190121.nc": ("lon", "lat", ["air_temperature"]),
    "oisst_19811231_0to360.nc": ("lon", "lat", ["sst", "anom", "err", "ice"]),
}


@pytest.mark.parametrize(
    ("name", "variable"), [(name, variable) for name, (_, _, variables) in REAL.items() for variable in variables]
)
def test_real_files_have_their_cells_where_their_axes_say(shared_data_folder: Path, name: str, variable: str) -> None:
    """The cells are read with netCDF4, and compared with the cells that a map shows at the coordinates."""
    path = shared_data_folder / name
    with netCDF4.Dataset(path) as file:
        x, y = (file[axis][:].filled().astype(float) for axis in REAL[name][:2])
        last = np.ma.filled(file[variable][:].astype(float), np.nan).reshape(-1, y.size, x.size)[-1]
    bands = len(open_bands(RasterSettings(path=path, variable=variable)))
    found = values_at(path, x, y, variable=variable, band=bands)
    np.testing.assert_allclose(found, last, rtol=1e-5, atol=1e-5)
