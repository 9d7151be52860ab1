"""Levels of a product as a dimension, and values over several times and levels."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from scipy.io import netcdf_file
from service_client import Client, make_client

from regionplot.cli.served_files import served_tables
from regionplot.settings.loading import read_config

LEVELS = [850.0, 500.0]
PLAIN = {"colors": {"levels": [0, 10, 20, 30, 40]}, "map": {"style": "plain"}, "run": {"cache": False}}
POINT = "coords=POINT(-99.5 43.5)"
INFO = (
    "/wms?service=WMS&version=1.3.0&request=GetFeatureInfo&layers=t&query_layers=t&crs=CRS:84&bbox=-100,40,-96,44"
    "&width=40&height=40&i=5&j=5&info_format="
)


def write_levels(folder: Path, units: str = "hPa") -> Path:
    """Write values on two levels at three times: 10 times the number of the level, plus that of the time."""
    axes = {"time": 6.0 * np.arange(3), "lev": np.array(LEVELS), "lat": 43.9 - 0.1 * np.arange(40)}
    axes["lon"] = -99.9 + 0.1 * np.arange(41)
    names = {"lat": "degrees_north", "lon": "degrees_east", "time": "hours since 2026-03-10 00:00", "lev": units}
    with netcdf_file(folder / "levels.nc", "w") as file:
        for name, values in axes.items():
            file.createDimension(name, values.size)
            axis = file.createVariable(name, "f8", (name,))
            axis[:], axis.units = values, names[name]
        found = file.createVariable("t", "f4", tuple(axes))
        found.units, found.long_name = "K", "Temperature"
        found[:] = np.arange(3)[:, None, None, None] + 10 * np.arange(1, 3)[None, :, None, None] + np.zeros((40, 41))
    return folder / "levels.nc"


def level_client(folder: Path, **raster: object) -> Client:
    table = {"path": write_levels(folder), "time": "all", "levels": "all", **raster}
    return make_client(read_config({"raster": table, **PLAIN}), [])


@pytest.fixture(scope="module")
def levels(tmp_path_factory: pytest.TempPathFactory) -> Client:
    return level_client(tmp_path_factory.mktemp("levels"))


def values_of(client: Client, query: str) -> dict:
    answer = client.get(f"/ogc/collections/t/position?{POINT}&{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize(("level", "value"), [
    ("", 12), ("850", 12), ("850.0", 12), ("850 hPa", 12), ("default", 12), ("500", 22), ("5e2", 22), ("500hPa", 22),
])  # fmt: skip
def test_each_interface_shows_the_level_that_a_request_names(levels: Client, level: str, value: float) -> None:
    time = "2026-03-10T12:00:00Z"
    assert levels.get(f"/value?lon=-99.5&lat=43.5&time={time}&level={level}").json()["value"] == value
    found = levels.get(f"{INFO}application/json&time={time}&elevation={level}").json()
    assert (found["value"], found["level"]) == (value, "500 hPa" if value > 20 else "850 hPa")
    box = "bbox=-99,41,-98,42&width=8&height=8&transparent=false"
    color = levels.pixels(f"/map?{box}&level={level}&time={time}")[0, 0].tolist()
    other = levels.pixels(f"/map?{box}&level={'850' if value > 20 else '500'}&time={time}")[0, 0].tolist()
    wms = "/wms?service=WMS&version=1.3.0&request=GetMap&layers=t&styles=&format=image/png&crs=CRS:84"
    assert levels.pixels(f"{wms}&{box}&elevation={level}&time={time}")[0, 0].tolist() == color != other


@pytest.mark.parametrize("level", ["700", "850 m", "nan", "x" * 300, "850,500", "<b>"])
def test_an_unknown_level_is_refused(levels: Client, level: str) -> None:
    assert levels.get(f"/value?lon=-99.5&lat=43.5&level={level}").status_code == 404
    answer = levels.get(f"{INFO}application/json&elevation={level}")
    assert answer.status_code == 400
    assert 'code="InvalidDimensionValue"' in answer.text
    assert "850, 500" in answer.text


@pytest.mark.parametrize(("version", "tag"), [("1.3.0", "{http://www.opengis.net/wms}Dimension"), ("1.1.1", "Extent")])
def test_capabilities_list_the_levels(levels: Client, version: str, tag: str) -> None:
    root = ElementTree.fromstring(levels.get(f"/wms?request=GetCapabilities&version={version}").text)
    (found,) = [each for each in root.iter(tag) if each.get("name") == "elevation"]
    assert (found.text, found.get("default")) == ("850,500", "850")
    assert 'unitSymbol="hPa"' in levels.get(f"/wms?request=GetCapabilities&version={version}").text
    assert "<Value>500</Value>" in levels.get("/wmts?request=GetCapabilities").text


def test_values_on_several_levels_are_a_profile_or_a_grid(levels: Client) -> None:
    one = values_of(levels, "datetime=2026-03-10T06:00:00Z&z=500")
    assert one["ranges"]["t"]["values"] == [21]
    assert one["domain"]["axes"]["z"] == {"values": [500]}
    grid = values_of(levels, "z=850,500")
    assert grid["domain"]["domainType"] == "Grid"
    assert grid["ranges"]["t"]["shape"] == [3, 2]
    assert grid["ranges"]["t"]["values"] == [10, 20, 11, 21, 12, 22]
    assert values_of(levels, "z=400/900")["ranges"] == grid["ranges"]
    series = values_of(levels, "")
    assert series["domain"]["domainType"] == "PointSeries"
    assert series["ranges"]["t"]["values"] == [10, 11, 12]
    for text in ("1/2", "1/2/3", "nan/1", "700"):
        assert levels.get(f"/ogc/collections/t/position?{POINT}&z={text}").status_code in (400, 404)


@pytest.mark.parametrize(("time", "values"), [
    ("2026-03-10T00:00:00Z/2026-03-10T06:00:00Z", [20, 21]),
    ("2026-03-10/2026-03-11/PT12H", [20, 22]),
    ("2026-03-10T00:00:00Z,2026-03-10T12:00:00Z", [20, 22]),
    ("../..", [20, 21, 22]),
])  # fmt: skip
def test_a_range_of_times_gives_a_series(levels: Client, time: str, values: list[float]) -> None:
    found = levels.get(f"{INFO}application/json&elevation=500&time={time}").json()
    assert [row["value"] for row in found["values"]] == values
    text = levels.get(f"{INFO}text/plain&elevation=500&time={time}").text
    assert "2026-03-10T00:00:00Z: 20.0\n" in text
    assert f"<td>{values[-1]}.0</td></tr>" in levels.get(f"{INFO}text/html&elevation=500&time={time}").text


@pytest.mark.parametrize("time", ["2027-01-01/2027-01-02", "a/b", "2026-03-10/2026-03-11/P", "1/2/3/4", "/" * 99])
def test_a_faulty_range_of_times_is_refused(levels: Client, time: str) -> None:
    assert levels.get(f"{INFO}application/json&time={time}").status_code == 400


def test_a_long_series_is_refused(levels: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regionplot.serve.times.MAX_VALUES", 2)
    assert levels.get(f"{INFO}application/json&time=../..").status_code == 400
    assert levels.get(f"/ogc/collections/t/position?{POINT}").status_code == 400
    image = "/ogc/collections/t/map?width=8&datetime=../.."
    assert levels.get(image).status_code == 200, "an image shows only the newest time"


@pytest.mark.parametrize(("raster", "names"), [
    ({"levels": ["500 hPa", 850]}, ["500", "850"]), ({"level": 500}, ["500", "850"]), ({"levels": ["500 hPa"]}, []),
    ({"levels": [500, 700]}, []),
])  # fmt: skip
def test_the_default_level_comes_first(tmp_path: Path, raster: dict, names: list[str]) -> None:
    client = level_client(tmp_path, **raster)
    (product,) = client.get("/catalog").json()["products"]
    assert product["levels"] == names
    assert client.get("/value?lon=-99.5&lat=43.5").json()["value"] == 22


def test_a_served_file_offers_all_levels(tmp_path: Path) -> None:
    tables = served_tables(write_levels(tmp_path))
    client = make_client(read_config({**tables, "run": {"cache": False}}), [])
    (product,) = client.get("/catalog").json()["products"]
    assert (product["levels"], len(product["times"])) == (["850", "500"], 3)
