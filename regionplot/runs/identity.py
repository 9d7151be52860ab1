"""Identify the program and the input files of a run without reading them.

::

    arguments, working directory, environment ─┐
    folders of packages, own source files ─────┴─► program_digest ─► name of the known run
    input files: device, inode, size, times ─────► InputFiles.marks ─► compared with the known run

This module imports no library, because a run without changes should end within milliseconds. As for digests, there is
no list of dependencies, only a list of exclusions: `_SESSION` and `_SESSION_PREFIXES`.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from regionplot._version import __version__
from regionplot.system import marks
from regionplot.system.machine import usable_cpus
from regionplot.system.marks import Mark, Marks, mark_of, own_marks

MIN_AGE = marks.MIN_AGE
"""Seconds that an input must have been unchanged when a run starts. See `system.marks`."""
_LENGTH = 32
"""Number of hexadecimal digits of a digest."""
_SESSION = frozenset(
    {
        "_", "OLDPWD", "PWD", "SHLVL", "TERM", "COLORTERM", "COLUMNS",
        "LINES", "LS_COLORS", "DISPLAY", "WINDOWID", "HOSTNAME", "MAIL", "SHELL",
        "USER", "LOGNAME", "EDITOR", "PAGER", "PS1", "PS2", "STY",
        "TMUX", "TMUX_PANE", "INVOCATION_ID", "JOURNAL_STREAM", "MANAGERPID", "NOTIFY_SOCKET", "WATCHDOG_PID",
        "WATCHDOG_USEC", "DBUS_SESSION_BUS_ADDRESS", "PYTHONWARNINGS",
    }
)  # fmt: skip
"""Environment variables that differ between sessions and change no map."""
_SESSION_PREFIXES = ("SSH_", "XDG_SESSION_", "XDG_RUNTIME_", "XDG_SEAT", "XDG_VTNR", "SYSTEMD_", "LISTEN_", "TERM_")


def program_digest(*parts: str) -> str:
    """Return a digest of the program, its environment and some texts.

    The digest changes when a package is installed, upgraded or removed, and when a source file of this package changes.
    It also changes with each environment variable that does not belong to the session.

    Parameters
    ----------
    *parts : str
        Texts, such as the arguments of the command.
    """
    facts = [
        parts,
        __version__,
        sys.version,
        os.getcwd(),  # noqa: PTH109 (Path.cwd gives the same text more slowly)
        os.geteuid() if hasattr(os, "geteuid") else None,
        usable_cpus(),
        sorted(_environment()),
        [mark_of(path) for path in _gdal_settings()],
        [[folder, *_packages_in(folder or ".")] for folder in sys.path],
        own_marks(os.path.dirname(os.path.dirname(__file__))),  # noqa: PTH120
    ]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:_LENGTH]


def _environment() -> Iterator[tuple[str, str]]:
    for name, value in os.environ.items():
        if name not in _SESSION and not name.startswith(_SESSION_PREFIXES):
            yield name, value


def _gdal_settings() -> Iterator[str]:
    """Yield the files from which GDAL reads its configuration, whether they exist or not."""
    yield os.environ.get("GDAL_CONFIG_FILE", "")
    yield os.path.expanduser("~/.gdal/gdalrc")  # noqa: PTH111 (Path.expanduser raises without a home folder)
    yield "/etc/gdal/gdalrc"


def _packages_in(folder: str) -> tuple[Mark, list[str]]:
    """Return the mark of a folder for imports, and the names and versions of the packages in it."""
    names: list[str] = []
    with suppress(OSError):
        names = sorted(name for name in os.listdir(folder) if name.endswith("-info"))  # noqa: PTH208
    return mark_of(folder), names


class InputFiles(NamedTuple):
    """The input files of a run."""

    plain: tuple[Path, ...]
    """Files that are read alone: the settings and the table."""
    with_parts: tuple[Path, ...]
    """Rasters and vectors. Libraries also read files beside them whose names differ only in the suffix, such as
    `snow.tfw`, `snow.tif.aux.xml` and `counties.dbf`."""

    def marks(self) -> dict[str, Mark]:
        """Return the marks of all files now."""
        paths = dict.fromkeys(str(path) for path in self._paths())
        return {path: mark_of(path) for path in paths}

    def _paths(self) -> Iterator[Path]:
        yield from self.plain
        for path in self.with_parts:
            yield path
            yield from _parts_of(path)
            if os.path.islink(path):  # noqa: PTH114 (SQLite looks for the log of a database beside the real file)
                yield from _parts_of(Path(os.path.realpath(path)))


def _parts_of(path: Path) -> Iterable[Path]:
    """Return the files whose names begin with the name of a file without its suffix."""
    start = f"{path.stem}.".casefold()
    try:
        names = os.listdir(path.parent)  # noqa: PTH208
    except OSError:
        return ()
    return [path.parent / name for name in sorted(names) if name.casefold().startswith(start)]


def are_older(files: Marks, time: float) -> bool:
    """Return True if all files exist and have not changed since `MIN_AGE` seconds before a time."""
    return marks.are_older(files, time, MIN_AGE)
