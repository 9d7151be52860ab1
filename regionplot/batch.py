"""The main job: regions in, maps out. Check everything, prepare and load once, let an executor draw, report.

::

    regions + config ─► check ─► prepare ─► jobs ─► executor( RenderTask ) ─► outcomes ─► RunReport
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regionplot import output, phases, templates
from regionplot.coloring import resampling_problem
from regionplot.config import Config, RunSettings
from regionplot.errors import ConfigError, NoSpaceError, RegionplotError, RegionsError
from regionplot.executors import Executor, WorkerSettings, choose_start_method, make_executor
from regionplot.layout import Layout
from regionplot.lock import locked
from regionplot.machine import peak_memory
from regionplot.models import Drawn, Job, Outcome, Region
from regionplot.projections import parse_projection
from regionplot.publication import take_over
from regionplot.raster import FIELDS
from regionplot.record import RunRecord
from regionplot.regions import read_regions
from regionplot.report import NOT_RUN, NoObserver, Observer, RunReport
from regionplot.shared import LoadPlan, SharedData, check_inputs, input_changed, shared_by_children, shared_data
from regionplot.stopwatch import Stopwatch

if TYPE_CHECKING:
    from regionplot.drawing import MapDigests, MapRenderer
    from regionplot.features import FeatureLayer


logger = logging.getLogger(__name__)

_MOST_WITHOUT_SPACE = 3
"""So many maps in a row that find the disk full end a run: the next would find it full, too."""


@dataclass
class RenderTask:
    """Draw one region and write its image. What travels to a process that cannot inherit it is the config."""

    config: Config
    run: str
    plan: LoadPlan
    maps: int
    """How many there are in all."""
    _digests: MapDigests | None = field(default=None, repr=False)
    _renderer: MapRenderer | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_digests": None, "_renderer": None}

    def prepare(self) -> None:
        """Load the shared data and draw the frame, unless this process has inherited both."""
        if self._renderer is None:
            from regionplot.drawing import MapRenderer  # noqa: PLC0415 (matplotlib, only where maps are drawn)

            self._renderer = MapRenderer(self._shared, self.maps)
        self._digests = self.digests  # here, so that forked workers inherit what it has read

    def __call__(self, job: Job) -> Drawn:
        """Draw and write one map, unless the one that is there is the same."""
        assert self._renderer is not None, "prepare() comes first"
        phases.reached("start", job.name)
        watch = Stopwatch()
        digest = job.digest or self.digests.of(job.region)
        watch.lap("compare")
        if kept := keep_known(job, digest):
            return kept
        phases.reached("draw", job.name)
        picture = self._renderer.draw(job.region, watch)
        if picture.no_data and self.config.map.empty == "skip":
            return Drawn(job.target, 0, True, watch.seconds, state="skipped")
        text = {"Title": picture.title, "Software": "regionplot", output.DIGEST: digest}
        compression = self.config.output.png_compression
        size = output.write_png(
            job.target,
            picture.image,
            self.run,
            text,
            palette=picture.palette,
            compression=compression,
            within=self.config.output.directory,
        )
        watch.lap("write")
        return Drawn(job.target, size, picture.no_data, watch.seconds, digest, peak_memory=peak_memory())

    @property
    def digests(self) -> MapDigests:
        """What tells whether a map is still the same; it needs the shared data, but no frame."""
        if self._digests is None:
            from regionplot.drawing import MapDigests  # noqa: PLC0415 (matplotlib)

            self._digests = MapDigests(self._shared)
        return self._digests

    @property
    def _shared(self) -> SharedData:
        return shared_data(self.config, self.plan)


def keep_known(job: Job, digest: str) -> Drawn | None:
    """The map of the run before in the place of a new one, if it is there, whole, and of this digest."""
    known = job.known
    if known is None or known.digest != digest:
        return None
    try:
        if known.path.stat().st_size != known.bytes or output.read_digest(known.path) != digest:
            return None
        take_over(known.path, job.target)
    except OSError:
        return None
    return Drawn(job.target, known.bytes, known.no_data, digest=digest, state="unchanged")


def render_regions(
    regions: Sequence[Region] | str | Path,
    data: Config | SharedData,
    *,
    only: Sequence[str] = (),
    force: bool = False,
    allow_empty: bool = False,
    layers: Sequence[FeatureLayer] = (),
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
    layers : sequence of FeatureLayer
        Vector layers loaded before, which are used again if their files are the same.
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
    found = read_regions(regions, allow_empty=allow_empty) if isinstance(regions, str | Path) else list(regions)
    if allow_empty and not found:
        watch.lap("check")
        return RunReport((), sum(watch.seconds.values()), "serial", 0, watch.seconds)
    chosen = _choose(found, only)
    check_config(config, chosen)
    method = choose_start_method(config.run.start_method)
    output.prepare_directory(config.output.directory)
    with locked(config.output.directory):
        with RunRecord(config, chosen, watch, method, force=force, all_regions=not only) as record:
            _draw_all(record, data, layers, chosen, observer or NoObserver())
        return record.report


def _draw_all(
    record: RunRecord,
    data: Config | SharedData,
    layers: Sequence[FeatureLayer],
    regions: Sequence[Region],
    observer: Observer,
) -> None:
    """Load what all share, settle what is unchanged, and have the rest drawn."""
    watch = record.watch
    with ExitStack() as stack:
        data = stack.enter_context(_prepared(data, watch, observer))
        config = data.config if isinstance(data, SharedData) else data
        if record.start_method in ("fork", "serial"):
            shared = data if isinstance(data, SharedData) else SharedData.load(data, regions, layers=layers)
            plan = stack.enter_context(shared_by_children(shared)).plan
        else:
            plan = check_inputs(config, regions)
        watch.lap("load")
        jobs = record.jobs
        executor = _make_executor(config.run, record.start_method, len(jobs))
        record.workers = executor.workers
        observer.started(len(jobs), executor.workers, record.start_method)
        task = RenderTask(config, record.run, plan, len(jobs))
        if record.start_method in ("fork", "serial"):
            jobs = list(_unsettled(task, jobs, record, observer))
            watch.lap("compare")
        for outcome in _until_full(executor.run(task, jobs)) if jobs else ():
            record.add(outcome)
            observer.finished(outcome)
        watch.lap("draw")
        if input_changed(config, plan):
            logger.warning(
                "%s: input changed while running; the maps show it as it was at the start", config.raster.path
            )
    if not_run := record.report.in_state(NOT_RUN):
        logger.error("%s: the disk is full: %d regions not run", config.output.directory, len(not_run))
    phases.reached("report")


@contextmanager
def _prepared(data: Config | SharedData, watch: Stopwatch, observer: Observer) -> Iterator[Config | SharedData]:
    """The data after the steps of `[[prepare]]`, if there are any; what was prepared stays meanwhile."""
    if isinstance(data, SharedData) or not data.prepare:
        yield data
        return
    from regionplot.preparation import held, prepared  # noqa: PLC0415 (only where a raster is prepared)

    config = prepared(data, observer)
    watch.lap("prepare")
    with held(config.raster.path):
        yield config


def _unsettled(task: RenderTask, jobs: Sequence[Job], record: RunRecord, observer: Observer) -> Iterator[Job]:
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
        kept = keep_known(job, digest)
        if kept is None:
            yield replace(job, known=None, digest=digest)
        else:
            outcome = Outcome(job, kept, pid=os.getpid())
            record.add(outcome)
            observer.finished(outcome)


def _make_executor(settings: RunSettings, method: str, jobs: int) -> Executor:
    memory = None if settings.worker_memory == "auto" else settings.worker_memory
    limits = WorkerSettings(settings.timeout, settings.maps_per_worker, settings.retries, memory, settings.nice)
    return make_executor(method, settings.workers, jobs, limits)


def _until_full(outcomes: Iterable[Outcome[Job]]) -> Iterator[Outcome[Job]]:
    """Outcomes, up to where the disk has been full so often that no more maps need be tried."""
    full = 0
    for outcome in outcomes:
        yield outcome
        full = full + 1 if outcome.failure and outcome.failure.cause == NoSpaceError.__name__ else 0
        if full == _MOST_WITHOUT_SPACE:
            return


def check_config(config: Config, regions: Sequence[Region]) -> None:
    """Find what the settings' types cannot tell: colours, projections and template fields that do not exist.

    Raises
    ------
    ConfigError
        With one problem for each.
    """
    from regionplot.drawing import color_problems  # noqa: PLC0415 (matplotlib)

    problems = list(color_problems(config))
    if config.colors.classes and (problem := resampling_problem(config.raster, "[colors] classes are given")):
        problems.append(problem)
    try:
        Layout.of(config)
    except ConfigError as error:
        problems.append(str(error))
    for place, setting in (
        ("[map] projection", config.map.projection),
        ("[raster] crs", config.raster.crs or "raster"),
    ):
        try:
            parse_projection(setting)
        except ConfigError as error:
            problems.append(f"{place}: {error}")
    known = set(regions[0].fields)
    problems += _unknown_fields("[output] filename", config.output.filename, known)
    problems += _unknown_fields("[map] title", config.map.title, known | set(FIELDS))
    if problems:
        raise ConfigError(*problems)


def _unknown_fields(place: str, template: str, known: set[str]) -> Iterator[str]:
    for name in templates.fields_of(template):
        if name not in known:
            yield f"{place}: there is no field {name!r}; there are: {', '.join(sorted(known))}"


def _choose(regions: Sequence[Region], patterns: Sequence[str]) -> list[Region]:
    chosen = [
        region for region in regions if not patterns or any(fnmatchcase(region.name, pattern) for pattern in patterns)
    ]
    if not chosen:
        what = f"no region's name matches {' or '.join(map(repr, patterns))}" if patterns else "no regions"
        raise RegionsError(f"{what}; nothing to draw")
    return chosen
