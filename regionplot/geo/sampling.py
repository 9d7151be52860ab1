"""Sample a grid at the pixels of a map panel. The CRS and the resampling method select one of four ways.

::

    panel pixels ─ rows and columns ─────────────────────┬► pick cells            (nearest)
         └─ coarse mesh ─ PROJ ─ interpolate ─ positions ┴► interpolate cells     (bilinear, cubic)
         └─ window of the grid ─ GDAL warp ───────────────► panel                 (average, mode, max)

Rows and columns are enough if grid and map have the same CRS and the grid is not rotated. Otherwise, positions are
interpolated in a mesh. The mesh is compared with exact positions between its nodes, and refined until the error is
small enough. For `nearest`, this is an eighth of a panel pixel (`geo.positions`), which is also the default tolerance
of gdalwarp (https://gdal.org/en/stable/programs/gdalwarp.html, option `-et`). For `bilinear` and `cubic`, it is 1/64
pixel (`geo.smooth`).

GDAL also warps `bilinear` and `cubic` if no mesh is accurate enough, such as at a seam of the grid, and if the panel is
coarser than the grid (`geo.interpolation`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.geo.axis_cells import CellsByAxis, Sample
from regionplot.geo.crs import same_crs
from regionplot.geo.dtypes import float_dtype
from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.interpolation import AxisPositions, interpolate
from regionplot.geo.jumps import beside_seams
from regionplot.geo.kernels import KERNELS, Kernel
from regionplot.geo.positions import Bounds, ExactPositions, Floats, Positions
from regionplot.geo.smooth import SmoothPositions
from regionplot.geo.warp import warp_to_panel

_AREAL = ("average", "mode", "max")
"""Methods that use all cells within a pixel."""
_ROUNDING = 1e-6
"""Maximum rounding error of a position, in cells."""
_MAX_LOST = 1e-3
"""Maximum fraction of pixels that GDAL may lose. If GDAL loses more pixels, it warps again with all cells."""


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
        Cells of the grid.
    geometry : GridGeometry
        Geometry of the grid.
    panel : PanelGrid
        Pixels to sample, in map units.
    crs : pyproj.CRS
        CRS of the map.
    resampling : {"nearest", "bilinear", "cubic", "average", "mode", "max"}
        Resampling method.
    fill : int, optional
        Value of pixels outside the grid. By default, NaN. Only `nearest` uses `fill`.

    Returns
    -------
    Sample
        Its values have a floating-point type, which can hold NaN. With `nearest` and a `fill`, the values of the
        sample have the data type of the grid.
    """
    with np.errstate(invalid="ignore"):  # PROJ returns inf outside a projection
        if resampling in KERNELS:
            interpolated = _interpolated(values, geometry, panel, crs, KERNELS[resampling])
            if interpolated is not None:
                return interpolated
        nearest = _nearest_cells(geometry, panel, crs)
        if resampling == "nearest":
            return nearest.sample(values, fill)
        return _warped(values, geometry, panel, crs, resampling, nearest)


