"""Share arrays between the processes of one host: each array is a file that all processes map into memory.

::

    first process     open ─► lock ─► reserve the space ─► write the array ─► write the header ─┐
    other processes   open ─► wait for the lock ────────────────────────────► check the header ─┴─► map, read-only

The lock is a lock of the open file (flock(2)). It ends when its process ends, however the process ends. A process that
maps an array holds a shared lock until the array is freed. A file without such a lock is not in use, and is removed.

The header is written last. If the first process dies before, the file has no header, and the next process writes the
array again. If the machine stops, the header can be on the disk without the array. Keys must therefore contain the id
of the last boot.
"""

from __future__ import annotations

import errno
import json
import math
import mmap
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.system.files import PRIVATE_FILE, is_own_plain_file, make_private_folder

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

_SUFFIX = ".pages"
_MARK = b"RPP1"
_HEADER = mmap.PAGESIZE
"""Bytes before the array. The array begins at a page."""
_PAUSE = 0.01
"""Seconds between two attempts to lock a file."""
_CHUNK = 2**20


def can_share() -> bool:
    """Return True if processes can share arrays on this platform."""
    return fcntl is not None


@dataclass(frozen=True)
class PageFile:
    """One open file, which this process has locked. The lock ends when the file and all its arrays are closed."""

    descriptor: int

    def array(self) -> NDArray[Any] | None:
        """Return the array in the file, read-only. Return None if the array is not complete.

        Raises
        ------
        OSError
            If the file is damaged.
        """
        header = os.pread(self.descriptor, _HEADER, 0)
        if not header.startswith(_MARK):
            return None
        try:
            shape, kind = json.loads(header[len(_MARK) :].rstrip(b"\0"))
            return self._mapped(shape, np.dtype(kind), mmap.ACCESS_READ)
        except (ValueError, TypeError, OverflowError):  # another program has changed or truncated the file
            raise OSError(errno.EINVAL, "the file is damaged") from None

    def reserve(self, shape: Sequence[int], kind: np.dtype[Any]) -> NDArray[Any]:
        """Reserve space on the disk, and return an array that is written to the file.

        Raises
        ------
        OSError
            If the array would take more than half of the free space.
        """
        size = _HEADER + math.prod(shape) * kind.itemsize
        os.ftruncate(self.descriptor, 0)
        if size > shutil.disk_usage(self.descriptor).free // 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        try:
            _allocate(self.descriptor, size)
        except OSError:
            os.ftruncate(self.descriptor, 0)
            raise
        return self._mapped(shape, kind, mmap.ACCESS_WRITE)

    def complete(self, shape: Sequence[int], kind: np.dtype[Any]) -> None:
        """Mark the array as complete, and let other processes map it."""
        os.pwrite(self.descriptor, _MARK + json.dumps([list(shape), kind.str]).encode(), 0)
        fcntl.flock(self.descriptor, fcntl.LOCK_SH)

    def _mapped(self, shape: Sequence[int], kind: np.dtype[Any], access: int) -> NDArray[Any]:
        """Map the array. The mapping keeps the file open, and therefore locked."""
        count = math.prod(shape)
        mapped = mmap.mmap(self.descriptor, _HEADER + count * kind.itemsize, access=access)
        found: NDArray[Any] = np.frombuffer(mapped, kind, count, _HEADER).reshape(shape)
        return found


@dataclass(frozen=True)
class PageFolder:
    """A folder of arrays that processes of this host share. Only its owner can read it."""

    folder: Path
    patience: float = 45.0
    """Seconds to wait for a process that writes the same array."""

    @contextmanager
    def locked(self, key: str) -> Iterator[PageFile]:
        """Open the file of a key. If its array is not complete, this process is the only one that may write it.

        Parameters
        ----------
        key : str
            Digest of everything that determines the array, and of the id of the last boot.

        Raises
        ------
        OSError
            If the folder or the file cannot be used, or another process takes too long to write the array.
        """
        make_private_folder(self.folder)
        descriptor = self._lock(self.folder / f"{key}{_SUFFIX}")
        try:
            yield PageFile(descriptor)
        finally:
            os.close(descriptor)

    def _lock(self, path: Path) -> int:
        end = time.monotonic() + self.patience
        while time.monotonic() < end:
            descriptor = _opened(path)
            try:
                if _is_locked(descriptor) and os.fstat(descriptor).st_nlink:
                    return descriptor
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)
            time.sleep(_PAUSE)
        raise TimeoutError(errno.ETIMEDOUT, "another process takes too long to write it")

    def remove_unused(self) -> None:
        """Remove the files that no process uses."""
        with suppress(OSError):
            for path in self.folder.iterdir():
                if path.suffix == _SUFFIX:
                    with suppress(OSError):
                        _remove_if_unused(path)


def _opened(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, PRIVATE_FILE)
    if not is_own_plain_file(descriptor):
        os.close(descriptor)
        raise PermissionError(errno.EPERM, "not a plain file of this user", str(path))
    return descriptor


def _is_locked(descriptor: int) -> bool:
    """Lock a file: shared if its array is complete, exclusive if not. Return False if another process writes it."""
    if not _try_lock(descriptor, fcntl.LOCK_SH):
        return False
    is_complete = os.pread(descriptor, len(_MARK), 0) == _MARK
    return is_complete or _try_lock(descriptor, fcntl.LOCK_EX)


def _try_lock(descriptor: int, kind: int) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _remove_if_unused(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        if _try_lock(descriptor, fcntl.LOCK_EX):
            path.unlink()
    finally:
        os.close(descriptor)


def _allocate(descriptor: int, size: int) -> None:
    """Reserve space for a file. Without reserved space, writing to a mapping would end the process on a full disk."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    zeros = bytes(_CHUNK)
    for start in range(0, size, _CHUNK):
        os.pwrite(descriptor, zeros[: size - start], start)
