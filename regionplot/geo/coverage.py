"""Compute the share of each cell that a polygon covers."""

from __future__ import annotations

import json
from importlib.util import find_spec

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.affinity import translate

from regionplot.geo.extent import FULL_TURN
from regionplot.geo.grid import GridGeometry, Window
from regionplot.geo.joining import united
from regionplot.geo.linework import Geometries
from regionplot.system.threads import GLOBALS_LOCK

PARTS = 8
"""Number of sampled points along each side of a cell, without exactextract."""
_AREA = 2
"""Dimension of polygons."""
_STRIP_CELLS = 250_000
"""Number of cells that are sampled at a time."""


def covered_shares(geometry: GridGeometry, polygons: Geometries) -> NDArray[np.float64]:
    """Return the share of each cell that polygons cover, from 0 to 1.

    The shares are exact if the package exactextract is installed and the grid is not rotated. Otherwise, 8 × 8 points
    are sampled in each cell. The share of a cell that an edge of a polygon crosses then has an error of about 1/100
    (root mean square) and at most 1/8. Shapes that are narrower than 1/8 of a cell can be missed. The shares of other
    cells are exact.

    Parameters
    ----------
    geometry : GridGeometry
        The grid.
    polygons : ndarray of Polygon or MultiPolygon
        Valid polygons in the CRS of the grid. They do not overlap. In a grid in degrees, they are repeated every 360
        degrees.

    Returns
    -------
    ndarray of float64, shape (rows, columns) of the grid

    References
    ----------
    Baston (2020): exactextract, https://github.com/isciences/exactextract
    """
    found = np.zeros((geometry.height, geometry.width))
    if not polygons.size or not found.size:
        return found
    whole = united(polygons)
    is_exact = geometry.is_axis_aligned and find_spec("exactextract") is not None
    cover = _exact if is_exact else _sampled
    for shifted in _shifted_by_turns(whole, geometry):
        found += cover(geometry, shifted)
    return np.minimum(found, 1)


def polygons_in(wkb: bytes) -> Geometries:
    """Return the polygons in a geometry, shape (n,). Other parts, such as points, are left out.

    Parameters
    ----------
    wkb : bytes
        The geometry as WKB. Empty: there is no geometry.
    """
    if not wkb:
        return np.empty(0, dtype=object)
    parts = np.asarray(shapely.get_parts(shapely.from_wkb(wkb)), dtype=object)
    found: Geometries = parts[shapely.get_dimensions(parts) == _AREA]
    return found


def _shifted_by_turns(polygon: shapely.Geometry, geometry: GridGeometry) -> list[shapely.Geometry]:
    """Return the copies of a polygon, shifted by whole turns, that can overlap a grid."""
    if not geometry.crs.is_geographic:
        return [polygon]
    extent = geometry.extent
    west, south, east, north = shapely.bounds(polygon)
    if north <= extent.ymin or south >= extent.ymax:
        return []
    first = int(np.floor((extent.xmin - east) / FULL_TURN))
    last = int(np.ceil((extent.xmax - west) / FULL_TURN))
    shifts = [turn * FULL_TURN for turn in range(first, last + 1)]
    shifts = [shift for shift in shifts if west + shift < extent.xmax and east + shift > extent.xmin]
    return [translate(polygon, shift) for shift in shifts]


def _exact(geometry: GridGeometry, polygon: shapely.Geometry) -> NDArray[np.float64]:
    from exactextract import exact_extract  # noqa: PLC0415 (an optional package)
    from exactextract.raster import NumPyRasterSource  # noqa: PLC0415

    extent = geometry.extent
    blank = np.zeros((geometry.height, geometry.width), np.uint8)
    grid = NumPyRasterSource(blank, xmin=extent.xmin, ymin=extent.ymin, xmax=extent.xmax, ymax=extent.ymax)
    feature = {"type": "Feature", "geometry": json.loads(shapely.to_geojson(polygon)), "properties": {}}
    cells = exact_extract(grid, [feature], ["cell_id", "coverage"])[0]["properties"]
    found = np.zeros(blank.size)
    found[np.asarray(cells["cell_id"], dtype=np.intp)] = cells["coverage"]
    upright = found.reshape(blank.shape)  # rows from north to south, columns from west to east
    return upright[:: 1 if geometry.transform.e < 0 else -1, :: 1 if geometry.transform.a > 0 else -1]


def _sampled(geometry: GridGeometry, polygon: shapely.Geometry) -> NDArray[np.float64]:
    from rasterio.features import rasterize  # noqa: PLC0415 (imports GDAL)

    found = np.empty((geometry.height, geometry.width))
    rows = max(1, _STRIP_CELLS // geometry.width)
    for first in range(0, geometry.height, rows):
        part = found[first : first + rows]
        shape = len(part) * PARTS, geometry.width * PARTS
        fine = geometry.subgrid(Window(first, 0, len(part), geometry.width), *shape)
        with GLOBALS_LOCK:
            points = rasterize([(polygon, 1)], shape, transform=fine.transform, dtype="uint8")
        blocks = points.reshape(len(part), PARTS, geometry.width, PARTS)
        part[...] = blocks.mean(axis=(1, 3), dtype=np.float64)
    return found
