"""Draw maps from Zarr stores on web servers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from range_server import RangeServer
from zarr_stores import COLUMNS, ROWS, VALUES, dataset, write

from regionplot.errors import RasterError, RasterReplacedError
from regionplot.geo.grid import Window
from regionplot.inputs.describe import open_source, raster_times
from regionplot.runs import store
from regionplot.settings.raster import RasterSettings
from regionplot.system.remote_objects import network_use

zarr = pytest.importorskip("zarr", minversion="3")

pytestmark = pytest.mark.usefixtures("short_pauses")


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


def test_a_variable_of_a_store_without_consolidated_metadata_is_read(tmp_path: Path, server: RangeServer) -> None:
    for version in (2, 3):
        server.objects.clear()
        upload(server, write(tmp_path, dataset(3), version, consolidated=False))
        chosen = settings(server, variable="snow", time=1)
        found = open_source(chosen).read(Window(0, 0, ROWS, COLUMNS), (ROWS, COLUMNS), "nearest")
        assert np.array_equal(found, VALUES + 1, equal_nan=True)
        assert len(raster_times(chosen)) == 3
        with pytest.raises(RasterError, match="no consolidated metadata; name the variable"):
            open_source(settings(server))
        with pytest.raises(RasterError, match="there is no variable 'ice'"):
            open_source(settings(server, variable="ice"))


def test_shards_are_read_in_parts(tmp_path: Path, server: RangeServer) -> None:
    upload(server, write(tmp_path, dataset(), 3, chunks=(8, 10), shards=(40, 60)))
    source = open_source(settings(server))
    server.requests.clear()
    assert np.array_equal(source.read(Window(9, 17, 6, 9), (6, 9), "nearest"), VALUES[9:15, 17:26], equal_nan=True)
    assert server.sent < 20_000


def test_a_missing_chunk_is_missing_data_but_a_failed_request_is_an_error(tmp_path: Path, server: RangeServer) -> None:
    upload(server, write(tmp_path, dataset(), 3, chunks=(20, 30)))
    del server.objects["/snow.zarr/snow/c/1/0"]
    source = open_source(settings(server))
    whole = Window(0, 0, ROWS, COLUMNS)
    found = source.read(whole, (ROWS, COLUMNS), "nearest")
    assert np.isnan(found[20:, :30]).all()
    assert np.array_equal(found[:20], VALUES[:20], equal_nan=True)
    server.objects["/snow.zarr/zarr.json"] += b" "
    source = open_source(settings(server))
    server.failures += [403] * 40
    with pytest.raises(RasterError, match=r"snow.zarr: cannot be read"):
        source.read(whole, (ROWS, COLUMNS), "nearest")


def test_a_replaced_store_is_detected(tmp_path: Path, server: RangeServer) -> None:
    upload(server, write(tmp_path, dataset()))
    source = open_source(settings(server))
    upload(server, write(tmp_path, dataset().rename_vars(snow="ice")))
    with pytest.raises(RasterReplacedError, match="input changed"):
        source.read(Window(0, 0, 2, 2), (2, 2), "nearest")


@pytest.mark.parametrize("consolidated", [True, False])
def test_a_codec_that_can_run_code_is_refused(tmp_path: Path, server: RangeServer, *, consolidated: bool) -> None:
    upload(server, write(tmp_path, dataset(), 2, consolidated=consolidated))
    for key in ("/snow.zarr/.zmetadata", "/snow.zarr/snow/.zarray"):
        if content := server.objects.get(key):
            document = json.loads(content)
            document.get("metadata", {"snow/.zarray": document})["snow/.zarray"]["filters"] = [{"id": "pickle"}]
            server.objects[key] = json.dumps(document).encode()
    with pytest.raises(RasterError, match="the codec 'pickle' is not allowed"):
        open_source(settings(server, variable="snow"))


def test_no_key_leads_out_of_the_store(tmp_path: Path, server: RangeServer) -> None:
    path = write(tmp_path, dataset())
    upload(server, path)
    document = json.loads((path / "zarr.json").read_text())
    arrays = document["consolidated_metadata"]["metadata"]
    arrays["../../secret"] = arrays.pop("snow")
    server.objects["/snow.zarr/zarr.json"] = json.dumps(document).encode()
    server.requests.clear()
    with pytest.raises(RasterError, match="there is no variable"):
        open_source(settings(server, variable="../../secret"))
    assert not [path for _, path, _ in server.requests if ".." in path or "secret" in path]


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"consolidated_metadata": 1}', b"<html>", b'{"attributes": [1]}'])
def test_damaged_metadata_are_reported(server: RangeServer, content: bytes) -> None:
    server.objects["/snow.zarr/zarr.json"] = content
    with pytest.raises(RasterError, match=r"snow.zarr: "):
        open_source(settings(server, variable="snow"))


def test_faults_name_the_address_without_its_signature(server: RangeServer) -> None:
    with pytest.raises(RasterError, match="no such Zarr store") as raised:
        open_source(settings(server, "?sig=TOPSECRET"))
    assert "TOPSECRET" not in str(raised.value)
    assert all(path.endswith("?sig=TOPSECRET") for _, path, _ in server.requests)


def test_if_the_server_is_cut_off_each_map_fails(
    tmp_path: Path, server: RangeServer, run_command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    fine = dataset().reindex(y=50 - 0.01 * np.arange(1000), x=-110 + 0.01 * np.arange(1500), method="nearest")
    for name, kind in (("y", "latitude"), ("x", "longitude")):
        fine[name].attrs = {"standard_name": kind}
    upload(server, write(tmp_path, fine, chunks=(200, 300)))
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-109,-106,45,48\nb,-99,-96,42,44\n")
    text = f'[raster]\npath = "{server.url}/snow.zarr"\nallow_remote = true\n[map]\nstyle = "plain"\n'
    text += '[colors]\nlevels = [0, 900, 1800]\n[run]\nstart_method = "serial"\nmemory = 1\n'
    (tmp_path / "regionplot.toml").write_text(text)
    written = store.write_file

    def cut_after_first(*arguments: Any, **options: Any) -> str:
        server.is_cut = True
        return written(*arguments, **options)

    monkeypatch.setattr(store, "write_file", cut_after_first)
    done = run_command(tmp_path, "regions.csv")
    assert done.returncode == 1
    manifest = json.loads((tmp_path / "output/manifest.json").read_text())
    assert [each["state"] for each in manifest["regions"]] == ["rendered", "failed"]
    assert manifest["run"]["network"]["requests"] > 3
    assert "snow.zarr: " in done.stderr
    assert "Traceback" not in done.stderr
