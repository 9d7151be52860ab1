"""Find the columns of a table that hold the names and limits of regions."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from regionplot.regions.numbers import parse_number

DEGREE_COLUMNS = ("west", "east", "south", "north")
UNIT_COLUMNS = ("xmin", "xmax", "ymin", "ymax")
CENTER_COLUMNS = ("lon", "lat", "width_km")
HEIGHT_COLUMN = "height_km"
"""Optional column beside `CENTER_COLUMNS`. By default, the height is the width."""
TRACK_COLUMNS = ("track", "width_km")
"""Columns of regions that move, if the settings name tracks."""
FORMS = "west,east,south,north | xmin,xmax,ymin,ymax | lon,lat,width_km | region | geometry,crs"
_COMPLETE = (DEGREE_COLUMNS, UNIT_COLUMNS, CENTER_COLUMNS, ("region",), ("geometry", "crs"))
_LIMITS = {*(name for form in _COMPLETE for name in form), HEIGHT_COLUMN}
_ALIASES = {
    "west": "west lonmin minlon longitudemin minlongitude",
    "east": "east lonmax maxlon longitudemax maxlongitude",
    "south": "south latmin minlat latitudemin minlatitude",
    "north": "north latmax maxlat latitudemax maxlatitude",
    "xmin": "xmin minx", "xmax": "xmax maxx", "ymin": "ymin miny", "ymax": "ymax maxy",
    "lon": "lon lng longitude", "lat": "lat latitude", "width_km": "widthkm", "height_km": "heightkm",
    "name": "name", "title": "title", "track": "track", "projection": "projection",
    "region": "region", "geometry": "geometry", "crs": "crs",
}  # fmt: skip
_NAMES = {alias: name for name, aliases in _ALIASES.items() for alias in aliases.split()}
"""Name of the column for each accepted spelling, without case and separators."""


def standard_names(columns: Sequence[str]) -> dict[str, str]:
    """Return the standard name of each column that has another spelling, such as `Name`, `minx` or `lon_min`.

    If a table has all limits under standard names, other spellings are ignored.

    Examples
    --------
    >>> standard_names(["Name", "lon_min", "population"])
    {'Name': 'name', 'lon_min': 'west'}
    """
    found = _renamed(columns, _NAMES)
    complete = [form for form in _COMPLETE if set(form) <= {*columns, *found.values()}]
    if any(set(form) <= set(columns) for form in complete):
        return {column: name for column, name in found.items() if name not in _LIMITS}
    if any(form in (DEGREE_COLUMNS, UNIT_COLUMNS) for form in complete):
        return {column: name for column, name in found.items() if name not in ("region", "geometry")}
    if complete and CENTER_COLUMNS not in complete:
        return {column: name for column, name in found.items() if name not in (*CENTER_COLUMNS, HEIGHT_COLUMN)}
    return found


def _renamed(columns: Sequence[str], names: Mapping[str, str]) -> dict[str, str]:
    """Return the standard name of each column that has another spelling, unless another column has the name itself."""
    spelled = {column: names.get(re.sub(r"[\s_.-]", "", column).casefold()) for column in columns}
    return {column: name for column, name in spelled.items() if name is not None and name not in columns}


def has_name(columns: Sequence[str]) -> bool:
    """Return True if a column holds the names of the regions."""
    return "name" in columns or "name" in standard_names(columns).values()


def find_column(columns: Sequence[str], names: str) -> str | None:
    """Return the first column with one of several names. Case and separators do not matter.

    Parameters
    ----------
    columns : sequence of str
        Names of the columns.
    names : str
        Names without separators, in lower case, with spaces between them. The first name is preferred.
    """
    found = {re.sub(r"[\W_]", "", column).casefold(): column for column in reversed(columns)}
    return next((found[name] for name in names.split() if name in found), None)


def header_problems(columns: Sequence[str]) -> Iterator[str]:
    """Yield a message if a line is not a header, or if two columns have the same name."""
    if not has_name(columns) and any(math.isfinite(parse_number(column, ",")) for column in columns):
        yield f"this line is not a header; add the line name,{','.join(DEGREE_COLUMNS)} above it"
        return
    if twice := {name for name, count in Counter(columns).items() if name and count > 1}:
        yield f"the header names {', '.join(map(repr, sorted(twice)))} more than once"
    for name, spellings in _spellings_by_name(standard_names(columns)).items():
        if len(spellings) > 1:
            yield f"the columns {' and '.join(map(repr, spellings))} both mean {name!r}; keep one of them"


def _spellings_by_name(names: Mapping[str, str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for spelling, name in names.items():
        found.setdefault(name, []).append(spelling)
    return found


def limits_hint(columns: Sequence[str]) -> str:
    """Return a message for a table without limits. It names the missing columns if some columns of a form exist."""
    for form in (DEGREE_COLUMNS, UNIT_COLUMNS):
        missing = [name for name in form if name not in columns]
        if len(missing) == 1:
            return f"there is no column {missing[0]!r}; the limits need the columns {', '.join(form)}"
    if {"lat", "latitude"} & set(map(str.casefold, columns)) and {"lon", "lng", "longitude"} & set(
        map(str.casefold, columns)
    ):
        return f"a point has no extent; add the column width_km, or the columns {', '.join(DEGREE_COLUMNS)}"
    if "track" in columns:
        return 'name the file of each track in the settings: [regions] tracks = { milton = "milton.csv" }'
    if "geometry" in columns:
        return "a geometry needs a CRS; add the column crs with a code such as EPSG:4326"
    return f"no limits; add the columns {FORMS}"
