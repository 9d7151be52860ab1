"""A point of a map is in a projected polygon if and only if the point of the earth is in the polygon."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio.raw
import pyproj
import pytest
import shapely
from numpy.typing import NDArray
from shapely.geometry import Polygon, box

from regionplot.geo.areas import project_polygons
from regionplot.geo.cartopy import parse_projection
from regionplot.geo.crs import parse_crs, transformer

LONLAT = parse_crs("EPSG:4326")
ROTATED = "+proj=ob_tran +o_proj=longlat +lon_0=18 +o_lon_p=0 +o_lat_p=39.25 +R=6371229"
PROJECTIONS = [
    "EPSG:32623",
    "EPSG:32733",
    "EPSG:32601",
    "EPSG:3035",
    "EPSG:3857",
    "EPSG:3031",
    "EPSG:3413",
    "EPSG:5070",
    "EPSG:5514",
    "+proj=laea +lat_0=-90",
    "+proj=lcc +lat_1=25 +lat_2=25 +lat_0=25 +lon_0=-95 +R=6371200",
    "+proj=sinu +lon_0=40",
    "+proj=moll +lon_0=100",
    "ESRI:54030",
    "+proj=geos +h=35785831 +lon_0=-75",
    "+proj=ortho +lat_0=40 +lon_0=-100",
    "+proj=stere +lat_0=30 +lon_0=10",
    "+proj=aeqd +lat_0=-20 +lon_0=170",
    "+proj=omerc +lat_0=4 +lonc=115 +alpha=53 +gamma=53",
    ROTATED,
    "EqualEarth",
    "InterruptedGoodeHomolosine",
    "TransverseMercator",
]
LIKE_OTHERS = {"EPSG:32733", "EPSG:32601", "EPSG:5514", "TransverseMercator", PROJECTIONS[18]}
"""Projections whose seams have the form of those of another conic, transverse or oblique Mercator projection."""
WORLD = box(-180, -90, 180, 90)
COUNT = 3000
"""Number of points of the earth that are compared."""
Array = NDArray[Any]
NEAR = 0.4
"""Degrees. Points this near to a border, or to a seam of the projection, are not compared."""


def crs_of(projection: str) -> pyproj.CRS:
    crs = parse_projection(projection)
    assert crs is not None
    return crs


@cache
def continents() -> Array:
    """Return stars all over the world, some with a hole, and bands at the poles. Most seams cross several stars."""
    generator = np.random.default_rng(2)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    found = []
    for longitude in range(-165, 180, 30):
        for latitude in (-52, -8, 35, 68):
            radii = generator.uniform(3, 13, (2, 1)) * (0.6 + 0.4 * np.cos(5 * angles + longitude))
            shell = np.column_stack([np.cos(angles), np.sin(angles)]) * radii[0][:, None] + (longitude, latitude)
            star = Polygon(np.clip(shell, (-180, -85), (180, 85)))
            found.append(star.difference(star.centroid.buffer(1.5)) if longitude % 60 else star)
    found += [box(-180, -90, 180, -75), box(-180, 84, 180, 90)]
    polygons = np.array(found, dtype=object)
    polygons.flags.writeable = False
    return polygons


@cache
def sphere_points(count: int) -> Array:
    generator = np.random.default_rng(3)
    latitudes = np.degrees(np.arcsin(generator.uniform(-1, 1, count)))
    points = np.column_stack([generator.uniform(-180, 180, count), latitudes])
    points.flags.writeable = False
    return points


@dataclass(frozen=True)
class Truth:
    """Points of the earth that are not near the border of an area, and those of them that are in the area."""

    points: Array
    inside: Array

    @classmethod
    def of(cls, polygons: Array) -> Truth:
        points, area = sphere_points(COUNT), shapely.union_all(polygons)
        edge = shapely.boundary(area)
        shapely.prepare([edge, area])
        points = points[~shapely.dwithin(edge, shapely.points(points), NEAR)]
        return cls(points, shapely.contains_xy(area, points))


@cache
def truths() -> tuple[Array, Truth, Truth, Truth]:
    """Return the sea as one polygon, and the truth about the continents, the sea and the whole world."""
    land = continents()
    sea = np.array([WORLD.difference(shapely.union_all(land))])
    return sea, Truth.of(land), Truth.of(sea), Truth.of(np.array([WORLD]))


@cache
def inhabited() -> tuple[Array, Truth]:
    """Return the continents without the polar ones, and the truth about them."""
    land = continents()[:-2]
    land = land[shapely.bounds(land)[:, 1] > -75]
    return land, Truth.of(land)


@cache
def countries(folder: Path) -> tuple[Array, Truth]:
    """Return the countries of the earth, and the truth about them."""
    found = shapely.from_wkb(pyogrio.raw.read(folder / "countries.shp", columns=[])[2])
    land = shapely.make_valid(shapely.get_parts(found))
    return land, Truth.of(land)


def far_from_seams(points: Array, crs: pyproj.CRS) -> Array:
    """Return True for each point that has neighbors on the map in all directions."""
    operation = transformer(LONLAT, crs)

    def position(offset: tuple[float, float]) -> Array:
        moved = np.clip(points + offset, (-np.inf, -90), (np.inf, 90))
        x, y = operation.transform(*moved.T)
        back = np.array(operation.transform(x, y, direction="INVERSE"))
        with np.errstate(invalid="ignore"):
            east, north = (back[0] - moved[:, 0] + 180) % 360 - 180, back[1] - moved[:, 1]
        off = abs(east) * np.cos(np.radians(moved[:, 1])) + abs(north)
        return np.where((off < 1e-3)[:, None], np.column_stack([x, y]), np.nan)

    size = 1.0 if crs.is_geographic else 111_320.0 / crs.axis_info[0].unit_conversion_factor
    steps = [position((dx, dy)) - position((0, 0)) for dx, dy in ((NEAR, 0), (-NEAR, 0), (0, NEAR), (0, -NEAR))]
    return np.asarray(np.all([np.hypot(*step.T) < 6 * NEAR * size for step in steps], axis=0))


def is_inside(polygons: Array, points: Array) -> Array:
    found = np.zeros(len(points), bool)
    shapely.prepare(polygons)
    point, polygon = shapely.STRtree(polygons).query(shapely.points(points))
    found[point[shapely.contains_xy(polygons[polygon], *points[point].T)]] = True
    return found


def wrong_points(truth: Truth, projected: Array, crs: pyproj.CRS) -> Array:
    """Return the points, in degrees, that are in one of the projected polygons only, or in the polygons only."""
    is_known = far_from_seams(truth.points, crs)
    points, inside = truth.points[is_known], truth.inside[is_known]
    assert len(points) > COUNT / 6
    found = is_inside(projected, np.column_stack(transformer(LONLAT, crs).transform(*points.T)))
    return np.asarray(points[found != inside])


def filled_outside(projected: Array, crs: pyproj.CRS) -> Array:
    """Return points of a map that lie in projected polygons, but show no point of the earth."""
    x, y = transformer(LONLAT, crs).transform(*sphere_points(4000).T)
    known = np.isfinite(x) & np.isfinite(y)
    low, high = (
        [limit(axis[known], share) for axis in (x, y)] for limit, share in ((np.quantile, 0.01), (np.quantile, 0.99))
    )
    points = np.random.default_rng(4).uniform(low, high, (4000, 2))
    there = np.array(transformer(crs, LONLAT).transform(*points.T))
    back = np.column_stack(transformer(LONLAT, crs).transform(*there))
    is_shown = np.hypot(*(back - points).T) < 1e-3 * (np.array(high) - low).max()
    filled = points[is_inside(projected, points) & ~is_shown]
    margin = 0.01 * (np.array(high) - low).max()
    edges = shapely.STRtree(shapely.boundary(projected))
    near = edges.query(shapely.points(filled), "dwithin", margin)[0]
    return np.delete(filled, near, axis=0)


@pytest.mark.parametrize("projection", PROJECTIONS)
def test_exactly_the_land_or_the_sea_or_the_whole_world_is_filled(projection: str) -> None:
    crs, land = crs_of(projection), continents()
    sea, of_land, of_sea, of_world = truths()
    on_map = [project_polygons(polygons, LONLAT, crs) for polygons in (land, sea)]
    assert not len(wrong_points(of_land, on_map[0], crs))
    assert not len(wrong_points(of_sea, on_map[1], crs))
    assert not len(filled_outside(np.concatenate(on_map), crs))
    if projection not in LIKE_OTHERS:
        filled = project_polygons(np.array([WORLD]), LONLAT, crs)
        assert not len(wrong_points(of_world, filled, crs))
        assert not len(filled_outside(filled, crs))


@pytest.mark.parametrize("projection", ["EPSG:32623", ROTATED])
def test_real_countries_and_oceans_are_filled_point_by_point(shared_data_folder: Path, projection: str) -> None:
    crs = crs_of(projection)
    land, truth = countries(shared_data_folder)
    assert not len(wrong_points(truth, project_polygons(land, LONLAT, crs), crs))


@pytest.mark.parametrize(("source", "projection"), [
    ("EPSG:3857", "EPSG:32623"),
    ("+proj=moll +lon_0=0", "EPSG:3035"),
    ("+proj=robin", "EPSG:4326"),
    ("+proj=eqc", "+proj=ortho +lat_0=40 +lon_0=-100"),
])  # fmt: skip
def test_polygons_in_a_projected_crs_are_cut_at_the_seams_of_both_projections(source: str, projection: str) -> None:
    land, truth = inhabited()
    target, operation = crs_of(projection), transformer(LONLAT, crs_of(source))
    there = shapely.transform(shapely.segmentize(land, 0.2), lambda p: np.column_stack(operation.transform(*p.T)))
    assert not len(wrong_points(truth, project_polygons(there, crs_of(source), target), target))


@pytest.mark.parametrize("projection", ["EPSG:4326", "EPSG:3857", "ESRI:54030", "EPSG:32633"])
def test_a_disk_around_the_pole_in_a_polar_crs_covers_all_longitudes(projection: str) -> None:
    polar, crs = parse_crs("EPSG:3413"), crs_of(projection)
    disk = np.array([shapely.Point(0, 0).buffer(2e6, quad_segs=64)])  # its edge is near 71.7° north
    found = project_polygons(disk, polar, crs)
    for latitude, expected in ((75, True), (69, False)):
        ring = np.column_stack([np.arange(-179.5, 180, 7), np.full(52, latitude)])
        x, y = transformer(LONLAT, crs).transform(*ring.T)
        assert (is_inside(found, np.column_stack([x, y])) == expected).all()


@pytest.mark.parametrize("turn", [-360, 0, 360])
@pytest.mark.parametrize(("crs", "width"), [("EPSG:3857", 40075016.68), ("+proj=eqc +lon_0=0", 40075016.68)])
def test_a_polygon_across_the_antimeridian_loses_no_area_at_the_cut(turn: int, crs: str, width: float) -> None:
    found = project_polygons(np.array([box(170 + turn, 0, 190 + turn, 10)]), LONLAT, parse_crs(crs))
    bounds = shapely.bounds(found)
    assert (bounds[:, 2] - bounds[:, 0]).sum() == pytest.approx(width / 18, abs=0.01)
    assert sorted([*bounds[:, 0], *bounds[:, 2]])[::3] == pytest.approx([-width / 2, width / 2], abs=0.01)


def test_a_polygon_that_the_map_cannot_show_is_left_out() -> None:
    behind = project_polygons(np.array([box(60, -50, 90, -30)]), LONLAT, parse_crs("+proj=ortho +lat_0=40 +lon_0=-100"))
    assert not behind.size


def test_parts_of_a_multipolygon_that_overlap_are_both_filled() -> None:
    both = shapely.MultiPolygon([box(0, 0, 10, 10), box(5, 5, 15, 15)])
    found = project_polygons(np.array([both]), LONLAT, LONLAT)
    assert is_inside(found, np.array([[7.0, 7.0], [1.0, 1.0], [14.0, 14.0]])).all()
