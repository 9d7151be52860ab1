"""Hatch the missing cells of a raster. This module imports neither settings nor layers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.names import rgba_of
from regionplot.writers.picture import Bytes


def hatched_pixels(is_missing: NDArray[np.bool_], spacing: int) -> NDArray[np.bool_]:
    """Return True for the pixels without data that lie on the lines of a hatch, shape (height, width)."""
    height, width = is_missing.shape
    if not is_missing.any():
        return is_missing
    return np.asarray(is_missing & ((np.arange(width) + np.arange(height)[:, None]) % spacing == 0))


def hatched_color(colors: Bytes, hatch: str) -> Bytes:
    """Return colors under the lines of a hatch, shape (..., 3)."""
    *paint, opacity = rgba_of(hatch)
    mixed = colors + opacity * (np.array(paint) * 255 - colors)
    return np.asarray(np.rint(mixed), np.uint8)
