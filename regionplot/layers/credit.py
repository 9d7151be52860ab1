"""The sources of the data, at the lower right of the sheet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

from pydantic import Field
from typing_extensions import override

from regionplot import text
from regionplot.layers.base import Layer, LayerSettings, LoadContext, settings_digest
from regionplot.layers.colorbar import short_bar_width
from regionplot.layers.legend import letters_of
from regionplot.layers.scale_bar_width import scale_bar_width
from regionplot.layers.symbol_keys import symbol_keys_width
from regionplot.settings.base import Template
from regionplot.settings.sheet import FontSize
from regionplot.sheet.layout import POINTS_PER_INCH, Layout, Page, Room
from regionplot.sheet.marks import Text

_BOTTOM, _LINE = 10.8, 10.8
"""Points from the bottom of the sheet to the lowest baseline, and from line to line."""
_WIDTH = 302
"""Maximum width in points. Longer lines are made smaller."""
_LEAST_WIDTH, _LEAST_NARROW = 150, 105
"""Points without which the lines get a space of their own, above the color bar: usual, and on narrow sheets, where the
lines are shorter."""
_SMALLEST = 0.6
"""Minimum font size of a long line, as a fraction of its normal size. A longer line is divided into two."""


_NARROW_LETTERS = 0.8
"""Mean width of the letters of a line of Source Sans, as a fraction of the width that `letters_of` estimates."""
_BRACES = str.maketrans("", "", "{}")
NAME = "credit"


class CreditSettings(LayerSettings):
    """`[credit]`: the sources of the data."""

    lines: Annotated[tuple[Template, ...], Field(strict=False, max_length=4)]
    """Up to four lines of text, such as "Boundaries: US Census Bureau". The texts can have fields of the raster.
    A line with a field that the raster does not have is left out."""
    font_size: FontSize = 8.5
    """Font size in points, on a sheet of 14 × 9 inches."""


@dataclass(frozen=True)
class Credit(Layer):
    """The sources of the data. They are the same on all maps."""

    Settings = CreditSettings
    zorder: ClassVar[float] = 97
    settings: CreditSettings
    lines: tuple[str, ...]
    key: str

    @classmethod
    @override
    def room(cls, settings: CreditSettings, page: Page) -> Room:
        fits = _fits_beside(page, settings)
        return Room("bottom", page.pixels(2 * _BOTTOM + _LINE * len(settings.lines)), is_shared=fits)

    @classmethod
    @override
    def load(cls, settings: CreditSettings, context: LoadContext) -> Self:
        description = text.in_time_zone(context.description, context.config.map.time_zone)
        known = {name for name, value in description.items() if value not in ("", None)}
        kept = [line for line in settings.lines if known.issuperset(text.fields_of(line))]
        lines = tuple(text.plain_text(text.render(line, description)) for line in kept)
        return cls(settings, lines, settings_digest(settings, lines))

    def width_beside(self, page: Page) -> int:
        """Return the estimated pixels that the lines take at the right of a scale bar. 0 if they lie above it."""
        if not self.lines or not _fits_beside(page, self.settings):
            return 0
        return min(_width_of(self.lines, page, self.settings), page.pixels(_WIDTH), _free_width(page))

    @override
    def frame(self, layout: Layout) -> Iterator[Text]:
        page, free = layout.page, _free_width(layout.page)
        is_beside = _fits_beside(page, self.settings)
        room = layout.rooms[NAME]
        for number, line in enumerate(reversed(self.lines)):
            yield Text(
                layout.panel.left + layout.text_width,
                room.bottom + page.pixels(_BOTTOM + _LINE * number),
                line,
                page.small_points(self.settings.font_size),
                page.faint_ink,
                align="right",
                max_width=min(page.pixels(_WIDTH), free) if is_beside else layout.text_width,
                smallest=_SMALLEST,
                alike=self.lines,
                is_hinted=False,
                font=page.font,
            )

    @override
    def inks(self) -> frozenset[str]:
        return frozenset()


def credit_of(context: LoadContext) -> Credit | None:
    """Return the credit lines of a map, or None if there are none."""
    shown = (each for each in context.config.layers.get(NAME, ()) if isinstance(each, CreditSettings) and each.show)
    settings = next(shown, None)
    return None if settings is None else Credit.load(settings, context)


def _fits_beside(page: Page, settings: CreditSettings) -> bool:
    """Return True if the lines fit at the right of the color bar and the scale bar.

    The names of fields stand for their texts, which are not known when the sheet is laid out.
    """
    least = page.pixels(_LEAST_NARROW if page.is_narrow else _LEAST_WIDTH)
    lines = [line.translate(_BRACES) for line in settings.lines]
    return _free_width(page) >= min(least, _width_of(lines, page, settings))


def _width_of(lines: Sequence[str], page: Page, settings: CreditSettings) -> int:
    """Return the estimated width of lines in pixels."""
    letters = max(map(letters_of, lines), default=0.0) * _NARROW_LETTERS
    return round(letters * page.small_points(settings.font_size) * page.dpi / POINTS_PER_INCH)


def _free_width(page: Page) -> int:
    """Return the pixels at the right of a short color bar, keys and a scale bar."""
    has_bar = any(settings.show for settings in page.config.layers.get("scale_bar", ()))
    bars = short_bar_width(page) + symbol_keys_width(page) + (scale_bar_width(page) if has_bar else 0)
    return page.size[0] - 2 * page.margin - bars
