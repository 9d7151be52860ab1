"""Format log records as text or JSON, and log the events of a run.

Text from a table of regions cannot forge records: control characters are escaped, and tracebacks are indented.
"""

from __future__ import annotations

import json
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TextIO

from regionplot._version import __version__
from regionplot.executors.base import Outcome
from regionplot.executors.observer import JobObserver
from regionplot.runs.jobs import Job
from regionplot.shared.prints import log_prints
from regionplot.text import one_line, without_secrets

RUN_LOGGER = "regionplot.run"
"""Logger for the events of a run. Its records go to the log file. They go to stderr only in the JSON format."""
_REPEATED = 10.0
"""Seconds within which equal records are written once."""
_WARNINGS = "python.warnings"
"""Logger for the warnings of Python libraries."""


class ShortFormatter(logging.Formatter):
    """Format a record as level and message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of one record."""
        return without_secrets(super().format(record))


class LineFormatter(logging.Formatter):
    """Format a record as time, level, logger and message on one line, with an indented traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of one record."""
        lines = [f"{_utc(record)} {record.levelname} {record.name}: {one_line(_message(record))}"]
        lines += [f"    | {one_line(line)}" for line in _traceback(self, record).splitlines()]
        return "\n".join(lines)


class JsonFormatter(logging.Formatter):
    """Format a record as a JSON object on one line: time, level, logger, message, and the fields of a region."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of one record."""
        values = {
            "time": _utc(record),
            "level": record.levelname,
            "logger": record.name,
            "message": _message(record),
            **getattr(record, "fields", {}),
        }
        if trace := _traceback(self, record):
            values["traceback"] = trace
        return json.dumps(values)


def _utc(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


def _message(record: logging.LogRecord) -> str:
    """Return the message of a record without signatures. GDAL names whole addresses in its messages."""
    return without_secrets(record.getMessage())


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> str:
    """Return the traceback of an error in this process, or the text of a traceback from a worker."""
    if record.exc_info:
        return without_secrets(formatter.formatException(record.exc_info))
    return without_secrets(str(getattr(record, "traceback", "")))


def log_to_stderr(log_format: str, *, level: int) -> None:
    """Write the log of this package to stderr, and turn Python warnings into log records.

    Parameters
    ----------
    log_format : {"text", "json"}
        With `json`, the events of the run are also written.
    level : int
        Lowest level of records to write. Records of libraries are written only for the level INFO.
    """
    handler = logging.StreamHandler(sys.stderr)
    as_json = log_format == "json"
    handler.setFormatter(JsonFormatter() if as_json else ShortFormatter("%(levelname)s: %(message)s"))
    handler.addFilter(lambda record: record.name != RUN_LOGGER or (as_json and record.levelno >= level))
    if level > logging.INFO:
        handler.addFilter(is_of_this_package)
        handler.addFilter(WithoutRepeats())
    logging.basicConfig(handlers=[handler])
    warnings.showwarning = _log_warning  # `commands.run` restores it
    logging.getLogger("regionplot").setLevel(level)
    log_prints(level)
    logging.getLogger(RUN_LOGGER).setLevel(logging.INFO)  # the log file needs all events of the run


class WithoutRepeats(logging.Filter):
    """Leave out a record if an equal record was written shortly before. Overlays can open one file several times."""

    def __init__(self) -> None:
        super().__init__()
        self._written: dict[tuple[int, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return True if the record is new."""
        key, before = (record.levelno, record.getMessage()), record.created - _REPEATED
        self._written = {known: time for known, time in self._written.items() if time > before}
        is_new = key not in self._written
        self._written[key] = record.created
        return is_new


def is_of_this_package(record: logging.LogRecord) -> bool:
    """Return True if a logger of this package made the record."""
    return record.name.partition(".")[0] == "regionplot"


def _log_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 (the arguments of `warnings.showwarning`)
    line: str | None = None,  # noqa: ARG001
) -> None:
    """Log a Python warning. It goes to the log file as a debug record, and to stderr only with `--verbose`."""
    logging.getLogger(_WARNINGS).warning("%s: %s (%s:%d)", category.__name__, message, filename, lineno)


class WarningCounter(logging.Handler):
    """Count the warnings and errors of all loggers that are shown or written to the log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Count a record."""
        self.count += 1


@contextmanager
def counted_warnings() -> Iterator[WarningCounter]:
    """Count warnings and errors until the context exits."""
    counter = WarningCounter()
    logging.getLogger().addHandler(counter)
    try:
        yield counter
    finally:
        logging.getLogger().removeHandler(counter)


class SharedLines:
    """Find out which failures of jobs that fail together have been reported."""

    def __init__(self) -> None:
        self._known: set[tuple[str, str]] = set()

    def is_new(self, outcome: Outcome[Job]) -> bool:
        """Return True if the failure of an outcome must be reported: it is the first of its group, or has no group."""
        failure = outcome.failure
        if failure is None or not failure.group:
            return True
        key = failure.group, failure.message
        is_new = key not in self._known
        self._known.add(key)
        return is_new


class RunLog(JobObserver[Job]):
    """Observer that logs the start of a run and each map.

    Attributes
    ----------
    inputs : str
        Settings file and raster, for the first line of the log.
    """

    def __init__(self) -> None:
        self._logger = logging.getLogger(RUN_LOGGER)
        self._lines = SharedLines()
        self.inputs = "no settings"

    def started(self, jobs: int, workers: int, start_method: str) -> None:
        """Log the start of the run."""
        self._logger.info(
            "regionplot %s started: %s, maps: %d, %d x %s", __version__, self.inputs, jobs, workers, start_method
        )

    def finished(self, outcome: Outcome[Job]) -> None:
        """Log the outcome of one map."""
        job, failure = outcome.job, outcome.failure
        fields: dict[str, Any] = {
            "region": job.name,
            "file": str(job.target),
            "seconds": round(outcome.seconds, 3),
            "cause": failure.cause if failure else None,
        }
        if failure is None:
            note = " (no data)" if outcome.value.no_data else ""
            state = "unchanged" if outcome.value.state == "unchanged" else "drawn"
            text = f"{state}: {job.name}, {job.target}{note}, {outcome.seconds:.3f} s"
            if outcome.value.reason:
                text = f"skipped: {job.name}, {job.target}: {outcome.value.reason}"
            self._logger.info("%s", text, extra={"fields": fields})
        elif self._lines.is_new(outcome):
            origin = f"{job.region.origin}: " if job.region.origin else ""
            name = failure.group or f"{origin}{job.name}"
            text = f"failed: {name}: {failure.message} ({failure.cause})"
            if failure.group:
                fields |= {"region": None, "file": None, "group": failure.group}
            self._logger.error("%s", text, extra={"fields": fields, "traceback": failure.traceback})

    def note(self, text: str) -> None:
        """Log a line of information."""
        self._logger.info("%s", text)

    def error(self, text: str) -> None:
        """Log an error that concerns the whole run."""
        self._logger.error("%s", text)
