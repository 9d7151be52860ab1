"""Read tables of regions from web servers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from range_server import RangeServer, range_server

TABLE = b"name,west,east,south,north\na,-100,-98,47,49\n"


@pytest.fixture
def server() -> Iterator[RangeServer]:
    with range_server() as found:
        found.objects["/regions.csv"] = TABLE
        yield found


@pytest.fixture
def run(tmp_path: Path, write_raster: Any, run_command: Callable[..., Any]) -> Callable[..., Any]:
    raster = write_raster(np.arange(20, dtype=np.int16).reshape(4, 5))
    (tmp_path / "regionplot.toml").write_text(f'[raster]\npath = "{raster}"\n[map]\nstyle = "plain"\n')
    environment = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    return lambda *options: run_command(tmp_path, *options, "--start-method", "serial", **environment)


def test_a_table_on_a_server_is_read_at_each_run(tmp_path: Path, server: RangeServer, run: Callable[..., Any]) -> None:
    address = f"{server.url}/regions.csv?sig=TOPSECRET"
    refused = run(address)
    assert refused.returncode == 2
    assert "--allow-remote" in refused.stderr
    assert not server.requests
    done = run(address, "--allow-remote", "--log-file", "log.txt")
    assert done.returncode == 0, done.stderr
    assert "1 unchanged" in run(address, "--allow-remote").stdout
    server.objects["/regions.csv"] = TABLE + b"b,-99,-98,47,48\n"
    changed = run(address, "--allow-remote")
    assert "1 unchanged" in changed.stdout
    assert (tmp_path / "output" / "b.png").exists(), changed
    texts = [each.stdout + each.stderr for each in (refused, done, changed)]
    texts += [path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file()]
    assert not [text for text in texts if "TOPSECRET" in text]


def test_a_vector_file_on_a_server_is_read(tmp_path: Path, server: RangeServer, run: Callable[..., Any]) -> None:
    ring = [[-100, 47], [-98, 47], [-98, 49], [-100, 49], [-100, 47]]
    shape = {"type": "Polygon", "coordinates": [ring]}
    feature = {"type": "Feature", "properties": {"name": "square"}, "geometry": shape}
    server.objects["/square.geojson"] = json.dumps({"type": "FeatureCollection", "features": [feature]}).encode()
    done = run(f"{server.url}/square.geojson", "--allow-remote")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "output" / "square.png").exists()


def test_a_missing_table_and_a_lost_server_are_reported(server: RangeServer, run: Callable[..., Any]) -> None:
    missing = run(f"{server.url}/none.csv?sig=TOPSECRET", "--allow-remote")
    assert f"{server.url}/none.csv: there is no such object" in missing.stderr
    server.is_cut = True
    lost = run(f"{server.url}/regions.csv?sig=TOPSECRET", "--allow-remote")
    assert f"{server.url}/regions.csv: cannot be read: " in lost.stderr
    assert {missing.returncode, lost.returncode} == {2}
    assert "TOPSECRET" not in missing.stderr + lost.stderr
    assert "Traceback" not in missing.stderr + lost.stderr
