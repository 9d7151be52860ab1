"""Keys of contour lines and wind barbs: a label and examples of the symbols, beside a short color bar.

::

    color bar ─► keys of contours ─► keys of barbs ─► keys of missing cells ─► scale bar
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from regionplot import text
from regionplot.layers.colorbar import end_of_short_bar
from regionplot.layers.quantity import height_name, quantity_of, without_statistic
from regionplot.settings.base import LayerSettings
from regionplot.settings.config import Config
from regionplot.sheet.layout import HALF_CAPITAL, POINTS_PER_INCH, Layout, Page, Room
from regionplot.sheet.marks import Strokes, Text
from regionplot.text import number_labels

_LAYERS = ("contours", "barbs")
"""Layers with such keys, from left to right."""
_FOOT = 66
"""Height in points of the space for the keys."""
_MIDDLE = 28.5
"""Points from the bottom of the sheet to the middle of the symbols. They lie beside a short color bar."""
_LABEL = 38.2
"""Points from the bottom of the sheet to the baseline of the label."""
_FIRST_GAP, _GAP, _TEXT_GAP, _NEXT_GAP = 18.7, 18.7, 4.3, 10.0
"""Points before the first key and between two keys, between a symbol and its text, and before the next symbol."""
_LETTER = 0.5
"""Estimated mean width of a letter, as a fraction of the font size."""
_POINTS, _LABEL_POINTS = 9.0, 10.0
"""Font sizes of texts and labels."""
_SHORTEST = 86.0
"""Minimum width of a key in points, for its label."""
_SMALLEST = 0.8
"""Minimum font size of a long label, as a fraction of its normal size. A label that is too long gets two lines."""
_LARGEST_SHARE = 0.62
"""Right end of the last key as a fraction of the sheet. Keys that reach further are left out."""
_MOST_LEVELS = 3
_STAFF = 15.8
"""Length of the staff of a barb, in points."""
_CALM = 2.9
"""Radius of the circle for calm air, in points."""
_KNOTS = (5, 10, 50)
_GRAVITY = 9.80665
_SCALED: dict[str, dict[str, float]] = {
    "Pa": {"hPa": 0.01},
    "m": {"dam": 0.1, "km": 0.001, "cm": 100, "mm": 1000, "ft": 1 / 0.3048, "in": 1 / 0.0254},
    "gpm": {"dam": 0.1},
    "m²/s²": {"dam": 0.1 / _GRAVITY, "m": 1 / _GRAVITY},
    "m² s⁻²": {"dam": 0.1 / _GRAVITY, "m": 1 / _GRAVITY},
    "m/s": {"kt": 3600 / 1852, "km/h": 3.6},
    "mm": {"in": 1 / 25.4, "cm": 0.1},
}
"""Factors from the units of a file to other units."""
Points = tuple[tuple[float, float], ...]


class Symbol(NamedTuple):
    """A symbol of a key and its text."""

    text: str
    lines: tuple[Points, ...]
    """Lines in points, from the left end of the symbol and from its middle."""
    linewidth: float
    width: float
    """Width in points."""
    is_filled: bool = False

    def placed(self, x: float, y: float, scale: float) -> tuple[Points, ...]:
        """Return the lines in pixels. The left end and the middle of the symbol are at x and y."""
        return tuple(tuple((x + along * scale, y + up * scale) for along, up in line) for line in self.lines)


@dataclass(frozen=True)
class SymbolKey:
    """The key of one layer."""

    settings: LayerSettings
    label: str
    color: str

    def marks(self, layout: Layout) -> Iterator[Strokes | Text]:
        """Yield the label, the symbols and their texts. Yield nothing if the sheet has no space."""
        page, start = layout.page, _starts(layout).get(id_of(self.settings))
        if start is None:
            return
        scale = page.text_factor * page.dpi / POINTS_PER_INCH
        points, middle = page.small_points(_POINTS), _MIDDLE * scale
        baseline = round(middle - points * page.dpi / POINTS_PER_INCH * HALF_CAPITAL)
        yield Text(
            start, page.pixels(_LABEL), self.label, page.small_points(_LABEL_POINTS), page.ink, is_hinted=False,
            font=page.font, max_width=page.pixels(_width(self.settings, page)), smallest=_SMALLEST,
        )  # fmt: skip
        x = start / scale
        for symbol in symbols_of(self.settings):
            yield Strokes(
                symbol.placed(x * scale, middle, scale),
                self.color,
                symbol.linewidth,
                self.color if symbol.is_filled else None,
            )
            x += symbol.width + _TEXT_GAP
            yield Text(round(x * scale), baseline, symbol.text, points, page.ink, is_hinted=False, font=page.font)
            x += len(symbol.text) * _letter(page) + _NEXT_GAP


def id_of(settings: LayerSettings) -> str:
    """Return a text that names the settings of one layer."""
    return f"{type(settings).__name__} {settings.model_dump_json()}"


def key_room(settings: LayerSettings, page: Page) -> Room | None:
    """Return the space for the key of a layer, or None if it has no key."""
    has_key = page.has_short_bar and not page.is_narrow and bool(symbols_of(settings))
    return Room("bottom", page.pixels(_FOOT), is_shared=True) if has_key else None


def contour_label(settings: Any, description: Mapping[str, object], config: Config) -> str:
    """Return the label of the key of contour lines: the name and the units of the quantity.

    Parameters
    ----------
    settings : ContourSettings
        Settings of the lines.
    description : mapping
        Metadata of the field.
    config : Config
        The settings. Contours of the raster of the map have the units of `[colors]`.
    """
    if settings.key_label is not None:
        return str(settings.key_label)
    own = settings.raster is None and config.colors.units
    units = shown_units(settings, {"units": own} if own else description)
    name = settings.name or without_statistic(height_name(quantity_of(description), units)) or "Contours"
    return text.colorbar_label(name, units)


def shown_units(settings: Any, description: Mapping[str, object]) -> str:
    """Return the units of the levels of contour lines, or an empty text if they are unknown.

    Parameters
    ----------
    settings : ContourSettings
        Settings of the lines, with `scale` and `offset`.
    description : mapping
        Metadata of the field, with its units.
    """
    units = str(description.get("units", ""))
    if (settings.scale, settings.offset) == (1.0, 0.0):
        return units
    known = {} if settings.offset else _SCALED.get(text.units_label(units), {})
    return next((name for name, factor in known.items() if math.isclose(settings.scale, factor, rel_tol=1e-3)), "")


def end_of_symbol_keys(layout: Layout) -> int | None:
    """Return the right end of a short color bar and of these keys, in pixels. None if there are neither."""
    end, starts = end_of_short_bar(layout), _starts(layout)
    for settings in _keyed(layout.page):
        start = starts.get(id_of(settings))
        if start is not None:
            end = start + layout.page.pixels(_width(settings, layout.page))
    return end


def symbol_keys_width(page: Page) -> int:
    """Return the pixels that these keys need, with the gaps before them."""
    return sum(page.pixels(_GAP + _width(settings, page)) for settings in _keyed(page))


def symbols_of(settings: LayerSettings) -> list[Symbol]:
    """Return the symbols that the key of a layer explains. Empty: the layer has no key."""
    given: Any = settings
    if getattr(settings, "key_label", "") == "" or not settings.show:
        return []
    return _barbs(given) if hasattr(given, "u") else list(_lines(given))


def _keyed(page: Page) -> list[LayerSettings]:
    """Return the settings of the layers with a key, from left to right."""
    if not page.has_short_bar or page.is_narrow:
        return []
    return [each for name in _LAYERS for each in page.config.layers.get(name, ()) if symbols_of(each)]


def _starts(layout: Layout) -> dict[str, int]:
    """Return the left end of each key in pixels. Keys without space are left out."""
    page, end, found = layout.page, end_of_short_bar(layout), dict[str, int]()
    for settings in _keyed(page):
        start = layout.panel.left if end is None else end + page.pixels(_GAP if found else _FIRST_GAP)
        stop = start + page.pixels(_width(settings, page))
        if stop <= layout.size[0] * _LARGEST_SHARE and id_of(settings) not in found:
            found[id_of(settings)] = start
            end = stop
    return found


def _width(settings: LayerSettings, page: Page) -> float:
    """Return the width of a key in points."""
    symbols = symbols_of(settings)
    letters = sum(len(symbol.text) for symbol in symbols) * _letter(page)
    gaps = len(symbols) * _TEXT_GAP + (len(symbols) - 1) * _NEXT_GAP
    return max(_label_width(settings, page), sum(symbol.width for symbol in symbols) + letters + gaps)


def _label_width(settings: LayerSettings, page: Page) -> float:
    """Return the width of the label of a key in points. A label from the file is known only later."""
    label = getattr(settings, "key_label", None)
    if label is None:
        return _SHORTEST
    return min(_SHORTEST, len(label) * _letter(page) * _LABEL_POINTS / _POINTS)


def _letter(page: Page) -> float:
    """Return the mean width of a letter, in points of the standard sheet. Texts on small sheets are not as small."""
    return _LETTER * page.small_points(_POINTS) / page.text_factor


def _lines(settings: Any) -> Iterator[Symbol]:
    """Yield a usual line, and a bold line if there is one."""
    if settings.linewidth <= 0 or settings.color == "none":
        return
    long: Points = ((0.0, 0.0), (25.0, 0.0))
    if settings.interval is None:
        levels = sorted(settings.levels)
        few = len(levels) <= _MOST_LEVELS
        words = ", ".join(number_labels(levels)) if few else " to ".join(number_labels([levels[0], levels[-1]]))
        yield Symbol(words.replace("-", "\N{MINUS SIGN}"), (long,), settings.linewidth, 25.0)
        return
    yield Symbol(f"every {settings.interval:g}", (long,), settings.linewidth, 25.0)
    if settings.bold > 1 and settings.bold_linewidth > 0:
        yield Symbol(f"every {settings.interval * settings.bold:g}", (long,), settings.bold_linewidth, 25.0)


def _barbs(settings: Any) -> list[Symbol]:
    """Return a circle for calm air, and barbs for winds from the left of 5, 10 and 50 knots."""
    turns = [math.tau * number / 24 for number in range(25)]
    circle = tuple((_CALM * (1 + math.cos(turn)), _CALM * math.sin(turn)) for turn in turns)
    staff: Points = ((0.0, -2.0), (_STAFF, -2.0))
    ends: dict[int, Points] = {
        5: ((3.2, -2.0), (2.2, 1.6)),
        10: ((0.0, -2.0), (-2.0, 5.2)),
        50: ((0.0, -2.0), (1.4, 5.2), (4.6, -2.0), (0.0, -2.0)),
    }
    width = settings.linewidth
    calm = Symbol("calm", (circle,), width, 2 * _CALM)
    return [calm, *(Symbol(str(kt), (staff, ends[kt]), width, _STAFF, kt == max(_KNOTS)) for kt in _KNOTS)]
