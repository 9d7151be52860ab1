"""A view fits a region to a panel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionplot.errors import RegionError
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.sheet.layout import Box
from regionplot.sheet.view import View

LONLAT, ALBERS = parse_crs("EPSG:4326"), parse_crs("EPSG:5070")
BOX = Box(20, 50, 400, 300)
sides = st.floats(0.01, 300)


@given(sides, sides)
def test_datalim_widens_the_limits_to_the_panel(width: float, height: float) -> None:
    extent = Extent(-width / 2, width / 2, -height / 2, height / 2)
    view = View.of(Region("a", extent, crs=None), LONLAT, BOX, "datalim")
    shown = view.panel.extent
    assert view.box == BOX
    assert view.panel.pixel_width == pytest.approx(view.panel.pixel_height)
    assert shown.width >= width * (1 - 1e-9)
    assert shown.height >= height * (1 - 1e-9)
    assert shown.center == pytest.approx(extent.center)
    assert shown.width == pytest.approx(width) or shown.height == pytest.approx(height)


@given(sides, sides)
def test_exact_narrows_the_panel_to_the_limits(width: float, height: float) -> None:
    extent = Extent(0, width, 0, height)
    view = View.of(Region("a", extent, crs=None), LONLAT, BOX, "exact")
    assert view.panel.extent == extent
    assert (view.panel.width, view.panel.height) == (view.box.width, view.box.height)
    assert BOX.left <= view.box.left <= view.box.right <= BOX.right
    assert BOX.bottom <= view.box.bottom <= view.box.top <= BOX.top
    assert view.box.width == BOX.width or view.box.height == BOX.height


def test_limits_are_projected_from_the_crs_of_the_region_to_that_of_the_map() -> None:
    view = View.of(Region("a", Extent(-100, -92, 35, 39)), ALBERS, BOX, "exact")
    assert view.requested.xmin < 0 < view.requested.xmax
    own = View.of(Region("a", Extent(0, 4e5, 0, 3e5), crs="EPSG:5070"), ALBERS, BOX, "exact")
    assert own.requested == Extent(0, 4e5, 0, 3e5)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1e-6, 1))
def test_the_requested_part_has_at_least_one_pixel(x: float, y: float, size: float) -> None:
    extent = Extent(x, x + size, y, y + 1)
    view = View.of(Region("a", extent, crs=None), LONLAT, BOX, "datalim")
    asked = view.requested_pixels(np.ones((BOX.height, BOX.width), bool))
    assert asked.shape[0] == pytest.approx(300, abs=1)
    assert asked.shape[1] == pytest.approx(max(1, 300 * size), abs=2)
    assert asked.size >= 300


@pytest.mark.parametrize(
    ("region", "message"),
    [
        (Region("a", Extent(0, 1, 0, 1), crs="EPSG:0"), "column 'crs': .*EPSG:0"),
        (Region("a", Extent(5, 5, 0, 1), crs="EPSG:4326"), "has no area"),
        (Region("a", Extent(-1e30, 1e30, -1e30, 1e30), crs="EPSG:5070"), "outside the earth in the CRS 'NAD83"),
        (Region("a", Extent(1e9, 2e9, 0, 1e9), crs="EPSG:4326"), "outside the earth in the CRS 'WGS 84'"),
    ],
)
def test_a_region_that_cannot_be_projected_is_rejected(region: Region, message: str) -> None:
    with pytest.raises(RegionError, match=message):
        View.of(region, LONLAT, BOX, "datalim")
