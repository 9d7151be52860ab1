"""Test that the sides of a small extent give the same limits as all of its sampled points."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest

from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import Extent
from regionplot.geo.project import project_extent

_POINTS = 33
_SIZES = (3e4, 3e5, 1.5e6, 4e6)
"""Widths of extents in meters."""
_SEAMS = (-180, 84, 180)
"""Longitudes of the left and right edges of the target CRSs."""
ALBERS, LAMBERT, POLAR = parse_crs("EPSG:5070"), parse_crs("ESRI:102004"), parse_crs("EPSG:3995")
MERCATOR, SINUSOIDAL, LONLAT = parse_crs("EPSG:3857"), parse_crs("+proj=sinu +R=6371007.181"), parse_crs("EPSG:4326")
EQUAL_AREA = parse_crs("+proj=laea +lat_0=52 +lon_0=10 +ellps=GRS80")
PAIRS = [(LAMBERT, ALBERS), (POLAR, ALBERS), (POLAR, LAMBERT), (POLAR, EQUAL_AREA), (SINUSOIDAL, POLAR),
         (MERCATOR, POLAR), (LONLAT, ALBERS), (LONLAT, POLAR), (LONLAT, MERCATOR), (LONLAT, SINUSOIDAL)]  # fmt: skip


def extents(source: pyproj.CRS) -> list[Extent]:
    """Return extents around random places, and around the origin, which is a pole of some CRSs."""
    random = np.random.default_rng(4)
    unit = 1 / 111e3 if source.is_geographic else 1.0
    reach = (170, 80) if source.is_geographic else (6e6, 6e6)
    centers = [*5 * [(0.0, 0.0)], *(random.uniform(-1, 1, (40, 2)) * reach)]
    sizes = [random.choice(_SIZES, 2) * unit for _ in centers]
    return [Extent(x - w / 3, x + w / 2, y - h / 2, y + h / 3) for (x, y), (w, h) in zip(centers, sizes, strict=True)]


@pytest.mark.parametrize(("source", "target"), PAIRS, ids=lambda crs: crs.name[:12])
def test_the_limits_are_the_same(source: pyproj.CRS, target: pyproj.CRS) -> None:
    compared = 0
    for extent in extents(source):
        x, y = np.meshgrid(
            np.linspace(extent.xmin, extent.xmax, _POINTS), np.linspace(extent.ymin, extent.ymax, _POINTS)
        )
        px, py = transformer(source, target).transform(x, y)
        if not np.isfinite([px, py]).all() or max(np.ptp(px), np.ptp(py)) >= 1e7:
            continue  # points with a large scale are left out
        if source.is_geographic and any(extent.xmin <= seam <= extent.xmax for seam in _SEAMS):
            continue  # points beside the seam are added
        assert project_extent(extent, source, target) == Extent(px.min(), px.max(), py.min(), py.max())
        compared += 1
    assert compared > len(PAIRS)
