"""Parse the limits of a region. They are in four columns (degrees or map units), in one cell, or in a WKT geometry."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import shapely

from regionplot.errors import Place, Problem, RegionError, RegionsError
from regionplot.geo.boxes import box_around
from regionplot.geo.extent import FULL_TURN, LONLAT, Extent
from regionplot.regions.columns import CENTER_COLUMNS, DEGREE_COLUMNS, HEIGHT_COLUMN, UNIT_COLUMNS
from regionplot.regions.margins import in_degrees
from regionplot.regions.numbers import how_to_write, is_ambiguous, parse_number
from regionplot.text import quoted

_POLE = 90.0
logger = logging.getLogger(__name__)
_WIDE_STEP = (
    "an edge of the geometry is longer than 180 degrees, so the region spans most of the globe; if the edge crosses "
    "the antimeridian, write 181 instead of -179"
)
_CUT_TOLERANCE = 1e-6
"""A part counts as cut at the antimeridian if it ends within this distance of the antimeridian, in degrees."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table, with its file and line."""

    table: str
    """Name of the file."""
    line: int
    """Line on which the row starts, from 1."""
    cells: Mapping[str, str]
    """Text of each cell, by column."""
    decimal: str = "."
    """Decimal mark that numbers may have besides the point: `,` if the comma is not the delimiter of the table."""
    shape: shapely.Geometry | None = None
    """Geometry of the region, in the CRS in the column `crs`, if the row is a feature of a vector file."""

    @property
    def place(self) -> Place:
        """File and line of the row."""
        return Place(file=self.table, line=self.line)

    def problem(self, message: str, column: str = "") -> Problem:
        """Return a problem in this row or in one of its cells."""
        return Problem(message, Place(file=self.table, line=self.line, column=column))

    def error(self, message: str, column: str) -> RegionsError:
        """Return an error for one cell of this row."""
        return RegionsError(self.problem(message, column))


Limits = Callable[[Row], tuple[Extent, str | None]]
"""A function that returns the extent of a row, and the CRS of the extent. None means the CRS of the map."""


def from_degrees(row: Row) -> tuple[Extent, str | None]:
    """Return the extent of a row with `west, east, south, north`, and its CRS.

    Raises
    ------
    RegionsError
        If cells are not numbers, or the limits are not valid. Each fault is a separate problem.
    """
    west, east, south, north = _numbers(row, [(row.cells[column], column) for column in DEGREE_COLUMNS])
    problems = [
        row.problem(f"{value:g} is not a longitude: it must be between -360 and 360", column)
        for column, value in (("west", west), ("east", east))
        if abs(value) > 360
    ]
    swapped = "; are longitudes and latitudes swapped?" if max(abs(west), abs(east)) <= 90 else ""
    problems += [
        row.problem(f"{value:g} is not a latitude: it must be between -90 and 90{swapped}", column)
        for column, value in (("south", south), ("north", north))
        if abs(value) > 90
    ]
    around = west > east
    if around:
        east += 360
    if east - west > 360:
        problems.append(row.problem(f"the region spans {east - west:g} degrees; it must span at most 360", "east"))
    _raise_all(problems)
    extent = _check_limits(row, Extent(west, east, south, north), DEGREE_COLUMNS)
    if around and extent.width > 180:
        logger.warning("%s", row.problem(_wide_message(extent), "west"))
    return extent, LONLAT


def _wide_message(extent: Extent) -> str:
    """Return the warning for a region that crosses the antimeridian and is wider than half the globe."""
    west, east = extent.xmin, extent.xmax - 360
    return (
        f"west {west:g} is greater than east {east:g}, so the region spans {extent.width:g} degrees across the "
        f"antimeridian; swap them, or write {extent.xmax:g} for east if this is intended"
    )


def from_units(row: Row) -> tuple[Extent, str | None]:
    """Return the extent of a row with `xmin, xmax, ymin, ymax`, and its CRS.

    Raises
    ------
    RegionsError
        If cells are not numbers, or the limits are not valid. Each fault is a separate problem.
    """
    cells = [(row.cells[column], column) for column in UNIT_COLUMNS]
    values = _numbers(row, cells)
    _raise_all(
        [
            row.problem(f"{text!r} is ambiguous; {how_to_write(text)}", column)
            for text, column in cells
            if is_ambiguous(text)
        ]
    )
    return _check_limits(row, Extent(*values), UNIT_COLUMNS), row.cells.get("crs") or None


