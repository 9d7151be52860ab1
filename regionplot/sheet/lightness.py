"""The lightness of colors. This module imports only numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_WEIGHTS = np.array([0.2126, 0.7152, 0.0722])
"""Luminance of red, green and blue in sRGB."""
DARK = 0.145
"""Luminance of the lightness L* = 45. Text on darker colors is white."""


def luminance(colors: NDArray[Any]) -> NDArray[np.float64]:
    """Return the relative luminance of sRGB colors, 0 to 1, shape (n,).

    The formula is that of IEC 61966-2-1.

    Parameters
    ----------
    colors : ndarray of uint8, shape (n, 3)
        Red, green and blue.
    """
    rgb = colors / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return np.asarray(linear @ _WEIGHTS)
