"""Grids whose cells lie where two arrays of coordinates say, brought onto a regular grid; all else then stays as it is.

::

    longitudes, latitudes ─► fit_grid ─► a regular grid, in degrees or stereographic, some times finer than the source
               └───────────► CellLocator ─► the source's row and column at each regular cell ─► nearest, or interpolated

Plain arrays, no files.
"""

from regionplot.curvilinear.fit import COARSEST, FINEST, RegularGrid, fit_grid
from regionplot.curvilinear.locator import CellLocator

__all__ = ["COARSEST", "FINEST", "CellLocator", "RegularGrid", "fit_grid"]