def from_cell(row: Row) -> tuple[Extent, str | None]:
    """Return the extent of a row with all limits in the cell `region`, and its CRS.

    Raises
    ------
    RegionsError
        If the cell does not hold four numbers, or the limits are not valid. Each fault is a separate problem.
    """
    numbers = re.split(r"[\s,;]+", row.cells["region"].strip("[](){} \t"))
    if len(numbers) != 4:
        raise row.error(f"{quoted(row.cells['region'])} is not four numbers x0, x1, y0, y1", "region")
    values = _numbers(row, [(text, "region") for text in numbers])
    return _check_limits(row, Extent(*values), ("x0", "x1", "y0", "y1")), row.cells.get("crs") or None


def from_center(row: Row) -> tuple[Extent, str | None]:
    """Return the extent, in degrees, of a row with `lon, lat, width_km` and an optional `height_km`.

    See `geo.boxes.box_around`.

    Raises
    ------
    RegionsError
        If cells are not numbers, the size is not positive, or the region is larger than the earth.
    """
    columns = [*CENTER_COLUMNS, HEIGHT_COLUMN if row.cells.get(HEIGHT_COLUMN) else CENTER_COLUMNS[-1]]
    longitude, latitude, width, height = _numbers(row, [(row.cells[column], column) for column in columns])
    _check_sizes(row, columns[2:], (width, height))
    if abs(longitude) > FULL_TURN:
        raise row.error(f"{longitude:g} is not a longitude: it must be between -360 and 360", "lon")
    if abs(latitude) > _POLE:
        raise row.error(f"{latitude:g} is not a latitude: it must be between -90 and 90", "lat")
    try:
        return box_around(longitude, latitude, width, height)
    except RegionError as error:
        raise row.error(str(error), "width_km") from None


def sizes_of(row: Row, columns: Sequence[str]) -> list[float]:
    """Return the sizes in kilometers in columns of a row.

    Raises
    ------
    RegionsError
        If cells are not numbers, or not greater than 0.
    """
    sizes = _numbers(row, [(row.cells[column], column) for column in columns])
    _check_sizes(row, columns, sizes)
    return sizes


def _check_sizes(row: Row, columns: Sequence[str], sizes: Sequence[float]) -> None:
    _raise_all(
        [
            row.problem(f"{value:g} is not a size in kilometers: it must be greater than 0", column)
            for column, value in dict(zip(columns, sizes, strict=True)).items()
            if value <= 0
        ]
    )


def from_geometry(row: Row) -> tuple[Extent, str | None]:
    """Return the bounding box of a row's WKT geometry or of its shape, and its CRS.

    A geometry in degrees can have parts on both sides of the antimeridian. Then the box crosses the antimeridian if
    this makes the box narrower.

    Raises
    ------
    RegionsError
        If the geometry is not valid WKT or has no area, or there is no CRS.
    """
    if not row.cells["crs"]:
        raise row.error("a geometry needs a CRS, such as EPSG:4326", "crs")
    return _box_of(row, _parse_wkt(row)), row.cells["crs"]


def _parse_wkt(row: Row) -> shapely.Geometry:
    try:
        with np.errstate(invalid="ignore"):  # NaN in the text
            return shapely.from_wkt(row.cells["geometry"])
    except (shapely.errors.ShapelyError, NotImplementedError) as error:  # shapely does not know curves
        is_ewkt = row.cells["geometry"].lstrip()[:5].upper() == "SRID="
        reason = "remove the prefix SRID=…; and name the CRS in the column crs" if is_ewkt else error
        raise row.error(f"the geometry is not valid WKT: {reason}", "geometry") from None


def shape_of(row: Row) -> bytes:
    """Return the geometry of a row as WKB. The limits of the row must come from its geometry."""
    content: bytes = shapely.to_wkb(_parse_wkt(row) if row.shape is None else row.shape)
    return content


