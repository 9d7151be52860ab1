"""Pass large arrays from workers to the parent through shared memory instead of a pipe.

A pipe costs a worker one copy to pickle and one to send, and the parent as many again. Here a worker copies once, into
an anonymous file (memfd_create(2)), and the parent maps that through `/proc/PID/fd`: no name, so nothing is left behind
however a process ends. A worker has at most one result under way and gets no new job before the parent is done with
it, so one file for each worker is used again and again.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SMALLEST = 2**16
"""Bytes; less goes through the pipe."""


def memory_can_be_shared() -> bool:
    """Whether this platform has what is needed."""
    return hasattr(os, "memfd_create") and os.path.isdir("/proc/self/fd")  # noqa: PTH112


@dataclass(frozen=True, slots=True)
class SharedArray:
    """Where an array lies."""

    pid: int
    descriptor: int
    inode: int
    """Of the file, for process ids and descriptors are used again."""
    shape: tuple[int, ...]
    dtype: str


class SharedBuffer:
    """A worker's side: memory for one array at a time."""

    def __init__(self) -> None:
        self._map: mmap.mmap | None = None
        self._descriptor = self._process = -1

    def put(self, array: NDArray[Any]) -> SharedArray | NDArray[Any]:
        """What to send for an array: where it lies, or itself if it is small."""
        if array.nbytes < _SMALLEST or array.dtype.hasobject:
            return array
        room = np.frombuffer(self._room(array.nbytes), array.dtype, array.size).reshape(array.shape)
        room[...] = array
        return SharedArray(
            os.getpid(), self._descriptor, os.fstat(self._descriptor).st_ino, array.shape, array.dtype.str
        )

    def _room(self, size: int) -> mmap.mmap:
        if self._map is None or len(self._map) < size or self._process != os.getpid():
            if self._process == os.getpid():
                os.close(self._descriptor)
            self._descriptor, self._process = os.memfd_create("regionplot"), os.getpid()
            os.ftruncate(self._descriptor, size)
            self._map = mmap.mmap(self._descriptor, size)
        return self._map


class SharedArrayReader:
    """The parent's side."""

    def __init__(self) -> None:
        self._maps: dict[tuple[int, int], mmap.mmap] = {}

    def open(self, content: SharedArray | NDArray[Any]) -> NDArray[Any]:
        """An array that a worker has put; read-only, and good until that worker gets its next job.

        Raises
        ------
        OSError
            If the worker is gone.
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


def _map(parcel: SharedArray) -> mmap.mmap:
    descriptor = os.open(f"/proc/{parcel.pid}/fd/{parcel.descriptor}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.fstat(descriptor).st_ino != parcel.inode:
            raise FileNotFoundError(f"process {parcel.pid} is not the worker any more")
        return mmap.mmap(descriptor, 0, prot=mmap.PROT_READ)
    finally:
        os.close(descriptor)
