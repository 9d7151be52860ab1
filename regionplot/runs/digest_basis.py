"""Add the cells of the raster to the digest of a map."""

from __future__ import annotations

import hashlib
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_LENGTH = 32
"""Number of hexadecimal digits in a digest."""
_ROWS = 256
"""Number of rows of the raster that are hashed at a time."""


class DigestBasis(NamedTuple):
    """Everything that the digest of a map covers, except the values of the cells under its panel."""

    head: str
    """Digest of the code, the settings, the layers, the title, the view and the grid."""
    area: tuple[slice, slice] | None
    """Rows and columns of the loaded cells that the map needs. None if it needs no loaded cells."""

    def digest(self, loaded: NDArray[Any]) -> str:
        """Return the digest of the map: 32 hexadecimal digits.

        Parameters
        ----------
        loaded : ndarray, shape (rows, columns)
            Values or codes of the loaded cells.
        """
        total = hashlib.sha256(self.head.encode())
        cells = loaded[:0] if self.area is None else loaded[self.area]
        for first in range(0, len(cells), _ROWS):
            total.update(np.ascontiguousarray(cells[first : first + _ROWS]).data)
        return total.hexdigest()[:_LENGTH]
