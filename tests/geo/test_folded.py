"""Some formulas give two points of the earth the same position. Only one of the points is on the map."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from regionplot.geo.areas import project_polygons
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.linework import linework, project_points

LONLAT = parse_crs("EPSG:4326")
FOLDED = [
    "EPSG:5514",
    "EPSG:2056",
    "EPSG:3168",
    "EPSG:27200",
    "+proj=tmerc +approx +lon_0=9",
    "+proj=cass +lat_0=31 +lon_0=35",
]
REGULAR = ["EPSG:3035", "EPSG:32633", "EPSG:3031", "+proj=ortho +lat_0=40", "+proj=igh"]


def meridians() -> np.ndarray:
    latitudes = np.arange(-80, 80.5, 0.5)
    return shapely.linestrings([np.column_stack([np.full(latitudes.size, x), latitudes]) for x in range(-177, 180, 6)])


@pytest.mark.parametrize("crs", FOLDED)
def test_each_projected_vertex_is_at_the_position_of_its_own_point(crs: str) -> None:
    target = parse_crs(crs)
    points = shapely.points(shapely.get_coordinates(meridians()))
    kept = project_points(points, LONLAT, target)
    assert len(kept) < np.isfinite(transformer(LONLAT, target).transform(*shapely.get_coordinates(points).T)[0]).sum()
    shapes = [*linework(meridians(), LONLAT, target), *kept]
    x, y = shapely.get_coordinates(shapes).T
    longitude, latitude = transformer(LONLAT, target).transform(x, y, direction="INVERSE")
    known = np.isfinite(longitude) & (abs(latitude) < 79)  # other vertices can be at the end of a line
    off = (longitude[known] + 177) % 6
    assert known.sum() > 100
    assert (np.minimum(off, 6 - off) < 0.1).mean() > 0.99


@pytest.mark.parametrize("crs", ["EPSG:5514", "EPSG:5513"])
def test_norway_is_not_drawn_over_slovakia(crs: str) -> None:
    norway = np.array([shapely.box(5, 60.5, 30, 71)], dtype=object)
    target = parse_crs(crs)
    slovakia = shapely.transform(
        shapely.box(17, 47.5, 22.5, 49.5), transformer(LONLAT, target).transform, interleaved=False
    )
    assert not shapely.intersects(linework(norway, LONLAT, target), slovakia).any()
    assert not shapely.intersects(project_polygons(norway, LONLAT, target), slovakia).any()


@pytest.mark.parametrize("crs", REGULAR)
def test_a_regular_projection_keeps_all_points_that_it_shows(crs: str) -> None:
    points = shapely.points(shapely.get_coordinates(meridians()))
    x, _ = transformer(LONLAT, parse_crs(crs)).transform(*shapely.get_coordinates(points).T)
    assert len(project_points(points, LONLAT, parse_crs(crs))) == np.isfinite(x).sum()
