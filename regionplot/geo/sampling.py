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

GDAL also warps `bilinear` and `cubic` if no mesh is accurate enough, such as at a seam of the grid. If the panel is
coarser than the grid, `geo.reduction` computes the values if rows and columns are enough. Otherwise, GDAL warps.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.geo.axis_cells import CellsByAxis, Change, Sample
from regionplot.geo.crs import same_crs
from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.kernels import KERNELS
from regionplot.geo.known_positions import KnownPositions, values_at
from regionplot.geo.mesh import AxisPositions, Floats
from regionplot.geo.pixel_cells import CellsByPixel
from regionplot.geo.positions import ExactPositions, find_positions, find_smooth_positions
from regionplot.geo.warp import warp_to_panel

_AREAL = ("average", "mode", "max")
"""Methods that use all cells within a pixel."""
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
    change: Change | None = None,
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
    change : callable, optional
        Function that converts sampled values, such as to codes of a color scale. With `nearest`, it is called for
        strips of the panel, so that no array holds the values of all pixels.

    Returns
    -------
    Sample
        Its values have a floating-point type, which can hold NaN. With `nearest` and a `fill`, the values of the
        sample have the data type of the grid. If `change` is given, its results are returned instead of the values.
    """
    if change is not None and resampling != "nearest":
        found = sample(values, geometry, panel, crs, resampling, fill=fill)
        return Sample(change(found.values), found.inside)
    with np.errstate(invalid="ignore"):  # PROJ returns inf outside a projection
        if resampling in KERNELS:
            interpolated = _interpolated(values, geometry, panel, crs, resampling)
            if interpolated is not None:
                return interpolated
        nearest = _nearest_cells(geometry, panel, crs)
        if resampling == "nearest":
            return nearest.sample(values, fill, change)
        return _warped(values, geometry, panel, crs, resampling, nearest)


def known_positions(
    geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS, resampling: str
) -> KnownPositions | None:
    """Return positions for `known_positions.values_at`, or None if the positions of all pixels must be computed."""
    if geometry.is_axis_aligned and same_crs(crs, geometry.crs):
        return _axis_positions(geometry, panel)
    with np.errstate(invalid="ignore"):  # PROJ returns inf outside a projection
        if resampling in KERNELS:
            return find_smooth_positions(geometry, panel, crs)
        found = find_positions(geometry, panel, crs)
    return None if isinstance(found, ExactPositions) else found


def _nearest_cells(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> _Cells:
    if geometry.is_axis_aligned and same_crs(crs, geometry.crs):
        return CellsByAxis.of(geometry.lattice, _axis_positions(geometry, panel))
    return CellsByPixel(geometry.lattice, find_positions(geometry, panel, crs))


def _interpolated(
    values: NDArray[Any], geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS, resampling: str
) -> Sample | None:
    """Return interpolated values. Return None if GDAL must warp: at seams, and for a panel coarser than the grid."""
    positions, lattice = known_positions(geometry, panel, crs, resampling), geometry.lattice
    found = None if positions is None else values_at(values, lattice, positions, resampling)
    if positions is None or found is None:
        return None
    if isinstance(positions, AxisPositions):
        return Sample(found, CellsByAxis.of(lattice, positions).inside)
    return Sample(found, CellsByPixel(lattice, positions).inside)


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

    def sample(self, values: NDArray[Any], fill: int | None, change: Change | None = None) -> Sample:
        """Return the value of the cell at each pixel. Pixels outside the grid are `fill`, or NaN if it is None.

        If `change` is given, return its results for strips of the values.
        """
        ...
