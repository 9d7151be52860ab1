"""Read color maps of ParaView (`.json`). Transitions follow `vtkColorTransferFunction`."""

from __future__ import annotations

import colorsys
import json
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from regionplot.colors.files.base import MAX_ENTRIES, ColorTable, Entry, Lines, hex_color
from regionplot.colors.vision import lab_of, unclipped_rgb
from regionplot.text import plain_text

Triple = tuple[float, float, float]
_PARTS = 128
"""Maximum number of parts of a gradual transition outside of RGB. Each part is a transition in RGB."""
_POINT = 4
_NEARLY_GRAY = 0.05
_WIDE_TURN = 1.0472
"""60 degrees. Between hues that differ more, a diverging map goes through white (Moreland 2009)."""
_MIN_WHITE = 88.0


def read(lines: Lines) -> ColorTable:
    """Return the colors of the first map in a file."""
    preset = _preset(lines)
    nan = preset.get("NanColor")
    nodata = hex_color(*(255 * part for part in _numbers(lines, nan, 3, "NanColor"))) if nan else None
    if "IndexedColors" in preset:
        return ColorTable(classes=tuple(_classes(lines, preset)), nodata=nodata)
    flat = preset.get("RGBPoints")
    points = _points(lines, flat)
    space = str(preset.get("ColorSpace", "RGB"))
    if space == "Step":
        limits = tuple(value for value, _ in points)
        first, *colors = (_hex(color) for _, color in points)
        return ColorTable(limits=limits, colors=tuple(colors), under=first, nodata=nodata, closed="upper")
    return ColorTable(stops=tuple(_stops(lines, points, space)), nodata=nodata)


def _preset(lines: Lines) -> dict[str, Any]:
    """Return the first map in a file."""
    try:
        content = json.loads(lines.text)
    except json.JSONDecodeError as error:
        lines.refuse(f"is not valid JSON: {error.msg}", error.lineno)
    except RecursionError:
        lines.refuse("its JSON is nested too deeply")
    except ValueError:  # Python limits the digits of whole numbers
        lines.refuse("is not valid JSON: a number has too many digits")
    found = content[0] if isinstance(content, list) and content else content
    if not isinstance(found, dict) or not {"RGBPoints", "IndexedColors"} & set(found):
        lines.refuse("has no RGBPoints and no IndexedColors; export a color map from ParaView")
    return found


def _numbers(lines: Lines, values: Any, multiple: int, key: str) -> list[float]:
    is_list = isinstance(values, list) and values and len(values) % multiple == 0
    if not is_list or not all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
        lines.refuse(f"{key} must be a list of numbers, {multiple} for each color")
    if len(values) > multiple * MAX_ENTRIES:
        lines.refuse(f"{key} has more than {MAX_ENTRIES} colors")
    return [lines.number(str(value)) for value in values]


def _points(lines: Lines, flat: Any) -> list[tuple[float, Triple]]:
    """Return the value and the color of each point, sorted by value."""
    values = _numbers(lines, flat, _POINT, "RGBPoints")
    rows = [values[first : first + _POINT] for first in range(0, len(values), _POINT)]
    for row in rows:
        if not all(0 <= part <= 1 for part in row[1:]):
            lines.refuse(f"RGBPoints: the color of {row[0]:g} is not between 0 and 1")
    return sorted(((row[0], (row[1], row[2], row[3])) for row in rows), key=lambda point: point[0])


def _classes(lines: Lines, preset: dict[str, Any]) -> Iterator[tuple[float, str, str]]:
    """Yield the classes of a map for categories. Annotations give their values and names."""
    values = _numbers(lines, preset["IndexedColors"], 3, "IndexedColors")
    colors = [hex_color(*(255 * part for part in values[first : first + 3])) for first in range(0, len(values), 3)]
    notes = preset.get("Annotations") or [text for number in range(len(colors)) for text in (str(number), "")]
    if not isinstance(notes, list) or len(notes) % 2 or not all(isinstance(note, str) for note in notes):
        lines.refuse("Annotations must be a list of values and names, as text")
    for number, (value, name) in enumerate(zip(notes[::2], notes[1::2], strict=True)):
        yield lines.number(value), colors[number % len(colors)], plain_text(name)


