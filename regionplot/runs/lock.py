"""Allow one run at a time per output folder.

The lock is `fcntl.lockf`'s: the kernel gives it back when the run that holds it ends, however it ends, and forked
workers do not inherit it (as they would `flock`'s), so that neither a killed run nor an orphan keeps the next one out.
It keeps processes apart only, and is lost when its process closes any descriptor of the file; so which folders this
process holds is known beside it, and asked first.
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
"""Device and inode of the folders that runs of this process hold: a global, as the process's locks are."""


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold an output folder's lock.

    The lock file stays when the lock is given back: removing it would let two later runs lock two files of one name.

    Raises
    ------
    LockedError
        If another process holds it, which the message names, or another thread of this one.
    OutputError
        If the lock file cannot be opened, or is a link.
    """
    with _kept_from_threads(directory), _kept_from_processes(directory):
        yield


@contextmanager
def _kept_from_threads(directory: Path) -> Iterator[None]:
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
def _kept_from_processes(directory: Path) -> Iterator[None]:
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
        with suppress(OSError):  # on a full disk the lock holds, and tells nothing
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, lock_record().encode(), 0)
        yield


def lock_record() -> str:
    """What a lock's holder writes into it."""
    return json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": _now().isoformat()})


def _holder(text: str) -> str:
    """Who holds a lock, from what it wrote into it."""
    try:
        told = json.loads(text)
        age = _now() - datetime.fromisoformat(told["since"])
        return f"process {int(told['pid'])} on {told['host']}, for {max(0, round(age.total_seconds()))} s now,"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _now() -> datetime:
    return datetime.now(UTC)
