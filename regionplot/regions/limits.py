"""Parse the limits of a region: degrees, map units, one cell, or WKT."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import shapely

from regionplot.errors import RegionsError
from regionplot.geo.extent import LONLAT, Extent

DEGREE_COLUMNS = ("west", "east", "south", "north")


UNIT_COLUMNS = ("xmin", "xmax", "ymin", "ymax")


FORMS = "west,east,south,north | xmin,xmax,ymin,ymax | region | geometry,crs"


_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Row:
    """One row, which knows where it stands."""

    table: str
    line: int
    cells: Mapping[str, str]

    @property
    def place(self) -> str:
        """File and line of the row, such as `regions.csv:7`."""
        return f"{self.table}:{self.line}"

    def error(self, message: str, column: str | None = None) -> RegionsError:
        """Return an error that names the row, and the column if given."""
        return RegionsError(f"{self.place}: {f'column {column!r}: ' if column else ''}{message}")

    def number(self, column: str) -> float:
        """Return the finite number in a column."""
        return self.parse(self.cells[column], column)

    def parse(self, text: str, column: str) -> float:
        """Return a text as a finite number, or raise an error that names the column."""
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(value):
            raise self.error(f"{text!r} is not a finite number; write it like -104.5", column)
        return value


Limits = Callable[[Row], tuple[Extent, str | None]]


def from_degrees(row: Row) -> tuple[Extent, str | None]:
    """Return the extent of a row with `west, east, south, north`, and its CRS."""
    west, east, south, north = _numbers(row, [(row.cells[column], column) for column in DEGREE_COLUMNS])
    problems = [
        row.error(f"{value:g} is not a longitude: it must lie between -360 and 360", column)
        for column, value in (("west", west), ("east", east))
        if abs(value) > 360
    ]
    problems += [
        row.error(f"{value:g} is not a latitude: it must lie between -90 and 90", column)
        for column, value in (("south", south), ("north", north))
        if abs(value) > 90
    ]
    if west > east:
        east += 360
    if east - west > 360:
        problems.append(row.error(f"the region spans {east - west:g} degrees; 360 is the whole circle", "east"))
    _raise_all(problems)
    return _checked(row, Extent(west, east, south, north), ("west", "east", "south", "north")), LONLAT


def from_units(row: Row) -> tuple[Extent, str | None]:
    """Return the extent of a row with `xmin, xmax, ymin, ymax`, and its CRS."""
    values = _numbers(row, [(row.cells[column], column) for column in UNIT_COLUMNS])
    return _checked(row, Extent(*values), UNIT_COLUMNS), row.cells.get("crs") or None


def from_cell(row: Row) -> tuple[Extent, str | None]:
    """Return the extent of a row with all limits in one cell, and its CRS."""
    numbers = re.split(r"[\s,;]+", row.cells["region"].strip("[](){} \t"))
    if len(numbers) != 4:
        raise row.error(f"{row.cells['region']!r} is not four numbers x0, x1, y0, y1", "region")
    values = _numbers(row, [(text, "region") for text in numbers])
    return _checked(row, Extent(*values), ("x0", "x1", "y0", "y1")), row.cells.get("crs") or None


def from_geometry(row: Row) -> tuple[Extent, str | None]:
    """Return the bounding box of a row's WKT geometry, and its CRS."""
    if not row.cells["crs"]:
        raise row.error("a geometry needs its CRS, such as EPSG:4326", "crs")
    try:
        xmin, ymin, xmax, ymax = shapely.from_wkt(row.cells["geometry"]).bounds
    except (shapely.errors.ShapelyError, AttributeError) as error:
        raise row.error(f"not WKT: {error}", "geometry") from None
    if not all(map(math.isfinite, (xmin, ymin, xmax, ymax))):
        raise row.error("the geometry is empty or has coordinates that are not finite", "geometry")
    if not (xmin < xmax and ymin < ymax):
        raise row.error("the geometry has no area, and so it bounds no map", "geometry")
    return Extent(xmin, xmax, ymin, ymax), row.cells["crs"]


def _numbers(row: Row, cells: list[tuple[str, str]]) -> list[float]:
    """The numbers in some cells; all that are none are reported together."""
    values, errors = [], []
    for text, column in cells:
        try:
            values.append(row.parse(text, column))
        except RegionsError as error:
            errors.append(error)
    _raise_all(errors)
    return values


def _checked(row: Row, extent: Extent, names: tuple[str, ...]) -> Extent:
    """Refuse what cartopy and xarray would silently swap or widen."""
    west, east, south, north = names
    errors = []
    if extent.xmin >= extent.xmax:
        what = "equals" if extent.xmin == extent.xmax else "is greater than"
        errors.append(row.error(f"{west} {extent.xmin:g} {what} {east} {extent.xmax:g}", west))
    if extent.ymin >= extent.ymax:
        what = "equals" if extent.ymin == extent.ymax else "is greater than"
        errors.append(row.error(f"{south} {extent.ymin:g} {what} {north} {extent.ymax:g}", south))
    _raise_all(errors)
    return extent


def _raise_all(errors: list[Any]) -> None:
    if errors:
        raise RegionsError(*(problem for error in errors for problem in error.problems))
