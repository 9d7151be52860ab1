"""Split arrays into strips of rows, so that intermediate results stay in the CPU cache."""

from __future__ import annotations

from collections.abc import Iterator

_STRIP_PIXELS = 2**16
"""Number of pixels to process at a time."""


def row_strips(height: int, width: int) -> Iterator[slice]:
    """Return slices of panel rows. The pixels of each slice fit into the CPU cache."""
    rows = max(1, _STRIP_PIXELS // width)
    return (slice(first, min(first + rows, height)) for first in range(0, height, rows))
