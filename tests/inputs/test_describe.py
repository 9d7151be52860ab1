"""A grid is described and read, or refused with an error that names the file."""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import psutil
import pytest
import rasterio
import rasterio.shutil
from affine import Affine
from numpy.typing import NDArray
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS

from regionplot.errors import ConfigError, RasterError
from regionplot.inputs.describe import inspect_raster, open_bands, open_source
from regionplot.inputs.reading import FileSource
from regionplot.inputs.source import read_window
from regionplot.settings.raster import RasterSettings
from regionplot.shared.data import SharedData

VALUES = np.arange(12, dtype=np.int16).reshape(3, 4)


def read(settings: RasterSettings) -> NDArray[Any]:
    source = open_source(settings)
    return read_window(source, source.describe().geometry.full_window)[0]


def load(path: Path, **settings: Any) -> NDArray[Any]:
    return read(RasterSettings(path=path, **settings))


def transform(path: Path) -> tuple[float, ...]:
    return tuple(inspect_raster(RasterSettings(path=path)).geometry.transform[:6])


def epsg(path: Path, **settings: Any) -> int | None:
    return inspect_raster(RasterSettings(path=path, **settings)).geometry.crs.to_epsg()


def described(path: Path, **settings: Any) -> Mapping[str, object]:
    return inspect_raster(RasterSettings(path=path, **settings)).description


def test_a_grid_is_read_and_its_file_closed(write_raster) -> None:
    path = write_raster(VALUES)
    values = load(path)
    np.testing.assert_array_equal(values, VALUES)
    assert values.flags.c_contiguous
    assert epsg(path) == 4326
    assert str(path) not in [file.path for file in psutil.Process().open_files()]


def test_nodata_scale_and_offset_are_applied_unless_mask_and_scale_is_off(write_raster) -> None:
    path = write_raster(VALUES, nodata=3, scales=(0.5,), offsets=(10,))
    expected = np.where(VALUES == 3, np.nan, VALUES * 0.5 + 10)
    np.testing.assert_allclose(load(path), expected)
    raw = load(path, mask_and_scale=False)
    assert raw.dtype == np.int16
    np.testing.assert_array_equal(raw, VALUES)


def test_a_band_is_chosen_by_number_or_description(write_raster) -> None:
    path = write_raster(np.stack([VALUES, VALUES * 2]), descriptions=("low", "high"))
    np.testing.assert_array_equal(load(path), VALUES)
    for band in (2, "high"):
        np.testing.assert_array_equal(load(path, band=band), VALUES * 2)
        assert described(path, band=band)["long_name"] == "high"
    with pytest.raises(RasterError, match="there is no band 3: the bands are 1 to 2"):
        load(path, band=3)
    with pytest.raises(RasterError, match="no band has the description 'mid'; the bands are low, high"):
        load(path, band="mid")


def test_a_grid_keeps_its_orientation(write_raster) -> None:
    for affine in (Affine(1, 0, -100, 0, 1, 50), Affine(1, 0.5, -100, 0.25, -1, 50)):
        path = write_raster(VALUES, affine)
        assert transform(path) == affine[:6]
        np.testing.assert_array_equal(load(path), VALUES)


def test_a_grid_without_a_crs_needs_one_in_the_config(write_raster) -> None:
    path = write_raster(VALUES, crs=None)
    with pytest.raises(RasterError, match=r'has no CRS; set crs = "EPSG:..." in \[raster\]'):
        load(path)
    assert epsg(path, crs="EPSG:5070") == 5070
    with pytest.raises(ConfigError, match="EPSG:0"):
        load(path, crs="EPSG:0")


