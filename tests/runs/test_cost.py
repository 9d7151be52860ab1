"""The estimated costs of a run are those of the run, and a run that cannot fit is refused with the cure."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from regionplot.errors import ConfigError
from regionplot.executors.base import WorkerSettings
from regionplot.executors.choose import make_executor
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs import cost
from regionplot.runs.cost import MeasuredTask, estimate_cost
from regionplot.runs.jobs import Job
from regionplot.runs.task import RenderTask
from regionplot.shared.data import SharedData
from regionplot.shared.slot import share_with_workers

SMALL = {"map": {"size": [300, 200]}}
REGIONS = [Region(f"r{n}", Extent(-99 + n, -95 + n, 40, 44)) for n in range(4)]
LEVELS = {"colors": {"levels": [0, 1, 2]}}
CONTINUOUS = {"colors": {"vmin": 0, "vmax": 1}}


@pytest.fixture
def config(make_config, write_raster):
    """Return a function that makes settings for a raster of 20 × 30 cells of one degree."""

    def make(dtype: str = "float32", **sections):
        path = write_raster(np.random.default_rng(1).uniform(0, 9, (20, 30)).astype(dtype))
        run = {"start_method": "serial", "workers": 1, **sections.pop("run", {})}
        return make_config(raster={"path": path}, run=run, **{**SMALL, **sections})

    return make


@pytest.mark.parametrize(
    ("dtype", "colors", "size"), [("float32", LEVELS, 1), ("float32", CONTINUOUS, 4), ("float64", CONTINUOUS, 8)]
)
def test_the_memory_of_cells_is_that_of_the_loaded_arrays(config, dtype: str, colors, size: int) -> None:
    settings = config(dtype, **colors)
    found = estimate_cost(settings, REGIONS)
    loaded = SharedData.load(settings, REGIONS).loaded
    array = loaded.codes if loaded.values is None else loaded.values
    assert found.products[0].cells == array.nbytes == array.size * size
    assert found.maps == 4
    assert found.cells == found.products[0].cells


def test_the_memory_of_a_worker_is_that_of_the_run(config) -> None:
    settings = config(run={"start_method": "fork"}, **CONTINUOUS)
    found = estimate_cost(settings, REGIONS)
    shared = SharedData.load(settings, REGIONS)
    folder = settings.output.directory
    folder.mkdir()
    jobs = [Job(region, str(folder / f"{region.name}.png")) for region in REGIONS]
    with share_with_workers(shared):
        task = MeasuredTask(RenderTask(settings, "run", shared.plan, len(jobs), regions=REGIONS))
        outcomes = list(make_executor("fork", 1, WorkerSettings()).run(task, jobs))
    actual = max(outcome.value.private for outcome in outcomes)
    assert actual / 2 < found.private < 2 * actual
    sizes = sum(outcome.value.bytes for outcome in outcomes)
    assert sizes / 2 < found.bytes < 2 * sizes
    assert found.memory == max(found.base + found.cells, found.loading) + found.private


def test_more_workers_need_more_memory(config) -> None:
    found = estimate_cost(config(**CONTINUOUS), REGIONS)
    assert found.memory_with(5) - found.memory_with(1) == 4 * found.private


def test_only_workers_that_load_the_data_themselves_hold_copies_of_the_cells(config) -> None:
    found = replace(estimate_cost(config(**CONTINUOUS), REGIONS), private=2**20, available=0, disk=2**40)
    fork, forkserver, spawn = (replace(found, method=method) for method in ("fork", "forkserver", "spawn"))
    growth = [each.memory_with(5) - each.memory_with(1) for each in (fork, forkserver, spawn)]
    assert growth[:2] == [4 * 2**20] * 2
    assert growth[2] > 4 * found.cells
    assert forkserver.memory == fork.memory + found.base, "the program and the process with the data"
    assert forkserver.load_seconds == fork.load_seconds
    assert "let each map read its own cells" in forkserver.problems()[0]
    assert 'let workers share the data (start_method = "auto" in [run])' in spawn.problems()[0]


def test_products_and_times_are_counted(config, write_raster) -> None:
    path = write_raster(np.ones((20, 30), np.float32), name="other.tif")
    products = {"a": {}, "b": {"raster": {"path": path}}}
    found = estimate_cost(config(products=products, **CONTINUOUS), REGIONS)
    assert [(product.name, product.times) for product in found.products] == [("a", 1), ("b", 1)]
    assert found.maps == 8
    assert found.cells == sum(product.cells for product in found.products)


def test_cells_that_cannot_fit_are_refused_before_they_are_read(config, monkeypatch) -> None:
    settings = config(run={"memory": 100}, **CONTINUOUS)
    monkeypatch.setattr(cost, "available_memory", lambda: 300)
    monkeypatch.setattr(SharedData, "load", lambda *_, **__: pytest.fail("cells are read"))
    with pytest.raises(ConfigError, match=r"grid.tif: the run would load cells of 1 MB.*memory = 1 in \[run\]"):
        estimate_cost(settings, REGIONS)


def test_the_suggested_number_of_workers_fits(config) -> None:
    found = replace(estimate_cost(config(**CONTINUOUS), REGIONS), workers=8, private=2**24, disk=2**40)
    limited = replace(found, available=int(found.memory_with(3) * 1.1) - found.base + 1)
    assert "use fewer workers (--workers 3)" in limited.problems()[0]
    assert replace(limited, workers=3).problems() == []
    assert "let each map read its own cells" in replace(limited, available=0).problems()[0]
    assert "free some space" in replace(found, available=2**40, disk=0).problems()[0]


def test_the_command_prints_costs_and_writes_no_map(run_command, tmp_path: Path) -> None:
    (tmp_path / "regions.csv").write_text("name,west,east,south,north\na,-84,-76,34,37\n")
    (tmp_path / "regionplot.toml").write_text("[raster]\npath = 'sample:relief'\n[map]\nsize = [300, 200]\n")
    options = ("--start-method", "serial", "--workers", "1")
    done = run_command(tmp_path, "cost", "regions.csv", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1 map, 1 worker (serial)\n")
    assert max(map(len, done.stdout.splitlines())) <= 80
    found = json.loads(run_command(tmp_path, "cost", "regions.csv", "--json", *options).stdout)
    assert found["memory"]["total"] > found["memory"]["cells"] > 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["regionplot.toml", "regions.csv"]
