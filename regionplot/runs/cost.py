"""Estimate the time, the memory and the disk space of a run, from its load plan and one or two maps.

::

    settings, regions ─► load plans (no cells are read) ─► draw samples in a worker, into a temporary folder ─► RunCost

The samples are drawn by the task and the executor of a run, so the measured costs are those of the run.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from regionplot.errors import ConfigError, RegionError
from regionplot.executors.base import Executor, WorkerSettings
from regionplot.executors.choose import count_workers, executor_class, make_executor
from regionplot.geo.region import Region
from regionplot.layers.base import Layer
from regionplot.runs.jobs import Job
from regionplot.runs.report import Observer
from regionplot.runs.run import start_method, with_prepared_raster
from regionplot.runs.task import RenderTask
from regionplot.settings.config import Config
from regionplot.settings.publish import PublishSettings
from regionplot.shared.data import SharedData
from regionplot.shared.fields import Field, find_fields
from regionplot.shared.groups import GROUP_BYTES
from regionplot.shared.load import DrawnRaster, preload_layers
from regionplot.shared.plan import LoadPlan
from regionplot.shared.slot import share_with_workers
from regionplot.system.files import new_run
from regionplot.system.machine import available_memory, peak_memory, private_memory, resident_memory
from regionplot.system.stopwatch import Stopwatch

_SAMPLES = 2
"""Maximum number of maps to draw for each product."""
_MEGABYTE = 2**20
_RESERVE = 1.1
"""Factor for memory that is not measured."""


@dataclass(frozen=True)
class MeasuredMap:
    """Costs of one sample map."""

    seconds: float
    bytes: int
    """Size of the file."""
    private: int
    """Memory of the worker that it does not share with other processes, in bytes."""


@dataclass
class MeasuredTask:
    """A task that measures the maps of another task."""

    task: RenderTask

    def start_worker(self) -> None:
        """Set up a new worker process."""
        self.task.start_worker()

    def load(self) -> None:
        """Load the data that all jobs share."""
        self.task.load()

    def __call__(self, job: Job) -> MeasuredMap:
        """Draw one map and measure it."""
        start = time.perf_counter()
        result = self.task(job)
        return MeasuredMap(time.perf_counter() - start, result.bytes, private_memory())


@dataclass(frozen=True)
class ProductCost:
    """Costs of one product."""

    name: str
    """Name of the product. Empty if there are no products."""
    times: int
    """Number of times that are drawn."""
    cells: int
    """Memory of the loaded cells of one time, in bytes."""
    reads_per_map: bool
    """True if each map reads its own cells."""
    load_seconds: float
    """Time for loading the cells of one time."""
    map_seconds: float
    """Time for one map in one worker."""
    map_bytes: float
    """Size of one map."""


@dataclass(frozen=True)
class RunCost:
    """Estimated costs of a run."""

    method: str
    """Start method."""
    workers: int
    regions: int
    products: Sequence[ProductCost]
    layers_seconds: float
    """Time for loading the vector layers."""
    base: int
    """Memory of a process without cells, in bytes: the program, its libraries and the vector layers."""
    loading: int
    """Largest memory while the samples were loaded, in bytes."""
    private: int
    """Memory of a worker that it does not share with other processes, in bytes."""
    available: int
    """Memory that this process can still use, in bytes. The machine and the control groups limit it."""
    disk: int
    """Free space in the output folder, in bytes."""

    @property
    def maps(self) -> int:
        """Number of maps."""
        return self.regions * sum(product.times for product in self.products)

    @property
    def cells(self) -> int:
        """Largest memory of cells that are loaded at once, in bytes."""
        largest = max(product.cells for product in self.products)
        total = sum(product.cells * product.times for product in self.products)
        return max(largest, min(total, GROUP_BYTES))

    @property
    def memory(self) -> int:
        """Memory of the run with all its workers, in bytes."""
        return self.memory_with(self.workers)

    def memory_with(self, workers: int) -> int:
        """Return the memory of the run with another number of workers, in bytes."""
        process = max(self.base + self.cells, self.loading)
        abilities = executor_class(self.method).abilities
        if abilities.shares_memory:
            return process + workers * self.private
        if abilities.loads_once:
            return self.base + process + workers * self.private
        return self.base + workers * (process + self.private)

    @property
    def load_seconds(self) -> float:
        """Time for loading all data."""
        shared = self._loads_once
        each = sum(product.load_seconds * product.times for product in self.products) + self.layers_seconds
        return each if shared else each * self.workers / min(self.workers, count_workers("auto", self.workers))

    @property
    def draw_seconds(self) -> float:
        """Time for drawing all maps with all workers."""
        total = sum(product.map_seconds * product.times * self.regions for product in self.products)
        return total / max(1, min(self.workers, count_workers("auto", self.workers)))

    @property
    def bytes(self) -> float:
        """Size of all maps."""
        return sum(product.map_bytes * product.times * self.regions for product in self.products)

    def problems(self) -> list[str]:
        """Return the reasons why the run does not fit on this machine, with their cures. Empty if it fits."""
        found = []
        if self.memory * _RESERVE > self.available + self.base:
            found.append(
                f"the run needs about {_megabytes(self.memory)}, but {_megabytes(self.available + self.base)} are "
                f"available; {self._memory_cure()}"
            )
        if self.bytes * _RESERVE > self.disk:
            found.append(
                f"the maps need about {_megabytes(self.bytes)}, but the disk of the output folder has "
                f"{_megabytes(self.disk)} free; free some space, or set another folder (--output)"
            )
        return found

    @property
    def _loads_once(self) -> bool:
        abilities = executor_class(self.method).abilities
        return abilities.shares_memory or abilities.loads_once

    def _memory_cure(self) -> str:
        limit = (self.available + self.base) / _RESERVE
        workers = next((count for count in range(self.workers - 1, 0, -1) if self.memory_with(count) <= limit), 0)
        if workers:
            return f"use fewer workers (--workers {workers})"
        if not self._loads_once:
            return 'let workers share the data (start_method = "auto" in [run]), or draw smaller regions'
        budget = max(1, int((limit - self.base - self.private) / 2) // _MEGABYTE)
        return f"let each map read its own cells (memory = {budget} in [run]), or draw smaller regions"


def estimate_cost(config: Config, regions: Sequence[Region]) -> RunCost:
    """Return the estimated costs of a run. One or two maps of each product are drawn into a temporary folder.

    Steps of `[[prepare]]` are run. Their result stays in the cache, so the run does not repeat them.

    Parameters
    ----------
    config : Config
        The settings.
    regions : sequence of Region
        All regions of the run.

    Raises
    ------
    ConfigError
        If the cells that the run loads exceed the available memory. They are not loaded.
    RegionplotError
        If the samples cannot be drawn.
    """
    fields = find_fields(config) if config.has_fields else [Field(config)]
    counts = Counter(each.product for each in fields)
    firsts = list({each.product: each for each in reversed(fields)}.values())[::-1]
    method = start_method(config)
    sampling = _Sampling(method, [region.at_start for region in regions])
    products = [sampling.product(each, counts[each.product]) for each in firsts]
    return RunCost(
        method=method,
        workers=count_workers(config.run.workers, len(regions) * len(fields)),
        regions=len(regions),
        products=products,
        layers_seconds=sampling.layers_seconds,
        base=sampling.base,
        loading=sampling.loading,
        private=sampling.private,
        available=available_memory(),
        disk=shutil.disk_usage(_existing(config.output.directory)).free,
    )


def _existing(folder: Path) -> Path:
    """Return a folder, or the nearest folder above that exists."""
    return next(each for each in (folder.absolute(), *folder.absolute().parents) if each.is_dir())


@dataclass
class _Sampling:
    """Samples of a run."""

    method: str
    regions: Sequence[Region]
    layers: tuple[Layer, ...] = ()
    layers_seconds: float = 0.0
    base: int = 0
    loading: int = 0
    private: int = 0

    def product(self, field: Field, times: int) -> ProductCost:
        """Measure one field of a product."""
        if field.problem is not None:
            raise field.problem
        with with_prepared_raster(field.config, Stopwatch(), Observer()) as config:
            assert isinstance(config, Config), "no data are loaded yet"
            raster = DrawnRaster.of(config)
            plan = raster.plan(self.regions)
            cells = raster.loaded_bytes(plan)
            _check_fits(cells, config)
            return self._drawn(field, config, raster, plan, times)

    def _drawn(self, field: Field, config: Config, raster: DrawnRaster, plan: LoadPlan, times: int) -> ProductCost:
        cells = raster.loaded_bytes(plan)
        samples = _samples(self.regions)
        own = raster.plan(samples)
        self._load_layers(config)
        before = resident_memory()
        start = time.perf_counter()
        shared = SharedData.load(config, plan=own, raster=raster, layers=self.layers)
        seconds = time.perf_counter() - start
        loaded = raster.loaded_bytes(own)
        held, peak = resident_memory(), peak_memory()
        maps = self._draw(shared, samples)
        self.base = max(self.base, held - loaded, before)
        self.loading = max(self.loading, held)
        sizes = [each.private for each in maps] if self._forks else [_growth(held, peak)]
        self.private = max(self.private, *sizes)
        return ProductCost(
            name=field.product,
            times=times,
            cells=cells,
            reads_per_map=plan.reads_per_map,
            load_seconds=seconds * max(1.0, cells / max(1, loaded)),
            map_seconds=sum(each.seconds for each in maps) / len(maps),
            map_bytes=sum(each.bytes for each in maps) / len(maps),
        )

    def _load_layers(self, config: Config) -> None:
        """Load the vector layers once, and measure the time."""
        if not self.layers:
            start = time.perf_counter()
            self.layers = preload_layers(config)
            self.layers_seconds = time.perf_counter() - start

    def _draw(self, shared: SharedData, samples: Sequence[Region]) -> list[MeasuredMap]:
        """Draw the samples with one worker."""
        with tempfile.TemporaryDirectory(prefix="regionplot-") as name:
            config = shared.config
            output = config.output.model_copy(update={"directory": Path(name)})
            config = config.model_copy(update={"output": output, "publish": PublishSettings()})
            suffix = Path(config.output.filename).suffix
            jobs = [Job(region, f"{name}/{number}{suffix}") for number, region in enumerate(samples)]
            with share_with_workers(replace(shared, config=config)):
                task = MeasuredTask(RenderTask(config, new_run(), shared.plan, len(jobs), regions=samples))
                return _values(self._executor(config).run(task, jobs))

    @property
    def _forks(self) -> bool:
        """True if the samples are drawn in a forked process. Otherwise, they are drawn in this process."""
        abilities = executor_class(self.method).abilities
        return abilities.shares_memory and abilities.survives_crashes

    def _executor(self, config: Config) -> Executor:
        limits = WorkerSettings(timeout=config.run.timeout)
        return make_executor(self.method if self._forks else "serial", 1, limits)


def _growth(held: int, peak: int) -> int:
    """Return how much memory this process has needed in addition to `held` bytes, at most.

    The answer is 0 if the process has not exceeded `peak`, because that peak may be older than the samples.
    """
    now = peak_memory()
    return now - held if now > peak else 0


def _values(outcomes: Any) -> list[MeasuredMap]:
    """Return the results of the samples that could be drawn."""
    found = list(outcomes)
    done = [outcome.value for outcome in found if outcome.ok]
    if not done:
        raise RegionError(f"no sample map can be drawn: {found[0].failure.message}")
    return done


def _samples(regions: Sequence[Region]) -> list[Region]:
    """Return the regions of median and of largest area."""
    ordered = sorted(regions, key=lambda region: region.extent.width * region.extent.height)
    return list({region.name: region for region in (ordered[len(ordered) // 2], ordered[-1])}.values())[:_SAMPLES]


def _check_fits(cells: int, config: Config) -> None:
    """Raise ConfigError if the cells of a plan exceed the available memory."""
    available = available_memory()
    if cells * _RESERVE <= available:
        return
    raise ConfigError(
        f"{config.raster.path}: the run would load cells of {_megabytes(cells)}, but {_megabytes(available)} of memory "
        f"are available; let each map read its own cells (memory = {max(1, available // 4 // _MEGABYTE)} in [run]), "
        "or draw smaller regions"
    )


def _megabytes(size: float) -> str:
    return f"{math.ceil(size / _MEGABYTE):,} MB"
