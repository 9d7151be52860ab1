"""Names of areas, or statistics of the cells in areas, inside the part of each area that the panel shows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import shapely
from numpy.typing import NDArray

from regionplot.layers.label_style import Style, hair_spaced
from regionplot.layers.label_texts import (
    REVERSED,
    REVERSED_HALO,
    VALUE_GAP,
    VALUE_STYLE,
    rounded_box,
    text_in_box,
    under_and_over,
)
from regionplot.sheet.marks import Label, OnDark
from regionplot.sheet.placing import LabelBox
from regionplot.sheet.sheet import Sheet

if TYPE_CHECKING:
    from regionplot.layers.labels import Labels

AREA_COLOR, AREA_HALO = "#4a4356d9", "#fffdf6cc"
_POINTS, _HALO_POINTS = 9.5, 1.0
_GAP = (9.0, 6.0)
"""Minimum distance from the name of an area to other labels in pixels, along x and along y."""
_EDGE = 14
"""Pixels along the edges of the panel in which no area is labeled."""
_TOGETHER = 25
"""Number of boxes that are compared with an area at a time."""
_NAME_STYLE = Style(9.5, "normal", 0.0, 2.3)


@dataclass(frozen=True)
class AreaLabels:
    """The labels of areas on one map."""

    layer: Labels
    sheet: Sheet

    def marks(self) -> Iterator[Label]:
        """Yield the labels that fit."""
        panel, features = self.sheet.view.box, self.layer.features
        if self.sheet.layout.page.is_narrow:
            return
        least = self.layer.settings.min_area * panel.width * panel.height
        for number, area in features.areas_in(self.sheet.view, _EDGE):
            if area.area >= least:
                name = features.area_names[number]
                yield from self._value(number, name, area) if self.layer.settings.has_values else self._name(name, area)

    def _name(self, name: str, area: shapely.Polygon) -> Iterator[Label]:
        """Yield a name in capitals, and take its box."""
        sheet, text = self.sheet, hair_spaced(name)
        points = sheet.label_points(_POINTS)
        size = sheet.placer.measure(text, points, "semibold")
        box = self._free_box(area, size.width, size.height, (8, 2), _GAP) if name else None
        if box is None:
            return
        sheet.placer.take(box)
        yield Label(
            box.left, box.bottom + round(size.descent), text, points, self.layer.settings.area_color, AREA_HALO,
            _HALO_POINTS, weight="semibold", align="left", vertical_align="baseline", font=sheet.layout.page.font,
            on_dark=OnDark(REVERSED, REVERSED_HALO, box),
        )  # fmt: skip

    def _value(self, number: int, name: str, area: shapely.Polygon) -> Iterator[Label]:
        """Yield the value of an area, and its name if there is room. Take their boxes."""
        sheet, placer, settings = self.sheet, self.sheet.placer, self.layer.settings
        colors = (settings.color, settings.halo)
        if not np.isfinite(self._values[number]):
            return
        text, points = self.layer.text_of(float(self._values[number])), sheet.label_points(VALUE_STYLE.points)
        size = placer.measure(text, points, "semibold")
        box = self._free_box(area, size.width, size.height, (2, 2), VALUE_GAP)
        if box is None:
            return
        placer.take(box)
        yield text_in_box(sheet, box, round(size.descent), text, points, VALUE_STYLE, colors)
        points = sheet.label_points(_NAME_STYLE.points)
        size = placer.measure(name, points, "normal")
        x = (box.left + box.right) / 2
        places = (rounded_box(place) for place in under_and_over(box, size.width, size.height, x))
        inside = (place for place in places if shapely.contains(area, shapely.box(*place)))
        found = placer.first_free(inside, (VALUE_GAP[0], 0.0), 4) if name else None
        if found is not None:
            placer.take(found)
            yield text_in_box(sheet, found, round(size.descent), name, points, _NAME_STYLE, colors)

    def _free_box(
        self, area: shapely.Polygon, width: float, height: float, inner: tuple[int, int], gap: tuple[float, float]
    ) -> LabelBox | None:
        """Return the free box that is nearest to the centroid of an area, or None. `inner`: pixels to the border."""
        centers = _points_in(area, width + inner[0], height + inner[1])
        margin = np.array([width / 2, height / 2]) + gap
        free = centers[self.sheet.placer.are_free(np.column_stack([centers - margin, centers + margin]))]
        center = _first_inside(area, free, width + inner[0], height + inner[1])
        return None if center is None else rounded_box(LabelBox.around(*center, width, height))

    @cached_property
    def _values(self) -> NDArray[np.floating]:
        """The value of each area. Only the values of areas in the panel are computed, the others are NaN."""
        features = self.layer.features
        values = np.full(len(features.area_names), np.nan)
        shown = sorted({number for number, _ in features.areas_in(self.sheet.view, _EDGE)})
        values[shown] = self.layer.values_in(self.sheet, features.areas[shown])
        return values


def _points_in(area: shapely.Polygon, width: float, height: float) -> NDArray[np.float64]:
    """Return centers of boxes within the limits of an area, shape (n, 2). The nearest to its centroid is first."""
    left, bottom, right, top = area.bounds
    if right - left < width or top - bottom < height:
        return np.empty((0, 2))
    x, y = np.meshgrid(
        np.linspace(left + width / 2, right - width / 2, 25), np.linspace(bottom + height / 2, top - height / 2, 25)
    )
    center = area.centroid
    order = np.argsort(np.hypot(x - center.x, y - center.y).ravel(), kind="stable")
    return np.column_stack([x.ravel(), y.ravel()])[order]


def _first_inside(
    area: shapely.Polygon, centers: NDArray[np.float64], width: float, height: float
) -> tuple[float, float] | None:
    """Return the first center of a box that lies inside an area. Usually, one of the first centers is found."""
    shapely.prepare(area)
    for first in range(0, len(centers), _TOGETHER):
        x, y = centers[first : first + _TOGETHER].T
        fits = shapely.contains(area, shapely.box(x - width / 2, y - height / 2, x + width / 2, y + height / 2))
        if fits.any():
            return float(x[fits][0]), float(y[fits][0])
    return None
