"""Draw on an RGB canvas with matplotlib's Agg renderer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg

from regionplot.render import artists
from regionplot.render.sheets import Sheet, Style
from regionplot.sheet.layout import Box
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers.base import Bytes, Picture


class Canvas:
    """A sheet with its frame drawn, and axes for the panel."""

    def __init__(self, style: Style) -> None:
        self.layout = style.layout
        self.figure = artists.new_figure(style.layout)
        artists.add_key(self.figure, style.layout, style.scale, style.label)
        canvas = FigureCanvasAgg(self.figure)
        canvas.draw()
        self.renderer = canvas.get_renderer()
        self.buffer: Bytes = np.asarray(self.renderer.buffer_rgba())
        """Shape (height, width, 4): what artists draw onto."""
        self.background = self.buffer.copy()
        self.axes = self.figure.add_axes(style.layout.panel.fractions(style.layout.size))

    def show(self, sheet: Sheet) -> None:
        """Have the axes stand for a sheet's panel."""
        extent = sheet.view.panel.extent
        self.axes.set_position(sheet.view.box.fractions(self.layout.size))
        self.axes.set_xlim(extent.xmin, extent.xmax)
        self.axes.set_ylim(extent.ymin, extent.ymax)

    def slices(self, box: Box) -> tuple[slice, slice]:
        """The rows and columns of the buffer that a box covers."""
        height = self.layout.size[1]
        return slice(height - box.top, height - box.bottom), slice(box.left, box.right)

    def draw(self, artist: Artist) -> None:
        """Draw one artist onto the buffer."""
        artist.set_figure(self.figure)
        artist.draw(self.renderer)


class Painter(Protocol):
    """A way from a sheet to a picture."""

    def paint(self, sheet: Sheet, watch: Stopwatch) -> Picture:
        """Make the picture."""
        ...


@dataclass(frozen=True)
class RgbPainter:
    """Any map, in full colour."""

    canvas: Canvas

    def paint(self, sheet: Sheet, watch: Stopwatch) -> Picture:
        """See `_Painter`."""
        canvas = self.canvas
        np.copyto(canvas.buffer, canvas.background)
        canvas.buffer[canvas.slices(sheet.view.box)] = sheet.image
        watch.lap("compose")
        above = list(sheet.artists_above(canvas.axes))
        watch.lap("clip")
        for artist in above:
            canvas.draw(artist)
        watch.lap("stroke")
        pixels = canvas.buffer[..., :3].copy()
        watch.lap("compose")
        return Picture(pixels, None, sheet.title, sheet.no_data)
