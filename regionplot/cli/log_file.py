"""Write a log file, with rotation."""

from __future__ import annotations

import copy
import errno
import logging
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import RotatingFileHandler
from pathlib import Path

from regionplot.cli.logs import JsonFormatter, LineFormatter, is_of_this_package
from regionplot.errors import OutputError

_MAX_KINDS = 1000
"""Maximum number of distinct records of libraries in a log file."""
_MAX_BYTES = 1_000_000
_BACKUPS = 5


@contextmanager
def log_to_file(path: Path, log_format: str) -> Iterator[None]:
    """Also log to a file until the context exits.

    Parameters
    ----------
    path : Path
        Log file. Records are appended.
    log_format : {"text", "json"}
        Format of the lines.

    Raises
    ------
    OutputError
        If the file cannot be opened.
    """
    try:
        _check_reader(path)
        handler = _LogFile(path)
    except OSError as error:
        raise OutputError(f"{path}: the log cannot be written: {error.strerror or error}") from error
    handler.setFormatter(JsonFormatter() if log_format == "json" else LineFormatter())
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        with suppress(OSError):  # the disk is full, and handleError has reported it
            handler.close()


def _check_reader(path: Path) -> None:
    """Raise OSError if a log file is a pipe that no process reads, because opening such a pipe would block."""
    with suppress(FileNotFoundError):
        if not stat.S_ISFIFO(path.stat().st_mode):
            return
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            raise OSError(errno.ENXIO, "no process reads this pipe") from None


class _LogFile(RotatingFileHandler):
    """A rotating log file of one megabyte, with five older files. Only the process that opened it writes to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=_MAX_BYTES, backupCount=_BACKUPS, encoding="utf-8", errors="backslashreplace")
        self._owner = os.getpid()
        self._failed = False
        self._known: set[tuple[str, str]] = set()

    def handle(self, record: logging.LogRecord) -> bool:
        """Write a record. A forked worker inherits the handler, but writes nothing.

        A record of a library, such as GDAL, is written as a debug record. Records that differ only in numbers and
        quoted names are written once.
        """
        if os.getpid() != self._owner:
            return False
        if not is_of_this_package(record):
            kind = (record.name, re.sub(r"\d+|'[^']*'", "", record.getMessage()))
            if kind in self._known or len(self._known) > _MAX_KINDS:
                return False
            self._known.add(kind)
            record = copy.copy(record)
            record.levelno, record.levelname = logging.DEBUG, "DEBUG"
        return bool(super().handle(record))

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 (logging defines the name)
        """Print only once that the log cannot be written. The run continues, because the maps matter more."""
        if not self._failed and sys.stderr is not None:
            self._failed = True
            print(f"regionplot: {self.baseFilename}: the log cannot be written: {sys.exc_info()[1]}", file=sys.stderr)
