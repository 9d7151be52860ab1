"""Palettes of images that show only a panel: class colors, shades of one ink, and transparency.

The class colors and the shades are those of `render.palette`. In addition, pixels without data can be transparent. The
shades over such pixels are the ink with the opacity of the line.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.base import PaletteScale, Scale, opaque_background
from regionplot.layers.base import Layer
from regionplot.render.palette import ink_of_layers
from regionplot.writers.picture import Bytes

_SIZE = 256
_FRAME_SHADES = 16
"""Entries that the palette of a sheet needs for its frame. They are left free, so that the shades are the same."""
_MIN_SHADES = 8
_FULL = 255
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class PanelPalette:
    """Colors of a panel, and a table to look up rows of the palette."""

    colors: Bytes
    """Red, green, blue and opacity, shape (n, 4), n at most 256."""
    shaded: Bytes
    """Row of the palette for each code of the scale and each value of `channel` in lines that are drawn on white, shape
    (rows, 256)."""
    channel: int
    """Color channel in which the ink is darkest: 0 (red), 1 (green) or 2 (blue)."""

    @classmethod
    def of(cls, scale: Scale, layers: Iterable[Layer], background: str | None) -> PanelPalette | None:
        """Return a palette for the colors of a scale and the ink of layers.

        Parameters
        ----------
        scale : Scale
            The color scale.
        layers : iterable of Layer
            The layers over the raster.
        background : str or None
            Color of pixels without data. None: they are transparent.

        Returns
        -------
        PanelPalette or None
            None if the scale is continuous or has too many classes, if the layers use several inks or a light ink, or
            if a layer does not fit into a palette.
        """
        ink = ink_of_layers(layers)
        if ink is None or not isinstance(scale, PaletteScale) or not scale.is_classed:
            return None
        table = scale.palette[:, :3].astype(float)
        rows, owner = np.unique(scale.palette[:-1, :3], axis=0, return_inverse=True)
        shades = (_SIZE - len(table) - 1 - _FRAME_SHADES) // (len(rows) + 1)
        if shades < _MIN_SHADES:
            return None
        steps = np.linspace(0, 1, shades + 2)[1:-1]
        colors = np.vstack([rows, _paper(background)])
        return cls(
            _colors(table, colors, steps, ink, background),
            _lookup(len(table), np.append(owner.reshape(-1), len(rows)), steps, ink),
            int(np.argmin(ink)),
        )


def _paper(background: str | None) -> Floats:
    return np.asarray(np.ones(3) if background is None else opaque_background(background)) * float(_FULL)


def _colors(table: Floats, rows: Floats, steps: Floats, ink: Floats, background: str | None) -> Bytes:
    """Return the palette: rows of the scale, shades of each color, and the ink. The last color is that of no data."""
    shades = (rows[:, None] + steps[:, None] * (ink - rows[:, None])).reshape(-1, 3)
    rgb = np.vstack([table, shades, ink])
    alpha = np.full(len(rgb), _FULL, float)
    nodata = len(table) - 1
    rgb[nodata] = rows[-1]
    if background is None:
        over = slice(len(rgb) - 1 - len(steps), len(rgb) - 1)
        rgb[over], alpha[over], alpha[nodata] = ink, steps * _FULL, 0
    return np.asarray(np.rint(np.column_stack([rgb, alpha])).astype(np.uint8))


def _lookup(codes: int, owner: NDArray[np.intp], steps: Floats, ink: Floats) -> Bytes:
    darkness = (_FULL - np.arange(_FULL + 1)) / (_FULL - ink.min())
    step = np.clip(np.rint(darkness * (len(steps) + 1)).astype(int), 0, len(steps) + 1)
    shaded = codes + owner[:, None] * len(steps) + step - 1
    shaded = np.where(step == 0, np.arange(codes)[:, None], shaded)
    last = codes + (owner.max() + 1) * len(steps)
    return np.asarray(np.where(step == len(steps) + 1, last, shaded), np.uint8)


def used_palette(scale: PaletteScale, codes: NDArray[Any], background: str | None) -> tuple[Bytes, Bytes] | None:
    """Return an image of rows, and the palette of the colors that the image uses.

    Returns
    -------
    tuple of ndarray, or None
        The image, shape (height, width), and the palette, shape (n, 4). None if more than 256 colors are used.
    """
    counts = np.bincount(codes.reshape(-1), minlength=len(scale.palette))
    used = np.flatnonzero(counts)
    if len(used) > _SIZE:
        return None
    rows = np.zeros(len(scale.palette), np.uint8)
    rows[used] = np.arange(len(used))
    table = palette_of(scale, background)
    return rows.take(codes), table[used]


def palette_of(scale: PaletteScale, background: str | None) -> Bytes:
    """Return the colors of a scale, shape (n, 4). The last color is that of no data."""
    table = scale.palette.copy()
    table[-1] = (*np.rint(_paper(background)), 0 if background is None else _FULL)
    return table
