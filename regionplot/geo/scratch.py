"""Reuse the memory of temporary arrays."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Scratch:
    """Memory for the temporary arrays of a loop.

    New arrays in each pass of a loop would take longer, because malloc returns large blocks to the system, and the
    system clears each page that a process gets.

    Examples
    --------
    >>> scratch = Scratch()
    >>> with scratch.released():
    ...     first = scratch.empty((2, 3), np.dtype(float))
    >>> np.shares_memory(first, scratch.empty((4,), np.dtype(np.float32)))
    True
    """

    def __init__(self) -> None:
        self._blocks: list[NDArray[np.uint8]] = []
        self._used = 0

    def empty(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> NDArray[Any]:
        """Return an array with undefined content."""
        size = math.prod(shape) * dtype.itemsize
        if self._used == len(self._blocks):
            self._blocks.append(np.empty(size, np.uint8))
        elif self._blocks[self._used].size < size:
            self._blocks[self._used] = np.empty(size, np.uint8)
        block = self._blocks[self._used]
        self._used += 1
        return block[:size].view(dtype).reshape(shape)

    @contextmanager
    def released(self) -> Iterator[None]:
        """Release the arrays of a with block at its end. They must not be used after it."""
        used = self._used
        try:
            yield
        finally:
            self._used = used


def take(cells: NDArray[Any], indices: NDArray[np.intp], axis: int, scratch: Scratch) -> NDArray[Any]:
    """Return the cells at some valid indices along an axis."""
    shape = (*cells.shape[:axis], *indices.shape, *cells.shape[axis + 1 :])
    # NumPy writes directly to `out` only if the mode is not "raise". "wrap" is faster than "clip".
    return cells.take(indices, axis, out=scratch.empty(shape, cells.dtype), mode="wrap")
