"""Compose maps of shaded relief and of continuous scales from kept ink, without matplotlib.

::

    codes, light ─► table: color of each code in each light ─► rounded colors ─┐
    frame ─────────────────────────────────────────────────────────────────────┼─► palette of the map ─► Picture
    ink with its opacity ──────────────────────────────────────────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from regionplot.colors.base import PaletteScale
from regionplot.render.adaptive import adapted_cells, cells_of, required_colors
from regionplot.render.hatch import hatched_color, hatched_pixels
from regionplot.render.ink import Covered, Ink, blended, no_hatch
from regionplot.render.shading import shade
from regionplot.render.sheets import Style
from regionplot.sheet.lightness import luminance
from regionplot.sheet.marks import Hatch, Shade
from regionplot.sheet.sheet import Sheet
from regionplot.writers.base import Bytes, Picture

_LEVELS = 256
"""Number of levels of light."""


@dataclass(frozen=True)
class TonePalette:
    """The parts that maps with different palettes share. See `ink.PaletteTables`."""

    colors: Bytes
    """Colors that each palette has, shape (n, 3)."""
    shaded: Bytes
    """Empty, shape (0, 256), because inks are blended."""
    framed: Bytes
    """Empty, because the frame is kept in RGB."""
    channel: None = None
    sheet_type: type[np.unsignedinteger[Any]] = np.uint32
    hatch: NDArray[np.int32] = field(default_factory=no_hatch)

    @classmethod
    def of(cls, style: Style) -> TonePalette:
        """Return the palette of a style."""
        page, empty = style.layout.page, np.empty((0, _LEVELS), np.uint8)
        return cls(required_colors(page.ink, page.line_ink, page.faint_ink), empty, empty)


class ToneMaps:
    """Compose maps whose palettes are chosen for each map.

    Parameters
    ----------
    scale : PaletteScale
        The color scale.
    palette : TonePalette
        The parts that the palettes of all maps share.
    frame : ndarray of uint8, shape (height, width, 4)
        The sheet without a map.
    hatch : Hatch, optional
        Lines over missing cells.
    """

    def __init__(self, scale: PaletteScale, palette: TonePalette, frame: Bytes, hatch: Hatch | None = None) -> None:
        self._scale, self._palette, self._frame, self._hatch = scale, palette, frame, hatch
        self._tables: dict[tuple[Any, ...], tuple[Bytes, NDArray[np.int32]]] = {}

    def picture(self, sheet: Sheet, light: Shade | None, ink: Ink) -> Picture | None:
        """Return the picture of a map. Return None if 256 colors are too few.

        Parameters
        ----------
        sheet : Sheet
            The map.
        light : Shade, optional
            Light on the relief.
        ink : Ink
            The ink of the map, with its opacity.
        """
        colors, table = self._table(light)
        tones = sheet.codes.astype(np.int32)
        if light is not None:
            tones *= _LEVELS
            tones += light.levels
        if self._hatch is not None:
            tones[hatched_pixels(sheet.codes == self._scale.nodata, self._hatch.spacing)] = len(table) - 1
        panel, covered = table.take(tones, mode="clip"), ink.panel.on(self._luminances, sheet.codes)
        _blend(panel, colors[tones.reshape(-1)[covered.pixels]], covered)
        cells = self._frame_cells.copy()
        cells[sheet.place] = panel
        _blend(cells, self._frame.reshape(-1, 4)[ink.sheet.pixels], ink.sheet)
        found = adapted_cells(cells, self._palette.colors)
        if found is None:
            return None
        return Picture(found.rows, found.colors, sheet.title, sheet.no_data, row_filter="none")

    def _table(self, light: Shade | None) -> tuple[Bytes, NDArray[np.int32]]:
        """Return the color of each code in each light, shape (n, 4), and the same colors rounded, shape (n,).

        The last color is that of the lines over missing cells.
        """
        key = () if light is None else (light.dark, light.light, light.dark_strength, light.light_strength)
        if key not in self._tables:
            colors = self._scale.palette[:, None, :].repeat(1 if light is None else _LEVELS, axis=1)
            if light is not None:
                levels = np.broadcast_to(np.arange(_LEVELS, dtype=np.uint8), colors.shape[:2])
                shade(colors, Shade(levels, *key))
            last = self._scale.palette[-1:].copy()
            if self._hatch is not None:
                last[:, :3] = hatched_color(last[:, :3], self._hatch.color)
            colors = np.concatenate([colors.reshape(-1, 4), last])
            self._tables[key] = colors, cells_of(colors[None])[0]
        return self._tables[key]

    @cached_property
    def _frame_cells(self) -> NDArray[np.int32]:
        return cells_of(self._frame)

    @cached_property
    def _luminances(self) -> NDArray[np.float64]:
        return luminance(self._scale.palette[:, :3])


def _blend(cells: NDArray[np.int32], below: Bytes, ink: Covered) -> None:
    """Replace rounded colors by those of ink on the colors below it, shape (n, 4)."""
    if not ink.pixels.size:
        return
    mixed = np.stack(blended(below, ink.values), axis=1).astype(np.uint8)
    cells.reshape(-1)[ink.pixels] = cells_of(mixed[None])[0]
