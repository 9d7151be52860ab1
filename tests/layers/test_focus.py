"""The area of a region stands out, and maps depend on the shape of a region only if it is drawn."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely

import regionplot
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render.renderer import MapRenderer

TRIANGLE = shapely.Polygon([(-105, 36), (-95, 36), (-100, 44)])
HOLE = shapely.Polygon([(-104, 37), (-96, 37), (-96, 43), (-104, 43)], [[(-102, 39), (-98, 39), (-98, 41), (-102, 41)]])
BOX = Region("a", Extent(-108, -92, 34, 46), shape=shapely.to_wkb(TRIANGLE))
LEVELS = {"levels": [-9000, 9000], "colors": ["#ff0000"]}


@pytest.fixture
def maps(load: Any) -> Any:
    """Return a function that makes a renderer of red maps with a focus."""

    def make(projection: str = "EPSG:4326", **focus: Any) -> MapRenderer:
        own = {"size": [240, 200], "projection": projection, "fit": "exact"}
        sections = {"map": own, "colors": {**LEVELS, "colorbar": False}, "focus": {"linewidth": 0, **focus}}
        return MapRenderer(load(raster={"path": "sample:relief"}, **sections))

    return make


@pytest.mark.parametrize("shape", [TRIANGLE, HOLE, shapely.MultiPolygon([TRIANGLE, shapely.box(-94, 40, -93, 41)])])
@pytest.mark.parametrize("projection", ["EPSG:4326", "EPSG:5070"])
def test_everything_outside_the_area_fades(maps: Any, shape: shapely.Geometry, projection: str) -> None:
    renderer = maps(projection, outside="#ffffff80")
    picture = renderer.render(replace(BOX, shape=shapely.to_wkb(shape)))
    place = picture.georeference
    assert place is not None
    pixels = picture.pixels[place.rows, place.columns]
    height, width = pixels.shape[:2]
    rows, columns = np.mgrid[4 : height - 4 : 3, 4 : width - 4 : 3].reshape(2, -1)
    a, _, left, _, e, top = place.panel_transform[:6]
    from_map = transformer(renderer.style.shared.crs, parse_crs("EPSG:4326"))
    points = shapely.points(*from_map.transform(left + (columns + 0.5) * a, top + (rows + 0.5) * e))
    is_sure = shapely.distance(shapely.boundary(shape), points) > 0.2
    inside = shapely.contains(shape, points)
    found = pixels[rows, columns]
    assert (found[inside & is_sure] == (255, 0, 0)).all()
    assert (abs(found[~inside & is_sure].astype(int) - (255, 128, 128)) <= 1).all()
    assert (inside & is_sure).any()


def test_a_region_without_an_area_is_drawn_as_usual(maps: Any) -> None:
    plain = replace(BOX, shape=b"")
    np.testing.assert_array_equal(maps().render(plain).pixels, maps(outside="none").render(plain).pixels)
    points = replace(BOX, shape=shapely.to_wkb(shapely.Point(-100, 40)))
    np.testing.assert_array_equal(maps().render(points).pixels, maps().render(plain).pixels)


@pytest.mark.parametrize("focus", [{}, None])
def test_a_new_shape_draws_a_map_again_only_if_it_is_shown(make_config: Any, tmp_path: Path, focus: Any) -> None:
    sections = {} if focus is None else {"focus": focus}
    config = make_config(map={"size": [240, 200]}, colors=LEVELS, output={"directory": tmp_path}, **sections)
    for shape, drawn in ((TRIANGLE, True), (TRIANGLE, False), (HOLE, focus is not None)):
        report = regionplot.render_regions([replace(BOX, shape=shapely.to_wkb(shape))], config)
        assert bool(report.drawn) == drawn
