"""Steps and blocks keep the units, names, levels and times of each band."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import rasterio
import rasterio.shutil
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from regionplot.blocks.masks import compute_mask
from regionplot.blocks.process import process_blocks
from regionplot.errors import ConfigError
from regionplot.inputs.describe import open_source
from regionplot.prepare.inputs import Bands, Input
from regionplot.prepare.run import prepare_raster
from regionplot.prepare.steps.accumulate import Accumulate
from regionplot.prepare.steps.convert import Convert
from regionplot.prepare.steps.expression import Expression
from regionplot.prepare.steps.scale import Scale
from regionplot.settings.raster import RasterSettings

CELLS = np.stack([np.full((6, 6), 273.15), np.full((6, 6), 50.0), np.full((6, 6), 20.0)]).astype(np.float32)
UNITS = ("K", "degF", "degC")


@pytest.fixture
def bands(write_raster: Callable[..., Path]) -> Path:
    """Write three bands whose labels differ."""
    path = write_raster(CELLS, descriptions=("Skin", "Air", "Dew"))
    with rasterio.open(path, "r+") as file:
        file.units = UNITS
        for number, level in enumerate(("surface", "2 m", "10 m"), 1):
            file.update_tags(number, VALID_TIME=f"2026-01-0{number} 06:00:00", LEVEL=level, GRIB_ELEMENT=f"T{number}")
            file.update_tags(number, REF_TIME="2026-01-01 00:00:00")
    return path


def prepared(path: Path, folder: Path, *steps: Any, **options: Any) -> Path:
    output = folder / "out.tif"
    prepare_raster([path], output, steps, executor="serial", **options)
    return output


def description(path: Path, band: int) -> dict[str, object]:
    return dict(open_source(RasterSettings(path=path, band=band)).describe().description)


def test_each_band_keeps_its_labels(bands: Path, tmp_path: Path) -> None:
    output = prepared(bands, tmp_path, Scale(2.0))
    for number in (1, 2, 3):
        assert {**description(output, number), "raster": ""} == {**description(bands, number), "raster": ""}
    assert description(output, 2) == {
        "raster": "out", "variable": "T2", "long_name": "Air", "units": "degF", "level": "2 m",
        "time": datetime(2026, 1, 2, 6, tzinfo=UTC), "reference_time": datetime(2026, 1, 1, tzinfo=UTC), "lead": 30,
    }  # fmt: skip


def test_each_band_is_converted_from_its_own_units(
    bands: Path, tmp_path: Path, read_raster: Callable[[Path], NDArray[Any]]
) -> None:
    output = prepared(bands, tmp_path, Convert("degC"))
    np.testing.assert_allclose(read_raster(output).mean(axis=(1, 2)), [0, 10, 20], atol=1e-4)
    assert [description(output, number)["units"] for number in (1, 2, 3)] == ["degC"] * 3
    assert [description(output, number)["long_name"] for number in (1, 2, 3)] == ["Skin", "Air", "Dew"]


def test_the_selected_band_is_converted_from_its_own_units(bands: Path, tmp_path: Path) -> None:
    source = Input("raster", RasterSettings(path=bands, band="Air"))
    prepare_raster([source], tmp_path / "air.tif", [Convert("degC")], bands=Bands.SELECTED, executor="serial")
    with rasterio.open(tmp_path / "air.tif") as file:
        assert file.read(1).mean() == pytest.approx(10, abs=1e-4)
    assert description(tmp_path / "air.tif", 1)["time"] == datetime(2026, 1, 2, 6, tzinfo=UTC)


def test_a_formula_has_the_labels_of_its_first_band(bands: Path, tmp_path: Path) -> None:
    found = description(prepared(bands, tmp_path, Expression("b3 * 2")), 1)
    assert (found["long_name"], found["level"]) == ("Dew", "10 m")
    assert found["time"] == datetime(2026, 1, 3, 6, tzinfo=UTC)


def test_accumulated_bands_have_the_latest_time_and_must_have_the_same_units(bands: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="the bands are in different units: 'K', 'degC', 'degF'"):
        prepared(bands, tmp_path, Accumulate("sum"))
    found = description(prepared(bands, tmp_path, Convert("degC"), Accumulate("mean")), 1)
    assert found["time"] == datetime(2026, 1, 3, 6, tzinfo=UTC)


def test_blocks_keep_the_labels_of_each_band(bands: Path, tmp_path: Path) -> None:
    process_blocks(_unchanged, bands, tmp_path / "out.tif", executor="serial")
    for number in (1, 2, 3):
        assert {**description(tmp_path / "out.tif", number), "raster": "grid"} == description(bands, number)


@pytest.fixture
def own_nodata(tmp_path: Path, write_raster: Callable[..., Path]) -> Path:
    """Write an Erdas Imagine file with two bands. 0 is missing in the first band, and 7 in the second."""
    path = write_raster(np.stack([np.arange(36).reshape(6, 6)] * 2).astype(np.uint8), name="bands.tif")
    with MemoryFile(ext=".vrt") as memory:
        rasterio.shutil.copy(path, memory.name, driver="VRT")
        text = memory.read().decode()
        for band, nodata in (("1", 0), ("2", 7)):
            start = re.search(f'<VRTRasterBand [^>]*band="{band}"[^>]*>', text)
            assert start is not None
            text = text.replace(start[0], f"{start[0]}<NoDataValue>{nodata}</NoDataValue>")
    (tmp_path / "bands.vrt").write_text(text)
    rasterio.shutil.copy(tmp_path / "bands.vrt", tmp_path / "bands.img", driver="HFA")
    return tmp_path / "bands.img"


def test_each_band_has_its_nodata_value(own_nodata: Path, tmp_path: Path) -> None:
    output = prepared(own_nodata, tmp_path, Scale(1.0))
    mask = compute_mask(own_nodata, logic=_two_bands, executor="serial")
    process_blocks(_unchanged, own_nodata, tmp_path / "second.tif", bands=[2], executor="serial")
    for band, missing in ((1, 0), (2, 7)):
        source = open_source(RasterSettings(path=own_nodata, band=band))
        drawn = source.read(source.describe().geometry.full_window, (6, 6), "nearest").ravel()
        with rasterio.open(output) as file:
            stepped = file.read(band).ravel()
        for values in (drawn, stepped):
            assert np.flatnonzero(np.isnan(values)).tolist() == [missing]
    assert np.flatnonzero(mask == 0).tolist() == [0, 7]
    with rasterio.open(tmp_path / "second.tif") as file:
        assert file.nodata == 7


def _two_bands(missing: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return missing[0] | missing[1]


def _unchanged(arrays: list[NDArray[Any]], _block: object, _arguments: object) -> NDArray[Any]:
    return arrays[0]


LATITUDES = {"even": [40.0, 41, 42, 43], "uneven": [40.0, 40.5, 42, 45], "north first": [43.0, 42, 41, 40]}


@pytest.mark.parametrize("latitudes", LATITUDES.values(), ids=list(LATITUDES))
@pytest.mark.parametrize("order", [("lat", "lon"), ("lon", "lat")], ids=str)
@pytest.mark.parametrize("dtype", ["f4", "i1"])
def test_a_step_reads_the_cells_that_a_map_shows(
    latitudes: list[float], order: tuple[str, str], dtype: str, tmp_path: Path
) -> None:
    path = tmp_path / "grid.nc"
    with netCDF4.Dataset(path, "w") as file:
        for name, values, units in (("lat", latitudes, "degrees_north"), ("lon", [5.0, 6, 7], "degrees_east")):
            file.createDimension(name, len(values))
            axis = file.createVariable(name, "f8", (name,))
            axis.units, axis[:] = units, values
        cells = file.createVariable("v", dtype, order)
        cells.set_auto_maskandscale(False)
        if dtype == "i1":
            cells.setncattr("_Unsigned", "true")
        numbers = np.array([[1, 2, 3], [40, 50, 60], [70, 80, 90], [-1, -2, -3]])
        cells[:] = numbers if order[0] == "lat" else numbers.T
    source = open_source(RasterSettings(path=path))
    geometry = source.describe().geometry
    drawn = source.read(geometry.full_window, (geometry.height, geometry.width), "nearest")
    assert set(np.unique(drawn)) == {cell % 256 if dtype == "i1" else cell for cell in numbers.ravel().tolist()}
    output = prepared(path, tmp_path, Scale(2.0))
    with rasterio.open(output) as file:
        np.testing.assert_array_equal(file.read(1), drawn * 2)
        assert file.transform.almost_equals(geometry.transform)
