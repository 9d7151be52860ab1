"""Read vector layers from web servers."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from range_server import RangeServer, range_server

from regionplot.errors import FeaturesError
from regionplot.inputs import remote_vectors
from regionplot.inputs.remote_vectors import with_local_file
from regionplot.settings.vector import VectorSettings
from regionplot.system import remote_objects

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


def layer(server: RangeServer) -> VectorSettings:
    return VectorSettings(path=f"{server.url}/line.geojson", allow_remote=True)


def test_a_copy_belongs_to_one_version_and_old_copies_are_removed(
    tmp_path: Path, server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    first = with_local_file(layer(server)).path
    assert first.read_bytes() == server.objects["/line.geojson"]
    server.objects["/line.geojson"] = geojson(OTHER)
    second = with_local_file(layer(server)).path
    assert second.read_bytes() == geojson(OTHER)
    assert first.exists(), "another run may still read it"
    os.utime(first, (0, 0))
    server.objects["/line.geojson"] += b" "
    third = with_local_file(layer(server)).path
    assert [path.exists() for path in (first.parent, second, third)] == [False, True, True]


def test_a_file_that_changes_while_it_is_read_is_refused(
    tmp_path: Path, server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    read = remote_objects.read_object

    def read_and_replace(*arguments: Any, **options: Any) -> bytes | None:
        found = read(*arguments, **options)
        server.objects["/line.geojson"] = geojson(OTHER)
        return found

    monkeypatch.setattr(remote_objects, "read_object", read_and_replace)
    with pytest.raises(FeaturesError, match=r"line.geojson: the file was replaced or removed while it was read"):
        with_local_file(layer(server))
    assert not list(tmp_path.rglob("*.geojson"))


def test_a_file_that_is_too_large_is_refused(
    tmp_path: Path, server: RangeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(remote_vectors, "_MAX_BYTES", 20)
    with pytest.raises(FeaturesError, match=r"line.geojson: cannot be read: the object has \d+ bytes, more than 20"):
        with_local_file(layer(server))
