"""Project extents from one CRS to another."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyproj

from regionplot.errors import RegionError
from regionplot.geo.bounds import is_beyond_pole
from regionplot.geo.crs import Floats, meridian_offset, same_crs, transformer, unit_size, unwrap
from regionplot.geo.crs_cache import crs_cache
from regionplot.geo.extent import FULL_TURN, Extent

_SAMPLES_PER_SIDE = 33
"""Number of sampled points along x, and along y."""
_SEAM_OFFSET = 1e-6
"""Distance in degrees between a seam and the longitudes that are sampled on both sides of the seam."""
_MAX_AREAL_SCALE = 150.0
"""Maximum areal scale in a projected extent. Mercator reaches it near 85° latitude. Points with a larger
scale are left out."""
_SMALL_EXTENT = 1e7
"""Width and height, in meters, below which the areal scale is not checked."""
_LINES = (0, _SAMPLES_PER_SIDE // 2, _SAMPLES_PER_SIDE - 1)
"""Sampled columns and rows that are projected first: the sides and the middle of an extent."""
_EVEN = 0.25
"""Maximum relative deviation of the steps between the points of these lines, if all limits lie on the sides."""


@crs_cache(4096)
def project_extent(extent: Extent, source: pyproj.CRS, target: pyproj.CRS) -> Extent:
    """Return an extent in another CRS that contains a given extent, found by projecting sample points.

    Points inside the extent are sampled, too. So the result also contains a pole that lies inside the extent. In a
    geographic target CRS, longitudes continue beyond 180 and are not wrapped. Points with an areal
    scale above the limit are left out.

    Raises
    ------
    RegionError
        If no part of the extent can be projected.
    """
    if same_crs(source, target):
        return extent
    columns = np.linspace(extent.xmin, extent.xmax, _SAMPLES_PER_SIDE)
    rows = np.linspace(extent.ymin, extent.ymax, _SAMPLES_PER_SIDE)
    if found := _limits_of_sides(columns, rows, source, target):
        return found
    if source.is_geographic:
        columns = np.append(columns, list(_longitudes_at_seams(extent, target)))
    x, y = np.meshgrid(columns, rows)
    projected_x, projected_y = transformer(source, target).transform(x, y)
    usable = np.isfinite(projected_x) & np.isfinite(projected_y)
    if not target.is_geographic and not _is_small(projected_x, projected_y, target):
        usable &= _areal_scale(x, y, source, target) <= _MAX_AREAL_SCALE
    if not usable.any() and is_beyond_pole(extent, source):
        raise RegionError(f"the region ({extent}) lies beyond a pole; are longitudes and latitudes swapped?")
    if not usable.any():
        raise RegionError(
            f"the region ({extent}) cannot be shown in the projection {target.name!r}; use another projection"
        )
    px, py = projected_x[usable], projected_y[usable]
    if target.is_geographic:
        counts_alike = source.is_geographic and not (source.is_derived or target.is_derived)
        near = x[usable] + meridian_offset(source, target) if counts_alike else px[px.size // 2]
        px = unwrap(px, near)
    if target.is_geographic and target.is_derived:
        px, py = _with_poles(px, py, extent, source, target)
    return Extent(float(px.min()), float(px.max()), float(py.min()), float(py.max()))


def _limits_of_sides(columns: Floats, rows: Floats, source: pyproj.CRS, target: pyproj.CRS) -> Extent | None:
    """Return the limits of the projected sides of a small extent, or None if the limits can lie inside the extent.

    If the projection is nearly affine, the limits of an extent lie on its sides. It is nearly affine if equal steps
    along x and along y stay nearly equal, and are not parallel. A pole or a seam in the extent makes steps unequal. A
    fifth of the points is then enough, and the limits are the same.
    """
    if target.is_geographic:
        return None
    lines = [(columns, np.full_like(columns, rows[index])) for index in _LINES]
    lines += [(np.full_like(rows, columns[index]), rows) for index in _LINES]
    x, y = transformer(source, target).transform(*np.concatenate(lines, axis=1))
    if not _is_small(x, y, target):
        return None
    steps = np.diff((x + 1j * y).reshape(2, -1, _SAMPLES_PER_SIDE))
    along_x, along_y = means = steps.mean(axis=(1, 2))
    is_even = (np.abs(steps - means[:, None, None]) <= _EVEN * np.abs(means)[:, None, None]).all()
    is_parallel = abs((along_x.conjugate() * along_y).imag) < abs(along_x * along_y) / 2
    if is_parallel or not is_even:
        return None
    return Extent(float(x.min()), float(x.max()), float(y.min()), float(y.max()))


def _with_poles(
    px: Floats, py: Floats, extent: Extent, source: pyproj.CRS, target: pyproj.CRS
) -> tuple[Floats, Floats]:
    """Return projected points with the rotated poles that lie within an extent. All longitudes meet at a pole."""
    for latitude in (-90.0, 90.0):
        x, y = transformer(target, source).transform(0.0, latitude)
        if source.is_geographic:
            x = float(unwrap(np.asarray(x), extent.center[0]))
        if extent.xmin <= x <= extent.xmax and extent.ymin <= y <= extent.ymax:
            middle = px[px.size // 2]
            px = np.append(px, [middle - FULL_TURN / 2, middle + FULL_TURN / 2])
            py = np.append(py, latitude)
    return px, py


def _longitudes_at_seams(extent: Extent, target: pyproj.CRS) -> Iterator[float]:
    """Yield longitudes in an extent just west and just east of the left and right edges of a projection."""
    operation = target.coordinate_operation
    origins = [p.value for p in operation.params if p.name.startswith("Longitude of")] if operation else []
    for seam in (float(origin) + turns * FULL_TURN + FULL_TURN / 2 for origin in origins for turns in range(-3, 3)):
        for longitude in (seam - _SEAM_OFFSET, seam + _SEAM_OFFSET):
            if extent.xmin < longitude < extent.xmax:
                yield longitude


def _is_small(x: Floats, y: Floats, target: pyproj.CRS) -> bool:
    """Return True if projected points cover a small area. The areal scale is not checked in a small area."""
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        return False
    return bool(max(np.ptp(x), np.ptp(y)) * unit_size(target) < _SMALL_EXTENT)


def _areal_scale(x: Floats, y: Floats, source: pyproj.CRS, target: pyproj.CRS) -> Floats:
    """Return the ratio of a small area on the map to the same area on the earth; infinity if it is unknown."""
    longitudes, latitudes = transformer(source, pyproj.CRS.from_epsg(4326)).transform(x, y)
    scale = pyproj.Proj(target).get_factors(longitudes, latitudes).areal_scale
    return np.where(np.isfinite(scale), scale, np.inf)
