"""Darken and lighten the colors of the raster by the light on its relief."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.names import rgba_of
from regionplot.geo.relief import FLAT
from regionplot.geo.strips import row_strips
from regionplot.render.hatch import hatched_color, hatched_pixels
from regionplot.sheet.marks import Hatch, Shade
from regionplot.writers.base import Bytes

_ONE = 256
"""The factor 1 in the tables, which hold whole numbers."""


def change_colors(
    pixels: Bytes, codes: NDArray[np.unsignedinteger[Any]], nodata: int, marks: Iterable[Shade | Hatch]
) -> None:
    """Shade and hatch pixels in place.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3 or 4)
        Red, green and blue, and an opacity that does not change.
    codes : ndarray, shape (height, width)
        Codes of the color scale.
    nodata : int
        Code of missing cells.
    marks : iterable of Shade or Hatch
        What changes the colors, from the bottom to the top.
    """
    for mark in marks:
        if isinstance(mark, Shade):
            shade(pixels, mark)
        else:
            hatched = hatched_pixels(codes == nodata, mark.spacing)
            pixels[hatched, :3] = hatched_color(pixels[hatched, :3], mark.color)


def shade(pixels: Bytes, mark: Shade) -> None:
    """Shade pixels in place.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 3 or 4)
        Red, green and blue, and an opacity that does not change.
    mark : Shade
        The level of light on each pixel.

    Notes
    -----
    On a dark slope, a color is multiplied by the dark color. On a light slope, the light color is mixed into it. Flat
    ground keeps its color.
    """
    factors, terms = _tables(mark.dark, mark.light, mark.dark_strength, mark.light_strength)
    for rows in row_strips(*mark.levels.shape):
        levels = mark.levels[rows]
        for channel in range(3):
            color = pixels[rows, :, channel].astype(np.uint32)
            color *= factors[channel][levels]
            color += terms[channel][levels]
            color >>= 8
            pixels[rows, :, channel] = color


@lru_cache(maxsize=8)
def _tables(
    dark: str, light: str, dark_strength: float, light_strength: float
) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return a factor and a term for each channel and level, shape (3, 256), both multiplied by 256."""
    levels = np.arange(256)
    depth = np.clip((FLAT - levels) / FLAT, 0, 1) * dark_strength
    height = np.clip((levels - FLAT) / (255 - FLAT), 0, 1) * light_strength
    dark_color, light_color = (np.array(rgba_of(color)[:3])[:, None] for color in (dark, light))
    factors = (1 - depth + depth * dark_color) * (1 - height)
    terms = 255 * height * light_color
    return np.rint(factors * _ONE).astype(np.uint32), np.rint(terms * _ONE + _ONE / 2).astype(np.uint32)
