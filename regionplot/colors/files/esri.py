"""Read color files of ArcGIS (`.clr`): a value, red, green and blue in each line."""

from __future__ import annotations

from regionplot.colors.files.base import MAX_ENTRIES, ColorTable, Lines, hex_color

_PARTS = 4


def read(lines: Lines) -> ColorTable:
    """Return the classes of a file."""
    classes: list[tuple[float, str, str]] = []
    for number, line in lines.numbered():
        if line.startswith("#"):
            continue
        parts = line.replace(",", " ").split()
        if len(parts) < _PARTS:
            lines.refuse("write four numbers: the value, red, green and blue", number)
        color = hex_color(*(lines.byte(part, number) for part in parts[1:_PARTS]))
        classes.append((lines.number(parts[0], number), color, ""))
        if len(classes) > MAX_ENTRIES:
            lines.refuse(f"has more than {MAX_ENTRIES} colors", number)
    if not classes:
        lines.refuse("has no colors")
    return ColorTable(classes=tuple(classes))