def _stops(lines: Lines, points: Sequence[tuple[float, Triple]], space: str) -> Iterator[Entry]:
    mixed = _MIXERS.get(space)
    if mixed is None:
        lines.refuse(f"the color space {space[:40]!r} is not supported; use one of {', '.join((*_MIXERS, 'Step'))}")
    parts = 1 if space == "RGB" else min(_PARTS, -(-MAX_ENTRIES // len(points)))
    for (low, first), (high, last) in pairwise(points):
        for step in range(parts):
            share = step / parts
            yield low + (high - low) * share, _hex(mixed(first, last, share))
        yield high, _hex(last)


def _hex(color: Sequence[float]) -> str:
    return hex_color(*(255 * part for part in color))


def _mixed(first: Sequence[float], last: Sequence[float], share: float) -> Triple:
    a, b, c = (start + (end - start) * share for start, end in zip(first, last, strict=True))
    return a, b, c


def _mixed_hsv(first: Triple, last: Triple, share: float) -> Triple:
    """Mix two colors in HSV. The hue turns in the shorter direction, unless the space is `HSVNoWrap`."""
    start, end = colorsys.rgb_to_hsv(*first), colorsys.rgb_to_hsv(*last)
    turn = (end[0] - start[0] + 0.5) % 1 - 0.5
    hue, saturation, value = _mixed(start, (start[0] + turn, *end[1:]), share)
    return colorsys.hsv_to_rgb(hue % 1, saturation, value)


def _mixed_lab(first: Triple, last: Triple, share: float) -> Triple:
    start, end = (lab_of(np.array([color]))[0] for color in (first, last))
    return _displayed(_mixed(start, end, share))


def _displayed(lab: Triple) -> Triple:
    """Return sRGB of CIELAB. Colors that no screen shows are divided by their largest channel, as VTK does."""
    rgb = np.maximum(unclipped_rgb(np.array([lab]))[0], 0)
    red, green, blue = (float(part) for part in rgb / max(1.0, float(rgb.max())))
    return red, green, blue


def _mixed_diverging(first: Triple, last: Triple, share: float) -> Triple:
    """Mix two colors in Msh space, through white if both are saturated.

    Source: Moreland (2009), doi:10.1007/978-3-642-10520-3_9.
    """
    start, end = (_msh(lab_of(np.array([color]))[0]) for color in (first, last))
    is_wide = start[1] > _NEARLY_GRAY and end[1] > _NEARLY_GRAY and _turn(start[2], end[2]) > _WIDE_TURN
    if is_wide:
        white = max(start[0], end[0], _MIN_WHITE)
        if share < 0.5:
            end, share = (white, 0.0, 0.0), 2 * share
        else:
            start, share = (white, 0.0, 0.0), 2 * share - 1
    if start[1] < _NEARLY_GRAY < end[1]:
        start = (start[0], start[1], _adjusted(end, start[0]))
    elif end[1] < _NEARLY_GRAY < start[1]:
        end = (end[0], end[1], _adjusted(start, end[0]))
    m, s, h = _mixed(start, end, share)
    return _displayed((m * np.cos(s), m * np.sin(s) * np.cos(h), m * np.sin(s) * np.sin(h)))


def _msh(lab: Any) -> Triple:
    m = float(np.sqrt((lab**2).sum()))
    s = float(np.arccos(np.clip(lab[0] / m, -1, 1))) if m > 1e-3 else 0.0
    h = float(np.arctan2(lab[2], lab[1])) if s > 1e-3 else 0.0
    return m, s, h


def _turn(first: float, last: float) -> float:
    difference = abs(first - last)
    return float(2 * np.pi - difference if difference > np.pi else difference)


def _adjusted(color: Triple, unsaturated: float) -> float:
    """Return the hue of a nearly gray color, so that the transition looks even."""
    m, s, h = color
    if m >= unsaturated - 0.1:
        return h
    spin = s * np.sqrt(unsaturated**2 - m**2) / (m * np.sin(s))
    return float(h + spin if h > -np.pi / 3 else h - spin)


_MIXERS: dict[str, Callable[[Triple, Triple, float], Triple]] = {
    "RGB": _mixed,
    "Lab": _mixed_lab,
    "Diverging": _mixed_diverging,
    "HSV": _mixed_hsv,
}
