"""Fixtures that several test modules share."""

from __future__ import annotations

import functools
import gc
import importlib.metadata
import multiprocessing
import os
import re
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis
import numpy as np
import pytest
import server_spawn
from affine import Affine
from loggers import fresh_logging
from numpy.typing import NDArray
from warm_start import USUAL_MODULES, WORKER_MODULES, Command, WarmProcess

from regionplot.cli import commands
from regionplot.executors.processes import ForkExecutor
from regionplot.executors.serial import SerialExecutor
from regionplot.inputs import isolation
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData
from regionplot.system.memory import return_free_memory

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell starts background jobs with SIGINT ignored
    signal.signal(signal.SIGINT, signal.default_int_handler)

multiprocessing.set_forkserver_preload(list(WORKER_MODULES))  # only the server imports the modules, not each worker

importlib.metadata.version = functools.cache(importlib.metadata.version)  # each digest asks for many versions
gc.set_threshold(5000, 10, 20)
_FREEZE_AND_UNFREEZE = gc.freeze, gc.unfreeze

hypothesis.settings.register_profile(
    "regionplot", deadline=None, max_examples=60, database=None, derandomize=bool(os.environ.get("CI"))
)
hypothesis.settings.load_profile("regionplot")

_SLOW_MODULES = {
    "blocks/test_block_faults.py",
    "blocks/test_blocks_documentation.py",
    "blocks/test_cog.py",
    "blocks/test_map_tiles.py",
    "blocks/test_mosaic.py",
    "blocks/test_process_blocks.py",
    "blocks/test_tiles.py",
    "cli/test_command.py",
    "cli/test_imports.py",
    "cli/test_other_platforms.py",
    "cli/test_known_runs.py",
    "cli/test_repeated_runs.py",
    "cli/test_unattended.py",
    "cli/test_watch.py",
    "executors/test_dask.py",
    "executors/test_dask_maps.py",
    "executors/test_data_process.py",
    "executors/test_faults.py",
    "faults/test_inputs.py",
    "faults/test_preparing.py",
    "faults/test_security.py",
    "faults/test_soak.py",
    "faults/test_workers.py",
    "geo/test_areas.py",
    "geo/test_curvilinear.py",
    "geo/test_interpolation.py",
    "geo/test_jumps.py",
    "geo/test_sampling.py",
    "inputs/test_vector_files.py",
    "inputs/test_vectors.py",
    "layers/test_other_package.py",
    "prepare/test_plugin_steps.py",
    "prepare/test_prepare_rasters.py",
    "prepare/test_steps_blocks.py",
    "render/test_colorbar.py",
    "render/test_curvilinear_maps.py",
    "render/test_ink.py",
    "render/test_own_colors.py",
    "render/test_own_functions.py",
    "render/test_plain_equals_fast.py",
    "render/test_real_data.py",
    "render/test_truth.py",
    "runs/test_digests.py",
    "runs/test_products.py",
    "runs/test_record.py",
    "runs/test_run.py",
    "runs/test_threaded_program.py",
    "system/test_guard.py",
    "test_benchmarks.py",
    "writers/test_formats_elsewhere.py",
}
_SLOW_PARAMETERS = {"dask", "forkserver", "spawn"}
"""Executors whose workers must import everything."""
_SLOW_WORDS = ("all_start_methods", "dask", "spawned")
"""Words in the names of tests without parameters whose workers must import everything."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Return the number of parallel workers: one more than cores, because many slow tests wait for a timeout."""
    return None if config.option.markexpr else len(os.sched_getaffinity(0)) + 1


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(file_path: Path) -> Generator[None, list[pytest.Collector], list[pytest.Collector]]:
    """Look for doctests only in test modules with a prompt. In each process, the search takes half a second."""
    found = yield
    if file_path.suffix == ".py" and ">>>" not in file_path.read_text(encoding="utf-8"):
        return [collector for collector in found if type(collector) is pytest.Module]
    return found


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark slow tests by module, by executor and if they start processes, and run the longest tests first.

    So the parallel workers have only short tests to share at the end.
    """
    tests = Path(__file__).parent
    for item in items:
        parameters = re.findall(r"[^\[\]-]+", item.name.partition("[")[2])
        function = item.name.partition("[")[0]
        if (
            not _SLOW_PARAMETERS.isdisjoint(parameters)
            or any(word in function for word in _SLOW_WORDS)
            or "warm_process" in getattr(item, "fixturenames", ())
            or (item.path.is_relative_to(tests) and item.path.relative_to(tests).as_posix() in _SLOW_MODULES)
        ):
            item.add_marker(pytest.mark.slow)
    items.sort(key=_rank)


def pytest_collection_finish() -> None:
    """Exclude the tests and the imported modules from collections of garbage: half a million objects in each worker.

    Runs freeze and unfreeze all objects. `gc.unfreeze` would end the exclusion, so both functions have no effect,
    except in tests that use the fixture `thawed`.
    """
    gc.collect()
    gc.freeze()
    gc.freeze = gc.unfreeze = lambda: None


def _rank(item: pytest.Item) -> int:
    """Return a number for the order of tests: the type check, the benchmarks, other slow tests, quick tests."""
    if "test_types" in item.name:
        return 0
    if item.path.name == "test_benchmarks.py":
        return 1
    return 2 if item.get_closest_marker("slow") else 3


WriteRaster = Callable[..., Path]
Sections = Callable[..., Any]


@pytest.fixture(scope="session")
def shared_data_folder() -> Path:
    """Return the folder of real data beside the repository. CI must have it; elsewhere, its tests are skipped."""
    folder = Path(__file__).parents[1].parent / "shared" / "data"
    if not folder.is_dir():
        if os.environ.get("CI"):
            pytest.fail("../shared/data is missing")
        pytest.skip("../shared/data is not here")
    return folder


@pytest.fixture(scope="module", autouse=True)
def free_memory() -> Iterator[None]:
    """Free the memory of each module of tests. The time of a fork grows with the memory of the process.

    Objects that are left are modules and caches, so later collections exclude them, too.
    """
    yield
    gc.collect()
    _FREEZE_AND_UNFREEZE[0]()
    return_free_memory()


@pytest.fixture
def write_raster(tmp_path: Path) -> WriteRaster:
    """Return a function that writes bands, shape (rows, columns) or (bands, rows, columns), to a GeoTIFF.

    The cells are 1 degree wide by default.
    """

    def write(values: Any, affine: Affine | None = None, crs: str | None = "EPSG:4326", **options: Any) -> Path:
        import rasterio

        bands = np.atleast_3d(np.asarray(values)) if np.ndim(values) == 3 else np.asarray(values)[None]
        path = tmp_path / options.pop("name", "grid.tif")
        table = options.pop("colormap", None)
        tags, descriptions = options.pop("tags", {}), options.pop("descriptions", ())
        profile = {
            "driver": "GTiff", "dtype": bands.dtype, "count": len(bands), "height": bands.shape[1],
            "width": bands.shape[2], "crs": crs, "transform": affine or Affine(1, 0, -100, 0, -1, 50), **options,
        }  # fmt: skip
        scales, offsets = profile.pop("scales", None), profile.pop("offsets", None)
        with rasterio.open(path, "w", **profile) as file:
            if table:
                file.write_colormap(1, table)
            file.write(bands)
            file.update_tags(**tags)
            for number, text in enumerate(descriptions, 1):
                file.set_band_description(number, text)
            if scales:
                file.scales, file.offsets = scales, offsets
        return path

    return write


@pytest.fixture
def write_netcdf(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes variables, given as values or (values, attributes), to a NetCDF-3 file.

    Variables with equal lengths share a dimension.
    """

    def write(name: str = "grid.nc", **variables: Any) -> Path:
        from scipy.io import netcdf_file

        path = tmp_path / name
        with netcdf_file(path, "w") as file:
            for variable, content in variables.items():
                values, attributes = content if isinstance(content, tuple) else (content, {})
                for length in set(values.shape) - set(file.dimensions.values()):
                    file.createDimension(f"d{length}", length)
                stored = file.createVariable(variable, values.dtype, [f"d{length}" for length in values.shape])
                stored[:] = values
                for key, value in attributes.items():
                    setattr(stored, key, value)
        return path

    return write


