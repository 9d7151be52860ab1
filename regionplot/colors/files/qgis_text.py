"""Read color maps that QGIS exports as text."""

from __future__ import annotations

import math

from regionplot.colors.files.base import MAX_ENTRIES, ColorTable, Lines, hex_color
from regionplot.text import plain_text

_MARK = "INTERPOLATION:"
_PARTS = 5
_UNBOUNDED = ("inf", "+inf", "infinity", "nan")
"""Values of the last class that has no upper limit."""
Item = tuple[float, str, str]
"""Value, color and name."""


def read(lines: Lines) -> ColorTable:
    """Return the colors of a file."""
    kind, items = "INTERPOLATED", list[Item]()
    for number, line in lines.numbered():
        if line.startswith(_MARK):
            kind = line.removeprefix(_MARK).strip()
        elif not line.startswith("#"):
            parts = line.split(",", _PARTS)
            if len(parts) < _PARTS:
                lines.refuse("write value,red,green,blue,opacity,name", number)
            color = hex_color(*(lines.byte(part, number) for part in parts[1:_PARTS]))
            items.append((limit_in(lines, parts[0], number), color, plain_text("".join(parts[_PARTS:]))))
            if len(items) > MAX_ENTRIES:
                lines.refuse(f"has more than {MAX_ENTRIES} colors", number)
    return shaded(lines, kind, items)


def limit_in(lines: Lines, text: str, number: int) -> float:
    """Return the value of an item. The last class can have the limit `inf`."""
    return math.inf if text.strip().lower() in _UNBOUNDED else lines.number(text, number)


def shaded(lines: Lines, kind: str, items: list[Item], *, ends: str | None = None) -> ColorTable:
    """Return the colors of items, as the color ramp shader of QGIS uses them.

    Parameters
    ----------
    lines : Lines
        The file, for errors.
    kind : str
        `INTERPOLATED`, `DISCRETE` or `EXACT`.
    items : list
        Value, color and name of each item.
    ends : str, optional
        Color of values beyond interpolated items. By default, they have the color of the nearest item.
    """
    if not items:
        lines.refuse("has no colors")
    items.sort(key=lambda item: item[0])
    bounded = [item for item in items if math.isfinite(item[0])]
    if kind == "EXACT":
        return ColorTable(classes=tuple(bounded))
    if kind == "INTERPOLATED":
        stops = tuple((value, color) for value, color, _ in bounded)
        return ColorTable(stops=stops, under=ends, over=ends, rounding="qgis")
    if kind != "DISCRETE":
        lines.refuse(f"the interpolation {kind[:40]!r} is unknown; QGIS writes INTERPOLATED, DISCRETE or EXACT")
    over = "none" if len(bounded) == len(items) else items[-1][1]
    colors = tuple(color for _, color, _ in bounded)
    limits = tuple(value for value, _, _ in bounded)
    return ColorTable(limits=limits, colors=colors[1:], under=colors[0], over=over, closed="upper")
