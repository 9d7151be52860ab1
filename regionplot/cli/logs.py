"""Write log files: rotating, as lines or JSON.

A line is one record, whatever a table's cells hold: control characters are escaped, and a traceback is indented.
"""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from regionplot._version import __version__
from regionplot.errors import OutputError
from regionplot.executors.base import Outcome
from regionplot.runs.jobs import Job
from regionplot.text import one_line

RUN = "regionplot.run"
"""The logger of what a run does; its lines go to the log file, and to stderr only as JSON."""


_MAX_BYTES = 1_000_000


_BACKUPS = 5


class LineFormatter(logging.Formatter):
    """Time, level, logger and message on a line; tracebacks below, indented."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        lines = [f"{_utc(record)} {record.levelname} {record.name}: {one_line(record.getMessage())}"]
        lines += [f"    | {one_line(line)}" for line in _traceback(self, record).splitlines()]
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """One object on a line: time, level, logger, message, and what else the record tells of a region."""

    def format(self, record: logging.LogRecord) -> str:
        """One record."""
        values = {
            "time": _utc(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if trace := _traceback(self, record):
            values["traceback"] = trace
        return json.dumps(values)


def _utc(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """That of an error in this process, or the one that came with an outcome from another."""
    if record.exc_info:
        return formatter.formatException(record.exc_info)
    return str(getattr(record, "traceback", ""))


def log_to_stderr(log_format: str, *, level: int) -> None:
    """What this package has to say from a level up, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    as_json = log_format == "json"
    handler.setFormatter(JsonFormatter() if as_json else logging.Formatter("%(levelname)s: %(message)s"))
    handler.addFilter(lambda record: record.name != RUN or (as_json and record.levelno >= level))
    logging.basicConfig(handlers=[handler])
    logging.getLogger("regionplot").setLevel(level)
    logging.getLogger(RUN).setLevel(logging.INFO)  # the package's level, which workers take over, is stderr's affair


@contextmanager
def log_to_file(path: Path, log_format: str) -> Iterator[None]:
    """Log into a file, too, as long as the context lasts.

    Raises
    ------
    OutputError
        If the file cannot be opened.
    """
    try:
        handler = _LogFile(path)
    except OSError as error:
        raise OutputError(f"{path}: the log cannot be written: {error.strerror or error}") from error
    handler.setFormatter(JsonFormatter() if log_format == "json" else LineFormatter())
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        with suppress(OSError):  # on a full disk, of which handleError has told
            handler.close()


class _LogFile(RotatingFileHandler):
    """A file of a megabyte and its five forerunners, written by one process only: forked ones inherit the handler."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=_MAX_BYTES, backupCount=_BACKUPS, encoding="utf-8", errors="backslashreplace")
        self._owner = os.getpid()
        self._failed = False

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record, in the process that opened the file."""
        return os.getpid() == self._owner and bool(super().handle(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging's name)
        """Say once that the log cannot be written (a full disk); the maps are more important."""
        if not self._failed and sys.stderr is not None:
            self._failed = True
            print(f"regionplot: {self.baseFilename}: the log cannot be written: {sys.exc_info()[1]}", file=sys.stderr)


class RunLog:
    """An observer that logs each map, after a line that tells what is drawn from what."""

    def __init__(self) -> None:
        self._logger = logging.getLogger(RUN)
        self.inputs = "no settings"

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """The first job is about to be done."""
        self._logger.info(
            "regionplot %s started: %s, %d regions, %d x %s", __version__, self.inputs, jobs, workers, start_method
        )

    def finished(self, outcome: Outcome[Job]) -> None:
        """One job has come to its end."""
        job, failure = outcome.job, outcome.failure
        fields: dict[str, Any] = {
            "region": job.name,
            "file": str(job.target),
            "seconds": round(outcome.seconds, 3),
            "cause": failure.cause if failure else None,
        }
        if failure is None:
            note = " (no data)" if outcome.value.no_data else ""
            text = f"drawn: {job.name}, {job.target}{note}, {outcome.seconds:.3f} s"
            self._logger.info("%s", text, extra={"fields": fields})
        else:
            origin = f"{job.region.origin}: " if job.region.origin else ""
            text = f"failed: {origin}{job.name}: {failure.message} ({failure.cause})"
            self._logger.error("%s", text, extra={"fields": fields, "traceback": failure.traceback})

    def note(self, text: str) -> None:
        """Something worth knowing."""
        self._logger.info("%s", text)

    def error(self, text: str) -> None:
        """Why the run does not go on."""
        self._logger.error("%s", text)
