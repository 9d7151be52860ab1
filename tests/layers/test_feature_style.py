"""Vector layers: casings, conditions and scales."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely

from regionplot.colors.check import reading_problems
from regionplot.errors import ConfigError, FeaturesError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.layers.features import Features
from regionplot.render.drawn_marks import DrawnMarks
from regionplot.render.renderer import MapRenderer
from regionplot.render.sheets import Style, make_sheet
from regionplot.settings.loading import read_config
from regionplot.sheet.marks import Markers, Path, Rectangle, Text

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


CLASSES = {
    "levels": ({"levels": [1, 2.5], "colors": ["#ff0000", "#00ff00", "#0000ff"]}, [1, 2, 1]),
    "values": ({"values": ["1", "3"], "colors": ["#ff0000", "#00ff00"]}, [1, 1]),
    "condition": ({"levels": [1], "colors": ["#ff0000", "#00ff00"], "where": "id < 2"}, [1, 1]),
}


@pytest.mark.parametrize("suffix", ["shp", "gpkg", "geojson", "fgb"])
@pytest.mark.parametrize("name", CLASSES)
def test_areas_have_the_colors_of_their_classes(load, write_vector, name: str, suffix: str) -> None:
    style, counts = CLASSES[name]
    path = write_vector([shapely.box(-98 + 4 * n, 33, -96 + 4 * n, 35) for n in range(4)], name=f"areas.{suffix}")
    table = {"path": path, "color_by": "id", "edgecolor": "none", **style}
    shared = load(map={"size": [420, 270]}, features=[table])
    marks = DrawnMarks.of(shared.layers, make_sheet(REGION, Style.of(shared))).in_panel
    assert [mark.facecolor for mark in marks] == style["colors"]
    assert [int((mark.codes == 1).sum()) for mark in marks] == counts


def test_lines_and_points_have_the_colors_of_their_classes(load, roads, write_vector) -> None:
    points = write_vector([shapely.Point(-95 + n, 31) for n in range(3)], name="points.geojson")
    style = {"color_by": "id", "values": ["0", "2"], "colors": ["#ff0000", "#00ff00"], "edgecolor": "black"}
    shared = load(map={"size": [420, 270]}, features=[{"path": roads, **style}, {"path": points, **style}])
    marks = DrawnMarks.of(shared.layers, make_sheet(REGION, Style.of(shared))).in_panel
    assert [mark.edgecolor for mark in marks if isinstance(mark, Path)] == ["black", "#ff0000", "#00ff00"]
    assert [mark.facecolor for mark in marks if isinstance(mark, Markers)] == ["black", "#ff0000", "#00ff00"]


def test_the_key_names_the_classes_below_the_map(load, roads) -> None:
    style = {"path": roads, "color_by": "id", "levels": [1, 2.5], "colors": ["red", "white", "blue"]}
    sizes = []
    for own, expected in (
        ({}, ["id", "under 1", "1 to 2.5", "2.5 or more"]),
        ({"key": "Rank", "names": ["low", "medium", "high"]}, ["Rank", "low", "medium", "high"]),
        ({"key": ""}, []),
    ):
        shared = load(map={"size": [420, 270]}, features=[{"path": roads}, {**style, **own}])
        layout = Style.of(shared).layout
        marks = [mark for layer in shared.layers if isinstance(layer, Features) for mark in layer.frame(layout)]
        texts, boxes = ([mark for mark in marks if isinstance(mark, kind)] for kind in (Text, Rectangle))
        assert [mark.text for mark in texts] == expected
        assert [mark.facecolor for mark in boxes] == (["red", "white", "blue"] if expected else [])
        assert all(0 < mark.y < layout.panel.bottom and mark.x + mark.max_width <= layout.size[0] for mark in texts)
        sizes.append(layout.panel.height)
    assert sizes[0] == sizes[1] < sizes[2]


def test_a_long_key_has_several_rows(load, roads) -> None:
    names = [f"a class with a rather long name {number}" for number in range(5)]
    style = {"color_by": "id", "values": list("01234"), "colors": ["red"] * 5, "names": names}
    shared = load(map={"size": [420, 270]}, features=[{"path": roads, **style}])
    layout = Style.of(shared).layout
    (layer,) = (layer for layer in shared.layers if isinstance(layer, Features))
    texts = [mark for mark in layer.frame(layout) if isinstance(mark, Text)]
    assert len({mark.y for mark in texts}) > 2
    assert [mark.text for mark in texts] == ["id", *names]
    assert all(mark.x + mark.max_width <= layout.size[0] for mark in texts)


@pytest.mark.parametrize(
    ("faulty", "message"),
    [
        ({"color_by": "id", "colors": ["red"]}, "color_by needs either levels"),
        ({"color_by": "id", "levels": [2, 1], "colors": ["red"] * 3}, "levels must increase"),
        ({"color_by": "id", "levels": [1], "colors": ["red"]}, "colors needs 2 colors, not 1"),
        ({"color_by": "id", "levels": [1], "colors": ["red"] * 2, "names": ["a"]}, "names needs 2 names, not 1"),
    ],
)
def test_faults_of_classes_are_reported(roads, faulty: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config({"raster": {"path": "sample:relief"}, "features": [{"path": roads, **faulty}]})


@pytest.mark.parametrize("suffix", ["shp", "gpkg", "geojson"])
def test_an_unknown_attribute_of_colors_is_named(draw, write_vector, suffix: str) -> None:
    path = write_vector([shapely.Point(-90, 31)], name=f"points.{suffix}")
    with pytest.raises(
        ConfigError, match=r"points\.\w+: \[\[features\]\] color_by: the file has no attribute 'kind'; .*id"
    ):
        draw(path=path, color_by="kind", values=["a"], colors=["red"])


def test_scales_in_the_wrong_order_are_an_error(roads) -> None:
    feature = {"path": str(roads), "min_scale": 5, "max_scale": 1}
    with pytest.raises(
        ConfigError, match=r"min_scale 5 is greater than max_scale 1, so the layer would never be drawn"
    ):
        read_config({"raster": {"path": "sample:relief"}, "features": [feature]})


def test_small_closed_outlines_and_areas_are_left_out(load, write_vector) -> None:
    islands = [shapely.box(-96, 34, -90, 38), shapely.box(-85, 35, -84.9, 35.1)]
    polygons = write_vector(islands, name="islands.gpkg")
    lines = write_vector(
        [*(shapely.LineString(each.exterior) for each in islands), shapely.LineString([(-85, 39), (-85, 39.1)])]
    )
    for size, count in ((0, 2), (4, 1)):
        features = [
            {"path": polygons, "facecolor": "white", "min_size": size},
            {"path": lines, "min_size": size},
        ]
        shared = load(map={"size": [420, 270]}, features=features)
        marks = DrawnMarks.of(shared.layers, make_sheet(REGION, Style.of(shared))).in_panel
        starts = [int((mark.codes == 1).sum()) for mark in marks]
        assert starts == [count, count, count + 1]  # areas, their outlines, and lines with a short open line
