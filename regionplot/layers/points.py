"""Symbols at points, whose color and size can depend on attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field as Limits
from typing_extensions import override

from regionplot.inputs.feature_table import FeatureTable, start_table
from regionplot.layers.base import LoadContext, settings_digest
from regionplot.layers.class_key import key_marks, key_room
from regionplot.layers.label_points import Floats, LabelFeatures, attribute, numbers
from regionplot.layers.vector_file import VectorFileLayer
from regionplot.settings.base import Color, Text
from regionplot.settings.vector import ClassSettings
from regionplot.sheet.layout import Layout, Page, Room
from regionplot.sheet.marks import Markers, PanelMark, SheetMark
from regionplot.sheet.sheet import Sheet

_MAX_TAKEN = 500
"""Maximum number of symbols of a map that labels avoid."""


class PointSettings(ClassSettings):
    """`[[points]]`: symbols at points."""

    is_array: ClassVar[bool] = True
    has_lines: ClassVar[bool] = False
    name: ClassVar[None] = None
    rank: ClassVar[None] = None
    order: ClassVar[None] = None

    marker: Literal["circle", "square", "triangle", "diamond", "star", "cross"] = "circle"
    """Shape of the symbols."""
    size: Annotated[float, Limits(gt=0, le=200)] = 5.0
    """Diameter in points."""
    color: Color = "#b5412c"
    """Color of symbols without a value or class."""
    edgecolor: Color = "white"
    """Color of the edges of symbols. `none`: no edges."""
    linewidth: Annotated[float, Limits(ge=0, le=100)] = 0.6
    """Width of the edges in points."""
    size_by: Text | None = None
    """Attribute that gives the sizes, a number."""
    size_limits: Annotated[tuple[float, float], Limits(strict=False)] | None = None
    """Numbers with the smallest and the largest size. Default: the smallest and the largest number in the file."""
    sizes: Annotated[tuple[float, float], Limits(strict=False)] = (3.0, 15.0)
    """Smallest and largest diameter in points. The area of a symbol is proportional to its number."""


@dataclass(frozen=True)
class Points(VectorFileLayer):
    """Symbols of one vector file."""

    Settings = PointSettings
    zorder: ClassVar[float] = 45
    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Markers})
    label_order: ClassVar[int] = 5
    settings: PointSettings
    features: LabelFeatures
    classes: NDArray[np.intp]
    """Number of the color of each point, -1 without a class."""
    sizes: Floats
    """Diameter of each point in points."""
    key: str

    name: str = ""
    """Name of the layer, with the number of its table."""

    @classmethod
    @override
    def room(cls, settings: PointSettings, page: Page) -> Room | None:
        return key_room(settings, page)

    @classmethod
    @override
    def start(cls, settings: PointSettings, context: LoadContext) -> Callable[[LoadContext], Self]:
        key, finish = start_table(settings, context.crs, context.cache)

        def load(context: LoadContext) -> Any:
            table = finish()
            is_point = [geometry is not None and geometry.geom_type == "Point" for geometry in table.geometries]
            rows = tuple(row for row, kept in zip(table.rows, is_point, strict=True) if kept)
            table = FeatureTable(table.columns, rows, table.geometries[np.array(is_point, bool)], table.crs)
            features = LabelFeatures.of(table, settings, context.crs)
            classes, sizes = _classes(table, settings), _sizes(table, settings)
            own = settings_digest(settings, key, exclude={"path"})
            return cls(settings, features, classes, sizes, own, context.name)

        return load

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark]:
        style = self.settings
        features = self.features.on_map(sheet.view, sheet.crs)
        pixels = features.in_panel(sheet.view)
        shown = np.flatnonzero(np.isfinite(pixels).all(axis=1))
        factor = sheet.label_factor
        if sheet.shared_placer is not None:
            for number in shown[:_MAX_TAKEN]:
                side = sheet.pixels(float(self.sizes[number]) * factor)
                x, y = map(float, pixels[number])
                sheet.shared_placer.take_symbol(x, y, side)
        kinds = np.column_stack([-self.sizes[shown], self.classes[shown]])
        for size, number in np.unique(kinds, axis=0):
            points = features.in_map(pixels[shown[(kinds == (size, number)).all(axis=1)]], sheet.view)
            color = style.color if number < 0 else style.colors[int(number)]
            edge = color if style.edgecolor == "none" else style.edgecolor
            width = 0.0 if style.edgecolor == "none" else style.linewidth
            yield Markers(points, float(-size) * factor, color, edge, width, style.marker)

    @override
    def frame(self, layout: Layout) -> Iterator[SheetMark]:
        return key_marks(self.settings, layout, self.name)

    @override
    def inks(self) -> frozenset[str]:
        return frozenset({self.settings.color, self.settings.edgecolor, *self.settings.colors})


def _classes(table: FeatureTable, settings: PointSettings) -> NDArray[np.intp]:
    texts = attribute(table, settings.color_by, "[[points]] color_by")
    if settings.color_by is None:
        return np.full(len(texts), -1)
    if settings.values:
        known = {value: number for number, value in enumerate(settings.values)}
        return np.array([known.get(text, -1) for text in texts], np.intp)
    found = numbers(texts)
    return np.where(np.isnan(found), -1, np.searchsorted(settings.levels, found, side="right"))


def _sizes(table: FeatureTable, settings: PointSettings) -> Floats:
    """Return diameters. A point without a number has the smallest size."""
    if settings.size_by is None:
        return np.full(len(table.rows), settings.size)
    found = numbers(attribute(table, settings.size_by, "[[points]] size_by"))
    known = found[np.isfinite(found)]
    low, high = settings.size_limits or ((float(known.min()), float(known.max())) if known.size else (0.0, 1.0))
    share = np.clip((np.nan_to_num(found, nan=low) - low) / ((high - low) or 1.0), 0.0, 1.0)
    smallest, largest = settings.sizes
    return np.asarray(np.round(np.sqrt(smallest**2 + share * (largest**2 - smallest**2)), 1))
