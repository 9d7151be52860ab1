"""Tests of `regionplot.shared.pages`: workers of one host share the loaded cells."""

from __future__ import annotations

import gzip
import logging
import multiprocessing
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regionplot.errors import RasterError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.inputs.strips import StripReader
from regionplot.render.renderer import MapRenderer
from regionplot.runs.run import render_regions
from regionplot.settings.config import Config
from regionplot.shared import pages
from regionplot.shared.data import SharedData
from regionplot.shared.load import DrawnRaster, check_inputs
from regionplot.shared.pages import key_of, page_folder, remove_unused_pages
from regionplot.shared.slot import forget_shared_data, shared_data
from regionplot.system.page_files import can_share

pytestmark = pytest.mark.skipif(not can_share(), reason="this platform has no locks of open files")
LEVELS = {"levels": [-1, 0, 0.5, 1]}
LIMITS = {"vmin": -1, "vmax": 1}
LOADED, USED = "for all workers", "another process has loaded"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Use an empty cache folder, and yield its folder of shared cells."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield tmp_path / "cache" / "regionplot" / "pages"
    forget_shared_data()


@pytest.fixture
def config(make_config: Callable[..., Config], grid_file: Path) -> Callable[..., Config]:
    """Return a function that makes settings for the file of noise."""
    return lambda colors=LEVELS, **sections: make_config(
        **{"raster": {"path": grid_file}, "colors": colors, "run": {}, **sections}
    )


def load(config: Config) -> SharedData:
    """Load the data as a worker that has not inherited them."""
    forget_shared_data()
    return shared_data(config, check_inputs(config, ()))


def notes(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    return [message for message in caplog.messages if text in message]


def cells_of(data: SharedData) -> np.ndarray:
    found = data.loaded.values if data.loaded.codes is None else data.loaded.codes
    assert found is not None
    return found


@pytest.mark.parametrize("colors", [LEVELS, LIMITS, {}], ids=["codes", "values", "limits from the cells"])
def test_shared_cells_equal_the_cells_of_one_process(config, caplog, colors: dict[str, Any]) -> None:
    caplog.set_level(logging.INFO)
    expected = SharedData.load(config(colors))
    first = load(config(colors))
    second = load(config(colors))
    assert len(notes(caplog, LOADED)) == len(notes(caplog, USED)) == 1
    for found in (first, second):
        np.testing.assert_array_equal(cells_of(found), cells_of(expected))
        assert cells_of(found).dtype == cells_of(expected).dtype
        assert not cells_of(found).flags.writeable
        assert found.geometry == expected.geometry
        np.testing.assert_array_equal(found.scale.codes(found.cells), expected.scale.codes(expected.cells))


@pytest.mark.parametrize("kind", ["true color", "difference", "2-D coordinates", "axes"])
def test_sources_of_other_types_are_shared(
    make_config: Callable[..., Config], write_raster: Any, write_netcdf: Any, caplog: Any, kind: str
) -> None:
    caplog.set_level(logging.INFO)
    cells = np.arange(20 * 30, dtype=np.float32).reshape(20, 30)
    row, column = np.mgrid[:20, :30]
    raster: dict[str, Any]
    if kind == "true color":
        raster = {"path": write_raster(np.stack([cells / 3] * 3).astype(np.uint8), photometric="RGB")}
    elif kind == "difference":
        old = write_raster(cells**2, name="old.tif")
        raster = {"path": write_raster(cells), "minus": {"path": old}}
    elif kind == "axes":
        latitude = np.sqrt(np.arange(20.0)), {"units": "degrees_north"}
        raster = {"path": write_netcdf(snow=cells, d20=latitude, d30=(np.arange(30.0), {"units": "degrees_east"}))}
    else:
        places = {"lat": 10 - 0.1 * row + 0.03 * column, "lon": 20 + 0.1 * column + 0.03 * row}
        units = {"lat": {"units": "degrees_north"}, "lon": {"units": "degrees_east"}}
        variables = {name: (values, units[name]) for name, values in places.items()}
        raster = {"path": write_netcdf(snow=(cells, {"coordinates": "lat lon"}), **variables), "variable": "snow"}
    own = make_config(raster=raster)
    expected, first, second = SharedData.load(own), load(own), load(own)
    assert len(notes(caplog, LOADED)) == len(notes(caplog, USED)) == 1
    for found in (first, second):
        np.testing.assert_array_equal(cells_of(found), cells_of(expected))
        assert found.geometry == expected.geometry


def test_only_the_owner_can_read_the_cells(config, folder: Path) -> None:
    data = load(config())
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())] == [0o700, 0o600]
    assert data.loaded.codes is not None


def test_the_file_is_removed_with_the_last_process_that_uses_it(config, folder: Path) -> None:
    data = load(config())
    forget_shared_data()
    assert len(list(folder.iterdir())) == 1, "the data are still in use"
    del data
    remove_unused_pages()
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "change",
    [
        {"colors": {"levels": [-1, 0, 0.5, 1.5]}},
        {"colors": LIMITS},
        {"band": 2},
        {"mask_and_scale": False},
    ],
    ids=str,
)
def test_cells_of_other_settings_have_another_file(config, grid_file: Path, change: dict[str, Any]) -> None:
    def key(colors: Any = LEVELS, **raster: Any) -> str:
        own = config(colors, raster={"path": grid_file, **raster})
        return key_of(DrawnRaster.of(own), check_inputs(own, ()))

    assert key() == key()
    assert key(**change) != key()


