"""Shading of relief: light on the slopes of a raster of heights."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from regionplot.geo.ground import meters_per_pixel
from regionplot.geo.relief import FLAT, relief_levels
from regionplot.geo.windows import cells_per_pixel
from regionplot.layers.base import Layer, LayerSettings, LoadContext, settings_digest
from regionplot.settings.base import Color
from regionplot.sheet.marks import Shade
from regionplot.sheet.sheet import Sheet, Surroundings

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
        settings = self.settings
        levels = self._levels(sheet) if sheet.surroundings is None else self._part_levels(sheet, sheet.surroundings)
        if levels is not None:
            yield Shade(levels, settings.dark, settings.light, settings.dark_strength, settings.light_strength)

    def _levels(self, sheet: Sheet) -> NDArray[np.uint8] | None:
        """Return the light on a map of its own."""
        pixel = meters_per_pixel(sheet.crs, sheet.view.panel)
        if sheet.values is None or sheet.cells is None or not (math.isfinite(pixel) and pixel > 0):
            return None
        return relief_levels(
            self._meters(sheet.values),
            pixel=pixel,
            cell=_pixels_per_cell(sheet),
            exaggeration=float(self._exaggeration(pixel)),
            blur=_BLUR * sheet.layout.dpi / 72 * sheet.layout.page.text_factor,
            sea=self.settings.sea,
        )

    def _part_levels(self, sheet: Sheet, around: Surroundings) -> NDArray[np.uint8] | None:
        """Return the light on a part of a larger map. It does not depend on the size of the part."""
        from regionplot.geo.relief_parts import MapScale, part_levels  # noqa: PLC0415 (only the map service needs it)

        if sheet.values is None or sheet.cells is None:
            return None
        levels = part_levels(
            sheet.view.panel,
            lambda panel: self._meters(around.values(panel)),
            MapScale(around.geometry, sheet.crs),
            exaggeration=self._exaggeration,
            blur=_BLUR * sheet.layout.dpi / 72,
            sea=self.settings.sea,
        )
        levels[np.isnan(np.ma.filled(sheet.values, np.nan))] = FLAT
        return levels

    def _meters(self, values: NDArray[Any]) -> NDArray[Any]:
        """Return heights in meters."""
        found: NDArray[Any] = np.ma.filled(values, np.nan) * np.float32(self.settings.meters)
        return found

    def _exaggeration(self, pixel: float | NDArray[Any]) -> NDArray[Any]:
        """Return the factor for heights from the length of a pixel in meters."""
        given = self.settings.exaggeration
        if not isinstance(given, str):
            return np.asarray(float(given))
        found: NDArray[Any] = np.clip(_AUTO_FACTOR * (pixel / 1000) ** _AUTO_POWER, *_AUTO_LIMITS)
        return found

    @override
    def inks(self) -> None:
        return None


def _pixels_per_cell(sheet: Sheet) -> float:
    """Return the number of pixels along a cell of the raster."""
    if sheet.cells is None:
        return 1.0
    _, geometry = sheet.cells
    return 1 / max(cells_per_pixel(geometry, sheet.view.panel, sheet.crs), 1e-9)
