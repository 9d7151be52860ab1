"""Test maps of grids with a rotated pole, and the messages for regions beside rotated grids."""

from __future__ import annotations

import numpy as np
import pyproj
import pytest
from affine import Affine

from regionplot.errors import NoOverlapError
from regionplot.geo.crs import transformer
from regionplot.geo.extent import Extent
from regionplot.geo.project import project_extent
from regionplot.geo.region import Region
from regionplot.render.renderer import MapRenderer
from regionplot.sheet.layout import Box
from regionplot.sheet.view import View

LONLAT = pyproj.CRS.from_epsg(4326)
ROTATED = pyproj.CRS.from_user_input("+proj=ob_tran +o_proj=longlat +o_lat_p=39.25 +o_lon_p=0 +lon_0=18 +R=6371229")


def test_a_world_map_in_rotated_degrees_shows_the_globe_once() -> None:
    for extent, crs in ((Extent(-180, 180, -90, 90), "EPSG:4326"), (Extent(-180, 180, -90, 90), None)):
        view = View.of(Region("world", extent, crs), ROTATED, Box(0, 0, 800, 200), "datalim")
        shown = view.panel.extent
        assert (shown.width, shown.height) == (360, 180)
        assert view.panel.pixel_width == pytest.approx(view.panel.pixel_height, rel=0.01)
        assert (view.box.width, view.box.height) == (400, 200)


@pytest.mark.parametrize("box", [Box(0, 0, 200, 400), Box(0, 0, 400, 100)])
def test_a_map_in_rotated_degrees_ends_at_the_poles(box: Box) -> None:
    view = View.of(Region("a", Extent(-60, 60, 60, 89), None), ROTATED, box, "datalim")
    assert view.panel.extent.ymax <= 90
    assert view.panel.extent.width <= 360


def test_a_region_is_contained_in_its_extent_in_rotated_degrees() -> None:
    random = np.random.default_rng(5)
    for _ in range(20):
        west, south = random.uniform(-180, 180), random.uniform(-80, 60)
        extent = Extent(west, west + random.uniform(5, 60), south, south + random.uniform(5, 20))
        found = project_extent(extent, LONLAT, ROTATED)
        lon, lat = random.uniform(extent.xmin, extent.xmax, 200), random.uniform(extent.ymin, extent.ymax, 200)
        x, y = transformer(LONLAT, ROTATED).transform(lon, lat)
        x = x + 360 * np.round((found.center[0] - x) / 360)
        margin = 0.02 * max(found.width, found.height)
        assert found.xmin - margin <= x.min() <= x.max() <= found.xmax + margin
        assert found.ymin - margin <= y.min() <= y.max() <= found.ymax + margin
        assert found.width <= 360


@pytest.mark.parametrize(
    ("affine", "crs"),
    [
        (Affine(0.1, 0.1, -100, 0.1, -0.1, 40), "EPSG:4326"),
        (Affine(10e3, 10e3, -5e5, 10e3, -10e3, 0), "EPSG:5070"),
        (Affine(0.2, 0, -20, 0, -0.2, 60), ROTATED.to_wkt()),
    ],
)
def test_a_region_in_the_corner_of_the_box_of_a_rotated_grid_does_not_overlap(affine, crs, write_raster, load) -> None:
    path = write_raster(np.ones((100, 100), np.float32), affine, None)
    shared = load(raster={"path": path, "crs": crs}, map={"size": [200, 200]})
    geometry = shared.info.geometry
    raster = project_extent(geometry.extent, geometry.crs, LONLAT)
    corners = Extent(raster.xmin, raster.xmin + raster.width / 50, raster.ymin, raster.ymin + raster.height / 50)
    with pytest.raises(NoOverlapError, match=r"the bounding box of the raster \(x .*, but not the raster itself"):
        MapRenderer(shared).render(Region("corner", corners))
    world = Extent(-179, 179, -80, 80) if geometry.crs.is_geographic else Extent(-130, -60, 20, 50)
    tiny = write_raster(np.ones((3, 3), np.float32), Affine(1e-4, 0, -100, 0, -1e-4, 40), "EPSG:4326", name="tiny.tif")
    with pytest.raises(NoOverlapError, match="is smaller than a pixel of the map; use a smaller region"):
        MapRenderer(load(raster={"path": tiny}, map={"size": [200, 200]})).render(Region("world", world))
