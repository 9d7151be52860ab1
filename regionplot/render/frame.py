"""Draw the frame: the parts that are the same on all maps, such as the color bar and the legend.

The frame needs a matplotlib figure. `render.ink_cache` keeps the drawn frame for later runs.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from regionplot.layers.base import Layer
from regionplot.render.artists import sheet_artist, strokes
from regionplot.render.colorbar import add_colorbar
from regionplot.render.sheets import Style
from regionplot.render.style import plain_style
from regionplot.sheet.layout import Layout
from regionplot.sheet.marks import ColorBar, Strokes
from regionplot.sheet.shifting import shifted
from regionplot.writers.base import Bytes


def new_figure(layout: Layout, kind: type[Figure] = Figure) -> Figure:
    """Return an empty white figure of a class. It is not registered with pyplot."""
    figure = kind(figsize=layout.inches, dpi=layout.dpi, facecolor="white")
    figure.set_layout_engine("none")
    return figure


def add_frame(
    figure: Figure,
    layout: Layout,
    layers: Iterable[Layer],
    offset: tuple[int, int] = (0, 0),
    whole: Layout | None = None,
) -> None:
    """Add the marks that are the same on all maps to a figure: color bar, legend and others.

    Parameters
    ----------
    figure : Figure
        The figure.
    layout : Layout
        Layout of the map.
    layers : iterable of Layer
        The layers of the map.
    offset : (int, int)
        Pixels from the lower left corner of the figure to that of the map.
    whole : Layout, optional
        Layout with the size of the figure. By default, the map is as large as the figure.
    """
    for layer in layers:
        for mark in layer.frame(layout):
            moved = shifted(mark, offset)
            if isinstance(moved, ColorBar):
                add_colorbar(figure, whole or layout, moved)
            elif isinstance(moved, Strokes):
                figure.add_artist(strokes(moved))
            else:
                figure.add_artist(sheet_artist(moved, figure))


def draw_frame(style: Style) -> Bytes:
    """Return the sheet with the frame, without a map, shape (height, width, 4)."""
    with plain_style():
        canvas = FigureCanvasAgg(new_figure(style.layout))
        add_frame(canvas.figure, style.layout, style.layers)
        canvas.draw()
        frame = np.array(canvas.buffer_rgba())
        canvas.figure.clear()
        del canvas.renderer  # only the garbage collector frees a figure, and it does not count the bytes of the buffer
    return frame
