"""The cells of one region, and their statistics, from the shared data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyproj
from numpy.typing import NDArray

from regionplot.colors.units import SAME, Conversion, needed_conversion
from regionplot.geo.areas import project_polygons
from regionplot.geo.coverage import covered_shares, polygons_in
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry, Window
from regionplot.geo.positions import Locator
from regionplot.geo.region import Region
from regionplot.geo.sampling import sample
from regionplot.geo.statistics import Statistics, cells_within
from regionplot.geo.windows import needed_window
from regionplot.inputs.color_tables import RgbBands
from regionplot.shared.cut import view_of
from regionplot.shared.data import SharedData

_NODES = 32
"""Number of points along each side of a region that is smaller than the cells."""


@dataclass(frozen=True)
class RegionCells:
    """The cells whose centers lie within the limits of a region.

    If the limits contain no center of a cell, the cells below the region are used.
    """

    values: NDArray[Any]
    """Values of a rectangle of cells around the region, shape (rows, columns), in the units of the raster. A view of
    the shared cells, read-only. For RGB bands, the values are packed colors."""
    inside: NDArray[np.bool_]
    """True for the cells of the region, shape of `values`."""
    valid: NDArray[np.bool_]
    """True for the cells of the region that have data, shape of `values`."""
    geometry: GridGeometry
    """Geometry of `values`."""
    conversion: Conversion = SAME
    """Conversion from the units of the raster to those of the color scale."""

    def statistics(self, percentages: Sequence[float] = ()) -> Statistics:
        """Return statistics in the units of the color scale. For packed colors, only the counts have a meaning.

        Parameters
        ----------
        percentages : sequence of float
            Percentages from 0 to 100 of the percentiles to compute.
        """
        return Statistics.of(self.shown, int(np.count_nonzero(self.inside)), percentages)

    @cached_property
    def shown(self) -> NDArray[Any]:
        """The valid values in the units of the color scale, shape (n,)."""
        return self.conversion.shown(self.values[self.valid])


def region_cells(shared: SharedData, region: Region) -> RegionCells:
    """Return the cells of a region. They are in memory, unless each map reads its own cells (`LoadPlan`).

    If each map reads its own cells, the cells have about the resolution of the map.

    Parameters
    ----------
    shared : SharedData
        The data.
    region : Region
        The region. Its limits on the map count, not the larger area that a map can show.

    Raises
    ------
    RegionError
        If the region cannot be projected.
    RasterError
        If the cells cannot be read.
    ConfigError
        If the units of the raster cannot be converted.
    """
    panel, crs = _panel_of(shared, region)
    values, geometry = _rectangle(shared, panel, crs)
    inside = _inside(geometry, panel, crs) if values.size else np.empty(values.shape, np.bool_)
    return _cells_of(shared, values, geometry, inside)


def extent_cells(shared: SharedData, region: Region) -> RegionCells:
    """Return the cells whose centers lie in the extent of a region, in the CRS of the extent.

    On a map in another projection, `region_cells` also includes cells beside the extent, because the limits on the map
    are a rectangle that contains the extent.

    Parameters
    ----------
    shared, region
        As for `region_cells`.

    Raises
    ------
    RegionError, RasterError, ConfigError
        As for `region_cells`.
    """
    panel, crs = _panel_of(shared, region)
    values, geometry = _rectangle(shared, panel, crs)
    inside = np.empty(values.shape, np.bool_)
    if values.size:
        inside = cells_within(geometry, region.extent, _crs_of(shared, region))
        inside = inside if inside.any() else _cells_below(geometry, panel, crs)
    return _cells_of(shared, values, geometry, inside)


def _crs_of(shared: SharedData, region: Region) -> pyproj.CRS:
    """Return the CRS of the extent of a region."""
    return shared.crs_of(region) if region.crs is None else parse_crs(region.crs)


def polygon_cells(shared: SharedData, region: Region) -> tuple[RegionCells, NDArray[np.float64]] | None:
    """Return the cells that the polygon of a region covers at least partly, and the share of each that it covers.

    Parameters
    ----------
    shared, region
        As for `region_cells`.

    Returns
    -------
    (RegionCells, ndarray of float64) or None
        The shares are from 0 to 1, shape of the cells. None if the region has no polygon.

    Raises
    ------
    RegionError, RasterError, ConfigError
        As for `region_cells`.
    """
    polygons = polygons_in(region.shape)
    if not polygons.size:
        return None
    values, geometry = _rectangle(shared, *_panel_of(shared, region))
    shares = np.zeros(values.shape)
    if values.size:
        shares = covered_shares(geometry, project_polygons(polygons, _crs_of(shared, region), geometry.crs))
    cells = _cells_of(shared, values, geometry, shares > 0)
    if not cells.values.size:
        return cells, shares[:0, :0]
    return cells, shares[_bounds(shares > 0).slices_in(Window(0, 0, *values.shape))]


def _cells_of(
    shared: SharedData, values: NDArray[Any], geometry: GridGeometry, inside: NDArray[np.bool_]
) -> RegionCells:
    """Return the cells of a rectangle that are inside a region."""
    has_units = shared.coloring is None
    conversion = needed_conversion(shared.info.units, shared.config.colors.units) if has_units else SAME
    if not inside.any():
        return RegionCells(values[:0, :0], inside[:0, :0], inside[:0, :0], geometry, conversion)
    window = _bounds(inside)
    part = window.slices_in(Window(0, 0, *values.shape))
    valid = inside[part] & _has_data(values[part], shared)
    return RegionCells(values[part], inside[part], valid, geometry.subgrid(window), conversion)


def valid_share(shared: SharedData, region: Region) -> float:
    """Return the share of the pixels of a region that show data, from 0 to 1. Pixels outside the raster show no data.

    A pixel shows data if the cell at its center has data.

    Parameters
    ----------
    shared, region
        As for `region_cells`.

    Raises
    ------
    RegionError, RasterError
        As for `region_cells`.
    """
    panel, crs = _panel_of(shared, region)
    values, geometry = _rectangle(shared, panel, crs)
    if not values.size:
        return 0.0
    flags = np.ascontiguousarray(_has_data(values, shared)).view(np.uint8)
    pixels = sample(flags, geometry, panel, crs, fill=0).values
    return float(np.count_nonzero(pixels) / pixels.size)


def _has_data(values: NDArray[Any], shared: SharedData) -> NDArray[np.bool_]:
    """Return True for cells that have data."""
    if isinstance(shared.coloring, RgbBands):
        return np.asarray(values != 0)
    return ~np.isnan(values) if values.dtype.kind == "f" else np.broadcast_to(np.True_, values.shape)


def _panel_of(shared: SharedData, region: Region) -> tuple[PanelGrid, pyproj.CRS]:
    """Return the limits of a region with the number of pixels that its map has there, and the CRS of the map."""
    view = view_of(shared, region)
    rows, columns = view.requested_area
    size = columns.stop - columns.start, rows.stop - rows.start
    return PanelGrid(view.requested, *size), shared.crs_of(region)


def _rectangle(shared: SharedData, panel: PanelGrid, crs: pyproj.CRS) -> tuple[NDArray[Any], GridGeometry]:
    """Return the cells around a panel, and their geometry. There can be none."""
    if shared.plan.reads_per_map:
        return shared.read_panel(panel, crs) or (np.empty((0, 0)), shared.geometry)
    window = needed_window(shared.info.geometry, panel, crs)
    common = None if window is None else window.intersection(shared.plan.window)
    if common is None:
        return shared.cells[:0, :0], shared.geometry
    return shared.cells[common.slices_in(shared.plan.window)], shared.info.geometry.subgrid(common)


def _inside(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> NDArray[np.bool_]:
    """Return True for the cells of a region."""
    inside = cells_within(geometry, panel.extent, crs)
    return inside if inside.any() else _cells_below(geometry, panel, crs)


def _cells_below(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> NDArray[np.bool_]:
    """Return True for the cells below a region that contains no center of a cell."""
    x, y = ((np.arange(_NODES) + 0.5) * length / _NODES for length in (panel.width, panel.height))
    with np.errstate(invalid="ignore"):  # PROJ returns inf outside a projection
        columns, rows = Locator(geometry, crs, panel)(x, y)
        columns = geometry.wrapped(columns)
        usable = (columns >= 0) & (columns < geometry.width) & (rows >= 0) & (rows < geometry.height)
    found = np.zeros((geometry.height, geometry.width), np.bool_)
    found[rows[usable].astype(np.intp), columns[usable].astype(np.intp)] = True
    return found


def _bounds(inside: NDArray[np.bool_]) -> Window:
    """Return the smallest window that contains all cells that are True."""
    rows, columns = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
    top, left = int(rows[0]), int(columns[0])
    return Window(top, left, int(rows[-1]) + 1 - top, int(columns[-1]) + 1 - left)
