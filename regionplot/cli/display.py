"""Show a run: a progress bar on a terminal, plain lines elsewhere, only errors with `-q`.

No thread refreshes the bar: the workers are forked from this process, and a fork must not meet another thread's locks.
"""

from __future__ import annotations

import os
import statistics
import sys
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

from regionplot.executors.base import Outcome
from regionplot.executors.observer import JobObserver
from regionplot.runs.jobs import Job
from regionplot.runs.report import RunReport
from regionplot.text import one_line

if TYPE_CHECKING:
    from regionplot.blocks.grid import Block
    from regionplot.blocks.report import BlockObserver


_REFRESH = 0.1
"""Seconds between two pictures of the progress bar."""


class Display:
    """Errors to stderr, and nothing else: what `--quiet` asks for."""

    def __init__(self) -> None:
        self.jobs = self.done = self.failures = 0
        self.tells_errors = True
        """Whether errors are lines for a person; else the log tells them to a program."""

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """The first job is about to be done."""
        self.jobs = jobs

    def finished(self, outcome: Outcome[Job]) -> None:
        """One job has come to its end."""
        self.done += 1
        if outcome.failure is not None:
            self.failures += 1
            self.error(_failure_line(outcome))

    def preparing(self) -> BlockObserver:
        """The raster is about to be prepared."""
        return BlockProgress()

    def summarize(self, report: RunReport, directory: Path) -> None:
        """The run is over."""

    def so_far(self) -> str:
        """What was done when the run was ended early."""
        if not self.jobs:
            return "no map was begun"
        drawn = self.done - self.failures
        failed = f", {self.failures} failed" if self.failures else ""
        return f"{drawn} of {self.jobs} maps drawn{failed}, {self.jobs - self.done} not run"

    def note(self, text: str) -> None:
        """What a person would wonder about, were it not said."""

    def error(self, text: str) -> None:
        """A line for stderr."""
        if self.tells_errors:
            _print_to(sys.stderr, f"regionplot: {text}")

    def say(self, text: str) -> None:
        """A line for stdout."""
        _print_to(sys.stdout, text)


class BlockProgress(JobObserver[Any]):
    """What is seen of the blocks of a raster: nothing, but where there is a bar."""

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """The first block is about to be done."""

    def finished(self, outcome: Outcome[Block]) -> None:
        """One block is done."""


class PlainDisplay(Display):
    """A line for each map, and one in the end: for logs."""

    def finished(self, outcome: Outcome[Job]) -> None:
        """One job has come to its end."""
        super().finished(outcome)
        if outcome.ok:
            note = " (no data)" if outcome.value.no_data else ""
            state = outcome.value.state
            how = f"{note} {outcome.seconds * 1000:.0f} ms" if state == "rendered" else f" {state}{note}"
            self.say(f"[{self.done}/{self.jobs}] {_from_here(outcome.job.target)}{how}")

    def note(self, text: str) -> None:
        """A line between those of the maps."""
        self.say(text)

    def summarize(self, report: RunReport, directory: Path) -> None:
        """The run is over."""
        self.say(f"{report}, in {_from_here(directory)}")


