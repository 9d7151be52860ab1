"""An arrow to the north, on maps on which north is not up."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import numpy as np
from pydantic import Field
from typing_extensions import override

from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import FULL_TURN, LONLAT
from regionplot.layers.base import Layer, LayerSettings, LoadContext, settings_digest
from regionplot.layers.corners import Corner, place_in_corner, polygon_in_map
from regionplot.settings.base import Color
from regionplot.sheet.layout import Box
from regionplot.sheet.marks import Label, PanelMark, Path
from regionplot.sheet.sheet import Sheet

_STEP = 1e-3
"""Degrees from the center of the panel to the point north of it that gives the direction of north."""
_NEAR_POLE = 89.99
_TIP, _TAIL, _NOTCH, _HALF = 0.5, -0.34, -0.18, 0.27
"""Ends of the arrow along its direction, the notch at its tail, and half of its width, in units of its length."""
_LETTER, _BEYOND = 0.42, 0.72
"""Font size of the letter N, and its distance from the center of the arrow, in units of the length."""
_HALO = 1.4


class NorthArrowSettings(LayerSettings):
    """`[north_arrow]`: an arrow to the north."""

    min_angle: Annotated[float, Field(ge=0, le=180)] = 2.0
    """Smallest angle in degrees between north, at the center of the map, and the upper edge. On maps with a smaller
    angle, there is no arrow. 0: all maps have an arrow."""
    position: Corner = "upper right"
    """Corner of the map. If it is not free, another place is used."""
    size: Annotated[float, Field(ge=4, le=200)] = 24.0
    """Length of the arrow in points, on a sheet of 14 × 9 inches."""
    color: Color = "#1f2429"
    """Color of the arrow and of the letter N."""
    halo: Color = "#fffdf6cc"
    """Color of the halo. `none`: no halo."""


@dataclass(frozen=True)
class NorthArrow(Layer):
    """An arrow with the letter N."""

    Settings = NorthArrowSettings
    zorder: ClassVar[float] = 62
    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Path, Label})
    label_order: ClassVar[int] = 3
    settings: NorthArrowSettings
    key: str

    @classmethod
    @override
    def load(cls, settings: NorthArrowSettings, context: LoadContext) -> Self:
        return cls(settings, settings_digest(settings))

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark]:
        angle = north_angle(sheet)
        if math.isnan(angle) or abs(math.degrees(angle)) < self.settings.min_angle:
            return
        length = sheet.pixels(self.settings.size * sheet.label_factor)
        side = length * (1 + 2 * (_BEYOND - _TIP) + _LETTER)
        box = place_in_corner(sheet, side, side, self.settings.position)
        if box is not None:
            yield from self._marks(sheet, box, length, angle)

    def _marks(self, sheet: Sheet, box: Box, length: float, angle: float) -> Iterator[PanelMark]:
        style, along = self.settings, np.array([math.sin(angle), math.cos(angle)])
        across = np.array([along[1], -along[0]])
        center = np.array([box.left + box.width / 2, box.bottom + box.height / 2]) - along * length * (_BEYOND - _TIP)
        ends = [(_TIP, 0.0), (_TAIL, _HALF), (_NOTCH, 0.0), (_TAIL, -_HALF)]
        corners = [tuple(center + length * (up * along + side * across)) for up, side in ends]
        arrow = np.array([polygon_in_map(sheet, corners)], dtype=object)
        path = Path.of_polygons(arrow, style.color)
        if style.halo != "none":
            yield Path(path.vertices, path.codes, edgecolor=style.halo, linewidth=2 * _HALO)
        yield path
        x, y = center + along * length * _BEYOND
        yield Label(
            round(float(x)), round(float(y)), "N", _LETTER * style.size * sheet.label_factor, style.color, style.halo,
            _HALO, weight="semibold", vertical_align="center_baseline", font=sheet.layout.page.font,
        )  # fmt: skip

    @override
    def inks(self) -> frozenset[str] | None:
        return None if self.settings.halo != "none" else frozenset({self.settings.color})


def north_angle(sheet: Sheet) -> float:
    """Return the angle from the upper edge of the sheet clockwise to north, at the center of the panel, in radians.

    Return NaN if the center is not on the earth, or at a pole.
    """
    crs, panel, lonlat = sheet.crs, sheet.view.panel, parse_crs(LONLAT)
    longitude, latitude = transformer(crs, lonlat).transform(*panel.extent.center)
    if not (math.isfinite(longitude) and abs(latitude) < _NEAR_POLE):
        return math.nan
    x, y = transformer(lonlat, crs).transform([longitude, longitude], [latitude, latitude + _STEP])
    dx, dy = x[1] - x[0], y[1] - y[0]
    if crs.is_geographic:
        dx -= FULL_TURN * round(dx / FULL_TURN)
    return math.atan2(dx / panel.pixel_width, dy / panel.pixel_height)
