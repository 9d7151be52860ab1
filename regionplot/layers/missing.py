"""Show where the raster has no data: a hatch over missing cells, and a flat color outside the grid.

The keys at the right of a short color bar say what the hatch and the color mean, and which values lie below the scale.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, NamedTuple, Self

from pydantic import Field
from typing_extensions import override

from regionplot.geo.grid import GridGeometry
from regionplot.geo.outside import NOTHING, Outside, dashed, outside_of
from regionplot.layers.base import Layer, LayerSettings, LoadContext, settings_digest
from regionplot.layers.credit import Credit, credit_of
from regionplot.layers.symbol_keys import end_of_symbol_keys
from regionplot.settings.base import Color
from regionplot.settings.config import Config
from regionplot.settings.sheet import FontSize
from regionplot.sheet.layout import HALF_CAPITAL, POINTS_PER_INCH, Box, Layout, Page
from regionplot.sheet.marks import Hatch, PanelMark, Path, Rectangle, SheetMark, Text
from regionplot.sheet.sheet import Sheet
from regionplot.text import number_labels

_BOTTOM = 23.8
"""Points from the bottom of the sheet to the keys. They lie beside a short color bar."""
_SWATCH = (15.8, 9.4)
"""Width and height of a swatch in points."""
_FIRST_GAP, _TEXT_GAP, _NEXT_GAP = 18.7, 4.3, 13
"""Points between the color bar and the first key, between a swatch and its text, and between two keys."""
_LETTER = 0.5
"""Estimated mean width of a letter, as a fraction of the font size."""
_DASH, _DASH_GAP = 5.0, 3.0
"""Points of the dashes of the edge of the grid."""
_SPACING = 5.8
"""Points between two lines of the hatch, along a row."""
NAME = "missing"
_OUTSIDE = "outside the grid"


class MissingSettings(LayerSettings):
    """`[missing]`: where the raster has no data."""

    has_lines: ClassVar[bool] = False

    hatch: Color = "#8b949c52"
    """Color of the hatch over missing cells. `none`: no hatch."""
    outside: Color = "#c1c7cd"
    """Color of the part of the map outside the grid. `none`: the background."""
    edgecolor: Color = "#59616a"
    """Color of the edge of the grid, which is dashed. `none`: no edge."""
    linewidth: Annotated[float, Field(ge=0, le=100)] = 1.0
    """Width of the edge in points."""
    keys: bool = True
    """Explain hatch, color and values below the scale beside a short color bar."""
    font_size: FontSize = 9
    """Font size of the keys in points, on a sheet of 14 × 9 inches."""


class Entry(NamedTuple):
    """A key: a swatch and a text."""

    name: str
    color: str
    look: Literal["flat", "hatched"] = "flat"


@dataclass(frozen=True)
class Missing(Layer):
    """A hatch over missing cells, a flat color outside the grid, and their keys."""

    Settings = MissingSettings
    zorder: ClassVar[float] = 2
    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Hatch, Path, Rectangle, Text})
    has_usual_texts: ClassVar[bool] = True
    settings: MissingSettings
    grid: GridGeometry | None
    entries: tuple[Entry, ...]
    """Keys that all maps have."""
    key: str
    credit: Credit | None = None
    """Lines at the right of the keys."""

    @classmethod
    @override
    def load(cls, settings: MissingSettings, context: LoadContext) -> Self:
        entries = tuple(_entries(settings, context)) if settings.keys else ()
        grid = context.grid
        place = None if grid is None else (tuple(grid.transform), grid.width, grid.height, grid.crs.to_wkt())
        credit = credit_of(context) if settings.keys else None
        words = () if credit is None else credit.lines
        return cls(settings, grid, entries, settings_digest(settings, place, entries, words), credit)

    @override
    def draw(self, sheet: Sheet) -> Iterator[PanelMark | SheetMark]:
        settings, found = self.settings, self._outside(sheet)
        if (hatch := self.hatch(sheet.layout.page)) is not None:
            yield hatch
        if found.areas.size and settings.outside != "none":
            yield Path.of_polygons(found.areas, settings.outside)
        if found.areas.size and found.edges.size and settings.edgecolor != "none" and settings.linewidth > 0:
            point = sheet.view.panel.pixel_width * sheet.layout.dpi / POINTS_PER_INCH
            yield Path.of_lines(
                dashed(found.edges, _DASH * point, _DASH_GAP * point), settings.edgecolor, settings.linewidth
            )
        if found.areas.size and settings.keys and settings.outside != "none":
            yield from self._marks_of(Entry(_OUTSIDE, settings.outside), len(self.entries), sheet.layout)

    @override
    def frame(self, layout: Layout) -> Iterator[SheetMark]:
        for number, entry in enumerate(self.entries):
            yield from self._marks_of(entry, number, layout)

    def hatch(self, page: Page) -> Hatch | None:
        """Return the hatch over missing cells, which is the same on all maps. None if there is none."""
        if self.settings.hatch == "none":
            return None
        return Hatch(self.settings.hatch, max(2, page.pixels(_SPACING)))

    def _outside(self, sheet: Sheet) -> Outside:
        return outside_of_map(self.grid, sheet)

    def _marks_of(self, entry: Entry, number: int, layout: Layout) -> Iterator[SheetMark]:
        """Yield the swatch and the text of a key. Yield nothing without a short color bar or space."""
        page, left = layout.page, end_of_keys(layout, self.entries[:number])
        if left is None:
            return
        left += page.pixels(_NEXT_GAP if number else _FIRST_GAP)
        beside = 0 if self.credit is None else self.credit.width_beside(page)
        if left + key_width(entry, page) > layout.panel.right - beside:
            return
        box = Box(left, page.pixels(_BOTTOM), *map(page.pixels, _SWATCH))
        yield Rectangle(box, entry.color, page.line_ink, page.neatline_pixels)
        if entry.look == "hatched":
            yield from _hatched(box, max(2, page.pixels(_SPACING)), page)
        points = page.small_points(self.settings.font_size)
        baseline = box.bottom + box.height / 2 - points * page.dpi / POINTS_PER_INCH * HALF_CAPITAL
        yield Text(
            box.right + page.pixels(_TEXT_GAP), round(baseline), entry.name, points, page.ink, is_hinted=False,
            font=page.font,
        )  # fmt: skip

    @override
    def inks(self) -> frozenset[str]:
        return frozenset({self.settings.hatch, self.settings.outside, self.settings.edgecolor})


def outside_of_map(grid: GridGeometry | None, sheet: Sheet) -> Outside:
    """Return the part of a map outside a grid."""
    return outside_of(grid, sheet.view.panel, sheet.crs) if grid is not None else NOTHING


def end_of_keys(layout: Layout, entries: tuple[Entry, ...]) -> int | None:
    """Return the right end of a short color bar and of keys, in pixels. Return None if there are none."""
    end, page = end_of_symbol_keys(layout), layout.page
    for number, entry in enumerate(entries):
        if end is not None:
            end += page.pixels(_NEXT_GAP if number else _FIRST_GAP) + key_width(entry, page)
    return end


def key_width(entry: Entry, page: Page) -> int:
    """Return the estimated width of a key in pixels."""
    settings = next(iter(page.config.layers.get(NAME, ())), None)
    points = settings.font_size if isinstance(settings, MissingSettings) else MissingSettings().font_size
    enlarged = page.small_points(points) - points * page.text_factor
    more = round(len(entry.name) * _LETTER * enlarged * page.dpi / POINTS_PER_INCH)
    return page.pixels(_SWATCH[0] + _TEXT_GAP + len(entry.name) * _LETTER * points) + more


def shown_entries(context: LoadContext) -> tuple[tuple[Entry, ...], Entry | None]:
    """Return the keys that all maps of a run have, and the key of maps with a part outside the grid."""
    for settings in context.config.layers.get(NAME, ()):
        if isinstance(settings, MissingSettings) and settings.show and settings.keys:
            outside = None if settings.outside == "none" else Entry(_OUTSIDE, settings.outside)
            return tuple(_entries(settings, context)), outside
    return (), None


def _entries(settings: MissingSettings, context: LoadContext) -> Iterator[Entry]:
    colors = context.config.colors
    if colors.levels is not None and colors.under == "none":
        yield Entry(f"under {number_labels(colors.levels[:1])[0]}", context.config.map.background)
    if context.has_missing:
        yield Entry("no data", _nodata_color(context.config), "hatched" if settings.hatch != "none" else "flat")


def _nodata_color(config: Config) -> str:
    return config.map.background if config.colors.nodata == "none" else config.colors.nodata


def _hatched(box: Box, spacing: int, page: Page) -> Iterator[Rectangle]:
    """Yield the pixels of a hatch in a swatch."""
    line = page.neatline_pixels
    for y in range(line, box.height - line):
        for x in range(line + (y - line) % spacing, box.width - line, spacing):
            yield Rectangle(Box(box.left + x, box.bottom + y, 1, 1), "#8b949c", "none", 0)
