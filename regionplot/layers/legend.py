"""The legend below the panel."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from typing_extensions import override

from regionplot.layers.base import Layer, LoadContext
from regionplot.layers.colorbar import key_label
from regionplot.sheet.key import LegendKey
from regionplot.sheet.layout import HALF_CAPITAL, POINTS_PER_INCH, Box, Layout, Page, Room
from regionplot.sheet.marks import Rectangle, Text

NAME = "legend"
_SWATCH = 16, 9
"""Width and height of a swatch in points."""
_ROW = 15
"""Points from one row to the next."""
_GAP = 5
"""Points between a swatch and the name of its class."""
_LABEL_HEIGHT = 24
"""Points for the label, which is below the legend, or above it on sheets with short color bars."""
_LABEL_MIDDLE = 13
"""Points from the bottom of the sheet to the middle of the label."""
_FOOT = 6
"""Points below the legend if its label is above it."""
_ABOVE = 6
"""Points between the legend and the panel."""
_NAME_POINTS = 9
"""Font size of the class names on a sheet of 14 × 9 inches."""
_MAX_SHARE = 1 / 3
"""Maximum height of a legend as a fraction of the sheet."""
_MIN_NAME = 3
"""Minimum number of letters of a class name that must fit. If fewer fit, no legend is drawn."""
_LETTER, _CAPITAL, _IDEOGRAM = 0.6, 0.72, 1.0
"""Estimated widths of letters, as fractions of the font size. The exact widths are known only when names are drawn."""
_WIDER = {**dict.fromkeys("0123456789", 0.1), **dict.fromkeys("wMW&", 0.28), **dict.fromkeys("m%@", 0.4)}
"""Differences of the widths of DejaVu Sans to the estimated widths, as fractions of the font size. Hinting makes the
digits of small fonts wider."""
_MIN_LABEL = 0.6
"""Minimum font size of a long label, as a fraction of its normal size. A label that is still too long is truncated."""


@dataclass(frozen=True, slots=True)
class LegendGrid:
    """Positions of the classes in columns of equal width, filled from top to bottom, then from left to right."""

    box: Box
    rows: int
    columns: int
    swatch: tuple[int, int]
    """Width and height in pixels."""
    gap: int
    """Pixels between a swatch and its name. The gap between a name and the next swatch is at least three times as
    wide, or twice if the name is wider than estimated."""

    @classmethod
    def of(cls, page: Page, names: Sequence[str], bottom: int = 0) -> LegendGrid | None:
        """Lay out a legend, centered on the sheet. On sheets with short color bars, it begins at the left margin.

        The legend has as many columns as fit with complete names. If there are too many rows, the legend gets more
        columns, and names are truncated.

        Parameters
        ----------
        page : Page
            The sheet.
        names : sequence of str
            Names of the classes.
        bottom : int
            Pixels from the bottom of the sheet to the legend.

        Returns
        -------
        LegendGrid or None
            None if there are no names, or if the names do not fit on the sheet.
        """
        if not names:
            return None
        swatch, gap, row = (page.pixels(_SWATCH[0]), page.pixels(_SWATCH[1])), page.pixels(_GAP), page.pixels(_ROW)
        beside, available = swatch[0] + 4 * gap, page.size[0] - 2 * page.margin
        widest = math.ceil(max(map(room_for_name, names)) * page.label_points * page.dpi / POINTS_PER_INCH)
        most_rows = max(1, int(page.size[1] * _MAX_SHARE / row))
        columns = max(1, min(available // (beside + widest), len(names)))
        rows = min(-(-len(names) // columns), most_rows)
        columns = -(-len(names) // rows)
        rows = -(-len(names) // columns)
        width = min(beside + widest, available // columns)
        if width < beside + _MIN_NAME * page.pixels(_NAME_POINTS) and width < beside + widest:
            return None
        left = (page.size[0] - columns * width + 3 * gap) // 2  # centered without the gap after the last column
        left = page.margin if page.has_short_bar else left
        return cls(Box(left, bottom, columns * width, rows * row), rows, columns, swatch, gap)

    @property
    def name_width(self) -> int:
        """Pixels for the name of a class."""
        return self.box.width // self.columns - self.swatch[0] - 4 * self.gap

    def swatch_box(self, number: int) -> Box:
        """Return the swatch of a class. The first class has the number 0."""
        column, row = divmod(number, self.rows)
        width, height = self.swatch
        row_height = self.box.height // self.rows
        left = self.box.left + column * (self.box.width // self.columns)
        return Box(left, self.box.top - (row + 1) * row_height + (row_height - height) // 2, width, height)


@dataclass(frozen=True)
class Legend(Layer):
    """A swatch and a name for each class, and a label."""

    zorder: ClassVar[float] = 96
    label: str
    key: str

    @classmethod
    @override
    def room(cls, settings: Any, page: Page) -> Room | None:
        grid = planned_grid(page)
        return None if grid is None else Room("bottom", _label_height(page) + grid.box.height + page.pixels(_ABOVE))

    @classmethod
    @override
    def load(cls, settings: Any, context: LoadContext) -> Self:
        label = key_label(context)
        return cls(label, key=label)

    @override
    def frame(self, layout: Layout) -> Iterator[Rectangle | Text]:
        key, grid, page = layout.page.key, legend_grid(layout), layout.page
        if grid is None or not isinstance(key, LegendKey):
            return
        for number, (name, color) in enumerate(zip(key.names, key.colors, strict=True)):
            box = grid.swatch_box(number)
            yield Rectangle(box, tuple(color), page.line_ink, page.neatline_pixels)
            middle = box.bottom + box.height / 2
            yield _line(page, box.right + grid.gap, middle, name, max_width=grid.name_width + grid.gap)
        is_above = page.has_short_bar
        bottom = grid.box.top - page.pixels(_FOOT) if is_above else layout.rooms[NAME].bottom
        x, align = (grid.box.left, "left") if is_above else (layout.size[0] / 2, "center")
        yield _line(
            page,
            x,
            bottom + page.pixels(_LABEL_MIDDLE),
            self.label,
            align=align,
            max_width=layout.text_width,
            smallest=_MIN_LABEL,
        )

    @override
    def inks(self) -> frozenset[str]:
        return frozenset()


def planned_grid(page: Page, bottom: int = 0) -> LegendGrid | None:
    """Return the grid of a legend, before the sheet is laid out. Return None if the sheet has no legend."""
    if not (page.config.colors.colorbar and isinstance(page.key, LegendKey)):
        return None
    below = page.pixels(_FOOT) if page.has_short_bar else _label_height(page)
    return LegendGrid.of(page, page.key.names, bottom + below)


def legend_grid(layout: Layout) -> LegendGrid | None:
    """Return the grid of a legend at its final position. Return None if the sheet has no legend."""
    room = layout.rooms.get(NAME)
    return None if room is None else planned_grid(layout.page, room.bottom)


def _label_height(page: Page) -> int:
    """Return the height of the space for the label, in pixels."""
    return page.pixels(_LABEL_HEIGHT) if page.config.colors.label != "" else page.margin


def _line(page: Page, x: float, middle: float, text: str, **options: Any) -> Text:
    """Return a line of text whose capital letters are centered at the height `middle`."""
    half = page.label_points * page.dpi / POINTS_PER_INCH * HALF_CAPITAL
    return Text(round(x), round(middle - half), text, page.label_points, page.ink, font=page.font, **options)


def letters_of(name: str) -> float:
    """Estimate the width of a name, as a multiple of the font size."""
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in name)
    capitals = sum(letter.isupper() for letter in name)
    return wide * _IDEOGRAM + capitals * _CAPITAL + (len(name) - wide - capitals) * _LETTER


def room_for_name(name: str) -> float:
    """Return a width, as a multiple of the font size, in which a name fits in each font."""
    return letters_of(name) + sum(_WIDER.get(letter, 0.0) for letter in name)
