"""Wait for new rasters: find the newest file that matches a pattern, and check that the file is complete.

::

    Pattern ──find──► Path ──stat──► changed? ──► complete? ──► returned, once per update
                                                  unchanged for a while, or not open for writing
"""

from __future__ import annotations

import os
import re
import signal
import stat
import sys
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from pathlib import Path

from regionplot.errors import InputError
from regionplot.settings.patterns import Pattern
from regionplot.settings.remote_path import is_remote
from regionplot.system.files import Fingerprint

_POLL_INTERVAL = 0.02
"""Seconds between two checks of a file."""
_SCAN_INTERVAL = 0.5
"""Seconds between two scans of folders."""
_MOUNTS = Path("/proc/self/mountinfo")
LOCAL_FILE_SYSTEMS = frozenset(
    {"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"}
)
"""File systems that only processes on this machine can write to. On other file systems, another machine can write to a
file in spite of a lease."""


def has_no_writer(path: Path, file_systems: Collection[str] = LOCAL_FILE_SYSTEMS) -> bool:
    """Return True if it is certain that no process has a file open for writing.

    The kernel grants a read lease only if no process has the file open for writing. It grants leases only to the file's
    owner and to root (fcntl(2), "Leases"). The lease is released at once.

    Parameters
    ----------
    path : Path
        The file.
    file_systems : collection of str
        File systems on which a lease proves that there is no writer.
    """
    if is_remote(path):  # a server shows an object only when it is complete
        return True
    if sys.platform != "linux":
        return False
    import fcntl  # noqa: PLC0415 (POSIX)

    descriptor = -1
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not (stat.S_ISREG(os.fstat(descriptor).st_mode) and file_system(path) in file_systems):
            return False
        # If another process opens the file during the lease, the kernel sends a signal to this process.
        # The default signal is SIGIO, which would end this process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError:
        return False
    finally:
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)
    return True


def file_system(path: Path, mounts: Path = _MOUNTS) -> str | None:
    """Return the type of the file system that holds a file, such as `ext4`, or None if it is unknown.

    Parameters
    ----------
    path : Path
        The file.
    mounts : Path
        File that lists the mounts, in the format of `/proc/self/mountinfo`.

    Raises
    ------
    OSError
        If the list cannot be read.
    """
    real = path.resolve()
    types: dict[Path, str] = {}  # file-system type by mount point; a later mount hides an earlier mount
    for line in mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields, _, source = line.partition(" - ")
        mount = Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), fields.split()[4]))
        if real.is_relative_to(mount):
            types[mount] = source.split()[0]
    return types[max(types, key=lambda mount: len(mount.parts))] if types else None


class Arrivals:
    """Find the updates of a raster file. Each update is returned once, when the file is complete.

    A file is complete if it is not empty and has not changed for `settle` seconds. On a local Linux file system, a file
    that is not empty is also complete as soon as no process has it open for writing.

    Some programs close and reopen a file for each part that they write. Such a file seems to be complete after the
    first part. These programs should write to a name that does not match the pattern, and rename the file at the end.

    Parameters
    ----------
    pattern : str, Pattern or function
        Pattern of the file's path, or a function that returns the path or None. The search is repeated during the wait.
    settle : float
        Seconds without a change after which a file is complete.
    is_closed : function
        Function that returns True if it is certain that no process has a file open for writing.
    """

    def __init__(
        self,
        pattern: Callable[[], Path | None] | str,
        settle: float,
        is_closed: Callable[[Path], bool] = has_no_writer,
    ) -> None:
        self._find = Pattern(pattern) if isinstance(pattern, str) else pattern
        self._settle = settle
        self._is_closed = is_closed
        self._scan_time = float("-inf")
        self._path: Path | None = None
        self._found: tuple[Path, Fingerprint] | None = None
        self._found_time = 0.0
        self._returned: tuple[Path, Fingerprint] | None = None

    def next(self, timeout: float) -> Path | None:
        """Wait for a complete raster that was not returned before. Return None if the timeout ends first.

        Parameters
        ----------
        timeout : float
            Maximum time to wait, in seconds. With 0, check once.
        """
        end = time.monotonic() + timeout
        while not self._check():
            remaining = end - time.monotonic()
            if remaining <= 0:
                return None
            time.sleep(min(_POLL_INTERVAL, remaining))
        self._returned = self._found
        return self._path

    @property
    def status(self) -> str:
        """Result of the last check, as text for messages."""
        if self._found is None:
            return "the file does not exist"
        if self._found == self._returned:
            return "the file is unchanged"
        path, fingerprint = self._found
        return f"{path} is still growing ({fingerprint.size:,} bytes)" if fingerprint.size else f"{path} is empty"

    def __str__(self) -> str:
        """Return the path or pattern of the file."""
        return str(self._find) if isinstance(self._find, Pattern) else str(self._path or "the raster")

    def _check(self) -> bool:
        """Return True if there is a new file and the file is complete."""
        now = time.monotonic()
        if is_remote(self._path) and now - self._scan_time < self._settle:  # each check is a request
            return False
        if now - self._scan_time >= self._scan_interval:
            self._path, self._scan_time = self._find(), now
        fingerprint = Fingerprint.of(self._path) if self._path else None
        found = (self._path, fingerprint) if self._path and fingerprint else None
        if found != self._found:
            self._found, self._found_time = found, now
        if found is None or found == self._returned or not found[1].size:
            return False
        return self._has_settled(found[1], now) or self._is_closed(found[0])

    @property
    def _scan_interval(self) -> float:
        """Seconds between two searches for the file. A path without wildcards is looked up at each check."""
        return 0.0 if isinstance(self._find, Pattern) and not self._find.has_wildcards else _SCAN_INTERVAL

    def _has_settled(self, fingerprint: Fingerprint, now: float) -> bool:
        """Return True if the file has not changed for `settle` seconds.

        The age of the file is measured with the monotonic clock, and from the modification time of the file. One of the
        two ages must be long enough.
        """
        age = time.time() - fingerprint.modified / 1e9  # negative if the modification time is in the future
        return now - self._found_time >= self._settle or age >= self._settle


def wait_for(
    pattern: Callable[[], Path | None] | str,
    seconds: float,
    settle: float,
    is_closed: Callable[[Path], bool] = has_no_writer,
) -> Path:
    """Wait until a complete raster exists.

    Parameters
    ----------
    pattern : str, Pattern or function
        Pattern of the file's path, or a function that returns the path or None. The search is repeated during the wait.
    seconds : float
        Maximum time to wait, in seconds.
    settle : float
        Seconds without a change after which a file is complete.
    is_closed : function
        Function that returns True if it is certain that no process has a file open for writing.

    Raises
    ------
    InputError
        If no file is complete in time.
    """
    arrivals = Arrivals(pattern, settle, is_closed)
    path = arrivals.next(seconds)
    if path is None:
        raise InputError(f"{arrivals}: no complete file after {seconds:g} s: {arrivals.status}")
    return path
