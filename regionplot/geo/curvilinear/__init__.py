"""Bring grids with 2-D coordinates onto a regular grid. Plain arrays; no files.

::

    longitudes, latitudes ─► fit_grid ─► a regular grid, in degrees or stereographic, as fine as the source or finer
               └───────────► CellLocator ─► the source's row and column at each regular cell ─► nearest, or interpolated
"""

from regionplot.geo.curvilinear.fit import COARSEST, FINEST, RegularGrid, fit_grid
from regionplot.geo.curvilinear.locator import CellLocator

__all__ = ["COARSEST", "FINEST", "CellLocator", "RegularGrid", "fit_grid"]
