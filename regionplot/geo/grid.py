"""Geometry of a raster grid: transform, windows and subgrids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
from affine import Affine
from numpy.typing import NDArray

from regionplot.geo.extent import FULL_TURN, Extent

if TYPE_CHECKING:
    import pyproj

Floats = NDArray[np.floating[Any]]
_TOLERANCE = 1e-6
"""Relative tolerance for rounding errors in transforms."""
_FARTHEST = 1e10
"""Maximum coordinate of a projected grid, in units of its CRS. The circumference of the earth is 4e7 meters."""
_FARTHEST_DEGREE = 1e5
"""Maximum coordinate of a grid in degrees."""
_MIN_CELL = 1e-14
"""Minimum ratio of the cell size to the largest coordinate. Floating-point numbers have 16 digits."""


@dataclass(frozen=True, slots=True)
class Window:
    """A rectangle of cells. The fields have the names that rasterio uses."""

    row_off: int
    """First row."""
    col_off: int
    """First column."""
    height: int
    width: int

    @property
    def cells(self) -> int:
        """Number of cells."""
        return self.height * self.width

    @property
    def ranges(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """((first row, end row), (first column, end column)), a form that rasterio accepts. Ends are excluded."""
        return (self.row_off, self.row_off + self.height), (self.col_off, self.col_off + self.width)

    def slices_in(self, outer: Window) -> tuple[slice, slice]:
        """Return the slices (rows, columns) that select this window in an array of an outer window."""
        top, left = self.row_off - outer.row_off, self.col_off - outer.col_off
        return slice(top, top + self.height), slice(left, left + self.width)

    def intersection(self, other: Window) -> Window | None:
        """Return the window that both windows have in common, or None if they do not overlap."""
        ranges = zip(self.ranges, other.ranges, strict=True)
        (top, bottom), (left, right) = ((max(a[0], b[0]), min(a[1], b[1])) for a, b in ranges)
        return Window(top, left, bottom - top, right - left) if top < bottom and left < right else None

    def union(self, other: Window) -> Window:
        """Return the smallest window that contains both windows."""
        ranges = zip(self.ranges, other.ranges, strict=True)
        (top, bottom), (left, right) = ((min(a[0], b[0]), max(a[1], b[1])) for a, b in ranges)
        return Window(top, left, bottom - top, right - left)

    def expanded(self, cells: int) -> Window:
        """Return the window with some more cells on each side."""
        return Window(self.row_off - cells, self.col_off - cells, self.height + 2 * cells, self.width + 2 * cells)

    def shifted(self, rows: int, columns: int) -> Window:
        """Return the window moved by some rows and columns."""
        return Window(self.row_off + rows, self.col_off + columns, self.height, self.width)


class Lattice(NamedTuple):
    """The rows and columns of a grid, without their places on the earth."""

    height: int
    width: int
    columns_per_turn: float | None
    """Number of columns in 360°, or None if the grid is rotated or not in degrees."""

    def wrapped(self, columns: Floats) -> Floats:
        """See `GridGeometry.wrapped`."""
        period = self.columns_per_turn
        if period is None:
            return columns
        wrapped = np.mod(columns, period)
        if abs(self.width - period) < _TOLERANCE * period:
            return np.minimum(wrapped, np.nextafter(self.width, 0))
        return wrapped


@dataclass(frozen=True)
class GridGeometry:
    """Geometry of a grid: transform, shape and CRS."""

    transform: Affine
    """Maps (column, row) of cell corners to (x, y)."""
    height: int
    width: int
    crs: pyproj.CRS

    @property
    def full_window(self) -> Window:
        """The window of all cells."""
        return Window(0, 0, self.height, self.width)

    @property
    def lattice(self) -> Lattice:
        """The rows and columns of the grid."""
        return Lattice(self.height, self.width, self.columns_per_turn)

    def differences(self, other: GridGeometry) -> list[Literal["shape", "transform", "crs"]]:
        """Return the properties in which this grid differs from another grid.

        Transforms are compared only if the shapes are equal. The tolerance is a millionth of a cell.
        """
        found: list[Literal["shape", "transform", "crs"]] = []
        if (self.height, self.width) != (other.height, other.width):
            found.append("shape")
        elif not self.transform.almost_equals(other.transform, _TOLERANCE * abs(other.transform.determinant) ** 0.5):
            found.append("transform")
        if self.crs != other.crs:
            found.append("crs")
        return found

    def problem(self) -> str:
        """Return the fault of a transform that cannot place cells on the earth, or an empty string."""
        a, b, _, d, e, _ = self.transform[:6]
        if not np.isfinite(self.transform[:6]).all():
            return "its transform is not finite"
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            width, height, extent = np.hypot(a, d), np.hypot(b, e), self.extent
        farthest = max(map(abs, (extent.xmin, extent.xmax, extent.ymin, extent.ymax)))
        if farthest > (_FARTHEST_DEGREE if self.crs.is_geographic else _FARTHEST):
            return f"its transform places cells far from the earth ({extent})"
        if not abs(self.transform.determinant) > _TOLERANCE**2 * width * height:
            return "its transform is degenerate: the cells have no area"
        if min(width, height) < _MIN_CELL * farthest:
            return "its transform makes the cells so small that their positions cannot be distinguished"
        return ""

    @property
    def is_axis_aligned(self) -> bool:
        """True if rows run along x and columns along y."""
        return self.transform.b == 0 and self.transform.d == 0

    @property
    def columns_per_turn(self) -> float | None:
        """Number of columns in 360°, or None if the grid is rotated or not in degrees."""
        return FULL_TURN / abs(self.transform.a) if self.crs.is_geographic and self.is_axis_aligned else None

    @property
    def extent(self) -> Extent:
        """Extent of all cells, in the grid's CRS."""
        x, y = self.coordinates(np.array([0, self.width, 0, self.width]), np.array([0, 0, self.height, self.height]))
        return Extent(float(x.min()), float(x.max()), float(y.min()), float(y.max()))

    def coordinates(self, columns: Floats, rows: Floats) -> tuple[Floats, Floats]:
        """Return (x, y) in the grid's CRS for fractional columns and rows."""
        a, b, c, d, e, f = self.transform[:6]
        return a * columns + b * rows + c, d * columns + e * rows + f

    def columns_and_rows(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        """Return fractional (columns, rows) for coordinates in the grid's CRS. Longitudes are not wrapped."""
        a, b, c, d, e, f = (~self.transform)[:6]
        return a * x + b * y + c, d * x + e * y + f

    def wrapped(self, columns: Floats) -> Floats:
        """Return columns shifted by multiples of 360°, so that they are at least 0 and less than `columns_per_turn`.

        If `columns_per_turn` is None, return the columns unchanged.
        """
        return self.lattice.wrapped(columns)

    def subgrid(self, window: Window, height: int | None = None, width: int | None = None) -> GridGeometry:
        """Return the geometry of a window, optionally resampled to another number of rows or columns."""
        height, width = height or window.height, width or window.width
        x, y = self.coordinates(np.asarray(window.col_off), np.asarray(window.row_off))
        a, b, _, d, e, _ = self.transform[:6]
        across, down = window.width / width, window.height / height
        transform = Affine(a * across, b * down, float(x), d * across, e * down, float(y))
        return GridGeometry(transform, height, width, self.crs)


def shift_transform(transform: Affine, row: int, column: int) -> Affine:
    """Return the transform of the subgrid that starts at a row and a column."""
    a, b, c, d, e, f = transform[:6]
    return Affine(a, b, a * column + b * row + c, d, e, d * column + e * row + f)


def meshgrid(geometry: GridGeometry) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the coordinates of all cell centers."""
    columns, rows = np.arange(geometry.width) + 0.5, np.arange(geometry.height) + 0.5
    shape = (geometry.height, geometry.width)
    if geometry.is_axis_aligned:
        x, _ = geometry.coordinates(columns, np.zeros(1))
        _, y = geometry.coordinates(np.zeros(1), rows)
        return np.broadcast_to(x, shape), np.broadcast_to(y[:, None], shape)
    x, y = geometry.coordinates(*np.meshgrid(columns, rows))
    x.flags.writeable = y.flags.writeable = False
    return x, y
