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
    spawning = dataclasses.replace(shared, config=make_config(raster={"path": path}, run={"start_method": "spawn"}))
    with pytest.raises(ConfigError, match="with 'spawn', workers load the raster from its file, but array is an array"):
        render_regions([INSIDE], spawning)


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
        (array(np.zeros((1, 4))), r"its shape is \(1, 4\)"),
        (array(np.zeros((3, 4)), crs=None), "the array has no CRS; set it with .rio.write_crs"),
    ],
    ids=["three dimensions", "one row", "no CRS"],
)
def test_an_array_without_rows_columns_and_crs_is_refused(data: xr.DataArray, message: str) -> None:
    with pytest.raises(RasterError, match=f"snow: .*{message}"):
        ArraySource.of(data)
