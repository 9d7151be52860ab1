"""Convert a table of points with longitudes and latitudes to GeoJSON, so that GDAL reads it like other vector files."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from regionplot.errors import FeaturesError
from regionplot.text import plain_text

SUFFIXES = (".csv", ".tsv", ".txt")
"""Suffixes of tables."""
_COORDINATES = (("lon", "lng", "long", "longitude", "x", "easting"), ("lat", "latitude", "y", "northing"))
"""Names of the columns with the coordinates, without case and separators. The first name is preferred."""
_DELIMITERS = ",;\t|"
_MAX_BYTES = 2**26
_MAX_ROWS, _MAX_CELLS = 1_000_000, 20_000_000
_INTEGER = re.compile(r"[+-]?\d{1,15}")
_CODE = re.compile(r"[+-]?0\d")
"""Start of a number with leading zeros, such as a FIPS code. Such a column is text."""


def is_table(path: Path) -> bool:
    """Return True if a path has the suffix of a table."""
    return path.suffix.casefold() in SUFFIXES


def points_as_geojson(path: Path) -> bytes:
    """Return the rows of a table as GeoJSON points.

    The table has a header. Columns such as `lon` and `lat` hold the coordinates. All other columns become attributes.
    A column becomes numbers if all its cells are numbers. Numbers can have a decimal comma, unless commas separate the
    columns. A row without coordinates becomes a feature without a geometry.

    Parameters
    ----------
    path : Path
        Delimited text in UTF-8, of at most 64 MiB and a million rows.

    Raises
    ------
    FeaturesError
        If the file cannot be read, is too large, or has no columns with coordinates.
    """
    text = _text_of(path)
    delimiter = max(_DELIMITERS, key=text.partition("\n")[0].count)
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
        header, rows = next(lines, []), list(islice(lines, _MAX_ROWS + 1))
    except csv.Error as error:
        raise FeaturesError(f"{path}: cannot be read as a table of points: {error}") from None
    if len(rows) > _MAX_ROWS or len(rows) * len(header) > _MAX_CELLS:
        raise FeaturesError(
            f"{path}: the table has more than {_MAX_ROWS:,} rows or {_MAX_CELLS:,} cells; convert it to GeoPackage"
        )
    columns = [name.strip() for name in header]
    x, y = (_column_of(columns, names) for names in _COORDINATES)
    if x is None or y is None:
        found = plain_text(", ".join(columns))
        raise FeaturesError(f"{path}: a table of points needs the columns lon and lat; the columns are: {found}")
    cells = [[cell.strip() for cell in row] + [""] * (len(columns) - len(row)) for row in rows if any(row)]
    decimal = "." if delimiter == "," else ","
    values = [_values([row[number] for row in cells], decimal) for number in range(len(columns))]
    names = [number for number, name in enumerate(columns) if name and number not in (x, y)]
    features = (  # as texts, because a million dictionaries would take a gigabyte
        json.dumps(
            {
                "type": "Feature",
                "properties": {columns[number]: values[number][row] for number in names},
                "geometry": _point(_number(cells[row][x], decimal), _number(cells[row][y], decimal)),
            }
        )
        for row in range(len(cells))
    )
    return f'{{"type": "FeatureCollection", "features": [{",".join(features)}]}}'.encode()


def _text_of(path: Path) -> str:
    if path.stat().st_size > _MAX_BYTES:
        raise FeaturesError(f"{path}: the table has more than {_MAX_BYTES:,} bytes; convert it to GeoPackage")
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise FeaturesError(f"{path}: the table is not text in UTF-8; save it as CSV UTF-8") from None


def _column_of(columns: Sequence[str], names: Sequence[str]) -> int | None:
    """Return the number of the first column with one of several names, or None if there is no such column."""
    plain = [re.sub(r"[\W_]", "", column).casefold() for column in columns]
    return next((plain.index(name) for name in names if name in plain), None)


def _values(cells: Sequence[str], decimal: str) -> Sequence[str | float | None]:
    """Return the cells of a column as numbers, if all are numbers, or as texts. Empty cells are None."""
    filled = [cell for cell in cells if cell]
    is_text = any(_CODE.match(cell) or not math.isfinite(_number(cell, decimal)) for cell in filled)
    return [(cell if is_text else _number(cell, decimal)) if cell else None for cell in cells]


def _number(cell: str, decimal: str) -> float:
    """Return the number in a cell, or NaN if it is not a number."""
    if _INTEGER.fullmatch(cell):
        return int(cell)
    try:
        return float(cell.replace(decimal, ".") if "_" not in cell else "")
    except ValueError:
        return math.nan


def _point(x: float, y: float) -> dict[str, object] | None:
    return {"type": "Point", "coordinates": [x, y]} if math.isfinite(x) and math.isfinite(y) else None
