"""Arithmetic on grids, extents and geometries. Plain arrays; no files."""
