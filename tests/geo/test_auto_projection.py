"""A projection is centered on each region: its kind follows the latitude, and north is up in the middle of the map."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest
import shapely
from pyproj.enums import TransformDirection

from regionplot.geo.auto_projection import auto_projection
from regionplot.geo.centered import CenteredCRS, centered_crs
from regionplot.geo.clip import IndexedGeometries
from regionplot.geo.crs import parse_crs, same_crs, transformer
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.project import project_extent
from regionplot.geo.shown import areas_on_panel, lines_on_panel, points_on_panel, shown_window

LONLAT = parse_crs("EPSG:4326")
KINDS = {
    (-109, -102, 37, 41): "lcc", (144, 148, -44, -40): "lcc", (-141, -52, 41, 72): "lcc", (-2, 45, -2, 45): "lcc",
    (10, 30, 74, 79): "stere", (-180, 180, 60, 90): "stere", (-180, 180, -90, -60): "stere", (0, 360, 25, 90): "stere",
    (19, 191, 41, 82): "stere", (94, 142, -11, 7): "merc", (-10, 50, -35, 37): "merc", (-80, -60, -10, 11): "merc",
    (-180, 180, -90, 90): "", (-180, 180, -60, 70): "", (-30, 20, -80, 80): "", (-20, 20, -70, 65): "",
}  # fmt: skip


@pytest.mark.parametrize(("limits", "kind"), KINDS.items())
def test_the_kind_follows_the_latitude_and_the_shape(limits: tuple[float, ...], kind: str) -> None:
    crs = auto_projection(Extent(*limits))
    assert (f"+proj={kind} " in crs.srs) if kind else crs == LONLAT
    assert project_extent(Extent(*limits), LONLAT, crs).width > 0


@pytest.mark.parametrize("limits", [limits for limits, kind in KINDS.items() if kind and limits[1] - limits[0] < 360])
def test_north_is_up_in_the_middle_of_the_map(limits: tuple[float, ...]) -> None:
    extent = Extent(*limits)
    to_map = transformer(LONLAT, auto_projection(extent))
    x, y = extent.center
    (x0, x1), (y0, y1) = to_map.transform([x, x], [y - 0.1, y + 0.1])
    assert abs(x1 - x0) < 1e-3 * (y1 - y0)


def test_the_scale_of_a_state_is_true_to_a_thousandth() -> None:
    limits = Extent(-109, -102, 37, 41)
    to_map = transformer(LONLAT, auto_projection(limits))
    for latitude in (37.0, 39.0, 41.0):
        x, _ = to_map.transform([-105.5, -105.4], [latitude, latitude])
        meters = LONLAT.get_geod().inv(-105.5, latitude, -105.4, latitude)[2]
        assert abs((x[1] - x[0]) / meters - 1) < 1e-3


@pytest.mark.parametrize("other", ["EPSG:4326", "EPSG:4269", "EPSG:5070", "+proj=lcc +lat_1=25 +lon_0=-95 +R=6371200"])
def test_transformations_equal_those_that_proj_finds(other: str) -> None:
    centered = centered_crs("+proj=lcc +lat_1=38 +lat_2=40 +lat_0=39 +lon_0=-105.5")
    plain = parse_crs(centered.srs)
    assert type(plain) is not CenteredCRS
    x, y = np.array([-2e5, 0.0, 3e5]), np.array([-1e5, 0.0, 2e5])
    own, usual = transformer(centered, parse_crs(other)), transformer(plain, parse_crs(other))
    found = own.transform(x, y)
    np.testing.assert_allclose(found, usual.transform(x, y), rtol=1e-9, atol=1e-6)
    back = own.transform(*found, direction=TransformDirection.INVERSE)
    np.testing.assert_allclose(back, (x, y), atol=1e-3)
    np.testing.assert_allclose(transformer(parse_crs(other), centered).transform(*found), (x, y), atol=1e-3)


def test_a_centered_crs_can_be_pickled_and_compared() -> None:
    one, other = (centered_crs(f"+proj=merc +lat_ts=0 +lon_0={meridian}") for meridian in (10, 20))
    copy = pickle.loads(pickle.dumps(one))
    assert copy == one
    assert hash(copy) == hash(one)
    assert same_crs(copy, one)
    assert one != other
    assert not same_crs(one, other)
    assert one != LONLAT


def panel_of(crs: Any, limits: Extent, width: int = 140, height: int = 90) -> PanelGrid:
    shown = project_extent(limits, LONLAT, crs)
    scale = max(shown.width / width, shown.height / height)
    return PanelGrid(shown.resized(scale * width, scale * height), width, height)


@pytest.mark.parametrize(
    "limits",
    [(-109, -102, 37, 41), (172, 190, -24, -10), (-188, -172, 50, 60), (-180, 180, 60, 90), (-30, 40, -90, -65)],
)
def test_clipped_geometries_are_those_of_the_whole_layer(limits: tuple[float, ...]) -> None:
    """Lines, areas and points are the same as if the whole layer were projected, also around 180 degrees and poles."""
    extent = Extent(*limits)
    crs = auto_projection(extent)
    panel = panel_of(crs, extent)
    frame = shapely.box(panel.extent.xmin, panel.extent.ymin, panel.extent.xmax, panel.extent.ymax)
    corners = [(x, y) for x in range(-180, 180, 8) for y in range(-88, 88, 8)]
    boxes = np.array([shapely.box(x, y, x + 6, y + 5) for x, y in corners], dtype=object)
    to_map = transformer(LONLAT, crs)
    dense = shapely.segmentize(boxes, 0.1)
    west, south = shapely.bounds(boxes)[:, :2].T
    inside = abs(south - extent.center[1]) < 80
    if crs.srs.startswith("+proj=lcc"):
        inside &= abs((west - extent.center[0] + 180) % 360 - 180) < 100
    whole = shapely.transform(dense[inside], lambda points: np.column_stack(to_map.transform(*points.T)))
    areas = areas_on_panel(IndexedGeometries.of(boxes), LONLAT, panel, crs)
    expected = shapely.area(shapely.intersection(shapely.make_valid(whole), frame)).sum()
    found = shapely.area(shapely.intersection(shapely.make_valid(areas), frame)).sum()
    pixel = panel.pixel_width * panel.pixel_height
    assert abs(found - expected) < max(0.01 * expected, 30 * pixel)
    assert expected > 100 * pixel
    lines = lines_on_panel(IndexedGeometries.of(shapely.boundary(boxes)), LONLAT, panel, crs)
    borders = shapely.length(shapely.intersection(shapely.boundary(whole), frame)).sum()
    assert shapely.length(shapely.intersection(lines, frame)).sum() == pytest.approx(borders, rel=0.01)
    centers = shapely.get_coordinates(shapely.centroid(boxes))
    points = points_on_panel(centers, LONLAT, panel, crs)
    known = np.isfinite(points).all(axis=1)
    at = np.column_stack(to_map.transform(*centers.T))
    np.testing.assert_allclose(points[known], at[known], atol=1e-3)
    assert known[shapely.contains_xy(frame, *at.T)].all()


def test_a_window_contains_the_pole_and_all_longitudes() -> None:
    crs = auto_projection(Extent(-180, 180, 60, 90))
    window = shown_window(panel_of(crs, Extent(-180, 180, 60, 90)), crs, LONLAT)
    assert (window.width, window.ymax) == (360, 90)
    assert window.ymin < 60


def test_points_that_the_map_cannot_show_are_left_out() -> None:
    crs = auto_projection(Extent(-109, -102, 37, 41))
    panel = PanelGrid(Extent(-3e7, 3e7, -3e7, 3e7), 100, 100)
    points = points_on_panel(np.array([[-105.0, 39.0], [75.0, -90.0]]), LONLAT, panel, crs)
    assert np.isfinite(points).all(axis=1).tolist() == [True, False]
    assert points_on_panel(np.empty((0, 2)), LONLAT, panel, crs).shape == (0, 2)
