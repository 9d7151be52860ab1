"""Draw the maps of several fields in one run: products and times.

::

    fields ─► file names ─► groups that fit into memory ─► load, fork, draw, drop ─┐
                                 ▲─────────────── next group ──────────────────────┘─► one report and manifest
"""

from __future__ import annotations

import gc
import logging
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from regionplot.errors import ConfigError, RegionplotError
from regionplot.executors.base import Outcome, failure_from_error
from regionplot.executors.choose import executor_class
from regionplot.geo.region import Region
from regionplot.layers.base import Layer
from regionplot.layers.stack import check_layers
from regionplot.render.canvases import Canvases
from regionplot.runs import store
from regionplot.runs.checks import config_problems
from regionplot.runs.execute import execute, jobs_to_draw, report_full_disk, warn_of_new_raster
from regionplot.runs.facts import RunFacts
from regionplot.runs.field_names import name_fields
from regionplot.runs.field_task import FieldsTask
from regionplot.runs.gather import gathering
from regionplot.runs.hints import start_hints
from regionplot.runs.jobs import Job
from regionplot.runs.leftovers import Leftovers
from regionplot.runs.lock import locked
from regionplot.runs.moving import placed_jobs
from regionplot.runs.plausibility import scale_problem
from regionplot.runs.record import Redraw, RunRecord, Scope
from regionplot.runs.report import Observer, RunReport
from regionplot.runs.run import (
    check_functions,
    jobs_to_compare,
    make_run_executor,
    mark_of_raster,
    start_method,
    stored,
    with_prepared_raster,
)
from regionplot.runs.task import RenderTask
from regionplot.runs.texts import find_fonts, report_missing_letters
from regionplot.settings.config import Config
from regionplot.shared.data import SharedData
from regionplot.shared.fields import Field, find_fields, select_products
from regionplot.shared.groups import FieldLoader, OpenedField, by_raster, in_groups
from regionplot.shared.pages import remove_unused_pages
from regionplot.shared.series import SeriesScales
from regionplot.shared.slot import share_fields
from regionplot.system import failpoints
from regionplot.system.stopwatch import Stopwatch

logger = logging.getLogger(__name__)


@dataclass
class FieldRun:
    """One run that draws several fields.

    Parameters
    ----------
    data : Config or SharedData
        Settings, or loaded data with `products`.
    regions : sequence of Region
        The regions to draw.
    patterns : sequence of str
        Glob patterns for the names of products. By default, all products are drawn.
    layers : sequence of Layer
        Layers of an earlier run.
    observer : Observer
        Receives each outcome.
    client : distributed.Client, optional
        A connected client of a dask cluster, which draws the maps.
    """

    data: Config | SharedData
    regions: Sequence[Region]
    patterns: Sequence[str] = ()
    layers: tuple[Layer, ...] = ()
    observer: Observer = field(default_factory=Observer)
    client: Any = None

    @cached_property
    def config(self) -> Config:
        """The settings of the run."""
        return self.data.config if isinstance(self.data, SharedData) else self.data

    @cached_property
    def _loaded(self) -> Mapping[str, SharedData]:
        """Data of the fields that the caller has loaded."""
        return self.data.products if isinstance(self.data, SharedData) else {}

    def draw(self, watch: Stopwatch, redraw: Redraw, scope: Scope, leftovers: Leftovers) -> RunReport:
        """Draw all maps. Raise errors like `render_regions`, except for a bad raster: only its own maps fail.

        Parameters
        ----------
        watch : Stopwatch
            Measures the stages of the run.
        redraw, scope, leftovers
            Policies of the run, as for `RunRecord`.
        """
        fields = self._fields()
        _check_settings([found.config for found in fields], self.regions)
        method = start_method(self.config) if self.client is None else "dask"
        check_functions(self.config, method)
        directory = self.config.output.directory
        store.prepare_directory(directory)
        with locked(directory):
            maps, fields = name_fields(fields, self.regions)
            with RunRecord(RunFacts.of(self.config), maps, watch, method, redraw, scope, leftovers) as record:
                record.client = self.client
                drawing = _Drawing(self, record, fields)
                drawing.draw()
            record.after_published(self.config.run, max(drawing.times, default=None))
            return record.report

    def _fields(self) -> list[Field]:
        if not self._loaded:
            return find_fields(self.config, self.patterns)
        return select_products([Field.of(data.config) for data in self._loaded.values()], self.patterns)

    def loaded(self, name: str) -> SharedData | None:
        """Return the data of a field that the caller has loaded, or None."""
        return self._loaded.get(name)


