"""Show the progress of a run: a progress bar on a terminal, plain lines elsewhere, only errors with `-q`."""

from __future__ import annotations

import enum
import logging
import os
import sys
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from regionplot.cli.logs import SharedLines
from regionplot.executors.base import Outcome
from regionplot.executors.observer import JobObserver
from regionplot.runs.jobs import Job
from regionplot.runs.report import RunReport
from regionplot.text import error_text, one_line

if TYPE_CHECKING:
    from regionplot.blocks.report import BlockObserver


class Verbosity(enum.Enum):
    """Amount of printed output."""

    QUIET = logging.ERROR
    NORMAL = logging.WARNING
    VERBOSE = logging.INFO

    @classmethod
    def from_flags(cls, *, quiet: bool, verbose: bool) -> Verbosity:
        """Return the verbosity for `--quiet` and `--verbose`. `--verbose` overrides `--quiet`."""
        return cls.VERBOSE if verbose else cls.QUIET if quiet else cls.NORMAL

    @property
    def log_level(self) -> int:
        """Lowest level of log records to show."""
        return self.value


class Display(JobObserver[Job]):
    """Print only errors, to stderr. This is the display for `--quiet`.

    Attributes
    ----------
    jobs, done, failures : int
        Number of maps in the run, number of finished maps, and number of failed maps.
    """

    def __init__(self) -> None:
        self.jobs = self.done = self.failures = 0
        self._lines = SharedLines()

    def __enter__(self) -> Display:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """Store the number of jobs. Called before the first job starts."""
        self.jobs = jobs

    def finished(self, outcome: Outcome[Job]) -> None:
        """Count one job. If the job failed, print its error."""
        self.done += 1
        if outcome.failure is not None:
            self.failures += 1
            if self._lines.is_new(outcome):
                self.error(_failure_line(outcome))

    def preparing(self) -> BlockObserver:
        """Return an observer of the blocks that the raster steps process. Called before the steps run."""
        return JobObserver()

    def summarize(self, report: RunReport, directory: Path, settings: Path | None) -> None:
        """Show the result of a whole run, the folder of the maps, and the settings file."""

    def progress_text(self) -> str:
        """Return a summary: the numbers of maps that were drawn, that failed and that did not run."""
        if not self.jobs:
            return "no map was started"
        drawn = self.done - self.failures
        failed = f", {self.failures} failed" if self.failures else ""
        return f"{drawn} of {self.jobs} maps drawn{failed}, {self.jobs - self.done} not run"

    def note(self, text: str) -> None:
        """Show a line of information."""

    def error(self, text: str) -> None:
        """Print an error to stderr, on one line. A traceback follows on indented lines."""
        _print_to(sys.stderr, f"regionplot: {error_text(text)}")

    def print_line(self, text: str) -> None:
        """Print a line to stdout."""
        _print_to(sys.stdout, text)


class PlainDisplay(Display):
    """Print a line for each map and a summary, for log files and pipes."""

    def finished(self, outcome: Outcome[Job]) -> None:
        """Print a line for a map."""
        super().finished(outcome)
        if outcome.ok:
            note = " (no data)" if outcome.value.no_data else ""
            state = outcome.value.state
            why = f": {outcome.value.reason}" if outcome.value.reason else note
            how = f"{note} {outcome.seconds * 1000:.0f} ms" if state == "rendered" else f" {state}{why}"
            self.print_line(f"[{self.done}/{self.jobs}] {short_path(outcome.job.target)}{how}")

    def note(self, text: str) -> None:
        """Print a line of information."""
        self.print_line(text)

    def summarize(self, report: RunReport, directory: Path, settings: Path | None) -> None:
        """Print the number of maps, the time, the folder and the settings file."""
        used = "" if settings is None else f"; settings: {short_path(settings)}"
        self.print_line(f"{report}, in {short_path(directory)}{used}")


class JsonDisplay(PlainDisplay):
    """Print lines for the maps, but no errors. The log writes errors to stderr as JSON."""

    def error(self, text: str) -> None:
        """Print nothing."""


class QuietJsonDisplay(Display):
    """Print nothing. The log writes the errors to stderr, as JSON."""

    def error(self, text: str) -> None:
        """Print nothing."""


def stage_table(report: RunReport) -> str:
    """Return a table of times: first the stages of the run, then the stages of its maps."""
    import statistics  # noqa: PLC0415 (only --profile needs it)

    lines = [f"{'the run':<12}{'s':>8}"]
    lines += [f"{stage:<12}{seconds:8.2f}" for stage, seconds in report.stages.items()]
    maps = [outcome.value.stages for outcome in report.drawn]
    lines += ["", f"{'a map':<12}{'median ms':>10}{'largest':>9}{'all, s':>8}"]
    for stage in dict.fromkeys(stage for stages in maps for stage in stages):
        times = [stages.get(stage, 0.0) for stages in maps]
        lines.append(f"{stage:<12}{statistics.median(times) * 1e3:10.1f}{max(times) * 1e3:9.1f}{sum(times):8.2f}")
    return "\n".join(lines)


def make_display(verbosity: Verbosity, log_format: str = "text") -> Display:
    """Return the display that suits the options and the terminal.

    Parameters
    ----------
    verbosity : Verbosity
        Amount of output.
    log_format : {"text", "json"}
        With `json`, only the log writes to stderr.
    """
    if log_format == "json":
        return QuietJsonDisplay() if verbosity is Verbosity.QUIET else JsonDisplay()
    if verbosity is Verbosity.QUIET:
        return Display()
    is_terminal = sys.stderr is not None and sys.stderr.isatty()
    if not is_terminal or verbosity is not Verbosity.NORMAL:
        return PlainDisplay()
    from regionplot.cli.bar import BarDisplay  # noqa: PLC0415 (imports rich; only terminals need it)

    return BarDisplay()


def _failure_line(outcome: Outcome[Job]) -> str:
    assert outcome.failure is not None
    region = outcome.job.region
    if outcome.failure.group:
        return one_line(f"{outcome.failure.group}: {outcome.failure.message}")
    place = f"{region.origin}: " if region.origin else ""
    return one_line(f"{place}{outcome.job.name}: {outcome.failure.message}")


def short_path(path: Path) -> Path:
    """Return the path relative to the working directory if it is inside. Otherwise, return the path unchanged."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _print_to(stream: object, text: str) -> None:
    """Print a line. If the reader of the stream has exited, the run continues."""
    if stream is None:  # the stream was closed before Python started
        return
    try:
        print(text, file=stream, flush=True)  # type: ignore[call-overload]  # sys.stdout may be None
    except OSError:
        _discard_output(stream)
    except UnicodeEncodeError:
        print(text.encode("ascii", "backslashreplace").decode(), file=stream, flush=True)  # type: ignore[call-overload]


def _discard_output(stream: object) -> None:
    """Connect a broken stream to the null device, so that later prints and the flush at exit raise no errors."""
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, stream.fileno())  # type: ignore[attr-defined]
    os.close(descriptor)
