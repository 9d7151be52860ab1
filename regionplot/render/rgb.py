"""Draw RGB maps: the frame, the colors of the raster, and the marks of all layers above them.

The pixels come from a canvas: `agg.Canvas` uses matplotlib, and `bare_canvas.BareCanvas` only its compiled modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from regionplot.colors.base import Scale
from regionplot.geo.strips import row_strips
from regionplot.render.adaptive import adapted, required_colors
from regionplot.render.drawn_marks import DrawnMarks
from regionplot.render.ink_drawing import InkCanvas
from regionplot.render.palette import adapts_palette
from regionplot.render.shading import change_colors
from regionplot.render.sheets import Style
from regionplot.render.sparse import SparseImage
from regionplot.sheet.marks import Hatch, Shade, Text
from regionplot.sheet.sheet import Sheet
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers.base import Bytes, Picture


class RgbDrawing:
    """Draw RGB maps.

    Parameters
    ----------
    style : Style
        The style of all maps.
    frame : callable
        Function that returns the sheet with the frame.
    canvas : callable
        Function that returns the sheet of this thread. Other drawings may have drawn on it.
    """

    def __init__(self, style: Style, frame: Callable[[], SparseImage], canvas: Callable[[], InkCanvas]) -> None:
        self._style, self._frame, self._canvas = style, frame, canvas
        self._adapts = adapts_palette(style)

    def prepare(self) -> None:
        """Make the sheet and load the font of the title, so that forked workers inherit them."""
        canvas = self._canvas()
        with canvas.style():
            canvas.draw_on_sheet(Text(0, 0, "a", self._style.layout.page.title_points, is_hinted=False))

    def picture(self, sheet: Sheet, watch: Stopwatch) -> Picture:
        """Return an RGB map. The watch records the time of each stage."""
        canvas, frame = self._canvas(), self._frame()
        with canvas.style():
            marks = DrawnMarks.of(self._style.layers, sheet)
            watch.lap("clip")
            frame.copy_to(canvas.buffer)
            _paint(canvas.buffer[canvas.slices(sheet.view.box)], sheet, self._style.scale, marks.shades)
            watch.lap("compose")
            canvas.draw_in_panel(marks.in_panel, sheet.view)
            for mark in marks.on_sheet:
                canvas.draw_on_sheet(mark)
            watch.lap("stroke")
            picture = self._finished(canvas.buffer, sheet)
        watch.lap("compose")
        return picture

    def _finished(self, pixels: Bytes, sheet: Sheet) -> Picture:
        """Return the drawn image, with a palette if it should have one."""
        page, found = sheet.layout.page, None
        if self._adapts:
            found = adapted(pixels, required_colors(page.ink, page.line_ink, page.faint_ink))
        if found is None:
            return Picture(_rgb(pixels), None, sheet.title, sheet.no_data)
        return Picture(found.rows, found.colors, sheet.title, sheet.no_data, row_filter="none")


def _paint(panel: Bytes, sheet: Sheet, scale: Scale, shades: Iterable[Shade | Hatch]) -> None:
    """Write the colors of the raster into the panel, in strips that fit into the cache of the processor."""
    for rows in row_strips(*sheet.codes.shape):
        panel[rows] = scale.rgba(sheet.codes[rows])
    change_colors(panel, sheet.codes, scale.nodata, shades)


def _rgb(pixels: Bytes) -> Bytes:
    """Return a copy of the colors, shape (height, width, 3).

    Channels are copied one by one. This takes half the time of a single copy of three channels.
    """
    rgb = np.empty((*pixels.shape[:2], 3), np.uint8)
    for channel in range(3):
        rgb[..., channel] = pixels[..., channel]
    return rgb
