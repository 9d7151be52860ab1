"""Find the nearest colors of a palette. This module imports neither settings nor layers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.writers.picture import Bytes

_BITS = 6
"""Bits of each channel that decide which color is the nearest."""
_UNKNOWN = -1


class NearestColors:
    """The row of a palette with the nearest color, for any color.

    Colors are rounded to 6 bits per channel. The row of each rounded color is computed when it first occurs, so the
    rows do not depend on the order of the maps.

    Parameters
    ----------
    colors : ndarray of uint8, shape (n, 3)
        Red, green and blue of the palette, n at most 256.
    """

    def __init__(self, colors: Bytes) -> None:
        self._colors = colors.astype(np.float32)
        self._rows = np.full(2 ** (3 * _BITS), _UNKNOWN, np.int16)

    def rows(self, red: NDArray[Any], green: NDArray[Any], blue: NDArray[Any]) -> Bytes:
        """Return the row of the nearest color for each color. The channels have values from 0 to 255, shape (n,)."""
        drop = 8 - _BITS
        cells = ((red >> drop).astype(np.int32) << 2 * _BITS) | ((green >> drop).astype(np.int32) << _BITS)
        cells |= blue >> drop
        rows = self._rows[cells]
        if (rows == _UNKNOWN).any():
            new = np.flatnonzero(np.bincount(cells[rows == _UNKNOWN]))
            self._rows[new] = self._nearest(new)
            rows = self._rows[cells]
        return np.asarray(rows, np.uint8)

    def _nearest(self, cells: NDArray[np.intp]) -> NDArray[np.intp]:
        middle = colors_of_cells(cells, _BITS)
        distances = (self._colors**2).sum(axis=1) - 2 * middle @ self._colors.T
        return np.asarray(distances.argmin(axis=1))


def colors_of_cells(cells: NDArray[Any], bits: int) -> NDArray[np.float32]:
    """Return the middle of each rounded color, shape (n, 3).

    Parameters
    ----------
    cells : ndarray of int, shape (n,)
        Rounded colors: the bits of red, green and blue, one after the other.
    bits : int
        Number of bits of each channel.
    """
    mask, half = 2**bits - 1, 2 ** (7 - bits) - 0.5
    channels = (cells >> 2 * bits, (cells >> bits) & mask, cells & mask)
    middle: NDArray[np.float32] = np.stack(channels, axis=1).astype(np.float32)
    middle *= 2 ** (8 - bits)
    middle += np.float32(half)
    return middle
