"""Make palette images: each class has a color, and lines darken this color.

A classed map with lines of one ink has few colors, except along the edges of its lines. At these edges, the color of a
class blends into the ink in up to 255 steps. A palette image uses fewer steps, which is sufficient. The palette holds
the exact class colors, some shades between each class color and the ink, and the shades of the frame from white to the
ink of the frame::

    rows of the scale │ shades of each row toward the ink of the lines │ that ink │ white to the ink of the frame

Lines are drawn on white, and their darkness gives the shade. The sampled raster gives the class. A table gives
the row of the palette for each class and shade. Each pixel is one byte. A file is a third as large as in RGB, and
writing takes a fifth of the time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.base import PaletteScale, Scale
from regionplot.colors.names import rgba_of
from regionplot.errors import ConfigError
from regionplot.layers.base import Layer
from regionplot.layers.stack import can_yield, ignore_raster
from regionplot.render.ink import no_hatch
from regionplot.render.sheets import Style
from regionplot.sheet.lightness import DARK, luminance
from regionplot.sheet.marks import INK, Hatch, Shade
from regionplot.writers.base import Bytes, make_writer

if TYPE_CHECKING:
    from regionplot.layers.shading import Shading
    from regionplot.render.mixed_palette import MixedPalette
    from regionplot.render.tones import TonePalette

_SIZE = 256
_FRAME_SHADES = 16
_MIN_SHADES = 8
"""Minimum number of shades between a class color and the ink. With fewer shades, line edges would look coarse."""
_EXACT_STYLE = "plain"
"""Style whose maps with inks of several colors are RGB images."""
WHITE = 255
PACKED_WHITE = np.uint32(0xFFFFFFFF)
Floats = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class ShadedPalette:
    """The colors of a classed map with lines of one ink, and tables to look up rows of the palette."""

    colors: Bytes
    """Shape (n, 3), n at most 256."""
    shaded: Bytes
    """Rows of the palette, shape (rows, 256). The first index is the row of the scale. The second index is the value of
    `channel` in a pixel of lines that are drawn on white."""
    framed: Bytes
    """Row of the palette for each gray level of the frame, shape (256,)."""
    channel: int
    """Color channel in which the ink is darkest: 0 (red), 1 (green) or 2 (blue)."""
    sheet_type: type[np.unsignedinteger[Any]] = np.uint8
    """Type of the values of ink on the sheet: gray levels."""
    hatch: NDArray[np.int32] = field(default_factory=no_hatch)

    @classmethod
    def of(cls, scale: Scale, layers: Iterable[Layer], frame_ink: str = INK) -> ShadedPalette | None:
        """Return a palette for the colors of a scale, the ink of all layers and the ink of the frame.

        Returns
        -------
        ShadedPalette or None
            None if there is no such palette: if the scale is continuous or has too many classes, if the layers use
            several inks or a light ink, or if a layer does not fit into a palette.
        """
        ink = ink_of_layers(layers)
        if ink is None or not isinstance(scale, PaletteScale):
            return None
        rows, _ = np.unique(scale.palette[:, :3], axis=0, return_index=True)  # without indices, it imports `numpy.ma`
        shades = (_SIZE - len(scale.palette) - 1 - _FRAME_SHADES) // len(rows)
        if not scale.is_classed or shades < _MIN_SHADES:
            return None
        return cls._built(scale.palette[:, :3], rows, np.linspace(0, 1, shades + 2)[1:-1], ink, _ink_of(frame_ink))

    @classmethod
    def _built(cls, scale: Bytes, rows: Bytes, steps: Floats, ink: Floats, frame_ink: Floats) -> ShadedPalette:
        shades = rows[:, None] + steps[:, None] * (ink - rows[:, None])
        frame = np.linspace((WHITE,) * 3, frame_ink, _FRAME_SHADES)
        table = np.rint(np.vstack([scale, shades.reshape(-1, 3), ink, frame])).astype(np.uint8)
        channel = int(np.argmin(ink))
        first_shade, ink_row, first_frame = len(scale), len(table) - _FRAME_SHADES - 1, len(table) - _FRAME_SHADES
        darkness = (WHITE - np.arange(WHITE + 1)) / (WHITE - ink[channel])
        step = np.clip(np.rint(darkness * (len(steps) + 1)).astype(int), 0, len(steps) + 1)
        owner = (scale[:, None] == rows[None]).all(axis=2).argmax(axis=1)
        shaded = first_shade + owner[:, None] * len(steps) + step - 1
        shaded = np.where(step == 0, np.arange(len(scale))[:, None], shaded)
        shaded = np.where(step == len(steps) + 1, ink_row, shaded)
        gray = (WHITE - np.arange(WHITE + 1)) / (WHITE - frame_ink[0])
        framed = first_frame + np.clip(np.rint(gray * (_FRAME_SHADES - 1)), 0, _FRAME_SHADES - 1)
        return cls(table, shaded.astype(np.uint8), framed.astype(np.uint8), channel)


if TYPE_CHECKING:
    Palette = ShadedPalette | MixedPalette | TonePalette


def nearest_rows(pixels: Bytes, colors: Bytes) -> Bytes:
    """Return the row of a palette with the nearest color for each pixel of a frame, shape (height, width, 4).

    Most pixels of a frame are white. Their row is found only once.
    """
    packed = pixels.view(np.uint32)[..., 0]
    drawn = packed != PACKED_WHITE
    found, inverse = np.unique(np.append(packed[drawn], PACKED_WHITE), return_inverse=True)
    colors_found = found.view(np.uint8).reshape(-1, 4)[:, :3].astype(int)
    distances = ((colors_found[:, None] - colors[None].astype(int)) ** 2).sum(axis=2)
    rows = distances.argmin(axis=1).astype(np.uint8)[inverse]
    image = np.full(packed.shape, rows[-1])
    image[drawn] = rows[:-1]
    return image


def ink_of_layers(layers: Iterable[Layer]) -> Floats | None:
    """Return the one ink of all layers, as red, green and blue from 0 to 255. It is black if there are no layers.

    Return None if the layers use several inks or a light ink, or if a layer does not fit into a palette.
    """
    inks = _inks(layers)
    if inks is None or len(inks) > 1:
        return None
    ink = np.asarray(inks.pop() if inks else (0, 0, 0), dtype=float)
    return None if ink.min() > WHITE / 2 else ink  # a light ink on white gives too few shades


def _inks(layers: Iterable[Layer]) -> set[tuple[float, ...]] | None:
    """Return the visible colors of layers in the panel. Return None if a layer does not fit into a palette.

    A partly transparent ink is treated as the opaque ink, because its pixels are lighter shades of the same ink.
    """
    inks: set[tuple[float, ...]] = set()
    for layer in layers:
        names = layer.inks()
        if names is None:
            return None
        inks |= {tuple(_ink_of(name)) for name in names if rgba_of(name)[3] > 0}
    return inks


def _ink_of(color: str) -> Floats:
    return np.asarray(np.rint(np.asarray(rgba_of(color)[:3]) * WHITE))


def adapts_palette(style: Style) -> bool:
    """Return True if each RGB map of a style gets a palette of its own: files of numbers or classes."""
    config = style.shared.config
    writer = make_writer(config.output)
    is_usual = writer.adapts_palette and writer.palette == "auto"
    has_style = config.map.style != _EXACT_STYLE and config.map.decorate is None
    return is_usual and has_style and isinstance(style.scale, PaletteScale)


def layers_with_light(style: Style) -> tuple[tuple[Shading, ...], tuple[Layer, ...]]:
    """Return the layers that shade the raster, and the other layers."""
    if not any(can_yield(layer, (Shade,)) for layer in style.layers):
        return (), tuple(style.layers)
    from regionplot.layers.shading import Shading  # noqa: PLC0415 (few maps are shaded)

    lights = tuple(layer for layer in style.layers if isinstance(layer, Shading))
    return lights, tuple(layer for layer in style.layers if not isinstance(layer, Shading))


def hatch_of(style: Style) -> Hatch | None:
    """Return the hatch over the missing cells of all maps. Return None if there is none."""
    if not any(can_yield(layer, (Hatch,)) for layer in style.layers):
        return None
    from regionplot.layers.missing import Missing  # noqa: PLC0415 (few maps have a hatch)

    layers = (layer for layer in style.layers if isinstance(layer, Missing))
    return next((layer.hatch(style.layout.page) for layer in layers), None)


def has_dark_colors(style: Style) -> bool:
    """Return True if labels can lie on dark colors of a scale, so that they are white."""
    return isinstance(style.scale, PaletteScale) and bool((luminance(style.scale.palette[:, :3]) < DARK).any())


def palette_for(style: Style) -> Palette | None:
    """Return the palette of a style. Return None if its maps are RGB images.

    Raises
    ------
    ConfigError
        If the settings require a palette, and the colors of the maps do not fit into a palette.
    """
    config = style.shared.config
    use = make_writer(config.output).palette
    if use == "rgb":
        return None
    palette: Palette | None = ShadedPalette.of(style.scale, style.layers, style.layout.page.ink)
    if palette is None and (use == "palette" or config.map.style != _EXACT_STYLE):
        from regionplot.render.mixed_palette import MixedPalette  # noqa: PLC0415 (few maps need it)

        palette = MixedPalette.of(style.scale, style.layers, style.layout.page.ink, hatch_of(style))
    if palette is None and adapts_palette(style) and ignore_raster(layers_with_light(style)[1]):
        from regionplot.render.tones import TonePalette  # noqa: PLC0415 (few maps need it)

        palette = TonePalette.of(style)
    if palette is None and use == "palette":
        raise ConfigError(
            f"[output.{config.output.format}] mode: a palette needs levels or classes (about 60 at most) and layers "
            "that name their colors; use 'auto'"
        )
    return palette
