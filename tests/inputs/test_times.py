"""Times are shown in UTC, whatever offset a file gives, and times that cannot be decoded are reported."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import rasterio
import xarray as xr

from regionplot.inputs import selection
from regionplot.inputs.describe import inspect_raster, raster_times
from regionplot.inputs.metadata import band_time
from regionplot.inputs.times import decode_time, parse_time
from regionplot.settings.raster import RasterSettings

MIDNIGHT = datetime(2024, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2024-02-29T09:00:00+09:00",
        "2024-02-28T19:00:00.000-05:00",
        "2024-02-29T00:00:00Z",
        "2024-02-29 00:00:00",
        "2024-02-29 00:00 UTC",
        "2024-02-29T00:00:00.123456789Z",
        "2024-02-28T23:59:59.999999",
        "2024-02-29 05:30:00 +0530",
        "2024-02-28 18:00 -6:00",
        "2024-02-28T19:00-05",
        "2024:02:29 00:00:00",
        "2024:02:29 09:00:00+09:00",
        "20240229T000000Z",
        "2024-02-29",
        " 20240229 ",
    ],
)
def test_a_time_is_converted_to_utc(text: str) -> None:
    assert parse_time(text) == MIDNIGHT


@pytest.mark.parametrize("text", ["", "noon", "2024-02-30", "2024-02-29 09:00 EST", "9999-12-31T23:59:59.9999", "12"])
def test_a_text_that_is_not_a_time_gives_none(text: str) -> None:
    assert parse_time(text) is None


@pytest.mark.parametrize("times", [1, 3])
def test_times_of_wrf_output_count_from_the_start_of_the_run(tmp_path: Path, times: int) -> None:
    """The time axis has no coordinates of its own. GDAL reads them from XTIME, but not their units."""
    latitudes, longitudes = np.mgrid[40:42:20j, -100:-98:30j]
    path, grid = tmp_path / "wrfout.nc", ("south_north", "west_east")
    variables = {
        "XLAT": (grid, latitudes, {"units": "degree_north"}),
        "XLONG": (grid, longitudes, {"units": "degree_east"}),
        "XTIME": ("Time", 180.0 + 90 * np.arange(times), {"description": "minutes since simulation start"}),
        "T2": (("Time", *grid), np.zeros((times, 20, 30), "f4"), {"coordinates": "XLONG XLAT XTIME"}),
    }
    starts = {"SIMULATION_START_DATE": "2024-02-28_21:00:00", "START_DATE": "2024-02-28_23:00:00"}
    xr.Dataset(variables, attrs=starts).to_netcdf(path)
    found = [inspect_raster(RasterSettings(path=path, band=band)).description for band in range(1, times + 1)]
    assert [each["time"] - MIDNIGHT for each in found] == [timedelta(minutes=90 * step) for step in range(times)]
    assert [each["lead"] for each in found] == [3, 4.5, 6][:times]


@pytest.mark.parametrize("tag", ["VALID_TIME", "TIFFTAG_DATETIME", "REF_TIME"])
def test_the_offset_in_a_tag_is_used(write_raster: Callable[..., Path], tag: str) -> None:
    path = write_raster(np.zeros((2, 3), np.float32), tags={tag: "2024-02-29T09:00:00+09:00"})
    assert inspect_raster(RasterSettings(path=path)).description["time"] == MIDNIGHT


@pytest.mark.parametrize(
    ("value", "units"),
    [
        ("9", "hours since 2024-02-29 00:00:00 +9:00"),
        ("9", "hours since 2024-02-29T00:00:00+09:00"),
        ("-360", "minutes since 2024-02-29 00:00:0.0 -6:00"),
        ("0", "seconds since 2024-02-29 00:00:00 UTC"),
        ("0", "Seconds Since 2024-02-29T00:00:00Z"),
        ("1", "days since 2024-02-28"),
        ("1709164800000000000", "nanoseconds since 1970-01-01"),
        ("0.9999999999", "days since 2024-02-28"),
    ],
)
def test_the_offset_in_units_is_used(value: str, units: str) -> None:
    assert decode_time(value, units, "standard") == MIDNIGHT


@pytest.mark.parametrize(
    ("value", "units", "calendar", "reason"),
    [
        ("1", "months since 2000-01-01", "standard", "'months since' units only allowed for '360_day' calendar"),
        ("1", "days since 0000-01-01", "standard", "zero not allowed as a reference year"),
        ("1", "days since 0000-01-01", "proleptic_gregorian", "0000-01-02 00:00:00 does not exist in the Gregorian"),
        ("1", "days since 2000-01-01", "360", "calendar must be one of"),
        ("59", "days since 2000-01-01", "360_day", "2000-02-30 00:00:00 does not exist in the Gregorian calendar"),
        ("1", "day as %Y%m%d.%f", "standard", "they state no start time"),
        ("1", "months", "standard", "they state no start time"),
        ("1", "hours since 2000-01-01 00:00:00 JST", "standard", "JST is not a known time zone"),
        ("1", "hours since", "standard", "they state no start time"),
        ("nan", "days since 2000-01-01", "standard", "the time is missing"),
        ("9.969209968386869e36", "days since 2000-01-01", "standard", "time values outside range"),
        ("x", "days since 2000-01-01", "standard", "could not convert string to float"),
    ],
)
def test_the_reason_is_given_if_a_time_cannot_be_decoded(value: str, units: str, calendar: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode_time(value, units, calendar)


def test_a_calendar_may_be_empty() -> None:
    assert decode_time("0", " days since 2024-02-29 ", "") == MIDNIGHT


def test_the_times_of_a_file_are_read_once_while_it_does_not_change(
    write_raster: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each field of a file looks for its time. If all tags were read again, the time would grow with the square."""
    tags = [f"2024-02-29T{hour:02}:00:00" for hour in range(3)]
    path = with_band_times(write_raster(np.zeros((3, 2, 3), np.float32)), tags)
    read: list[int] = []
    monkeypatch.setattr(selection, "band_time", lambda *each: read.append(each[1]) or band_time(*each))
    settings = RasterSettings(path=path, time="all")
    assert [time.hour for time in raster_times(settings)] == [0, 1, 2]
    found = [inspect_raster(settings.model_copy(update={"time": text})).band for text in tags]
    assert (found, read) == ([1, 2, 3], [1, 2, 3])
    with_band_times(path, tags[::-1])
    assert inspect_raster(settings.model_copy(update={"time": tags[0]})).band == 3


def with_band_times(path: Path, times: list[str]) -> Path:
    with rasterio.open(path, "r+") as file:
        for band, time in enumerate(times, 1):
            file.update_tags(band, VALID_TIME=time)
    return path
