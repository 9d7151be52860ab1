"""Allow one run at a time per output folder.

The lock is that of `fcntl.lockf`. The kernel releases it when the process ends, even if the process is killed. Forked
workers do not inherit it, unlike the lock of `flock`, so an orphaned worker does not block the next run.

`lockf` does not exclude threads of one process, and it releases the lock when the process closes any descriptor of the
file. Therefore a set of the locked folders of this process is checked first.
"""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

from regionplot.errors import LockedError, OutputError

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]


NAME = ".regionplot.lock"
_guard = threading.Lock()
_held: set[tuple[int, int]] = set()
"""Device and inode of each folder that this process has locked. It is global because locks belong to the process."""


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Lock an output folder until the context exits.

    The lock file is not removed. If it were, two later runs could lock two files of the same name.

    Raises
    ------
    LockedError
        If another process or another thread of this process has locked the folder. The message names the process.
    OutputError
        If the lock file cannot be opened, or if it is a link.
    """
    with _excluding_threads(directory), _excluding_processes(directory):
        yield


@contextmanager
def _excluding_threads(directory: Path) -> Iterator[None]:
    try:
        found = directory.stat()
    except OSError as error:
        raise OutputError(f"{directory}: the output folder cannot be locked: {error.strerror or error}") from None
    folder = found.st_dev, found.st_ino
    with _guard:
        if folder in _held:
            raise LockedError(f"{directory}: another thread of this program is drawing into this folder")
        _held.add(folder)
    try:
        yield
    finally:
        with _guard:
            _held.discard(folder)


@contextmanager
def _excluding_processes(directory: Path) -> Iterator[None]:
    path = directory / NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    except OSError as error:
        raise OutputError(f"{path}: the output folder cannot be locked: {error.strerror or error}") from None
    with os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace") as file:
        if fcntl is not None:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise LockedError(f"{directory}: {_holder(file.read(1000))} is drawing into this folder") from None
        with suppress(OSError):  # on a full disk the lock works, but names no process
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, lock_record().encode(), 0)
        yield


def lock_record() -> str:
    """Return the text of a lock file: process, host and time."""
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": _now().isoformat()})


def _holder(text: str) -> str:
    """Return a description of the process that wrote a lock file."""
    try:
        record = json.loads(text)
        age = _now() - datetime.fromisoformat(record["since"])
        return f"process {int(record['pid'])} on {record['host']}, for {max(0, round(age.total_seconds()))} s now,"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _now() -> datetime:
    return datetime.now(UTC)
