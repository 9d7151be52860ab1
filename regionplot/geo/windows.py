"""Find the window of a grid that a panel needs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyproj

from regionplot.geo.crs import transformer
from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry, Window
from regionplot.geo.positions import MESH_STEP, Floats, Locator, mesh_axis

_NODES = 16
"""At least so many of these along each side."""
_FINE_MESH = 4
"""The same, where the map has an edge in the panel."""
_MARGIN = 3


def index_spans(
    geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS
) -> tuple[tuple[int, int], tuple[int, int]] | None:
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


def _poles(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> Iterator[float]:
    """The rows of the poles that a panel shows, of a grid in degrees; all meridians meet there, between any nodes."""
    if not geometry.crs.is_geographic or crs.is_geographic:
        return
    shown = panel.extent.resized(panel.extent.width + panel.pixel_width, panel.extent.height + panel.pixel_height)
    for latitude in (-90.0, 90.0):
        x, y = transformer(geometry.crs, crs).transform(0.0, latitude)
        if shown.xmin <= x <= shown.xmax and shown.ymin <= y <= shown.ymax:
            yield float(geometry.columns_and_rows(np.zeros(1), np.array([latitude]))[1][0])


def _positions_on_mesh(
    geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS, step: int = MESH_STEP
) -> tuple[Floats, Floats]:
    """(column, row) of the grid at the nodes of a panel."""
    with np.errstate(invalid="ignore"):
        return Locator(geometry, crs, panel)(*_nodes(panel, step))


def _nodes(panel: PanelGrid, step: int = MESH_STEP) -> tuple[Floats, Floats]:
    """X and y of nodes a step apart, in pixels; of which even a small panel has some."""
    step = max(1, min(step, panel.width // _NODES, panel.height // _NODES))
    return mesh_axis(panel.width, step), mesh_axis(panel.height, step)


def needed_window(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> Window | None:
    """The window of a grid that holds all that a panel shows, with a margin; None if they do not meet."""
    spans = index_spans(geometry, panel, crs)
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
    circle = geometry.columns_per_turn or 0.0
    turns = range(-int(last // circle), -int(first // circle) + 1) if circle else range(1)
    for turn in turns:
        left, right = max(int(first + turn * circle), 0), min(int(np.ceil(last + turn * circle)), geometry.width - 1)
        if left <= right:
            yield left, right


def cells_per_pixel(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> float:
    """How many cells lie along a pixel of a panel where they are fewest; 1 if that cannot be told."""
    nodes = _positions_on_mesh(geometry, panel, crs)
    mesh = _nodes(panel)
    with np.errstate(invalid="ignore"):
        along_x = np.hypot(*(np.diff(position, axis=1) for position in nodes)) / np.diff(mesh[0])
        along_y = np.hypot(*(np.diff(position, axis=0) for position in nodes)) / np.diff(mesh[1])[:, None]
    found = np.concatenate([along_x.ravel(), along_y.ravel()])
    found = found[np.isfinite(found)]
    return float(found.min()) if found.size else 1.0
