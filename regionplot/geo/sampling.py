"""Sample a grid onto the pixels of a map panel: by index where rows and columns suffice, else by warping.

::

    panel pixels ─ rows and columns ─────────────────────► gather          (same CRS, north or south up, nearest)
         └─ coarse mesh ─ PROJ ─ interpolate ─ positions ─► gather          (nearest)
         └─ window of the grid ─ GDAL warp ─────────────────► panel          (bilinear, cubic, average, mode, max)

The coarse mesh is checked against the exact transform half way between its nodes and refined until it is right to an
eighth of a panel pixel, which is what GDAL's approximating transformer promises, too
(https://gdal.org/en/stable/api/gdal_alg.html).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.geo.crs import same_crs
from regionplot.geo.dtypes import float_dtype
from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.positions import ExactPositions, Floats, Indices, Positions
from regionplot.geo.warp import warp_to_panel


@dataclass(frozen=True)
class Sample:
    """What a panel shows of a grid."""

    values: NDArray[Any]
    """Shape (height, width) of the panel, row 0 in the north; NaN, or the fill, where there is nothing."""
    inside: NDArray[np.bool_]
    """Where the pixel's centre lies within the grid, be there data or not; broadcasts to the shape of `values`."""


def sample(
    values: NDArray[Any],
    geometry: GridGeometry,
    panel: PanelGrid,
    crs: pyproj.CRS,
    resampling: str = "nearest",
    *,
    fill: int | None = None,
) -> Sample:
    """Sample a grid at the pixels of a panel.

    Parameters
    ----------
    values : ndarray, shape (rows, columns)
        The grid.
    geometry : GridGeometry
        Where its cells lie.
    panel : PixelGrid
        The pixels to fill, in map units.
    crs : pyproj.CRS
        The map's CRS.
    resampling : {"nearest", "bilinear", "cubic", "average", "mode", "max"}
        How cells become pixels.
    fill : int, optional
        What stands where there is nothing, for nearest only; by default NaN.

    Returns
    -------
    Sample
        Of floating type, so that NaN can stand where there is nothing; of the type of `values` if `fill` is given.
    """
    with np.errstate(invalid="ignore"):  # beyond a projection's edge PROJ answers inf
        if geometry.is_axis_aligned and same_crs(crs, geometry.crs):
            nearest: _Cells = _AxisCells(*_axes(geometry, panel))
        else:
            nearest = _PointCells(geometry, Positions.of(geometry, panel, crs))
        if resampling == "nearest":
            return nearest.sample(values, fill)
        return Sample(warp_to_panel(values, geometry, panel, crs, resampling), nearest.inside)


def pixel_centers(panel: PanelGrid) -> tuple[Floats, Floats]:
    """The x of the columns and the y of the rows of a panel, at pixel centres, in map units."""
    x = panel.extent.xmin + (np.arange(panel.width) + 0.5) * panel.pixel_width
    y = panel.extent.ymax - (np.arange(panel.height) + 0.5) * panel.pixel_height
    return x, y


def _axes(geometry: GridGeometry, panel: PanelGrid) -> tuple[Indices, Indices]:
    """The grid's column under each panel column and row under each panel row; -1 outside."""
    columns, rows = geometry.columns_and_rows(*_padded_pair(*pixel_centers(panel)))
    column, row = geometry.wrapped(columns[: panel.width]), rows[: panel.height]
    return _index(column, geometry.width), _index(row, geometry.height)


def _padded_pair(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Two axes of unequal length as one array of coordinates each."""
    length = max(x.size, y.size)
    return np.resize(x, length), np.resize(y, length)


def _index(position: Floats, length: int) -> Indices:
    index = np.floor(position)
    return np.where((index >= 0) & (index < length), index, -1).astype(np.intp)


class _Cells(Protocol):
    """The cells under the pixels of a panel."""

    @property
    def inside(self) -> NDArray[np.bool_]:
        """Where there is one."""
        ...

    def sample(self, values: NDArray[Any], fill: int | None) -> Sample:
        """Their values; the fill, or NaN, where there is none."""
        ...


@dataclass(frozen=True)
class _AxisCells:
    """One column of the grid for each column of the panel, one row for each row; -1 where there is none."""

    columns: Indices
    rows: Indices

    @property
    def inside(self) -> NDArray[np.bool_]:
        """See `_Cells`."""
        columns, rows = self.columns >= 0, self.rows >= 0
        if columns.all() and rows.all():  # the usual case, without a byte for each pixel
            return np.broadcast_to(np.True_, (rows.size, columns.size))
        return np.asarray(rows[:, None] & columns)

    def sample(self, values: NDArray[Any], fill: int | None) -> Sample:
        """See `_Cells`."""
        dtype = float_dtype(values.dtype) if fill is None else values.dtype
        rows_in, columns_in = np.flatnonzero(self.rows >= 0), np.flatnonzero(self.columns >= 0)
        picked = _take(values, self.rows[rows_in], self.columns[columns_in]).astype(dtype, copy=False)
        if picked.shape == (self.rows.size, self.columns.size):
            return Sample(picked, self.inside)
        result = np.full((self.rows.size, self.columns.size), np.nan if fill is None else fill, dtype)
        result[np.ix_(rows_in, columns_in)] = picked
        return Sample(result, self.inside)


def _take(values: NDArray[Any], rows: Indices, columns: Indices) -> NDArray[Any]:
    """`values[rows][:, columns]`, through the smaller of the two arrays that can stand between."""
    if not rows.size or not columns.size:
        return np.empty((rows.size, columns.size), values.dtype)
    top, left = rows.min(), columns.min()
    part = values[top : rows.max() + 1, left : columns.max() + 1]
    if part.shape[0] < rows.size:
        return np.asarray(np.take(np.take(part, columns - left, axis=1), rows - top, axis=0))
    return np.asarray(np.take(part[rows - top], columns - left, axis=1))


@dataclass(frozen=True)
class _PointCells:
    """A fractional row and column of the grid for each pixel; not finite, or beyond the grid, where there is none.

    They are worked out in strips of the panel: an array of this kind for all of it is ten megabytes.
    """

    geometry: GridGeometry
    positions: Positions | ExactPositions

    @property
    def inside(self) -> NDArray[np.bool_]:
        """See `_Cells`."""
        return np.concatenate([inside for _, _, inside in self._strips()])

    def sample(self, values: NDArray[Any], fill: int | None) -> Sample:
        """See `_Cells`."""
        missing, dtype = (np.nan, float_dtype(values.dtype)) if fill is None else (fill, values.dtype)
        cells, sampled, masks = values.ravel(), [], []
        for row, column, inside in self._strips():
            flat = np.where(inside, row, 0).astype(np.intp)
            flat *= self.geometry.width
            flat += np.where(inside, column, 0).astype(np.intp)
            strip = cells.take(flat).astype(dtype, copy=False)
            np.putmask(strip, ~inside, missing)
            sampled.append(strip)
            masks.append(inside)
        return Sample(np.concatenate(sampled), np.concatenate(masks))

    def _strips(self) -> Iterator[tuple[Floats, Floats, NDArray[np.bool_]]]:
        """Row, column, and whether they are in the grid, of the pixels of some rows of the panel at a time."""
        height, width = self.geometry.height, self.geometry.width
        for column, row in self.positions.strips():
            column = self.geometry.wrapped(column)
            yield row, column, (row >= 0) & (row < height) & (column >= 0) & (column < width)
