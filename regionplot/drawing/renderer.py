"""Draw maps fast: the fixed part of the sheet once, then each region's pixels and lines into a copy of it.

::

    background (page, colour bar or legend) ─► copy ─► raster into the panel ─► lines ─► neatline, title ─► pixels

It is what `plot_region` and `savefig` do, less what is the same each time; a test holds the two to equal pixels. Where
a palette can hold the map's colours, `_PalettePainter` puts it together from bytes; a test bounds the difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from matplotlib.artist import Artist
from matplotlib.backends.backend_agg import FigureCanvasAgg
from numpy.typing import NDArray

from regionplot.drawing import artists
from regionplot.drawing.palette import PACKED_WHITE, ShadedPalette
from regionplot.drawing.sheet import Sheet, Style, plain_style
from regionplot.errors import ConfigError
from regionplot.models import Box, Region
from regionplot.shared import SharedData
from regionplot.stopwatch import Stopwatch

Bytes = NDArray[np.uint8]


@dataclass(frozen=True)
class Picture:
    """A finished map."""

    image: Bytes
    """Shape (height, width, 3), RGB; or (height, width), rows of `palette`."""
    palette: Bytes | None
    """Shape (n, 3), RGB."""
    title: str
    no_data: bool

    @property
    def pixels(self) -> Bytes:
        """Shape (height, width, 3), RGB."""
        return self.image if self.palette is None else self.palette[self.image]


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
            self._canvas = _Canvas(style)
            palette = _palette(style)
            self._in_rgb = _RgbPainter(self._canvas)
            self._in_palette = _PalettePainter(self._canvas, palette) if palette else None

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
            painter: _Painter = self._in_palette if self._in_palette and not sheet.no_data else self._in_rgb
            return painter.paint(sheet, watch)


def _palette(style: Style) -> ShadedPalette | None:
    """The palette that a config wants and its style allows."""
    config = style.shared.config
    palette = ShadedPalette.of(config, style.scale) if config.output.png != "rgb" else None
    if palette is None and config.output.png == "palette":
        raise ConfigError(
            "[output] png: a palette needs levels or classes, some 25 at most, and dark lines of one colour; use 'auto'"
        )
    return palette


class _Canvas:
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


class _Painter(Protocol):
    """A way from a sheet to a picture."""

    def paint(self, sheet: Sheet, watch: Stopwatch) -> Picture:
        """Make the picture."""
        ...


@dataclass(frozen=True)
class _RgbPainter:
    """Any map, in full colour."""

    canvas: _Canvas

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


class _PalettePainter:
    """A map whose colours are classes and shades of one ink."""

    def __init__(self, canvas: _Canvas, palette: ShadedPalette) -> None:
        self._canvas = canvas
        self._layout = canvas.layout
        self._palette = palette
        self._background = palette.nearest(canvas.background)
        self._scratch = np.empty(self._background.size, np.bool_)
        self._neatlines: dict[Box, tuple[NDArray[np.intp], Bytes]] = {}

    def paint(self, sheet: Sheet, watch: Stopwatch) -> Picture:
        """See `_Painter`."""
        canvas, palette = self._canvas, self._palette
        panel = canvas.slices(sheet.view.box)
        layers = list(sheet.layer_artists(canvas.axes))
        watch.lap("clip")
        canvas.buffer.fill(255)
        for artist in layers:
            canvas.draw(artist)
        watch.lap("stroke")
        image = self._background.copy()
        image[panel] = sheet.codes
        drawn, values = self._inked(panel[0], palette.channel)
        rows = image[panel[0]].reshape(-1)
        rows[drawn] = palette.shaded[rows[drawn], values]
        watch.lap("compose")
        self._draw_frame(sheet, image)
        watch.lap("title")
        return Picture(image, palette.colors, sheet.title, sheet.no_data)

    def _draw_frame(self, sheet: Sheet, image: Bytes) -> None:
        """The title above the panel, and the neatline over its edge."""
        canvas, box = self._canvas, sheet.view.box
        above = slice(0, image.shape[0] - box.top)
        canvas.buffer[above].fill(255)
        canvas.draw(sheet.title_artist(canvas.figure))
        drawn, values = self._inked(above, 0)
        image[above].reshape(-1)[drawn] = self._palette.framed[values]
        pixels, rows = self._neatline(box)
        image.ravel()[pixels] = rows

    def _inked(self, rows: slice, channel: int) -> tuple[NDArray[np.intp], Bytes]:
        """The pixels that are not white in some rows of the buffer, counted through, and their values in a channel."""
        packed = self._canvas.buffer[rows].view(np.uint32).reshape(-1)
        mask = np.not_equal(packed, PACKED_WHITE, out=self._scratch[: packed.size])
        drawn = np.flatnonzero(mask)
        return drawn, packed[drawn].view(np.uint8)[channel::4]

    def _neatline(self, box: Box) -> tuple[NDArray[np.intp], Bytes]:
        """The pixels of a box's neatline and their rows of the palette."""
        if box not in self._neatlines:
            self._canvas.buffer.fill(255)
            self._canvas.draw(artists.neatline(box, self._layout))
            grey = self._canvas.buffer[..., 0].ravel()
            pixels = np.flatnonzero(grey != 255)
            self._neatlines[box] = pixels, self._palette.framed[grey[pixels]]
        return self._neatlines[box]
