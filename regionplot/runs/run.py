"""Draw all regions: check, prepare, load once, draw with an executor, report.

::

    regions + config ─► check ─► prepare ─► jobs ─► executor( RenderTask ) ─► outcomes ─► RunReport
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from regionplot.errors import NoSpaceError, RegionplotError, RegionsError
from regionplot.executors.base import Executor, Outcome, WorkerSettings
from regionplot.executors.choose import count_workers, executor_class, make_executor, resolve_executor
from regionplot.geo.region import Region
from regionplot.regions.table import read_regions, read_regions_if_any
from regionplot.runs import store
from regionplot.runs.checks import check_config
from regionplot.runs.hints import start_hints, with_memory_hint
from regionplot.runs.jobs import Job
from regionplot.runs.lock import locked
from regionplot.runs.record import RunRecord
from regionplot.runs.report import NOT_RUN, NoObserver, Observer, RunReport
from regionplot.runs.task import RenderTask, reuse_previous_map
from regionplot.settings.config import Config
from regionplot.settings.run import RunSettings
from regionplot.shared.data import SharedData
from regionplot.shared.load import check_inputs, input_changed
from regionplot.shared.slot import share_with_workers
from regionplot.system import failpoints
from regionplot.system.stopwatch import Stopwatch

if TYPE_CHECKING:
    from regionplot.layers.base import Layer


logger = logging.getLogger(__name__)


_MOST_WITHOUT_SPACE = 3
"""So many maps in a row that find the disk full end a run: the next would find it full, too."""


def render_regions(
    regions: Sequence[Region] | str | Path,
    data: Config | SharedData,
    *,
    only: Sequence[str] = (),
    force: bool = False,
    allow_empty: bool = False,
    layers: Sequence[Layer] = (),
    observer: Observer | None = None,
) -> RunReport:
    """Draw the map of every region into the output folder of a config.

    A map on which nothing has changed since the run before is left as it is. Safe to call in a host program: its signal
    handlers, rcParams, environment and start method are left alone. Where it runs threads, `start_method = "auto"`
    avoids fork; as with any use of `multiprocessing`, a script then needs `if __name__ == "__main__":`.

    Parameters
    ----------
    regions : sequence of Region, or path
        What to draw.
    data : Config or SharedData
        What to draw it from. Data that is loaded already is used as it is under fork; a process that cannot inherit it
        loads it again from its config.
    only : sequence of str
        Glob patterns; regions whose names match none of them are left out.
    force : bool
        Draw maps on which nothing has changed, too.
    allow_empty : bool
        No regions at all are nothing to do, and not an error.
    layers : sequence of Layer
        Layers loaded before. Their data are used again if the input files are the same.
    observer : Observer, optional
        Is told of each outcome as it comes.

    Returns
    -------
    RunReport
        With an outcome for each region. A region that fails does not end the run.

    Raises
    ------
    ConfigError, RegionsError, OutputError
        Before anything is loaded, if the run cannot be done as asked.
    LockedError
        If another run is drawing into the output folder.
    InputError
        If the raster or a vector file cannot be read.
    BlockError
        If a step that prepares the raster fails.
    """
    watch = Stopwatch()
    config = data.config if isinstance(data, SharedData) else data
    read = read_regions_if_any if allow_empty else read_regions
    found = read(regions) if isinstance(regions, str | Path) else list(regions)
    if allow_empty and not found:
        watch.lap("check")
        return RunReport((), sum(watch.seconds.values()), "serial", 0, watch.seconds)
    chosen = _choose(found, only)
    check_config(config, chosen)
    method = resolve_executor(config.run.start_method)
    store.prepare_directory(config.output.directory)
    with locked(config.output.directory):
        with RunRecord(config, chosen, watch, method, force=force, all_regions=not only) as record:
            _draw_all(record, data, layers, chosen, observer or NoObserver())
        return record.report


def _draw_all(
    record: RunRecord,
    data: Config | SharedData,
    layers: Sequence[Layer],
    regions: Sequence[Region],
    observer: Observer,
) -> None:
    """Load what all share, settle what is unchanged, and have the rest drawn."""
    watch = record.watch
    abilities = executor_class(record.start_method).abilities
    with start_hints(), ExitStack() as stack:
        data = stack.enter_context(_prepared(data, watch, observer))
        config = data.config if isinstance(data, SharedData) else data
        if abilities.shares_memory:
            shared = data if isinstance(data, SharedData) else SharedData.load(data, regions, layers=layers)
            plan = stack.enter_context(share_with_workers(shared)).plan
        else:
            plan = check_inputs(config, regions)
        watch.lap("load")
        jobs = record.jobs
        executor = _make_executor(config.run, record.start_method, len(jobs))
        record.workers = executor.workers
        observer.started(len(jobs), executor.workers, record.start_method)
        task = RenderTask(config, record.run, plan, len(jobs))
        if abilities.shares_memory:
            jobs = list(jobs_to_draw(task, jobs, record, observer))
            watch.lap("compare")
        for outcome in stop_when_disk_full(executor.run(task, jobs)) if jobs else ():
            described = with_memory_hint(outcome, executor.workers)
            record.add(described)
            observer.finished(described)
        watch.lap("draw")
        if input_changed(config, plan):
            logger.warning(
                "%s: input changed while running; the maps show it as it was at the start", config.raster.path
            )
    if not_run := record.report.in_state(NOT_RUN):
        logger.error("%s: the disk is full: %d regions not run", config.output.directory, len(not_run))
    failpoints.failpoint("report")


@contextmanager
def _prepared(data: Config | SharedData, watch: Stopwatch, observer: Observer) -> Iterator[Config | SharedData]:
    """The data after the steps of `[[prepare]]`, if there are any; what was prepared stays meanwhile."""
    if isinstance(data, SharedData) or not data.prepare:
        yield data
        return
    from regionplot.prepare.cache import locked_in_cache  # noqa: PLC0415
    from regionplot.prepare.run import prepared  # noqa: PLC0415 (only where a raster is prepared)

    config = prepared(data, observer)
    watch.lap("prepare")
    with locked_in_cache(config.raster.path):
        yield config


def jobs_to_draw(task: RenderTask, jobs: Sequence[Job], record: RunRecord, observer: Observer) -> Iterator[Job]:
    """The jobs whose maps must be drawn, with their digests; the others are settled here, before anything is forked."""
    for job in jobs:
        if job.known is None:
            yield job
            continue
        try:
            digest = task.digests.of(job.region)
        except RegionplotError:  # the worker will say it
            yield job
            continue
        kept = reuse_previous_map(job, digest)
        if kept is None:
            yield replace(job, known=None, digest=digest)
        else:
            outcome = Outcome(job, kept, pid=os.getpid())
            record.add(outcome)
            observer.finished(outcome)


def _make_executor(settings: RunSettings, method: str, jobs: int) -> Executor:
    if "timeout" in settings.model_fields_set and not executor_class(method).abilities.limits_time:
        logger.info("[run] timeout has no effect: start method %r cannot stop a map", method)
    memory = None if settings.worker_memory == "auto" else settings.worker_memory
    limits = WorkerSettings(settings.timeout, settings.maps_per_worker, settings.retries, memory, settings.nice)
    return make_executor(method, count_workers(settings.workers, jobs), limits)


def stop_when_disk_full(outcomes: Iterable[Outcome[Job]]) -> Iterator[Outcome[Job]]:
    """Outcomes, up to where the disk has been full so often that no more maps need be tried."""
    full = 0
    for outcome in outcomes:
        yield outcome
        full = full + 1 if outcome.failure and outcome.failure.cause == NoSpaceError.__name__ else 0
        if full == _MOST_WITHOUT_SPACE:
            return


def _choose(regions: Sequence[Region], patterns: Sequence[str]) -> list[Region]:
    chosen = [
        region for region in regions if not patterns or any(fnmatchcase(region.name, pattern) for pattern in patterns)
    ]
    if not chosen:
        what = f"no region's name matches {' or '.join(map(repr, patterns))}" if patterns else "no regions"
        raise RegionsError(f"{what}; nothing to draw")
    return chosen
