"""Record one run from start to manifest: jobs, outcomes, publication."""

from __future__ import annotations

import hashlib
import logging
import signal
import socket
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any

from regionplot import _version
from regionplot.errors import OutputError, RegionsError
from regionplot.executors.base import Failure, Outcome
from regionplot.geo.region import Region
from regionplot.runs import store
from regionplot.runs.filenames import assign_file_names
from regionplot.runs.jobs import Job
from regionplot.runs.manifest import is_there, known_map, read_entries, write_manifest
from regionplot.runs.publication import link_or_copy, publication
from regionplot.runs.report import NOT_RUN, RunReport
from regionplot.settings.config import Config
from regionplot.system.files import new_run, remove_stale_temporaries
from regionplot.system.stopwatch import Stopwatch

logger = logging.getLogger(__name__)


class RunRecord:
    """One run from its lock to its manifest: what is to be drawn, what became of it, and how it is published.

    Used as a context, it settles everything in the end, however the end comes: the manifest, the publication, and the
    temporary files of workers that were killed.
    """

    def __init__(
        self,
        config: Config,
        regions: Sequence[Region],
        watch: Stopwatch,
        start_method: str,
        *,
        force: bool,
        all_regions: bool,
    ) -> None:
        self.config = config
        self._all_regions = all_regions
        self.watch = watch
        self.start_method = start_method
        self.workers = 0
        self.run = new_run()
        self._publication = publication(config.output, self.run)
        self._before = read_entries(self._publication.previous)
        self.jobs = [self._job(region, name, force=force) for region, name in assign_file_names(regions, config)]
        self._outcomes: dict[Path, Outcome[Job]] = {}
        self._started = datetime.now(UTC)
        self._check_folders()
        remove_stale_temporaries(self._folders)
        watch.lap("check")

    def _job(self, region: Region, name: str, *, force: bool) -> Job:
        known = None if force else known_map(self._before, self._publication.previous, name)
        return Job(region, self._publication.folder / name, known)

    def _check_folders(self) -> None:
        """See that no folder of a map leads out of the output folder; each is looked at once."""
        first: dict[Path, Region] = {}
        for job in self.jobs:
            first.setdefault(job.target.parent, job.region)
        problems = [
            f"{region.origin or region.name}: maps cannot be written into {problem}"
            for folder, region in first.items()
            for problem in store.check_folders(self.config.output.directory, [folder])
        ]
        if problems:
            raise RegionsError(*problems)

    @property
    def _folders(self) -> set[Path]:
        """Where temporary files may be."""
        return {self.config.output.directory, *(job.target.parent for job in self.jobs)}

    def add(self, outcome: Outcome[Job]) -> None:
        """Note what became of a job."""
        self._outcomes[outcome.job.target] = outcome

    @property
    def report(self) -> RunReport:
        """What has become of the jobs so far."""
        not_run = Failure(NOT_RUN, "the run ended before its turn came")
        outcomes = [self._outcomes.get(job.target) or Outcome(job, failure=not_run) for job in self.jobs]
        seconds = self.watch.seconds
        return RunReport(outcomes, sum(seconds.values()), self.start_method, self.workers, seconds)

    def __enter__(self) -> RunRecord:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        report = self.report
        try:
            if report.failed:
                remove_stale_temporaries(self._folders, self.run)
            self._carry_over(report)
            if self._publication.folder.is_dir():  # of a run that drew nothing there may be none
                described = self._described(error, report)
                write_manifest(self._publication.folder, described, report, self._before)
        except (OutputError, OSError, ValueError) as problem:
            logger.error("%s", problem)
        finally:
            self._publication.finish(complete=error is None and not report.failed, ended=error is None)

    def _carry_over(self, report: RunReport) -> None:
        """Have older maps stand in a new run's folder for those that this run has not made, or was not asked for."""
        old, new = self._publication.previous, self._publication.folder
        if not self.config.output.directory.is_dir():  # it was taken away, and is not to be made again
            return
        missing = [job.target for job in self.jobs if job.target not in _made(report)] if old != new else []
        others = [new / file for file in self._before] if old != new and not self._all_regions else []
        for target in {*missing, *others}:
            image = old / target.relative_to(new)
            if is_there(image) and not target.exists():
                link_or_copy(image, target)

    def _described(self, error: BaseException | None, report: RunReport) -> dict[str, Any]:
        """What the manifest tells of the run."""
        return {
            "id": self.run,
            "started": self._started.isoformat(timespec="seconds"),
            "ended": datetime.now(UTC).isoformat(timespec="seconds"),
            "host": socket.gethostname(),
            "version": _version.__version__,
            "config_digest": hashlib.sha256(repr(self.config).encode(errors="backslashreplace")).hexdigest()[:32],
            "raster": str(self.config.raster.path),
            "start_method": self.start_method,
            "workers": self.workers,
            "error": None if error is None else f"{type(error).__name__}: {error}".rstrip(": "),
            "exit_code": _exit_code(error, report),
        }


def _made(report: RunReport) -> set[Path]:
    """The images that a run has put where they belong."""
    return {outcome.job.target for outcome in [*report.drawn, *report.unchanged]}


def _exit_code(error: BaseException | None, report: RunReport) -> int:
    """What the command will end with."""
    if error is None:
        return report.exit_code
    return int(getattr(error, "exit_code", 128 + signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1))