def cells_by_axis(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> CellsByAxis | None:
    """Return the cells at the pixels of a panel whose axes are those of the grid. Otherwise, return None."""
    if not (geometry.is_axis_aligned and same_crs(crs, geometry.crs)):
        return None
    return CellsByAxis.of(geometry, _axis_positions(geometry, panel))


def _nearest_cells(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> _Cells:
    return cells_by_axis(geometry, panel, crs) or _CellsByPixel(geometry, Positions.of(geometry, panel, crs))


def _interpolated(
    values: NDArray[Any], geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS, kernel: Kernel
) -> Sample | None:
    """Return interpolated values. Return None if GDAL must warp: at seams, and for a panel coarser than the grid."""
    if geometry.is_axis_aligned and same_crs(crs, geometry.crs):
        axes = _axis_positions(geometry, panel)
        found = interpolate(values, geometry, panel, axes, kernel)
        return None if found is None else Sample(found, CellsByAxis.of(geometry, axes).inside)
    positions = SmoothPositions.find(geometry, panel, crs)
    if positions is None:
        return None
    found = interpolate(values, geometry, panel, positions, kernel)
    return None if found is None else Sample(found, _CellsByPixel(geometry, positions).inside)


def _warped(
    values: NDArray[Any],
    geometry: GridGeometry,
    panel: PanelGrid,
    crs: pyproj.CRS,
    resampling: str,
    nearest: _Cells,
) -> Sample:
    """Return values that GDAL has warped. Pixels that GDAL lost, or averaged across a seam, get the nearest cell."""
    inside = nearest.inside
    warped = warp_to_panel(values, geometry, panel, crs, resampling)
    replaced = np.isnan(warped) & inside
    if not replaced.any() and not nearest.has_seams:
        return Sample(warped, inside)
    cells = nearest.sample(values, None).values
    replaced &= ~np.isnan(cells)
    if nearest.has_seams and replaced.sum() > _MAX_LOST * inside.sum():
        warped = warp_to_panel(values, geometry, panel, crs, resampling, max(geometry.height, geometry.width))
        replaced = np.isnan(warped) & inside
    torn = nearest.torn if resampling in _AREAL else None
    np.copyto(warped, cells, where=replaced if torn is None else replaced | torn)
    return Sample(warped, inside)


def pixel_centers(panel: PanelGrid) -> tuple[Floats, Floats]:
    """Return x of the columns and y of the rows of a panel, at pixel centers, in map units."""
    x = panel.extent.xmin + (np.arange(panel.width) + 0.5) * panel.pixel_width
    y = panel.extent.ymax - (np.arange(panel.height) + 0.5) * panel.pixel_height
    return x, y


def _axis_positions(geometry: GridGeometry, panel: PanelGrid) -> AxisPositions:
    """Return the grid column of each panel column and the grid row of each panel row, for an axis-aligned grid."""
    columns, rows = geometry.columns_and_rows(*_pad_to_same_length(*pixel_centers(panel)))
    return AxisPositions(columns[: panel.width], rows[: panel.height])


def _pad_to_same_length(x: Floats, y: Floats) -> tuple[Floats, Floats]:
    """Pad the shorter array to the length of the longer array. The added values are not used."""
    length = max(x.size, y.size)
    return np.resize(x, length), np.resize(y, length)


class _Cells(Protocol):
    """The grid cell at each pixel of a panel."""

    @property
    def inside(self) -> NDArray[np.bool_]:
        """True for pixels in the grid."""
        ...

    @property
    def has_seams(self) -> bool:
        """True if pixels that lie side by side can be far apart in the grid."""
        ...

    @property
    def torn(self) -> NDArray[np.bool_] | None:
        """True for pixels beside a seam, where a pixel can reach from one edge of the grid to the other.

        None if there are no such pixels.
        """
        ...

    def sample(self, values: NDArray[Any], fill: int | None) -> Sample:
        """Return the value of the cell at each pixel. Pixels outside the grid are `fill`, or NaN if it is None."""
        ...


@dataclass(frozen=True)
class _CellsByPixel:
    """Grid cells of a panel, for a grid that is rotated or has another CRS than the map.

    Positions are computed in strips, because the array of positions for a whole panel takes about ten megabytes.
    """

    geometry: GridGeometry
    positions: Positions | SmoothPositions | ExactPositions

    @property
    def inside(self) -> NDArray[np.bool_]:
        """See `_Cells`."""
        if not isinstance(self.positions, ExactPositions) and self._offset is not None:
            return np.broadcast_to(np.True_, self.positions.shape)  # the usual case; needs no memory per pixel
        return np.concatenate([inside for _, _, inside in self._strips()])

    @property
    def _offset(self) -> float | None:
        """The number of columns to add, so that all pixels are in the grid. None if this is not possible."""
        if isinstance(self.positions, ExactPositions):
            return None
        bounds, period = self.positions.bounds, self.geometry.columns_per_turn or 0.0
        offsets = (turn * period for turn in (0, 1, -1))
        return next((offset for offset in offsets if _lies_within(bounds.shifted(offset), self.geometry)), None)

    @property
    def has_seams(self) -> bool:
        """See `_Cells`. Positions at a seam cannot be interpolated."""
        return isinstance(self.positions, ExactPositions)

    @property
    def torn(self) -> NDArray[np.bool_] | None:
        """See `_Cells`."""
        if not self.has_seams:
            return None
        strips = list(self.positions.strips())
        column, row = (np.concatenate(parts) for parts in zip(*strips, strict=True))
        return beside_seams(column, row)

    def sample(self, values: NDArray[Any], fill: int | None) -> Sample:
        """See `_Cells`."""
        missing, dtype = (np.nan, float_dtype(values.dtype)) if fill is None else (fill, values.dtype)
        if (offset := self._offset) is not None:
            picked = [self._pick(values, row, column + offset) for column, row in self.positions.strips()]
            return Sample(np.concatenate(picked).astype(dtype, copy=False), self.inside)
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

    def _pick(self, values: NDArray[Any], row: Floats, column: Floats) -> NDArray[Any]:
        """Return the cells at some positions in the grid."""
        flat = row.astype(np.intp)
        flat *= self.geometry.width
        flat += column.astype(np.intp)
        return values.ravel().take(flat, mode="clip")

    def _strips(self) -> Iterator[tuple[Floats, Floats, NDArray[np.bool_]]]:
        """Yield (rows, columns, inside) for strips of the panel. Positions outside the projection are not finite."""
        height, width = self.geometry.height, self.geometry.width
        for column, row in self.positions.strips():
            column = self.geometry.wrapped(column)
            yield row, column, (row >= 0) & (row < height) & (column >= 0) & (column < width)


def _lies_within(bounds: Bounds, geometry: GridGeometry) -> bool:
    """Return True if all positions within some bounds are in the grid, and no column must be wrapped."""
    return (
        bounds.left >= _ROUNDING and bounds.right <= geometry.width - _ROUNDING
        and bounds.top >= _ROUNDING and bounds.bottom <= geometry.height - _ROUNDING
    )  # fmt: skip
