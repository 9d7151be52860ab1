"""Decide how much memory the cells of a raster may take."""

from __future__ import annotations

from regionplot.system.machine import available_memory

MEGABYTE = 2**20
_DEFAULT = 512 * MEGABYTE
"""Maximum budget for `[run] memory = "auto"`, in bytes."""


def memory_budget(megabytes: int | None) -> int:
    """Return the memory budget of the raster in bytes.

    Parameters
    ----------
    megabytes : int, optional
        `[run] memory`. None is `auto`: 512 MB or a quarter of the free memory, whichever is less.
    """
    return min(_DEFAULT, available_memory() // 4) if megabytes is None else megabytes * MEGABYTE
