"""Read color palette tables of GMT (`.cpt`, https://docs.generic-mapping-tools.org/latest/reference/cpts.html)."""

from __future__ import annotations

import colorsys
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from regionplot.colors.files.base import MAX_ENTRIES, ColorTable, Entry, Lines, hex_color
from regionplot.colors.names import is_color, rgba_of
from regionplot.text import plain_text

_BACKGROUND, _FOREGROUND, _NODATA = "#000000", "#ffffff", "#808080"
"""GMT's default colors of values below and above the table, and of missing values."""
_X11 = {"gray": "#bebebe", "grey": "#bebebe", "green": "#00ff00", "maroon": "#b03060", "purple": "#a020f0"}
"""Names that mean other colors in GMT than in CSS."""
_ENDS = ("B", "F", "N")
_HSV = "HSV"
_MODEL = re.compile(r"#\s*COLOR_MODEL\s*=\s*(\+?)(\w+)", re.IGNORECASE)
_RANGE = re.compile(r"#\s*RANGE\s*=\s*(\S+)/(\S+)", re.IGNORECASE)
_GRAY = re.compile(r"gr[ae]y(\d{1,3})")
_HSV_STEPS = 16
"""Number of parts of a gradual transition in HSV. Each part is a transition in RGB."""
_SLICE_WITH_NUMBERS, _SLICE = 8, 4
_CLASS = 2