@pytest.mark.parametrize("stated", ["EPSG:4326", "EPSG:3857", 'LOCAL_CS["site",UNIT["metre",1]]'])
def test_the_crs_of_the_settings_overrides_the_crs_of_the_file(
    write_raster, stated: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_raster(VALUES, crs=stated)
    assert epsg(path, crs="EPSG:5070") == 5070
    assert ("crs = 'EPSG:5070' is used" in caplog.text) == stated.startswith("EPSG")
    caplog.clear()
    if stated.startswith("EPSG"):
        assert epsg(path, crs=stated) == epsg(path)
        assert not caplog.text


@pytest.mark.parametrize("crs", ['LOCAL_CS["site",UNIT["metre",1]]', "EPSG:4978"])
def test_a_crs_of_the_settings_that_is_not_of_a_map_is_refused(write_raster, crs: str) -> None:
    with pytest.raises(RasterError, match=r"grid\.tif: the CRS .* cannot be drawn as a map"):
        load(write_raster(VALUES), crs=crs)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # the test writes such a file
def test_a_grid_without_a_transform_is_refused(write_raster) -> None:
    with pytest.raises(RasterError, match="the raster has no transform"):
        load(write_raster(VALUES, Affine(1, 0, 0, 0, 1, 0)))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")  # the test writes such a file
def test_a_raster_with_control_points_is_refused_with_the_command_that_warps_it(write_raster) -> None:
    path = write_raster(VALUES, Affine.identity(), crs=None)
    corners = ((0, 0, -100, 50), (0, 4, -96, 50.5), (3, 0, -100.5, 47))
    with rasterio.open(path, "r+") as file:
        file.gcps = [GroundControlPoint(*corner) for corner in corners], CRS.from_epsg(4326)
    with pytest.raises(RasterError, match=r"has control points.*: gdalwarp -r near grid.tif warped.tif"):
        load(path)


@pytest.mark.parametrize("affine", [Affine(1, 1, 5, 1, 1, 5), Affine(np.nan, 0, 5, 0, -1, 5)])
def test_a_transform_that_gives_cells_no_area_is_refused(write_raster, affine: Affine) -> None:
    path = write_raster(VALUES, affine)
    with pytest.raises(RasterError, match=r"(no area|not finite); set the bounds"):
        load(path)


@pytest.mark.parametrize("shape", [(1, 4), (3, 1), (1, 1)])
def test_the_transform_places_one_row_or_one_column(write_raster, shape: tuple[int, int]) -> None:
    values = VALUES[: shape[0], : shape[1]]
    path = write_raster(values)
    np.testing.assert_array_equal(load(path), values)
    assert transform(path) == (1, 0, -100, 0, -1, 50)


def test_name_and_time_come_from_the_metadata_of_the_file(write_raster) -> None:
    path = write_raster(VALUES, descriptions=("Snow depth",), tags={"TIFFTAG_DATETIME": "2025:02:06 01:00:00"})
    description = described(path)
    assert description["raster"] == "grid"
    assert description["long_name"] == "Snow depth"
    assert description["time"] == datetime(2025, 2, 6, 1, tzinfo=UTC)
    assert "time" not in described(write_raster(VALUES, name="timeless.tif"))


CONTENTS = {
    "empty": (b"", "the file is empty"),
    "VRT": (b"<VRTDataset rasterXSize='1' rasterYSize='1'>", "an XML file"),
    "VRT after a BOM": (b"\xef\xbb\xbf\n <VRTDataset>", "an XML file"),
    "garbage": (os.urandom(500).replace(b"<", b" "), "cannot be read as a raster"),
    "text": (b"name,west,east\n", "cannot be read as a raster"),
}


@pytest.mark.parametrize(("content", "message"), CONTENTS.values(), ids=CONTENTS)
@pytest.mark.parametrize("use", [read, inspect_raster])
def test_a_file_that_is_not_a_raster_is_refused(tmp_path: Path, content: bytes, message: str, use: Any) -> None:
    path = tmp_path / "grid.tif"
    path.write_bytes(content)
    with pytest.raises(RasterError, match=message) as caught:
        use(RasterSettings(path=path))
    assert str(caught.value).startswith(str(path))
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("part", [0.02, 0.5, 0.98])
def test_a_truncated_raster_is_refused_when_read(write_raster, part: float) -> None:
    """It can be opened, because its header is complete."""
    noise = np.random.default_rng(0).integers(0, 1000, (200, 300)).astype(np.int16)
    path = write_raster(noise, compress="deflate")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * part)])
    with pytest.raises(RasterError, match="cannot be read as a raster") as caught:
        load(path)
    assert str(path) in str(caught.value)


