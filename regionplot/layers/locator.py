"""A small map in a corner that shows where the region lies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, Self

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from pydantic import Field
from typing_extensions import override

from regionplot.errors import RegionplotError
from regionplot.geo.auto_projection import auto_projection
from regionplot.geo.bounds import within_world
from regionplot.geo.crs import Floats, parse_crs, transformer, unwrap
from regionplot.geo.extent import FULL_TURN, LONLAT, Extent
from regionplot.geo.linework import Geometries
from regionplot.geo.region import Region
from regionplot.geo.shown import project_areas, shown_window
from regionplot.inputs.vector_layers import VectorLayer, start_layer
from regionplot.layers.base import LoadContext, settings_digest
from regionplot.layers.corners import Corner, corners_of, in_map, place_in_corner, polygon_in_map
from regionplot.layers.labels import Labels
from regionplot.layers.vector_file import VectorFileLayer
from regionplot.settings.base import Color
from regionplot.settings.vector import VectorSettings
from regionplot.sheet.layout import Box
from regionplot.sheet.marks import PanelMark, Path
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View

_LARGEST = 150.0
"""Degrees of longitude of the largest map that has a locator. Larger maps show most of the earth themselves."""
_LEAST_SHEET = 9.0
"""Width in inches of the smallest sheet with a locator."""
_USUAL_ZOOM, _LEAST_ZOOM = 7.0, 2.2
"""Usual and smallest width of the area of a locator, in widths of the map."""
_NARROW, _WIDE = 40.0, 60.0
"""Degrees of longitude that a locator shows: at least, and at most if the map is not much wider itself."""
_HIGHEST = 84.0
"""Highest latitude of the locator of a region that lies below it."""
_LEAST_BOX = 5.0
"""Smallest width and height of the box in pixels."""
_TOLERANCE = 0.4
"""Tolerance in pixels with which land is simplified before it is projected."""
_EDGE = 0.8
"""Width of the line around the locator in points."""


class LocatorSettings(VectorSettings):
    """`[locator]`: a small map that shows where the region lies."""

    has_lines: ClassVar[bool] = False

    position: Corner = "lower right"
    """Corner of the map. If it is not free, another place is used."""
    width: Annotated[float, Field(ge=20, le=1000)] = 134.0
    """Width in points, on a sheet of 14 × 9 inches."""
    height: Annotated[float, Field(ge=20, le=1000)] = 88.0
    """Height in points, on a sheet of 14 × 9 inches."""
    zoom: Literal["auto"] | Annotated[float, Field(gt=1, le=1000)] = "auto"
    """Width of the area of the locator, in widths of the map. `auto`: 7, but less for large maps and more for small
    maps, so that the locator shows about 40 to 60 degrees of longitude."""
    land: Color = "#e6e4dc"
    """Color of the areas of the vector file."""
    water: Color = "#f4f7f9"
    """Color of everything else."""
    border: Color = "#a7a49b"
    """Color of the borders of the areas."""
    color: Color = "#b5412c"
    """Color of the box that shows the place of the map."""


@dataclass(frozen=True)
class Locator(VectorFileLayer):
    """Land and water around the region, and a box for the map."""

    Settings = LocatorSettings
    zorder: ClassVar[float] = 60
    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Path})
    label_order: ClassVar[int] = 2
    settings: LocatorSettings
    vectors: VectorLayer
    key: str
    labels: tuple[Labels, ...] = ()
    """Layers whose important points the locator does not cover."""

    @classmethod
    @override
    def start(cls, settings: LocatorSettings, context: LoadContext) -> Callable[[LoadContext], Self]:
        loaded = [layer.vectors for layer in context.loaded if isinstance(layer, Locator)]
        finish = start_layer(settings, parse_crs(LONLAT), context.cache, loaded, context.readings)

        return lambda context: cls._of(settings, finish(), context)

    @classmethod
    def _of(cls, settings: LocatorSettings, vectors: VectorLayer, context: LoadContext) -> Self:
        labels = tuple(layer for layer in context.below if isinstance(layer, Labels))
        keys = (vectors.key, *(each.key for each in labels))
        return cls(settings, vectors, settings_digest(settings, *keys, exclude={"path"}), labels)

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark]:
        page = sheet.layout.page
        window = shown_window(sheet.view.panel, sheet.crs, parse_crs(LONLAT))
        if window.width > _LARGEST or page.size[0] / page.dpi < _LEAST_SHEET:
            return
        width, height = page.pixels(self.settings.width), page.pixels(self.settings.height)
        try:
            inset = _Inset.of(window, self._zoom(window), width, height)
        except RegionplotError:  # the surroundings cannot be projected
            return
        towns = [layer.important_points(sheet) for layer in self.labels]
        avoid = np.concatenate(towns) if towns else None
        box = place_in_corner(sheet, width, height, self.settings.position, avoid)
        if box is not None:
            yield from self._marks(sheet, inset, box)

    def _zoom(self, window: Extent) -> float:
        """Return the width of the area of the locator, in widths of a window in degrees."""
        if not isinstance(self.settings.zoom, str):
            return self.settings.zoom
        most = max(_WIDE, _LEAST_ZOOM * window.width)
        return min(max(_USUAL_ZOOM * window.width, _NARROW), most) / window.width

    def _marks(self, sheet: Sheet, inset: _Inset, box: Box) -> Iterator[PanelMark]:
        style, page = self.settings, sheet.layout.page
        frame = np.array([polygon_in_map(sheet, corners_of(box))], dtype=object)
        yield Path.of_polygons(frame, style.water)
        land = inset.land(self.vectors)
        if land.size:
            placed = shapely.transform(land, lambda points: in_map(sheet, inset.on_sheet(points, box)))
            area = Path.of_polygons(placed, style.land)
            line = 0.5 * page.text_factor if style.border != "none" else 0.0
            yield Path(area.vertices, area.codes, style.land, style.border if line else "none", line)
        spot = inset.box_of(sheet)
        placed_box = np.array(
            [polygon_in_map(sheet, [tuple(point) for point in inset.on_sheet(spot, box)])], dtype=object
        )
        outline = Path.of_polygons(placed_box, "none")
        yield Path.of_polygons(placed_box, _faint(style.color))
        yield Path(outline.vertices, outline.codes, "none", style.color, 1.2 * page.text_factor)
        edge = Path.of_polygons(frame, "none")
        yield Path(edge.vertices, edge.codes, "none", page.line_ink, _EDGE * page.text_factor)

    @override
    def inks(self) -> None:
        return None


@dataclass(frozen=True)
class _Inset:
    """The projection and the pixels of a locator."""

    view: View
    crs: pyproj.CRS

    @classmethod
    def of(cls, window: Extent, zoom: float, width: int, height: int) -> _Inset:
        """Return the inset around the window of a map, in degrees.

        Raises
        ------
        RegionError
            If the surroundings cannot be projected.
        """
        around = within_world(window.resized(min(window.width * zoom, 2 * _LARGEST), window.height * zoom))
        if max(-window.ymin, window.ymax) < _HIGHEST:
            around = Extent(around.xmin, around.xmax, max(around.ymin, -_HIGHEST), min(around.ymax, _HIGHEST))
        crs = auto_projection(around)
        view = View.of(Region("locator", around), crs, Box(0, 0, width, height), "datalim")
        return cls(view, crs)

    def land(self, vectors: VectorLayer) -> Geometries:
        """Return the areas of a layer within the inset, in its map coordinates."""
        lonlat, panel = parse_crs(LONLAT), self.view.panel
        window = shown_window(panel, self.crs, lonlat)
        shown = vectors.polygon_index.clip(window, FULL_TURN)
        pixel = min(window.height / panel.height, window.width / panel.width)
        simple = shapely.simplify(shown, _TOLERANCE * pixel, preserve_topology=False)
        projected = project_areas(simple[~shapely.is_empty(simple)], lonlat, self.crs, window)
        extent = panel.extent
        parts = shapely.clip_by_rect(projected, extent.xmin, extent.ymin, extent.xmax, extent.ymax)
        return np.asarray(shapely.get_parts(parts[~shapely.is_empty(parts)]), dtype=object)

    def on_sheet(self, points: Floats, box: Box) -> NDArray[np.float64]:
        """Return points of the inset in pixels of the sheet. Points outside of the inset are moved to its edge."""
        extent, panel = self.view.panel.extent, self.view.panel
        pixels = (points - (extent.xmin, extent.ymin)) / (panel.pixel_width, panel.pixel_height)
        pixels = np.clip(pixels, 0, (panel.width, panel.height))
        return np.asarray(pixels + np.array([box.left, box.bottom]), np.float64)

    def box_of(self, sheet: Sheet) -> Floats:
        """Return the edge of the panel of a map in the map coordinates of the inset. Small boxes are enlarged."""
        extent = sheet.view.panel.extent
        edge = shapely.segmentize(
            shapely.box(extent.xmin, extent.ymin, extent.xmax, extent.ymax).exterior, extent.width / 24
        )
        lonlat = transformer(sheet.crs, parse_crs(LONLAT)).transform(*shapely.get_coordinates(edge).T)
        points = np.column_stack(transformer(parse_crs(LONLAT), self.crs).transform(*lonlat))
        if self.crs.is_geographic:
            points[:, 0] = unwrap(points[:, 0], self.view.panel.extent.center[0])
        points = points[np.isfinite(points).all(axis=1)]
        return _at_least(points, self.view, _LEAST_BOX)


def _at_least(points: Floats, view: View, pixels: float) -> Floats:
    """Return points enlarged around their middle, so that they are at least some pixels wide and high."""
    low, high = points.min(axis=0), points.max(axis=0)
    size = (high - low) / (view.panel.pixel_width, view.panel.pixel_height)
    factor = max(1.0, pixels / float(size.min()))
    middle = (low + high) / 2
    return np.asarray(middle + (points - middle) * factor)


def _faint(color: str) -> str:
    """Return a color with a quarter of its opacity, if it is written as `#rrggbb`."""
    return f"{color}40" if len(color) == len("#rrggbb") and color.startswith("#") else color