class BarDisplay(Display):
    """A progress bar on a terminal, failures above it as they happen, a table in the end."""

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
        """The first job is about to be done."""
        super().started(jobs, workers, start_method)
        self._progress.reset(self._task, total=jobs, description="drawing")
        self._progress.refresh()

    def finished(self, outcome: Outcome[Job]) -> None:
        """One job has come to its end."""
        super().finished(outcome)
        self._progress.advance(self._task)
        if time.monotonic() - self._refreshed > _REFRESH:
            self._refreshed = time.monotonic()
            self._progress.refresh()

    def note(self, text: str) -> None:
        """A line above the bar, too."""
        self._console.print(Text(text), soft_wrap=True)

    def preparing(self) -> BlockObserver:
        """The raster is about to be prepared; the bar counts its blocks."""
        return _BlockBar(self._progress, self._task)

    def error(self, text: str) -> None:
        """A line above the bar."""
        self._console.print(Text.assemble(("regionplot: ", "bold red"), text), soft_wrap=True)

    def summarize(self, report: RunReport, directory: Path) -> None:
        """The run is over."""
        empty = sum(outcome.value.no_data for outcome in report.drawn)
        table = Table.grid(padding=(0, 2))
        table.add_row("drawn", str(len(report.drawn)), style="green")
        if report.unchanged:
            table.add_row("unchanged", str(len(report.unchanged)))
        if empty:
            table.add_row("of these without data", str(empty), style="yellow")
        if report.skipped:
            table.add_row("without data, skipped", str(len(report.skipped)), style="yellow")
        if report.failed:
            table.add_row("failed", str(len(report.failed)), style="red")
        rate = len(report.drawn) / report.seconds
        table.add_row("time", f"{report.seconds:.1f} s, {rate:.1f} maps/s, {report.workers} × {report.start_method}")
        table.add_row("folder", Text(str(_from_here(directory)), overflow="fold"))
        Console(highlight=False).print(table)


class _BlockBar(BlockProgress):
    """The bar, while it counts blocks."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task, self._refreshed = progress, task, 0.0

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """The first block is about to be done."""
        self._progress.reset(self._task, total=jobs, description="preparing")
        self._progress.refresh()

    def finished(self, outcome: Outcome[Block]) -> None:
        """One block is done."""
        self._progress.advance(self._task)
        if time.monotonic() - self._refreshed > _REFRESH:
            self._refreshed = time.monotonic()
            self._progress.refresh()


class _RateColumn(ProgressColumn):
    """Maps, or blocks, each second."""

    def render(self, task: Task) -> Text:
        """See rich."""
        return Text(
            f"{task.speed:.1f} {'blocks' if task.description == 'preparing' else 'maps'}/s" if task.speed else "",
            style="progress.data.speed",
        )


def stage_table(report: RunReport) -> str:
    """Where the time of a run went: the run's own stages, then those of its maps."""
    lines = [f"{'the run':<12}{'s':>8}"]
    lines += [f"{stage:<12}{seconds:8.2f}" for stage, seconds in report.stages.items()]
    maps = [outcome.value.stages for outcome in report.drawn]
    lines += ["", f"{'a map':<12}{'median ms':>10}{'largest':>9}{'all, s':>8}"]
    for stage in dict.fromkeys(stage for stages in maps for stage in stages):
        times = [stages.get(stage, 0.0) for stages in maps]
        lines.append(f"{stage:<12}{statistics.median(times) * 1e3:10.1f}{max(times) * 1e3:9.1f}{sum(times):8.2f}")
    return "\n".join(lines)


def make_display(*, quiet: bool, verbose: bool, log_format: str = "text") -> Display:
    """The display that suits the options and the terminal; where stderr is for a program, nothing else is put there."""
    if log_format == "json":
        display = Display() if quiet else PlainDisplay()
        display.tells_errors = False
        return display
    if quiet:
        return Display()
    return BarDisplay() if sys.stderr is not None and sys.stderr.isatty() and not verbose else PlainDisplay()


def _failure_line(outcome: Outcome[Job]) -> str:
    assert outcome.failure is not None
    region = outcome.job.region
    place = f"{region.origin}: " if region.origin else ""
    return one_line(f"{place}{region.name}: {outcome.failure.message}")


def _from_here(path: Path) -> Path:
    """A path as short as it is clear: relative to the working directory if it lies there."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _print_to(stream: object, text: str) -> None:
    """Print; a reader that has gone away does not end the run."""
    if stream is None:  # it was closed before we were started
        return
    try:
        print(text, file=stream, flush=True)  # type: ignore[call-overload]  # sys.stdout may be None
    except OSError:
        _silence(stream)
    except UnicodeEncodeError:
        print(text.encode("ascii", "backslashreplace").decode(), file=stream, flush=True)  # type: ignore[call-overload]


def _silence(stream: object) -> None:
    """Let a broken stream lead nowhere, so that later prints and the flush at exit are quiet too."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, stream.fileno())  # type: ignore[attr-defined]
    os.close(descriptor)
