"""Set malloc's policy for large blocks, and limit the memory of this process."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from regionplot.system.machine import data_size

_MEGABYTE = 2**20
_PAGES = 2**16
"""Bytes by which a block is smaller than the largest threshold of malloc, for its header and for whole pages."""
_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_LEFT = 0.75
"""Part of the free memory at the end of the heap that stays when the rest is returned. Otherwise, malloc returns nearly
all of it, and the system clears a thousand pages for the next map."""


def keep_large_blocks() -> None:
    """Keep freed blocks of up to 32 MB for the next arrays.

    This suits functions over raster blocks. They allocate arrays of the same size again and again, and would otherwise
    spend most of their time in page faults.
    """
    set_malloc_threshold(32 * _MEGABYTE)


def reuse_large_blocks() -> None:
    """Make malloc reuse freed blocks of up to 32 MB in this process, which may be a program of the user.

    The GNU C library itself adopts this policy when a program frees a block of 32 MB for the first time. Until then,
    threads that allocate and free arrays of 1 MB spend a third of their time in page faults. Unlike
    `keep_large_blocks`, this does not fix the thresholds. Without glibc, this has no effect.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    libc.malloc.restype, libc.malloc.argtypes, libc.free.argtypes = (
        ctypes.c_void_p,
        [ctypes.c_size_t],
        [ctypes.c_void_p],
    )
    libc.free(libc.malloc(32 * _MEGABYTE - _PAGES))  # glibc only reserves these pages, so this takes no time


def return_large_blocks(kept: int = 2 * _MEGABYTE) -> None:
    """Return freed blocks of 2 MB and more to the system at once.

    This suits maps. By default, malloc keeps larger and larger freed blocks, some tens of megabytes in each worker. The
    arrays with a byte for each pixel of a map are smaller. They are kept for the next map.

    Parameters
    ----------
    kept : int
        Number of bytes of smaller freed blocks that are kept at the end of the heap.
    """
    set_malloc_threshold(2 * _MEGABYTE, kept)


def return_free_memory() -> None:
    """Return all free pages of malloc to the system. Without glibc, this has no effect."""
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "malloc_trim"):
        libc.malloc_trim(0)


def set_malloc_threshold(size: int, kept: int | None = None) -> None:
    """Set the smallest size of blocks that are allocated by mmap and returned when freed; see mallopt(3).

    Without glibc, this has no effect.

    Parameters
    ----------
    size : int
        Bytes.
    kept : int, optional
        Largest number of free bytes at the end of the heap that are not returned. By default, `size`.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, size)
        libc.mallopt(_M_TRIM_THRESHOLD, size if kept is None else kept)
        if kept is not None:
            libc.mallopt(_M_TOP_PAD, int(_LEFT * kept))


@contextmanager
def imports_uncollected() -> Iterator[None]:
    """Collect no garbage while libraries are imported. Exclude all objects that exist then from later collections.

    Imports create many objects but hardly any garbage. A single collection of all of them takes 0.03 s.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


@contextmanager
def frozen_objects() -> Iterator[None]:
    """Exclude all objects that exist now from garbage collections, until the context ends.

    A collection then takes time for new objects only. A forked child does not write to the excluded objects, so their
    pages stay shared.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def can_limit_memory() -> bool:
    """Return True if `limit_private_memory` works on this platform."""
    return data_size() is not None


def limit_private_memory(megabytes: int) -> bool:
    """Limit the memory that this process may allocate beyond its current size. Return True if the limit is set.

    On Linux, RLIMIT_DATA limits private writable mappings: the memory of malloc and NumPy, but not shared memory and
    files mapped for reading (getrlimit(2), since Linux 4.7). Inherited pages are part of the current size.
    """
    held = data_size()
    if held is None:
        return False
    import resource  # noqa: PLC0415 (not on every platform)

    wanted = held + megabytes * _MEGABYTE
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    return True