def test_a_damaged_byte_in_a_compressed_raster_is_found(write_raster) -> None:
    """The byte makes the stream invalid. GDAL does not check the checksums of valid streams."""
    noise = np.random.default_rng(0).integers(0, 1000, (200, 300)).astype(np.int16)
    path = write_raster(noise, compress="deflate")
    content = bytearray(path.read_bytes())
    content[len(content) * 2 // 5] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(RasterError, match="cannot be read as a raster"):
        load(path)


@pytest.mark.parametrize(
    ("name", "settings", "shape", "expected"),
    [
        ("ndfd_temp_conus_lcc.tif", {}, (1377, 2145), {"time": datetime(2025, 2, 6, 1, tzinfo=UTC)}),
        ("gridmet_tmmx_20190121.nc", {}, (585, 1386), {"units": "K"}),
        ("air_temperature_small.nc", {"band": 20}, (25, 53), {"units": "degK"}),
        ("aqm_pm25_conus_lcc.nc", {}, (1025, 1473), {"time": datetime(2024, 5, 16, 13, tzinfo=UTC)}),
        ("hrrr_surface_temp.grib2", {}, (1059, 1799), {"time": datetime(2023, 7, 22, 7, tzinfo=UTC), "units": "C"}),
        (
            "oisst_19811231_0to360.nc",
            {"variable": "sst"},
            (90, 180),
            {"time": datetime(1981, 12, 31, tzinfo=UTC), "units": "degree_C"},
        ),
        ("RGB.byte.tif", {"band": 3}, (718, 791), {}),
        ("nsidc_seaice_20201024_south.tif", {}, (332, 316), {}),
    ],
)
def test_real_grids_are_loaded_and_described(
    shared_data_folder: Path, name: str, settings: dict[str, Any], shape: tuple[int, int], expected: dict[str, object]
) -> None:
    grid = load(shared_data_folder / name, **settings)
    assert grid.shape == shape
    assert np.isfinite(grid).any()
    assert expected.items() <= described(shared_data_folder / name, **settings).items()


def test_a_variable_must_be_chosen_if_a_file_has_several(tmp_path: Path) -> None:
    pytest.importorskip("scipy", reason="writes the NetCDF file")
    import xarray as xr

    path, axes = tmp_path / "two.nc", {"lat": ("lat", [3.0, 2, 1]), "lon": ("lon", [10.0, 11, 12, 13])}
    axes["lat"] += ({"units": "degrees_north"},)
    axes["lon"] += ({"units": "degrees_east"},)
    fields = {name: (("lat", "lon"), VALUES.astype("f4") * factor) for name, factor in (("snow", 1), ("rain", 2))}
    xr.Dataset(fields, axes).to_netcdf(path, format="NETCDF3_CLASSIC", engine="scipy")
    with pytest.raises(RasterError, match=r"choose one with variable = NAME in \[raster\]: snow, rain"):
        load(path)
    with pytest.raises(RasterError, match="hail"):
        load(path, variable="hail")
    np.testing.assert_array_equal(load(path, variable="rain"), VALUES * 2)
    assert epsg(path, variable="rain") == 4326


@pytest.mark.parametrize("variables", [1, 2])
def test_bands_over_time_and_level_are_counted_by_level_first(tmp_path: Path, variables: int) -> None:
    pytest.importorskip("scipy", reason="writes the NetCDF file")
    import xarray as xr

    path, axes = tmp_path / "deep.nc", {"lat": ("lat", [3.0, 2, 1], {"units": "degrees_north"})}
    axes |= {"lon": ("lon", [10.0, 11, 12, 13], {"units": "degrees_east"}), "level": ("level", [1000.0, 850, 500])}
    axes["time"] = ("time", [0, 6], {"units": "hours since 2026-03-10"})
    stored = np.arange(72, dtype="i2").reshape(2, 3, 3, 4)
    stored[1, 2, 0, 0] = -1
    packed = {"units": "K", "scale_factor": 0.5, "add_offset": 200.0, "_FillValue": np.int16(-1)}
    fields = {f"t{n}": (("time", "level", "lat", "lon"), stored, packed) for n in range(variables)}
    fields |= {"surface": (("lat", "lon"), np.ones((3, 4)))} if variables > 1 else {}
    xr.Dataset(fields, axes).to_netcdf(path, format="NETCDF3_CLASSIC", engine="scipy")
    settings = {"band": 6, "variable": "t0"}
    expected = np.where(stored[1, 2] == -1, np.nan, stored[1, 2] * 0.5 + 200)
    np.testing.assert_array_equal(load(path, **settings), expected)
    text = described(path, **settings)
    assert (text["variable"], text["units"], text["time"]) == ("t0", "K", datetime(2026, 3, 10, 6, tzinfo=UTC))
    with pytest.raises(RasterError, match="there is no band 7: the bands are 1 to 6"):
        load(path, band=7, variable="t0")
    with pytest.raises(RasterError, match="t1" if variables > 1 else "no variable 'none'"):
        load(path, **({} if variables > 1 else {"variable": "none"}))


def test_a_variable_that_the_file_lacks_is_refused(write_raster) -> None:
    with pytest.raises(
        RasterError, match="there is no variable 'tmp' in the file, which has bands only; choose a band"
    ):
        load(write_raster(VALUES), variable="tmp")


def test_a_band_that_is_named_as_a_variable_is_refused_with_the_cure(write_raster) -> None:
    path = write_raster(np.stack([VALUES] * 2), descriptions=("snow", "rain"))
    with pytest.raises(RasterError, match=r'the file has bands, but no variables; write band = "Rain" in \[raster\]'):
        load(path, variable="Rain")


@pytest.mark.parametrize("nodata", [-9999.0, 1e20, 0.5])
def test_a_nodata_value_that_cells_cannot_have_is_ignored(write_raster, nodata: float) -> None:
    info = inspect_raster(RasterSettings(path=write_raster(VALUES.astype(np.uint8))))
    values, _ = read_window(FileSource(dataclasses.replace(info, nodata=nodata)), info.geometry.full_window)
    np.testing.assert_array_equal(values, VALUES)


def test_each_band_has_its_own_scale_offset_and_nodata(write_raster) -> None:
    path = write_raster(np.stack([VALUES, VALUES]), scales=(0.1, 1.0), offsets=(5.0, 0.0))
    np.testing.assert_allclose(load(path, band=1), VALUES * 0.1 + 5, rtol=1e-6)
    np.testing.assert_array_equal(load(path, band=2), VALUES)
    sources = open_bands(RasterSettings(path=path))
    assert [(info.scale, info.offset) for info in (source.describe() for source in sources)] == [(0.1, 5), (1, 0)]


def test_each_band_has_its_own_units_and_tags(write_raster) -> None:
    path = write_raster(np.stack([VALUES, VALUES]), descriptions=("snow depth", "water depth"))
    with rasterio.open(path, "r+") as file:
        file.units = ("cm", "mm")
        file.update_tags(1, VALID_TIME="2026-01-01 00:00:00")
        file.update_tags(2, VALID_TIME="2026-01-02 00:00:00")
    found = [source.describe().description for source in open_bands(RasterSettings(path=path))]
    assert [text["units"] for text in found] == ["cm", "mm"]
    assert [text["long_name"] for text in found] == ["snow depth", "water depth"]
    assert [text["time"] for text in found] == [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2)]


