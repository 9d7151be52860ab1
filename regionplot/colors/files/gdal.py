"""Read the text files of `gdaldem color-relief` (https://gdal.org/en/stable/programs/gdaldem.html#color-relief)."""

from __future__ import annotations

import re

from regionplot.colors.files.base import MAX_ENTRIES, ColorTable, Entry, Lines, hex_color

_NAMES = {
    "white": "#ffffff", "black": "#000000", "red": "#ff0000", "green": "#00ff00", "blue": "#0000ff",
    "yellow": "#ffff00", "magenta": "#ff00ff", "cyan": "#00ffff", "aqua": "#00bfbf", "grey": "#bfbfbf",
    "gray": "#bfbfbf", "orange": "#ff7f00", "brown": "#bf7f3f", "purple": "#7f00ff", "violet": "#7f00ff",
    "indigo": "#007fff",
}  # fmt: skip
"""GDAL's names of colors. They differ from those of CSS."""
_NODATA, _DEFAULT = "nv", "default"
_MIN_PARTS, _MAX_PARTS = 4, 5


def read(lines: Lines) -> ColorTable:
    """Return the colors of a file. The colors between the values of two lines are interpolated."""
    stops: list[Entry] = []
    shares: set[bool] = set()
    nodata = None
    for number, line in lines.numbered():
        if line.startswith(("#", "//")):
            continue
        key, color = _parsed(lines, number, line)
        if key == _NODATA:
            nodata = color
        elif key != _DEFAULT:
            shares.add(key.endswith("%"))
            stops.append((lines.number(key.removesuffix("%"), number), color))
        if len(stops) > MAX_ENTRIES:
            lines.refuse(f"has more than {MAX_ENTRIES} colors", number)
    if len(shares) > 1:
        lines.refuse("mixes values and percentages; use one of them")
    stops.sort(key=lambda stop: stop[0])
    return ColorTable(stops=tuple(stops), nodata=nodata, is_relative=True in shares, rounding="gdal")


def _parsed(lines: Lines, number: int, line: str) -> tuple[str, str]:
    """Return the value and the color of a line."""
    parts = [part for part in re.split(r"[\s,:]+", line) if part]
    key = parts[0].lower()
    if len(parts) > 1 and parts[1].lower() in _NAMES:
        return key, _NAMES[parts[1].lower()]
    if len(parts) < _MIN_PARTS:
        lines.refuse("write a value and a color: red, green and blue from 0 to 255, or a name of GDAL", number)
    return key, hex_color(*(lines.byte(part, number) for part in parts[1:_MAX_PARTS]))
