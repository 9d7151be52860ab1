"""Draw RGB maps, and the ink of palette maps, with matplotlib's Agg renderer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cached_property

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg

from regionplot.layers.base import Layer
from regionplot.layers.stack import ignore_raster, layers_on_sheet
from regionplot.render.artists import DrawnMarks, PanelArtists, add_frame, new_figure, panel_artists, sheet_artist
from regionplot.render.canvases import Canvases
from regionplot.render.ink import Covered
from regionplot.render.palette import PACKED_WHITE, WHITE
from regionplot.render.sheets import Style
from regionplot.render.style import plain_style
from regionplot.sheet.layout import POINTS_PER_INCH, Box
from regionplot.sheet.marks import Rectangle, SheetMark, Text
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
        self._canvas = FigureCanvasAgg(self.figure)
        self._canvas.draw()
        self.renderer = self._canvas.get_renderer()
        self.buffer: Bytes = np.asarray(self.renderer.buffer_rgba())
        """Shape (height, width, 4). Artists draw into it."""
        self.background = self.buffer.copy()
        self.axes = self.figure.add_axes(style.layout.panel.fractions(style.layout.size))

    def close(self) -> None:
        """Free the buffer. A figure is freed only by the garbage collector, which does not count the bytes."""
        self.figure.clear()
        del self.renderer, self.buffer, self._canvas.renderer

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

    def draw_in_panel(self, marks: Iterable[PanelArtists], view: View) -> None:
        """Draw marks in the panel of a view."""
        self.show(view)
        for mark in marks:
            for artist in panel_artists(mark, self.axes):
                self.draw(artist)

    def draw(self, artist: Artist) -> None:
        """Draw one artist into the buffer."""
        artist.set_figure(self.figure)
        artist.draw(self.renderer)


class Drawing:
    """Draw RGB maps, and the ink of palette maps.

    Parameters
    ----------
    style : Style
        The style of all maps.
    canvases : Canvases, optional
        Sheets and frames that several drawings of one run share.
    """

    def __init__(self, style: Style, canvases: Canvases | None = None) -> None:
        self._style = style
        self._rectangles: dict[Rectangle, Covered] = {}
        self._canvases = canvases or Canvases()
        _ = self.canvas

    @property
    def canvas(self) -> Canvas:
        """The sheet of this thread. Other drawings may have drawn on it."""
        with plain_style():
            return self._canvases.canvas(self._style)

    @property
    def frame(self) -> Bytes:
        """The sheet with the frame only, shape (height, width, 4)."""
        with plain_style():
            return self._canvases.frame(self._style)

    def picture(self, sheet: Sheet, watch: Stopwatch) -> Picture:
        """Return an RGB map. The watch records the time of each stage."""
        canvas = self.canvas
        with plain_style():
            marks = DrawnMarks.of(self._style.layers, sheet)
            watch.lap("clip")
            np.copyto(canvas.buffer, self._background)
            canvas.buffer[canvas.slices(sheet.view.box)] = self._style.scale.rgba(sheet.codes)
            watch.lap("compose")
            canvas.draw_in_panel(marks.in_panel, sheet.view)
            for mark in marks.on_sheet:
                canvas.draw(sheet_artist(mark, canvas.figure))
            watch.lap("stroke")
            pixels = canvas.buffer[..., :3].copy()
        watch.lap("compose")
        return Picture(pixels, None, sheet.title, sheet.no_data)

    @cached_property
    def _background(self) -> Bytes:
        return self.frame

    def ink_in_panel(self, sheet: Sheet, channel: int, watch: Stopwatch) -> Covered:
        """Draw the ink in the panel of a palette map on white.

        Parameters
        ----------
        sheet : Sheet
            The map. The layers do not see its title, because the ink is also used under other titles.
        channel : int
            Color channel in which the ink of the layers is darkest: 0 (red), 1 (green) or 2 (blue).
        watch : Stopwatch
            Stopwatch that records the time of each stage.
        """
        canvas = self.canvas
        with plain_style():
            marks = self._marks(replace(sheet, title=""), self._style.layers)
            watch.lap("clip")
            canvas.buffer.fill(WHITE)
            canvas.draw_in_panel(marks.in_panel, sheet.view)
            panel = _covered(np.ascontiguousarray(canvas.buffer[canvas.slices(sheet.view.box)]), channel)
        watch.lap("stroke")
        return panel

    def ink_on_sheet(self, sheet: Sheet, watch: Stopwatch) -> Covered:
        """Draw the ink on the sheet of a palette map on white: title and neatline."""
        on_sheet = layers_on_sheet(self._style.layers)
        with plain_style():
            drawn = [self._on_sheet(mark, sheet) for mark in self._marks(sheet, on_sheet).on_sheet]
        watch.lap("title")
        return _on_top_of_each_other(drawn)

    def _marks(self, sheet: Sheet, layers: Iterable[Layer]) -> DrawnMarks:
        """Return the marks of some layers. They do not see the raster if all layers ignore it."""
        return DrawnMarks.of(layers, _without_raster(sheet) if ignore_raster(self._style.layers) else sheet)

    def _on_sheet(self, mark: SheetMark, sheet: Sheet) -> Covered:
        """Draw a mark in the frame's ink. Rectangles are cached, because most maps have the same rectangles."""
        if isinstance(mark, Text):
            return self._drawn(mark, self._rows_of(mark, sheet))
        if mark not in self._rectangles:
            self._rectangles[mark] = self._drawn(mark, len(self.canvas.buffer))
        return self._rectangles[mark]

    def _rows_of(self, mark: Text, sheet: Sheet) -> int:
        """Return the number of rows at the top of the sheet that a text can reach."""
        descent = mark.points * sheet.layout.dpi / POINTS_PER_INCH / 3
        is_above = mark.vertical_align == "baseline" and mark.y - descent >= sheet.view.box.top
        return len(self.canvas.buffer) - (sheet.view.box.top if is_above else 0)

    def _drawn(self, mark: SheetMark, rows: int) -> Covered:
        self.canvas.buffer[:rows].fill(WHITE)
        self.canvas.draw(sheet_artist(mark, self.canvas.figure))
        return _covered(self.canvas.buffer[:rows], 0)


def _without_raster(sheet: Sheet) -> Sheet:
    """Return a sheet for layers that ignore the raster. What such layers draw is the same for each raster."""
    return replace(sheet, codes=np.empty((0, 0), np.uint8), values=None, description={})


def _covered(pixels: Bytes, channel: int) -> Covered:
    """Return the pixels that are not white, and their values in a channel."""
    packed = pixels.view(np.uint32).reshape(-1)
    drawn = np.flatnonzero(packed != PACKED_WHITE)
    return Covered(drawn, packed[drawn].view(np.uint8)[channel::4])


def _on_top_of_each_other(drawn: Sequence[Covered]) -> Covered:
    """Return the pixels of all marks. The last mark that covers a pixel gives its value."""
    pixels = np.concatenate([np.empty(0, np.intp), *(mark.pixels for mark in reversed(drawn))])
    values = np.concatenate([np.empty(0, np.uint8), *(mark.values for mark in reversed(drawn))])
    found, first = np.unique(pixels, return_index=True)
    return Covered(found, values[first])
