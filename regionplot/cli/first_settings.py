"""Write settings and a table of regions to start from, for a file that `regionplot info` has described."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from regionplot.cli.file_facts import Facts

_FULL_TURN = 360.0
_DECIMALS = 4
_DIGITS = 3
"""Minimum number of digits of the width and the height of a small region."""
_PAD, _POLE = 0.5, 90.0
"""Degrees around a point, and the latitude of the North Pole."""
_PANEL, _MARGINS = (1346, 735), (54, 165)
"""Width and height of the panel of the standard sheet in the atlas style, in pixels, and of the rest of the sheet."""
_WIDTHS, _HEIGHTS = (850, 1700), (500, 1100)
"""Least and largest width and height of a panel, in pixels."""
_LIKE_STANDARD = 1.15
"""Ratio of the shapes of two panels below which they are alike."""
_NAMES = ("name", "geoid", "id", "code", "fips")
"""Names and parts of names of fields that suit the names of regions, in lower case."""


def first_quantity(facts: Facts, name: str | None = None) -> Mapping[str, Any] | None:
    """Return the quantity with a name, or the first quantity that can be drawn. Return None if there is none."""
    usable = [each for each in facts["quantities"] if "grid" in each and not each["problem"]]
    named = [each for each in usable if each["name"] == name]
    return next(iter(named if name else usable), None)


def raster_settings(facts: Facts, quantity: Mapping[str, Any]) -> str:
    """Return settings, as TOML, that draw one quantity of a raster."""
    times = quantity["times"]
    more = [f'# time = "all"  # all {len(times)} times'] if len(times) > 1 else []
    keys = {"path": facts["path"], **quantity["select"]}
    colors = quantity.get("colors", {"keys": {}, "reason": ""})
    reason = f"  # {colors['reason']}" if colors["reason"] else ""
    note = "" if _has_degrees(quantity["grid"]) else "  # the limits in regions.csv have its units"
    return _text(
        ["[raster]", *_lines(keys), *more, ""],
        ["[map]", 'style = "atlas"', f'projection = "raster"{note}', *_size(*_limits(quantity["grid"])), ""],
        [f"[colors]{reason}", *_lines(colors["keys"])],
    )


def raster_regions(quantity: Mapping[str, Any]) -> str:
    """Return a table with one region: the extent of the raster."""
    grid = quantity["grid"]
    west, south, east, north = _limits(grid)
    if not _has_degrees(grid):  # a box in degrees would be larger than the grid
        return _table(("xmin", "xmax", "ymin", "ymax"), (west, east, south, north), "Whole grid")
    return degrees_table(west, south, east, north, "Whole grid")


def _limits(grid: Mapping[str, Any]) -> tuple[float, float, float, float]:
    """Return west, south, east and north of a grid: in degrees if it has degrees, else in its units."""
    if _has_degrees(grid):
        west, south, east, north = (grid["degrees"][key] for key in ("west", "south", "east", "north"))
    else:
        west, south, east, north = (grid["extent"][key] for key in ("xmin", "ymin", "xmax", "ymax"))
    return west, south, east, north


def _size(west: float, south: float, east: float, north: float) -> list[str]:
    """Return a line with the size of a sheet whose panel has the shape of the grid.

    Return no line if the standard sheet suits. The panel is as large as that of the standard sheet.
    """
    width, height = _PANEL
    if not (east > west and north > south):
        return []
    shape = (east - west) / (north - south)
    if max(shape / (width / height), width / height / shape) < _LIKE_STANDARD:
        return []
    panel = math.sqrt(width * height * shape), math.sqrt(width * height / shape)
    sides = zip(panel, (_WIDTHS, _HEIGHTS), _MARGINS, strict=True)
    size = [round(min(max(side, least), largest) + margin, -1) for side, (least, largest), margin in sides]
    return [f"size = [{size[0]:.0f}, {size[1]:.0f}]  # suits the shape of the grid"]


def degrees_table(west: float, south: float, east: float, north: float, title: str) -> str:
    """Return a table with one region, from its limits in degrees and its title."""
    turns = (west + _FULL_TURN) // _FULL_TURN if west < -_FULL_TURN or east > _FULL_TURN else 0
    first, last = west - turns * _FULL_TURN, min(east - turns * _FULL_TURN, _FULL_TURN)
    if last - first == 0 or north - south == 0:  # a point, or a line along an axis
        first, last, south, north = first - _PAD, last + _PAD, max(south - _PAD, -_POLE), min(north + _PAD, _POLE)
    return _table(("west", "east", "south", "north"), (first, last, south, north), title)


def _table(keys: Sequence[str], limits: Sequence[float], title: str) -> str:
    """Return a table with one region. Its limits are rounded to less than a cell of most grids."""
    smallest = min(limits[1] - limits[0], limits[3] - limits[2])
    decimals = max(_DECIMALS, _DIGITS - math.floor(math.log10(smallest))) if smallest > 0 else _DECIMALS
    return f"name,{','.join(keys)},title\nall,{','.join(_plain(limit, decimals) for limit in limits)},{title}\n"


def vector_settings(facts: Facts, layer: Mapping[str, Any]) -> str:
    """Return settings, as TOML, that draw a layer over the embedded sample raster.

    The features are the regions if they have an area and unique names.
    """
    chosen = {"layer": layer["name"]} if len(facts["layers"]) > 1 else {}
    regions = ["[regions]  # each feature is a region", *_lines({**chosen, "name_field": name_field(layer)}), ""]
    return _text(
        ["[raster]", 'path = "sample:relief"  # the raster to draw', ""],
        ["[map]", 'style = "atlas"', ""],
        regions if has_regions(layer) else [],
        ["[[features]]", *_lines({"path": facts["path"], **chosen})],
    )


def vector_regions(layer: Mapping[str, Any]) -> str:
    """Return a table with the extent of a layer, or an empty text if the features are the regions."""
    if has_regions(layer) or not layer["degrees"]:
        return ""
    west, south, east, north = layer["degrees"]
    return degrees_table(west, south, east, north, "All features")


def has_regions(layer: Mapping[str, Any]) -> bool:
    """Return True if the features of a layer can be regions."""
    has_area = not any(kind in layer["geometry"] for kind in ("Point", "Line"))
    return has_area and name_field(layer) is not None


def name_field(layer: Mapping[str, Any]) -> str | None:
    """Return the field of a layer that suits the names of regions, or None if no field has unique values."""
    unique = sorted((field["type"] != "text", field["name"]) for field in layer["fields"] if field["is_unique"])
    names = [str(name) for _, name in unique]
    for is_good in (str.__eq__, str.__contains__):
        for word in _NAMES:
            found = next((name for name in names if is_good(name.casefold(), word)), None)
            if found is not None:
                return found
    return next(iter(names), None)


def _has_degrees(grid: Mapping[str, Any]) -> bool:
    """Return True if the limits of a grid are longitudes and latitudes in degrees."""
    return grid["degrees"] is not None and grid["unit"] == "degree"


def _text(*parts: Iterable[str]) -> str:
    return "\n".join(line for part in parts for line in part) + "\n"


def _lines(keys: Mapping[str, Any]) -> list[str]:
    return [f"{key} = {_value(value)}" for key, value in keys.items()]


def _value(value: Any) -> str:
    """Return a value as TOML. JSON texts, numbers and lists are also TOML."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _plain(value: float, decimals: int) -> str:
    """Return a number in plain notation. Meters have one decimal, unless the region is small."""
    text = f"{value:.{decimals}f}" if math.fabs(value) < 1e4 or decimals > _DECIMALS else f"{value:.1f}"
    return text.rstrip("0").rstrip(".")
