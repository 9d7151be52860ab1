"""Geometry of a raster grid: transform, windows and subgrids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

from regionplot.geo.crs import CIRCLE
from regionplot.geo.extent import Extent

Floats = NDArray[np.floating[Any]]
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of cells."""

    row: int
    """First row."""
    column: int
    """First column."""
    height: int
    width: int

    @property
    def cells(self) -> int:
        """How many there are."""
        return self.height * self.width

    @property
    def ranges(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """((first row, end row), (first column, end column)), as rasterio takes windows. Ends are excluded."""
        return (self.row, self.row + self.height), (self.column, self.column + self.width)

    def slices_in(self, outer: Window) -> tuple[slice, slice]:
        """Return the rows and columns of this window in an array of the cells of an outer window."""
        top, left = self.row - outer.row, self.column - outer.column
        return slice(top, top + self.height), slice(left, left + self.width)

    def intersection(self, other: Window) -> Window | None:
        """Return the cells of both windows, or None if there are none."""
        ranges = zip(self.ranges, other.ranges, strict=True)
        (top, bottom), (left, right) = ((max(a[0], b[0]), min(a[1], b[1])) for a, b in ranges)
        return Window(top, left, bottom - top, right - left) if top < bottom and left < right else None

    def union(self, other: Window) -> Window:
        """Return the smallest window that contains both windows."""
        ranges = zip(self.ranges, other.ranges, strict=True)
        (top, bottom), (left, right) = ((min(a[0], b[0]), max(a[1], b[1])) for a, b in ranges)
        return Window(top, left, bottom - top, right - left)

    def shifted(self, rows: int, columns: int) -> Window:
        """Return the window moved by some rows and columns."""
        return Window(self.row + rows, self.column + columns, self.height, self.width)


@dataclass(frozen=True)
class GridGeometry:
    """Where the cells of a grid lie."""

    affine: Affine
    """From (column, row) of cell corners to (x, y)."""
    height: int
    width: int
    crs: pyproj.CRS

    @property
    def whole(self) -> Window:
        """All cells."""
        return Window(0, 0, self.height, self.width)

    def differences(self, other: GridGeometry) -> list[Literal["shape", "transform", "crs"]]:
        """Return in which respects this grid differs from another one. Transforms of grids of one shape are compared.

        The tolerance is a millionth of a cell.
        """
        found: list[Literal["shape", "transform", "crs"]] = []
        if (self.height, self.width) != (other.height, other.width):
            found.append("shape")
        elif not self.affine.almost_equals(other.affine, _ROUNDING * abs(other.affine.determinant) ** 0.5):
            found.append("transform")
        if self.crs != other.crs:
            found.append("crs")
        return found

    @property
    def is_axis_aligned(self) -> bool:
        """Whether rows run along x and columns along y."""
        return self.affine.b == 0 and self.affine.d == 0

    @property
    def circle(self) -> float | None:
        """Columns on the whole circle, if the grid is in degrees."""
        return CIRCLE / abs(self.affine.a) if self.crs.is_geographic and self.is_axis_aligned else None

    @property
    def extent(self) -> Extent:
        """The box around all cells, in the grid's CRS."""
        x, y = self.coordinates(np.array([0, self.width, 0, self.width]), np.array([0, 0, self.height, self.height]))
        return Extent(float(x.min()), float(x.max()), float(y.min()), float(y.max()))

    def coordinates(self, columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
        """(x, y) in the grid's CRS of fractional columns and rows."""
        a, b, c, d, e, f = self.affine[:6]
        return a * columns + b * rows + c, d * columns + e * rows + f

    def columns_and_rows(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Fractional (column, row) of coordinates in the grid's CRS; in degrees, on any turn of the circle."""
        a, b, c, d, e, f = (~self.affine)[:6]
        return a * x + b * y + c, d * x + e * y + f

    def wrapped(self, columns: Floats) -> Floats:
        """Columns of a grid in degrees brought onto its own turn of the circle."""
        circle = self.circle
        if circle is None:
            return columns
        wrapped = np.mod(columns, circle)
        if abs(self.width - circle) < _ROUNDING * circle:
            return np.minimum(wrapped, np.nextafter(self.width, 0))
        return wrapped

    def part(self, window: Window, height: int | None = None, width: int | None = None) -> GridGeometry:
        """The geometry of a window, read as it is or onto fewer rows and columns."""
        height, width = height or window.height, width or window.width
        x, y = self.coordinates(np.asarray(window.column), np.asarray(window.row))
        a, b, _, d, e, _ = self.affine[:6]
        across, down = window.width / width, window.height / height
        affine = Affine(a * across, b * down, float(x), d * across, e * down, float(y))
        return GridGeometry(affine, height, width, self.crs)


def shifted(affine: Affine, row: int, column: int) -> Affine:
    """The affine transform of the part of a grid that begins at some row and column."""
    a, b, c, d, e, f = affine[:6]
    return Affine(a, b, a * column + b * row + c, d, e, d * column + e * row + f)
