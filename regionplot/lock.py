"""One run at a time for each output folder.

The lock is `fcntl.lockf`'s: the kernel gives it back when the run that holds it ends, however it ends, and forked
workers do not inherit it (as they would `flock`'s), so that neither a killed run nor an orphan keeps the next one out.
"""

from __future__ import annotations

import json
import os
import socket
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


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold an output folder's lock.

    The lock file stays when the lock is given back: removing it would let two later runs lock two files of one name.

    Raises
    ------
    LockedError
        If another process holds it; the message names that process.
    OutputError
        If the lock file cannot be opened, or is a link.
    """
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
            os.pwrite(descriptor, _told().encode(), 0)
        yield


def _told() -> str:
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
