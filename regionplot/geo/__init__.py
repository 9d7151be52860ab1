"""Calculations on grids, extents and geometries. They use plain arrays and no files."""
