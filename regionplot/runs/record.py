"""Record one run from start to manifest: jobs, outcomes, publication."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from enum import Enum, auto
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from regionplot import _version
from regionplot.errors import OutputError, RegionsError
from regionplot.executors.base import Failure, Outcome
from regionplot.geo.region import Region
from regionplot.runs import store
from regionplot.runs.facts import RunFacts
from regionplot.runs.jobs import ONLY_FIELD, FieldLabel, Job
from regionplot.runs.leftovers import Leftovers, find_leftovers, remove_leftovers
from regionplot.runs.manifest import Entries, is_file, previous_map, read_entries, read_permissions, write_manifest
from regionplot.runs.marks import PublishedCells
from regionplot.runs.publication import RunEnd, link_or_copy, make_publication
from regionplot.runs.report import NOT_RUN, RunReport
from regionplot.runs.sidecars import KEY as SIDECARS
from regionplot.runs.sidecars import link_sidecars, remove_sidecars, sidecars_of
from regionplot.settings.remote_path import is_remote
from regionplot.system.files import new_run, remove_stale_temporaries
from regionplot.system.network import NetworkUse
from regionplot.system.processes import host_name
from regionplot.system.stopwatch import Stopwatch

if TYPE_CHECKING:
    from regionplot.runs.upload import Upload, Uploaded
    from regionplot.settings.run import RunSettings

logger = logging.getLogger(__name__)


class Redraw(Enum):
    """Maps that a run draws."""

    CHANGED = auto()
    """Maps that do not exist, and maps whose inputs, settings or code have changed."""
    ALL = auto()


class Scope(Enum):
    """Regions of the table that a run includes."""

    TABLE = auto()
    SELECTION = auto()
    """The regions that `--only` selects. Maps of other regions stay published."""


class RunRecord:
    """Jobs, outcomes and publication of one run.

    The record is a context manager. When the context exits, the record removes temporary files of killed
    workers, writes the manifest and publishes the maps, even if the run ends with an error.

    Parameters
    ----------
    facts : RunFacts
        Output folder and other settings.
    maps : sequence of (Region, str) or (Region, str, FieldLabel)
        Each map: its region, the name of its file, relative to the output folder, and its field, if there are several.
    watch : Stopwatch
        Measures the stages of the run.
    start_method : str
        Name of the executor.
    redraw, scope, leftovers
        Policies of the run.
    """

    def __init__(
        self,
        facts: RunFacts,
        maps: Iterable[tuple[Region, str] | tuple[Region, str, FieldLabel]],
        watch: Stopwatch,
        start_method: str,
        redraw: Redraw = Redraw.CHANGED,
        scope: Scope = Scope.TABLE,
        leftovers: Leftovers = Leftovers.KEEP,
    ) -> None:
        self.facts = facts
        self.watch = watch
        self.start_method = start_method
        self.workers = 0
        self.client: Any = None  # a connected client of a dask cluster, which the caller gave
        self.run = new_run()
        self._scope = scope
        self._policy = leftovers
        self._leftovers: list[Path] = []
        self._removed: list[Path] = []
        self._publication = make_publication(facts, self.run)
        self._previous = read_entries(self._publication.previous)
        self._permissions = read_permissions(self._publication.previous)
        self._published = PublishedCells.of(self._previous)
        self.jobs = [self._job(redraw, *each) for each in maps]
        self._outcomes: dict[str, Outcome[Job]] = {}
        self._problems: list[str] = []
        self._summary: dict[str, Any] | None = None
        self._is_published = False
        self._started = datetime.now(UTC)
        self._upload = self._start_upload() if facts.url else None
        self._uploaded: Uploaded | None = None
        self._use_before = _network_use() if is_remote(facts.raster) else None
        self._check_folders()
        remove_stale_temporaries(self._folders)
        watch.lap("check")

    def _job(self, redraw: Redraw, region: Region, name: str, field: FieldLabel = ONLY_FIELD) -> Job:
        previous = previous_map(self._previous, self._publication.previous, name) if redraw is Redraw.CHANGED else None
        published = self._published.find(name, region.name, field) if self._published else None
        return Job(region, (self._publication.folder / name).as_posix(), previous, field=field, published=published)

    def _check_folders(self) -> None:
        """Check that no link leads from the output folder to a folder outside. Check each folder once."""
        first: dict[Path, Region] = {}
        for job in self.jobs:
            first.setdefault(job.target.parent, job.region)
        problems = [
            f"{region.origin or region.name}: maps cannot be written into {problem}"
            for folder, region in first.items()
            for problem in store.check_folders(self.facts.directory, [folder])
        ]
        if problems:
            raise RegionsError(*problems)

    @cached_property
    def _folders(self) -> set[Path]:
        """Folders that can hold temporary files."""
        return {self.facts.directory, *(job.target.parent for job in self.jobs)}

    def add(self, outcome: Outcome[Job]) -> None:
        """Record the outcome of a job."""
        self._outcomes[outcome.job.file] = outcome
        if self._upload is not None and outcome.ok:
            self._upload.add(outcome.value)

    def outcome_of(self, job: Job) -> Outcome[Job] | None:
        """Return the outcome of a job, or None if there is none yet."""
        return self._outcomes.get(job.file)

    @property
    def report(self) -> RunReport:
        """The outcomes so far. Jobs without an outcome are reported as not run."""
        not_run = Failure(NOT_RUN, "the run ended before this map was started")
        outcomes = [self._outcomes.get(job.file) or Outcome(job, failure=not_run) for job in self.jobs]
        seconds = self.watch.seconds
        total = sum(seconds.values())
        return RunReport(
            outcomes,
            total,
            self.start_method,
            self.workers,
            seconds,
            tuple(self._problems),
            tuple(self._leftovers),
            tuple(self._removed),
            self._network,
            str(self._uploaded or ""),
        )

    @property
    def _network(self) -> NetworkUse | None:
        """Requests and bytes of this process and of the maps that other processes drew."""
        if self._use_before is None:
            return None
        total = _network_use().since(self._use_before)
        for outcome in self._outcomes.values():
            if outcome.ok and outcome.value.network is not None and outcome.pid != os.getpid():
                total = total.plus(outcome.value.network)
        return total

    def __enter__(self) -> RunRecord:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        report = self.report
        try:
            self._finish_folder(report, error)
        except (OutputError, OSError, ValueError) as problem:
            logger.error("%s", problem)
            self._problems.append(str(problem))
        finally:
            is_complete = error is None and not report.failed
            has_result = self._has_maps() or bool(_without_map(report))
            end = RunEnd(has_result, is_complete, is_interrupted=error is not None)
            self._is_published = self._publication.finish(end)
        if self._upload is not None:
            self._end_upload(self._upload)

    def _start_upload(self) -> Upload:
        from regionplot.runs.upload import start_upload  # noqa: PLC0415 (only object storage needs it)

        return start_upload(self.facts.url, self.facts.directory, self._publication.folder, self.start_method)

    def _end_upload(self, upload: Upload) -> None:
        """Copy the rest to object storage. Each map that cannot be written is a problem of the run."""
        try:
            if not self._is_published:
                upload.cancel()
                return
            self._uploaded = upload.finish()
            self._problems += self._uploaded.problems
            for problem in self._uploaded.problems:
                logger.error("%s", problem)
        except (OutputError, OSError) as problem:
            logger.error("%s", problem)
            self._problems.append(str(problem))
        self.watch.lap("upload")

    def after_published(self, settings: RunSettings, moment: object) -> None:
        """Run the command of `[run] on_published` if maps of this run are published. Add its result to the manifest.

        Parameters
        ----------
        settings : RunSettings
            The section `[run]`.
        moment : datetime or object
            Time of the data.
        """
        report = self.report
        if settings.on_published is None or not self._is_published or len(report.failed) == len(report.outcomes):
            return
        from regionplot.runs.on_published import run_on_published  # noqa: PLC0415 (only runs with a command need it)

        folder = self._publication.folder
        result = run_on_published(settings, folder, report, moment)
        self.watch.lap("on_published")
        if result is None or self._summary is None:
            return
        try:
            summary = {**self._summary, "on_published": result.items}
            write_manifest(folder, summary, report, self._previous, self._permissions)
        except OutputError as problem:
            logger.error("%s", problem)
            self._problems.append(str(problem))

    def _finish_folder(self, report: RunReport, error: BaseException | None) -> None:
        """Remove temporary files, link maps of the previous run, and write the manifest."""
        if report.failed:
            remove_stale_temporaries(self._folders, self.run)
        self._link_previous_maps(report)
        if _without_map(report) and self.facts.directory.is_dir():  # a run without any event has no other file
            self._publication.folder.mkdir(exist_ok=True)
        self._remove_old_sidecars(report)
        if error is None:
            self._remove_skipped(report)
            self._handle_leftovers()
        if self._publication.folder.is_dir():  # if no map was drawn, the folder may not exist
            self._summary = self._summarized(error, report)
            write_manifest(self._publication.folder, self._summary, report, self._previous, self._permissions)
            if self.facts.table:
                self._write_table()

    def _write_table(self) -> None:
        """Write the table of statistics of all maps in the manifest."""
        from regionplot.runs.statistics_table import write_table  # noqa: PLC0415 (only `[statistics]` needs it)

        folder = self._publication.folder
        inside = f"{folder.as_posix().rstrip('/')}/"
        placed = [self._outcomes[key].job if (key := job.file) in self._outcomes else job for job in self.jobs]
        regions = {job.file.removeprefix(inside): job.region for job in placed}
        older = self._publication.previous / self.facts.table
        write_table(folder / self.facts.table, list(read_entries(folder).values()), regions, self.run, older)

    def _remove_old_sidecars(self, report: RunReport) -> None:
        """Remove the world files of maps that have been drawn again without them."""
        folder = self._publication.folder
        if folder != self._publication.previous or not any(SIDECARS in entry for entry in self._previous.values()):
            return
        inside = f"{folder.as_posix().rstrip('/')}/"
        for outcome in report.drawn:
            target = outcome.job.target
            older = sidecars_of(self._previous.get(target.as_posix().removeprefix(inside), {}), target.name)
            names = {each.name for each in outcome.value.sidecars}
            remove_sidecars(target.parent, [each for each in older if each.name not in names])

    def _remove_skipped(self, report: RunReport) -> None:
        """Remove the old maps of regions for which the run drew no map, if the settings ask for this."""
        folder = self._publication.folder
        inside = f"{folder.as_posix().rstrip('/')}/"
        files = [job.file.removeprefix(inside) for job in _without_map(report) if is_file(job.target)]
        removed = remove_leftovers(folder, self._previous, files) if files else []
        self._removed = [folder / file for file in removed]

    def _handle_leftovers(self) -> None:
        """Find the maps of regions that are no longer in the table.

        Remove them if the policy of the run is to remove them.
        """
        folder = self._publication.folder
        if self._scope is Scope.SELECTION or folder != self._publication.previous:
            return
        inside = f"{folder.as_posix().rstrip('/')}/"
        files = {job.file.removeprefix(inside) for job in self.jobs}  # faster than `relative_to`
        found = find_leftovers(folder, self._possible_leftovers(), files, {job.region.origin for job in self.jobs})
        removed = set(remove_leftovers(folder, self._previous, found)) if self._policy is Leftovers.REMOVE else set()
        self._removed += [folder / file for file in found if file in removed]
        self._leftovers = [folder / file for file in found if file not in removed]

    def _possible_leftovers(self) -> Entries:
        """Return the previous maps, except maps of other products and times of the regions of this run.

        If the times of a raster cannot be found, the run has one field without a name.
        """
        names = {job.region.name for job in self.jobs}
        has_fields = any(job.field.name for job in self.jobs)
        return {
            file: entry
            for file, entry in self._previous.items()
            if not (has_fields or entry.get("product") or entry.get("time")) or entry.get("name") not in names
        }

    def _link_previous_maps(self, report: RunReport) -> None:
        """Link maps of the previous run into a new folder, for regions that have no new map or were not selected."""
        old, new = self._publication.previous, self._publication.folder
        if old == new or not self.facts.directory.is_dir():  # a removed output folder is not created again
            return
        written = _written(report)
        written |= {job.target for job in _without_map(report)}
        missing = [job.target for job in self.jobs if job.target not in written]
        others = [new / file for file in self._previous] if self._scope is Scope.SELECTION else []
        for target in {*missing, *others}:
            image = old / target.relative_to(new)
            if is_file(image) and not target.exists():
                link_or_copy(image, target)
                entry = self._previous.get(target.relative_to(new).as_posix(), {})
                with suppress(OSError):  # a file that the user has removed
                    link_sidecars(image.parent, target.parent, sidecars_of(entry, target.name))

    def _has_maps(self) -> bool:
        """Return True if the folder of this run holds a map of this run or of the previous run."""
        return any(is_file(path) for path in self._possible_maps())

    def _possible_maps(self) -> Iterator[Path]:
        yield from (job.target for job in self.jobs)
        yield from (self._publication.folder / file for file in self._previous)

    def _summarized(self, error: BaseException | None, report: RunReport) -> dict[str, Any]:
        """Return the facts about the run that the manifest states."""
        return {
            "id": self.run,
            "started": self._started.isoformat(timespec="seconds"),
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": host_name(),
            "version": _version.__version__,
            "config_digest": self.facts.config_digest,
            "raster": str(self.facts.raster),
            "start_method": self.start_method,
            "workers": self.workers,
            "error": None if error is None else f"{type(error).__name__}: {error}".rstrip(": "),
            "exit_code": _exit_code(error, report),
            **({"network": report.network._asdict()} if report.network else {}),
        }


def _network_use() -> NetworkUse:
    from regionplot.system.remote_objects import network_use  # noqa: PLC0415 (only remote rasters need it)

    return network_use()


def _written(report: RunReport) -> set[Path]:
    """Return the files that a run wrote or kept."""
    return {outcome.job.target for outcome in [*report.drawn, *report.unchanged]}


def _without_map(report: RunReport) -> list[Job]:
    """Return the skipped jobs whose old maps must not stay."""
    return [outcome.job for outcome in report.skipped if not outcome.value.keeps_old]


def _exit_code(error: BaseException | None, report: RunReport) -> int:
    """Return the exit code of the command."""
    if error is None:
        return report.exit_code
    return int(getattr(error, "exit_code", 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1))
