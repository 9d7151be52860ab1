"""Find the 1-D axes of a variable in a NetCDF or HDF5 file, and compare them with GDAL's transform.

GDAL takes the last two dimensions as rows and columns, and computes a transform from the first and the last coordinate,
or from attributes. Both can be wrong. The axes themselves say which dimensions are rows and columns, and where the
cells lie.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np
import pyproj
from affine import Affine

from regionplot.errors import RasterError
from regionplot.geo.axes import Axis, float_error
from regionplot.geo.crs import unit_size
from regionplot.geo.extent import FULL_TURN
from regionplot.inputs.geolocation import degrees_per_unit, kind_of
from regionplot.inputs.netcdf import Dimension, Variable, read_values

_STANDARD_NAMES = {
    "projection_x_coordinate": "x",
    "projection_y_coordinate": "y",
    "projection_x_angular_coordinate": "x",
    "projection_y_angular_coordinate": "y",
    "grid_longitude": "x",
    "grid_latitude": "y",
}
_NAMES = {"x": re.compile(r"x(c|_?coord(inate)?|_?dim)?|rlon|easting", re.I)}
_NAMES["y"] = re.compile(r"y(c|_?coord(inate)?|_?dim)?|rlat|northing", re.I)
_METERS = {
    **dict.fromkeys(("m", "meter", "metre"), 1.0),
    **dict.fromkeys(("km", "kilometer", "kilometre"), 1000.0),
    **dict.fromkeys(("cm", "centimeter", "centimetre"), 0.01),
    **dict.fromkeys(("ft", "foot", "feet", "international_foot", "international_feet"), 0.3048),
    **dict.fromkeys(("us_survey_foot", "us_survey_feet", "us-ft", "ftus"), 1200 / 3937),
}
"""Length of units in meters."""
_MULTIPLE = re.compile(r"(?P<factor>\d+(\.\d+)?(e\d+)?)\s+(?P<unit>\S.*)")
"""A multiple of a unit, such as `100 km`."""
_MAX_LATITUDE = 90.5
"""Maximum latitude of a cell center in degrees. Larger latitudes are an error."""


class Role(Enum):
    """Kind of coordinate that an axis holds."""

    LONGITUDE = "longitude"
    LATITUDE = "latitude"
    X = "x"
    """x in a projection, or the longitude in a rotated system."""
    Y = "y"
    """y in a projection, or the latitude in a rotated system."""


class AxisKind(Enum):
    """Kinds of axes. The value is the role of the axis along y, and the role of the axis along x."""

    GEOGRAPHIC = (Role.LATITUDE, Role.LONGITUDE)
    PROJECTED = (Role.Y, Role.X)


@dataclass(frozen=True)
class GridAxes:
    """The variables that hold the coordinates of rows and columns, and the dimensions to which they belong."""

    variable: Variable
    """The variable with the cells."""
    y: Variable
    x: Variable
    y_position: int
    """Position of the dimension along y among the dimensions of the variable."""
    x_position: int
    is_geographic: bool
    """True for longitudes and latitudes. False for coordinates in the CRS of the file."""

    @property
    def has_usual_order(self) -> bool:
        """True if the last two dimensions are y and x, in this order, as GDAL assumes."""
        count = len(self.variable.shape)
        return (self.y_position, self.x_position) == (count - 2, count - 1)

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.variable.shape[self.y_position], self.variable.shape[self.x_position]


@dataclass(frozen=True)
class PlacedAxes:
    """The coordinates of rows and columns in a CRS."""

    grid: GridAxes
    rows: Axis
    columns: Axis
    crs: pyproj.CRS

    @property
    def is_regular(self) -> bool:
        """True if rows and columns are evenly spaced."""
        return self.rows.is_regular and self.columns.is_regular

    def agrees(self, transform: Affine) -> bool:
        """Return True if all cells have the same positions in GDAL's transform as on the axes."""
        a, b, c, d, e, f = transform[:6]
        if not self.grid.has_usual_order or (b, d) != (0, 0):
            return False
        turn = round((self.columns.centers[0] - c) / FULL_TURN) * FULL_TURN if self.crs.is_geographic else 0.0
        reversed_rows = replace(self.rows, centers=self.rows.centers[::-1])  # GDAL reads ascending rows from the end
        return self.columns.matches(c + a / 2 + turn, a) and any(
            rows.matches(f + e / 2, e) for rows in (self.rows, reversed_rows)
        )


