"""Draw the ink of palette maps on white: what layers cover in the panel, and title and neatline on the sheet.

The pixels come from a canvas: `agg.Canvas` uses matplotlib, and `bare_canvas.BareCanvas` only its compiled modules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from regionplot.layers.base import Layer
from regionplot.layers.stack import can_yield, ignore_raster
from regionplot.render.drawn_marks import DrawnMarks, PanelArtists
from regionplot.render.drawn_pixels import channel_of, pixels_except
from regionplot.render.ink import Covered, PanelInk, labeled_pixels
from regionplot.render.palette import PACKED_WHITE, WHITE, has_dark_colors, layers_with_light
from regionplot.render.sheets import Style
from regionplot.sheet.layout import POINTS_PER_INCH, Box
from regionplot.sheet.marks import Label, Rectangle, SheetMark, Text
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers.base import Bytes

if TYPE_CHECKING:
    from regionplot.render.palette import Palette

_FEW = 3
"""Maximum number of marks on a sheet that are drawn one by one. Equal rectangles are then drawn once for all maps."""


_OPACITY = np.array([0, 0, 0, WHITE], np.uint8).view(np.uint32)[0]
"""The bits of a pixel that hold its opacity. Comparing whole pixels is faster than reading every fourth byte."""


_NO_RASTER: dict[str, Any] = {
    "codes": np.empty((0, 0), np.uint8),
    "values": None,
    "cells": None,
    "shown": None,
    "colors": None,
    "description": {},
}
"""Fields of the sheet that layers that ignore the raster do not see."""


class InkCanvas(Protocol):
    """A sheet of pixels on which marks are drawn."""

    @property
    def buffer(self) -> Bytes:
        """The pixels, shape (height, width, 4)."""
        ...

    def style(self) -> AbstractContextManager[None]:
        """Return the context in which marks are drawn."""
        ...

    def slices(self, box: Box) -> tuple[slice, slice]:
        """Return the rows and columns of a box in the buffer."""
        ...

    def draw_in_panel(self, marks: Iterable[PanelArtists], view: View) -> None:
        """Draw marks in the panel of a view."""
        ...

    def draw_on_sheet(self, mark: SheetMark) -> None:
        """Draw a mark on the sheet."""
        ...


class InkDrawing:
    """Draw the ink of palette maps.

    Parameters
    ----------
    style : Style
        The style of all maps.
    canvas : callable
        Function that returns the sheet of this thread. Other drawings may have drawn on it.
    palette : ShadedPalette, MixedPalette or TonePalette, optional
        The palette of the maps. It decides whether the ink on the sheet is gray or has colors.
    """

    def __init__(self, style: Style, canvas: Callable[[], InkCanvas], palette: Palette | None = None) -> None:
        self._style, self._canvas = style, canvas
        self._layers = layers_with_light(style)[1]
        self._has_colors = palette is not None and palette.sheet_type != np.uint8
        self._on_sheets = [layer for layer in self._layers if can_yield(layer, (Rectangle, Text))]
        self._ignores_raster = ignore_raster(self._layers)
        self._rectangles: dict[Rectangle, Covered] = {}
        self._has_dark_colors = has_dark_colors(style)

    def prepare(self) -> None:
        """Make the sheet and load the font of the title, so that forked workers inherit them."""
        canvas = self._canvas()
        with canvas.style():
            canvas.draw_on_sheet(Text(0, 0, "a", self._style.layout.page.title_points, is_hinted=False))

    def ink_in_panel(self, sheet: Sheet, channel: int | None, watch: Stopwatch) -> PanelInk:
        """Draw the ink in the panel of a palette map, on white or on a transparent panel.

        Parameters
        ----------
        sheet : Sheet
            The map. The layers do not see its title, because the ink is also used under other titles.
        channel : int, optional
            Color channel in which the ink of the layers is darkest: 0 (red), 1 (green) or 2 (blue). None: the ink has
            several colors, and is drawn on a transparent panel.
        watch : Stopwatch
            Stopwatch that records the time of each stage.
        """
        canvas = self._canvas()
        with canvas.style():
            marks = self._marks(self._layers, sheet, title="")
            watch.lap("clip")
            ink = self._panel_ink(marks.in_panel, sheet, channel)
        watch.lap("stroke")
        return ink

    def _panel_ink(self, marks: Sequence[PanelArtists], sheet: Sheet, channel: int | None) -> PanelInk:
        """Draw marks in a panel. Draw labels, and what lies above them, twice if labels can be light."""
        canvas, panel = self._canvas(), sheet.view.box
        pixels = canvas.buffer[canvas.slices(panel)]
        pixels.view(np.uint32).fill(PACKED_WHITE if channel is not None else 0)
        labels = [mark for mark in marks if isinstance(mark, Label) and mark.on_dark is not None]
        if not labels or not self._has_dark_colors:
            canvas.draw_in_panel(marks, sheet.view)
            return PanelInk(_inked(pixels, channel))
        first = marks.index(labels[0])
        canvas.draw_in_panel(marks[:first], sheet.view)
        below = pixels.copy()
        canvas.draw_in_panel(marks[first:], sheet.view)
        usual = _inked(pixels, channel)
        pixels[...] = below
        canvas.draw_in_panel(
            [mark.reversed() if isinstance(mark, Label) else mark for mark in marks[first:]], sheet.view
        )
        boxes = _boxes(labels, sheet)
        return PanelInk(usual, _inked(pixels, channel, labeled_pixels(boxes, (panel.height, panel.width))), boxes)

    def ink_on_sheet(self, sheet: Sheet, watch: Stopwatch) -> Covered:
        """Draw the ink on the sheet of a palette map on white: title and neatline."""
        with self._canvas().style():
            marks = self._marks(self._on_sheets, sheet, title=sheet.title).on_sheet
            is_many = len(marks) > _FEW or self._has_colors
            drawn = [self._together(marks)] if is_many else [self._on_sheet(mark, sheet) for mark in marks]
        watch.lap("title")
        return _on_top_of_each_other(drawn)

    def _marks(self, layers: Sequence[Layer], sheet: Sheet, title: str) -> DrawnMarks:
        """Return the marks of a map with a title. Layers that ignore the raster draw the same for each raster."""
        return DrawnMarks.of(layers, replace(sheet, title=title, **(_NO_RASTER if self._ignores_raster else {})))

    def _together(self, marks: Iterable[SheetMark]) -> Covered:
        self._canvas().buffer.fill(0 if self._has_colors else WHITE)
        for mark in marks:
            self._canvas().draw_on_sheet(mark)
        return _painted(self._canvas().buffer) if self._has_colors else _covered(self._canvas().buffer, 0)

    def _on_sheet(self, mark: SheetMark, sheet: Sheet) -> Covered:
        """Draw a mark in the frame's ink. Rectangles are cached, because most maps have the same rectangles."""
        if isinstance(mark, Text):
            return self._drawn(mark, self._rows_of(mark, sheet))
        if mark not in self._rectangles:
            self._rectangles[mark] = self._drawn(mark, len(self._canvas().buffer))
        return self._rectangles[mark]

    def _rows_of(self, mark: Text, sheet: Sheet) -> int:
        """Return the number of rows at the top of the sheet that a text can reach."""
        descent = mark.points * sheet.layout.dpi / POINTS_PER_INCH / 3
        is_above = mark.vertical_align == "baseline" and mark.y - descent >= sheet.view.box.top
        return len(self._canvas().buffer) - (sheet.view.box.top if is_above else 0)

    def _drawn(self, mark: SheetMark, rows: int) -> Covered:
        self._canvas().buffer[:rows].fill(WHITE)
        self._canvas().draw_on_sheet(mark)
        return _covered(self._canvas().buffer[:rows], 0)


