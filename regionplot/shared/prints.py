"""Show what functions of the user print.

In the command, each line becomes a log record with the name of the region. In other programs, the text goes to stdout.
"""

from __future__ import annotations

import io
import logging
import sys
import threading
from types import TracebackType
from typing import TextIO

from regionplot.text import one_line

logger = logging.getLogger(__name__)
_PACKAGE_LOGGER = logging.getLogger(__name__.partition(".")[0])


def log_prints(level: int) -> None:
    """Turn what functions print into log records of the level INFO.

    Parameters
    ----------
    level : int
        Lowest level of other records that are shown. Prints are shown with warnings, but not if only errors are shown.
    """
    logger.setLevel(logging.INFO if level <= logging.WARNING else level)


class PrintedLines:
    """Context in which printed text is shown with a name.

    Parameters
    ----------
    name : str
        Name of the region, or of the module that is imported.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._stdout: TextIO | None = None
        self._lines: _Lines | None = None

    def __enter__(self) -> None:
        self._stdout = sys.stdout
        if logger.level or _PACKAGE_LOGGER.level > logging.WARNING:
            self._lines = _Lines(self._name, self._stdout)
            sys.stdout = self._lines

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._lines is not None:
            self._lines.finish()
            sys.stdout = self._stdout  # None if the program has no stdout
        elif self._stdout is not None:
            self._stdout.flush()  # a worker ends without flushing


class _Lines(io.TextIOBase):
    """Text file that logs each line. Text of other threads goes to the file `usual`."""

    def __init__(self, name: str, usual: TextIO | None) -> None:
        self._name, self._usual = name, usual
        self._thread = threading.get_ident()
        self._rest = ""

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, text: str) -> int:
        """Log all complete lines, and keep the rest."""
        if threading.get_ident() != self._thread:
            return self._usual.write(text) if self._usual is not None else len(text)
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._log(line)
        return len(text)

    def finish(self) -> None:
        """Log the last line, if it has no line break."""
        if self._rest:
            self._log(self._rest)
            self._rest = ""

    def _log(self, line: str) -> None:
        logger.info("%s: %s", self._name, one_line(line.rstrip("\r")))
