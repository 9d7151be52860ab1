"""Index geometries and clip them to a panel."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.linework import Floats, Geometries, no_geometries

SIMPLIFY = 1 / 3
"""Tolerance of simplification, in panel pixels."""
_SNAP = 1 / 8
"""Spacing, in panel pixels, of the grid to which the corners of areas are moved."""
_POLYGON_TYPE = 3
_MIN_RING = 4
"""Number of coordinates of a triangle."""
_MARGIN = 8
"""Minimum width in pixels of the border around the panel in which geometries are kept. Cut edges and line caps then
lie outside the panel."""


@dataclass(frozen=True)
class IndexedGeometries:
    """Geometries in map coordinates, with a spatial index."""

    geometries: Geometries
    bounds: Floats
    """xmin, ymin, xmax and ymax of each geometry, shape (n, 4)."""
    tree: shapely.STRtree

    @classmethod
    def of(cls, geometries: Geometries) -> IndexedGeometries:
        """Index geometries. The tree is built now, not when the first panel is drawn."""
        tree = shapely.STRtree(geometries)
        tree.query(shapely.box(0, 0, 1, 1))  # GEOS builds the tree at the first query
        return cls(geometries, shapely.bounds(geometries), tree)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the geometries only once. The index is built again."""
        return IndexedGeometries.of, (self.geometries,)

    def __repr__(self) -> str:
        """Return the number of geometries."""
        return f"<IndexedGeometries: {self.geometries.size}>"

    def clip_to_panel(self, panel: PanelGrid, x_period: float, reach: float = 0.0) -> Geometries:
        """Return the lines or points in a panel, clipped to the panel and simplified.

        The tolerance is a third of a pixel.

        Parameters
        ----------
        panel : PanelGrid
            The panel, in map units.
        x_period : float
            360 if the map is in degrees: geometries are then repeated every 360° along x. Otherwise 0.
        reach : float
            Pixels by which lines or symbols extend beyond their coordinates. Geometries outside the panel are kept if
            they reach into it.
        """
        if not self.geometries.size:
            return self.geometries
        clipped = _parts(self.clip(_with_margin(panel, reach), x_period))
        tolerance = SIMPLIFY * min(panel.pixel_width, panel.pixel_height)
        simple = shapely.simplify(clipped, tolerance, preserve_topology=False)
        return np.asarray(simple[~shapely.is_empty(simple)], dtype=object)

    def areas_in_panel(self, panel: PanelGrid, x_period: float) -> Geometries:
        """Return the polygons in a panel, clipped to the panel. Their corners are moved to points of a fine grid.

        The points are an eighth of a pixel apart. Polygons that share a border get the same points, so there are no
        gaps between them. Corners that fall on the same point are joined.

        Parameters
        ----------
        panel : PanelGrid
            The panel, in map units.
        x_period : float
            See `clip_to_panel`.
        """
        if not self.geometries.size:
            return self.geometries
        clipped = np.asarray(shapely.get_parts(self.clip(_with_margin(panel, 0.0), x_period)), dtype=object)
        return _snapped(clipped[shapely.get_type_id(clipped) == _POLYGON_TYPE], panel)

    def clip(self, extent: Extent, x_period: float) -> Geometries:
        """Return the geometries in an extent, clipped to the extent.

        Parameters
        ----------
        extent : Extent
            The extent, in map units.
        x_period : float
            See `clip_to_panel`.
        """
        if not self.geometries.size:
            return self.geometries
        found = [self._clip(extent.shifted(-offset), offset) for offset in self._x_offsets(extent, x_period)]
        return np.concatenate(found)

    def _x_offsets(self, extent: Extent, x_period: float) -> list[float]:
        """Return the multiples of the period by which shifted geometries may overlap the extent; at least one."""
        if not x_period:
            return [0.0]
        first = int(np.ceil((extent.xmin - self.bounds[:, 2].max()) / x_period))
        last = int(np.floor((extent.xmax - self.bounds[:, 0].min()) / x_period))
        return [x_period * number for number in range(first, max(first, last) + 1)]

    def _clip(self, extent: Extent, x_offset: float) -> Geometries:
        """Return the geometries in an extent, clipped to the extent and then moved along x."""
        box = extent.xmin, extent.ymin, extent.xmax, extent.ymax
        index = np.sort(self.tree.query(shapely.box(*box)))
        found, bounds = self.geometries[index], self.bounds[index]
        crossing = (bounds[:, :2] < box[:2]).any(axis=1) | (bounds[:, 2:] > box[2:]).any(axis=1)
        found[crossing] = shapely.clip_by_rect(found[crossing], *box)
        if x_offset and found.size:
            found = shapely.transform(found, lambda points: np.add(points, (x_offset, 0.0)))
        return np.asarray(found, dtype=object)


