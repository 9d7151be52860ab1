"""The area of the region itself: everything outside fades, and its border is emphasized.

Regions from vector files, and from tables with geometries, have an area. Other regions are boxes, and their maps do not
change.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

import numpy as np
import pyproj
import shapely
from pydantic import Field
from typing_extensions import override

from regionplot.geo.areas import project_polygons
from regionplot.geo.centered import CenteredCRS
from regionplot.geo.charts import has_degrees
from regionplot.geo.clip import IndexedGeometries, clip_near_panel
from regionplot.geo.coverage import polygons_in
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import FULL_TURN, LONLAT, Extent, PanelGrid
from regionplot.geo.joining import united
from regionplot.geo.linework import Geometries
from regionplot.geo.shown import project_areas, shown_window
from regionplot.layers.base import Layer, LayerSettings, LoadContext, settings_digest
from regionplot.settings.base import Color
from regionplot.sheet.marks import PanelMark, Path
from regionplot.sheet.sheet import Sheet

_NONE = "none"
_BEYOND = 0.05
"""Width of the border around the panel in which the border of the area is drawn, as a fraction of the panel. It is
wider than half of a line."""
Width = Annotated[float, Field(ge=0, le=100)]


class FocusSettings(LayerSettings):
    """`[focus]`: the area of the region."""

    outside: Color = "#ffffffa6"
    """Color over everything outside the area. A color with opacity fades it, `white` hides it, and `none` keeps it."""
    edgecolor: Color = "#1f2429"
    """Color of the border of the area."""
    linewidth: Width = 1.6
    """Width of the border in points."""
    casing: Color = "#ffffffb3"
    """Color of the casing under the border. `none`: no casing."""
    casing_width: Width = 1.2
    """Width of the casing on each side of the border, in points."""


@dataclass(frozen=True)
class Focus(Layer):
    """The area of the region, above vector layers and below the graticule and labels."""

    Settings = FocusSettings
    zorder: ClassVar[float] = 25
    ignores_raster: ClassVar[bool] = True
    wants_shapes: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Path})
    settings: FocusSettings
    key: str

    @classmethod
    @override
    def load(cls, settings: FocusSettings, context: LoadContext) -> Self:
        return cls(settings, settings_digest(settings))

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark]:
        region, settings = sheet.region, self.settings
        polygons = polygons_in(region.shape)
        if not polygons.size:
            return
        source = sheet.crs if region.crs is None else parse_crs(region.crs)
        panel = sheet.view.panel
        area = shapely.get_parts(united(_projected(polygons, source, sheet)))
        shown = _in_panel(area, panel.extent)
        if settings.outside != _NONE and shapely.area(shown).sum() < panel.extent.width * panel.extent.height:
            yield Path.around_polygons(shown, panel.extent, settings.outside)
        lines = _borders(area, panel)
        if not lines.size or settings.linewidth == 0:
            return
        if settings.casing != _NONE and settings.casing_width > 0:
            yield Path.of_lines(lines, settings.casing, settings.linewidth + 2 * settings.casing_width)
        if settings.edgecolor != _NONE:
            yield Path.of_lines(lines, settings.edgecolor, settings.linewidth)

    @override
    def inks(self) -> frozenset[str]:
        casing = {self.settings.casing} if self.settings.casing_width > 0 else set()
        return frozenset({self.settings.outside, self.settings.edgecolor, *casing})


def _in_panel(polygons: Geometries, extent: Extent) -> Geometries:
    """Return the parts of polygons in an extent."""
    index = IndexedGeometries.of(polygons)
    parts = np.asarray(shapely.get_parts(index.clip(extent, 0.0)), dtype=object)
    return np.asarray(parts[shapely.get_type_id(parts) == shapely.GeometryType.POLYGON], dtype=object)


def _borders(polygons: Geometries, panel: PanelGrid) -> Geometries:
    """Return the borders of polygons in a panel and near it. Parts of a border that meet are joined."""
    rings = np.asarray(shapely.get_parts(shapely.boundary(polygons)), dtype=object)
    lines = clip_near_panel(rings, panel, _BEYOND * panel.width)
    is_open = ~shapely.is_closed(lines)
    joined = shapely.get_parts(shapely.line_merge(shapely.multilinestrings(lines[is_open])))
    lines = np.concatenate([lines[~is_open], joined])
    extent, beyond = panel.extent, _BEYOND * panel.extent.width
    near = extent.resized(extent.width + beyond, extent.height + beyond)
    is_near = shapely.intersects(lines, shapely.box(near.xmin, near.ymin, near.xmax, near.ymax))  # no edges of clips
    return np.asarray(lines[is_near & (shapely.length(lines) > 0)], dtype=object)


def _projected(polygons: Geometries, source: pyproj.CRS, sheet: Sheet) -> Geometries:
    """Return the polygons of the region in map coordinates. A centered projection needs only what the map shows.

    On a map in degrees, polygons on the other side of the antimeridian are moved by a full turn.
    """
    lonlat, panel = parse_crs(LONLAT), sheet.view.panel
    if not isinstance(sheet.crs, CenteredCRS):
        projected = project_polygons(polygons, source, sheet.crs)
        if not has_degrees(sheet.crs):
            return projected
        extent, beyond = panel.extent, 2 * _BEYOND * panel.extent.width
        near = extent.resized(extent.width + beyond, extent.height + beyond)
        return np.asarray(shapely.get_parts(IndexedGeometries.of(projected).clip(near, FULL_TURN)), dtype=object)
    window = shown_window(panel, sheet.crs, lonlat, _BEYOND * panel.width)
    found = IndexedGeometries.of(project_polygons(polygons, source, lonlat)).clip(window, FULL_TURN)
    return project_areas(found, lonlat, sheet.crs, window)
