"""Find the window of a grid that a panel needs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyproj

from regionplot.geo.crs import same_crs, transformer
from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry, Window
from regionplot.geo.mesh import Floats, mesh_axis
from regionplot.geo.positions import WINDOW_MESH_STEP, Locator

_MIN_NODES = 16
"""Minimum number of mesh nodes along each side of a panel, if the panel has at least as many pixels."""
_FINE_MESH_STEP = 4
"""Distance between mesh nodes, in pixels, for a panel that contains an edge of the projection."""
_MARGIN_CELLS = 3
"""Cells added on each side of a window, in addition to 5 % of its length."""


def index_spans(
    geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS
) -> tuple[tuple[int, int], tuple[int, int]] | None:
    """Return (first row, last row) and (first column, last column) that a panel needs, with a margin.

    The rows and columns can be outside the grid. Return None if no node of the panel's mesh can be projected to the
    CRS of the grid.
    """
    if geometry.is_axis_aligned and same_crs(crs, geometry.crs):  # columns depend only on x, and rows only on y
        column, row = Locator(geometry, crs, panel)(*(nodes[[0, -1]] for nodes in _nodes(panel)))
    else:
        column, row = _positions_on_mesh(geometry, panel, crs)
    if not (np.isfinite(column).all() and np.isfinite(row).all()):  # the panel contains an edge of the projection
        column, row = _positions_on_mesh(geometry, panel, crs, _FINE_MESH_STEP)
    finite = np.isfinite(column) & np.isfinite(row)
    if not finite.any():
        return None
    pole_rows = np.array(list(_pole_rows(geometry, panel, crs)))
    all_columns = np.array([0.0, geometry.width] if pole_rows.size else [])
    return (
        _with_margin(np.concatenate([row[finite], pole_rows])),
        _with_margin(np.concatenate([column[finite], all_columns])),
    )


def _with_margin(positions: Floats) -> tuple[int, int]:
    """Return the range of positions, extended by a margin, as integers."""
    low, high = positions.min(), positions.max()
    margin = _MARGIN_CELLS + 0.05 * (high - low)
    return int(np.floor(low - margin)), int(np.ceil(high + margin))


def _pole_rows(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> Iterator[float]:
    """Yield the grid rows of the poles that a panel shows, for a grid in degrees.

    A pole can be between mesh nodes. The panel then needs all columns, because all meridians meet there.
    """
    if not geometry.crs.is_geographic or crs.is_geographic:
        return
    shown = panel.extent.resized(panel.extent.width + panel.pixel_width, panel.extent.height + panel.pixel_height)
    for latitude in (-90.0, 90.0):
        x, y = transformer(geometry.crs, crs).transform(0.0, latitude)
        if shown.xmin <= x <= shown.xmax and shown.ymin <= y <= shown.ymax:
            yield float(geometry.columns_and_rows(np.zeros(1), np.array([latitude]))[1][0])


def _positions_on_mesh(
    geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS, step: int = WINDOW_MESH_STEP
) -> tuple[Floats, Floats]:
    """Return the grid positions (columns, rows) at the mesh nodes of a panel."""
    with np.errstate(invalid="ignore"):
        return Locator(geometry, crs, panel)(*_nodes(panel, step))


def _nodes(panel: PanelGrid, step: int = WINDOW_MESH_STEP) -> tuple[Floats, Floats]:
    """Return x and y of mesh nodes in pixels. The step is reduced if a small panel would have too few nodes."""
    step = max(1, min(step, panel.width // _MIN_NODES, panel.height // _MIN_NODES))
    return mesh_axis(panel.width, step), mesh_axis(panel.height, step)


def needed_window(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> Window | None:
    """Return the window of a grid that a panel needs, with a margin. Return None if grid and panel do not overlap."""
    spans = index_spans(geometry, panel, crs)
    if spans is None:
        return None
    (first_row, last_row), (first_column, last_column) = spans
    top, bottom = max(first_row, 0), min(last_row, geometry.height - 1)
    pieces = list(_columns_in_grid(first_column, last_column, geometry))
    if top > bottom or not pieces:
        return None
    left, right = min(piece[0] for piece in pieces), max(piece[1] for piece in pieces)
    return Window(top, left, bottom - top + 1, right - left + 1)


def _columns_in_grid(first: int, last: int, geometry: GridGeometry) -> Iterator[tuple[int, int]]:
    """Yield the first and last column of each part of a column range that lies in the grid.

    In a grid in degrees, the range is repeated every 360°.
    """
    period = geometry.columns_per_turn or 0.0
    turns = range(-int(last // period), -int(first // period) + 1) if period else range(1)
    for turn in turns:
        left, right = max(int(first + turn * period), 0), min(int(np.ceil(last + turn * period)), geometry.width - 1)
        if left <= right:
            yield left, right


def cells_per_pixel(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> float:
    """Return the smallest number of cells along the side of a panel pixel; 1 if no pixel is in the projection."""
    nodes = _positions_on_mesh(geometry, panel, crs)
    mesh = _nodes(panel)
    with np.errstate(invalid="ignore"):
        along_x = np.hypot(*(np.diff(position, axis=1) for position in nodes)) / np.diff(mesh[0])
        along_y = np.hypot(*(np.diff(position, axis=0) for position in nodes)) / np.diff(mesh[1])[:, None]
    found = np.concatenate([along_x.ravel(), along_y.ravel()])
    found = found[np.isfinite(found)]
    return float(found.min()) if found.size else 1.0
