"""Vector layers: casings, conditions and scales."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely

from regionplot.colors.check import reading_problems
from regionplot.errors import FeaturesError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render.drawn_marks import DrawnMarks
from regionplot.render.renderer import MapRenderer
from regionplot.render.sheets import Style, make_sheet
from regionplot.sheet.marks import Markers, Path

REGION = Region("a", Extent(-100, -80, 30, 42))


@pytest.fixture
def roads(write_vector):
    """Write three lines with ranks 0, 1 and 2."""
    lines = [shapely.LineString([(-98, 31 + n * 4), (-82, 33 + n * 4)]) for n in range(3)]
    return write_vector(lines, name="roads.gpkg")


@pytest.fixture
def draw(load, roads):
    """Return a function that draws the lines: the marks in the panel."""

    def drawn(region: Region = REGION, **style: Any) -> tuple[Any, ...]:
        shared = load(map={"size": [420, 270]}, features=[{"path": roads, **style}])
        return DrawnMarks.of(shared.layers, make_sheet(region, Style.of(shared))).in_panel

    return drawn


pytestmark = pytest.mark.usefixtures("read_in_process")


def test_the_casing_of_all_lines_lies_below_all_lines(draw) -> None:
    (line,) = draw(linewidth=1.1)
    casing, again = draw(linewidth=1.1, casing="#ffffffa6", casing_width=0.95)
    np.testing.assert_array_equal(again.vertices, line.vertices)
    np.testing.assert_array_equal(casing.vertices, line.vertices)
    assert (casing.edgecolor, again.edgecolor) == ("#ffffffa6", "black")
    assert casing.linewidth == pytest.approx(3.0)
    assert len(draw(casing="white", casing_width=0)) == 1
    assert draw(casing="white", edgecolor="none") == ()


def test_a_casing_makes_the_map_an_rgb_image(load, roads) -> None:
    for casing, is_palette in (("none", True), ("white", False)):
        features = [{"path": roads, "casing": casing}]
        shared = load(map={"size": [420, 270]}, colors={"levels": [0, 500, 1000]}, features=features)
        assert (MapRenderer(shared).render(REGION).palette is not None) == is_palette


@pytest.mark.parametrize(("where", "count"), [("", 3), ("id <= 1", 2), ("id = 2", 1), ("id > 5", 0)])
def test_a_condition_selects_features(draw, where: str, count: int) -> None:
    marks = draw(where=where)
    assert sum(int((mark.codes == 1).sum()) for mark in marks) == count


def test_points_and_areas_follow_the_condition(load, write_vector) -> None:
    points = write_vector([shapely.Point(-90, 31 + n) for n in range(4)], name="points.geojson")
    areas = write_vector([shapely.box(-95 + n, 33, -94.5 + n, 35) for n in range(4)], name="areas.shp")
    tables = [{"path": points, "where": "id >= 2"}, {"path": areas, "where": "id = 1", "facecolor": "red"}]
    shared = load(map={"size": [420, 270]}, features=tables)
    marks = DrawnMarks.of(shared.layers, make_sheet(REGION, Style.of(shared))).in_panel
    assert [len(mark.points) for mark in marks if isinstance(mark, Markers)] == [2]
    filled = [mark for mark in marks if isinstance(mark, Path) and mark.facecolor == "red"]
    assert [int((mark.codes == 1).sum()) for mark in filled] == [1]


def test_a_faulty_condition_is_named(draw) -> None:
    with pytest.raises(FeaturesError, match=r"roads.gpkg: .*; is the condition 'rank <' correct\?"):
        draw(where="rank <")


def test_a_layer_is_drawn_only_between_its_scales(draw) -> None:
    """The map has about 6 km per pixel, and half of that if the region is half as large."""
    small = Region("b", Extent(-95, -85, 33, 39))
    for scales, wide, near in (
        ({}, 1, 1),
        ({"min_scale": 4}, 1, 0),
        ({"max_scale": 4}, 0, 1),
        ({"min_scale": 1, "max_scale": 10}, 1, 1),
        ({"min_scale": 8}, 0, 0),
    ):
        assert (len(draw(**scales)), len(draw(small, **scales))) == (wide, near)


def test_check_reports_no_hidden_line_if_it_has_a_casing(make_config, roads) -> None:
    for casing, count in (("none", 1), ("white", 0)):
        table = {"path": roads, "edgecolor": "#101010", "casing": casing}
        config = make_config(colors={"levels": [0, 1], "colors": ["#111111"]}, features=[table])
        found = [each for each in reading_problems(None, config) if each.place.section == "features"]
        assert len(found) == count
