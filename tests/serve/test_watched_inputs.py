"""Renewed inputs are found: rasters, vector files and the table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from service_client import columns, write_raster

from regionplot.serve import inputs
from regionplot.serve.inputs import WatchedInputs
from regionplot.settings.loading import read_config_before_arrival

LINE = {"type": "LineString", "coordinates": [(-99, 41), (-98, 42)]}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "_SETTLE", 0.0)


def watched(folder: Path, **sections: object) -> WatchedInputs:
    (folder / "regions.csv").write_text("name,west,east,south,north")
    (folder / "line.geojson").write_text(json.dumps({"type": "Feature", "properties": {}, "geometry": LINE}))
    tables = {
        "raster": {"path": folder / "depth.tif", "settle": 0.1},
        "features": [{"path": folder / "line.geojson"}], "map": {"style": "plain"}, **sections,
    }  # fmt: skip
    return WatchedInputs(read_config_before_arrival(tables), folder / "regions.csv")


def test_each_input_is_noticed_once(tmp_path: Path) -> None:
    found = watched(tmp_path)
    assert not found.are_renewed()
    assert "does not exist" in found.missing[0]
    write_raster(tmp_path / "depth.tif", columns())
    assert found.are_renewed()
    assert not found.are_renewed()
    for name in ("regions.csv", "line.geojson"):
        (tmp_path / name).write_text((tmp_path / name).read_text() + " ")
        assert found.are_renewed(), name
        assert not found.are_renewed()


def test_the_service_starts_without_a_raster_that_stays_missing(tmp_path: Path) -> None:
    products = {"a": {"raster": {"path": tmp_path / "a.tif"}}, "b": {"raster": {"path": tmp_path / "b.tif"}}}
    found = watched(tmp_path, products=products)
    write_raster(tmp_path / "a.tif", columns())
    assert not found.are_renewed(), "it waits some seconds for the other raster"
    found._wait_until = 0.0
    assert found.are_renewed()
    write_raster(tmp_path / "b.tif", columns())
    assert found.are_renewed()
