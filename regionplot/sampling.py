"""Sample a grid straight onto the pixels of a map panel: gather where rows and columns suffice, warp where CRSs differ.

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
from functools import lru_cache
from typing import Any, Protocol

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

from regionplot.grid import GridGeometry, Window
from regionplot.models import PixelGrid
from regionplot.projections import same_crs, transformer, unwrap, with_meridian

TOLERANCE = 0.125
"""Largest error of a sampled position, in panel pixels."""
_STEPS = (64, 32, 16, 8)
_MESH = 32
"""Pixels between the positions from which the part of the grid that a panel needs is found."""
_NODES = 16
"""At least so many of these along each side."""
_FINE_MESH = 4
"""The same, where the map has an edge in the panel."""
_MARGIN = 3
_STRIP = 2**16
"""Pixels that are worked on at a time, so that what is worked out for them stays in the processor's cache."""

Floats = NDArray[np.floating[Any]]
Indices = NDArray[np.intp]


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
    panel: PixelGrid,
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
            nearest = _PointCells(geometry, _Positions.of(geometry, panel, crs))
        if resampling == "nearest":
            return nearest.sample(values, fill)
        return Sample(_warp(values, geometry, panel, crs, resampling), nearest.inside)


def pixel_centers(panel: PixelGrid) -> tuple[Floats, Floats]:
    """The x of the columns and the y of the rows of a panel, at pixel centres, in map units."""
    x = panel.extent.xmin + (np.arange(panel.width) + 0.5) * panel.pixel_width
    y = panel.extent.ymax - (np.arange(panel.height) + 0.5) * panel.pixel_height
    return x, y


def _axes(geometry: GridGeometry, panel: PixelGrid) -> tuple[Indices, Indices]:
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
        dtype = _floating(values.dtype) if fill is None else values.dtype
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
    positions: _Positions | _ExactPositions

    @property
    def inside(self) -> NDArray[np.bool_]:
        """See `_Cells`."""
        return np.concatenate([inside for _, _, inside in self._strips()])

    def sample(self, values: NDArray[Any], fill: int | None) -> Sample:
        """See `_Cells`."""
        missing, dtype = (np.nan, _floating(values.dtype)) if fill is None else (fill, values.dtype)
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