def find_axes(
    variable: Variable, variables: Sequence[Variable], preferred: AxisKind = AxisKind.GEOGRAPHIC
) -> GridAxes | None:
    """Return the 1-D axes of a variable, or None if the file does not say which dimensions are rows and columns.

    Parameters
    ----------
    variable : Variable
        The variable with the cells.
    variables : sequence of Variable
        All variables of the file.
    preferred : AxisKind
        Kind of axes to use if the file has both kinds.
    """
    found = [_axes_along(variable, dimension, variables) for dimension in variable.dimensions]
    for kind in sorted(AxisKind, key=lambda kind: kind is not preferred):
        y, x = kind.value
        places = [(i, j) for i in range(len(found)) for j in range(len(found)) if i != j]
        places = [(i, j) for i, j in places if y in found[i] and x in found[j]]
        if places:
            i, j = max(places, key=lambda place: (place[0] < place[1], min(place), max(place)))
            return GridAxes(variable, found[i][y], found[j][x], i, j, kind is AxisKind.GEOGRAPHIC)
    return None


def missing_role(variable: Variable, variables: Sequence[Variable]) -> Role | None:
    """Return the missing role if a variable has only one of longitude and latitude along its dimensions.

    Otherwise, return None.
    """
    found = {role for dimension in variable.dimensions for role in _axes_along(variable, dimension, variables)}
    missing = {Role.LATITUDE, Role.LONGITUDE} - found
    return missing.pop() if len(missing) == 1 else None


def dimension_of_places(variable: Variable, variables: Sequence[Variable]) -> str | None:
    """Return the name of a dimension with a longitude and a latitude for each element, or None if there is none.

    Cells along such a dimension are not rows or columns, but the cells of an unstructured grid, or stations.
    """
    for dimension in variable.dimensions:
        if {Role.LATITUDE, Role.LONGITUDE} <= set(_axes_along(variable, dimension, variables)):
            return dimension.name
    return None


def find_dimensions(variable: Variable, variables: Sequence[Variable]) -> GridAxes | None:
    """Return the dimensions of the 2-D coordinates of a variable, or None if the variable has no 2-D coordinates.

    The rows and columns of the coordinates are the rows and columns of the grid.
    """
    for other in sorted(variables, key=lambda other: _distance(other, variable, variable.dimensions[0], ())):
        sides = other.dimensions[-2:]
        is_known = len(sides) == 2 and all(side.is_named and variable.dimensions.count(side) == 1 for side in sides)
        if is_known and other.path != variable.path and kind_of(other.name, other.attributes) is not None:
            y, x = (variable.dimensions.index(side) for side in sides)
            return GridAxes(variable, other, other, y, x, is_geographic=True)
    return None


def _axes_along(variable: Variable, dimension: Dimension, variables: Sequence[Variable]) -> dict[Role, Variable]:
    """Return the best axis along a dimension for each role."""
    candidates = [other for other in variables if _is_along(other, dimension) and other.path != variable.path]
    named = variable.words("coordinates")
    found: dict[Role, Variable] = {}
    for other in sorted(candidates, key=lambda other: _distance(other, variable, dimension, named)):
        role = role_of(other)
        if role is not None:
            found.setdefault(role, other)
    return found


def _is_along(variable: Variable, dimension: Dimension) -> bool:
    if len(variable.dimensions) != 1 or variable.dtype is None:
        return False
    own = variable.dimensions[0]
    return own == dimension if dimension.is_named else own.size == dimension.size


def _distance(axis: Variable, variable: Variable, dimension: Dimension, named: Sequence[str]) -> tuple[bool, bool, int]:
    """Return a sort key: first coordinate variables, then variables that attributes name, then those in near groups."""
    common = len([1 for a, b in zip(axis.group.split("/"), variable.group.split("/"), strict=False) if a == b])
    return axis.name != dimension.name, axis.name not in named and axis.path not in named, -common


def role_of(variable: Variable) -> Role | None:
    """Return the role of a 1-D variable, or None if it is not an axis of a grid.

    Examples
    --------
    >>> role_of(Variable("/geo/lat", (), None, {"units": "degree_north"}))
    <Role.LATITUDE: 'latitude'>
    """
    attributes = variable.attributes
    kind = kind_of(variable.name, attributes)
    if kind is not None:
        return Role(kind)
    standard = _STANDARD_NAMES.get(str(attributes.get("standard_name")))
    axis = str(attributes.get("axis", "")).lower()
    named = next((role for role, pattern in _NAMES.items() if pattern.fullmatch(variable.name)), None)
    found = standard or (axis if axis in ("x", "y") else named)
    return None if found is None else Role(found)


