"""Join polygons."""

from __future__ import annotations

from typing import cast

import numpy as np
import shapely
from numpy.typing import NDArray

Geometries = NDArray[np.object_]
_AREA_TOLERANCE = 1e-9
"""Maximum relative difference between the area of joined pieces and the sum of the areas of the pieces."""


def united(polygons: Geometries) -> shapely.Geometry:
    """Return the union of valid polygons, which can overlap.

    shapely 2.1 and later join only polygons that meet. With many small polygons, this takes a tenth of the time.
    """
    join = getattr(shapely, "disjoint_subset_union_all", shapely.union_all)
    return cast("shapely.Geometry", join(polygons))


def join_pieces(pieces: Geometries, precision: float) -> shapely.Geometry:
    """Return the union of pieces that do not overlap.

    Most pieces have equal vertices where they meet. Such pieces form a coverage, which is joined fast, because only
    equal edges must be found. Other pieces are joined by an overlay, which finds all intersections of their edges.

    Parameters
    ----------
    pieces : ndarray of Polygon
        The pieces.
    precision : float
        Size of the grid to which vertices are moved if the pieces do not have equal vertices.
    """
    joined = _join_coverage(pieces)
    if joined is None:
        rounded = _on_grid(pieces, precision)
        joined = _join_coverage(rounded)
        if joined is None:
            return _overlay(pieces, rounded, precision)
    return joined


def _join_coverage(pieces: Geometries) -> shapely.Geometry | None:
    """Return the union of pieces with equal vertices where they meet, or None if some vertices are not equal."""
    try:
        joined = shapely.coverage_union_all(pieces)
    except shapely.errors.GEOSException:  # some pieces meet at different vertices
        return None
    is_exact = abs(joined.area - shapely.area(pieces).sum()) <= _AREA_TOLERANCE * joined.area
    return joined if is_exact and joined.is_valid else None


def _on_grid(pieces: Geometries, precision: float) -> Geometries:
    """Return the pieces with vertices on the grid. Two results for the same point differ by rounding errors."""
    scale = 1 / precision
    return np.asarray(shapely.transform(pieces, lambda points: np.rint(points * scale) / scale), dtype=object)


def _overlay(pieces: Geometries, rounded: Geometries, precision: float) -> shapely.Geometry:
    """Return the union of pieces. Pieces whose neighbors have equal vertices are joined first."""
    is_inner = _have_equal_neighbors(rounded)
    core = _join_coverage(rounded[is_inner])
    parts = pieces if core is None else [*pieces[~is_inner], core]
    return shapely.union_all(parts, grid_size=precision)


def _have_equal_neighbors(pieces: Geometries) -> NDArray[np.bool_]:
    """Return True for each piece without holes whose edges are all edges of other pieces, too."""
    points, owner = shapely.get_coordinates(shapely.get_exterior_ring(pieces), return_index=True)
    _, vertex = np.unique(points[:, 0] + 1j * points[:, 1], return_inverse=True)
    is_edge = (owner[:-1] == owner[1:]) & (vertex[:-1] != vertex[1:])
    ends = np.sort([vertex[:-1][is_edge], vertex[1:][is_edge]], axis=0)
    _, edge, count = np.unique(ends[0] * vertex.size + ends[1], return_inverse=True, return_counts=True)
    are_equal = np.asarray(shapely.get_num_interior_rings(pieces) == 0)
    are_equal[owner[:-1][is_edge][count[edge] != 2]] = False
    return are_equal
