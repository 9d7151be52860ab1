"""Make palette images without counting colors: a class is a color, a line is a darkness over it.

A classed map with lines of one ink has few colours but for the edges of its lines, where a class's colour goes over
into the ink in 255 steps. Fewer steps do. The palette holds the class colours exactly, some shades of each towards the
ink, and the shades of the frame from white to its ink::

    rows of the scale │ shades of each row towards the ink of the lines │ that ink │ white towards the frame's ink

Lines are drawn onto white, once, and give the shade; the sampled raster gives the row. So the image is put together
from bytes, and encoded from bytes: a third of the size of RGB, in a fifth of the time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib import colors
from numpy.typing import NDArray

from regionplot.colors.base import PaletteScale, Scale
from regionplot.errors import ConfigError
from regionplot.render import artists
from regionplot.render.agg import Canvas
from regionplot.render.sheets import Sheet, Style
from regionplot.render.text import INK
from regionplot.settings.config import Config
from regionplot.sheet.layout import Box
from regionplot.system.stopwatch import Stopwatch
from regionplot.writers.base import Bytes, Picture, make_writer

_SIZE = 256


_FRAME_SHADES = 16


_FEWEST_SHADES = 8
"""Fewer shades of a class towards the ink would show."""


_WHITE = 255


PACKED_WHITE = np.uint32(0xFFFFFFFF)


Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class ShadedPalette:
    """The colours of a classed map with lines of one ink, and how to find them."""

    colors: Bytes
    """Shape (n, 3), n at most 256."""
    shaded: Bytes
    """The palette's row for each row of the scale and each value of the ink's channel on white, shape (rows, 256)."""
    framed: Bytes
    """The palette's row for each grey of the frame, shape (256,)."""
    channel: int
    """The channel, 0 to 2, in which the ink is darkest."""

    @classmethod
    def of(cls, config: Config, scale: Scale) -> ShadedPalette | None:
        """The palette for a config, or None where there is none: no classes, too many, or lines of several inks."""
        if not isinstance(scale, PaletteScale):
            return None
        inks = set(_inks(config))
        rows = np.unique(scale.palette[:, :3], axis=0)
        shades = (_SIZE - len(scale.palette) - 1 - _FRAME_SHADES) // len(rows)
        if not scale.is_classed or len(inks) > 1 or shades < _FEWEST_SHADES:
            return None
        ink = np.asarray(inks.pop() if inks else (0, 0, 0), dtype=float)
        if ink.min() > _WHITE / 2:  # a light ink leaves no trace on white
            return None
        return cls._built(scale.palette[:, :3], rows, np.linspace(0, 1, shades + 2)[1:-1], ink)

    @classmethod
    def _built(cls, scale: Bytes, rows: Bytes, steps: Floats, ink: Floats) -> ShadedPalette:
        shades = rows[:, None] + steps[:, None] * (ink - rows[:, None])
        frame = np.linspace((_WHITE,) * 3, _ink_of(INK), _FRAME_SHADES)
        table = np.rint(np.vstack([scale, shades.reshape(-1, 3), ink, frame])).astype(np.uint8)
        channel = int(np.argmin(ink))
        first_shade, ink_row, first_frame = len(scale), len(table) - _FRAME_SHADES - 1, len(table) - _FRAME_SHADES
        darkness = (_WHITE - np.arange(_WHITE + 1)) / (_WHITE - ink[channel])
        step = np.clip(np.rint(darkness * (len(steps) + 1)).astype(int), 0, len(steps) + 1)
        owner = (scale[:, None] == rows[None]).all(axis=2).argmax(axis=1)
        shaded = first_shade + owner[:, None] * len(steps) + step - 1
        shaded = np.where(step == 0, np.arange(len(scale))[:, None], shaded)
        shaded = np.where(step == len(steps) + 1, ink_row, shaded)
        grey = (_WHITE - np.arange(_WHITE + 1)) / (_WHITE - _ink_of(INK)[0])
        framed = first_frame + np.clip(np.rint(grey * (_FRAME_SHADES - 1)), 0, _FRAME_SHADES - 1)
        return cls(table, shaded.astype(np.uint8), framed.astype(np.uint8), channel)

    def nearest(self, pixels: Bytes) -> Bytes:
        """The rows nearest to the colours of a frame, shape (height, width, 4), most of which is white."""
        packed = pixels.view(np.uint32)[..., 0]
        drawn = packed != PACKED_WHITE
        found, inverse = np.unique(np.append(packed[drawn], PACKED_WHITE), return_inverse=True)
        colors_found = found.view(np.uint8).reshape(-1, 4)[:, :3].astype(int)
        distances = ((colors_found[:, None] - self.colors[None].astype(int)) ** 2).sum(axis=2)
        rows = distances.argmin(axis=1).astype(np.uint8)[inverse]
        image = np.full(packed.shape, rows[-1])
        image[drawn] = rows[:-1]
        return image


def _inks(config: Config) -> Iterator[tuple[float, ...]]:
    """The colours of all that vector layers draw; a transparent ink is a lighter shade of the same."""
    for layer in config.features:
        for color in (layer.edgecolor, layer.facecolor):
            if colors.to_rgba(color)[3] > 0:
                yield tuple(_ink_of(color))


def _ink_of(color: str) -> Floats:
    return np.asarray(np.rint(np.asarray(colors.to_rgb(color)) * _WHITE))


def palette_for(style: Style) -> ShadedPalette | None:
    """The palette that a config wants and its style allows."""
    config = style.shared.config
    use = make_writer(config.output).palette
    palette = ShadedPalette.of(config, style.scale) if use != "rgb" else None
    if palette is None and use == "palette":
        raise ConfigError(
            f"[output.{config.output.format}] mode: a palette needs levels or classes (about 25 at most) and lines of "
            "one dark color; use 'auto'"
        )
    return palette


class PalettePainter:
    """A map whose colours are classes and shades of one ink."""

    def __init__(self, canvas: Canvas, palette: ShadedPalette) -> None:
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