@pytest.fixture
def write_vector(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes geometries to a vector file. None is a null geometry.

    The suffix of `name` decides the format, by default a shapefile.
    """

    def write(geometries: list[Any], crs: str | None = "EPSG:4326", name: str = "layer.shp", **options: Any) -> Path:
        import pyogrio.raw
        import shapely

        path = tmp_path / name
        wkb = np.array([None if g is None else shapely.to_wkb(g) for g in geometries], dtype=object)
        kind = options.pop("geometry_type", None) or next(g.geom_type for g in geometries if g is not None)
        fields = options.pop("fields", {"id": np.arange(len(geometries))})
        pyogrio.raw.write(path, wkb, [*fields.values()], [*fields], geometry_type=kind, crs=crs, **options)
        return path

    return write


@pytest.fixture
def read_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Read vector files in this process. A fork of the process of the tests takes longer than reading a small file.

    `inputs/test_isolation.py` tests that a child process returns the same layer, table and error.
    """
    monkeypatch.setattr(isolation, "can_fork", lambda: False)


@pytest.fixture
def draw_in_process(request: pytest.FixtureRequest) -> Iterator[pytest.MonkeyPatch]:
    """Let the executor `fork` run its jobs in this process. A fork of the process of the tests takes 0.05 s.

    `executors/test_contract.py` tests that all executors give the same outcomes, and several tests of runs that they
    give the same maps. A test that needs forked workers has the parameter `fork`, or calls `undo` of the value.
    """
    with pytest.MonkeyPatch.context() as patch:
        if "fork" not in map(str, request.node.callspec.params.values() if hasattr(request.node, "callspec") else ()):
            patch.setattr(ForkExecutor, "run", SerialExecutor.run)
        yield patch


@pytest.fixture
def spawn_from_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `spawn` start its processes from the forkserver, without the time of their imports; see `server_spawn`.

    Tests of libraries that a process imports, and the contract of executors, use new interpreters.
    """
    server_spawn.spawn_from_server(monkeypatch)


@pytest.fixture
def make_config(tmp_path: Path) -> Callable[..., Config]:
    """Return a function that makes a config from sections. The raster is the sample's relief by default."""

    def make(**sections: Any) -> Config:
        sections = {"raster": {"path": "sample:relief"}, "output": {"directory": tmp_path / "maps"}, **sections}
        return read_config(sections)

    return make


@pytest.fixture
def load(make_config: Callable[..., Config]) -> Callable[..., SharedData]:
    """Return a function that loads shared data for a config of the given sections."""
    return lambda **sections: SharedData.load(make_config(**sections))


@pytest.fixture
def noise() -> NDArray[np.float32]:
    """Return two bands of noise."""
    return np.random.default_rng(5).normal(size=(2, 70, 90)).astype(np.float32)


@pytest.fixture
def grid_file(write_raster: Callable[..., Path], noise: NDArray[Any]) -> Path:
    """Write the noise to a tiled raster with nodata, scales, offsets, band names and tags."""
    return write_raster(
        noise, nodata=-9999.0, tiled=True, blockxsize=32, blockysize=16, compress="deflate", predictor=3,
        descriptions=("snow", "water"), scales=(0.5, 2.0), offsets=(0.0, 1.0),
        tags={"VALID_TIME": "2026-11-20T00:00:00"},
    )  # fmt: skip


@pytest.fixture
def read_raster() -> Callable[[Path], NDArray[Any]]:
    """Return a function that reads all bands of a raster."""

    def read_bands(path: Path) -> NDArray[Any]:
        import rasterio

        with rasterio.open(path) as dataset:
            return dataset.read()

    return read_bands


@dataclass(frozen=True)
class Finished:
    """Result of a command that ran in the process of the tests."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run_command(capfd: pytest.CaptureFixture[str]) -> Callable[..., Finished]:
    """Return a function that runs the command in this process, which saves the time for imports.

    The working directory, the environment and the loggers are restored. The command itself restores the signal
    handlers. Use `start_command` for tests of signals, deadlines and limits.
    """

    def run(folder: Path, *arguments: object, **environment: str) -> Finished:
        capfd.readouterr()
        with chdir(folder), mock.patch.dict(os.environ, environment), fresh_logging():
            code = commands.run([str(argument) for argument in arguments])
        return Finished(code, *capfd.readouterr())

    return run


@pytest.fixture
def thawed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let collections of garbage traverse all objects during a test, as in a usual program."""
    freeze, unfreeze = _FREEZE_AND_UNFREEZE
    monkeypatch.setattr(gc, "freeze", freeze)
    monkeypatch.setattr(gc, "unfreeze", unfreeze)
    unfreeze()
    yield
    freeze()


@pytest.fixture(scope="session")
def warm_process() -> Iterator[WarmProcess]:
    """Yield a process that starts commands without waiting for their imports."""
    with WarmProcess() as process:
        yield process


@pytest.fixture(scope="session")
def light_process() -> Iterator[WarmProcess]:
    """Yield a process that starts commands and has imported only the usual libraries, for tests of other imports."""
    with WarmProcess(USUAL_MODULES) as process:
        yield process


@pytest.fixture
def start_command(warm_process: WarmProcess) -> Iterator[Callable[..., Command]]:
    """Yield a function that starts a command as a process, which ends with the test; see `WarmProcess.start`."""
    started: list[Command] = []

    def start(folder: Path, *arguments: object, **options: Any) -> Command:
        started.append(warm_process.start(folder, *arguments, **options))
        return started[-1]

    yield start
    for command in started:
        with command:
            command.kill()
