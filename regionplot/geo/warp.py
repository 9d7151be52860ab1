"""Resample a grid to the pixels of a panel with GDAL."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

from regionplot.geo.crs import horizontal, same_crs, with_meridian
from regionplot.geo.dtypes import float_dtype
from regionplot.geo.extent import PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.mesh import Indices
from regionplot.geo.positions import middle_longitude
from regionplot.geo.windows import cells_per_pixel, index_spans
from regionplot.system.threads import GLOBALS_LOCK

_BYTES_PER_CELL = 24
"""Memory that GDAL needs for each cell and pixel: a value, its weight and its validity, with a reserve."""


def import_warper() -> None:
    """Import what `warp_to_panel` needs. If a process calls this function before it forks, its children inherit it."""
    for name in ("rasterio.warp", "numpy.ma"):  # rasterio uses numpy.ma when it warps
        importlib.import_module(name)


def warp_to_panel(
    values: NDArray[Any], geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS, resampling: str, margin: int = 0
) -> NDArray[Any]:
    """Return the values of a grid at the pixels of a panel, resampled by GDAL. Pixels outside the grid are NaN.

    GDAL gets only the window of the grid that the panel needs.

    Parameters
    ----------
    values, geometry, panel, crs, resampling
        See `sampling.sample`.
    margin : int
        Number of cells that GDAL reads around the cells that it needs by its own estimate. GDAL estimates the needed
        cells from the edge of the panel. This is not enough if a seam of the grid crosses the panel.
    """
    from rasterio.enums import Resampling  # noqa: PLC0415 (`nearest` needs no GDAL)
    from rasterio.warp import reproject  # noqa: PLC0415

    result = np.full((panel.height, panel.width), np.nan, float_dtype(values.dtype))
    spans = index_spans(geometry, panel, crs)
    if spans is None:
        return result
    rows = slice(max(spans[0][0], 0), min(spans[0][1], geometry.height - 1) + 1)
    columns = np.arange(spans[1][0], spans[1][1] + 1)
    if geometry.columns_per_turn is None:
        columns = columns[(columns >= 0) & (columns < geometry.width)]
    if rows.start >= rows.stop or not columns.size:
        return result
    source_crs, x_shift = _source_frame(geometry, panel, crs)
    extent, window = panel.extent, _cut_window(values, geometry, rows, columns).astype(result.dtype, copy=False)
    options = _options_for_seams(margin, window, result, cells_per_pixel(geometry, panel, crs)) if margin else {}
    with GLOBALS_LOCK:
        reproject(
            window,
            result,
            src_transform=_window_transform(geometry, columns[0], rows.start, x_shift),
            src_crs=horizontal(source_crs).to_wkt(),
            src_nodata=np.nan,
            dst_transform=Affine(panel.pixel_width, 0, extent.xmin, 0, -panel.pixel_height, extent.ymax),
            dst_crs=horizontal(source_crs if same_crs(crs, geometry.crs) else crs).to_wkt(),
            dst_nodata=np.nan,
            resampling=Resampling[resampling],
            num_threads=1,
            **options,
        )
    return result


def _options_for_seams(
    margin: int, window: NDArray[Any], result: NDArray[Any], cells_per_pixel: float
) -> dict[str, Any]:
    """Return options with which GDAL warps all cells at once.

    GDAL would derive a wrong scale from the estimated window, so the scale is an option. By default, GDAL also
    divides the panel if it needs few cells of the window. It would then read the same cells many times.
    """
    scale = 1 / max(cells_per_pixel, 1.0)
    limit = 64 + (window.size + result.size) * _BYTES_PER_CELL // 2**20
    return {
        "SOURCE_EXTRA": margin, "warp_mem_limit": limit, "SRC_FILL_RATIO_HEURISTICS": "NO",
        "XSCALE": scale, "YSCALE": scale,
    }  # fmt: skip


def _cut_window(values: NDArray[Any], geometry: GridGeometry, rows: slice, columns: Indices) -> NDArray[Any]:
    """Return the cells of some rows and columns.

    In a grid in degrees, columns wrap around the earth. Columns outside the grid are NaN.
    """
    if geometry.columns_per_turn is None:
        return values[rows, columns[0] : columns[-1] + 1]
    wrapped = np.mod(columns, round(geometry.columns_per_turn))
    window = values[rows].take(np.minimum(wrapped, geometry.width - 1), axis=1).astype(float_dtype(values.dtype))
    window[:, wrapped >= geometry.width] = np.nan
    return window


def _window_transform(geometry: GridGeometry, column: int, row: int, x_shift: float) -> Affine:
    """Return the transform of a window that starts at a column and a row, shifted along x."""
    x, y = geometry.coordinates(np.asarray(column), np.asarray(row))
    a, b, _, d, e, _ = geometry.transform[:6]
    return Affine(a, b, float(x) + x_shift, d, e, float(y))


def _source_frame(geometry: GridGeometry, panel: PanelGrid, crs: pyproj.CRS) -> tuple[pyproj.CRS, float]:
    """Return the CRS that GDAL gets for the grid, and the offset to add to x of the grid.

    For a grid in degrees on a map in another CRS, the prime meridian is moved to the panel's center. GDAL then does not
    split the panel at the antimeridian.
    """
    if geometry.columns_per_turn is None or same_crs(crs, geometry.crs):
        return geometry.crs, 0.0
    middle = middle_longitude(geometry, panel, crs)
    return with_meridian(geometry.crs, middle), -middle
