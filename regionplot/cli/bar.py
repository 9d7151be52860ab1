"""Show the progress of a run as a bar on a terminal.

No thread refreshes the bar. The workers are forked from this process, and a fork is safe only without other threads.
"""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from regionplot.cli.display import Display, short_path
from regionplot.executors.base import Outcome
from regionplot.executors.observer import JobObserver
from regionplot.runs.jobs import Job
from regionplot.runs.report import RunReport

if TYPE_CHECKING:
    from regionplot.blocks.grid import Block
    from regionplot.blocks.report import BlockObserver


_REFRESH_SECONDS = 0.1
"""Shortest time between two updates of the progress bar."""


class BarDisplay(Display):
    """Show a progress bar on a terminal, errors above it, and a table at the end."""

    def __init__(self) -> None:
        super().__init__()
        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            _RateColumn(),
            TimeRemainingColumn(compact=True),
            console=self._console,
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
            transient=True,
            expand=True,
        )
        self._task = self._progress.add_task("loading", total=None)
        self._refreshed = 0.0

    def __enter__(self) -> Display:
        self._progress.start()
        self._progress.refresh()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """Start counting maps."""
        super().started(jobs, workers, start_method)
        self._progress.reset(self._task, total=jobs, description="drawing")
        self._progress.refresh()

    def finished(self, outcome: Outcome[Job]) -> None:
        """Advance the bar."""
        super().finished(outcome)
        self._progress.advance(self._task)
        if time.monotonic() - self._refreshed > _REFRESH_SECONDS:
            self._refreshed = time.monotonic()
            self._progress.refresh()

    def note(self, text: str) -> None:
        """Print a line of information above the bar."""
        self._console.print(Text(text), soft_wrap=True)

    def preparing(self) -> BlockObserver:
        """Return an observer that shows in the bar how many blocks the raster steps have processed."""
        return _BlockBar(self._progress, self._task)

    def error(self, text: str) -> None:
        """Print an error above the bar."""
        self._console.print(Text.assemble(("regionplot: ", "bold red"), text), soft_wrap=True)

    def summarize(self, report: RunReport, directory: Path, settings: Path | None) -> None:
        """Print a table with the numbers of maps, the time, the folder and the settings file."""
        empty = sum(outcome.value.no_data for outcome in report.drawn)
        table = Table.grid(padding=(0, 2))
        table.add_row("drawn", str(len(report.drawn)), style="green")
        if report.unchanged:
            table.add_row("unchanged", str(len(report.unchanged)))
        if empty:
            table.add_row("rendered without data", str(empty), style="yellow")
        if report.skipped:
            table.add_row("skipped", str(len(report.skipped)), style="yellow")
        if report.failed:
            table.add_row("failed", str(len(report.failed)), style="red")
        rate = len(report.drawn) / report.seconds
        table.add_row("time", f"{report.seconds:.1f} s, {rate:.1f} maps/s, {report.workers} × {report.start_method}")
        table.add_row("folder", Text(str(short_path(directory)), overflow="fold"))
        if settings is not None:
            table.add_row("settings", Text(str(short_path(settings)), overflow="fold"))
        Console(highlight=False).print(table)


class _BlockBar(JobObserver[Any]):
    """Show the blocks of a raster in the progress bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task, self._refreshed = progress, task, 0.0

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """Start counting blocks."""
        self._progress.reset(self._task, total=jobs, description="preparing")
        self._progress.refresh()

    def finished(self, outcome: Outcome[Block]) -> None:
        """Advance the bar."""
        self._progress.advance(self._task)
        if time.monotonic() - self._refreshed > _REFRESH_SECONDS:
            self._refreshed = time.monotonic()
            self._progress.refresh()


class _RateColumn(ProgressColumn):
    """Column that shows the number of maps or blocks per second."""

    def render(self, task: Task) -> Text:
        """Return the text of the column."""
        return Text(
            f"{task.speed:.1f} {'blocks' if task.description == 'preparing' else 'maps'}/s" if task.speed else "",
            style="progress.data.speed",
        )