def _covered(pixels: Bytes, channel: int, among: NDArray[np.bool_] | None = None) -> Covered:
    """Return the pixels of a box of the sheet that are darker than white in a channel, and their values.

    `among` limits the pixels to those that are True.
    """
    values = channel_of(pixels, channel)
    if among is not None:
        values.reshape(-1)[~among] = WHITE
    return Covered(*pixels_except(WHITE, values))


def _boxes(labels: Iterable[Label], sheet: Sheet) -> NDArray[np.int32]:
    """Return rows and columns of the boxes of labels in the panel. See `PanelInk.boxes`."""
    areas = [label.on_dark.box.pixels_in(sheet.view.box) for label in labels if label.on_dark is not None]
    return np.array([(rows.start, rows.stop, columns.start, columns.stop) for rows, columns in areas], np.int32)


def _painted(pixels: Bytes, among: NDArray[np.bool_] | None = None) -> Covered:
    """Return the pixels of a box of a transparent sheet that are painted, with their color and opacity."""
    packed = pixels.view(np.uint32).reshape(-1)
    is_painted = (packed & _OPACITY) != 0
    drawn, _ = pixels_except(0, (is_painted if among is None else is_painted & among).view(np.uint8))
    return Covered(drawn, packed.take(drawn))


def _inked(pixels: Bytes, channel: int | None, among: NDArray[np.bool_] | None = None) -> Covered:
    """Return the pixels with ink, on white or on a transparent sheet. See `_covered` and `_painted`."""
    return _painted(pixels, among) if channel is None else _covered(pixels, channel, among)


def _on_top_of_each_other(drawn: Sequence[Covered]) -> Covered:
    """Return the pixels of all marks. The last mark that covers a pixel gives its value."""
    marks = sorted((mark for mark in drawn if mark.pixels.size), key=lambda mark: mark.pixels[0])
    if all(upper.pixels[-1] < lower.pixels[0] for upper, lower in pairwise(marks)):  # as a title above a neatline
        return _joined(marks)
    joined = _joined(drawn[::-1])
    found, first = np.unique(joined.pixels, return_index=True)
    return Covered(found, joined.values[first])


def _joined(marks: Sequence[Covered]) -> Covered:
    pixels = np.concatenate([np.empty(0, np.intp), *(mark.pixels for mark in marks)])
    return Covered(pixels, np.concatenate([np.empty(0, np.uint8), *(mark.values for mark in marks)]))
