"""Draw maps of shared data, fast: the frame once, then the raster and the layers of each region."""

from __future__ import annotations

from regionplot.geo.region import Region
from regionplot.render.agg import Canvas, Painter, RgbPainter
from regionplot.render.palette import PalettePainter, palette_for
from regionplot.render.sheets import Sheet, Style
from regionplot.render.style import plain_style
from regionplot.shared.data import SharedData
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers.base import Picture


class MapRenderer:
    """Draws the maps of one run, one after the other, into one buffer.

    Parameters
    ----------
    shared : SharedData
        What to draw from.
    maps : int
        About how many there will be; the more, the more is prepared.
    """

    def __init__(self, shared: SharedData, maps: int = 1) -> None:
        with plain_style():
            style = Style.of(shared, maps)
            self._style = style
            self._canvas = Canvas(style)
            palette = palette_for(style)
            self._in_rgb = RgbPainter(self._canvas)
            self._in_palette = PalettePainter(self._canvas, palette) if palette else None

    def draw(self, region: Region, watch: Stopwatch | None = None) -> Picture:
        """Draw one region.

        Parameters
        ----------
        region : Region
            What to draw.
        watch : Stopwatch, optional
            Is given the time of each stage.

        Raises
        ------
        NoOverlapError
            If the region lies outside the raster.
        RegionError
            If it cannot be projected, or its row lacks a field of the title.
        """
        watch = watch or Stopwatch()
        with plain_style():
            sheet = Sheet.of(region, self._style)
            self._canvas.show(sheet)
            watch.lap("sample")
            painter: Painter = self._in_palette if self._in_palette and not sheet.no_data else self._in_rgb
            return painter.paint(sheet, watch)
