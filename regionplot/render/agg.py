"""Draw on an RGB canvas with matplotlib's Agg renderer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from typing_extensions import override

from regionplot.render.artists import DrawnMarks, add_frame, new_figure, panel_artists, sheet_artist
from regionplot.render.sheets import Style
from regionplot.sheet.layout import Box
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers.base import Bytes, Picture


class Canvas:
    """A sheet on which the frame is drawn, and axes for the panel."""

    def __init__(self, style: Style) -> None:
        self.layout = style.layout
        self.figure = new_figure(style.layout)
        add_frame(self.figure, style.layout, style.layers)
        canvas = FigureCanvasAgg(self.figure)
        canvas.draw()
        self.renderer = canvas.get_renderer()
        self.buffer: Bytes = np.asarray(self.renderer.buffer_rgba())
        """Shape (height, width, 4). Artists draw into it."""
        self.background = self.buffer.copy()
        self.axes = self.figure.add_axes(style.layout.panel.fractions(style.layout.size))

    def show(self, view: View) -> None:
        """Move the axes to the panel of a view."""
        extent = view.panel.extent
        self.axes.set_position(view.box.fractions(self.layout.size))
        self.axes.set_xlim(extent.xmin, extent.xmax)
        self.axes.set_ylim(extent.ymin, extent.ymax)

    def slices(self, box: Box) -> tuple[slice, slice]:
        """Return the rows and columns of a box in the buffer."""
        height = self.layout.size[1]
        return slice(height - box.top, height - box.bottom), slice(box.left, box.right)

    def draw(self, artist: Artist) -> None:
        """Draw one artist into the buffer."""
        artist.set_figure(self.figure)
        artist.draw(self.renderer)


class Painter(Protocol):
    """Turn a sheet into a picture."""

    def paint(self, sheet: Sheet, marks: DrawnMarks, watch: Stopwatch) -> Picture:
        """Return the picture of a map.

        Parameters
        ----------
        sheet : Sheet
            The sheet to paint. `Canvas.show` has been called with its view.
        marks : DrawnMarks
            The marks of the layers on this sheet.
        watch : Stopwatch
            Stopwatch that records the time of each stage.
        """
        ...


@dataclass(frozen=True)
class RgbPainter(Painter):
    """Paint any map as an RGB image."""

    canvas: Canvas
    style: Style

    @override
    def paint(self, sheet: Sheet, marks: DrawnMarks, watch: Stopwatch) -> Picture:
        canvas = self.canvas
        np.copyto(canvas.buffer, canvas.background)
        canvas.buffer[canvas.slices(sheet.view.box)] = self.style.scale.rgba(sheet.codes)
        watch.lap("compose")
        for mark in marks.in_panel:
            for artist in panel_artists(mark, canvas.axes):
                canvas.draw(artist)
        for mark_on_sheet in marks.on_sheet:
            canvas.draw(sheet_artist(mark_on_sheet, canvas.figure))
        watch.lap("stroke")
        pixels = canvas.buffer[..., :3].copy()
        watch.lap("compose")
        return Picture(pixels, None, sheet.title, sheet.no_data)
