"""Pass large arrays from workers to the parent through shared memory instead of a pipe.

Through a pipe, an array is copied several times, by pickle and by the system, in both processes. Here, a worker copies
the array once, into an anonymous file (memfd_create(2)), and the parent maps this file through `/proc/PID/fd`. The file
has no name, so no file is left if a process dies. Each worker has several files and uses them in turn, so that it
computes its next results while the parent uses the last one.
"""

from __future__ import annotations

import itertools
import mmap
import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

JOBS_AHEAD = 3
"""Number of jobs that a worker may finish before the parent has used its last result."""
_SMALLEST = 2**16
"""Size in bytes. Smaller arrays are sent through the pipe."""


def memory_can_be_shared() -> bool:
    """Return True if this platform has anonymous files and `/proc`."""
    return hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd")  # noqa: PTH112


class SharedArray(NamedTuple):
    """Place of an array in the memory of a worker."""

    pid: int
    descriptor: int
    inode: int
    """Inode of the file, to recognize the file. Process ids and descriptors are reused."""
    shape: tuple[int, ...]
    dtype: str


class SharedBuffers:
    """Memory of a worker for its last arrays."""

    def __init__(self) -> None:
        self._files = itertools.cycle([_SharedFile() for _ in range(JOBS_AHEAD + 1)])

    def put(self, array: NDArray[Any]) -> SharedArray | NDArray[Any]:
        """Store an array. Return the message for the parent: the place of the array, or the array if it is small.

        The array lasts until `JOBS_AHEAD` more arrays have been stored.
        """
        if array.nbytes < _SMALLEST or array.dtype.kind in "OV":  # the code of records lacks their fields
            return array
        return next(self._files).put(array)


class _SharedFile:
    """Anonymous file for one array at a time."""

    def __init__(self) -> None:
        self._map: mmap.mmap | None = None
        self._descriptor = self._process = -1

    def put(self, array: NDArray[Any]) -> SharedArray:
        """Replace the stored array. Return its place."""
        shared = np.frombuffer(self._mapped_file(array.nbytes), array.dtype, array.size).reshape(array.shape)
        shared[...] = array
        return SharedArray(
            os.getpid(), self._descriptor, os.fstat(self._descriptor).st_ino, array.shape, array.dtype.str
        )

    def _mapped_file(self, size: int) -> mmap.mmap:
        """Return the mapped file. Create a file if this process has none, or its file is too small."""
        if self._map is None or len(self._map) < size or self._process != os.getpid():
            if self._process == os.getpid():
                os.close(self._descriptor)
            self._descriptor, self._process = os.memfd_create("regionplot"), os.getpid()
            os.ftruncate(self._descriptor, size)
            self._map = mmap.mmap(self._descriptor, size)
        return self._map


class SharedArrayReader:
    """Read arrays from the memory of workers."""

    def __init__(self) -> None:
        self._maps: dict[int, dict[int, mmap.mmap]] = {}
        """Mapped files by process and inode. A process has `JOBS_AHEAD + 1` files at a time."""

    def open(self, content: SharedArray | NDArray[Any]) -> NDArray[Any]:
        """Return an array from a worker. A shared array is read-only, and lasts until the caller asks for the next one.

        Raises
        ------
        OSError
            If the worker has exited.
        """
        if not isinstance(content, SharedArray):
            return content
        maps = self._maps.setdefault(content.pid, {})
        mapped = maps.pop(content.inode, None) or _map(content)
        while len(maps) > JOBS_AHEAD:
            del maps[next(iter(maps))]  # the file that was used least recently was replaced by a larger file
        maps[content.inode] = mapped
        count = int(np.prod(content.shape, dtype=int))
        return np.frombuffer(mapped, np.dtype(content.dtype), count).reshape(content.shape)


def _map(array: SharedArray) -> mmap.mmap:
    descriptor = os.open(f"/proc/{array.pid}/fd/{array.descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_ino != array.inode:
            raise FileNotFoundError(f"descriptor {array.descriptor} of process {array.pid} is another file now")
        return mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
    finally:
        os.close(descriptor)
