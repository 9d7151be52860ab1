"""Draw RGB maps, and the marks of palette maps, with matplotlib's Agg renderer.

Lines, areas, symbols, rectangles and usual titles need no figure. matplotlib's figure is imported, and made, when the
first mark needs it: a label in the panel, an `AxesCall`, or a text that must be measured.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.transforms import Bbox, BboxBase, BboxTransformFrom, BboxTransformTo, Transform, TransformedBbox

from regionplot.colors.base import Scale
from regionplot.geo.strips import row_strips
from regionplot.layers.stack import can_yield
from regionplot.render.adaptive import adapted, required_colors
from regionplot.render.artists import PanelPlace, artist_without_figure, panel_artists, sheet_artist
from regionplot.render.bare_canvas import are_usual
from regionplot.render.canvases import Canvases
from regionplot.render.drawn_marks import NEEDS_AXES, DrawnMarks, PanelArtists
from regionplot.render.fonts import FALLBACKS
from regionplot.render.palette import adapts_palette
from regionplot.render.shading import change_colors
from regionplot.render.sheets import Style
from regionplot.render.style import plain_style
from regionplot.sheet.layout import Box, Layout
from regionplot.sheet.marks import Hatch, Shade, SheetMark, Text
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers.base import Bytes, Picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class AxesPlace:
    """The place of a panel on the sheet. Coordinates are computed as in `matplotlib.axes.Axes`, to the last bit."""

    bbox: BboxBase
    transData: Transform  # noqa: N815 (the name in matplotlib)

    @classmethod
    def of(cls, view: View, layout: Layout) -> AxesPlace:
        """Return the place of the panel of a view."""
        sheet = BboxTransformTo(Bbox.from_bounds(0, 0, *layout.size))
        bbox = TransformedBbox(Bbox.from_bounds(*view.box.fractions(layout.size)), sheet)
        extent = view.panel.extent
        limits = Bbox.from_extents(extent.xmin, extent.ymin, extent.xmax, extent.ymax)
        return cls(bbox, BboxTransformFrom(limits) + BboxTransformTo(bbox))


class Canvas:
    """A sheet of pixels into which artists draw."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.renderer = RendererAgg(*layout.size, layout.dpi)
        self.buffer: Bytes = np.asarray(self.renderer.buffer_rgba())
        """Shape (height, width, 4). Artists draw into it."""

    @cached_property
    def figure(self) -> Figure:
        """A figure of the size of the sheet, for marks that need one."""
        from regionplot.render.frame import new_figure  # noqa: PLC0415 (imports matplotlib.figure)

        return new_figure(self.layout)

    @cached_property
    def _axes(self) -> Axes:
        return self.figure.add_axes(self.layout.panel.fractions(self.layout.size))

    def axes(self, view: View) -> Axes:
        """Return axes of the figure in the place of the panel of a view."""
        extent = view.panel.extent
        self._axes.set_position(view.box.fractions(self.layout.size))
        self._axes.set_xlim(extent.xmin, extent.xmax)
        self._axes.set_ylim(extent.ymin, extent.ymax)
        return self._axes

    def style(self) -> AbstractContextManager[None]:
        """Return the context in which artists are made and drawn."""
        return plain_style()

    def slices(self, box: Box) -> tuple[slice, slice]:
        """Return the rows and columns of a box in the buffer."""
        height = self.layout.size[1]
        return slice(height - box.top, height - box.bottom), slice(box.left, box.right)

    def paint(self, sheet: Sheet, scale: Scale, shades: Iterable[Shade | Hatch]) -> None:
        """Write the colors of the raster into the panel, in strips that fit into the cache of the processor."""
        panel = self.buffer[self.slices(sheet.view.box)]
        for rows in row_strips(*sheet.codes.shape):
            panel[rows] = scale.rgba(sheet.codes[rows])
        change_colors(panel, sheet.codes, scale.nodata, shades)

    def rgb(self) -> Bytes:
        """Return a copy of the colors, shape (height, width, 3).

        Channels are copied one by one. This takes half the time of a single copy of three channels.
        """
        pixels = np.empty((*self.buffer.shape[:2], 3), np.uint8)
        for channel in range(3):
            pixels[..., channel] = self.buffer[..., channel]
        return pixels

    def draw_in_panel(self, marks: Iterable[PanelArtists], view: View) -> None:
        """Draw marks in the panel of a view."""
        place: PanelPlace = AxesPlace.of(view, self.layout)
        axes = None
        for mark in marks:
            if isinstance(mark, NEEDS_AXES):
                axes = axes or self.axes(view)
                for artist in panel_artists(mark, axes):
                    artist.set_figure(self.figure)
                    self.draw(artist)
            else:
                for artist in panel_artists(mark, place):
                    self.draw(artist)

    def draw_on_sheet(self, mark: SheetMark) -> None:
        """Draw a mark on the sheet."""
        self.draw(artist_without_figure(mark, self.layout.dpi) or sheet_artist(mark, self.figure))

    def draw(self, artist: Artist) -> None:
        """Draw one artist into the buffer."""
        artist.draw(self.renderer)


class Drawing:
    """Draw RGB maps.

    Parameters
    ----------
    style : Style
        The style of all maps.
    frame : callable
        Function that returns the sheet with the frame, shape (height, width, 4). Only RGB maps need it.
    canvases : Canvases, optional
        Sheets that several drawings of one run share.
    """

    def __init__(self, style: Style, frame: Callable[[], Bytes], canvases: Canvases | None = None) -> None:
        self._style, self._frame = style, frame
        self._canvases = canvases or Canvases()
        self._adapts = adapts_palette(style)

    @property
    def canvas(self) -> Canvas:
        """The sheet of this thread. Other drawings may have drawn on it."""
        return self._canvases.canvas(self._style.layout)

    def prepare(self, titles: Iterable[str]) -> None:
        """Import and find what maps with these titles need, such as fonts, so that forked workers inherit it."""
        FALLBACKS.find("".join(getattr(layer, "letters", "") for layer in self._style.layers))
        with plain_style():
            title = Text(0, 0, "a", self._style.layout.page.title_points, is_hinted=False)
            self.canvas.draw_on_sheet(title)
            has_labels = any(can_yield(layer, NEEDS_AXES) for layer in self._style.layers)
            if has_labels or not are_usual(titles, self._style):
                _ = self.canvas.figure

    def picture(self, sheet: Sheet, watch: Stopwatch) -> Picture:
        """Return an RGB map. The watch records the time of each stage."""
        canvas, frame = self.canvas, self._frame()
        with plain_style():
            marks = DrawnMarks.of(self._style.layers, sheet)
            watch.lap("clip")
            np.copyto(canvas.buffer, frame)
            canvas.paint(sheet, self._style.scale, marks.shades)
            watch.lap("compose")
            canvas.draw_in_panel(marks.in_panel, sheet.view)
            for mark in marks.on_sheet:
                canvas.draw_on_sheet(mark)
            watch.lap("stroke")
            picture = self._finished(canvas, sheet)
        watch.lap("compose")
        return picture

    def _finished(self, canvas: Canvas, sheet: Sheet) -> Picture:
        """Return the drawn image, with a palette if it should have one."""
        page, found = sheet.layout.page, None
        if self._adapts:
            found = adapted(canvas.buffer, required_colors(page.ink, page.line_ink, page.faint_ink))
        if found is None:
            return Picture(canvas.rgb(), None, sheet.title, sheet.no_data)
        return Picture(found.rows, found.colors, sheet.title, sheet.no_data, row_filter="none")