def from_shape(row: Row) -> tuple[Extent, str | None]:
    """Return the bounding box of a feature of a vector file, and its CRS. See `from_geometry`.

    Raises
    ------
    RegionsError
        If the feature has no geometry, or the geometry has no area.
    """
    if row.shape is None:
        raise row.error("the feature has no geometry; leave it out with a condition (where)", "geometry")
    return _box_of(row, row.shape), row.cells["crs"]


def _box_of(row: Row, geometry: shapely.Geometry) -> Extent:
    """Return the bounding box of the geometry of a row."""
    points = shapely.get_coordinates(geometry)
    if not points.size or not np.isfinite(points).all():  # the bounds of a geometry leave out NaN
        raise row.error("the geometry is empty, or its coordinates are not finite; correct it", "geometry")
    xmin, ymin, xmax, ymax = shapely.bounds(geometry)
    if not (xmin < xmax and ymin < ymax):
        raise row.error("the geometry has no area; give a polygon", "geometry")
    if xmax - xmin > FULL_TURN / 2 and in_degrees(row.cells["crs"]):
        xmin, xmax = _narrowest_span(geometry)
        if _has_wide_step(geometry) and xmax - xmin < FULL_TURN:
            logger.warning("%s", row.problem(_WIDE_STEP, "geometry"))
    return Extent(float(xmin), float(xmax), float(ymin), float(ymax))


def _has_wide_step(geometry: shapely.Geometry) -> bool:
    """Return True if an edge of a geometry is longer than half a turn, and shorter than a turn."""
    points, part = shapely.get_coordinates(shapely.get_parts(geometry), return_index=True)
    steps = abs(np.diff(points[:, 0]))[part[1:] == part[:-1]]
    return bool(((steps > FULL_TURN / 2) & (steps < FULL_TURN)).any())


def _narrowest_span(geometry: shapely.Geometry) -> tuple[float, float]:
    """Return the western and the eastern limit of the parts of a geometry.

    The limits cross the antimeridian if the parts touch it on both sides, or if the span
    across the antimeridian is narrower and at most half a turn.
    """
    bounds = shapely.bounds(shapely.get_parts(geometry))
    west, east = bounds[:, 0], bounds[:, 2]
    order = west.argsort()
    west, east = west[order], np.maximum.accumulate(east[order])
    gaps = west[1:] - east[:-1]
    if not gaps.size or gaps.max() <= west[0] + FULL_TURN - east[-1]:
        return float(west[0]), float(east[-1])
    first, last = float(west[1:][gaps.argmax()]), float(east[:-1][gaps.argmax()]) + FULL_TURN
    is_cut = abs(east[-1] - west[0] - FULL_TURN) < _CUT_TOLERANCE
    return (first, last) if is_cut or last - first <= FULL_TURN / 2 else (float(west[0]), float(east[-1]))


def _numbers(row: Row, cells: Sequence[tuple[str, str]]) -> list[float]:
    """Convert pairs of text and column name to numbers. Report all bad cells together."""
    values = [parse_number(text, row.decimal) for text, _ in cells]
    _raise_all(
        [
            row.problem(f"{quoted(text)} is not a finite number; {how_to_write(text)}", column)
            for value, (text, column) in zip(values, cells, strict=True)
            if not math.isfinite(value)
        ]
    )
    return values


def _check_limits(row: Row, extent: Extent, names: tuple[str, ...]) -> Extent:
    """Return the extent. Reject empty and swapped limits: Cartopy and xarray would silently swap or widen them."""
    west, east, south, north = names
    problems = []
    if extent.xmin >= extent.xmax:
        problems.append(row.problem(_not_less(west, extent.xmin, east, extent.xmax), west))
    if extent.ymin >= extent.ymax:
        problems.append(row.problem(_not_less(south, extent.ymin, north, extent.ymax), south))
    _raise_all(problems)
    return extent


def _raise_all(problems: Sequence[Problem]) -> None:
    if problems:
        raise RegionsError(*problems)


def _not_less(low: str, lower: float, high: str, upper: float) -> str:
    """Return the message for two limits that are equal or swapped."""
    if lower == upper:
        return f"{low} {lower:g} equals {high} {upper:g}; a region needs a width and a height"
    return f"{low} {lower:g} is greater than {high} {upper:g}; swap them"