@dataclass
class _Table:
    """The content of a file, as far as it has been read."""

    lines: Lines
    model: str = "RGB"
    mixes_hsv: bool = False
    """True if transitions are in HSV instead of RGB."""
    slices: list[tuple[float, tuple[float, ...], float, tuple[float, ...]]] = field(default_factory=list)
    """Lower value and color, upper value and color. Colors have four numbers from 0 to 255."""
    classes: list[tuple[float, str, str]] = field(default_factory=list)
    ends: dict[str, str] = field(default_factory=dict)
    range: tuple[float, float] | None = None

    def read_line(self, number: int, line: str) -> None:
        if line.startswith("#"):
            self._read_comment(line)
            return
        content, _, label = line.partition(";")
        parts = content.split()
        if not parts:
            return
        if parts[0] in _ENDS:
            self.ends[parts[0]] = hex_color(*self._color("/".join(parts[1:]), number))
            return
        if len(parts) > _CLASS and parts[-1] in ("L", "U", "B"):  # annotations of a color bar
            parts.pop()
        self._read_colors(number, parts, plain_text(label))

    def _read_colors(self, number: int, parts: list[str], label: str) -> None:
        if len(parts) == _SLICE_WITH_NUMBERS:
            parts = [parts[0], "/".join(parts[1:4]), parts[4], "/".join(parts[5:8])]
        if len(parts) == _SLICE:
            low, high = self.lines.number(parts[0], number), self.lines.number(parts[2], number)
            self._add_slice(number, low, self._color(parts[1], number), high, self._color(parts[3], number))
        elif len(parts) == _CLASS:
            value = self.lines.number(parts[0], number)
            self.classes.append((value, hex_color(*self._color(parts[1], number)), label))
        else:
            self.lines.refuse("write: lower value, color, upper value, color; or for a class: value, color", number)
        if len(self.slices) + len(self.classes) > MAX_ENTRIES:
            self.lines.refuse(f"has more than {MAX_ENTRIES} colors", number)

    def _add_slice(
        self, number: int, low: float, first: tuple[float, ...], high: float, last: tuple[float, ...]
    ) -> None:
        if not low < high:
            self.lines.refuse(f"the lower value {low:g} must be less than the upper value {high:g}", number)
        if self.slices and self.slices[-1][2] != low:
            self.lines.refuse(f"begins at {low:g}, but the line before ends at {self.slices[-1][2]:g}", number)
        self.slices.append((low, first, high, last))

    def _read_comment(self, line: str) -> None:
        if found := _MODEL.match(line):
            self.model, self.mixes_hsv = found[2].upper(), found[1] == "+" and found[2].upper() == _HSV
        if found := _RANGE.match(line):
            low, high = (self.lines.number(text) for text in found.groups())
            self.range = (low, high) if low < high else None

    def _color(self, text: str, number: int) -> tuple[float, ...]:
        """Return red, green, blue and opacity (0 to 255) of a color in GMT's notation."""
        text, _, transparency = text.partition("@")
        opacity = 255 * (1 - self.lines.number(transparency, number) / 100) if transparency else 255
        if self.model == _HSV and re.fullmatch(r"[-\d.e+/]+", text):
            text = re.sub(r"(?<=[\d.])-", "/", text)
            hue, saturation, value = self._numbers(text, 3, number)
            return *(255 * part for part in colorsys.hsv_to_rgb(hue / 360, saturation, value)), opacity
        if "/" in text:
            parts = self._numbers(text, text.count("/") + 1, number)
            return *_rgb(parts), opacity
        if re.fullmatch(r"\d+(\.\d+)?", text):
            return *(self.lines.byte(text, number),) * 3, opacity
        if re.fullmatch(r"\d[\d.]*-[\d.]+-[\d.]+", text):
            hue, saturation, value = self._numbers(text.replace("-", "/"), 3, number)
            return *(255 * part for part in colorsys.hsv_to_rgb(hue / 360, saturation, value)), opacity
        return *(255 * part for part in self._named(text.lower(), number)), opacity

    def _named(self, name: str, number: int) -> tuple[float, ...]:
        if gray := _GRAY.fullmatch(name):
            return (round(min(100, int(gray[1])) * 2.55) / 255,) * 3
        if name in _X11:
            return rgba_of(_X11[name])[:3]
        if name == "none" or not is_color(name):
            self.lines.refuse(f"the color {name[:40]!r} is unknown; write red/green/blue, or #rrggbb", number)
        return rgba_of(name)[:3]

    def _numbers(self, text: str, count: int, number: int) -> list[float]:
        parts = text.split("/")
        if len(parts) != count or count not in (3, 4):
            self.lines.refuse(f"{text[:40]!r} is not a color; write red/green/blue", number)
        return [
            self.lines.byte(part, number) if self.model != _HSV else self.lines.number(part, number) for part in parts
        ]

    def result(self) -> ColorTable:
        if self.classes:
            if self.slices:
                self.lines.refuse("mixes classes and intervals of values")
            return ColorTable(classes=tuple(self.classes), nodata=self.ends.get("N", _NODATA))
        if not self.slices:
            self.lines.refuse("has no colors")
        under, over, nodata = self.ends.get("B"), self.ends.get("F"), self.ends.get("N")
        empty = ColorTable(under=under or _BACKGROUND, over=over or _FOREGROUND, nodata=nodata or _NODATA)
        stretch = self._stretch()
        if all(first == last for _, first, _, last in self.slices):
            limits = (self.slices[0][0], *(high for _, _, high, _ in self.slices))
            colors = tuple(hex_color(*first) for _, first, _, _ in self.slices)
            return replace(empty, limits=tuple(map(stretch, limits)), colors=colors, closed="last")
        stops = [(stretch(value), color) for one in self.slices for value, color in _stops(one, self.mixes_hsv)]
        return replace(empty, stops=tuple(stops))

    def _stretch(self) -> Callable[[float], float]:
        """Return a function from the values of the file to the range that the file states."""
        low, high = self.slices[0][0], self.slices[-1][2]
        if self.range is None or (low, high) not in ((0, 1), (-1, 1)):
            return float
        start, end = self.range
        return lambda value: start + (value - low) / (high - low) * (end - start)


def read(lines: Lines) -> ColorTable:
    """Return the colors of a file."""
    table = _Table(lines)
    for number, line in lines.numbered():
        table.read_line(number, line)
    return table.result()


def _stops(one: tuple[float, tuple[float, ...], float, tuple[float, ...]], mixes_hsv: bool) -> list[Entry]:
    """Return the stops of one slice. A transition in HSV is divided into parts."""
    low, first, high, last = one
    if not mixes_hsv or first == last:
        return [(low, hex_color(*first)), (high, hex_color(*last))]
    start, end = (colorsys.rgb_to_hsv(*(part / 255 for part in color[:3])) for color in (first, last))
    found = []
    for step in range(_HSV_STEPS + 1):
        share = step / _HSV_STEPS
        mixed = colorsys.hsv_to_rgb(*(a + (b - a) * share for a, b in zip(start, end, strict=True)))
        found.append((low + (high - low) * share, hex_color(*(255 * part for part in mixed))))
    return found


def _rgb(parts: list[float]) -> tuple[float, ...]:
    """Return red, green and blue of RGB numbers, or of CMYK percentages."""
    if len(parts) == 3:
        return tuple(parts)
    *inks, black = (part / 100 for part in parts)
    return tuple(255 * (1 - min(1, ink + black)) for ink in inks)
