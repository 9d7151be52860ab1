"""Allow one run at a time per output folder.

The lock uses `fcntl.lockf`. The kernel releases the lock when the process ends, even if the process is killed. Forked
workers do not inherit this lock, unlike a lock of `flock`, so an orphaned worker does not block the next run.

`lockf` does not exclude threads of one process. It also releases the lock when the process closes any descriptor of the
file. Therefore the process keeps a set of the folders that it has locked, and checks this set first.

The lock file holds a record of the run: process, host, start time and end time. If the end time is missing, the run was
killed, and the next run reports this.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from regionplot.errors import LockedError, OutputError
from regionplot.system.cgroups import ControlGroups
from regionplot.system.processes import boot_id, host_name, start_time
from regionplot.text import one_line

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]


logger = logging.getLogger(__name__)
NAME = ".regionplot.lock"
_MAX_RECORD = 4096
"""Maximum number of characters of a lock file to read."""
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
        descriptor = _open_lock_file(path)
    except OSError as error:
        raise OutputError(f"{path}: the output folder cannot be locked: {error.strerror or error}") from None
    with os.fdopen(descriptor, "r+", encoding="utf-8", errors="replace") as file:
        text = file.read(_MAX_RECORD)
        _lock(directory, file, text)
        if message := describe_killed_run(directory, text):
            _warn(message)
        record = _make_record()
        _write_record(descriptor, record)
        try:
            yield
        finally:
            _write_record(descriptor, {**record, "ended": _now().isoformat()})


def _open_lock_file(path: Path) -> int:
    """Open the lock file, and create it if it is missing. Refuse links, and anything else that is not a plain file.

    The file is overwritten. With a hard link, another file would be overwritten.
    """
    with suppress(FileNotFoundError):
        _check_lock_file(path, path.lstat())  # opening a device can have effects
    flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    descriptor = os.open(path, flags, 0o666)
    try:
        _check_lock_file(path, os.fstat(descriptor))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _check_lock_file(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        what = "a link" if stat.S_ISLNK(found.st_mode) else "not a plain file"
    elif found.st_nlink > 1:
        what = "a hard link to another file"
    else:
        return
    raise OutputError(f"{path}: the output folder cannot be locked: this is {what}; remove it") from None


def _lock(directory: Path, file: TextIO, text: str) -> None:
    """Lock the file. If the file system has no locks, only check that the process in the record is not running.

    Raises
    ------
    LockedError
        If another process has locked the folder.
    """
    if fcntl is None:
        return
    try:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            raise LockedError(f"{directory}: {_holder(text)} is drawing into this folder") from None
        if _is_holder_running(_parse_record(text)):
            raise LockedError(f"{directory}: {_holder(text)} is drawing into this folder") from None
        _warn(
            f"{directory}: the file system has no locks ({error.strerror or error}); "
            "do not start a second run for this folder on another machine"
        )


def _warn(message: str) -> None:
    """Log a warning. If warnings are hidden, write the warning only to the log file."""
    target = logger if logger.isEnabledFor(logging.WARNING) else logging.getLogger("regionplot.run")
    target.warning("%s", message)


def _write_record(descriptor: int, record: Mapping[str, Any]) -> None:
    """Write the record of a run. The lock is held even if a full disk prevents this."""
    with suppress(OSError):
        os.truncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(record).encode(), 0)


def _make_record() -> Mapping[str, Any]:
    """Return the record of a run that starts now in this process."""
    groups = ControlGroups()
    return {
        "pid": os.getpid(),
        "host": host_name(),
        "since": _now().isoformat(),
        "start": start_time(os.getpid()),
        "boot": boot_id(),
        "memory_kills": groups.memory_kills(),
    }


def _parse_record(text: str) -> Mapping[str, Any]:
    """Return the record in a lock file; empty if it is damaged."""
    try:
        record = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return record if isinstance(record, dict) and isinstance(record.get("pid"), int) else {}


def _is_holder_running(record: Mapping[str, Any]) -> bool:
    """Return True if the process that wrote a record still runs on this machine and has not ended its run."""
    if not record or "ended" in record or record.get("boot") != boot_id() or record.get("host") != host_name():
        return False
    start = start_time(record["pid"])
    return record["pid"] != os.getpid() and start is not None and start == record.get("start")


def describe_killed_run(directory: Path, text: str) -> str:
    """Return a message if the last run was killed before it could end, or no text.

    Parameters
    ----------
    directory : Path
        The output folder.
    text : str
        Content of the lock file.
    """
    record = _parse_record(text)
    if not record or "ended" in record or "start" not in record:
        return ""
    since, last = one_line(str(record.get("since")))[:32], _last_change(directory)
    return (
        f"{directory}: the previous run (process {record['pid']} on {one_line(str(record.get('host')))[:64]}, "
        f"started at {since}) was killed{_cause_of_death(record)}; the last file was written at {last}"
    )


def _cause_of_death(record: Mapping[str, Any]) -> str:
    """Return the cause of death of a killed run, as the end of a sentence.

    Return an empty text if the cause is unknown.
    """
    groups = ControlGroups()
    if record.get("host") != host_name():
        return ""
    if record.get("boot") != boot_id():
        return " when the machine stopped"
    kills, limit = record.get("memory_kills"), groups.memory_limit()
    if isinstance(kills, int) and groups.memory_kills() > kills and limit is not None:
        return f" because it exceeded the memory limit of its control group ({limit >> 20:,} MiB)"
    return ""


def _last_change(directory: Path) -> str:
    """Return the time of the last change of a file in a folder."""
    times = [0.0]
    with suppress(OSError), os.scandir(directory) as entries:
        times += [entry.stat(follow_symlinks=False).st_mtime for entry in entries]
    return datetime.fromtimestamp(max(times), UTC).isoformat(timespec="seconds")


def _holder(text: str) -> str:
    """Return a description of the process that wrote a lock file."""
    record = _parse_record(text)
    try:
        age = _now() - datetime.fromisoformat(record["since"])
        host = one_line(str(record["host"]))[:64]
        return f"process {record['pid']} on {host} (started {max(0, round(age.total_seconds()))} s ago)"
    except (ValueError, KeyError, TypeError):
        return "another process"


def _now() -> datetime:
    return datetime.now(UTC)
