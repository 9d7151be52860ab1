"""The limits of the region, on maps that show a larger area."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import numpy as np
import shapely
from pydantic import Field
from typing_extensions import override

from regionplot.geo.clip import IndexedGeometries
from regionplot.geo.extent import FULL_TURN, Extent
from regionplot.geo.linework import Geometries, linework
from regionplot.layers.base import Layer, LayerSettings, LoadContext, settings_digest
from regionplot.settings.base import Color
from regionplot.sheet.layout import POINTS_PER_INCH
from regionplot.sheet.marks import PanelMark, Path
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import axes_of

_NONE = "none"
_STEPS = 64
"""Number of steps along each side of the limits, which can be curved on the map."""
_EDGE = 3.0
"""Pixels from the edges of the panel within which the limits count as its edges."""


class RegionBoxSettings(LayerSettings):
    """`[region_box]`: the limits of the region."""

    color: Color = "#b5412c"
    """Color of the line."""
    linewidth: Annotated[float, Field(gt=0, le=100)] = 1.2
    """Line width in points."""
    casing: Color = "#ffffffb3"
    """Color of the casing under the line. `none`: no casing."""
    casing_width: Annotated[float, Field(ge=0, le=100)] = 0.9
    """Width of the casing on each side of the line, in points."""


@dataclass(frozen=True)
class RegionBox(Layer):
    """The limits that the table states. Nothing is drawn if they are the edges of the panel."""

    Settings = RegionBoxSettings
    zorder: ClassVar[float] = 28
    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Path})
    settings: RegionBoxSettings
    key: str

    @classmethod
    @override
    def load(cls, settings: RegionBoxSettings, context: LoadContext) -> Self:
        return cls(settings, settings_digest(settings))

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark]:
        style, panel = self.settings, sheet.view.panel
        axes = axes_of(sheet.region, sheet.crs)
        ring = np.array([_ring(axes.extent(sheet.region.extent))], dtype=object)
        lines = linework(ring, axes.crs, sheet.crs)
        width = style.linewidth + 2 * style.casing_width
        reach = width / 2 * sheet.layout.dpi / POINTS_PER_INCH
        period = FULL_TURN if sheet.crs.is_geographic else 0.0
        shown = IndexedGeometries.of(lines).clip_to_panel(panel, period, reach) if lines.size else lines
        if not shown.size or _is_edge(sheet, shown):
            return
        if style.casing != _NONE and style.casing_width > 0:
            yield Path.of_lines(shown, style.casing, width)
        yield Path.of_lines(shown, style.color, style.linewidth)

    @override
    def inks(self) -> frozenset[str] | None:
        has_casing = self.settings.casing != _NONE and self.settings.casing_width > 0
        return None if has_casing else frozenset({self.settings.color})


def _ring(extent: Extent) -> shapely.LineString:
    """Return the edge of an extent, with vertices along its sides."""
    ring = shapely.box(extent.xmin, extent.ymin, extent.xmax, extent.ymax).exterior
    return shapely.segmentize(shapely.LineString(ring.coords), max(extent.width, extent.height) / _STEPS)


def _is_edge(sheet: Sheet, lines: Geometries) -> bool:
    """Return True if all lines lie at the edges of the panel."""
    panel, extent = sheet.view.panel, sheet.view.panel.extent
    inner = extent.resized(extent.width - 2 * _EDGE * panel.pixel_width, extent.height - 2 * _EDGE * panel.pixel_height)
    parts = shapely.clip_by_rect(lines, inner.xmin, inner.ymin, inner.xmax, inner.ymax)
    return bool(shapely.is_empty(parts).all())
