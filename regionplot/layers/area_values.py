"""Statistics of the cells of a field in areas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray

from regionplot.geo.crs import Floats, same_crs, transformer, unwrap
from regionplot.geo.extent import FULL_TURN
from regionplot.geo.linework import Geometries
from regionplot.layers.field import Field

Statistic = Literal["mean", "median", "minimum", "maximum"]
_COMPUTE: dict[str, Callable[[NDArray[Any]], Any]] = {
    "mean": np.mean, "median": np.median, "minimum": np.min, "maximum": np.max,
}  # fmt: skip


def statistic_in(field: Field, areas: Geometries, crs: pyproj.CRS, statistic: Statistic) -> Floats:
    """Return a statistic of the cells whose centers lie in each area, shape (n,). NaN: no cell has a value.

    An area without the center of a cell has the interpolated value at a point inside.

    Parameters
    ----------
    field : Field
        The cells.
    areas : ndarray of Polygon or MultiPolygon
        The areas.
    crs : pyproj.CRS
        CRS of the areas.
    statistic : {"mean", "median", "minimum", "maximum"}
        The statistic.
    """
    return np.array([_of_area(field, area, crs, _COMPUTE[statistic]) for area in areas], float)


def _of_area(field: Field, area: shapely.Geometry, crs: pyproj.CRS, compute: Callable[[NDArray[Any]], Any]) -> float:
    own = _in_grid(area, field, crs)
    cells = None if own is None else _cells_in(field, own)
    if cells is None:
        return float("nan")
    if not cells.size:
        point = shapely.get_coordinates(shapely.point_on_surface(area))
        return float(field.at_points(point, crs)[0])
    known = cells[np.isfinite(cells)]
    return float(compute(known)) if known.size else float("nan")


def _in_grid(area: shapely.Geometry, field: Field, crs: pyproj.CRS) -> shapely.Geometry | None:
    """Return an area in columns and rows of the grid. Return None if the grid cannot show it."""
    geometry = field.geometry

    def to_cells(points: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = points.T if same_crs(crs, geometry.crs) else transformer(crs, geometry.crs).transform(*points.T)
        if geometry.crs.is_geographic:
            x = unwrap(np.asarray(x), float(np.median(x)))
            middle = geometry.extent.center[0]
            x = x + FULL_TURN * round((middle - float(np.median(x))) / FULL_TURN)
        return np.column_stack(geometry.columns_and_rows(np.asarray(x), np.asarray(y)))

    found = shapely.transform(area, to_cells)
    if not np.isfinite(shapely.get_coordinates(found)).all():
        return None
    return found if shapely.is_valid(found) else shapely.make_valid(found)


def _cells_in(field: Field, area: shapely.Geometry) -> NDArray[Any] | None:
    """Return the cells whose centers lie in an area in columns and rows. Return None if no part is in the grid."""
    geometry = field.geometry
    left, top, right, bottom = shapely.bounds(area)
    first_column, last_column = max(int(np.floor(left)), 0), min(int(np.ceil(right)), geometry.width)
    first_row, last_row = max(int(np.floor(top)), 0), min(int(np.ceil(bottom)), geometry.height)
    if first_column >= last_column or first_row >= last_row:
        return None
    x, y = np.meshgrid(np.arange(first_column, last_column) + 0.5, np.arange(first_row, last_row) + 0.5)
    shapely.prepare(area)
    inside = shapely.contains_xy(area, x, y)
    return field.values[first_row:last_row, first_column:last_column][inside]
