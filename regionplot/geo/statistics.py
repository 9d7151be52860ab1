"""Statistics of cells, and the cells of a grid whose centers lie in an extent."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyproj
from affine import Affine
from numpy.typing import NDArray

from regionplot.geo.crs import transformer
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.sampling import sample


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of some cells. Without valid cells, all numbers except `count` and `total` are NaN."""

    count: int
    """Number of valid cells."""
    total: int
    """Number of cells, with or without data."""
    min: float
    max: float
    mean: float
    percentiles: Mapping[float, float] = field(default_factory=dict, hash=False)
    """Percentiles by percentage, interpolated linearly between cells."""

    @property
    def valid(self) -> float:
        """Share of valid cells, from 0 to 1. 0 if there are no cells."""
        return self.count / self.total if self.total else 0.0

    @classmethod
    def of(cls, valid: NDArray[Any], total: int, percentages: Sequence[float] = ()) -> Statistics:
        """Return the statistics of cells.

        Parameters
        ----------
        valid : ndarray
            Values of the valid cells, without NaN.
        total : int
            Number of all cells.
        percentages : sequence of float
            Percentages from 0 to 100 of the percentiles to compute.

        Examples
        --------
        >>> found = Statistics.of(np.array([1.0, 2.0, 6.0]), 4, [50])
        >>> found.mean, found.valid, found.percentiles
        (3.0, 0.75, {50: 2.0})
        """
        if not valid.size:
            return cls(0, total, math.nan, math.nan, math.nan, dict.fromkeys(percentages, math.nan))
        with np.errstate(over="ignore", invalid="ignore"):
            ranks = np.percentile(valid, list(percentages)).tolist() if percentages else []
            mean = float(valid.mean(dtype=np.float64))
        percentiles = {key: float(value) for key, value in zip(percentages, ranks, strict=True)}
        return cls(valid.size, total, float(valid.min()), float(valid.max()), mean, percentiles)


def cells_within(geometry: GridGeometry, extent: Extent, crs: pyproj.CRS) -> NDArray[np.bool_]:
    """Return True for each cell whose center lies in an extent.

    The extent includes its west and north edges, but not the others, so adjacent extents share no cell. Positions are
    accurate to an eighth of a cell, as in `geo.positions`. An extent in degrees finds the cells of all turns.

    Parameters
    ----------
    geometry : GridGeometry
        The grid.
    extent : Extent
        The extent.
    crs : pyproj.CRS
        CRS of the extent.

    Returns
    -------
    ndarray of bool, shape (rows, columns) of the grid
        Read-only.
    """
    target = GridGeometry(Affine(extent.width, 0, extent.xmin, 0, -extent.height, extent.ymax), 1, 1, crs)
    if geometry.is_axis_aligned:
        return _within_by_axes(geometry, target)
    columns, rows = np.meshgrid(np.arange(geometry.width) + 0.5, np.arange(geometry.height) + 0.5)
    x, y = transformer(geometry.crs, crs).transform(*geometry.coordinates(columns, rows))
    with np.errstate(invalid="ignore"):  # PROJ returns inf outside a projection
        columns, rows = target.columns_and_rows(x, y)
        columns = target.wrapped(columns)
        return np.asarray((columns >= 0) & (columns < 1) & (rows >= 0) & (rows < 1))


def _within_by_axes(geometry: GridGeometry, target: GridGeometry) -> NDArray[np.bool_]:
    """Return the result of `cells_within`.

    The extent is a grid of one cell, which is sampled at the centers of the cells.
    """
    panel = PanelGrid(geometry.extent, geometry.width, geometry.height)
    inside = sample(np.zeros((1, 1), np.uint8), target, panel, geometry.crs, fill=0).inside
    a, e = geometry.transform.a, geometry.transform.e
    return inside[:: 1 if e < 0 else -1, :: 1 if a > 0 else -1]
