"""Allow one run at a time per output folder.

The lock uses `fcntl.lockf`. The kernel releases the lock when the process ends, even if the process is killed. Forked
workers do not inherit this lock (they would inherit a `flock` lock), so an orphaned worker does not block the next run.

`lockf` does not exclude threads of one process. It also releases the lock when the process closes any descriptor of the
file. Therefore the process keeps a set of the folders that it has locked, and checks this set first.
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
_locked_folders: set[tuple[int, int]] = set()
"""Device and inode of each folder that this process has locked. The set is global because locks belong to a process."""


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Lock an output folder until the context exits.

    The lock file is not removed. If it were removed, two later runs could lock different files with the same name.

    Raises
    ------
    LockedError
        If another process or another thread of this process has locked the folder. The message names the process.
    OutputError
        If the lock file cannot be opened or is a link.
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
        if folder in _locked_folders:
            raise LockedError(f"{directory}: another thread of this program is drawing into this folder")
        _locked_folders.add(folder)
    try:
        yield
    finally:
        with _guard:
            _locked_folders.discard(folder)


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
        with suppress(OSError):  # the lock is held even if a full disk prevents this write
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, lock_record().encode(), 0)
        yield


def lock_record() -> str:
    """Return the text of a lock file: process, host and start time."""
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": _now().isoformat()})


def _holder(text: str) -> str:
    """Return a description of the process that wrote a lock file."""
    try:
        record = json.loads(text)
        age = _now() - datetime.fromisoformat(record["since"])
        return f"process {int(record['pid'])} on {record['host']} (started {max(0, round(age.total_seconds()))} s ago)"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _now() -> datetime:
    return datetime.now(UTC)
