"""Calculations on grids, extents and geometries. The modules use plain arrays and no files."""
