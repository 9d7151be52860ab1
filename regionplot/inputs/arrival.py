"""Wait for rasters that arrive late: find the newest file of a pattern and see whether it is complete.

::

    Pattern ──find──► Path ──stat──► changed? ──► complete? ──► handed out, once for each renewal
                                                 unchanged for a while, or nobody has it open for writing
"""

from __future__ import annotations

import os
import re
import signal
import stat
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from regionplot.errors import InputError
from regionplot.settings.patterns import Pattern
from regionplot.system.files import Fingerprint

_POLL = 0.1
"""Seconds between two looks at a file."""


_SCAN = 0.5
"""Seconds between two looks through folders."""


_MOUNTS = Path("/proc/self/mountinfo")


_LOCAL = frozenset({"bcachefs", "btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "ramfs", "tmpfs", "xfs", "zfs"})
"""File systems on which all writers are processes of this machine, so that a lease tells of each of them."""


class Arrivals:
    """The renewals of a raster, each handed out once, when it is complete.

    A file is complete if it is not empty, and has not changed for `settle` seconds, or, on a local file system of
    Linux, if nobody has it open for writing. A writer that opens its file again for each piece is thus taken for done
    after the first; let it write under a name that does not match, and rename the file in the end.

    Parameters
    ----------
    pattern : str, Pattern or function
        What to look for, found anew at each look.
    settle : float
        Seconds.
    """

    def __init__(self, pattern: Callable[[], Path | None] | str, settle: float) -> None:
        self._find = Pattern(pattern) if isinstance(pattern, str) else pattern
        self._settle = settle
        self._scanned = float("-inf")
        self._path: Path | None = None
        self._seen: tuple[Path, Fingerprint] | None = None
        self._since = 0.0
        self._taken: tuple[Path, Fingerprint] | None = None

    def next(self, timeout: float) -> Path | None:
        """Wait for a raster that differs from the last one handed out; None if none is complete in time.

        Parameters
        ----------
        timeout : float
            Seconds; 0 is a single look.
        """
        end = time.monotonic() + timeout
        while not self._look():
            left = end - time.monotonic()
            if left <= 0:
                return None
            time.sleep(min(_POLL, left))
        self._taken = self._seen
        return self._path

    @property
    def seen(self) -> str:
        """What the last look has found, in words."""
        if self._seen is None:
            return "it is not there"
        if self._seen == self._taken:
            return "it is unchanged"
        path, mark = self._seen
        return f"{path} is still growing ({mark.size:,} bytes)" if mark.size else f"{path} is empty"

    def __str__(self) -> str:
        """What is looked for."""
        return str(self._find) if isinstance(self._find, Pattern) else str(self._path or "the raster")

    def _look(self) -> bool:
        """Whether there is something new, and complete."""
        now = time.monotonic()
        if now - self._scanned >= (0.0 if isinstance(self._find, Pattern) and not self._find.wild else _SCAN):
            self._path, self._scanned = self._find(), now
        mark = Fingerprint.of(self._path) if self._path else None
        seen = (self._path, mark) if self._path and mark else None
        if seen != self._seen:
            self._seen, self._since = seen, now
        if seen is None or seen == self._taken or not seen[1].size:
            return False
        return self._settled(seen[1], now) or has_no_writer(seen[0])

    def _settled(self, mark: Fingerprint, now: float) -> bool:
        """Whether it has been watched unchanged for long enough, or had been left alone before that."""
        age = time.time() - mark.modified / 1e9  # of no use if the clock was set; then it is watched
        return now - self._since >= self._settle or age >= self._settle


def wait_for(pattern: Callable[[], Path | None] | str, seconds: float, settle: float) -> Path:
    """Wait until a raster is there and complete.

    Parameters
    ----------
    pattern : str, Pattern or function
        What to look for, found anew at each look.
    seconds : float
        The longest wait.
    settle : float
        Seconds without a change after which a file is complete; see `Arrivals`.

    Raises
    ------
    InputError
        If that does not happen in time.
    """
    arrivals = Arrivals(pattern, settle)
    path = arrivals.next(seconds)
    if path is None:
        raise InputError(f"{arrivals}: waited {seconds:g} s in vain: {arrivals.seen}")
    return path


def has_no_writer(path: Path) -> bool:
    """Whether it is certain that no process has a file open for writing (fcntl(2), "Leases").

    A read lease is granted only then; it is given back at once. Only the owner of a file, and root, get one.
    """
    if sys.platform != "linux":
        return False
    import fcntl  # noqa: PLC0415 (POSIX)

    descriptor = -1
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        if not (stat.S_ISREG(os.fstat(descriptor).st_mode) and _is_local(path)):
            return False
        # A process that opens the file before the lease is given back causes a signal to us, by default one that kills.
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


def _is_local(path: Path) -> bool:
    """Whether a file lies on a file system that other machines cannot write to; else a lease proves nothing (FUSE)."""
    real = path.resolve()
    kinds: dict[Path, str] = {}  # of the mounts that hold the file; a later one hides an earlier one
    for line in _MOUNTS.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        fields, _, source = line.partition(" - ")
        mount = Path(re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), fields.split()[4]))
        if real.is_relative_to(mount):
            kinds[mount] = source.split()[0]
    return bool(kinds) and kinds[max(kinds, key=lambda mount: len(mount.parts))] in _LOCAL
