"""Shading of relief: light on the slopes of a raster of heights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
from pydantic import Field
from typing_extensions import override

from regionplot.geo.ground import meters_per_pixel
from regionplot.geo.relief import relief_levels
from regionplot.geo.windows import cells_per_pixel
from regionplot.layers.base import Layer, LayerSettings, LoadContext, settings_digest
from regionplot.settings.base import Color
from regionplot.sheet.marks import Shade
from regionplot.sheet.sheet import Sheet

_AUTO_FACTOR, _AUTO_POWER, _AUTO_LIMITS = 12.0, 0.6, (1.5, 60.0)
"""The exaggeration `auto` is 12 r ** 0.6 within limits, with r kilometers per pixel."""
_BLUR = 8.6
"""Standard deviation of the Gaussian for broad forms, in points on a sheet of 14 × 9 inches."""
Share = Annotated[float, Field(ge=0, le=1)]


class ShadingSettings(LayerSettings):
    """`[shading]`: light on the slopes of the raster, whose values are heights."""

    exaggeration: Literal["auto"] | Annotated[float, Field(gt=0, le=1000)] = "auto"
    """Factor for heights. `auto`: larger for maps of larger areas, whose slopes are gentle."""
    meters: Annotated[float, Field(gt=0, le=1e6)] = 1.0
    """Meters in one unit of the raster, such as 0.3048 for feet."""
    sea: Share = 0.35
    """Factor for heights below zero."""
    dark: Color = "#39405a"
    """Color that multiplies the colors of slopes away from the light."""
    light: Color = "#fffaf0"
    """Color that is mixed into the colors of slopes toward the light."""
    dark_strength: Share = 0.8
    """Opacity of `dark` where no light falls."""
    light_strength: Share = 0.5
    """Opacity of `light` where a slope faces the light."""


@dataclass(frozen=True)
class Shading(Layer):
    """Light on the slopes of the raster. Flat ground keeps its color, so that the color bar is true."""

    Settings = ShadingSettings
    zorder: ClassVar[float] = 1
    wants_values: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Shade})
    settings: ShadingSettings
    key: str

    @classmethod
    @override
    def load(cls, settings: ShadingSettings, context: LoadContext) -> Self:
        return cls(settings, settings_digest(settings))

    @override
    def draw(self, sheet: Sheet) -> Iterator[Shade]:
        pixel, settings = meters_per_pixel(sheet.crs, sheet.view.panel), self.settings
        if sheet.values is None or sheet.cells is None or not (math.isfinite(pixel) and pixel > 0):
            return
        auto = np.clip(_AUTO_FACTOR * (pixel / 1000) ** _AUTO_POWER, *_AUTO_LIMITS)
        levels = relief_levels(
            np.ma.filled(sheet.values, np.nan) * np.float32(settings.meters),
            pixel=pixel,
            cell=_pixels_per_cell(sheet),
            exaggeration=float(auto) if isinstance(settings.exaggeration, str) else settings.exaggeration,
            blur=_BLUR * sheet.layout.dpi / 72 * sheet.layout.page.text_factor,
            sea=settings.sea,
        )
        yield Shade(levels, settings.dark, settings.light, settings.dark_strength, settings.light_strength)

    @override
    def inks(self) -> None:
        return None


def _pixels_per_cell(sheet: Sheet) -> float:
    """Return the number of pixels along a cell of the raster."""
    if sheet.cells is None:
        return 1.0
    _, geometry = sheet.cells
    return 1 / max(cells_per_pixel(geometry, sheet.view.panel, sheet.crs), 1e-9)
