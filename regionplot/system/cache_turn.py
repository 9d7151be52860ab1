"""Let one process of a host compute the missing entries of a cache, while the other processes wait for them.

Workers that are not forked start at the same time and need the same arrays. If each of them computed the arrays, each
would also import the libraries for this, which take about 100 MB.
"""

from __future__ import annotations

import logging
import os
import time
import weakref
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from typing_extensions import override

from regionplot.system.cache import ArrayCache, Arrays
from regionplot.system.files import PRIVATE_FILE, make_private_folder

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger(__name__)
_PAUSE = 0.01
"""Seconds between two attempts to lock a file."""


class Cache(Protocol):
    """A cache of arrays: an `ArrayCache`, or a turn to compute its missing entries."""

    def has(self, key: str) -> bool:
        """Return True if there is an entry for a key. See `ArrayCache.has`."""
        ...

    def read(self, key: str) -> Arrays | None:
        """Return the arrays of a key, or None if there are none. See `ArrayCache.read`."""
        ...

    def write(self, key: str, arrays: Arrays) -> None:
        """Store arrays under a key. See `ArrayCache.write`."""
        ...


@dataclass
class CacheTurn(Cache):
    """The turn of this process to compute missing entries of a cache. It begins when the first entry is missing.

    A turn locks a file (flock(2)). The lock ends when its process ends, however the process ends. Processes that need
    the same entries use the same name and wait for each other. Other processes do not wait. Use the object as a context
    manager, or call `end`.
    """

    cache: ArrayCache
    name: Callable[[], str]
    """Returns the name of the turn, which is part of a file name."""
    patience: float = 45.0
    """Seconds to wait for other processes. Then this process computes the entries, too."""
    _has_begun: bool = False
    _end: Callable[[], object] | None = None
    """Unlocks and removes the file. Python also calls it when this object is freed. None: no file is locked."""

    @override
    def has(self, key: str) -> bool:
        return self.cache.has(key)

    @override
    def read(self, key: str) -> Arrays | None:
        """Return the arrays of a key. If there are none, wait until no other process computes them.

        Returns
        -------
        Mapping of ndarray, or None
            None: the caller has to compute the arrays.
        """
        found = self.cache.read(key)
        if found is not None or self._has_begun:
            return found
        self._has_begun = True
        try:
            self._begin(self.cache.folder / f"{self.name()}.lock")
        except OSError as error:
            logger.debug("%s cannot be locked: %s", self.cache.folder, error)
        return self.cache.read(key)

    @override
    def write(self, key: str, arrays: Arrays) -> None:
        self.cache.write(key, arrays)

    def end(self) -> None:
        """End the turn of this process."""
        if self._end is not None:
            self._end()

    def _begin(self, path: Path) -> None:
        """Wait for the turn of this process.

        Raises
        ------
        OSError
            If the file cannot be locked.
        """
        if fcntl is None:
            return
        make_private_folder(self.cache.folder)
        end = time.monotonic() + self.patience
        while (descriptor := _locked(path)) is None:
            if time.monotonic() > end:
                return
            time.sleep(_PAUSE)
        self._end = weakref.finalize(self, _end_turn, path, descriptor, os.getpid())

    def __enter__(self) -> Self:
        """Return this object."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the turn."""
        self.end()


def _locked(path: Path) -> int | None:
    """Lock a file. Return its descriptor, or None if another process has locked it.

    Raises
    ------
    OSError
        If the file cannot be locked.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, PRIVATE_FILE)
    is_locked = False
    try:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_locked = os.fstat(descriptor).st_nlink > 0  # its owner may have removed it just now
    finally:
        if not is_locked:
            os.close(descriptor)
    return descriptor if is_locked else None


def _end_turn(path: Path, descriptor: int, owner: int) -> None:
    """Unlock and remove a file. A forked child inherits the lock, but only the process that took it can end it."""
    if os.getpid() == owner:
        with suppress(OSError):  # the cache may have been removed
            path.unlink()
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_UN)
    os.close(descriptor)
