"""Resample grids with 2-D coordinates to a regular grid. This package uses plain arrays and no files.

::

    longitudes, latitudes ─► fit_grid ─► regular grid, in degrees or stereographic, with smaller cells than the source
               └───────────► CellLocator ─► source row and column at each regular cell ─► nearest or interpolated value
"""

from regionplot.geo.curvilinear.fit import COARSEST, FINEST, RegularGrid, fit_grid
from regionplot.geo.curvilinear.locator import CellLocator, Resampling

__all__ = ["COARSEST", "FINEST", "CellLocator", "RegularGrid", "Resampling", "fit_grid"]
