"""Fork worker processes after a Zarr store was read: the threads of the zarr library have ended."""

from __future__ import annotations

import logging
import multiprocessing
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from range_server import range_server
from test_references import references, save, write_parquet
from zarr_stores import VALUES, dataset, values_of, write

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.inputs.zarr_threads import end_zarr_threads, ended_zarr_threads
from regionplot.runs.run import render_regions
from regionplot.settings.config import Config
from regionplot.shared.data import SharedData

zarr = pytest.importorskip("zarr", minversion="3")
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, and forks")
REGIONS = [Region("a", Extent(-109, -99, 42, 48)), Region("b", Extent(-104, -97, 41, 46))]


def system_threads() -> set[str]:
    return {each.name for each in Path("/proc/self/task").iterdir()}


def config_of(make: Callable[..., Config], path: Path | str, **more: Any) -> Config:
    raster = {"path": path, "variable": "snow", "allow_references": True, "allow_remote": True}
    tables = {"map": {"style": "plain", "size": [240, 200]}, "colors": {"levels": [0, 900, 1800, 2400]}}
    return make(raster=raster, **{**tables, **more})


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Return a store with several chunks. The threads that have written it have ended."""
    with ended_zarr_threads():
        return write(tmp_path, dataset(), 3, chunks=(8, 10))


def _serve(files: dict[str, bytes], connection: Connection) -> None:
    with range_server() as server:
        server.objects.update(files)
        connection.send(server.url)
        connection.recv()


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve the files of a folder from another process, so that this process has no threads."""
    files = {f"/{file.relative_to(folder.parent).as_posix()}": file for file in folder.rglob("*") if file.is_file()}
    here, there = multiprocessing.Pipe()
    content = {key: file.read_bytes() for key, file in files.items()}
    process = multiprocessing.get_context("fork").Process(target=_serve, args=(content, there))
    process.start()
    try:
        yield f"{here.recv()}/{folder.name}"
    finally:
        here.send(None)
        process.join()


@pytest.mark.parametrize("kind", ["zarr", "json", "parquet"])
def test_a_load_leaves_no_threads(tmp_path: Path, store: Path, make_config: Callable[..., Config], kind: str) -> None:
    path = store
    if kind != "zarr":
        path = (save if kind == "json" else write_parquet)(tmp_path, references(tmp_path))
    config = config_of(make_config, path)
    SharedData.load(config)  # libraries that are imported now can start threads of their own
    before = system_threads()
    data = SharedData.load(config)
    assert np.array_equal(data.cells, VALUES, equal_nan=True)
    assert threading.active_count() == 1
    assert system_threads() == before


@pytest.mark.parametrize("memory", ["auto", 1])
@pytest.mark.parametrize("is_remote", [False, True])
def test_forked_workers_draw_the_maps_of_one_process(
    store: Path, tmp_path: Path, make_config: Callable[..., Config], *, is_remote: bool, memory: int | str
) -> None:
    def images(path: str, method: str, name: str) -> list[bytes]:
        run = {"start_method": method, "workers": 2, "memory": memory}
        config = config_of(make_config, path, run=run, output={"directory": tmp_path / name})
        report = render_regions(REGIONS, config)
        assert (report.start_method, len(report.drawn)) == (method if method != "auto" else "fork", 2)
        return [(tmp_path / name / f"{region.name}.png").read_bytes() for region in REGIONS]

    def check(path: str) -> None:
        serial = images(path, "serial", "serial")
        assert images(path, "fork", "fork") == images(path, "auto", "auto") == serial  # also after a run

    if not is_remote:
        check(str(store))
        return
    with served(store) as url:
        check(url)


@pytest.mark.slow
def test_a_program_with_threads_loads_a_store_once(
    store: Path, make_config: Callable[..., Config], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "regionplot")
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        report = render_regions(REGIONS, config_of(make_config, store, run={"workers": 2}))
    finally:
        stop.set()
        thread.join()
    assert (report.start_method, len(report.drawn)) == ("forkserver", 2)
    assert caplog.text.count("loaded the shared data") == 1
    assert "each worker loads the data" not in caplog.text


def test_threads_that_others_may_use_are_kept(store: Path) -> None:
    sync = sys.modules["zarr.core.sync"]
    zarr.open(store)["snow"][:]  # the program itself uses zarr
    loop = sync.loop[0]
    values_of(store)
    end_zarr_threads()
    assert sync.loop[0] is loop
    assert loop.is_running()
    sync.cleanup_resources()
    for each in threading.enumerate():
        if each.name.startswith("asyncio_"):
            each.join()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        values_of(store)
        assert sync.loop[0].is_running()
    finally:
        stop.set()
        thread.join()
    values_of(store)
    assert sync.loop[0] is None


def test_a_version_of_zarr_without_the_function_keeps_its_threads(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync = sys.modules["zarr.core.sync"]
    monkeypatch.delattr(sync, "cleanup_resources")
    assert np.array_equal(values_of(store), VALUES, equal_nan=True)
    assert sync.loop[0].is_running()
    monkeypatch.undo()
    end_zarr_threads()
    assert threading.active_count() == 1


def test_after_a_failed_read_no_thread_is_left(store: Path) -> None:
    for chunk in (store / "snow" / "c").rglob("*"):
        if chunk.is_file():
            chunk.write_bytes(b"damaged")
    with pytest.raises(Exception, match="cannot be read"):
        values_of(store)
    assert threading.active_count() == 1