def test_a_band_that_differs_in_scale_from_others_is_drawn_in_its_units(write_raster, make_config) -> None:
    """The cells that maps are drawn from are values, not stored numbers."""
    path = write_raster(np.stack([VALUES, VALUES]), scales=(0.1, 1.0), offsets=(0.0, 0.0))
    np.testing.assert_allclose(SharedData.load(make_config(raster={"path": path})).cells, VALUES * 0.1, rtol=1e-6)


TIMES = {
    "hours": ("hours since 2026-03-10", "standard", 6.0, datetime(2026, 3, 10, 6, tzinfo=UTC)),
    "fraction of a day": ("days since 2026-03-10 12:00", "gregorian", 0.25, datetime(2026, 3, 10, 18, tzinfo=UTC)),
    "no leap years": ("days since 2024-02-28", "noleap", 1.0, datetime(2024, 3, 1, tzinfo=UTC)),
    "a day that no other calendar has": ("days since 2024-02-28", "360_day", 2.0, None),
    "months": ("months since 2026-01-01", "standard", 2.0, None),
    "year 0": ("hours since 0000-01-01", "standard", 6.0, None),
    "unknown calendar": ("days since 2026-01-01", "lunar", 1.0, None),
}


@pytest.mark.parametrize(("units", "calendar", "value", "expected"), TIMES.values(), ids=TIMES)
def test_the_time_of_a_band_follows_from_its_axis(
    tmp_path: Path, units: str, calendar: str, value: float, expected: datetime | None
) -> None:
    path = write_times(tmp_path / "grid.nc", [value - 1, value], {"units": units, "calendar": calendar})
    assert described(path, band=2).get("time") == expected


