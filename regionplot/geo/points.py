"""Interpolate the cells of a grid at points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.geo.crs import Floats, same_crs, transformer, unwrap
from regionplot.geo.grid import GridGeometry


def values_at(values: NDArray[Any], geometry: GridGeometry, points: Floats, crs: pyproj.CRS) -> Floats:
    """Return interpolated values at points, shape (n,). A point is NaN if its cell is missing or outside the grid.

    The values are bilinear. Missing neighbors have no weight.

    Parameters
    ----------
    values : ndarray, shape (rows, columns)
        The cells, NaN if missing.
    geometry : GridGeometry
        The grid.
    points : ndarray, shape (n, 2)
        x and y.
    crs : pyproj.CRS
        CRS of the points.
    """
    column, row = grid_positions(geometry, points, crs)
    inside = (column >= 0) & (column < geometry.width) & (row >= 0) & (row < geometry.height)
    found = np.full(len(points), np.nan)
    found[inside] = _interpolated(values, geometry, column[inside], row[inside])
    return found


def grid_positions(geometry: GridGeometry, points: Floats, crs: pyproj.CRS) -> tuple[Floats, Floats]:
    """Return points in columns and rows of a grid. 0.5 is the center of the first cell.

    Parameters
    ----------
    geometry, points, crs
        As for `values_at`.
    """
    x, y = points.T if same_crs(crs, geometry.crs) else transformer(crs, geometry.crs).transform(*points.T)
    if geometry.crs.is_geographic and geometry.columns_per_turn is None:
        x = unwrap(x, geometry.extent.center[0])
    column, row = geometry.columns_and_rows(np.asarray(x), np.asarray(y))
    return geometry.wrapped(column), row


def _interpolated(values: NDArray[Any], geometry: GridGeometry, column: Floats, row: Floats) -> Floats:
    left, top = np.floor(column - 0.5), np.floor(row - 0.5)
    total, weight = np.zeros(column.size), np.zeros(column.size)
    for dx in (0, 1):
        for dy in (0, 1):
            share = (1 - abs(column - 0.5 - left - dx)) * (1 - abs(row - 0.5 - top - dy))
            cells = _cells(values, geometry, left + dx, top + dy)
            known = np.isfinite(cells)
            total += np.where(known, cells, 0.0) * share
            weight += known * share
    is_missing = ~np.isfinite(_cells(values, geometry, np.floor(column), np.floor(row)))
    return np.where(is_missing, np.nan, total / np.where(weight > 0, weight, 1.0))


def _cells(values: NDArray[Any], geometry: GridGeometry, column: Floats, row: Floats) -> Floats:
    """Return the cells in some columns and rows. Beyond an edge, return the cells at the edge."""
    column = np.clip(geometry.wrapped(column), 0, geometry.width - 1).astype(np.intp)
    row = np.clip(row, 0, geometry.height - 1).astype(np.intp)
    return np.asarray(values[row, column], float)