def _floating(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The smallest floating type that holds these values and that GDAL knows, too."""
    return np.result_type(dtype, np.float32) if dtype.itemsize < 8 else np.dtype(np.float64)


@dataclass(frozen=True)
class _Positions:
    """(column, row) of the grid under each pixel centre, interpolated along y from nodes; not wrapped."""

    along_y: Floats
    """Weights of the nodes for each row of the panel, shape (height, nodes)."""
    column: Floats
    """The grid's columns at the nodes, for each column of the panel, shape (nodes, width)."""
    row: Floats

    @classmethod
    def of(cls, geometry: GridGeometry, panel: PixelGrid, crs: pyproj.CRS) -> _Positions | _ExactPositions:
        """From the coarsest mesh that is exact enough; or transformed one by one, if none is."""
        locate = _Locator(geometry, crs, panel)
        for step in _STEPS:
            mesh = _mesh(panel.width, step), _mesh(panel.height, step)
            column, row = locate(*mesh)
            if locate.is_close(mesh, column, row):
                along_x = _weights(panel.width, step).T
                return cls(_weights(panel.height, step), column @ along_x, row @ along_x)
        return _ExactPositions(locate)

    def strips(self) -> Iterator[tuple[Floats, Floats]]:
        """Column and row for the pixels of some rows of the panel at a time, from the top."""
        for rows in strips_of(len(self.along_y), self.column.shape[1]):
            yield self.along_y[rows] @ self.column, self.along_y[rows] @ self.row


@dataclass(frozen=True)
class _ExactPositions:
    """The same, by the exact transform."""

    locate: _Locator

    def strips(self) -> Iterator[tuple[Floats, Floats]]:
        """See `_Positions`."""
        panel = self.locate.panel
        x, y = np.arange(panel.width) + 0.5, np.arange(panel.height) + 0.5
        for rows in strips_of(panel.height, panel.width):
            yield self.locate(x, y[rows])


def strips_of(height: int, width: int) -> Iterator[slice]:
    """Slices of rows that hold so many pixels as stay in the processor's cache."""
    rows = max(1, _STRIP // width)
    return (slice(first, min(first + rows, height)) for first in range(0, height, rows))


@dataclass(frozen=True)
class _Locator:
    """The exact transform from positions on the panel to positions on the grid."""

    geometry: GridGeometry
    crs: pyproj.CRS
    panel: PixelGrid

    def __call__(self, x_pixels: Floats, y_pixels: Floats) -> tuple[Floats, Floats]:
        """(column, row) at the crossings of panel columns and rows (fractional, from the top left)."""
        extent = self.panel.extent
        x, y = np.meshgrid(
            extent.xmin + x_pixels * self.panel.pixel_width, extent.ymax - y_pixels * self.panel.pixel_height
        )
        if not same_crs(self.crs, self.geometry.crs):
            x, y = self._to_grid(x, y)
        return self.geometry.columns_and_rows(x, y)

    def _to_grid(self, x: Floats, y: Floats) -> tuple[Floats, Floats]:
        to_grid = transformer(self.crs, self.geometry.crs)
        x, y = to_grid.transform(x, y)
        if self.geometry.crs.is_geographic:
            x = unwrap(x, _middle_longitude(self.geometry, self.panel, self.crs))
        return x, y

    def is_close(self, mesh: tuple[Floats, Floats], column: Floats, row: Floats) -> bool:
        """Whether interpolating the mesh is exact enough, seen at the middles of its cells and of their edges.

        The middles of the cells would not do: between conformal projections the errors along x and y cancel there.
        """
        finer = tuple(np.linspace(nodes[0], nodes[-1], 2 * nodes.size - 1) for nodes in mesh)
        exact_column, exact_row = self(finer[0], finer[1])
        off = _halved(column) - exact_column, _halved(row) - exact_row
        with np.errstate(divide="ignore", invalid="ignore"):
            return bool(np.all(_in_pixels(off, (exact_column, exact_row), finer) <= TOLERANCE))


def _halved(nodes: Floats) -> Floats:
    """Values at nodes, and interpolated half way between them."""
    rows = np.repeat(nodes, 2, axis=0)[:-1]
    rows[1::2] = (nodes[:-1] + nodes[1:]) / 2
    result = np.repeat(rows, 2, axis=1)[:, :-1]
    result[:, 1::2] = (rows[:, :-1] + rows[:, 1:]) / 2
    return result


def _in_pixels(off: tuple[Floats, Floats], exact: tuple[Floats, Floats], mesh: tuple[Floats, ...]) -> Floats:
    """Distances in columns and rows of the grid as pixels of the panel, by the slopes of the exact positions."""
    (column_y, column_x), (row_y, row_x) = (np.gradient(positions, mesh[1], mesh[0]) for positions in exact)
    determinant = column_x * row_y - column_y * row_x
    x = (row_y * off[0] - column_y * off[1]) / determinant
    y = (column_x * off[1] - row_x * off[0]) / determinant
    return np.hypot(x, y)


def _mesh(length: int, step: int) -> Floats:
    """Nodes that span the pixel centres 0.5 ... length - 0.5, about `step` apart."""
    return np.linspace(0.5, length - 0.5, max(2, -(-length // step) + 1))


@lru_cache(maxsize=16)
def _weights(length: int, step: int) -> Floats:
    """The matrix that interpolates the nodes of `_mesh` linearly to every pixel: shape (length, nodes)."""
    nodes = _mesh(length, step)
    position = (np.arange(length) + 0.5 - nodes[0]) / (nodes[1] - nodes[0])
    weights: Floats = np.clip(1 - abs(position[:, None] - np.arange(nodes.size)), 0, None)
    return weights


def _warp(
    values: NDArray[Any], geometry: GridGeometry, panel: PixelGrid, crs: pyproj.CRS, resampling: str
) -> NDArray[Any]:
    """Resample with GDAL, from the part of the grid that the panel needs."""
    from rasterio.enums import Resampling  # noqa: PLC0415 (GDAL is not needed for nearest)
    from rasterio.warp import reproject  # noqa: PLC0415

    result = np.full((panel.height, panel.width), np.nan, _floating(values.dtype))
    spans = _spans(geometry, panel, crs)
    if spans is None:
        return result
    rows = slice(max(spans[0][0], 0), min(spans[0][1], geometry.height - 1) + 1)
    columns = np.arange(spans[1][0], spans[1][1] + 1)
    if geometry.circle is None:
        columns = columns[(columns >= 0) & (columns < geometry.width)]
    if rows.start >= rows.stop or not columns.size:
        return result
    source_crs, x_shift = _source_frame(geometry, panel, crs)
    extent = panel.extent
    reproject(
        _cut_out(values, geometry, rows, columns).astype(result.dtype, copy=False),
        result,
        src_transform=_window_affine(geometry, columns[0], rows.start, x_shift),
        src_crs=source_crs.to_wkt(),
        src_nodata=np.nan,
        dst_transform=Affine(panel.pixel_width, 0, extent.xmin, 0, -panel.pixel_height, extent.ymax),
        dst_crs=crs.to_wkt() if not same_crs(crs, geometry.crs) else source_crs.to_wkt(),
        dst_nodata=np.nan,
        resampling=Resampling[resampling],
        num_threads=1,
    )
    return result


def _cut_out(values: NDArray[Any], geometry: GridGeometry, rows: slice, columns: Indices) -> NDArray[Any]:
    """The cells of some rows and columns; columns of a circle may run on past its end, NaN where the grid is not."""
    if geometry.circle is None:
        return values[rows, columns[0] : columns[-1] + 1]
    turned = np.mod(columns, round(geometry.circle))
    window = values[rows].take(np.minimum(turned, geometry.width - 1), axis=1).astype(_floating(values.dtype))
    window[:, turned >= geometry.width] = np.nan
    return window


def _window_affine(geometry: GridGeometry, column: int, row: int, x_shift: float) -> Affine:
    """The affine transform of a window that begins at a column and row, moved along x."""
    x, y = geometry.coordinates(np.asarray(column), np.asarray(row))
    a, b, _, d, e, _ = geometry.affine[:6]
    return Affine(a, b, float(x) + x_shift, d, e, float(y))


def _source_frame(geometry: GridGeometry, panel: PixelGrid, crs: pyproj.CRS) -> tuple[pyproj.CRS, float]:
    """The grid's CRS for GDAL, and the shift of its x: degrees are counted from the middle of the panel."""
    if geometry.circle is None or same_crs(crs, geometry.crs):
        return geometry.crs, 0.0
    middle = _middle_longitude(geometry, panel, crs)
    return with_meridian(geometry.crs, middle), -middle


def _middle_longitude(geometry: GridGeometry, panel: PixelGrid, crs: pyproj.CRS) -> float:
    """The longitude in the middle of a panel; 0 where the middle is off the earth, as beside a projection's edge."""
    middle = float(transformer(crs, geometry.crs).transform(*panel.extent.center)[0])
    return middle if np.isfinite(middle) else 0.0


def _spans(geometry: GridGeometry, panel: PixelGrid, crs: pyproj.CRS) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """First and last row, first and last column that a panel needs, with a margin, be they in the grid or not."""
    column, row = _positions_on_mesh(geometry, panel, crs)
    if not (np.isfinite(column).all() and np.isfinite(row).all()):  # the edge of the map lies between nodes
        column, row = _positions_on_mesh(geometry, panel, crs, _FINE_MESH)
    finite = np.isfinite(column) & np.isfinite(row)
    if not finite.any():
        return None
    poles = np.array(list(_poles(geometry, panel, crs)))
    all_columns = np.array([0.0, geometry.width] if poles.size else [])
    return (
        _with_margin(np.concatenate([row[finite], poles])),
        _with_margin(np.concatenate([column[finite], all_columns])),
    )


def _with_margin(positions: Floats) -> tuple[int, int]:
    low, high = positions.min(), positions.max()
    margin = _MARGIN + 0.05 * (high - low)
    return int(np.floor(low - margin)), int(np.ceil(high + margin))


def _poles(geometry: GridGeometry, panel: PixelGrid, crs: pyproj.CRS) -> Iterator[float]:
    """The rows of the poles that a panel shows, of a grid in degrees; all meridians meet there, between any nodes."""
    if not geometry.crs.is_geographic or crs.is_geographic:
        return
    shown = panel.extent.resized(panel.extent.width + panel.pixel_width, panel.extent.height + panel.pixel_height)
    for latitude in (-90.0, 90.0):
        x, y = transformer(geometry.crs, crs).transform(0.0, latitude)
        if shown.xmin <= x <= shown.xmax and shown.ymin <= y <= shown.ymax:
            yield float(geometry.columns_and_rows(np.zeros(1), np.array([latitude]))[1][0])


def _positions_on_mesh(
    geometry: GridGeometry, panel: PixelGrid, crs: pyproj.CRS, step: int = _MESH
) -> tuple[Floats, Floats]:
    """(column, row) of the grid at the nodes of a panel."""
    with np.errstate(invalid="ignore"):
        return _Locator(geometry, crs, panel)(*_nodes(panel, step))


def _nodes(panel: PixelGrid, step: int = _MESH) -> tuple[Floats, Floats]:
    """X and y of nodes a step apart, in pixels; of which even a small panel has some."""
    step = max(1, min(step, panel.width // _NODES, panel.height // _NODES))
    return _mesh(panel.width, step), _mesh(panel.height, step)


def needed_window(geometry: GridGeometry, panel: PixelGrid, crs: pyproj.CRS) -> Window | None:
    """The window of a grid that holds all that a panel shows, with a margin; None if they do not meet."""
    spans = _spans(geometry, panel, crs)
    if spans is None:
        return None
    (first_row, last_row), (first_column, last_column) = spans
    top, bottom = max(first_row, 0), min(last_row, geometry.height - 1)
    pieces = list(_on_the_grid(first_column, last_column, geometry))
    if top > bottom or not pieces:
        return None
    left, right = min(piece[0] for piece in pieces), max(piece[1] for piece in pieces)
    return Window(top, left, bottom - top + 1, right - left + 1)


def _on_the_grid(first: int, last: int, geometry: GridGeometry) -> Iterator[tuple[int, int]]:
    """What of some columns lies on the grid; in degrees, on any turn of the circle."""
    circle = geometry.circle or 0.0
    turns = range(-int(last // circle), -int(first // circle) + 1) if circle else range(1)
    for turn in turns:
        left, right = max(int(first + turn * circle), 0), min(int(np.ceil(last + turn * circle)), geometry.width - 1)
        if left <= right:
            yield left, right


def cells_per_pixel(geometry: GridGeometry, panel: PixelGrid, crs: pyproj.CRS) -> float:
    """How many cells lie along a pixel of a panel where they are fewest; 1 if that cannot be told."""
    nodes = _positions_on_mesh(geometry, panel, crs)
    mesh = _nodes(panel)
    with np.errstate(invalid="ignore"):
        along_x = np.hypot(*(np.diff(position, axis=1) for position in nodes)) / np.diff(mesh[0])
        along_y = np.hypot(*(np.diff(position, axis=0) for position in nodes)) / np.diff(mesh[1])[:, None]
    found = np.concatenate([along_x.ravel(), along_y.ravel()])
    found = found[np.isfinite(found)]
    return float(found.min()) if found.size else 1.0
