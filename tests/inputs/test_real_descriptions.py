"""Real rasters are described as they were by rioxarray, except where rioxarray was wrong.

`descriptions.json` was written at commit 9ce55b3, the last one that used rioxarray.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyproj
import pytest

from regionplot.errors import RasterError
from regionplot.inputs.curvilinear import CurvilinearSource
from regionplot.inputs.describe import open_source
from regionplot.inputs.source import RasterInfo
from regionplot.settings.raster import RasterSettings

EXPECTED: dict[str, Any] = json.loads(Path(__file__).with_name("descriptions.json").read_text(encoding="utf-8"))

EARLIER_FIELDS = ("variable", "long_name", "units", "time")
WIND = {"time": "2021-08-26 12:00:00+00:00"}
SWELL = {"long_name": "Significant height of swell waves", "units": "m", "variable": "SWELL", **WIND}
SWELL_DIRECTION = {
    "long_name": "Direction of swell waves", "units": "Degree true", "variable": "SWDIR", **WIND,
}  # fmt: skip
WIND_DIRECTION = {
    "long_name": "Wind direction (from which blowing)", "units": "deg true", "variable": "WDIR", **WIND,
}  # fmt: skip
AIR = {"long_name": "Temperature", "units": "C", "variable": "T"}
CORRECTED = {
    "gfswave_20210826_atlantic.grib2||2": WIND_DIRECTION,
    "gfswave_20210826_atlantic.grib2||9": SWELL,
    "gfswave_20210826_atlantic.grib2||18": SWELL_DIRECTION,
    "gfswave_20210826_atlantic.grib2||19": SWELL_DIRECTION,
    "era5_levels_members_times.grib||80": {**AIR, "time": "2017-01-01 12:00:00+00:00"},
    "era5_levels_members_times.grib||159": {**AIR, "time": "2017-01-02 12:00:00+00:00"},
    "era5_levels_members_times.grib||160": {**AIR, "time": "2017-01-02 12:00:00+00:00"},
}
"""Bands of GRIB files, to which rioxarray gave the texts and the time of the first band."""
AMBIGUOUS = {
    "gfswave_20210826_atlantic.grib2||": "the file holds 19 messages; .* 5 HTSGW 1-SFC 2021-08-26 12:00, 6 PERPW",
    "era5_levels_members_times.grib||": r"holds 160 messages; .*: 1 to 10 Z 500-ISBL 2017-01-01 00:00, 11 to 20 T 500",
    "gfswave_20210826_atlantic.grib2||3[-] RESERVED(241) (Reserved for local use)": "3 bands have the name",
    "era5_levels_members_times.grib||850[hPa] ISBL (Isobaric surface)": "80 bands have the name .*: 21 to 30 Z 850",
}
"""Messages of GRIB files that the settings do not select. rioxarray took the first message."""


def settings(folder: Path, key: str) -> RasterSettings:
    name, variable, band = key.split("|")
    number = int(band) if band.isdigit() else band or None
    return RasterSettings(path=folder / name, variable=variable or None, band=number)


def facts(info: RasterInfo) -> dict[str, Any]:
    description = {key: str(text) for key, text in info.description.items() if key in EARLIER_FIELDS}
    return {
        "band": info.band,
        "shape": [info.geometry.height, info.geometry.width],
        "transform": list(info.geometry.transform[:6]),
        "dtype": str(info.dtype),
        "nodata": None if info.nodata is None else repr(info.nodata),
        "scale": info.scale,
        "offset": info.offset,
        "has_mask": info.has_mask,
        "description": description,
    }


@pytest.mark.parametrize(
    "key", [key for key, found in EXPECTED["rasters"].items() if "error" not in found and key not in AMBIGUOUS]
)
def test_a_real_raster_is_described_as_before(key: str, shared_data_folder: Path) -> None:
    expected = dict(EXPECTED["rasters"][key])
    crs, geolocation = EXPECTED["crs"][expected.pop("crs")], expected.pop("geolocation", None)
    expected["description"] = CORRECTED.get(key, expected["description"])
    source = open_source(settings(shared_data_folder, key))
    assert facts(source.describe()) == expected
    assert source.describe().geometry.crs == pyproj.CRS.from_wkt(crs)
    assert isinstance(source, CurvilinearSource) == (geolocation is not None)
    if isinstance(source, CurvilinearSource):
        found = source.geolocation
        names = [name.rpartition(":")[2] for name in (found.longitudes, found.latitudes)]
        assert [*names, found.band] == geolocation


def test_a_variable_must_still_be_chosen_if_a_file_has_several(shared_data_folder: Path) -> None:
    with pytest.raises(RasterError, match=r"choose one with variable = NAME in \[raster\]: sst, anom, err, ice"):
        open_source(settings(shared_data_folder, "oisst_19811231_0to360.nc||"))


@pytest.mark.parametrize("variable", ["SLP", "UWND", "VWND"])
def test_a_time_in_the_year_0_is_unknown(
    variable: str, shared_data_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """rioxarray refused this file."""
    info = open_source(settings(shared_data_folder, f"coads_slp_wind_climatology.nc|{variable}|3")).describe()
    assert (info.band, info.geometry.height, info.geometry.width) == (3, 90, 180)
    assert "time" not in info.description
    assert "the time is unknown: the axis TIME has the units 'hour since 0000-01-01 00:00:00'" in caplog.text


@pytest.mark.parametrize("key", AMBIGUOUS)
def test_a_message_of_a_grib_file_must_be_selected(key: str, shared_data_folder: Path) -> None:
    with pytest.raises(RasterError, match=AMBIGUOUS[key]):
        open_source(settings(shared_data_folder, key))


@pytest.mark.parametrize(
    ("name", "band", "number", "level"),
    [
        ("gfswave_20210826_atlantic.grib2", "HTSGW", 5, "Ground or water surface"),
        ("gfswave_20210826_atlantic.grib2", "wind speed", 1, "Ground or water surface"),
        ("gfswave_20210826_atlantic.grib2", "Mean period of wind waves [s]", 12, "Ground or water surface"),
        ("gfswave_20210826_atlantic.grib2", "SWELL 2-RESERVED(241)", 10, "2-RESERVED(241)"),
        ("hrrr_surface_temp.grib2", "TMP", 1, "Ground or water surface"),
        ("era5_levels_members_times.grib", 160, 160, "850 hPa"),
    ],
)
def test_a_message_has_several_names(
    name: str, band: int | str, number: int, level: str, shared_data_folder: Path
) -> None:
    info = open_source(RasterSettings(path=shared_data_folder / name, band=band)).describe()
    assert (info.band, info.description["level"]) == (number, level)


def test_a_forecast_has_a_reference_time_and_a_valid_time(shared_data_folder: Path) -> None:
    path = shared_data_folder / "hrrr_surface_temp.grib2"
    description = open_source(RasterSettings(path=path)).describe().description
    assert str(description["reference_time"]) == "2023-07-22 06:00:00+00:00"
    assert str(description["time"]) == "2023-07-22 07:00:00+00:00"
