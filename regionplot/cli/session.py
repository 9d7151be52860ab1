"""Forward the events of a run to the display and the log, and write the metrics at the end."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from regionplot.cli.display import Display
from regionplot.cli.logs import RunLog
from regionplot.errors import OutputError
from regionplot.executors.base import Outcome
from regionplot.executors.observer import JobObserver
from regionplot.runs.jobs import Job
from regionplot.runs.metrics import write_metrics
from regionplot.runs.report import NOT_RUN, Observer, RunReport

if TYPE_CHECKING:
    from regionplot.blocks.report import BlockObserver
    from regionplot.runs.task import RenderTask


class Session(Observer):
    """Observer of one run. It forwards each event, and stores the outcomes for the report of a run that ends early.

    Attributes
    ----------
    display : Display
        Shows the run to a person.
    metrics : Path or None
        File for the metrics. None until a check shows that the file can be written.
    directory : Path
        Output folder. Set by `set_inputs`.
    waited : float or None
        Seconds spent waiting for the raster.
    task : RenderTask or None
        The task that drew the maps of the run in this process or its workers.
    """

    def __init__(self, display: Display) -> None:
        self.display = display
        self.metrics: Path | None = None
        self.directory = Path()
        self.waited: float | None = None
        self.task: RenderTask | None = None
        self._log = RunLog()
        self._observers: tuple[JobObserver[Job], ...] = (self._log, display)
        self._start = time.monotonic()
        self._outcomes: list[Outcome[Job]] = []
        self._jobs = 0
        self._executor = ("", 0)

    def waiting(self, text: str) -> None:
        """Show and log that the run waits for its raster."""
        self._log.note(text)
        self.display.note(text)

    def set_inputs(self, config_path: Path | None, raster: Path, directory: Path) -> None:
        """Set the settings file and the raster for the first line of the log, and the output folder."""
        self._log.inputs = f"config {config_path or 'none'}, raster {raster}"
        self.directory = directory

    def preparing(self) -> BlockObserver:
        """Return an observer of the blocks that the raster steps process. Called before the steps run."""
        return self.display.preparing()

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """Forward the number of jobs and workers. Called before the first job starts."""
        self._jobs, self._executor = jobs, (start_method, workers)
        for observer in self._observers:
            observer.started(jobs, workers, start_method)

    def finished(self, outcome: Outcome[Job]) -> None:
        """Store and forward the outcome of one job."""
        self._outcomes.append(outcome)
        for observer in self._observers:
            observer.finished(outcome)

    def drawn(self, task: RenderTask) -> None:
        """Keep the task of the run, from which the next run can be prepared."""
        self.task = task

    def error(self, text: str) -> None:
        """Show and log an error that concerns the whole run."""
        self.display.error(text)
        self._log.error(text)

    def interrupted(self, reason: str) -> None:
        """Show and log that the run ended early."""
        self.error(f"{reason}: {self.display.progress_text()}")

    def with_wait(self, report: RunReport) -> RunReport:
        """Return a report whose stages include the wait for the raster."""
        stages: Mapping[str, float] = report.stages
        return replace(report, stages={**({} if self.waited is None else {"wait": self.waited}), **stages})

    def end(self, exit_code: int, report: RunReport | None) -> None:
        """Log the end of the run and write the metrics.

        Parameters
        ----------
        exit_code : int
            Exit code of the command.
        report : RunReport or None
            Report of the run, or None if it ended early.
        """
        seconds = time.monotonic() - self._start
        result = replace(report or self.with_wait(RunReport(self._outcomes, seconds, *self._executor)), seconds=seconds)
        self._log.note(f"ended with exit code {exit_code}: {result}")
        if self.metrics is None:
            return
        not_run = {} if report else {NOT_RUN: self._jobs - len(self._outcomes)}
        try:
            write_metrics(self.metrics, result, exit_code, {**result.counts(), **not_run})
        except OutputError as error:  # keep the exit code: the maps matter more than the metrics
            self.error(str(error))
