"""Compute how different colors look, also to color-blind readers.

Color blindness is simulated with the matrices of Machado, Oliveira and Fernandes (2009, doi:10.1109/TVCG.2009.113) for
a severity of 100 %. Differences are Euclidean distances in CIELAB, and CIEDE2000 (Sharma, Wu and Dalal 2005,
doi:10.1002/col.20070).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
NORMAL, DEUTERANOPIA, PROTANOPIA = "normal color vision", "deuteranopia", "protanopia"
_MATRICES: dict[str, Floats] = {
    NORMAL: np.eye(3),
    DEUTERANOPIA: np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]
    ),
    PROTANOPIA: np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]
    ),
}
"""Matrices for linear RGB."""
KINDS = tuple(_MATRICES)
_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
_WHITE = np.array([0.95047, 1.0, 1.08883])
"""D65."""
_EPSILON, _KAPPA = 216 / 24389, 24389 / 27


def linear(rgb: Floats) -> Floats:
    """Return linear RGB of sRGB, both from 0 to 1."""
    found: Floats = np.where(rgb <= 0.04045, rgb / 12.92, ((np.maximum(rgb, 0) + 0.055) / 1.055) ** 2.4)
    return found


def encoded(rgb: Floats) -> Floats:
    """Return sRGB of linear RGB. Colors that a screen shows are from 0 to 1."""
    found: Floats = np.where(rgb <= 0.0031308, rgb * 12.92, 1.055 * np.maximum(rgb, 0) ** (1 / 2.4) - 0.055)
    return found


def seen(rgb: Floats, kind: str) -> Floats:
    """Return sRGB colors as a reader sees them, shape (n, 3).

    Parameters
    ----------
    rgb : ndarray, shape (n, 3)
        sRGB, 0 to 1.
    kind : str
        One of `KINDS`.
    """
    return encoded(np.clip(linear(rgb) @ _MATRICES[kind].T, 0, 1))


def lab_of(rgb: Floats) -> Floats:
    """Return CIELAB of sRGB colors, shape (n, 3)."""
    xyz = linear(np.asarray(rgb, dtype=float)) @ _TO_XYZ.T / _WHITE
    f = np.where(xyz > _EPSILON, np.cbrt(xyz), (_KAPPA * xyz + 16) / 116)
    return np.column_stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])])


def unclipped_rgb(lab: Floats) -> Floats:
    """Return sRGB of CIELAB colors, shape (n, 3). Colors that no screen shows are below 0 or above 1."""
    y = (lab[:, 0] + 16) / 116
    f = np.column_stack([y + lab[:, 1] / 500, y, y - lab[:, 2] / 200])
    xyz = np.where(f**3 > _EPSILON, f**3, (116 * f - 16) / _KAPPA) * _WHITE
    return encoded(xyz @ np.linalg.inv(_TO_XYZ).T)


def differences(first: Floats, second: Floats) -> Floats:
    """Return CIEDE2000 between pairs of CIELAB colors, shape (n,)."""
    (l1, a1, b1), (l2, a2, b2) = first.T, second.T
    mean_c = (np.hypot(a1, b1) + np.hypot(a2, b2)) / 2
    g = 0.5 * (1 - np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7)))
    c1, c2 = np.hypot((1 + g) * a1, b1), np.hypot((1 + g) * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, (1 + g) * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    dh = np.where(c1 * c2 == 0, 0.0, (h2 - h1 + 180) % 360 - 180)
    mean_h = np.where(c1 * c2 == 0, h1 + h2, (h1 + dh / 2) % 360)
    return _ciede2000((l1, l2), (c1, c2), dh, mean_h)


def _ciede2000(light: tuple[Floats, Floats], chroma: tuple[Floats, Floats], dh: Floats, mean_h: Floats) -> Floats:
    """Return CIEDE2000 of lightness, chroma, difference of hue and mean hue."""
    dl, dc = light[1] - light[0], chroma[1] - chroma[0]
    mean_l, mean_c = (light[0] + light[1]) / 2, (chroma[0] + chroma[1]) / 2
    dhue = 2 * np.sqrt(chroma[0] * chroma[1]) * np.sin(np.radians(dh / 2))
    t = (
        1
        - 0.17 * np.cos(np.radians(mean_h - 30))
        + 0.24 * np.cos(np.radians(2 * mean_h))
        + 0.32 * np.cos(np.radians(3 * mean_h + 6))
        - 0.20 * np.cos(np.radians(4 * mean_h - 63))
    )
    sl = 1 + 0.015 * (mean_l - 50) ** 2 / np.sqrt(20 + (mean_l - 50) ** 2)
    sc, sh = 1 + 0.045 * mean_c, 1 + 0.015 * mean_c * t
    turn = 60 * np.exp(-(((mean_h - 275) / 25) ** 2))
    rotation = -2 * np.sqrt(mean_c**7 / (mean_c**7 + 25.0**7)) * np.sin(np.radians(turn))
    total: Floats = (dl / sl) ** 2 + (dc / sc) ** 2 + (dhue / sh) ** 2 + rotation * (dc / sc) * (dhue / sh)
    return np.sqrt(np.maximum(total, 0))
