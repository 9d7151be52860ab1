"""Vector layers: lines, filled areas and points from a file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

import numpy as np
import shapely
from pydantic import Field, model_validator
from typing_extensions import override

from regionplot.errors import FeaturesError
from regionplot.geo.extent import PanelGrid
from regionplot.geo.linework import Geometries
from regionplot.inputs.vector_layers import VectorLayer, start_layer
from regionplot.layers.base import LoadContext, settings_digest
from regionplot.layers.class_key import key_marks, key_room
from regionplot.layers.vector_file import VectorFileLayer
from regionplot.settings.base import Color, Text
from regionplot.settings.vector import ClassSettings
from regionplot.sheet.layout import POINTS_PER_INCH, Layout, Page, Room
from regionplot.sheet.marks import Markers, PanelMark, Path, SheetMark
from regionplot.sheet.sheet import Sheet

_NONE = "none"
_COARSE = 3.0
"""Kilometers in a pixel of coarse maps, whose lines are thinner."""


class FeatureSettings(ClassSettings):
    """`[[features]]`: one vector layer."""

    is_array: ClassVar[bool] = True

    kind: Text = ""
    """Kind of features: `states`, `counties`, `countries`, `coast`, `rivers`, `lakes`, or another name that a style
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
    min_size: Annotated[float, Field(ge=0, le=1000)] = 0.0
    """Leave out islands, lakes and other closed outlines that are smaller than this in pixels, in width and height."""

    @model_validator(mode="after")
    def _has_scales(self) -> Self:
        if self.min_scale is not None and self.max_scale is not None and self.min_scale > self.max_scale:
            raise ValueError(
                f"min_scale {self.min_scale:g} is greater than max_scale {self.max_scale:g}, so the layer would never "
                "be drawn; both are kilometers in a pixel"
            )
        return self

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
    classes: tuple[VectorLayer, ...] = ()
    """The features of each color of `settings.colors`."""
    name: str = ""
    """Name of the layer, with the number of its table."""

    @classmethod
    @override
    def start(cls, settings: FeatureSettings, context: LoadContext) -> Callable[[LoadContext], Self]:
        same = [layer for layer in context.loaded if isinstance(layer, Features)]
        loaded = [vectors for layer in same for vectors in (layer.vectors, *layer.classes)]
        own = [settings, *_of_classes(settings)]
        starts = [start_layer(each, context.crs, context.cache, loaded, context.readings) for each in own]

        def finish(context: LoadContext) -> Any:
            try:
                vectors, *classes = (start() for start in starts)
            except FeaturesError:
                _check_attribute(settings, context)
                raise
            if classes and not any(_geometries(each) for each in classes):
                _check_attribute(settings, context)  # SQLite compares an unknown attribute as if it were a text
            return cls._of(settings, vectors, tuple(classes), context.name)

        return finish

    @classmethod
    def _of(cls, settings: FeatureSettings, vectors: VectorLayer, classes: tuple[VectorLayer, ...], name: str) -> Self:
        key = settings_digest(settings, *(each.key for each in (vectors, *classes)), exclude={"path"})
        return cls(settings, vectors, key, classes, name)

    @classmethod
    @override
    def room(cls, settings: FeatureSettings, page: Page) -> Room | None:
        return key_room(settings, page)

    @override
    def frame(self, layout: Layout) -> Iterator[SheetMark]:
        return key_marks(self.settings, layout, self.name)

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark]:
        panel, style = sheet.view.panel, self.settings
        if style.is_too_small(sheet) or not style.is_drawn_on(sheet):
            return
        pixels_per_point = sheet.layout.dpi / POINTS_PER_INCH
        for vectors, color in ((self.vectors, style.facecolor), *zip(self.classes, style.colors, strict=False)):
            areas = self._large(vectors.polygons_in(panel, sheet.crs), panel)
            if areas.size:
                yield Path.of_polygons(areas, color)
        width, casing = style.widths_on(sheet)
        lines = self._large(self.vectors.lines_in(panel, (width + casing) / 2 * pixels_per_point, sheet.crs), panel)
        if lines.size and width > 0 and style.edgecolor != _NONE:
            if casing:
                yield Path.of_lines(lines, style.casing, width + casing)
            yield Path.of_lines(lines, style.edgecolor, width)
        size = 2 + 2 * style.linewidth
        points = self.vectors.points_in(panel, (size + style.linewidth) / 2 * pixels_per_point, sheet.crs)
        if points.size:
            face = style.edgecolor if style.facecolor == _NONE else style.facecolor
            yield Markers(shapely.get_coordinates(points), size, face, style.edgecolor, style.linewidth)

        for vectors, color in zip(self.classes, style.colors, strict=False):
            yield from self._colored(vectors, color, panel, pixels_per_point)

    def _large(self, shapes: Geometries, panel: PanelGrid) -> Geometries:
        """Return areas and lines without closed outlines that are smaller than `min_size`."""
        if not self.settings.min_size or not shapes.size:
            return shapes
        left, bottom, right, top = shapely.bounds(shapes).T
        sides = np.maximum((right - left) / panel.pixel_width, (top - bottom) / panel.pixel_height)
        is_open = (shapely.get_dimensions(shapes) == 1) & ~shapely.is_closed(shapes)
        return np.asarray(shapes[is_open | (sides >= self.settings.min_size)], object)

    def _colored(
        self, vectors: VectorLayer, color: str, panel: PanelGrid, pixels_per_point: float
    ) -> Iterator[PanelMark]:
        """Yield the lines and points of a class in its color. The borders of polygons have the color of all borders."""
        width = self.settings.linewidth
        size = 2 + 2 * width
        lines = vectors.lines_in(panel, width / 2 * pixels_per_point)
        if lines.size and width > 0 and not vectors.polygons.size:
            yield Path.of_lines(lines, color, width)
        points = vectors.points_in(panel, (size + width) / 2 * pixels_per_point)
        if points.size:
            yield Markers(shapely.get_coordinates(points), size, color, self.settings.edgecolor, width)

    def is_seen_in(self, panels: Iterable[PanelGrid]) -> bool:
        """Return True if a part of the layer lies in at least one of the panels, or if the layer is empty."""
        indexes = (self.vectors.line_index, self.vectors.polygon_index, self.vectors.point_index)
        filled = [index for index in indexes if index.geometries.size]
        period = self.vectors.x_period
        return not filled or any(index.clip(panel.extent, period).size for panel in panels for index in filled)

    @override
    def inks(self) -> frozenset[str]:
        casing = {self.settings.casing} if self.settings.has_casing else set()
        classes = self.settings.colors if self.classes else ()
        return frozenset({self.settings.edgecolor, self.settings.facecolor, *casing, *classes})


def _geometries(vectors: VectorLayer) -> int:
    """Return the number of lines, polygons and points."""
    return vectors.lines.size + vectors.polygons.size + vectors.points.size


def _check_attribute(settings: FeatureSettings, context: LoadContext) -> None:
    """Raise ConfigError if the file has no attribute `color_by`."""
    from regionplot.inputs.feature_table import start_table  # noqa: PLC0415 (few settings name an attribute)
    from regionplot.layers.label_points import attribute  # noqa: PLC0415

    _, read = start_table(settings.model_copy(update={"where": ""}), context.crs, context.cache)
    attribute(read(), settings.color_by, f"{settings.path}: [[features]] color_by")


def _of_classes(settings: FeatureSettings) -> Iterator[FeatureSettings]:
    """Yield settings that select the features of each class."""
    if settings.color_by is not None:
        for condition, color in settings.of_classes():
            yield settings.model_copy(update={"where": condition, "facecolor": color})
