"""Pass large arrays from workers to the parent through shared memory instead of a pipe.

Through a pipe, an array is copied several times, by pickle and by the system, in both processes. Here, a worker copies
the array once, into an anonymous file (memfd_create(2)), and the parent maps this file through `/proc/PID/fd`. The file
has no name, so no file is left if a process dies. A worker gets its next job after the parent has used the result, so
each worker needs only one file.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SMALLEST = 2**16
"""Size in bytes. Smaller arrays are sent through the pipe."""


def memory_can_be_shared() -> bool:
    """Return True if this platform has anonymous files and `/proc`."""
    return hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd")  # noqa: PTH112


@dataclass(frozen=True, slots=True)
class SharedArray:
    """Place of an array in the memory of a worker."""

    pid: int
    descriptor: int
    inode: int
    """Inode of the file, to recognize the file. Process ids and descriptors are reused."""
    shape: tuple[int, ...]
    dtype: str


class SharedBuffer:
    """Memory of a worker for one array at a time."""

    def __init__(self) -> None:
        self._map: mmap.mmap | None = None
        self._descriptor = self._process = -1

    def put(self, array: NDArray[Any]) -> SharedArray | NDArray[Any]:
        """Store an array. Return the message for the parent: the place of the array, or the array if it is small."""
        if array.nbytes < _SMALLEST or array.dtype.hasobject:
            return array
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
        self._maps: dict[tuple[int, int], mmap.mmap] = {}

    def open(self, content: SharedArray | NDArray[Any]) -> NDArray[Any]:
        """Return an array from a worker. A shared array is read-only, and lasts until the worker gets its next job.

        Raises
        ------
        OSError
            If the worker has exited.
        """
        if not isinstance(content, SharedArray):
            return content
        key = content.pid, content.inode
        if key not in self._maps:
            for old in [old for old in self._maps if old[0] == content.pid]:
                del self._maps[old]
            self._maps[key] = _map(content)
        count = int(np.prod(content.shape, dtype=int))
        return np.frombuffer(self._maps[key], np.dtype(content.dtype), count).reshape(content.shape)


def _map(array: SharedArray) -> mmap.mmap:
    descriptor = os.open(f"/proc/{array.pid}/fd/{array.descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_ino != array.inode:
            raise FileNotFoundError(f"descriptor {array.descriptor} of process {array.pid} is another file now")
        return mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
    finally:
        os.close(descriptor)
