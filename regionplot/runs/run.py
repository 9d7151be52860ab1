"""Draw the maps of all regions: check, prepare, load once, draw with an executor, report.

::

    regions + config ─► check ─► prepare ─► jobs ─► executor( RenderTask ) ─► outcomes ─► RunReport
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regionplot.errors import RasterReplacedError, RegionsError
from regionplot.executors.base import Executor, WorkerSettings
from regionplot.executors.choose import (
    AUTO,
    connect_executor,
    count_workers,
    executor_class,
    make_executor,
    resolve_executor,
)
from regionplot.geo.region import Region
from regionplot.inputs.describe import inspect_raster
from regionplot.layers.stack import draws_shapes
from regionplot.regions.table import read_regions, read_regions_if_any
from regionplot.runs import store
from regionplot.runs.ahead import Ahead
from regionplot.runs.checks import check_all, check_arguments, check_config
from regionplot.runs.early_cells import start_cells
from regionplot.runs.execute import execute, jobs_to_draw, report_full_disk, warn_of_new_raster
from regionplot.runs.facts import RunFacts
from regionplot.runs.filenames import assign_file_names
from regionplot.runs.gather import gathering
from regionplot.runs.hints import start_hints
from regionplot.runs.jobs import JOBS_AHEAD, Job
from regionplot.runs.leftovers import Leftovers
from regionplot.runs.lock import locked
from regionplot.runs.moving import have_moving_regions, placed_jobs
from regionplot.runs.plausibility import scale_problem
from regionplot.runs.record import Redraw, RunRecord, Scope
from regionplot.runs.report import Observer, RunReport
from regionplot.runs.task import RenderTask
from regionplot.runs.texts import find_fonts, report_missing_letters
from regionplot.settings.config import Config
from regionplot.settings.regions import RegionSettings
from regionplot.settings.run import RunSettings
from regionplot.shared.data import SharedData
from regionplot.shared.load import check_inputs
from regionplot.shared.plan import LoadPlan
from regionplot.shared.slot import share_with_workers
from regionplot.system import failpoints
from regionplot.system.stopwatch import Stopwatch

if TYPE_CHECKING:
    import pandas as pd

    from regionplot.layers.base import Layer


logger = logging.getLogger(__name__)
_MAX_REPLACEMENTS = 3
"""Maximum number of times that loading starts again because the raster was replaced."""


def render_regions(
    regions: Sequence[Region] | str | Path | pd.DataFrame,
    data: Config | SharedData,
    *,
    only: Sequence[str] = (),
    force: bool = False,
    allow_empty: bool = False,
    prune: bool = False,
    products: Sequence[str] = (),
    layers: Sequence[Layer] = (),
    observer: Observer | None = None,
    draw: Callable[..., Any] | None = None,
    decorate: Callable[..., Any] | None = None,
    load: Callable[..., Any] | None = None,
    client: Any = None,
) -> RunReport:
    """Draw the map of every region into the output folder of a config.

    A map is kept if nothing has changed since the previous run. The function is safe in a host program: it does not
    change signal handlers, rcParams, the environment or the start method of `multiprocessing`. If the host runs
    threads, `start_method = "auto"` does not use fork. A script then needs `if __name__ == "__main__":`, as for any use
    of `multiprocessing`.

    Parameters
    ----------
    regions : sequence of Region, path, or DataFrame
        The regions, the path of a table of regions, or a table in memory as for `read_regions`: a DataFrame, or a
        GeoDataFrame whose geometries give the limits.
    data : Config or SharedData
        Settings, or loaded data. Workers that this process forks inherit loaded data. Other processes load the data
        again from the files that its config names. Data that are only in memory, such as from `SharedData.from_arrays`,
        are written once to a temporary file, which other processes map into memory.
    only : sequence of str
        Glob patterns. Regions whose names match no pattern are left out.
    force : bool
        Also draw unchanged maps.
    allow_empty : bool
        Accept an empty table. The report then has no outcomes.
    prune : bool
        Remove the maps of regions that are no longer in the table. Only maps that the manifest describes are removed.
    products : sequence of str
        Glob patterns. Products whose names match no pattern are left out.
    layers : sequence of Layer
        Layers of an earlier run. Their data is reused if the input files are unchanged.
    observer : Observer, optional
        Receives each outcome as soon as it is known.
    draw : callable, optional
        Your own function, which draws each map instead of regionplot: `draw(shared, region)` returns a matplotlib
        figure, axes, the bytes of an image, or an array of pixels, shape (rows, columns, 3 or 4). See docs/drawing.md.
    decorate : callable, optional
        Your own function, which adds to each map: `decorate(axes, region, shared)` gets a cartopy GeoAxes.
    load : callable, optional
        Your own function, which is called once as `load(shared)`. `draw` and `decorate` find what it returns in
        `shared.extra`.
    client : distributed.Client, optional
        A connected client of a dask cluster, which draws the maps.

    Returns
    -------
    RunReport
        The outcome of each region. A region that fails does not stop the run.

    Raises
    ------
    ConfigError, RegionsError, OutputError
        If the settings, the regions or the output folder are not valid. Most of these errors are raised before
        data is loaded.
    LockedError
        If another run is drawing into the output folder.
    InputError
        If the raster or a vector file cannot be read.
    BlockError
        If a raster step fails.
    """
    watch = Stopwatch()
    check_arguments(regions, data.config if isinstance(data, SharedData) else data, layers)
    data = _with_functions(data, draw=draw, decorate=decorate, load=load)
    config = data.config if isinstance(data, SharedData) else data
    read = read_regions_if_any if allow_empty else read_regions
    is_table = isinstance(regions, str | Path) or not isinstance(regions, Sequence)
    found: Sequence[Region] = _read_table(regions, read, config) if is_table else list(regions)  # type: ignore[arg-type]
    if allow_empty and not found:
        watch.lap("check")
        return RunReport((), sum(watch.seconds.values()), "serial", 0, watch.seconds)
    selected = _without_shapes(_select(found, only), config)
    redraw = Redraw.ALL if force else Redraw.CHANGED
    scope = Scope.SELECTION if only or products else Scope.TABLE
    leftovers = Leftovers.REMOVE if prune else Leftovers.KEEP
    if products or (data.products if isinstance(data, SharedData) else data.has_fields):
        from regionplot.runs.field_run import FieldRun  # noqa: PLC0415 (only settings with several fields need it)

        run = FieldRun(data, selected, tuple(products), tuple(layers), observer or Observer(), client)
        return run.draw(watch, redraw, scope, leftovers)
    check_config(config, selected)
    method = start_method(config) if client is None else "dask"
    store.prepare_directory(config.output.directory)
    with locked(config.output.directory):
        facts, policies = RunFacts.of(config), (redraw, scope, leftovers)  # no variable keeps the names in memory
        with RunRecord(facts, assign_file_names(selected, config), watch, method, *policies) as record:
            record.client = client
            moment = _draw_all(record, data, layers, selected, observer or Observer())
        record.after_published(config.run, moment)
        return record.report


def _with_functions(data: Config | SharedData, **functions: Callable[..., Any] | None) -> Config | SharedData:
    """Return settings or data with functions of the user."""
    if all(function is None for function in functions.values()):
        return data
    from regionplot.shared.functions import with_functions  # noqa: PLC0415 (only runs with functions need it)

    return with_functions(data, **functions)


def start_method(config: Config) -> str:
    """Return the start method of a run: `serial` if `auto` would need to send a function that cannot be sent."""
    method = resolve_executor(config.run.method)
    if method == "dask" and not config.run.has_scheduler:
        logger.warning("no dask scheduler is given; a local dask cluster on this machine draws the maps")
    if config.run.method != AUTO or not config.has_functions or executor_class(method).abilities.shares_memory:
        return method
    from regionplot.shared.functions import can_be_sent  # noqa: PLC0415 (only runs with functions need it)

    if can_be_sent(config):
        return method
    logger.info("the maps are drawn one after the other, because this program cannot send its functions to workers")
    return "serial"


def check_functions(config: Config, start_method: str) -> None:
    """Raise ConfigError if a function of the user cannot be sent to workers that are not forked."""
    if config.has_functions and not executor_class(start_method).abilities.shares_memory:
        from regionplot.shared.functions import check_functions_pickle  # noqa: PLC0415

        check_functions_pickle(config, start_method)


def _read_table(
    table: str | Path | pd.DataFrame, read: Callable[[Any, RegionSettings], Sequence[Region]], config: Config
) -> Sequence[Region]:
    """Read a table of regions. If it has faults, report the faults of the settings, too."""
    try:
        return read(table, config.regions)
    except RegionsError as error:
        raise check_all(error, config, list) from None


def _select(regions: Sequence[Region], patterns: Sequence[str]) -> list[Region]:
    """Return the regions whose names match a pattern. Return all regions if there are no patterns."""
    selected = [
        region for region in regions if not patterns or any(fnmatchcase(region.name, pattern) for pattern in patterns)
    ]
    if not selected:
        what = f"no region's name matches {' or '.join(map(repr, patterns))}" if patterns else "no regions"
        raise RegionsError(f"{what}; nothing to draw")
    return selected


def _without_shapes(regions: list[Region], config: Config) -> list[Region]:
    """Return regions without their geometries, if neither statistics nor layers need them.

    A worker then receives less for each map.
    """
    if any(own.statistics.is_active or draws_shapes(own) for own in (config, *config.products.values())):
        return regions
    return [replace(region, shape=b"") if region.shape else region for region in regions]


def _draw_all(
    record: RunRecord,
    data: Config | SharedData,
    layers: Sequence[Layer],
    regions: Sequence[Region],
    observer: Observer,
) -> object:
    """Prepare the raster, load the shared data, and draw the maps that are not kept.

    Return the time of the data if the command of `[run] on_published` needs it. Otherwise, return None.
    """
    with start_hints(), ExitStack() as stack:
        original = data.config if isinstance(data, SharedData) else data
        data = stack.enter_context(with_prepared_raster(data, record.watch, observer))
        config = data.config if isinstance(data, SharedData) else data
        ahead = Ahead(record.jobs)
        plan = _load(record, data, layers, regions, stack, ahead)
        is_moving = have_moving_regions(record.jobs)
        moment = _time_of(data, config) if config.run.needs_time or is_moving else None
        if is_moving:
            record.jobs = placed_jobs(record.jobs, moment)
        record.watch.lap("load")
        _run_jobs(record, config, plan, observer, mark_of_raster(original, plan), ahead)
        warn_of_new_raster(config.raster.path, plan.fingerprint)
    report_full_disk(record)
    failpoints.failpoint("report")
    return moment


def _time_of(data: Config | SharedData, config: Config) -> object:
    """Return the time of the data, or an object of another type if it is unknown."""
    description = data.description if isinstance(data, SharedData) else inspect_raster(config.raster).description
    return {**description, **config.facts}.get("time")


@contextmanager
def with_prepared_raster(
    data: Config | SharedData, watch: Stopwatch, observer: Observer
) -> Iterator[Config | SharedData]:
    """Apply the steps of `[[prepare]]`. Protect the prepared raster in the cache until the context exits."""
    if isinstance(data, SharedData) or not data.prepare:
        yield data
        return
    from regionplot.prepare.cache import locked_in_cache  # noqa: PLC0415
    from regionplot.prepare.run import prepared  # noqa: PLC0415 (needed only for steps)

    config = prepared(data, observer)
    watch.lap("prepare")
    with locked_in_cache(config.raster.path):
        yield config


def _load(
    record: RunRecord,
    data: Config | SharedData,
    layers: Sequence[Layer],
    regions: Sequence[Region],
    stack: ExitStack,
    ahead: Ahead,
) -> LoadPlan:
    """Load the shared data if workers share memory with this process. If not, check that input files can be opened."""
    if not executor_class(record.start_method).abilities.shares_memory:
        check_functions(data.config if isinstance(data, SharedData) else data, record.start_method)
        if isinstance(data, SharedData) and data.info.fingerprint is None:
            return stack.enter_context(stored(data, record.start_method)).plan
        stack.callback(_remove_unused_pages)
        return check_inputs(data.config if isinstance(data, SharedData) else data, regions)
    shared = data if isinstance(data, SharedData) else _loaded(data, regions, layers, ahead)
    if problem := scale_problem(shared):
        logger.warning("%s", problem)
    return stack.enter_context(share_with_workers(shared)).plan


def _remove_unused_pages() -> None:
    from regionplot.shared.pages import remove_unused_pages  # noqa: PLC0415 (forked workers share no files)

    remove_unused_pages()


def stored(shared: SharedData, start_method: str) -> AbstractContextManager[SharedData]:
    """Return a context in which workers that are not forked find data that are only in memory."""
    from regionplot.shared.memory import stored_for_workers  # noqa: PLC0415 (only data in memory need it)

    if executor_class(start_method).abilities.distributed:
        shared.check_workers_can_load(start_method)
    return stored_for_workers(shared)


def _loaded(config: Config, regions: Sequence[Region], layers: Sequence[Layer], ahead: Ahead) -> SharedData:
    """Load the shared data. If the raster is replaced while it is read, load the new raster."""
    for _ in range(_MAX_REPLACEMENTS):
        try:
            return SharedData.load(config, regions, layers=layers, meanwhile=ahead.prepare, start_cells=start_cells)
        except RasterReplacedError as error:
            ahead.renderers.clear()  # they draw the old raster
            logger.info("%s; the new file is loaded", error)
    return SharedData.load(config, regions, layers=layers, meanwhile=ahead.prepare, start_cells=start_cells)


def _run_jobs(record: RunRecord, config: Config, plan: LoadPlan, observer: Observer, raster: str, ahead: Ahead) -> None:
    """Keep unchanged maps and draw the others."""
    jobs: Sequence[Job] = record.jobs
    letters = find_fonts(jobs, config)
    executor = make_run_executor(config.run, record.start_method, len(jobs), record.client)
    record.workers = executor.workers
    observer.started(len(jobs), executor.workers, record.start_method)
    task = RenderTask(config, record.run, plan, len(jobs), raster=raster, idle=ahead.renderers)
    jobs = jobs_to_compare(jobs, raster)
    abilities = executor_class(record.start_method).abilities
    if abilities.shares_memory:
        jobs = jobs_to_draw(lambda region: task.digests.of(region), jobs, record, observer, task.described)
    if abilities.shares_memory or abilities.loads_once:
        task.regions = [job.region for job in jobs]
    report_missing_letters(letters if jobs else "")
    cluster = record.client or config.run.cluster
    with gathering(config.run, record.start_method, cluster, record.facts.directory, record.run) as task.gathering:
        execute(executor, task, jobs, record, observer)
    if jobs and isinstance(observer, Observer):  # observers of callers can lack the method
        observer.drawn(task)


def mark_of_raster(config: Config, plan: LoadPlan) -> str:
    """Return what identifies the files of a raster (`gate.raster_mark`), if `[publish] repeated` needs it."""
    if config.publish.repeated == "allow":
        return ""
    from regionplot.runs.gate import raster_mark  # noqa: PLC0415 (only `[publish]` needs it)

    return raster_mark(config, plan)


def jobs_to_compare(jobs: Sequence[Job], raster: str) -> Sequence[Job]:
    """Return the jobs of a field. If `[publish] repeated` asks for it, maps of a new raster are never kept."""
    if not raster:
        return jobs
    from regionplot.runs.gate import without_repeats  # noqa: PLC0415 (only `[publish]` needs it)

    return without_repeats(jobs, raster)


def make_run_executor(settings: RunSettings, method: str, jobs: int, cluster: Any = None) -> Executor:
    """Return the executor of a run with the limits of its settings.

    Parameters
    ----------
    settings : RunSettings
        The section `[run]`.
    method : str
        Name of the executor.
    jobs : int
        Number of maps to draw.
    cluster : distributed.Client, optional
        A connected client, instead of the scheduler in the settings.
    """
    if "timeout" in settings.model_fields_set and not executor_class(method).abilities.limits_time:
        logger.info("[run] timeout has no effect: start method %r cannot stop a map", method)
    memory = None if settings.worker_memory == "auto" else settings.worker_memory
    limits = WorkerSettings(
        settings.timeout, settings.maps_per_worker, settings.retries, memory, settings.nice, jobs_ahead=JOBS_AHEAD
    )
    if method == "dask" and (cluster or settings.cluster) is not None:
        return connect_executor(cluster or settings.cluster, limits)[1]
    return make_executor(method, count_workers(settings.workers, jobs), limits)
