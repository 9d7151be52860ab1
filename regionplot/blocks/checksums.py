"""Compute checksums of blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.system.crc import crc32


def checksum_of(values: NDArray[Any]) -> int:
    """Return the CRC-32 of the bytes of an array."""
    return crc32(np.ascontiguousarray(values).data)