@pytest.mark.parametrize("name", ["months", "year 0", "unknown calendar"])
def test_a_time_that_cannot_be_decoded_is_unknown_with_a_warning(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    units, calendar, value, _ = TIMES[name]
    path = write_times(tmp_path / "grid.nc", [value - 1, value], {"units": units, "calendar": calendar})
    np.testing.assert_array_equal(load(path, band=2), VALUES)
    assert f"{path}: the time is unknown: the axis time has the units {units!r}: " in caplog.text


def test_a_geotiff_converted_from_netcdf_keeps_its_times(tmp_path: Path) -> None:
    """`gdal_translate` copies the tags of bands. The output of a block function has only the tags of the file."""
    source = write_times(tmp_path / "grid.nc", [0.0, 6.0], {"units": "hours since 2026-03-10"})
    rasterio.shutil.copy(source, tmp_path / "all.tif", driver="GTiff")
    with rasterio.open(source) as dataset:
        tags, profile = dataset.tags(), dataset.profile | {"driver": "GTiff"}
    with rasterio.open(tmp_path / "file.tif", "w", **profile) as dataset:
        dataset.update_tags(**tags)
    for name in ("all.tif", "file.tif"):
        found = described(tmp_path / name, band=2, crs="EPSG:4326")
        assert found["time"] == datetime(2026, 3, 10, 6, tzinfo=UTC)


def write_times(path: Path, times: list[float], attributes: dict[str, str]) -> Path:
    """Write a NetCDF file with a band for each time."""
    from scipy.io import netcdf_file

    axes = {"time": (times, attributes), "lat": ([3.0, 2, 1], {"units": "degrees_north"})}
    axes["lon"] = ([10.0, 11, 12, 13], {"units": "degrees_east"})
    with netcdf_file(path, "w") as file:
        for name, (values, texts) in axes.items():
            file.createDimension(name, len(values))
            axis = file.createVariable(name, "d", (name,))
            axis[:] = values
            for key, text in texts.items():
                setattr(axis, key, text)
        file.createVariable("snow", "f4", tuple(axes))[:] = np.stack([VALUES] * len(times)).astype("f4")
    return path


def test_pages_of_a_geotiff_are_chosen_by_number(write_raster, tmp_path: Path) -> None:
    pages = [write_raster(VALUES * factor, name=f"{factor}.tif") for factor in (1, 2)]
    path = tmp_path / "pages.tif"
    rasterio.shutil.copy(pages[0], path, driver="GTiff")
    rasterio.shutil.copy(pages[1], path, driver="GTiff", APPEND_SUBDATASET="YES")
    with pytest.raises(RasterError, match=r"choose one with variable = NAME in \[raster\]: 1, 2"):
        load(path)
    np.testing.assert_array_equal(load(path, variable="2"), VALUES * 2)


PLUGIN = """
from dataclasses import dataclass
from pathlib import Path
import numpy as np
from regionplot.inputs.array import ArraySource
import rioxarray, xarray

def make(path):
    cells = np.array(path.read_text().split(), float).reshape(2, 2)
    data = xarray.DataArray(cells, {"y": [41.0, 40.0], "x": [-99.0, -98.0]}, ("y", "x"), "cells")
    return ArraySource.of(data.rio.write_crs("EPSG:4326"))

class NumbersSource:
    @classmethod
    def open(cls, settings):
        return make(settings.path)
"""


def test_another_package_can_add_a_raster_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "numbers_source.py").write_text(PLUGIN)
    folder = tmp_path / "numbers_source-1.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: numbers-source\nVersion: 1\n")
    (folder / "entry_points.txt").write_text("[regionplot.sources]\nnumbers = numbers_source:NumbersSource\n")
    monkeypatch.syspath_prepend(tmp_path)
    path = tmp_path / "cells.numbers"
    path.write_text("1 2 3 4")
    np.testing.assert_array_equal(load(path), [[1, 2], [3, 4]])
    with pytest.raises(RasterError, match="its format is not one of GeoTIFF"):
        load(path.rename(tmp_path / "cells.words"))


