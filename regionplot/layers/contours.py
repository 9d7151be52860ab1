"""Contour lines of the raster or of another field, with labels in gaps of the lines, and marks for highs and lows.

::

    field ─► nodes around the panel ─► blur ─► contourpy ─► lines ─► labels ─► gaps ─► casing, lines, labels
                                        │                └► areas between levels ─► colors, hatching
                                        └────► highs and lows

The nodes lie at multiples of their spacing in map units. Two maps of the same scale therefore have the same lines,
labels and marks where they overlap, except near the edges of the maps.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
import shapely
from typing_extensions import override

from regionplot.geo.contours import ContourLine, Floats, trace, trace_areas
from regionplot.geo.linework import Geometries
from regionplot.layers.base import Layer, LoadContext, settings_digest
from regionplot.layers.contour_grid import BLUR_REACH, LEAST_BLUR, ContourGrid, GridValues, blur_pixels
from regionplot.layers.contour_labels import DARK_HALO, MAX_LABEL_REACH, LineGaps, LineLabels, label_reach
from regionplot.layers.contour_settings import NONE, ContourSettings
from regionplot.layers.field import Field, field_of
from regionplot.layers.hatching import hatching
from regionplot.layers.highs_lows import MARK_HALO, NEAR, REACH, HighsAndLows, is_covered
from regionplot.layers.label_texts import REVERSED
from regionplot.layers.quantity import height_name, quantity_of
from regionplot.layers.symbol_keys import SymbolKey, contour_label, key_room, shown_units
from regionplot.sheet.layout import Layout, Page, Room
from regionplot.sheet.marks import FrameMark, Label, Markers, PanelMark, Path
from regionplot.sheet.sheet import Sheet

_BEYOND = 40
"""Pixels by which the grid extends beyond the panel."""


@dataclass(frozen=True)
class Contours(Layer):
    """Contour lines of one field."""

    Settings = ContourSettings
    zorder: ClassVar[float] = 25
    wants_values: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Path, Label, Markers})
    label_order: ClassVar[int] = 10
    settings: ContourSettings
    field: Field | None
    """The field. None: the raster of the map."""
    key: str
    key_label: str = ""
    """Label of the key beside a short color bar."""

    @classmethod
    @override
    def load(cls, settings: ContourSettings, context: LoadContext) -> Self:
        if settings.raster is None:
            label = contour_label(settings, context.description, context.config)
            return cls(settings, None, settings_digest(settings, label), label)
        field = Field.load(settings.raster, context, "[[contours]] raster")
        label = contour_label(settings, field.description, context.config)
        return cls(settings, field, settings_digest(settings, field.key, label, exclude={"raster"}), label)

    @classmethod
    @override
    def room(cls, settings: ContourSettings, page: Page) -> Room | None:
        return key_room(settings, page)

    @classmethod
    @override
    def reach(cls, settings: ContourSettings) -> int:
        """Return the pixels around the panel on which lines, labels and marks depend.

        An automatic blur reaches over less than three cells. Windows of cells have such a margin.
        """
        if settings.raster is not None:
            return 0
        labels, marks = MAX_LABEL_REACH if settings.labels else _BEYOND, REACH + NEAR if settings.highs_lows else 0
        return max(labels, marks) + math.ceil(
            BLUR_REACH * (LEAST_BLUR if settings.smooth == "auto" else settings.smooth)
        )

    @override
    def frame(self, layout: Layout) -> Iterator[FrameMark]:
        return SymbolKey(self.settings, self.key_label, self.settings.color).marks(layout)

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark]:
        style, found = self.settings, self.values(sheet)
        if found is None:
            return
        levels = style.levels_in(found.blurred)
        marks = list(HighsAndLows(sheet, style).marks(found)) if style.highs_lows else []
        if levels and (style.fill or style.hatch):
            yield from self._areas(sheet, found)
        lines = [] if style.linewidth == 0 else trace(*found.grid.nodes, found.blurred, [level for level, _ in levels])
        lines = [line for line in lines if line.length >= style.min_length]
        lines = [line for line in lines if not is_covered(line.points, marks, sheet.layout.dpi)]
        bold = {level for level, is_bold in levels if is_bold}
        if style.labels:
            lines = [line.from_left() for line in lines]
        labels = LineLabels(sheet, style, bold).place(lines) if style.labels else {}
        yield from self._lines(sheet, lines, labels, bold)
        yield from (label for spots in labels.values() for _, _, label in spots)
        yield from marks

    @property
    def caption(self) -> str:  # type: ignore[override]
        """Name of the quantity, or an empty text if the map has the same quantity."""
        if self.settings.name or self.field is None:
            return self.settings.name or ""
        return height_name(quantity_of(self.field.description), shown_units(self.settings, self.field.description))

    def values(self, sheet: Sheet) -> GridValues | None:
        """Return the values of the field at nodes around the panel of a map, or None if the map has no numbers."""
        field = self.field or field_of(sheet)
        if field is None:
            return None
        least = REACH if self.settings.highs_lows else _BEYOND
        if not self.settings.labels:
            return GridValues.of(sheet, field, self.settings, least)
        reach = max(label_reach(sheet), least + NEAR if self.settings.highs_lows else 0)
        beyond = reach + BLUR_REACH * blur_pixels(sheet, field, self.settings)
        return GridValues.of(sheet, field, self.settings, beyond).within(ContourGrid.of(sheet, reach))

    def _areas(self, sheet: Sheet, found: GridValues) -> Iterator[PanelMark]:
        """Yield the colors of the areas between levels, then their hatching."""
        style = self.settings
        limits = [-np.inf, *sorted(style.levels or ()), np.inf]
        fills, hatches = (given or (NONE,) * (len(limits) - 1) for given in (style.fill, style.hatch))
        for low, high, fill, hatch in zip(limits, limits[1:], fills, hatches, strict=False):
            if fill == hatch == NONE:
                continue
            areas = _in_map(trace_areas(*found.grid.nodes, found.blurred, low, high), sheet)
            if fill != NONE and areas.size:
                yield Path.of_polygons(areas, fill)
            yield from hatching(
                areas, hatch, sheet.view, spacing=style.hatch_spacing * sheet.label_factor,
                color=style.hatch_color, linewidth=style.hatch_linewidth,
            )  # fmt: skip

    def _lines(
        self, sheet: Sheet, lines: Sequence[ContourLine], labels: LineGaps, bold: set[float]
    ) -> Iterator[PanelMark]:
        """Yield the casings of all lines, then the lines. Bold lines are above the others."""
        style = self.settings
        kinds: tuple[list[Floats], list[Floats]] = [], []
        for number, line in enumerate(lines):
            kinds[line.level in bold].extend(line.parts((a, b) for a, b, _ in labels.get(number, ())))
        for color, extra in ((style.casing, 2 * style.casing_width), (style.color, 0.0)):
            for width, parts in zip((style.linewidth, style.bold_linewidth), kinds, strict=True):
                if parts and width > 0 and color != NONE:
                    yield _path(sheet, parts, color, width + extra)

    @override
    def inks(self) -> frozenset[str] | None:
        style = self.settings
        if style.fill:
            return None
        casing = {style.casing} if style.has_casing else set()
        marks = {style.high_color, style.low_color, MARK_HALO} if style.highs_lows else set()
        labels = {REVERSED, DARK_HALO} if style.labels else set()
        return frozenset({style.color, *casing, *marks, *labels, *([style.hatch_color] if style.hatch else [])})


def _path(sheet: Sheet, parts: Sequence[Floats], color: str, width: float) -> Path:
    """Return a path of lines in pixels of the sheet."""
    vertices, line = np.concatenate(parts), np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    lines = np.asarray(shapely.linestrings(vertices, indices=line), object)
    path = Path.of_lines(_in_map(lines, sheet), color, width)
    return Path(path.vertices, path.codes, edgecolor=color, linewidth=width, cap="butt")


def _in_map(geometries: Geometries, sheet: Sheet) -> Geometries:
    """Return geometries in map coordinates. They are given in pixels of the sheet."""
    extent, panel, box = sheet.view.panel.extent, sheet.view.panel, sheet.view.box
    scale = np.array([panel.pixel_width, panel.pixel_height])
    origin = np.array([extent.xmin - box.left * scale[0], extent.ymin - box.bottom * scale[1]])
    return np.asarray(shapely.transform(geometries, lambda vertices: vertices * scale + origin), object)
