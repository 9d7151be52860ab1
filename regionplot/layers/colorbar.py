"""The color bar below the panel."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from typing_extensions import override

from regionplot import text
from regionplot.layers.base import Layer, LoadContext
from regionplot.layers.quantity import readable_name
from regionplot.sheet.key import ColorBarKey
from regionplot.sheet.layout import POINTS_PER_INCH, Box, Layout, Page, Room
from regionplot.sheet.marks import ColorBar

NAME = "colorbar"
_LABEL_HEIGHT = 24
"""Points from the bottom of the sheet to the tick labels."""
_TICKS = 8
"""Points for the ticks and the gaps between ticks and labels. They do not scale with the sheet."""
_BAR_HEIGHT = 9
"""Height of the bar in points."""
_FOOT, _NARROW_FOOT = 66, 56
"""Height in points of the space for a short color bar. Narrow sheets have no labels between bar and panel."""
_SHORT_BOTTOM, _SHORT_HEIGHT = 23.8, 9.4
"""Points from the bottom of the sheet to a short color bar, and its height."""
_SHORT_WIDTHS = ((0, 288), (1, 317), (16, 403))
"""Smallest number of classes, and width of a short color bar in points."""
_SHORTEST = 166
"""Minimum width of a short color bar in points, on narrow sheets."""
_LARGEST_SHARE = 0.6
"""Maximum width of a short color bar, as a fraction of the sheet."""
LIFT = 5 / 72
"""Inches between a short color bar and the label above it."""
_RANGE = 11
"""Width of the range of the values of a map above the right end of a short color bar, in font sizes."""
_GAP = 9
"""Points between the bar and the panel."""


@dataclass(frozen=True)
class ColorBarLayer(Layer):
    """The color bar of a scale for numbers, with ticks and a label."""

    zorder: ClassVar[float] = 95
    label: str
    key: str

    @classmethod
    @override
    def room(cls, settings: Any, page: Page) -> Room | None:
        if not (page.config.colors.colorbar and isinstance(page.key, ColorBarKey)):
            return None
        if page.has_short_bar:
            return Room("bottom", page.pixels(_NARROW_FOOT if page.is_narrow else _FOOT), is_shared=True)
        return Room("bottom", _bar_bottom(page) + page.pixels(_BAR_HEIGHT) + page.pixels(_GAP))

    @classmethod
    @override
    def load(cls, settings: Any, context: LoadContext) -> Self:
        label = key_label(context)
        return cls(label, key=label)

    @override
    def frame(self, layout: Layout) -> Iterator[ColorBar]:
        room, page = layout.rooms.get(NAME), layout.page
        if room is not None and isinstance(page.key, ColorBarKey):
            is_short = page.has_short_bar
            box = _short_box(layout) if is_short else _wide_box(layout, room)
            yield ColorBar(
                box,
                page.key,
                self.label,
                page.label_points,
                page.neatline_pixels,
                max_width=_label_width(layout) if is_short else layout.text_width,
                color=page.ink,
                line_color=page.line_ink,
                font=page.font,
                label_above=is_short,
            )

    @override
    def inks(self) -> frozenset[str]:
        return frozenset()


def _label_width(layout: Layout) -> int:
    """Return the pixels for the label above a short color bar. Other keys may have labels at its right."""
    has_others = any(layout.page.config.layers.get(name) for name in ("contours", "barbs"))
    for settings in layout.page.config.layers.get("value_range", ()):
        if settings.show:
            font_size: float = getattr(settings, "font_size", 0.0)  # of `ValueRangeSettings`, which imports this module
            return _short_box(layout).width - range_width(layout.page, font_size)
    return _short_box(layout).width if has_others else layout.text_width


def range_width(page: Page, font_size: float) -> int:
    """Return the pixels for the range of the values of a map in a font size."""
    return round(_RANGE * page.small_points(font_size) * page.dpi / POINTS_PER_INCH)


def _wide_box(layout: Layout, room: Box) -> Box:
    page = layout.page
    width, height = layout.size[0] - 2 * page.inset, page.pixels(_BAR_HEIGHT)
    return Box(page.inset, room.bottom + _bar_bottom(page), width, height)


def end_of_short_bar(layout: Layout) -> int | None:
    """Return the first column of pixels at the right of a short color bar. Return None if there is no such bar."""
    page = layout.page
    if NAME in layout.rooms and page.has_short_bar and isinstance(page.key, ColorBarKey):
        return _short_box(layout).right
    return None


def place_above_short_bar(layout: Layout) -> tuple[int, int] | None:
    """Return the right end of a short color bar, and the baseline of its label. Return None if there is no such bar."""
    if end_of_short_bar(layout) is None:
        return None
    box = _short_box(layout)
    return box.right, round(box.top + LIFT * layout.dpi)


def short_bar_width(page: Page) -> int:
    """Return the width of a short color bar in pixels, or 0 if the sheet has none."""
    if not (page.config.colors.colorbar and page.has_short_bar and isinstance(page.key, ColorBarKey)):
        return 0
    classes = len(page.key.levels or ())
    points = next(width for least, width in reversed(_SHORT_WIDTHS) if classes >= least)
    width = page.pixels(points)
    if page.is_narrow:
        width = round(max(points * page.factor, _SHORTEST) * page.dpi / POINTS_PER_INCH)
    return min(width, round((page.size[0] - 2 * page.margin) * _LARGEST_SHARE))


def _short_box(layout: Layout) -> Box:
    """Return the box of a color bar whose width depends on the number of classes."""
    page = layout.page
    return Box(layout.panel.left, page.pixels(_SHORT_BOTTOM), short_bar_width(page), page.pixels(_SHORT_HEIGHT))


def _bar_bottom(page: Page) -> int:
    """Return the distance in pixels from the bottom of the color bar's space to the bar."""
    return page.pixels(_LABEL_HEIGHT) + round(_TICKS * page.dpi / POINTS_PER_INCH)


def key_label(context: LoadContext) -> str:
    """Return the label of the color bar or legend: `[colors] label`, or the long name and units of the raster."""
    given = context.config.colors.label
    if given is not None:
        return text.plain_text(given)
    description = context.description
    units = context.config.colors.units or str(description.get("units", ""))
    return text.colorbar_label(readable_name(str(description.get("long_name", ""))), units)
