"""Project extents from one CRS to another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyproj

from regionplot.errors import RegionError
from regionplot.geo.crs import CIRCLE, Floats, meridian_offset, same_crs, transformer, unwrap
from regionplot.geo.extent import Extent

_SAMPLES = 33
_BESIDE = 1e-6
"""Degrees."""
_MOST_STRETCHED = 150.0
"""A map of a whole hemisphere ends where an area is shown so many times larger than it is: Mercator at 85 degrees."""
_MODEST = 1e7
"""Metres; extents below this are projected as they are."""


def project_extent(extent: Extent, source: pyproj.CRS, target: pyproj.CRS) -> Extent:
    """The box that holds an extent in another CRS.

    The whole extent is sampled, not only its edges, so that a pole within it counts. In a geographic target,
    longitudes run on past 180 rather than wrap.

    Raises
    ------
    RegionError
        If no part of the extent can be projected.
    """
    if same_crs(source, target):
        return extent
    columns = np.linspace(extent.xmin, extent.xmax, _SAMPLES)
    if source.is_geographic:
        columns = np.append(columns, list(_beside_seam(extent, target)))
    x, y = np.meshgrid(columns, np.linspace(extent.ymin, extent.ymax, _SAMPLES))
    projected_x, projected_y = transformer(source, target).transform(x, y)
    usable = np.isfinite(projected_x) & np.isfinite(projected_y)
    if not target.is_geographic and not _is_modest(projected_x, projected_y, target):
        usable &= _areal_scale(x, y, source, target) <= _MOST_STRETCHED
    if not usable.any():
        raise RegionError(f"the region ({extent}) cannot be shown in the projection {target.name!r}")
    px, py = projected_x[usable], projected_y[usable]
    if target.is_geographic:
        near = x[usable] + meridian_offset(source, target) if source.is_geographic else px[px.size // 2]
        px = unwrap(px, near)
    return Extent(float(px.min()), float(px.max()), float(py.min()), float(py.max()))


def _beside_seam(extent: Extent, target: pyproj.CRS) -> Iterator[float]:
    """The longitudes within an extent at which a projection's left and right edges lie, a little to either side."""
    operation = target.coordinate_operation
    origins = [p.value for p in operation.params if p.name.startswith("Longitude of")] if operation else []
    for seam in (float(origin) + turn * CIRCLE + CIRCLE / 2 for origin in origins for turn in range(-3, 3)):
        for longitude in (seam - _BESIDE, seam + _BESIDE):
            if extent.xmin < longitude < extent.xmax:
                yield longitude


def _is_modest(x: Floats, y: Floats, target: pyproj.CRS) -> bool:
    """Whether projected points lie so near together that no pole, and nothing like it, can be among them."""
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return False
    return bool(max(np.ptp(x), np.ptp(y)) * target.axis_info[0].unit_conversion_factor < _MODEST)


def _areal_scale(x: Floats, y: Floats, source: pyproj.CRS, target: pyproj.CRS) -> Floats:
    """How many times larger than on the earth a small area is on the map; infinite where it cannot be told."""
    longitudes, latitudes = transformer(source, pyproj.CRS.from_epsg(4326)).transform(x, y)
    scale = pyproj.Proj(target).get_factors(longitudes, latitudes).areal_scale
    return np.where(np.isfinite(scale), scale, np.inf)
