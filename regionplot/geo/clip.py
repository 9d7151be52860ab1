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
"""Pixels around the panel that are kept, so that cuts and line caps stay out of sight."""


@dataclass(frozen=True)
class IndexedGeometries:
    """Geometries in map coordinates, and the means to find those in a panel."""

    geometries: Geometries
    bounds: Floats
    """xmin, ymin, xmax, ymax of each, shape (n, 4)."""
    tree: shapely.STRtree

    @classmethod
    def of(cls, geometries: Geometries) -> IndexedGeometries:
        """Index some geometries, now and not when the first panel is drawn."""
        tree = shapely.STRtree(geometries)
        tree.query(shapely.box(0, 0, 1, 1))  # GEOS builds the tree with the first query
        return cls(geometries, shapely.bounds(geometries), tree)

    def within(self, panel: PanelGrid, turn: float) -> Geometries:
        """What lies within a panel, clipped to it and simplified to a third of a pixel.

        Parameters
        ----------
        panel : PixelGrid
            The panel, in map units.
        turn : float
            The length of the circle along x in a map in degrees, whose geometries are then shown on each turn of it;
            else 0.
        """
        if not self.geometries.size:
            return self.geometries
        extent = panel.extent.resized(
            panel.extent.width + 2 * _MARGIN * panel.pixel_width, panel.extent.height + 2 * _MARGIN * panel.pixel_height
        )
        clipped = shapely.get_parts(self.clip(extent, turn))
        tolerance = SIMPLIFY * min(panel.pixel_width, panel.pixel_height)
        simple = shapely.get_parts(shapely.simplify(clipped, tolerance, preserve_topology=False))  # it may split them
        return np.asarray(simple[~shapely.is_empty(simple)], dtype=object)

    def clip(self, extent: Extent, turn: float) -> Geometries:
        """Return the geometries in an extent, clipped to it.

        Parameters
        ----------
        extent : Extent
            The extent, in map units.
        turn : float
            Length of the circle along x in a map in degrees, else 0. Geometries are then shown on each turn of it.
        """
        if not self.geometries.size:
            return self.geometries
        found = [self._clip(extent.shifted(-shift), shift) for shift in self._turns(extent, turn)]
        return np.concatenate(found)

    def _turns(self, extent: Extent, turn: float) -> list[float]:
        """The shifts by whole circles that may bring geometries into the extent; at least one, be it of no use."""
        if not turn:
            return [0.0]
        first = int(np.ceil((extent.xmin - self.bounds[:, 2].max()) / turn))
        last = int(np.floor((extent.xmax - self.bounds[:, 0].min()) / turn))
        return [turn * number for number in range(first, max(first, last) + 1)]

    def _clip(self, extent: Extent, shift: float) -> Geometries:
        box = extent.xmin, extent.ymin, extent.xmax, extent.ymax
        index = np.sort(self.tree.query(shapely.box(*box)))
        found, bounds = self.geometries[index], self.bounds[index]
        crossing = (bounds[:, :2] < box[:2]).any(axis=1) | (bounds[:, 2:] > box[2:]).any(axis=1)
        found[crossing] = shapely.clip_by_rect(found[crossing], *box)
        if shift and found.size:
            found = shapely.transform(found, lambda points: np.add(points, (shift, 0.0)))
        return np.asarray(found, dtype=object)
