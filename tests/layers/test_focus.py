"""The area of a region stands out, and maps depend on the shape of a region only if it is drawn."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
import shapely

import regionplot
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.layers.focus import Focus
from regionplot.render.renderer import MapRenderer
from regionplot.render.sheets import Style
from regionplot.shared.data import SharedData
from regionplot.sheet.marks import Path
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
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
def test_a_new_shape_draws_a_map_again_only_if_it_is_shown(make_config: Any, tmp_path: FilePath, focus: Any) -> None:
    sections = {} if focus is None else {"focus": focus}
    config = make_config(map={"size": [240, 200]}, colors=LEVELS, output={"directory": tmp_path}, **sections)
    for shape, drawn in ((TRIANGLE, True), (TRIANGLE, False), (HOLE, focus is not None)):
        report = regionplot.render_regions([replace(BOX, shape=shapely.to_wkb(shape))], config)
        assert bool(report.drawn) == drawn


@pytest.mark.parametrize(("clip", "outside"), [("fade", "#ffffffa6"), ("polygon", "#eeeeee")])
def test_the_table_of_regions_asks_for_a_focus(make_config: Any, clip: str, outside: str) -> None:
    config = make_config(raster={"path": "sample:relief"}, map={"background": "#eeeeee"}, regions={"clip": clip})
    assert config.layers["focus"][0].outside == outside
    own = make_config(raster={"path": "sample:relief"}, regions={"clip": clip}, focus={"outside": "red"})
    assert own.layers["focus"][0].outside == "red"
    assert "focus" not in make_config(raster={"path": "sample:relief"}, regions={"clip": "none"}).layers


@pytest.mark.parametrize("limits", [(-109, -102, 37, 41), (172, 188, -24, -12), (-180, 180, 70, 90)])
def test_a_centered_projection_shows_the_same_area(make_config: Any, limits: tuple[float, ...]) -> None:
    west, east, south, north = limits
    shape = shapely.box(west + 2, south + 1, east - 2, north - (0 if north == 90 else 1))
    region = Region("a", Extent(*limits), shape=shapely.to_wkb(shape), projection="auto")
    sections = {"map": {"size": [240, 200], "dpi": 50}, "colors": {**LEVELS, "colorbar": False}}
    config = make_config(raster={"path": "sample:relief"}, regions={"clip": "fade"}, **sections)
    style = Style.of(SharedData.load(config, [region]))
    focus = next(layer for layer in style.layers if isinstance(layer, Focus))
    crs = style.shared.crs_of(region)
    view = View.of(region, crs, style.layout.panel, "datalim")
    sheet = Sheet(region, view, style.layout, crs, {}, "", np.zeros((0, 0), np.uint8), False)
    outside, *_ = focus.draw(sheet)
    to_map = transformer(parse_crs("EPSG:4326"), crs)
    inner = shapely.transform(
        shapely.segmentize(shape, 0.1), lambda points: np.column_stack(to_map.transform(*points.T))
    )
    frame = shapely.box(view.panel.extent.xmin, view.panel.extent.ymin, view.panel.extent.xmax, view.panel.extent.ymax)
    expected = frame.area - shapely.make_valid(inner).intersection(frame).area
    assert isinstance(outside, Path)
    assert area_of(outside) == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("side", [0.125, 0.25, 0.375], ids=["apart", "touching", "overlapping"])
def test_many_polygons_are_one_area(make_config: Any, side: float) -> None:
    corners = [(x, y) for x in np.arange(-106, -96, 0.25) for y in np.arange(36, 44, 0.25)]
    shape = shapely.multipolygons([shapely.box(x, y, x + side, y + side) for x, y in corners])
    region = Region("a", Extent(-110, -92, 34, 46), shape=shapely.to_wkb(shape))
    sections = {"map": {"size": [240, 200], "projection": "EPSG:4326"}, "colors": {**LEVELS, "colorbar": False}}
    config = make_config(raster={"path": "sample:relief"}, regions={"clip": "fade"}, **sections)
    style = Style.of(SharedData.load(config, [region]))
    focus = next(layer for layer in style.layers if isinstance(layer, Focus))
    crs = style.shared.crs_of(region)
    view = View.of(region, crs, style.layout.panel, "datalim")
    outside, *_ = focus.draw(Sheet(region, view, style.layout, crs, {}, "", np.zeros((0, 0), np.uint8), False))
    extent = view.panel.extent
    assert isinstance(outside, Path)
    covered = 1280 * 0.125**2 if side == 0.125 else (9.75 + side) * (7.75 + side)
    assert area_of(outside) == pytest.approx(extent.width * extent.height - covered, rel=1e-6)


def area_of(path: Path) -> float:
    """Return the area of a path of rings. Holes have the opposite direction."""
    starts = np.flatnonzero(path.codes == 1)
    rings = np.split(path.vertices, starts[1:])
    return float(abs(sum(np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]) / 2 for x, y in (ring.T for ring in rings))))


def marks_of(make_config: Any, shape: shapely.Geometry, extent: Extent) -> tuple[Any, Extent]:
    """Return the marks of a focus on a map in degrees, and the extent of the map."""
    region = Region("a", extent, shape=shapely.to_wkb(shape))
    sections = {"map": {"size": [240, 200], "projection": "EPSG:4326"}, "colors": {**LEVELS, "colorbar": False}}
    config = make_config(raster={"path": "sample:relief"}, regions={"clip": "fade"}, **sections)
    style = Style.of(SharedData.load(config, [region]))
    focus = next(layer for layer in style.layers if isinstance(layer, Focus))
    crs = style.shared.crs_of(region)
    view = View.of(region, crs, style.layout.panel, "datalim")
    sheet = Sheet(region, view, style.layout, crs, {}, "", np.zeros((0, 0), np.uint8), False)
    return tuple(focus.draw(sheet)), view.panel.extent


def test_a_border_across_the_edge_of_the_map_has_no_break(make_config: Any) -> None:
    """The ring begins in the middle of the map."""
    shape = shapely.Polygon([(-100, 40), (-120, 44), (-120, 36)])
    (outside, casing, border), extent = marks_of(make_config, shape, Extent(-110, -92, 34, 46))
    assert [int((path.codes == 1).sum()) for path in (casing, border)] == [1, 1]
    shown = shapely.intersection(shape, shapely.box(extent.xmin, extent.ymin, extent.xmax, extent.ymax))
    assert area_of(outside) == pytest.approx(extent.width * extent.height - shown.area)
    assert len(marks_of(make_config, shapely.box(-120, 30, -80, 50), Extent(-110, -92, 34, 46))[0]) == 0


@pytest.mark.parametrize("west", [170, -190])
def test_areas_on_both_sides_of_the_antimeridian_are_shown(make_config: Any, west: float) -> None:
    """The parts that touch at 180 degrees are one area with one border."""
    shape = shapely.MultiPolygon([shapely.box(172, 50, 180, 55), shapely.box(-180, 50, -172, 55)])
    (outside, _, border), extent = marks_of(make_config, shape, Extent(west, west + 20, 48, 58))
    assert area_of(outside) == pytest.approx(extent.width * extent.height - 16 * 5)
    assert int((border.codes == 1).sum()) == 1
    assert (border.vertices[:, 0].min(), border.vertices[:, 0].max()) == (west + 2, west + 18)


@pytest.mark.slow
def test_many_small_polygons_that_overlap_take_little_time(make_config: Any) -> None:
    points = np.random.default_rng(1).uniform((-110, 34), (-92, 46), (8000, 2))
    parts = shapely.buffer(shapely.points(points), 0.04, quad_segs=4)
    start = time.process_time()
    whole = shapely.union_all(parts)
    between = time.process_time()
    (outside, *_), extent = marks_of(make_config, shapely.multipolygons(parts), Extent(-110, -92, 34, 46))
    assert time.process_time() - between < 0.8 * (between - start)
    frame = shapely.box(extent.xmin, extent.ymin, extent.xmax, extent.ymax)
    assert area_of(outside) == pytest.approx(frame.area - shapely.intersection(whole, frame).area)