def _parts(geometries: Geometries) -> Geometries:
    """Return the parts of geometries, in their order. `shapely.get_parts` also copies geometries of one part."""
    several = shapely.get_type_id(geometries) > _POLYGON_TYPE
    if not several.any():
        return geometries
    parts, owner = shapely.get_parts(geometries[several], return_index=True)
    places = np.concatenate([np.flatnonzero(~several), np.flatnonzero(several)[owner]])
    found = np.concatenate([geometries[~several], parts])[np.argsort(places, kind="stable")]
    return np.asarray(found, dtype=object)


def clip_near_panel(geometries: Geometries, panel: PanelGrid, reach: float = 0.0) -> Geometries:
    """Return the parts of lines in a panel and in a border around it, without an index.

    Parameters
    ----------
    geometries : ndarray of LineString
        The lines, in map coordinates.
    panel, reach
        As for `IndexedGeometries.clip_to_panel`.
    """
    extent = _with_margin(panel, reach)
    box = np.array([extent.xmin, extent.ymin, extent.xmax, extent.ymax])
    bounds = shapely.bounds(geometries)
    is_near = (bounds[:, :2] <= box[2:]).all(axis=1) & (bounds[:, 2:] >= box[:2]).all(axis=1)
    found, bounds = geometries[is_near], bounds[is_near]
    crossing = (bounds[:, :2] < box[:2]).any(axis=1) | (bounds[:, 2:] > box[2:]).any(axis=1)
    found[crossing] = shapely.clip_by_rect(found[crossing], *box)
    parts = np.asarray(shapely.get_parts(found), dtype=object)
    return np.asarray(parts[~shapely.is_empty(parts)], dtype=object)


def _with_margin(panel: PanelGrid, reach: float) -> Extent:
    """Return the extent of a panel with a border. Geometries are clipped to it."""
    margin = max(_MARGIN, math.ceil(reach) + 1)
    extent = panel.extent
    return extent.resized(
        extent.width + 2 * margin * panel.pixel_width, extent.height + 2 * margin * panel.pixel_height
    )


def _snapped(polygons: Geometries, panel: PanelGrid) -> Geometries:
    """Return polygons with their corners on a grid. Rings that then have no area are removed."""
    rings, polygon = shapely.get_rings(polygons, return_index=True)
    coordinates, ring = shapely.get_coordinates(rings, return_index=True)
    origin = np.array([panel.extent.xmin, panel.extent.ymin])
    step = _SNAP * np.array([panel.pixel_width, panel.pixel_height])
    nodes = np.rint((coordinates - origin) / step)
    for drop in (_is_repeated, _is_on_straight_line):
        kept = ~drop(nodes, ring)
        nodes, ring = nodes[kept], ring[kept]
    shells = np.flatnonzero(np.diff(polygon, prepend=-1))
    has_area = np.bincount(ring, minlength=rings.size) >= _MIN_RING
    has_area &= has_area[shells][polygon]
    nodes, ring = nodes[has_area[ring]], ring[has_area[ring]]
    if not ring.size:
        return no_geometries()
    found = shapely.linearrings(nodes * step + origin, indices=np.unique(ring, return_inverse=True)[1])
    return np.asarray(
        shapely.polygons(found, indices=np.unique(polygon[has_area], return_inverse=True)[1]), dtype=object
    )


def _is_repeated(nodes: Floats, ring: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return True for each node that repeats the previous node of its ring."""
    is_same = np.zeros(len(nodes), bool)
    is_same[1:] = (nodes[1:] == nodes[:-1]).all(axis=1) & (ring[1:] == ring[:-1])
    return is_same


def _is_on_straight_line(nodes: Floats, ring: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return True for each node that lies on a line with the previous and the next node of its ring."""
    is_straight = np.zeros(len(nodes), bool)
    if len(nodes) > 2:
        before, after = nodes[1:-1] - nodes[:-2], nodes[2:] - nodes[1:-1]
        is_inner = (ring[2:] == ring[1:-1]) & (ring[1:-1] == ring[:-2])
        is_straight[1:-1] = is_inner & (before[:, 0] * after[:, 1] == before[:, 1] * after[:, 0])
    return is_straight
