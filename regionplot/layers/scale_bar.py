"""A bar that shows a distance on the map, below the panel.

The distance is true at the center of the panel, in the direction of the rows of pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, Self

from typing_extensions import override

from regionplot.geo.grid import GridGeometry
from regionplot.geo.ground import meters_per_pixel
from regionplot.layers.base import Layer, LayerSettings, LoadContext, settings_digest
from regionplot.layers.credit import Credit, credit_of
from regionplot.layers.missing import Entry, end_of_keys, outside_of_map, shown_entries
from regionplot.layers.scale_bar_width import GAP, NARROW_GAP, SHORTEST, UNIT, longest_bar
from regionplot.settings.sheet import FontSize
from regionplot.sheet.layout import POINTS_PER_INCH, Box, Page, Room
from regionplot.sheet.marks import Rectangle, SheetMark, Text
from regionplot.sheet.sheet import Sheet

_BOTTOM, _HEIGHT, _ROOM = 23.8, 3.6, 33
"""Points from the bottom of the sheet to the bar, height of the bar, and height of the space for the layer."""
_GAP_AFTER_KEYS = 18
"""Points between the last key and the scale bar."""
_DIGIT, _WIDE_DIGIT, _DIGIT_HEIGHT = 0.5, 0.64, 0.72
"""Width of a digit of Source Sans and of other fonts, and height of a digit, as fractions of the font size."""
_TEXT_GAP = 2.9
"""Points between the bar and its numbers."""
_METERS = {"km": 1000.0, "mi": 1609.344, "nmi": 1852.0}
"""Meters per unit. Both miles are international miles."""


class ScaleBarSettings(LayerSettings):
    """`[scale_bar]`: a bar that shows a distance on the map."""

    unit: Literal["km", "mi", "nmi"] = "km"
    """Kilometers, statute miles or nautical miles."""
    font_size: FontSize = 9
    """Font size in points, on a sheet of 14 × 9 inches."""


def _gap(page: Page, entries: tuple[Entry, ...]) -> int:
    """Return the points between the bar and what is at its left: keys or a color bar."""
    if entries:
        return _GAP_AFTER_KEYS
    return NARROW_GAP if page.is_narrow else GAP


@dataclass(frozen=True)
class ScaleBar(Layer):
    """A bar of two cells, at the right of a short color bar or at the left of the sheet."""

    Settings = ScaleBarSettings
    zorder: ClassVar[float] = 98
    ignores_raster: ClassVar[bool] = True
    mark_types: ClassVar[frozenset[type]] = frozenset({Rectangle, Text})
    has_usual_texts: ClassVar[bool] = True
    settings: ScaleBarSettings
    key: str
    entries: tuple[Entry, ...] = ()
    """Keys at the left of the bar, which all maps have."""
    outside: Entry | None = None
    """Key that only maps with a part outside the grid have."""
    grid: GridGeometry | None = None
    credit: Credit | None = None
    """Lines at the right of the bar."""

    @classmethod
    @override
    def room(cls, settings: ScaleBarSettings, page: Page) -> Room:
        return Room("bottom", page.pixels(_ROOM), is_shared=True)

    @classmethod
    @override
    def load(cls, settings: ScaleBarSettings, context: LoadContext) -> Self:
        entries, outside = shown_entries(context)
        credit = credit_of(context)
        return cls(
            settings,
            settings_digest(settings, entries, outside, None if credit is None else credit.lines),
            entries,
            outside,
            context.grid,
            credit,
        )

    @override
    def draw(self, sheet: Sheet) -> Iterator[SheetMark]:
        page, end = sheet.layout.page, self._start(sheet)
        pixel = meters_per_pixel(sheet.crs, sheet.view.panel) / _METERS[self.settings.unit]
        left = sheet.layout.panel.left if end is None else end
        beside = 0 if self.credit is None or end is None else self.credit.width_beside(page)
        longest = min(longest_bar(page), sheet.layout.panel.right - beside - left - page.pixels(UNIT))
        is_known = math.isfinite(pixel) and pixel > 0 and longest >= page.pixels(SHORTEST)
        length = round_length(longest * pixel) if is_known else 0.0
        if not length:
            return
        width, bottom, height = round(length / pixel), page.pixels(_BOTTOM), page.pixels(_HEIGHT)
        half = width // 2
        line = page.neatline_pixels
        yield Rectangle(Box(left, bottom, width, height), "white", page.line_ink, line)
        yield Rectangle(Box(left, bottom, half, height), page.line_ink, page.line_ink, line)
        points = page.small_points(self.settings.font_size)
        baseline = bottom - page.pixels(_TEXT_GAP) - round(points * _DIGIT_HEIGHT * page.dpi / POINTS_PER_INCH)
        digit, middle, longer = points * page.dpi / POINTS_PER_INCH * _digit(page), f"{length / 2:g}", f"{length:g}"
        numbers = [(left, "0"), (left + half, middle), (left + width, longer)]
        if half < digit * (len(middle) + len(longer) + 1) / 2:  # the numbers would touch
            del numbers[1]
        last = digit * (len(longer) / 2 + 0.5)
        text = partial(Text, y=baseline, points=points, color=page.ink, is_hinted=False, font=page.font)
        for x, words in numbers:
            yield text(x=x, text=words, align="center")
        yield text(x=round(left + width + last), text=self.settings.unit)

    def _start(self, sheet: Sheet) -> int | None:
        """Return the left end of the bar beside a short color bar and keys. Return None if there is no color bar."""
        entries = self.entries
        if self.outside is not None and outside_of_map(self.grid, sheet).areas.size:
            entries = (*entries, self.outside)
        end = end_of_keys(sheet.layout, entries)
        return None if end is None else end + sheet.layout.page.pixels(_gap(sheet.layout.page, entries))

    @override
    def inks(self) -> frozenset[str]:
        return frozenset()


def _digit(page: Page) -> float:
    """Return the width of a digit as a fraction of the font size."""
    return _DIGIT if page.font.startswith("Source Sans") else _WIDE_DIGIT


def round_length(longest: float) -> float:
    """Return the largest of 1, 2 and 5 times a power of ten that is not longer than a length.

    Examples
    --------
    >>> round_length(430.0)
    200.0
    >>> round_length(0.05)
    0.05
    """
    power = math.floor(math.log10(longest) + 1e-9)
    return next(factor * 10.0**power for factor in (5, 2, 1) if factor * 10.0**power <= longest * (1 + 1e-9))
