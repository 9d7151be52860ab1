"""Names of cities, values of a raster at points, and names of areas, without collisions.

::

    vector file ─► features with names and ranks, projected once ─► features in the panel, by rank
                                                                     └─► places ─► first free place ─► label

The order is the same on all maps, and the places are tried in the same order. Maps of the same scale therefore have
the same labels at the same places where they overlap, except near their edges.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import AfterValidator
from pydantic import Field as Limits
from typing_extensions import override

from regionplot.geo.ground import meters_per_pixel
from regionplot.geo.linework import Geometries
from regionplot.inputs.feature_table import start_table
from regionplot.layers.area_labels import AREA_COLOR, AREA_HALO, AreaLabels
from regionplot.layers.area_values import Statistic, statistic_in
from regionplot.layers.base import LoadContext, settings_digest
from regionplot.layers.field import Field, field_of
from regionplot.layers.label_points import Floats, LabelFeatures
from regionplot.layers.label_style import Style, style_of
from regionplot.layers.label_texts import (
    INK,
    PAPER,
    REVERSED,
    REVERSED_HALO,
    VALUE_GAP,
    VALUE_STYLE,
    checked_format,
    rounded_box,
    text_in_box,
    under_and_over,
)
from regionplot.layers.vector_file import VectorFileLayer
from regionplot.settings.base import Color, Text
from regionplot.settings.field import FieldSettings
from regionplot.settings.vector import VectorSettings
from regionplot.sheet.marks import Label, Markers, PanelMark
from regionplot.sheet.placing import LabelBox, Placer, places_beside
from regionplot.sheet.sheet import Sheet

_GAP = (4.0, 2.0)
"""Pixels between labels, along x and along y."""
_FROM_DOT, _EDGE = 3.0, 6.0
"""Pixels between a dot and its label, and between a label and the edge of the panel."""
_NAME_POINTS = 9.5
_MAX_NAMES, _MAX_VALUES, _VALUE_DISTANCE = 40, 60, 50.0
_PIXELS_PER_LABEL, _COARSE_PIXELS, _SMALL_PIXELS = 25_000, 38_000, 16_000
"""Square pixels of the panel for each label: by default, on coarse maps, and on sheets narrower than `_SMALL`
pixels."""
_SMALL = 900
_DOT_DISTANCE, _COARSE_DISTANCE, _SMALL_DISTANCE = 26.0, 60.0, 46.0
_COARSE = 3000.0
"""Meters per pixel of coarse maps. Their labels are smaller."""
_DOT = "white"


class LabelSettings(VectorSettings):
    """`[[labels]]`: names or values at points, or names of areas."""

    is_array: ClassVar[bool] = True
    has_lines: ClassVar[bool] = False

    name: Text | None = "name"
    """Attribute that holds the names. Upper and lower case are not distinguished."""
    rank: Text | None = None
    """Attribute with the rank of a feature. 0 is the most important. Low ranks come first, in larger letters."""
    order: Text | None = None
    """Attribute that orders features of the same rank, such as the population: large numbers first."""
    values: bool | FieldSettings = False
    """Write the value of the raster at each point. `true`: the raster of the map, in `[colors] units`."""
    format: Annotated[Text, AfterValidator(checked_format)] = "{:.0f}"
    """Format of the values."""
    scale: float = 1.0
    """Factor for the values."""
    offset: float = 0.0
    """Number to add to the values."""
    dots: bool = True
    """Draw a dot at each point that has a name and no value."""
    most: Annotated[int, Limits(ge=1, le=1000)] | None = None
    """Maximum number of labels on a map: by default 40 names, or 60 values. Small and coarse maps with dots have fewer
    labels."""
    color: Color = INK
    """Color of the letters on light colors. On dark colors, the letters are white."""
    halo: Color = PAPER
    """Color of the halo on light colors."""
    area_color: Color = AREA_COLOR
    """Color of the names of areas on light colors. On dark colors, the names are white."""
    statistic: Statistic = "mean"
    """Statistic of the cells in each area, if the labels of areas show values."""
    min_area: Annotated[float, Limits(ge=0, le=1)] = 0.03
    """Minimum part of the panel that an area with a name covers."""

    @property
    def has_values(self) -> bool:
        """True if the labels show values."""
        return self.values is not False


@dataclass(frozen=True)
class Labels(VectorFileLayer):
    """Labels of one vector file."""

    Settings = LabelSettings
    zorder: ClassVar[float] = 50
    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Label, Markers})
    label_order: ClassVar[int] = 20
    settings: LabelSettings
    features: LabelFeatures
    field: Field | None
    key: str

    @classmethod
    @override
    def start(cls, settings: LabelSettings, context: LoadContext) -> Callable[[LoadContext], Self]:
        key, finish = start_table(settings, context.crs, context.cache)

        def load(context: LoadContext) -> Any:
            features = LabelFeatures.of(finish(), settings, context.crs)
            field = None
            if isinstance(settings.values, FieldSettings):
                field = Field.load(settings.values, context, "[[labels]] values")
            exclude = {"path"} if isinstance(settings.values, bool) else {"path", "values"}
            digest = settings_digest(settings, key, field and field.key, exclude=exclude)
            return (ValueLabels if settings.has_values else Labels)(settings, features, field, digest)

        return load

    @override
    def inks(self) -> frozenset[str]:
        areas = {self.settings.area_color, AREA_HALO} if self.features.area_names else set()
        return frozenset({self.settings.color, self.settings.halo, REVERSED, REVERSED_HALO, _DOT, INK, *areas})

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark]:
        shown = self._shown(sheet)
        yield from _NameLabels(shown, sheet).marks()
        yield from AreaLabels(shown, sheet).marks()

    def _shown(self, sheet: Sheet) -> Self:
        """Return this layer in the CRS of a map, with the features that the map shows."""
        return replace(self, features=self.features.on_map(sheet.view, sheet.crs))

    def important_points(self, sheet: Sheet) -> Floats:
        """Return the most important points of a map in pixels of the sheet, shape (n, 2). Furniture avoids them."""
        points = self._shown(sheet).features.in_panel(sheet.view)
        return points[np.isfinite(points).all(axis=1)][: _PointLabels(self, sheet).most // 2]

    @property
    def letters(self) -> str:
        """The letters of all names that are not only ASCII, each once."""
        names = (*self.features.names, *self.features.area_names)
        return "".join(dict.fromkeys(letter for name in names if not name.isascii() for letter in name))

    def values_at(self, sheet: Sheet, points: Floats) -> Floats:
        """Return the values to write at points in map coordinates, NaN if missing."""
        field = self.field or field_of(sheet)
        if field is None:
            return np.full(len(points), np.nan)
        return self._converted(field.at_points(points, sheet.crs), sheet)

    def values_in(self, sheet: Sheet, areas: Geometries) -> Floats:
        """Return the statistic of the cells in each area, NaN if missing. Areas are in map coordinates."""
        field = self.field or field_of(sheet)
        if field is None:
            return np.full(len(areas), np.nan)
        return self._converted(statistic_in(field, areas, sheet.crs, self.settings.statistic), sheet)

    def _converted(self, values: Floats, sheet: Sheet) -> Floats:
        if self.field is None and sheet.shown is not None:
            values = sheet.shown(values)
        return values * self.settings.scale + self.settings.offset

    def text_of(self, value: float) -> str:
        """Return the text of a value."""
        return self.settings.format.format(value).replace("-", "−")


@dataclass(frozen=True)
class ValueLabels(Labels):
    """Labels of one vector file that show values."""

    wants_values: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Label, Markers})

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark]:
        shown = self._shown(sheet)
        yield from _ValueLabels(shown, sheet).marks()
        yield from AreaLabels(shown, sheet).marks()


@dataclass(frozen=True)
class _PointLabels:
    """Labels at the points of one map."""

    layer: Labels
    sheet: Sheet

    @cached_property
    def is_coarse(self) -> bool:
        """True if letters are small, because a pixel shows a large part of the world."""
        return not meters_per_pixel(self.sheet.crs, self.sheet.view.panel) <= _COARSE  # NaN is coarse

    @property
    def placer(self) -> Placer:
        """The boxes that labels take."""
        return self.sheet.placer

    @property
    def most(self) -> int:
        """Maximum number of labels. Without dots, only the room for names limits them further."""
        most = self.layer.settings.most or _MAX_NAMES
        if not self.layer.settings.dots:
            return most
        panel = self.sheet.view.box
        small = _SMALL_PIXELS if self.sheet.layout.size[0] < _SMALL else _PIXELS_PER_LABEL
        area = _COARSE_PIXELS if self.is_coarse else small
        count = panel.width * panel.height / (area * self.sheet.label_scale**2)
        return min(most, max(1, math.floor(count)))

    @property
    def distance(self) -> float:
        """Minimum pixels between two dots. Without dots, only the names keep apart."""
        if not self.layer.settings.dots:
            return 0.0
        small = _SMALL_DISTANCE if self.sheet.layout.size[0] < _SMALL else _DOT_DISTANCE
        return (_COARSE_DISTANCE if self.is_coarse else small) * self.sheet.label_scale

    @property
    def dot_scale(self) -> float:
        """Factor for the pixels of dots. At less than 100 dpi, dots are not smaller."""
        return self.sheet.label_factor * max(1.0, self.sheet.layout.dpi / 100)

    def in_panel(self) -> Iterator[tuple[int, float, float]]:
        """Yield the number of each point in the panel, and its x and y in pixels of the sheet, by importance."""
        points = self.layer.features.in_panel(self.sheet.view)
        inside = np.flatnonzero(np.isfinite(points).all(axis=1))
        for number in inside:
            yield int(number), float(points[number, 0]), float(points[number, 1])

    def text(self, box: LabelBox, size_descent: float, text: str, points: float, style: Style) -> Label:
        """Return the mark of a text in a box: dark letters on light colors, or white letters on dark colors."""
        settings = self.layer.settings
        return text_in_box(self.sheet, box, size_descent, text, points, style, (settings.color, settings.halo))


class _NameLabels(_PointLabels):
    """A dot and a name at each point, or only a name beside a symbol of `[[points]]`."""

    def marks(self) -> Iterator[PanelMark]:
        """Yield dots, then names."""
        names: list[Label] = []
        dots: dict[float, list[tuple[float, float]]] = {}
        taken: list[tuple[float, float]] = []
        distance = self.distance
        for number, x, y in self.in_panel():
            if len(names) >= self.most:
                break
            style = style_of(self.layer.features.ranks[number], coarse=self.is_coarse)
            if style is None or any(math.dist((x, y), other) < distance for other in taken):
                continue
            symbol = self.placer.symbols.get((round(x), round(y)))
            label = self._placed(self.layer.features.names[number], x, y, style, symbol)
            if label is not None:
                names.append(label)
                taken.append((x, y))
                if symbol is None:
                    dots.setdefault(style.dot, []).append((x, y))
                else:
                    del self.placer.symbols[round(x), round(y)]
        if self.layer.settings.dots:
            yield from (self._dots(diameter, points) for diameter, points in dots.items())
        yield from names

    def _placed(self, name: str, x: float, y: float, style: Style, symbol: LabelBox | None) -> Label | None:
        """Return the label of a dot or a symbol, and take their boxes. Return None if there is no room."""
        points, scale = self.sheet.label_points(style.points), self.sheet.label_scale
        size, radius = self.placer.measure(name, points, style.weight), style.dot / 2 * self.dot_scale
        dot, distance = LabelBox.around(x, y, 2 * radius + 2, 2 * radius + 2), radius + _FROM_DOT * scale
        if symbol is not None:
            dot, distance = symbol, (symbol.right - symbol.left) / 2 + _GAP[0] * scale + 1
        if not (name and self.placer.is_inside(dot, 2) and (symbol is not None or self.placer.is_free(dot))):
            return None
        places = (rounded_box(box) for box in places_beside(x, y, size, distance))
        found = self.placer.first_free(places, (_GAP[0] * scale, _GAP[1] * scale), _EDGE * scale)
        if found is None:
            return None
        self.placer.take(found, dot)
        return self.text(found, round(size.descent), name, points, style)

    def _dots(self, diameter: float, pixels: Sequence[tuple[float, float]]) -> Markers:
        points = self.layer.features.in_map(np.array(pixels), self.sheet.view)
        size = diameter * self.dot_scale * 72 / self.sheet.layout.dpi
        return Markers(points, size, _DOT, INK, 0.9 if diameter < 6 else 1.1)


class _ValueLabels(_PointLabels):
    """A value on each point, and the name below or above it."""

    def marks(self) -> Iterator[PanelMark]:
        """Yield values and names."""
        features, taken = self.layer.features, list[tuple[float, float]]()
        found = list(self.in_panel())
        pixels = np.array([(x, y) for _, x, y in found]).reshape(-1, 2)
        values = self.layer.values_at(self.sheet, features.in_map(pixels, self.sheet.view))
        most, distance = self.layer.settings.most or _MAX_VALUES, _VALUE_DISTANCE * self.sheet.label_scale
        for (number, x, y), value in zip(found, values, strict=True):
            if len(taken) >= most:
                return
            near = any(math.hypot(0.8 * (x - left), y - top) < distance for left, top in taken)
            if near or not np.isfinite(value):
                continue
            labels = self._placed(number, x, y, float(value))
            if labels:
                taken.append((x, y))
                yield from labels

    def _placed(self, number: int, x: float, y: float, value: float) -> list[Label]:
        """Return the value and the name of a point, and take their boxes. Return nothing if there is no room."""
        sheet, features, placer = self.sheet, self.layer.features, self.placer
        text = self.layer.text_of(value)
        points = sheet.label_points(VALUE_STYLE.points)
        size = placer.measure(text, points, "semibold")
        box = rounded_box(LabelBox.around(x, y, size.width, size.height))
        if not (placer.is_inside(box.grown(*VALUE_GAP), 2) and placer.is_free(box, *VALUE_GAP)):
            return []
        value_label = self.text(box, round(size.descent), text, points, VALUE_STYLE)
        name = features.names[number]
        if not name:
            placer.take(box)
            return [value_label]
        is_large = features.ranks[number] <= 2
        name_style = Style(_NAME_POINTS + 0.5 * is_large, "semibold" if is_large else "normal", 0.0, 2.3)
        name_points = sheet.label_points(name_style.points)
        below = placer.measure(name, name_points, name_style.weight)
        places = (rounded_box(place) for place in under_and_over(box, below.width, below.height, x))
        found = placer.first_free(places, VALUE_GAP, 4)
        if found is None:
            return []
        placer.take(box, found)
        return [value_label, self.text(found, round(below.descent), name, name_points, name_style)]
