"""A DataArray is drawn like the file that it was read from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rioxarray
import xarray as xr
from affine import Affine

from regionplot.errors import ConfigError, RasterError
from regionplot.geo.extent import Extent
from regionplot.geo.grid import Window
from regionplot.geo.region import Region
from regionplot.inputs.array import ArraySource
from regionplot.render.renderer import MapRenderer
from regionplot.runs.run import render_regions
from regionplot.settings.config import Config
from regionplot.shared.data import SharedData

VALUES = np.arange(20 * 30, dtype=np.int16).reshape(20, 30)
INSIDE = Region("inside", Extent(-95, -85, 35, 45))


@pytest.fixture
def path(write_raster: Callable[..., Path]) -> Path:
    return write_raster(VALUES, nodata=7, descriptions=("Snow depth",))


def test_a_data_array_gives_the_maps_of_its_file(path: Path, make_config: Callable[..., Config]) -> None:
    config = make_config(raster={"path": path}, map={"size": [300, 200]}, features=[])
    with rioxarray.open_rasterio(path) as data:
        assert isinstance(data, xr.DataArray)
        source = ArraySource.of(data.squeeze("band", drop=True))
    maps = [MapRenderer(shared).render(INSIDE) for shared in (
        SharedData.load(config), SharedData.load(config, [INSIDE], source=source)
    )]  # fmt: skip
    np.testing.assert_array_equal(maps[0].pixels, maps[1].pixels)


def test_a_run_draws_a_data_array(path: Path, make_config: Callable[..., Config]) -> None:
    config = make_config(raster={"path": path}, map={"size": [300, 200]}, features=[], run={"start_method": "fork"})
    with rioxarray.open_rasterio(path) as data:
        source = ArraySource.of(data.squeeze("band", drop=True) * 2)  # type: ignore[union-attr]
    shared = SharedData.load(config, [INSIDE], source=source)
    report = render_regions([INSIDE], shared)
    assert [outcome.failure for outcome in report.outcomes] == [None]
    assert report.exit_code == 0
    elsewhere = dataclasses.replace(shared, config=make_config(raster={"path": path}, run={"start_method": "dask"}))
    with pytest.raises(ConfigError, match="with 'dask', workers load the raster from its file, but array is an array"):
        render_regions([INSIDE], elsewhere)


def test_missing_cells_are_nan_and_axes_may_be_swapped(path: Path) -> None:
    with rioxarray.open_rasterio(path) as data:
        source = ArraySource.of(data.squeeze("band", drop=True).transpose("x", "y"))  # type: ignore[union-attr]
    expected = np.where(VALUES == 7, np.nan, VALUES)
    np.testing.assert_array_equal(source.read(Window(0, 0, 20, 30), (20, 30)), expected)
    np.testing.assert_array_equal(source.read(Window(2, 4, 10, 20), (5, 10)), expected[2:12:2, 4:24:2])
    assert source.values.dtype == np.int16


def array(values: Any, crs: str | None = "EPSG:4326") -> xr.DataArray:
    height, width = np.shape(values)[-2:]
    axes = {"y": 50.0 - np.arange(height), "x": -100.0 + np.arange(width)}
    data = xr.DataArray(values, axes, ("t", "y", "x")[-np.ndim(values) :], "snow")
    return data.rio.write_crs(crs) if crs else data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (array(np.zeros((2, 3, 4))), r"rows and columns, but its shape is \(2, 3, 4\)"),
        (array(np.zeros((1, 4))), "the size of the cells is unknown"),
        (
            array(np.zeros((3, 4))).assign_coords(x=[0.0, 1, np.nan, 3]),
            "x cannot be used: 1 of its 4 values are missing",
        ),
        (array(np.zeros((3, 4))).assign_coords(y=[0.0, 1, 1]), "y cannot be used: its values neither increase nor"),
        (array(np.zeros((3, 4)), crs=None), "the array has no CRS; set it with .rio.write_crs"),
    ],
    ids=["three dimensions", "one row", "missing coordinate", "repeated coordinate", "no CRS"],
)
def test_an_array_without_rows_columns_and_crs_is_refused(data: xr.DataArray, message: str) -> None:
    with pytest.raises(RasterError, match=f"snow: .*{message}"):
        ArraySource.of(data)


def test_the_transform_of_an_array_places_one_row() -> None:
    data = array(np.arange(4.0)[None]).rio.write_transform(Affine(1, 0, -100.5, 0, -3, 51.5))
    geometry = ArraySource.of(data).describe().geometry
    assert (geometry.transform[:6], geometry.height, geometry.width) == ((1, 0, -100.5, 0, -3, 51.5), 1, 4)


def test_coordinates_place_an_array_whose_transform_has_no_area() -> None:
    data = array(np.zeros((3, 4))).rio.write_transform(Affine(0, 0, 0, 0, 0, 0))
    assert ArraySource.of(data).describe().geometry.transform[:6] == (1, 0, -100.5, 0, -1, 50.5)


def test_uneven_coordinates_of_an_array_place_each_cell() -> None:
    """rioxarray computes a transform from the first and last coordinates only."""
    latitudes, longitudes = np.array([10.0, 20, 50, 60]), np.array([358.0, 359, 0, 1])
    data = array(np.arange(16.0).reshape(4, 4)).assign_coords(y=latitudes, x=longitudes)
    source = ArraySource.of(data)
    geometry = source.describe().geometry
    columns, rows = geometry.columns_and_rows(np.array([358.0, 359, 360, 361]), latitudes + np.array([0, 12, -12, 0]))
    assert geometry.width == 4
    np.testing.assert_array_equal(source.values[np.ix_(rows.astype(int), columns.astype(int))], data.values)


@pytest.mark.parametrize("dims", [("lat", "lon"), ("Latitude", "Longitude"), ("rlat", "rlon"), ("northing", "easting")])
@pytest.mark.parametrize("is_turned", [False, True])
def test_usual_names_of_dimensions_are_known(dims: tuple[str, str], is_turned: bool) -> None:
    coords = {dims[0]: [41.0, 40.0], dims[1]: [-99.0, -98.0, -97.0]}
    data = xr.DataArray([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], coords, dims).rio.write_crs("EPSG:4326")
    source = ArraySource.of(data.transpose(*dims[::-1]) if is_turned else data)
    np.testing.assert_array_equal(source.values, [[1, 2, 3], [4, 5, 6]])
    assert source.info.geometry.extent == Extent(-99.5, -96.5, 39.5, 41.5)


@pytest.mark.parametrize("data", [np.zeros((2, 2)), None, xr.Dataset({"a": ("x", [1])})])
def test_other_objects_than_data_arrays_are_refused(data: Any) -> None:
    with pytest.raises(RasterError, match=r"needs an xarray.DataArray, not (ndarray|NoneType|Dataset)"):
        ArraySource.of(data)


def test_dimensions_without_a_meaning_are_refused() -> None:
    data = xr.DataArray(np.zeros((2, 2)), dims=("a", "b")).rio.write_crs("EPSG:4326")
    with pytest.raises(RasterError, match="which of the dimensions a, b is y and which is x is not known; rename them"):
        ArraySource.of(data)


def test_the_fill_value_of_decoded_integers_is_ignored() -> None:
    data = xr.DataArray(np.eye(2, dtype=np.int16), {"y": [1.0, 0.0], "x": [0.0, 1.0]}, ("y", "x"))
    data = data.rio.write_crs("EPSG:4326")
    data.encoding["_FillValue"] = -9999
    assert ArraySource.of(data).info.nodata is None