def place_axes(
    path: Path, grid: GridAxes, crs: pyproj.CRS, variables: Sequence[Variable], transform: Affine
) -> PlacedAxes | None:
    """Read the axes of a grid. Return None if they do not hold coordinates in the CRS.

    An axis holds no coordinates if its units are unknown, or if it has no units and only counts the cells.

    Parameters
    ----------
    path : Path
        The file.
    grid : GridAxes
        The axes.
    crs : pyproj.CRS
        CRS of the grid.
    variables : sequence of Variable
        All variables of the file. Bounds give the width of an axis with one cell.
    transform : Affine
        GDAL's transform. It gives the width of an axis with one cell if there are no bounds.

    Raises
    ------
    RasterError
        If an axis has missing values, neither increases nor decreases, or has one value and its width is unknown.
    """
    factors = [_factor(axis, crs, grid) for axis in (grid.y, grid.x)]
    if factors[0] is None or factors[1] is None:
        return None
    turn = FULL_TURN if grid.is_geographic or crs.is_geographic else None
    height, width = _cell_size(grid, variables, transform)
    rows = _read_axis(path, grid.y, factors[0], variables, None, height)
    columns = _read_axis(path, grid.x, factors[1], variables, turn, width)
    if _counts_cells(grid.y, rows) and _counts_cells(grid.x, columns):
        return None
    if turn is not None and abs(rows.centers).max() > _MAX_LATITUDE:
        raise RasterError(f"{path}: the axis {grid.y.path} has latitudes beyond 90 degrees; check its values and units")
    return PlacedAxes(grid, rows, columns, crs)


def _cell_size(grid: GridAxes, variables: Sequence[Variable], transform: Affine) -> tuple[float, float]:
    """Return the height and width of a cell in the transform of a file, or zeros if the file has no transform.

    GDAL ignores the attribute `GeoTransform` of a grid mapping if there is only one row or one column.
    """
    if not transform.is_identity:
        return abs(transform.e), abs(transform.a)
    mappings = grid.variable.words("grid_mapping")
    texts = [other.words("GeoTransform") for other in variables if other.name in mappings]
    try:
        sizes = [(abs(float(text[5])), abs(float(text[1]))) for text in texts]
    except (ValueError, IndexError):
        return 0.0, 0.0
    return sizes[0] if sizes else (0.0, 0.0)


def _factor(axis: Variable, crs: pyproj.CRS, grid: GridAxes) -> float | None:
    """Return the factor that converts the values of an axis to units of the CRS, or None if the units are unknown."""
    units = str(axis.attributes.get("units", "")).strip().lower()
    multiple = _MULTIPLE.fullmatch(units)
    factor, name = (1.0, units) if multiple is None else (float(multiple["factor"]), multiple["unit"])
    size = degrees_per_unit(name) if grid.is_geographic or crs.is_geographic else _length_of(name, crs)
    return None if size is None else factor * size


def _length_of(unit: str, crs: pyproj.CRS) -> float | None:
    """Return the size of a unit in units of a projected CRS. An angle is a scan angle of a geostationary satellite."""
    if not unit:
        return 1.0
    crs_unit = unit_size(crs)
    length = _METERS.get(unit, _METERS.get(unit.removesuffix("s")))
    if length is not None:
        return length / crs_unit
    degrees, height = degrees_per_unit(unit), crs.to_cf().get("perspective_point_height")
    return None if degrees is None or height is None else float(np.radians(degrees) * height / crs_unit)


def _read_axis(
    path: Path, axis: Variable, factor: float, variables: Sequence[Variable], period: float | None, width: float
) -> Axis:
    """Read an axis in units of the CRS."""
    stored = read_values(path, axis)
    with np.errstate(all="ignore"):  # damaged values
        values = stored.astype(np.float64) * factor
    is_integer = axis.dtype is not None and axis.dtype.kind in "iu"
    scale = axis.number("scale_factor", 1.0 if is_integer else 0.0)
    known = _bounds_width(path, axis, factor, variables) or width if values.size == 1 else None
    try:
        found = Axis.of(values, abs(factor) * float_error(stored), abs(factor * scale), known, period)
    except ValueError as error:
        raise RasterError(f"{path}: the axis {axis.path} cannot be used: {error}; correct the file") from None
    if known is not None and not 0 < known < np.inf:
        raise RasterError(
            f"{path}: the axis {axis.path} has only one value, so the width of its cell is unknown; set the attribute "
            f"bounds of the axis to the name of a variable with the two edges of the cell"
        )
    return found


def _counts_cells(variable: Variable, axis: Axis) -> bool:
    """Return True if an axis without units and standard name numbers its cells from 0 or 1."""
    is_bare = not {"units", "standard_name"} & set(variable.attributes)
    return is_bare and axis.centers[0] in (0, 1) and bool(np.all(np.diff(axis.centers) == 1))


def _bounds_width(path: Path, axis: Variable, factor: float, variables: Sequence[Variable]) -> float:
    """Return the width of the only cell of an axis from its bounds, or 0 if it has none."""
    for name in axis.words("bounds"):
        for other in variables:
            if other.name == name and other.shape == (1, 2) and other.dtype is not None:
                low, high = read_values(path, other)[0]
                return float(abs(high - low) * abs(factor))
    return 0.0
