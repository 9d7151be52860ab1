"""Vector layers: lines, filled areas and points from a file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import shapely
from pydantic import Field
from typing_extensions import override

from regionplot.geo.extent import PanelGrid
from regionplot.inputs.vector_layers import VectorLayer, start_layer
from regionplot.layers.base import LoadContext, settings_digest
from regionplot.layers.vector_file import VectorFileLayer
from regionplot.settings.base import Color, Text
from regionplot.settings.vector import VectorSettings
from regionplot.sheet.layout import POINTS_PER_INCH
from regionplot.sheet.marks import Markers, PanelMark, Path
from regionplot.sheet.sheet import Sheet

_NONE = "none"
_COARSE = 3.0
"""Kilometers in a pixel of coarse maps, whose lines are thinner."""


class FeatureSettings(VectorSettings):
    """`[[features]]`: one vector layer."""

    is_array: ClassVar[bool] = True

    kind: Text = ""
    """What the layer shows: `states`, `counties`, `countries`, `coast`, `rivers`, `lakes`, or another name that a style
    has. The style then gives the other settings."""
    linewidth: Annotated[float, Field(ge=0, le=100)] = 0.6
    """Line width in points."""
    coarse_linewidth: Annotated[float, Field(ge=0, le=100)] | None = None
    """Line width in points if a pixel of the map shows more than 3 km. The casing becomes narrower, too."""
    edgecolor: Color = "black"
    """Color of lines, borders and the edges of symbols."""
    facecolor: Color = _NONE
    """Color of areas and symbols."""
    casing: Color = _NONE
    """Color of the casing under the lines, so that lines show on dark and on bright colors. `none`: no casing."""
    casing_width: Annotated[float, Field(ge=0, le=100)] = 0.9
    """Width of the casing on each side of a line, in points."""
    min_scale: Annotated[float, Field(ge=0)] | None = None
    """Draw the layer only if a pixel of the map shows at least this many kilometers."""
    max_scale: Annotated[float, Field(gt=0)] | None = None
    """Draw the layer only if a pixel of the map shows at most this many kilometers."""

    min_width: Annotated[int, Field(ge=0)] | None = None
    """Draw the layer only on sheets with at least this width in pixels."""

    @property
    @override
    def has_areas(self) -> bool:
        return self.facecolor != _NONE

    def is_drawn_on(self, sheet: Sheet) -> bool:
        """Return True if the scale of a map is between `min_scale` and `max_scale`."""
        if self.min_scale is None and self.max_scale is None:
            return True
        return (self.min_scale or 0.0) <= _scale(sheet) <= (math.inf if self.max_scale is None else self.max_scale)

    def is_too_small(self, sheet: Sheet) -> bool:
        """Return True if the sheet of a map is narrower than `min_width`."""
        return self.min_width is not None and sheet.layout.size[0] < self.min_width

    def widths_on(self, sheet: Sheet) -> tuple[float, float]:
        """Return the width of the lines of a map, and of the casing on both sides together, in points."""
        casing = 2 * self.casing_width if self.has_casing else 0.0
        if self.coarse_linewidth is None or not self.linewidth or _scale(sheet) <= _COARSE:
            return self.linewidth, casing
        return self.coarse_linewidth, casing * min(1.0, self.coarse_linewidth / self.linewidth)

    @property
    def has_casing(self) -> bool:
        """True if lines have a casing."""
        return self.casing != _NONE and self.casing_width > 0


def _scale(sheet: Sheet) -> float:
    """Return the kilometers in a pixel of a map. Infinite: the panel is larger than the part of the earth it shows."""
    from regionplot.geo.ground import meters_per_pixel  # noqa: PLC0415 (few layers depend on the scale)

    scale = meters_per_pixel(sheet.crs, sheet.view.panel) / 1000
    return math.inf if math.isnan(scale) else scale


@dataclass(frozen=True)
class Features(VectorFileLayer):
    """One vector layer: its geometries and their style."""

    Settings = FeatureSettings
    zorder: ClassVar[float] = 20
    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Path, Markers})
    settings: FeatureSettings
    vectors: VectorLayer
    key: str

    @classmethod
    @override
    def start(cls, settings: FeatureSettings, context: LoadContext) -> Callable[[LoadContext], Self]:
        loaded = [layer.vectors for layer in context.loaded if isinstance(layer, Features)]
        finish = start_layer(settings, context.crs, context.cache, loaded, context.readings)
        return lambda _: cls._of(settings, finish())

    @classmethod
    def _of(cls, settings: FeatureSettings, vectors: VectorLayer) -> Self:
        return cls(settings, vectors, settings_digest(settings, vectors.key, exclude={"path"}))

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark]:
        panel, style = sheet.view.panel, self.settings
        if style.is_too_small(sheet) or not style.is_drawn_on(sheet):
            return
        pixels_per_point = sheet.layout.dpi / POINTS_PER_INCH
        areas = self.vectors.polygons_in(panel)
        if areas.size:
            yield Path.of_polygons(areas, style.facecolor)
        width, casing = style.widths_on(sheet)
        lines = self.vectors.lines_in(panel, (width + casing) / 2 * pixels_per_point)
        if lines.size and width > 0 and style.edgecolor != _NONE:
            if casing:
                yield Path.of_lines(lines, style.casing, width + casing)
            yield Path.of_lines(lines, style.edgecolor, width)
        size = 2 + 2 * style.linewidth
        points = self.vectors.points_in(panel, (size + style.linewidth) / 2 * pixels_per_point)
        if points.size:
            face = style.edgecolor if style.facecolor == _NONE else style.facecolor
            yield Markers(shapely.get_coordinates(points), size, face, style.edgecolor, style.linewidth)

    def is_seen_in(self, panels: Iterable[PanelGrid]) -> bool:
        """Return True if a part of the layer lies in at least one of the panels, or if the layer is empty."""
        indexes = (self.vectors.line_index, self.vectors.polygon_index, self.vectors.point_index)
        filled = [index for index in indexes if index.geometries.size]
        period = self.vectors.x_period
        return not filled or any(index.clip(panel.extent, period).size for panel in panels for index in filled)

    @override
    def inks(self) -> frozenset[str]:
        casing = {self.settings.casing} if self.settings.has_casing else set()
        return frozenset({self.settings.edgecolor, self.settings.facecolor, *casing})
