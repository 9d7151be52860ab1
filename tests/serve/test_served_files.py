"""`regionplot serve FILE` and `regionplot serve FOLDER`: each variable becomes a product."""

from __future__ import annotations

from pathlib import Path

import pytest
from service_client import columns, make_client, write_raster

from regionplot.cli.served_files import served_tables
from regionplot.errors import ConfigError, RasterError
from regionplot.settings.loading import read_config


def test_each_raster_of_a_folder_is_a_product(tmp_path: Path) -> None:
    write_raster(tmp_path / "snow depth.tif", columns())
    write_raster(tmp_path / "snow_depth.tif", columns()[:, ::-1])
    (tmp_path / "notes.txt").write_text("no raster")
    (tmp_path / "broken.tif").write_bytes(b"II*\0")
    (tmp_path / ".hidden.tif").write_bytes(b"")
    client = make_client(read_config({**served_tables(tmp_path), "run": {"cache": False}}), [])
    found = client.get("/catalog").json()["products"]
    assert [product["name"] for product in found] == ["snow_depth", "snow_depth-2"]
    values = [client.get(f"/value?product={each['name']}&lon=-99.95&lat=43.85").json()["value"] for each in found]
    assert values == [0, 39]


def test_one_file_is_a_product(tmp_path: Path) -> None:
    tables = served_tables(write_raster(tmp_path / "depth.tif", columns()))
    assert list(tables["products"]) == ["depth"]
    assert tables["map"] == {"style": "atlas"}


def test_a_folder_without_rasters_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "data.bin").write_bytes(b"abc")
    with pytest.raises(ConfigError, match="no raster"):
        served_tables(tmp_path)
    with pytest.raises(RasterError):
        served_tables(tmp_path / "data.bin")
