"""The main job: regions in, maps out. Check everything, load once, let an executor draw, report.

::

    regions + config ─► check ─► jobs ─► executor( RenderTask ) ─► outcomes ─► RunReport
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regionplot import output, templates
from regionplot.config import Config
from regionplot.errors import ConfigError, NoSpaceError, RegionsError
from regionplot.executors import choose_start_method, make_executor
from regionplot.layout import Layout
from regionplot.models import Drawn, Failure, Job, Outcome, Region
from regionplot.projections import parse_projection
from regionplot.raster import FIELDS
from regionplot.regions import read_regions
from regionplot.report import NoObserver, Observer, RunReport
from regionplot.shared import LoadPlan, SharedData, check_inputs, input_changed, shared_by_children, shared_data
from regionplot.stopwatch import Stopwatch

if TYPE_CHECKING:
    from regionplot.drawing import MapRenderer


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
    _renderer: MapRenderer | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_renderer": None}

    def prepare(self) -> None:
        """Load the shared data and draw the frame, unless this process has inherited both."""
        if self._renderer is None:
            from regionplot.drawing import MapRenderer  # noqa: PLC0415 (matplotlib, only where maps are drawn)

            self._renderer = MapRenderer(shared_data(self.config, self.plan), self.maps)

    def __call__(self, job: Job) -> Drawn:
        """Draw and write one map."""
        assert self._renderer is not None, "prepare() comes first"
        watch = Stopwatch()
        picture = self._renderer.draw(job.region, watch)
        if picture.no_data and self.config.map.empty == "skip":
            return Drawn(job.target, 0, True, watch.seconds, skipped=True)
        text = {"Title": picture.title, "Software": "regionplot"}
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
        return Drawn(job.target, size, picture.no_data, watch.seconds)


def render_regions(
    regions: Sequence[Region] | str | Path,
    data: Config | SharedData,
    *,
    only: Sequence[str] = (),
    allow_empty: bool = False,
    observer: Observer | None = None,
) -> RunReport:
    """Draw the map of every region into the output folder of a config.

    Safe to call in a host program: its signal handlers, rcParams, environment and start method are left alone. Where it
    runs threads, `start_method = "auto"` avoids fork; as with any use of `multiprocessing`, a script then needs
    `if __name__ == "__main__":`.

    Parameters
    ----------
    regions : sequence of Region, or path
        What to draw.
    data : Config or SharedData
        What to draw it from. Data that is loaded already is used as it is under fork; a process that cannot inherit it
        loads it again from its config.
    only : sequence of str
        Glob patterns; regions whose names match none of them are left out.
    allow_empty : bool
        No regions at all are nothing to do, and not an error.
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
    InputError
        If the raster or a vector file cannot be read.
    """
    watch = Stopwatch()
    config = data.config if isinstance(data, SharedData) else data
    found = read_regions(regions, allow_empty=allow_empty) if isinstance(regions, str | Path) else list(regions)
    if allow_empty and not found:
        watch.lap("check")
        return RunReport((), sum(watch.seconds.values()), "serial", 0, watch.seconds)
    chosen = _choose(found, only)
    check_config(config, chosen)
    jobs = _jobs(chosen, config)
    output.prepare_directory(config.output.directory)
    _check_folders(jobs, config)
    settings = config.run
    method = choose_start_method(settings.start_method)
    executor = make_executor(method, settings.workers, len(jobs), settings.timeout, settings.maps_per_worker)
    watch.lap("check")
    run, outcomes = output.new_run(), dict[Path, Outcome[Job]]()
    with ExitStack() as stack:
        stack.callback(_sweep_unless_all_well, config, run, jobs, outcomes)
        if method in ("fork", "serial"):
            shared = data if isinstance(data, SharedData) else SharedData.load(data, chosen)
            plan = stack.enter_context(shared_by_children(shared)).plan
        else:
            plan = check_inputs(config, chosen)
        watch.lap("load")
        observer = observer or NoObserver()
        observer.started(len(jobs), executor.workers, method)
        for outcome in _until_full(executor.run(RenderTask(config, run, plan, len(jobs)), jobs)):
            outcomes[outcome.job.target] = outcome
            observer.finished(outcome)
    if input_changed(config, plan):
        logger.warning("%s: input changed while running; the maps show it as it was at the start", config.raster.path)
    if missing := len(jobs) - len(outcomes):
        logger.error("%s: the disk is full: %d regions not run", config.output.directory, missing)
    ordered = [outcomes.get(job.target) or Outcome(job, failure=_NOT_RUN) for job in jobs]
    watch.lap("draw")
    return RunReport(ordered, sum(watch.seconds.values()), method, executor.workers, watch.seconds)


_NOT_RUN = Failure("not run", f"not run: the disk was full {_MOST_WITHOUT_SPACE} times in a row")


def _until_full(outcomes: Iterable[Outcome[Job]]) -> Iterator[Outcome[Job]]:
    """Outcomes, up to where the disk has been full so often that no more maps need be tried."""
    full = 0
    for outcome in outcomes:
        yield outcome
        full = full + 1 if outcome.failure and outcome.failure.cause == NoSpaceError.__name__ else 0
        if full == _MOST_WITHOUT_SPACE:
            return


def _sweep_unless_all_well(
    config: Config, run: str, jobs: Sequence[Job], outcomes: Mapping[Path, Outcome[Job]]
) -> None:
    if len(outcomes) < len(jobs) or not all(outcome.ok for outcome in outcomes.values()):
        output.sweep(config.output.directory, run)


def check_config(config: Config, regions: Sequence[Region]) -> None:
    """Find what the settings' types cannot tell: colours, projections and template fields that do not exist.

    Raises
    ------
    ConfigError
        With one problem for each.
    """
    from regionplot.drawing import color_problems  # noqa: PLC0415 (matplotlib)

    problems = list(color_problems(config))
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


def _jobs(regions: Sequence[Region], config: Config) -> list[Job]:
    """A job with a file of its own for each region."""
    owners: dict[str, Region] = {}
    jobs, problems = [], []
    for region in regions:
        try:
            name = output.file_name(config.output.filename, _text(region.fields))
        except templates.TemplateError as error:
            problems.append(f"{region.origin or region.name}: [output] filename: {error}")
            continue
        owner = owners.setdefault(name.casefold(), region)
        if owner is not region:
            problems.append(
                f"{region.origin or region.name}: {region.name!r} and {owner.name!r} ({owner.origin}) "
                f"would both be written to {name}; make their names or [output] filename differ"
            )
        jobs.append(Job(region, config.output.directory / name))
    if problems:
        raise RegionsError(*problems)
    return jobs


def _check_folders(jobs: Sequence[Job], config: Config) -> None:
    """See that no folder of a map leads out of the output folder; each is looked at once."""
    first: dict[Path, Region] = {}
    for job in jobs:
        first.setdefault(job.target.parent, job.region)
    problems = [
        f"{region.origin or region.name}: maps cannot be written into {problem}"
        for folder, region in first.items()
        for problem in output.check_folders(config.output.directory, [folder])
    ]
    if problems:
        raise RegionsError(*problems)


def _text(fields: Mapping[str, str]) -> dict[str, str]:
    return {name: str(value) for name, value in fields.items()}
