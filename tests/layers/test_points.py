"""Symbols have the color, the size and the place that attributes give."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pyogrio.raw
import pytest
import shapely

from regionplot.colors.check import color_problems
from regionplot.errors import ConfigError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render.drawn_marks import DrawnMarks
from regionplot.render.figure import plot_region
from regionplot.render.renderer import MapRenderer
from regionplot.render.sheets import Style, make_sheet
from regionplot.settings.loading import read_config
from regionplot.sheet.marks import Label, Markers

REGION = Region("a", Extent(-100, -80, 30, 42))
pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")


@pytest.fixture
def stations(tmp_path: FilePath) -> FilePath:
    """Write four stations. The last one lies outside the region and has no number."""
    points = [(-95, 33), (-90, 35), (-85, 37), (20, 10)]
    wkb = np.array([shapely.to_wkb(shapely.Point(at)) for at in points], dtype=object)
    columns = [np.array(["A", "B", "A", "C"], object), np.array([0.0, 5.0, 20.0, np.nan])]
    path = tmp_path / "stations.gpkg"
    pyogrio.raw.write(path, wkb, columns, ["kind", "snow"], geometry_type="Point", crs="EPSG:4326")
    return path


@pytest.fixture
def draw(load, stations):
    """Return a function that draws the stations: x and diameter of each symbol by color."""

    def drawn(**style: Any) -> dict[str, list[tuple[float, float]]]:
        shared = load(map={"size": [420, 270]}, points=[{"path": stations, **style}])
        marks = DrawnMarks.of(shared.layers, make_sheet(REGION, Style.of(shared))).in_panel
        found: dict[str, list[tuple[float, float]]] = {}
        for mark in marks:
            assert isinstance(mark, Markers)
            points = [(round(float(x)), round(mark.size / 0.9, 1)) for x, _ in mark.points]
            found.setdefault(mark.facecolor, []).extend(points)
        return found

    return drawn


def test_all_points_have_one_style_by_default(draw) -> None:
    assert draw(color="red", size=4) == {"red": [(-95, 4.0), (-90, 4.0), (-85, 4.0)]}


def test_numbers_and_texts_choose_colors(draw) -> None:
    colors = ["#110000", "#220000", "#330000"]
    found = draw(color_by="SNOW", levels=[5, 10], colors=colors)
    assert {color: [x for x, _ in at] for color, at in found.items()} == {
        "#110000": [-95],
        "#220000": [-90],  # a number on a level belongs to the class above
        "#330000": [-85],
    }
    found = draw(color_by="kind", values=["B", "C"], colors=["#110000", "#220000"], color="gray")
    assert {color: [x for x, _ in at] for color, at in found.items()} == {"gray": [-95, -85], "#110000": [-90]}


def test_the_area_of_a_symbol_is_proportional_to_its_number_and_large_symbols_lie_below(draw) -> None:
    (symbols,) = draw(size_by="snow", size_limits=[0, 20], sizes=[2, 10]).values()
    assert symbols == [(-85, 10.0), (-90, pytest.approx(np.sqrt(4 + 96 / 4), abs=0.06)), (-95, 2.0)]


def test_the_fast_map_and_the_figure_are_equal_and_labels_avoid_symbols(load, stations) -> None:
    table = {"path": stations, "size": 12, "marker": "diamond"}
    names = {"path": stations, "name": "kind", "dots": False}
    shared = load(map={"size": [300, 200]}, output={"png": "rgb"}, points=[table], labels=[names])
    figure = plot_region(shared, REGION)
    figure.canvas.draw()
    expected = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    np.testing.assert_array_equal(MapRenderer(shared).render(REGION).pixels, expected)


@pytest.mark.parametrize("again", [False, True], ids=["one table of names", "two equal tables of names"])
def test_a_name_stands_beside_its_symbol_without_a_dot(load, stations, again: bool) -> None:
    names = {"path": stations, "name": "kind"}
    shared = load(
        map={"size": [1000, 600]}, points=[{"path": stations, "size": 12}], labels=[names] * (2 if again else 1)
    )
    sheet = make_sheet(REGION, Style.of(shared))
    marks = DrawnMarks.of(shared.layers, sheet).in_panel
    (symbols,) = [mark for mark in marks if isinstance(mark, Markers)]
    labels = [mark for mark in marks if isinstance(mark, Label)]
    assert [label.text for label in labels] == ["A", "B", "A"]
    panel, left = sheet.view.panel, sheet.view.box.left
    pixels = [left + (x - panel.extent.xmin) / panel.pixel_width for x, _ in symbols.points]
    radius = symbols.size / 2 * sheet.layout.dpi / 72
    assert all(radius < label.x - x < radius + 20 for label, x in zip(labels, pixels, strict=True))


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ({"color_by": "snow"}, "color_by needs either levels"),
        ({"color_by": "snow", "levels": [5], "colors": ["red"]}, "colors needs 2 colors, not 1"),
        ({"color_by": "snow", "levels": [5, 1], "colors": ["red"] * 3}, "levels must increase"),
        ({"color_by": "snow", "levels": [5], "colors": ["red", "rde"]}, "colors #2: 'rde' is not a color"),
        ({"marker": "dot"}, "marker"),
    ],
)
def test_faulty_settings_are_named(stations, style: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check({"raster": {"path": "sample:relief"}, "points": [{"path": stations, **style}]})


def check(tables: dict[str, Any]) -> None:
    raise ConfigError(*color_problems(read_config(tables)))
