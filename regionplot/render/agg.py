"""Draw marks with matplotlib's Agg renderer.

Lines, areas, symbols, rectangles and usual titles need no figure. matplotlib's figure is imported, and made, when the
first mark needs it: a label in the panel, an `AxesCall`, or a text that must be measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.transforms import Bbox, BboxBase, BboxTransformFrom, BboxTransformTo, Transform, TransformedBbox

from regionplot.layers.stack import can_yield
from regionplot.render.artists import PanelPlace, artist_without_figure, panel_artists, sheet_artist
from regionplot.render.bare_canvas import are_usual
from regionplot.render.drawn_marks import NEEDS_AXES, PanelArtists
from regionplot.render.fonts import FALLBACKS
from regionplot.render.sheets import Style
from regionplot.render.style import plain_style
from regionplot.sheet.layout import Box, Layout
from regionplot.sheet.marks import SheetMark, Text
from regionplot.sheet.view import View
from regionplot.writers.base import Bytes

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


def prepare_matplotlib(canvas: Canvas, style: Style, titles: Iterable[str]) -> None:
    """Import and find what maps with these titles need, such as fonts, so that forked workers inherit it.

    Parameters
    ----------
    canvas : Canvas
        The sheet of the maps.
    style : Style
        The style of all maps.
    titles : iterable of str
        The titles of the maps.
    """
    FALLBACKS.find("".join(getattr(layer, "letters", "") for layer in style.layers))
    with plain_style():
        canvas.draw_on_sheet(Text(0, 0, "a", style.layout.page.title_points, is_hinted=False))
        has_labels = any(can_yield(layer, NEEDS_AXES) for layer in style.layers)
        if has_labels or not are_usual(titles, style):
            _ = canvas.figure
