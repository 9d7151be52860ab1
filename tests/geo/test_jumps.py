"""Test that all resampling methods cover the same pixels as the nearest cell, also across seams and poles."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
from affine import Affine
from numpy.typing import NDArray

from regionplot.geo.crs import transformer
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.jumps import beside_seams
from regionplot.geo.project import project_extent
from regionplot.geo.sampling import pixel_centers, sample

LONLAT = pyproj.CRS.from_epsg(4326)
ROTATED = "+proj=ob_tran +o_proj=longlat +o_lat_p=39.25 +o_lon_p=0 +lon_0=18 +R=6371229"
_FAR = 15.0
"""Largest difference to the true value. The values range from -150 to 150."""


def grid(crs: str, x: float, y: float, width: int, height: int, west: float | None = None) -> GridGeometry:
    """Return a grid from -x to x and from -y to y."""
    affine = Affine(2 * x / width, 0, -x if west is None else west, 0, -2 * y / height, y)
    return GridGeometry(affine, height, width, pyproj.CRS.from_user_input(crs))


GRIDS = {
    "sinusoidal": grid("+proj=sinu +R=6371007.181 +units=m", 20015109, 10007554, 200, 100),
    "Mollweide": grid("+proj=moll +R=6371007.181 +units=m", 18040096, 9020048, 200, 100),
    "Mollweide of the Pacific": grid("+proj=moll +lon_0=-150 +R=6371007.181", 18040096, 9020048, 200, 100),
    "Robinson": grid("ESRI:54030", 17005833, 8625155, 200, 100),
    "cylindrical": grid("EPSG:6933", 17367530, 7314540, 200, 85),
    "polar": grid("EPSG:3995", 12.4e6, 12.4e6, 150, 150),
    "EASE south": grid("EPSG:6932", 9e6, 9e6, 180, 180),
    "geostationary": grid("+proj=geos +h=35786023 +lon_0=180 +sweep=x +ellps=GRS80", 5.43e6, 5.43e6, 200, 200),
    "degrees": grid("EPSG:4326", 180, 90, 180, 90),
    "degrees from 0 to 360": grid("EPSG:4326", 180, 90, 180, 90, west=0),
    "rotated pole": grid(ROTATED, 180, 90, 180, 90),
    "rotated pole from 0 to 360": grid(ROTATED, 180, 90, 180, 90, west=0),
    "turned": GridGeometry(Affine(90e3, -45e3, -6e6, -45e3, -90e3, 12e6), 200, 200, pyproj.CRS.from_epsg(6931)),
}
MAPS = {
    "Fiji": ("EPSG:4326", Extent(165, 195, -25, -5)),
    "world": ("EPSG:4326", Extent(-180, 180, -90, 90)),
    "world from 0": ("EPSG:4326", Extent(0, 360, -90, 90)),
    "north pole": ("EPSG:3995", Extent(-180, 180, 50, 90)),
    "south pole": ("EPSG:3031", Extent(-180, 180, -90, -50)),
    "Robinson of the Pacific": ("+proj=robin +lon_0=180", Extent(0, 360, -90, 90)),
    "UTM at 180 degrees": ("EPSG:32601", Extent(174, 186, 40, 60)),
    "Mercator of the Pacific": ("EPSG:3832", Extent(120, 240, -60, 60)),
    "rotated degrees": (ROTATED, Extent(0, 40, 40, 70)),
}
METHODS = ("bilinear", "cubic", "average", "mode", "max")
_THOROUGH = (GRIDS["sinusoidal"], GRIDS["rotated pole"])
"""Grids that are tested with all methods."""


def truth(longitudes: NDArray[np.float64], latitudes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return smooth values that differ between all places."""
    known = np.isfinite(longitudes)
    lon, lat = np.radians(np.where(known, longitudes, 0)), np.radians(np.where(known, latitudes, 0))
    return np.where(known, 100 * np.sin(lat) + 50 * np.cos(lat) * np.cos(lon - 0.6), np.nan)


def panel_of(name: str) -> tuple[PanelGrid, pyproj.CRS]:
    crs = pyproj.CRS.from_user_input(MAPS[name][0])
    extent = project_extent(MAPS[name][1], LONLAT, crs)
    return PanelGrid(extent, 80, max(30, int(80 * extent.height / extent.width))), crs


@pytest.mark.parametrize("geometry", GRIDS.values(), ids=GRIDS)
def test_every_method_covers_the_pixels_of_the_nearest_cell_with_true_values(geometry: GridGeometry) -> None:
    centers = geometry.coordinates(*np.meshgrid(np.arange(geometry.width) + 0.5, np.arange(geometry.height) + 0.5))
    values = truth(*transformer(geometry.crs, LONLAT).transform(*centers)).astype(np.float32)
    for name in MAPS:
        panel, crs = panel_of(name)
        right = truth(*transformer(crs, LONLAT).transform(*np.meshgrid(*pixel_centers(panel))))
        covered = np.isfinite(sample(values, geometry, panel, crs).values)
        for method in METHODS if geometry in _THOROUGH else METHODS[::2]:
            found = sample(values, geometry, panel, crs, method).values
            assert not (covered & np.isnan(found)).any(), (name, method)
            wrong = abs(found[covered] - right[covered]) > _FAR
            assert method in ("mode", "max") or wrong.sum() <= 0.005 * wrong.size + 2, (name, method)


@pytest.mark.parametrize("columns", [-180.0, 0.0])
def test_a_turned_grid_in_degrees_is_found_at_every_turn(columns: float) -> None:
    """The rows of the grid are not parallel to the equator. The map counts longitudes from -180, or from 0."""
    geometry = GridGeometry(Affine(1, 0.2, -170, 0.1, -1, 60), 120, 120, LONLAT)
    panel = PanelGrid(Extent(columns, columns + 360, -90, 90), 180, 90)
    for method in ("nearest", "bilinear"):
        found = np.isfinite(sample(np.ones((120, 120), np.float32), geometry, panel, LONLAT, method).values)
        assert found.mean() == pytest.approx(120 * 120 * 1.02 / (360 * 180), rel=0.05)


def test_a_seam_is_found_and_smooth_stretching_is_not_taken_for_a_seam() -> None:
    column = np.tile(np.arange(40.0) % 20 * 10, (30, 1))
    row = np.tile(np.arange(30.0)[:, None], (1, 40))
    found = beside_seams(column, row)
    assert found[:, 19:21].all()
    assert found.sum() == 2 * 30
    assert not beside_seams(np.cumsum(1.3 ** np.arange(40))[None].repeat(30, axis=0), row).any()
    with np.errstate(invalid="ignore"):
        assert not beside_seams(np.full((5, 5), np.inf), np.zeros((5, 5))).any()
