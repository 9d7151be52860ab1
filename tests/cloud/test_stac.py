"""Draw maps from the assets of STAC items."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from range_server import RangeServer

from regionplot.errors import ConfigError, InputError, RasterError
from regionplot.inputs.describe import inspect_raster
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config

pytest.importorskip("pystac")
TIFF = "image/tiff; application=geotiff; profile=cloud-optimized"
ASSETS = {
    "B04": {"href": "./scene/snow.tif", "type": TIFF, "roles": ["data"]},
    "thumbnail": {"href": "thumbnail.tif", "type": "image/tiff", "roles": ["thumbnail"]},
    "metadata": {"href": "metadata.xml", "type": "application/xml"},
}


def item(folder: Path, assets: dict[str, Any] | None = None, **more: Any) -> Path:
    document = {
        "type": "Feature",
        "stac_version": "1.0.0",
        "id": "scene",
        "geometry": None,
        "properties": {"datetime": "2026-03-10T06:00:00Z"},
        "links": [{"rel": "collection", "href": "https://example.org/collection.json"}],
        "assets": ASSETS if assets is None else assets,
        **more,
    }
    path = folder / "item.json"
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def raster(tmp_path: Path, write_raster: Any) -> Path:
    (tmp_path / "scene").mkdir()
    path: Path = write_raster(np.arange(20, dtype=np.int16).reshape(4, 5))
    return path.rename(tmp_path / "scene" / "snow.tif")


def config(path: object, **keys: Any) -> Config:
    return read_config({"raster": {"path": str(path), **keys}})


def test_the_only_raster_of_an_item_is_drawn_at_the_time_of_the_item(
    tmp_path: Path, raster: Path, run_command: Callable[..., Any]
) -> None:
    item(tmp_path)
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-100,-98,47,49\n")
    text = '[raster]\npath = "item.json"\n[map]\ntitle = "{time:%Y-%m-%d %H}"\nstyle = "plain"\nsize = [240, 200]\n'
    (tmp_path / "regionplot.toml").write_text(text)
    done = run_command(tmp_path, "regions.csv", "--start-method", "serial")
    assert done.returncode == 0, done.stderr
    assert json.loads((tmp_path / "output/manifest.json").read_text())["run"]["raster"] == str(raster)
    assert "1 unchanged" in run_command(tmp_path, "regions.csv", "--start-method", "serial").stdout
    item(tmp_path, properties={"datetime": "2026-03-11T07:00:00Z"})
    assert "1 map drawn" in run_command(tmp_path, "regions.csv", "--start-method", "serial").stdout


def test_the_asset_can_be_named(tmp_path: Path, raster: Path) -> None:
    item(tmp_path, {**ASSETS, "B08": {"href": "scene/other.tif", "type": TIFF, "roles": ["data"]}})
    found = config(tmp_path / "item.json", asset="B04").raster
    assert (found.path, found.valid_time) == (raster, datetime(2026, 3, 10, 6, tzinfo=UTC))
    assert config(tmp_path / "item.json", asset="B04", valid_time="2026-01-01T00:00").raster.valid_time == datetime(
        2026, 1, 1, tzinfo=UTC
    )
    with pytest.raises(InputError, match=r"choose a raster of the STAC item with asset in \[raster\].*: B04, B08"):
        config(tmp_path / "item.json")
    with pytest.raises(InputError, match=r"there is no asset 'B99'; the rasters are: B04, B08"):
        config(tmp_path / "item.json", asset="B99")
    with pytest.raises(InputError, match=r"scene.other.tif, but there is no such file"):
        config(tmp_path / "item.json", asset="B08")


@pytest.mark.usefixtures("raster")
def test_products_can_draw_several_assets(tmp_path: Path, run_command: Callable[..., Any]) -> None:
    item(tmp_path, {name: {"href": "scene/snow.tif", "type": TIFF, "roles": ["data"]} for name in ("red", "nir")})
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-100,-98,47,49\n")
    text = '[map]\nstyle = "plain"\nsize = [240, 200]\n[raster]\npath = "item.json"\n'
    text += '[products.red.raster]\nasset = "red"\n[products.nir.raster]\nasset = "nir"\n'
    (tmp_path / "regionplot.toml").write_text(text)
    done = run_command(tmp_path, "regions.csv", "--start-method", "serial")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "output").rglob("*.png"))) == 2
    (tmp_path / "regionplot.toml").write_text(text.replace('"nir"\n', '"swir"\n'))
    broken = run_command(tmp_path, "regions.csv", "--start-method", "serial")
    assert "item.json: there is no asset 'swir'" in broken.stderr
    assert broken.returncode == 1


@pytest.mark.parametrize(
    ("href", "problem"),
    [
        ("../outside.tif", "not below the folder of item.json"),
        ("/etc/passwd", "not below the folder of item.json"),
        ("file:///etc/passwd", "not below the folder of item.json"),
        ("/vsicurl/file:///etc/passwd", "not read"),
        ("https://me:pw@example.org/a.tif?sig=TOPSECRET", "--allow-remote"),
        ("s3://bucket/a.tif", "--allow-remote"),
        ("a\0.tif", "not the path of a file"),
        ("none.tif", "no such file"),
        ("none.tif?sig=TOPSECRET", r"none.tif\?..., but there is no such file"),
    ],
)
def test_assets_in_other_places_are_refused(tmp_path: Path, href: str, problem: str) -> None:
    (tmp_path / "outside.tif").write_bytes(b"II*\0")
    (tmp_path / "items").mkdir()
    path = item(tmp_path / "items", {"data": {"href": href, "type": TIFF}})
    with pytest.raises(InputError, match=problem) as raised:
        config(path)
    assert "TOPSECRET" not in str(raised.value)
    assert "pw@" not in str(raised.value)


def test_a_remote_item_names_remote_assets_only(
    tmp_path: Path, raster: Path, server: RangeServer, run_command: Callable[..., Any]
) -> None:
    server.objects["/items/1"] = item(tmp_path).read_bytes()
    server.objects["/items/scene/snow.tif"] = raster.read_bytes()
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-100,-98,47,49\n")
    text = f'[raster]\npath = "{server.url}/items/1"\nallow_remote = true\nasset = "B04"\n'
    (tmp_path / "regionplot.toml").write_text(text)
    done = run_command(tmp_path, "regions.csv", "--start-method", "serial", "-v")
    assert done.returncode == 0, done.stderr
    assert "requests" in done.stdout
    server.objects["/item.json"] = item(tmp_path, {"data": {"href": "file:///etc/passwd", "type": TIFF}}).read_bytes()
    with pytest.raises(InputError, match="'data' is file:///etc/passwd, which is not read"):
        config(f"{server.url}/item.json", allow_remote=True)
    with pytest.raises(InputError, match="there is no such object"):
        config(f"{server.url}/none.json", allow_remote=True)


def test_a_local_item_can_name_a_remote_asset(tmp_path: Path, raster: Path, server: RangeServer) -> None:
    server.objects["/snow.tif"] = raster.read_bytes()
    path = item(tmp_path, {"data": {"href": f"{server.url}/snow.tif", "type": TIFF}})
    found = config(path, allow_remote=True).raster
    assert inspect_raster(found).description["time"] == datetime(2026, 3, 10, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"stac_version": "1.0.0", "type": "Collection"}', "a STAC Collection is not read"),
        ('{"stac_version": "1.0.0", "type": "Feature", "assets": 1}', "is damaged"),
        ('{"stac_version": "1.0.0", "type": "Feature", "links": 3}', "is damaged"),
        ('{"stac_version": "1.0.0", "type": "Feature", "assets": {"a": {"href": 1}}}', "is damaged"),
        ("{", "not a STAC item"),
        ("[" * 100_000, "not a STAC item"),
    ],
)
def test_damaged_items_are_reported(tmp_path: Path, content: str, problem: str) -> None:
    (tmp_path / "item.json").write_text(content)
    with pytest.raises(InputError, match=f"item.json: .*{problem}"):
        config(tmp_path / "item.json", asset="a")


@pytest.mark.parametrize("roles", [5, [{}], [["data"]], {"data": 1}, None])
def test_roles_that_are_not_texts_are_ignored(tmp_path: Path, raster: Path, roles: Any) -> None:
    path = item(tmp_path, {"B04": {**ASSETS["B04"], "roles": roles}})
    assert config(path).raster.path == raster


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_times_that_cannot_be_expressed_in_utc_are_reported(tmp_path: Path, raster: Path, time: str) -> None:
    assert raster.exists()
    with pytest.raises(InputError, match=r"item.json: the STAC item is damaged: its datetime .* is out of range"):
        config(item(tmp_path, properties={"datetime": time}))


def test_a_damaged_address_in_a_remote_item_is_reported(tmp_path: Path, server: RangeServer) -> None:
    server.objects["/item.json"] = item(tmp_path, {"data": {"href": "//[x?sig=TOPSECRET", "type": TIFF}}).read_bytes()
    with pytest.raises(InputError, match=r"item.json: the asset 'data' is //\[.*, which is not an address") as raised:
        config(f"{server.url}/item.json", allow_remote=True)
    assert "TOPSECRET" not in str(raised.value)


def test_other_faults_of_the_settings_are_reported_too(tmp_path: Path) -> None:
    item(tmp_path, {})
    with pytest.raises(ConfigError) as raised:
        read_config({"raster": {"path": str(tmp_path / "item.json"), "band": 0.5}, "map": {"size": 1}})
    assert len(raised.value.problems) == 2
    with pytest.raises(InputError, match="the rasters are: none"):
        config(tmp_path / "item.json")


def test_an_asset_of_a_plain_raster_is_refused(raster: Path) -> None:
    with pytest.raises(InputError, match="not a STAC item, so it has no assets; remove asset"):
        config(raster, asset="B04")


def test_an_item_in_another_place_is_refused(tmp_path: Path, raster: Path) -> None:
    found = config(raster, minus={"path": str(item(tmp_path))})
    with pytest.raises(RasterError, match=r"a STAC item is read only as path in \[raster\]"):
        inspect_raster(found.raster)
