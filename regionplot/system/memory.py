"""Set malloc's policy for large blocks."""

from __future__ import annotations

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


_KEPT = 2**25
"""Bytes; the largest block that malloc may keep."""


def keep_large_blocks() -> None:
    """Have freed arrays used again for the next ones (glibc; mallopt(3)).

    Workers give large blocks back to the system at once, which suits maps; but a function over blocks makes one array
    of the same size after the other, and most of its time could then be page faults.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for parameter in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
            libc.mallopt(parameter, _KEPT)


_LARGE = 2**20
"""Bytes; larger blocks come from the system and go back to it."""


def return_large_blocks() -> None:
    """Have large arrays returned to the system as soon as they are freed (glibc; mallopt(3)).

    By itself, malloc keeps ever larger blocks for reuse, and each worker would hold some tens of megabytes of them. The
    page faults this costs are a few hundredths of a map's time.
    """
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        for parameter in (_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD):
            libc.mallopt(parameter, _LARGE)
