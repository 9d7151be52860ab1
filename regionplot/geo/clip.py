"""Index geometries and clip them to a panel."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.linework import Floats, Geometries

SIMPLIFY = 1 / 3
"""Tolerance of simplification, in panel pixels."""
_MARGIN = 8
"""Width in pixels of the border around the panel in which geometries are kept. Cut edges and line caps then lie outside
the panel."""


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

    def clip_to_panel(self, panel: PanelGrid, x_period: float) -> Geometries:
        """Return the geometries in a panel, clipped to the panel and simplified. The tolerance is a third of a pixel.

        Parameters
        ----------
        panel : PanelGrid
            The panel, in map units.
        x_period : float
            360 if the map is in degrees: geometries are then repeated every 360° along x. Otherwise 0.
        """
        if not self.geometries.size:
            return self.geometries
        extent = panel.extent.resized(
            panel.extent.width + 2 * _MARGIN * panel.pixel_width, panel.extent.height + 2 * _MARGIN * panel.pixel_height
        )
        clipped = shapely.get_parts(self.clip(extent, x_period))
        tolerance = SIMPLIFY * min(panel.pixel_width, panel.pixel_height)
        simple = shapely.get_parts(shapely.simplify(clipped, tolerance, preserve_topology=False))  # can split polygons
        return np.asarray(simple[~shapely.is_empty(simple)], dtype=object)

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
        """Return the multiples of the period at which geometries may overlap the extent; at least one."""
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