@pytest.mark.parametrize(
    "affine",
    [
        Affine(1e300, 0, -100, 0, -1e300, 50),
        Affine(1e-300, 0, -100, 0, -1e-300, 50),
        Affine(1, 0, 1e300, 0, -1, 50),
        Affine(1, 0, -100, 0, -1, -1e13),
        Affine(1e-14, 0, -100, 0, -1, 50),
        Affine(math.nan, 0, -100, 0, -1, 50),
        Affine(1, 0, math.inf, 0, -1, 50),
        Affine(0, 0, -100, 0, -1, 50),
        Affine(1, 0, -100, 0, 0, 50),
    ],
)
def test_a_transform_with_impossible_coordinates_is_refused(affine, write_raster):
    """With the first transform, the command would never end."""
    path = write_raster(np.zeros((6, 8), np.float32), affine=affine)
    with pytest.raises(RasterError, match=r"transform|CRS"):
        inspect_raster(RasterSettings(path=path))


@pytest.mark.parametrize(
    ("axis", "attributes", "level"),
    [
        ("lev", {"units": "hPa"}, "850 hPa"),
        ("plev", {"units": "Pa", "standard_name": "air_pressure"}, "850 Pa"),
        ("k", {"units": "m", "positive": "down"}, "850 m"),
        ("k", {"axis": "Z"}, "850"),
        ("member", {"units": "1"}, None),
    ],
)
def test_the_level_of_a_band_follows_from_its_axis(
    axis: str, attributes: dict[str, str], level: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "levels.nc"
    north, east = {"units": "degrees_north"}, {"units": "degrees_east"}
    with netCDF4.Dataset(path, "w") as file:
        axes = ((axis, [500.0, 850.0], attributes), ("lat", [41.0, 40], north), ("lon", [5.0, 6, 7], east))
        for name, values, texts in axes:
            file.createDimension(name, len(values))
            variable = file.createVariable(name, "f8", (name,))
            variable.setncatts(texts)
            variable[:] = values
        file.createVariable("v", "f4", (axis, "lat", "lon"))[:] = np.zeros((2, 2, 3))
    description = open_source(RasterSettings(path=path, variable="v", band=2)).describe().description
    assert description.get("level") == level