def test_other_windows_and_other_versions_of_the_file_have_another_file(config, grid_file: Path) -> None:
    own = config()
    region = Region("part", Extent(-99, -98.5, 49, 49.5))
    raster = DrawnRaster.of(own)
    whole, part = key_of(raster, check_inputs(own, ())), key_of(raster, check_inputs(own, [region]))
    assert whole != part
    os.utime(grid_file, (1, 1))
    assert key_of(DrawnRaster.of(own), check_inputs(own, ())) != whole


def test_without_the_cache_each_process_loads_the_cells(config, caplog, folder: Path) -> None:
    caplog.set_level(logging.INFO)
    load(config(run={"cache": False}))
    assert not folder.exists()
    assert not notes(caplog, LOADED)


def test_a_folder_that_cannot_be_used_costs_memory_only(config, caplog, folder: Path) -> None:
    caplog.set_level(logging.INFO)
    folder.parent.mkdir(parents=True)
    folder.write_text("a file in the place of the folder")
    np.testing.assert_array_equal(cells_of(load(config())), cells_of(SharedData.load(config())))
    assert len(notes(caplog, "cannot share the cells of grid.tif")) == 1
    assert all(record.levelno == logging.INFO for record in caplog.records)


def test_a_full_disk_costs_memory_only(config, caplog, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 4096}))
    np.testing.assert_array_equal(cells_of(load(config())), cells_of(SharedData.load(config())))
    assert len(notes(caplog, "cannot share the cells of grid.tif: No space left on device")) == 1
    remove_unused_pages()
    assert list(folder.iterdir()) == []


def test_a_raster_that_is_replaced_before_the_load_is_detected(config, grid_file: Path) -> None:
    own = config()
    plan = check_inputs(own, ())
    kept = load(own)
    os.utime(grid_file, (1, 1))
    forget_shared_data()
    with pytest.raises(RasterError, match="input changed"):
        shared_data(own, plan)
    assert kept.loaded.codes is not None


