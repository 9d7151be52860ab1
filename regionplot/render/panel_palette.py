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
            Color of pixels that show only the background, such as those without data. None: they are transparent.

        Returns
        -------
        PanelPalette or None
            None if the scale is continuous or has too many classes, if the layers use several inks or a light ink, or
            if a layer does not fit into a palette.
        """
        ink = ink_of_layers(layers)
        if ink is None or not isinstance(scale, PaletteScale) or not scale.is_classed:
            return None
        clear = scale.clear_rows
        rows, owner = np.unique(scale.palette[~clear, :3], axis=0, return_inverse=True)
        shades = (_SIZE - len(clear) - 1 - _FRAME_SHADES) // (len(rows) + 1)
        if shades < _MIN_SHADES:
            return None
        owners = np.full(len(clear), len(rows))
        owners[~clear] = owner.reshape(-1)
        steps = np.linspace(0, 1, shades + 2)[1:-1]
        colors = np.vstack([rows, _paper(background)])
        table = _colors(colors[owners], colors, steps, ink)
        if background is None:
            over = slice(len(table) - 1 - len(steps), len(table) - 1)
            table[over] = np.rint(np.column_stack([np.tile(ink, (len(steps), 1)), steps * _FULL]))
            table[: len(clear)][clear, 3] = 0
        return cls(table, _lookup(owners, steps, ink), int(np.argmin(ink)))


def _paper(background: str | None) -> Floats:
    return np.asarray(np.ones(3) if background is None else opaque_background(background)) * float(_FULL)


def _colors(table: Floats, rows: Floats, steps: Floats, ink: Floats) -> Bytes:
    """Return an opaque palette: the codes, the shades of each color, and the ink. The last color is the background."""
    shades = (rows[:, None] + steps[:, None] * (ink - rows[:, None])).reshape(-1, 3)
    rgb = np.vstack([table, shades, ink])
    return np.column_stack([np.rint(rgb), np.full(len(rgb), _FULL)]).astype(np.uint8)


def _lookup(owners: NDArray[np.intp], steps: Floats, ink: Floats) -> Bytes:
    """Return the row of the palette for each code and each value of the ink."""
    codes = len(owners)
    darkness = (_FULL - np.arange(_FULL + 1)) / (_FULL - ink.min())
    step = np.clip(np.rint(darkness * (len(steps) + 1)).astype(int), 0, len(steps) + 1)
    shaded = codes + owners[:, None] * len(steps) + step - 1
    shaded = np.where(step == 0, np.arange(codes)[:, None], shaded)
    last = codes + (owners.max() + 1) * len(steps)
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
    """Return the colors of a scale, shape (n, 4)."""
    table = scale.palette.copy()
    table[scale.clear_rows] = (*np.rint(_paper(background)), 0 if background is None else _FULL)
    return table
