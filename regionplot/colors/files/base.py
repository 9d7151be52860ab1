"""Choose the reader of a color file, and turn its content into keys of `[colors]`.

Each format has a module with a function that takes the `Lines` of a file and returns a `ColorTable`.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

from regionplot.errors import ConfigError, Place, Problem
from regionplot.settings.colors import ClassSettings, ColorSettings

MAX_BYTES = 4 * 2**20
"""Maximum size of a color file."""
MAX_ENTRIES = 4096
"""Maximum number of colors in a color file."""
Entry = tuple[float, str]
"""A value and its color, as `#rrggbb` or `#rrggbbaa`."""
_READERS = {".cpt": "gmt", ".qml": "qgis", ".clr": "esri", ".json": "paraview"}
_QGIS_EXPORT = "QGIS Generated Color Map", "INTERPOLATION:"
_NORMALIZED = ((0.0, 1.0), (-1.0, 1.0))
"""Ranges of files that hold a colormap instead of the colors of values."""
_MIN_LEVELS = 2
_MAX_LEVELS = 250


@dataclass(frozen=True, slots=True)
class Lines:
    """The text of a color file."""

    path: Path
    text: str

    def numbered(self) -> Iterator[tuple[int, str]]:
        """Yield the number and the text of each line that is not empty."""
        for number, line in enumerate(self.text.splitlines(), 1):
            if line.strip():
                yield number, line.strip()

    def refuse(self, message: str, line: int | None = None) -> NoReturn:
        """Raise a ConfigError that names the file and the line."""
        raise ConfigError(Problem(message, Place(file=str(self.path), line=line)))

    def number(self, text: str, line: int | None = None) -> float:
        """Return a finite number in a line, if the file has lines."""
        try:
            value = float(text)
        except ValueError:
            self.refuse(f"{text[:40]!r} is not a number", line)
        if not math.isfinite(value) or abs(value) > 1e300:
            self.refuse(f"{text[:40]} is not a finite number below 1e300", line)
        return value

    def byte(self, text: str, line: int) -> float:
        """Return a number from 0 to 255."""
        value = self.number(text, line)
        if not 0 <= value <= 255:
            self.refuse(f"{text} is not between 0 and 255", line)
        return value


@dataclass(frozen=True, slots=True)
class ColorTable:
    """The content of a color file. One of `stops`, `limits` and `classes` is set."""

    stops: tuple[Entry, ...] = ()
    """Values and colors, with gradual transitions."""
    limits: tuple[float, ...] = ()
    """Limits of classes of values."""
    colors: tuple[str, ...] = ()
    """Color of each class of values, one fewer than `limits`."""
    classes: tuple[tuple[float, str, str], ...] = ()
    """Value, color and name of each class of single values."""
    under: str | None = None
    over: str | None = None
    nodata: str | None = None
    closed: str = "lower"
    """Limit that belongs to a class: `lower`, `upper` or `last`."""
    rounding: str = "nearest"
    """Rounding of mixed colors: `nearest`, `gdal` or `qgis`."""
    is_relative: bool = False
    """True if the values are shares of the range of the data."""


def read_color_file(path: Path, own: ColorSettings) -> dict[str, Any]:
    """Return the keys of `[colors]` that a color file stands for.

    Parameters
    ----------
    path : Path
        The file. Its suffix and its content determine the format.
    own : ColorSettings
        Settings of the user. If they have limits, the colors of the file are stretched to these limits.

    Raises
    ------
    ConfigError
        If the file cannot be read. The error names the file and the line.
    """
    lines = Lines(path, _text(path))
    return _keys(lines, _reader(lines)(lines), own)


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(Problem(f"the color file cannot be read: {error.strerror}", Place(file=str(path)))) from None
    if len(content) > MAX_BYTES:
        raise ConfigError(
            Problem(f"is larger than {MAX_BYTES // 2**20} MB, so it is not a color file", Place(file=str(path)))
        )
    if b"\0" in content:
        raise ConfigError(Problem("is a binary file, not a color file", Place(file=str(path))))
    return content.decode("utf-8-sig", errors="replace")


def _reader(lines: Lines) -> Any:
    name = _READERS.get(lines.path.suffix.lower())
    if name is None:
        start = lines.text.lstrip()[:2000]
        name = "qgis_text" if any(mark in start for mark in _QGIS_EXPORT) else "gdal"
        name = "qgis" if start.startswith("<") else "paraview" if start.startswith(("[", "{")) else name
    return importlib.import_module(f"regionplot.colors.files.{name}").read


def _keys(lines: Lines, table: ColorTable, own: ColorSettings) -> dict[str, Any]:
    ends = {"under": table.under, "over": table.over, "nodata": table.nodata}
    keys: dict[str, Any] = {name: color for name, color in ends.items() if color is not None}
    has_limits = any(value is not None for value in (own.levels, own.vmin, own.vmax, own.norm, own.diverging))
    if table.classes:
        if has_limits:
            lines.refuse("has colors of single values, which cannot have levels or limits; remove them from [colors]")
        return {"classes": _class_settings(lines, table), **{k: v for k, v in keys.items() if k == "nodata"}}
    if table.limits:
        return keys | _class_keys(lines, table, has_limits=has_limits)
    stops = _checked_stops(lines, table.stops)
    if (table.is_relative or _is_normalized(stops[0][0], stops[-1][0])) and not has_limits:
        keys["norm"] = "linear"
    return keys | {"stops": stops, "rounding": table.rounding}


def _is_normalized(low: float, high: float) -> bool:
    """Return True if a file holds a colormap without values."""
    return (low, high) in _NORMALIZED


def _class_keys(lines: Lines, table: ColorTable, *, has_limits: bool) -> dict[str, Any]:
    """Return the keys of a file with classes of values."""
    if len(table.limits) < _MIN_LEVELS:
        lines.refuse(f"has {len(table.limits)} limits of classes; a scale needs at least {_MIN_LEVELS}")
    for before, after in pairwise(table.limits):
        if not before < after:
            lines.refuse(f"the values must increase, but {after:g} follows {before:g}")
    is_colormap = _is_normalized(table.limits[0], table.limits[-1])
    if has_limits or is_colormap or len(table.limits) > _MAX_LEVELS:
        pairs = zip(pairwise(table.limits), table.colors, strict=True)
        stops = tuple((value, color) for limits, color in pairs for value in limits)
        return {"stops": stops, **({"norm": "linear"} if is_colormap and not has_limits else {})}
    return {"levels": table.limits, "colors": table.colors, "closed": table.closed}


def _checked_stops(lines: Lines, stops: tuple[Entry, ...]) -> tuple[Entry, ...]:
    """Return stops without repeated ones. Refuse values that decrease."""
    distinct = tuple(stop for before, stop in pairwise(((math.nan, ""), *stops)) if before != stop)
    if len({value for value, _ in distinct}) < _MIN_LEVELS:
        lines.refuse("has fewer than two values with a color")
    for (before, _), (after, _) in pairwise(distinct):
        if before > after:
            lines.refuse(f"the values must increase, but {after:g} follows {before:g}")
    return distinct


def _class_settings(lines: Lines, table: ColorTable) -> tuple[ClassSettings, ...]:
    """Return the classes of single values."""
    if len(table.classes) > 1000:
        lines.refuse(f"has {len(table.classes):,} classes; at most 1000 can be drawn")
    found: dict[int, ClassSettings] = {}
    for value, color, name in table.classes:
        if not float(value).is_integer() or not -(2**31) <= value < 2**32:
            lines.refuse(f"the value {value:g} is not a whole number; classes of single values need whole numbers")
        found[int(value)] = ClassSettings(value=int(value), color=color, name=name)
    if max(found) - min(found) > 1_000_000:
        lines.refuse("its values are more than 1,000,000 apart")
    return tuple(found.values())


def hex_color(red: float, green: float, blue: float, opacity: float = 255) -> str:
    """Return a color of four numbers from 0 to 255 as `#rrggbb`, or `#rrggbbaa` if it is transparent.

    An opaque color between the steps of 8 bits is returned with 16 bits per channel.
    """
    if opacity == 255 and not all(abs(part - round(part)) < 1e-6 for part in (red, green, blue)):
        deep = (min(65535, max(0, round(part * 257))) for part in (red, green, blue))
        return "#{:04x}{:04x}{:04x}".format(*deep)
    parts = [min(255, max(0, math.floor(part + 0.5))) for part in (red, green, blue, opacity)]
    text = "#{:02x}{:02x}{:02x}{:02x}".format(*parts)
    return text[:7] if parts[3] == 255 else text
