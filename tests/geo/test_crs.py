"""Test CRSs, map projections, and the projection of extents."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from regionplot.errors import ConfigError, RegionError
from regionplot.geo.areas import project_polygons
from regionplot.geo.cartopy import cartopy_projection, parse_projection
from regionplot.geo.crs import parse_crs, same_crs, transformer, unwrap, with_meridian
from regionplot.geo.extent import Extent
from regionplot.geo.project import project_extent

LONLAT = pyproj.CRS.from_epsg(4326)
ALBERS = pyproj.CRS.from_epsg(5070)
POLAR = pyproj.CRS.from_epsg(3995)


def test_the_setting_raster_gives_no_projection() -> None:
    assert parse_projection("raster") is None


@pytest.mark.parametrize(
    ("setting", "name"),
    [
        ("EPSG:5070", "aea"),
        ("+proj=stere +lat_0=90 +lon_0=-100", "stere"),
        (ALBERS.to_wkt(), "aea"),
        ("Robinson", "robin"),
        ({"name": "LambertConformal", "central_longitude": -96, "standard_parallels": [33, 45]}, "lcc"),
        ({"name": "NorthPolarStereo"}, "stere"),
    ],
)
@pytest.mark.filterwarnings("ignore:You will likely lose important projection information:UserWarning")
def test_every_form_of_projection_is_parsed(setting: Any, name: str) -> None:
    crs = parse_projection(setting)
    assert crs is not None
    assert crs.to_dict()["proj"] == name


@pytest.mark.parametrize(
    "setting",
    [
        "EPSG:999999", "EPSG", "nonsense here", "Mercater", "Projection", "", {}, {"name": "Geod"}, {"name": 7},
        {"name": "Mercator", "central_longitud": 0}, {"name": "LambertConformal", "central_longitude": "west"},
        {"name": "LambertConformal", "central_longitude": float("nan")},
    ],
)  # fmt: skip
def test_an_invalid_projection_is_refused(setting: Any) -> None:
    with pytest.raises(ConfigError):
        parse_projection(setting)


@pytest.mark.parametrize("form", ["+proj=longlat +ellps=intl +nadgrids=@null,{}", "+init={}:4326", "+nadgrids=@{}"])
def test_a_definition_that_names_a_pipe_is_refused(form: str, tmp_path: Path) -> None:
    """PROJ would wait for data from the pipe."""
    os.mkfifo(tmp_path / "grid")
    with pytest.raises(ConfigError, match="grid"):
        parse_crs(form.format(tmp_path / "grid"))


def test_the_axis_order_does_not_make_crss_different() -> None:
    assert same_crs(LONLAT, parse_crs("OGC:CRS84"))
    assert not same_crs(LONLAT, parse_crs("EPSG:4269"))


def test_x_is_always_east() -> None:
    x, y = transformer(LONLAT, parse_crs("EPSG:3857")).transform(-90.0, 0.0)
    assert x == pytest.approx(-10018754.17, abs=0.01)
    assert y == pytest.approx(0, abs=1e-6)


@given(st.floats(-1000, 1000), st.floats(-1000, 1000))
def test_unwrapped_longitudes_are_within_180_degrees_and_at_the_same_place(longitude: float, near: float) -> None:
    result = float(unwrap(np.array([longitude]), near)[0])
    assert abs(result - near) <= 180 + 1e-9
    assert (result - longitude) / 360 == pytest.approx(round((result - longitude) / 360), abs=1e-9)


boxes = st.tuples(st.floats(-180, 180), st.floats(0.1, 60), st.floats(5, 80), st.floats(0.1, 9)).map(
    lambda b: Extent(b[0], b[0] + b[1], b[2], b[2] + b[3])
)


@given(boxes, st.sampled_from([ALBERS, POLAR, parse_crs("EPSG:4269"), parse_crs("EPSG:3857")]))
def test_a_projected_extent_contains_all_points_of_the_extent(extent: Extent, target: pyproj.CRS) -> None:
    box = project_extent(extent, LONLAT, target)
    x, y = np.meshgrid(np.linspace(extent.xmin, extent.xmax, 7), np.linspace(extent.ymin, extent.ymax, 7))
    px, py = transformer(LONLAT, target).transform(x, y)
    if target.is_geographic:
        px = unwrap(px, x)
    margin = 0.005 * max(box.width, box.height)
    assert box.xmin - margin <= px.min() <= px.max() <= box.xmax + margin
    assert box.ymin - margin <= py.min() <= py.max() <= box.ymax + margin


def test_a_projected_extent_contains_a_pole_inside_the_extent() -> None:
    box = project_extent(Extent(-180, 180, 60, 90), LONLAT, POLAR)
    assert box.width == pytest.approx(box.height, rel=0.01)
    degrees = project_extent(Extent(-1e6, 1e6, -1e6, 1e6), POLAR, LONLAT)
    assert degrees.ymax == pytest.approx(90, abs=0.1)


def test_longitudes_continue_beyond_180_at_the_antimeridian() -> None:
    box = project_extent(Extent(170, 190, 50, 60), LONLAT, parse_crs("EPSG:4269"))
    assert (box.xmin, box.xmax) == pytest.approx((170, 190), abs=1e-3)
    back = project_extent(project_extent(Extent(170, 190, 50, 60), LONLAT, POLAR), POLAR, LONLAT)
    assert 20 <= back.width < 60


def test_swapped_longitudes_and_latitudes_are_named() -> None:
    with pytest.raises(RegionError, match=r"y -105 to -95.* lies beyond a pole; are longitudes and latitudes swapped"):
        project_extent(Extent(35, 45, -105, -95), LONLAT, parse_crs("EPSG:5070"))


def test_an_extent_on_the_far_side_of_the_earth_cannot_be_shown() -> None:
    with pytest.raises(RegionError, match=r"x 170 to 175, y 0 to 5.* cannot be shown"):
        project_extent(Extent(170, 175, 0, 5), LONLAT, parse_crs("+proj=ortho +lon_0=0 +lat_0=0"))


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:4269", "+proj=longlat +R=6371229 +no_defs"])
def test_with_meridian_changes_the_prime_meridian(crs: str) -> None:
    shifted = with_meridian(parse_crs(crs), 170.0)
    x, y = transformer(parse_crs(crs), shifted).transform(np.array([170.0, -170.0]), np.array([10.0, 20.0]))
    assert x == pytest.approx([0, 20], abs=1e-6)
    assert y == pytest.approx([10, 20], abs=1e-6)


def test_a_polygon_across_a_seam_is_cut_and_closed() -> None:
    """Robinson with central longitude 0 shows a box across the antimeridian at its left and right edges."""
    cut = shapely.union_all(project_polygons(np.array([shapely.box(170, 0, 190, 10)]), LONLAT, parse_crs("ESRI:54030")))
    xmin, _, xmax, _ = cut.bounds
    assert xmin < -1.6e7
    assert xmax > 1.6e7
    assert not cut.intersects(shapely.box(-1.5e7, -1e7, 1.5e7, 1e7))


def test_any_crs_becomes_a_cartopy_projection_with_a_boundary() -> None:
    extent = Extent(-3e6, 3e6, 0, 3e6)
    projection = cartopy_projection(ALBERS, extent)
    assert (projection.x_limits, projection.y_limits) == ((-3e6, 3e6), (0, 3e6))
    assert same_crs(pyproj.CRS.from_wkt(projection.to_wkt()), ALBERS)


@pytest.mark.parametrize(
    ("projection", "largest"),
    [
        ("EPSG:3395", 2.1e7),
        ({"name": "NorthPolarStereo"}, 6e7),
        ("EPSG:3031", 6e7),
        ({"name": "LambertConformal"}, 6e7),
        ({"name": "Gnomonic", "central_latitude": 90}, 4e7),
    ],
)
def test_the_projected_world_has_a_bounded_extent(projection, largest) -> None:
    crs = parse_projection(projection)
    assert crs is not None
    extent = project_extent(Extent(-180, 180, -90, 90), LONLAT, crs)
    assert max(map(abs, (extent.xmin, extent.xmax, extent.ymin, extent.ymax))) < largest


@pytest.mark.parametrize("central", [0, 100, 180, -60])
def test_extents_follow_the_prime_meridian_of_the_crs(central: float) -> None:
    crs = pyproj.CRS.from_user_input(f"+proj=longlat +datum=WGS84 +pm={central}")
    extent = project_extent(Extent(-20, 55, -36, 38), LONLAT, crs)
    assert (extent.width, extent.height) == pytest.approx((75, 74))
    turns = (extent.xmin + central + 20) / 360
    assert turns == pytest.approx(round(turns), abs=1e-8)


@pytest.mark.parametrize("central", [0, 160, -100])
def test_the_world_reaches_both_edges_of_its_projection(central: float) -> None:
    crs = parse_projection({"name": "Robinson", "central_longitude": central})
    assert crs is not None
    for west in (-180, 0):
        extent = project_extent(Extent(west, west + 360, -90, 90), LONLAT, crs)
        assert (extent.xmin, extent.xmax) == pytest.approx(crs.x_limits, rel=1e-4)


def test_a_geocentric_crs_is_refused() -> None:
    with pytest.raises(ConfigError, match="cannot be drawn as a map; use a projected or geographic CRS"):
        parse_projection("EPSG:4978")


@pytest.mark.parametrize("text", ["", "e", "o", "/"])
def test_the_reason_stays_readable_if_a_short_text_is_not_a_crs(text: str) -> None:
    with pytest.raises(ConfigError, match=r"\(proj_create: unrecognized format"):
        parse_crs(text)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"globe": {"semimajor_axis": 1}}, "a globe cannot be set; use a PROJ string"),
        ({"central_longitude": "x"}, "projection Mercator: "),
        ({"central_longitude": [1]}, "projection Mercator: "),
        ({"central_longitude": {"a": 1}}, "projection Mercator: "),
    ],
)
def test_keywords_of_a_wrong_type_are_refused(keywords: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_projection({"name": "Mercator", **keywords})
