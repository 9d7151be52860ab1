"""Draw maps from Zarr stores on web servers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from range_server import RangeServer, range_server
from zarr_stores import VALUES, dataset, write

from regionplot.geo.grid import Window
from regionplot.inputs import remote
from regionplot.inputs.describe import open_source
from regionplot.settings.raster import RasterSettings
from regionplot.system.remote_objects import network_use

zarr = pytest.importorskip("zarr", minversion="3")


@pytest.fixture
def server() -> Iterator[RangeServer]:
    with range_server() as found:
        yield found


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote, "_PAUSES", (0.0, 0.0))


def upload(server: RangeServer, folder: Path, prefix: str = "/snow.zarr") -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            server.objects[f"{prefix}/{file.relative_to(folder).as_posix()}"] = file.read_bytes()


def settings(server: RangeServer, query: str = "", **keys: Any) -> RasterSettings:
    return RasterSettings(path=f"{server.url}/snow.zarr{query}", allow_remote=True, **keys)


@pytest.mark.parametrize("version", [2, 3])
def test_only_the_chunks_of_a_window_are_read(tmp_path: Path, server: RangeServer, version: int) -> None:
    upload(server, write(tmp_path, dataset(), version, chunks=(8, 10)))
    before = network_use()
    source = open_source(settings(server))
    assert source.describe().description["units"] == "kg m-2"
    server.requests.clear()
    assert np.array_equal(source.read(Window(9, 17, 6, 9), (6, 9), "nearest"), VALUES[9:15, 17:26], equal_nan=True)
    chunks = {path for method, path, _ in server.requests if "/snow.zarr/snow/" in path and method == "GET"}
    assert {path[-3:].replace(".", "/") for path in chunks} == {"1/1", "1/2"}
    used = network_use().since(before)
    assert used.bytes > 0
    assert used.requests > len(server.requests)