def _check_settings(configs: Iterable[Config], regions: Sequence[Region]) -> None:
    """Check the settings of all products. Fields of one product have the same settings, so each problem is named once.

    Raises
    ------
    ConfigError
        If settings are wrong.
    """
    problems, checked = {}, set[tuple[object, ...]]()
    for config in configs:
        key = (config.facts.get("product"), frozenset(config.facts))
        if key not in checked:
            checked.add(key)
            problems.update(dict.fromkeys(config_problems(config, regions)))
    if problems:
        raise ConfigError(*problems)


def _digest_of(task: RenderTask) -> Callable[[Region], str]:
    return lambda region: task.digests.of(region)


@dataclass
class _Drawing:
    """The groups of one run."""

    run: FieldRun
    record: RunRecord
    fields: Sequence[Field]
    _jobs: dict[str, list[Job]] = field(default_factory=lambda: defaultdict(list))
    _canvases: Canvases = field(default_factory=Canvases)
    _is_disk_full: bool = False
    times: set[datetime] = field(default_factory=set)
    """Times of the fields that could be opened, in UTC."""

    def draw(self) -> None:
        """Draw all groups, one after the other."""
        record, observer = self.record, self.run.observer
        for job in record.jobs:
            self._jobs[job.field.name].append(job)
        record.workers = make_run_executor(
            self.run.config.run, record.start_method, len(record.jobs), record.client
        ).workers
        observer.started(len(record.jobs), record.workers, record.start_method)
        loader = FieldLoader(self.run.regions, self.run.layers)
        with start_hints(), ExitStack() as prepared:
            for number, group in enumerate(in_groups(self._open_all(prepared), self.run.config)):
                if self._is_disk_full:
                    break
                if number:  # the figures of the last group are in cycles, whose buffers the collector does not count
                    gc.collect()
                self._draw_group(group, loader)
        report_full_disk(record)
        failpoints.failpoint("report")

    def _open_all(self, prepared: ExitStack) -> Iterator[OpenedField]:
        """Yield the fields whose rasters can be opened. The maps of other fields fail."""
        last: OpenedField | None = None
        scales = SeriesScales(self.fields, lambda each: self._open(each, prepared, None))
        for each in by_raster(self.fields):
            try:
                last = opened = scales.apply(self._open(each, prepared, last))
            except RegionplotError as error:
                self._fail(each, error)
                continue
            time = opened.raster.info.description.get("time")
            self.times |= {time} if isinstance(time, datetime) else set()
            yield opened

    def _open(self, each: Field, prepared: ExitStack, last: OpenedField | None) -> OpenedField:
        """Open a field. Raise RegionplotError if its raster cannot be found, prepared or opened."""
        if each.problem is not None:
            raise each.problem
        if each.members and self.run.loaded(each.name) is None:
            members = [self._open(member, prepared, None) for row in each.members for member in row]
            return OpenedField.of_sheet(each, members)
        config = prepared.enter_context(with_prepared_raster(each.config, self.record.watch, self.run.observer))
        data = self.run.loaded(each.name)
        if data is not None:
            if data.info.fingerprint is None and not executor_class(self.record.start_method).abilities.shares_memory:
                data = prepared.enter_context(stored(data, self.record.start_method))
            return OpenedField.of_loaded(each, data)
        assert isinstance(config, Config), "only a config is prepared"
        return OpenedField.of(each, config, self.run.regions, last)

    def _fail(self, each: Field, error: RegionplotError) -> None:
        """Record that all maps of a field have failed."""
        jobs = self._jobs[each.name]
        group = ", ".join(filter(None, (each.name, f"{len(jobs)} map{'' if len(jobs) == 1 else 's'}")))
        failure = replace(failure_from_error(error), group=group, exit_code=error.exit_code)
        for job in jobs:
            outcome = Outcome(job, failure=failure, pid=os.getpid())
            self.record.add(outcome)
            self.run.observer.finished(outcome)

    def _draw_group(self, group: Sequence[OpenedField], loader: FieldLoader) -> None:
        """Load a group, draw its maps, and drop its data."""
        shares_memory = executor_class(self.record.start_method).abilities.shares_memory
        loaded = self._load(group, loader) if shares_memory else {}
        opened = [
            each.with_plan_of(loaded.get(each.field.name))
            for each in group
            if each.field.name in loaded or (not shares_memory and self._is_usable(each))
        ]
        self.record.watch.lap("load")
        with share_fields(loaded):
            self._draw_fields(opened)
        loaded.clear()
        if not shares_memory:
            remove_unused_pages()
        for each in opened:
            warn_of_new_raster(each.config.raster.path, each.plan.fingerprint)

    def _load(self, group: Sequence[OpenedField], loader: FieldLoader) -> dict[str, SharedData]:
        loaded = {each.field.name: each.data for each in group if each.data is not None}
        for each, data in loader.load([each for each in group if each.data is None]):
            if isinstance(data, RegionplotError):
                self._fail(each.field, data)
                continue
            if problem := scale_problem(data):
                logger.warning("%s", problem)
            loaded[each.field.name] = data
        return loaded

    def _is_usable(self, each: OpenedField) -> bool:
        """Return True if the layers of a field can be opened. If not, the maps of the field fail."""
        try:
            check_layers(each.config)
        except RegionplotError as error:
            self._fail(each.field, error)
            return False
        return True

    def _draw_fields(self, opened: Sequence[OpenedField]) -> None:
        """Keep the unchanged maps of loaded fields, and draw the others with one pool of workers."""
        record, observer = self.record, self.run.observer
        jobs: list[Job] = []
        task = FieldsTask({}, self._canvases)
        letters = ""
        abilities = executor_class(record.start_method).abilities
        for each in opened:
            name = each.field.name
            own: Sequence[Job] = placed_jobs(self._jobs[name], each.raster.info.description.get("time"))
            letters += find_fonts(own, each.config)
            raster = mark_of_raster(each.field.config, each.plan)
            own = jobs_to_compare(own, raster)
            one = RenderTask(each.config, record.run, each.plan, len(own), field_name=name, raster=raster)
            task.tasks[name] = one
            if abilities.shares_memory:
                own = jobs_to_draw(_digest_of(one), own, record, observer, one.described)
            if abilities.shares_memory or abilities.loads_once:
                one.regions = [job.region for job in own]
            jobs += own
        report_missing_letters("".join(dict.fromkeys(letters)) if jobs else "")
        self._run(task.with_maps(jobs), jobs)

    def _run(self, task: FieldsTask, jobs: Sequence[Job]) -> None:
        if not jobs:
            return
        record, settings = self.record, self.run.config.run
        executor = make_run_executor(settings, record.start_method, len(jobs), record.client)
        cluster = record.client or settings.cluster
        with gathering(settings, record.start_method, cluster, record.facts.directory, record.run) as how:
            for each in task.tasks.values():
                each.gathering = how
            execute(executor, task, jobs, record, self.run.observer)
        self._is_disk_full = any(self.record.outcome_of(job) is None for job in jobs)
