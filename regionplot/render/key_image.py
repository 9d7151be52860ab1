"""Draw the color bar or the legend of a field alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from regionplot.layers.colorbar import ColorBarLayer
from regionplot.layers.legend import Legend
from regionplot.layers.stack import lay_out
from regionplot.render.frame import draw_frame
from regionplot.render.sheets import Style, scale_for
from regionplot.shared.data import SharedData
from regionplot.writers.base import Bytes

_TALL = 2000
"""Height in pixels of the sheet on which the key is laid out. It is cut away around the key."""
_MIN_WIDTH = 200
_WIDE = {"colorbar": "wide"}
_MARGIN = 6
"""White pixels that are kept around the key."""


def draw_key(shared: SharedData, width: int, height: int, dpi: float) -> Bytes:
    """Return the color bar or the legend of a field, shape (rows, columns, 4). It is empty for true color.

    Parameters
    ----------
    shared : SharedData
        The field.
    width, height : int
        Size in pixels. The image can be lower than `height`.
    dpi : float
        Pixels per inch.
    """
    size = {"size": (max(width, _MIN_WIDTH), _TALL), "dpi": dpi}
    changes = {"map": shared.config.map.model_copy(update=size), "sheet": shared.config.sheet.model_copy(update=_WIDE)}
    config = shared.config.model_copy(update=changes)
    layers = tuple(layer for layer in shared.layers if isinstance(layer, ColorBarLayer | Legend))
    own = replace(shared.with_config(config), layers=layers)
    scale = scale_for(shared)
    layout = lay_out(config, scale.key())
    room = next((box for name, box in layout.rooms.items() if name in ("colorbar", "legend")), None)
    if room is None:
        return np.full((1, 1, 4), 255, np.uint8)
    frame = draw_frame(Style(own, layout, scale, None))
    return _trimmed(frame[_TALL - room.top : _TALL - room.bottom])[:height, :width].copy()


def _trimmed(image: Bytes) -> Bytes:
    """Return an image without the white rows and columns at its edges, except for a margin."""
    inked = (image[:, :, :3] != 255).any(axis=2)
    rows, columns = np.flatnonzero(inked.any(axis=1)), np.flatnonzero(inked.any(axis=0))
    if not rows.size:
        return image
    top, left = max(0, rows[0] - _MARGIN), max(0, columns[0] - _MARGIN)
    return image[top : rows[-1] + 1 + _MARGIN, left : columns[-1] + 1 + _MARGIN]
