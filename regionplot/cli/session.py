"""Forward the events of a run to the display, the log and the metrics."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from regionplot.cli.display import Display
from regionplot.cli.logs import RunLog
from regionplot.errors import OutputError
from regionplot.executors.base import Outcome
from regionplot.runs.jobs import Job
from regionplot.runs.metrics import write_metrics
from regionplot.runs.report import NOT_RUN, Observer, RunReport
from regionplot.settings.config import Config

if TYPE_CHECKING:
    from regionplot.blocks.report import BlockObserver


@dataclass
class Session(Observer):
    """An observer that passes on what it is told, and keeps what is needed should the run end early."""

    display: Display
    log: RunLog = field(default_factory=RunLog)
    metrics: Path | None = None
    """Where the metrics go, once that is known to be a good place."""
    waited: float | None = None
    """Seconds spent waiting for the raster."""
    _began: float = field(default_factory=time.monotonic)
    _outcomes: list[Outcome[Job]] = field(default_factory=list)
    _jobs: int = 0
    _crew: tuple[str, int] = ("", 0)

    def waits(self, text: str) -> None:
        """The raster is not there yet, or may not be complete."""
        self.log.note(text)
        self.display.note(text)

    def draws(self, source: Path | None, config: Config) -> None:
        """The settings are known."""
        self.log.inputs = f"config {source or 'none'}, raster {config.raster.path}"

    def preparing(self) -> BlockObserver:
        """The raster is about to be prepared."""
        return self.display.preparing()

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """The first job is about to be done."""
        self._jobs, self._crew = jobs, (start_method, workers)
        self.log.started(jobs, workers, start_method)
        self.display.started(jobs, workers, start_method)

    def finished(self, outcome: Outcome[Job]) -> None:
        """One job has come to its end."""
        self._outcomes.append(outcome)
        self.log.finished(outcome)
        self.display.finished(outcome)

    def error(self, text: str) -> None:
        """Something has gone wrong that is not one region's affair."""
        self.display.error(text)
        self.log.error(text)

    def interrupted(self, why: str) -> None:
        """The run was ended before it was done."""
        self.error(f"{why}: {self.display.so_far()}")

    def complete(self, report: RunReport) -> RunReport:
        """The report of a run that was not ended early, with what was done before it began."""
        stages: Mapping[str, float] = report.stages
        return replace(report, stages={**({} if self.waited is None else {"wait": self.waited}), **stages})

    def end(self, exit_code: int, report: RunReport | None) -> None:
        """The run is over, one way or another: the last line of the log, and the metrics."""
        seconds = time.monotonic() - self._began
        known = report or self.complete(RunReport(self._outcomes, seconds, *self._crew))
        self.log.note(f"ended with exit code {exit_code}: {replace(known, seconds=seconds)}")
        if self.metrics is None:
            return
        not_run = {} if report else {NOT_RUN: self._jobs - len(self._outcomes)}
        try:
            write_metrics(self.metrics, replace(known, seconds=seconds), exit_code, {**known.counts(), **not_run})
        except OutputError as error:  # the maps are what counts; a monitor sees that the numbers are old
            self.error(str(error))
