"""Choose a palette for the colors of one map: shaded relief, or a continuous scale.

::

    pixels ─► 6 bits per channel ─► colors that occur ─► 256 of them ─► nearest row for each color ─► rows

The first colors are white and the inks of the frame. Each further color is the one that is farthest from all colors
before it, where frequent colors count more. There is no dither, because neighboring pixels of equal color make small
files.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.names import rgba_of
from regionplot.geo.strips import row_strips
from regionplot.render.nearest import colors_of_cells
from regionplot.writers.picture import Bytes

_SIZE = 256
_BITS = 6
_CELLS = 2 ** (3 * _BITS)
_POWER = 0.25
"""Exponent of the number of pixels of a color in its weight."""
LARGEST_ERROR = 24
"""Maximum difference of a channel to the RGB map. If 256 colors are too few, the map stays an RGB image."""
Floats = NDArray[np.float32]


class AdaptedImage(NamedTuple):
    """A map with a palette of its own."""

    rows: Bytes
    """Rows of the palette, shape (height, width)."""
    colors: Bytes
    """Shape (256, 3) or less."""


def adapted(pixels: Bytes, first: Bytes) -> AdaptedImage | None:
    """Return pixels with a palette. Return None if a channel of a pixel would differ too much.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (height, width, 4)
        Red, green, blue, and an opacity that is ignored.
    first : ndarray of uint8, shape (n, 3)
        Colors that the palette must have.
    """
    return adapted_cells(cells_of(pixels), first)


def adapted_cells(cells: NDArray[np.int32], first: Bytes) -> AdaptedImage | None:
    """Return pixels with a palette. Return None if a channel of a pixel would differ too much.

    Parameters
    ----------
    cells : ndarray of int, shape (height, width)
        Rounded colors of the pixels, from `cells_of`.
    first : ndarray of uint8, shape (n, 3)
        Colors that the palette must have.
    """
    counts = np.bincount(cells.reshape(-1), minlength=_CELLS)
    used = np.flatnonzero(counts)
    found = colors_of_cells(used, _BITS)
    for color, cell in zip(first, cells_of(first[None])[0], strict=True):
        found[used == cell] = color
    colors = _chosen(found, counts[used].astype(np.float32) ** np.float32(_POWER), first.astype(np.float32))
    nearest = ((colors**2).sum(axis=1) - 2 * found @ colors.T).argmin(axis=1)
    rounding = 2 ** (7 - _BITS)
    if np.abs(found - colors[nearest]).max(initial=0) + rounding > LARGEST_ERROR:
        return None
    table = np.zeros(_CELLS, np.uint8)
    table[used] = nearest
    return AdaptedImage(table.take(cells, mode="clip"), np.rint(colors).astype(np.uint8))


def cells_of(pixels: Bytes) -> NDArray[np.int32]:
    """Return the rounded color of each pixel as a number, shape (height, width). See `nearest.colors_of_cells`."""
    cells = np.empty(pixels.shape[:2], np.int32)
    drop = 8 - _BITS
    for rows in row_strips(*pixels.shape[:2]):
        red, green, blue = (pixels[rows, :, channel].astype(np.int32) >> drop for channel in range(3))
        red <<= 2 * _BITS
        green <<= _BITS
        red |= green
        red |= blue
        cells[rows] = red
    return cells


def _chosen(found: Floats, weights: Floats, first: Floats) -> Floats:
    """Return the colors of a palette, shape (n, 3)."""
    channels = np.ascontiguousarray(found.T)
    distances = np.full(len(found), np.inf, np.float32)
    for color in first:
        np.minimum(distances, _weighted(channels, color, weights), out=distances)
    added: list[int] = []
    while len(added) + len(first) < _SIZE:
        number = int(distances.argmax())
        if distances[number] <= 0:
            break
        added.append(number)
        np.minimum(distances, _weighted(channels, channels[:, number], weights), out=distances)
    return np.concatenate([first, found[added]])


def _weighted(channels: Floats, color: Floats, weights: Floats) -> Floats:
    """Return the squared distances of colors to a color, multiplied by the weights."""
    difference = channels - color[:, None]
    difference *= difference
    total: Floats = difference[0]
    total += difference[1]
    total += difference[2]
    total *= weights
    return total


@lru_cache(maxsize=8)
def required_colors(*inks: str) -> Bytes:
    """Return white and inks as rows of a palette, shape (n, 3)."""
    colors = np.array([(1.0, 1.0, 1.0), *(rgba_of(ink)[:3] for ink in inks)])
    return np.asarray(np.rint(colors * 255), np.uint8)