def test_a_raster_that_is_replaced_while_it_is_read_leaves_no_cells(
    config, grid_file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = StripReader.start

    def replaced(reader: StripReader, pool: Any) -> Any:
        os.utime(grid_file, (1, 1))
        return start(reader, pool)

    monkeypatch.setattr(StripReader, "start", replaced)
    with pytest.raises(RasterError, match="input changed"):
        load(config())
    remove_unused_pages()
    assert list(folder.iterdir()) == []


def test_a_raster_whose_state_is_not_known_is_not_shared(config, caplog, folder: Path) -> None:
    caplog.set_level(logging.INFO)
    own = config()
    raster = DrawnRaster.of(own)

    class Wrapped:
        def __init__(self, source: Any) -> None:
            self.source = source

    with pytest.raises(TypeError, match="Wrapped cannot be described"):
        key_of(DrawnRaster(Wrapped(raster.source), raster.info, None, own), check_inputs(own, ()))  # type: ignore[arg-type]
    assert not folder.exists()


@pytest.mark.parametrize("kind", ["<M8[s]", "<m8[ns]", "<f4", "<U3"])
def test_arrays_of_all_types_are_described_by_their_content(config, kind: str) -> None:
    @dataclass
    class Source:
        values: Any

    own = config()
    raster = DrawnRaster.of(own)
    plan = check_inputs(own, ())

    def key(*numbers: int) -> str:
        source: Any = Source(np.array(numbers).astype(kind))
        return key_of(DrawnRaster(source, raster.info, raster.coloring, raster.config), plan)

    assert key(1, 2) == key(1, 2)
    assert key(1, 2) != key(1, 3)


def test_arrays_of_objects_are_not_described(config) -> None:
    @dataclass
    class Source:
        values: Any

    own = config()
    raster = DrawnRaster.of(own)
    source: Any = Source(np.array([own], object))
    with pytest.raises(TypeError, match="ndarray cannot be described"):
        key_of(DrawnRaster(source, raster.info, raster.coloring, raster.config), check_inputs(own, ()))


def anonymous_memory() -> int:
    """Return the bytes of this process that no file holds."""
    found = re.search(r"^Anonymous:\s+(\d+)", Path("/proc/self/smaps_rollup").read_text(), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def in_processes(function: Callable[[], Any], count: int) -> list[Any]:
    """Call a function in forked processes at the same time, and return the results."""
    context = multiprocessing.get_context("fork")
    queue, gate = context.SimpleQueue(), context.Barrier(count)

    def call() -> None:
        gate.wait(20)
        queue.put(function())
        gate.wait(20)  # each process uses the cells until all have them

    processes = [context.Process(target=call) for _ in range(count)]
    for process in processes:
        process.start()
    results = [queue.get() for _ in processes]
    for process in processes:
        process.join(20)
    return results


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs /proc")
@pytest.mark.parametrize("colors", [LEVELS, LIMITS], ids=["codes", "values"])
def test_workers_that_start_together_load_the_cells_once_and_need_no_memory_for_them(
    make_config, write_raster, monkeypatch, colors: dict[str, Any]
) -> None:
    cells = np.random.default_rng(1).normal(size=(1000, 1500)).astype(np.float32)
    own = make_config(raster={"path": write_raster(cells)}, colors=colors)
    load(own)  # the imports
    forget_shared_data()
    size = cells.nbytes if colors is LIMITS else cells.size
    start = StripReader.start

    def slow(reader: StripReader, pool: Any) -> Any:
        time.sleep(0.1)
        return start(reader, pool)

    monkeypatch.setattr(StripReader, "start", slow)

    def worker() -> tuple[int, int, float]:
        before, reads = anonymous_memory(), []
        monkeypatch.setattr(StripReader, "start", lambda *arguments: reads.append(1) or slow(*arguments))
        data = cells_of(load(own))
        return len(reads), anonymous_memory() - before, float(data.sum(dtype=float))

    found = in_processes(worker, 3)
    assert sum(reads for reads, _, _ in found) == 1
    assert max(used for reads, used, _ in found if not reads) < size / 3
    assert len({total for _, _, total in found}) == 1


def test_the_sample_for_the_limits_is_read_once(make_config, write_raster, monkeypatch) -> None:
    cells = np.random.default_rng(1).normal(size=(2050, 2000)).astype(np.float32)  # not all cells are in the sample
    own = make_config(raster={"path": write_raster(cells)}, colors={})
    first = load(own)
    monkeypatch.setattr("regionplot.shared.load.sample_raster", lambda *_: pytest.fail("the sample was read again"))
    second = load(own)
    assert second.loaded.series is not None
    assert second.loaded.series.size < cells.size
    assert repr(second.scale) == repr(first.scale) == repr(SharedData.load(own, cells=first.loaded).scale)


def imported_modules(own: Config, plan: Any, names: Any) -> None:
    """Load data in a spawned process, and send the names of the modules that it has imported."""
    data = shared_data(own, plan)
    MapRenderer(data).render(Region("a", Extent(-99, -98, 49, 49.5)))
    names.put([name for name in sys.modules if name.partition(".")[0] in {"rasterio", "pyogrio", "matplotlib"}])


@pytest.mark.slow
@pytest.mark.parametrize("colors", [LEVELS, {}], ids=["codes", "limits from the cells"])
def test_a_spawned_worker_uses_the_cells_and_the_frame_of_another_without_their_libraries(
    config, colors: dict[str, Any]
) -> None:
    features = [{"path": "sample:states"}]
    own = config(colors, features=features, map={"size": (200, 150), "style": "plain"})
    data = load(own)
    MapRenderer(data).prepare([])
    context = multiprocessing.get_context("spawn")
    names = context.SimpleQueue()
    process = context.Process(target=imported_modules, args=(own, check_inputs(own, ()), names))
    process.start()
    found = names.get()
    process.join(20)
    assert not [name for name in found if name.startswith(("rasterio", "pyogrio"))]
    assert set(found) <= {"matplotlib.ft2font", "matplotlib.backends._backend_agg"}


def test_only_plain_files_are_described_for_workers(config, grid_file: Path, tmp_path: Path) -> None:
    assert check_inputs(config(), ()).opened is not None
    path = tmp_path / "grid.tif.gz"
    path.write_bytes(gzip.compress(grid_file.read_bytes()))
    plan = check_inputs(config(raster={"path": path}), ())
    assert plan.opened is None, "its content is in the memory of this process"


@pytest.mark.slow
@pytest.mark.parametrize("colors", [LEVELS, LIMITS], ids=["codes", "values"])
@pytest.mark.usefixtures("spawn_from_server")
def test_spawned_workers_draw_the_maps_of_forked_workers(
    config,
    tmp_path: Path,
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    colors: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "regionplot")  # until the end of this test only
    regions = [Region(f"r{number}", Extent(-100 + number, -90 + number, -10, 40)) for number in range(6)]
    images = {}
    for method in ("fork", "spawn"):
        run = {"start_method": method, "workers": 2, "maps_per_worker": 2}
        own = config(colors, run=run, output={"directory": tmp_path / method}, map={"size": (200, 150)})
        assert render_regions(regions, own).exit_code == 0
        images[method] = {path.name: path.read_bytes() for path in (tmp_path / method).glob("*.png")}
    assert len(images["fork"]) == 6
    assert images["spawn"] == images["fork"]
    text = capfd.readouterr().err
    assert text.count(LOADED) == 1
    assert text.count(USED) >= 1
    assert list(folder.iterdir()) == []


def test_the_folder_is_none_without_a_cache_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_home() -> Path:
        raise FileNotFoundError("there is no cache folder")

    monkeypatch.setattr(pages, "user_cache_folder", no_home)
    assert page_folder() is None
    remove_unused_pages()
