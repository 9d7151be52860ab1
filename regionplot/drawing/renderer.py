"""Draw maps fast: the fixed part of the sheet once, then each region's pixels and lines into a copy of it.

::

    background (page, colour bar) ─► copy ─► raster into the panel ─► lines ─► neatline, title ─► pixels

It is what `plot_region` and `savefig` do, less what is the same each time; a test holds the two to equal pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray

from regionplot.drawing import artists
from regionplot.drawing.sheet import Sheet, Style, plain_style
from regionplot.models import Region
from regionplot.shared import SharedData


@dataclass(frozen=True)
class Picture:
    """A finished map."""

    pixels: NDArray[np.uint8]
    """Shape (height, width, 3), RGB."""
    title: str
    no_data: bool


class MapRenderer:
    """Draws the maps of one run, one after the other, into one buffer."""

    def __init__(self, shared: SharedData) -> None:
        with plain_style():
            self._style = Style.of(shared)
            layout = self._style.layout
            figure = artists.new_figure(layout)
            artists.add_colorbar(figure, layout, self._style.scale, self._style.label)
            self._canvas = FigureCanvasAgg(figure)
            self._canvas.draw()
            self._renderer = self._canvas.get_renderer()
            self._buffer: NDArray[Any] = np.asarray(self._renderer.buffer_rgba())
            self._background = self._buffer.copy()
            self._figure = figure
            self._axes = figure.add_axes(layout.panel.fractions(layout.size))

    def draw(self, region: Region) -> Picture:
        """Draw one region.

        Raises
        ------
        NoOverlapError
            If the region lies outside the raster.
        RegionError
            If it cannot be projected, or its row lacks a field of the title.
        """
        with plain_style():
            sheet = Sheet.of(region, self._style)
            self._place_axes(sheet)
            self._paint(sheet)
        return Picture(self._buffer[..., :3].copy(), sheet.title, sheet.no_data)

    def _place_axes(self, sheet: Sheet) -> None:
        extent, layout = sheet.view.panel.extent, self._style.layout
        self._axes.set_position(sheet.view.box.fractions(layout.size))
        self._axes.set_xlim(extent.xmin, extent.xmax)
        self._axes.set_ylim(extent.ymin, extent.ymax)

    def _paint(self, sheet: Sheet) -> None:
        np.copyto(self._buffer, self._background)
        box, height = sheet.view.box, self._style.layout.size[1]
        self._buffer[height - box.top : height - box.bottom, box.left : box.right] = sheet.image
        for artist in sheet.artists_above(self._axes, self._renderer):
            artist.set_figure(self._figure)
            artist.draw(self._renderer)
