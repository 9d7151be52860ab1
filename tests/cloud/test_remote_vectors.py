"""Read vector layers from web servers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from range_server import RangeServer, range_server

LINE = {"type": "LineString", "coordinates": [[-100, 47], [-98, 49]]}
OTHER = {"type": "LineString", "coordinates": [[-100, 49], [-98, 47]]}
SECRET = "sig=TOPSECRET"


def geojson(geometry: dict[str, Any], **properties: Any) -> bytes:
    feature = {"type": "Feature", "properties": properties, "geometry": geometry}
    return json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()


@pytest.fixture
def server() -> Iterator[RangeServer]:
    with range_server() as found:
        found.objects["/line.geojson"] = geojson(LINE)
        yield found


@pytest.fixture
def run(tmp_path: Path, write_raster: Any, run_command: Callable[..., Any]) -> Callable[..., Any]:
    raster = write_raster(np.arange(20, dtype=np.int16).reshape(4, 5))
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-100,-98,47,49\n")
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}

    def run(text: str, *options: str) -> Any:
        settings = f'[raster]\npath = "{raster}"\n[map]\nstyle = "plain"\nsize = [240, 200]\n{text}'
        (tmp_path / "regionplot.toml").write_text(settings)
        return run_command(tmp_path, "regions.csv", *options, "--start-method", "serial", **environment)

    return run


def table(server: RangeServer, name: str = "line.geojson", more: str = "") -> str:
    return f'[[features]]\nallow_remote = true\npath = "{server.url}/{name}?{SECRET}"\n{more}'


def image(folder: Path) -> Any:
    return np.asarray(Image.open(folder / "output" / "a.png").convert("RGB"))


def test_a_remote_layer_is_drawn_like_a_local_one_and_is_copied_once(
    tmp_path: Path, server: RangeServer, run: Callable[..., Any]
) -> None:
    done = run(table(server), "--log-file", "log.txt")
    assert done.returncode == 0, done.stderr
    remote = image(tmp_path)
    server.requests.clear()
    again = run(table(server))
    assert "1 unchanged" in again.stdout
    assert {method for method, *_ in server.requests} == {"HEAD"}
    server.objects["/line.geojson"] = geojson(OTHER)
    changed = run(table(server))
    assert "unchanged" not in changed.stdout
    assert not np.array_equal(image(tmp_path), remote)
    texts = [each.stdout + each.stderr for each in (done, again, changed)]
    texts += [
        path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.suffix != ".toml" and path.is_file()
    ]
    assert not [text for text in texts if "TOPSECRET" in text]
    (tmp_path / "line.geojson").write_bytes(geojson(LINE))
    assert run('[[features]]\npath = "line.geojson"\n').returncode == 0
    assert np.array_equal(image(tmp_path), remote)


def test_labels_of_a_remote_file_are_drawn(tmp_path: Path, server: RangeServer, run: Callable[..., Any]) -> None:
    assert run("").returncode == 0
    plain = image(tmp_path)
    server.objects["/towns.geojson"] = geojson({"type": "Point", "coordinates": [-99, 48]}, name="Town")
    done = run(table(server, "towns.geojson").replace("features", "labels"))
    assert done.returncode == 0, done.stderr
    assert not np.array_equal(image(tmp_path), plain)


def test_an_address_must_be_allowed(server: RangeServer, run: Callable[..., Any]) -> None:
    refused = run(table(server).replace("true", "false"))
    assert refused.returncode == 3
    assert "allow_remote = true in the same table, or --allow-remote with --features" in refused.stderr
    address = f"{server.url}/line.geojson?{SECRET}"
    option = run("", "--features", address)
    assert option.returncode == 3
    assert not server.requests
    assert "TOPSECRET" not in refused.stderr + option.stderr
    assert run("", "--features", address, "--allow-remote").returncode == 0


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("none.geojson", "none.geojson: there is no such object"),
        ("parts.shp", "parts.shp: a remote shapefile must be a zip archive"),
        ("text.geojson", "cannot be read as vector data"),
    ],
)
def test_faults_are_reported(server: RangeServer, run: Callable[..., Any], name: str, problem: str) -> None:
    server.objects["/text.geojson"] = b"{}"
    done = run(table(server, name))
    assert problem in done.stderr
    assert done.returncode in {2, 3}
    assert "TOPSECRET" not in done.stderr
    assert "Traceback" not in done.stderr


def test_a_lost_server_is_reported(server: RangeServer, run: Callable[..., Any]) -> None:
    assert run(table(server)).returncode == 0
    server.is_cut = True
    done = run(table(server))
    assert done.returncode == 3
    assert f"{server.url}/line.geojson: there is no such object" in done.stderr
    assert "or its server does not answer" in done.stderr
    assert "TOPSECRET" not in done.stderr
