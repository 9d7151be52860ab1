"""The things on a sheet: their paths, their words, their places."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.path import Path as Outline
from shapely.geometry import LineString, MultiPoint, Polygon, box

from regionplot.colors.numbers import ColorScale
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.inputs.vectors import load_layer
from regionplot.render import artists, colorbar
from regionplot.settings.loading import read_config
from regionplot.settings.vector import FeatureSettings
from regionplot.sheet.layout import Box, Layout
from regionplot.text import colorbar_label

RELIEF = {"raster": {"path": "sample:relief"}}
PANEL = PanelGrid(Extent(-10, 30, -10, 30), 400, 400)
LAYOUT = Layout.of(read_config({**RELIEF, "map": {"size": [700, 450]}}))


@pytest.fixture
def canvas() -> FigureCanvasAgg:
    return FigureCanvasAgg(artists.new_figure(LAYOUT))


@pytest.fixture
def drawn(write_vector, canvas):
    """The artists of a layer of some geometries, with a style."""

    def draw(geometries, kind: str | None = None, **style):
        path = write_vector(geometries, name="layer.geojson", geometry_type=kind or "Unknown")
        layer = load_layer(FeatureSettings(path=path, **style), parse_crs("EPSG:4326"))
        axes = canvas.figure.add_axes([0, 0, 1, 1])
        return list(artists.layer_artists(layer, PANEL, axes))

    return draw


def test_lines_are_one_path_with_a_stroke_for_each(drawn) -> None:
    (patch,) = drawn([LineString([(0, 0), (5, 5)]), LineString([(9, 0), (9, 9)])], edgecolor="red", linewidth=2)
    assert (patch.get_path().codes == Outline.MOVETO).sum() == 2
    assert patch.get_linewidth() == 2
    assert patch.get_edgecolor() == (1, 0, 0, 1)
    assert patch.get_facecolor()[3] == 0


def test_faces_lie_below_lines_and_keep_their_holes(drawn) -> None:
    ring = Polygon(box(0, 0, 10, 10).exterior, [box(4, 4, 6, 6).exterior])
    faces, lines = drawn([ring, box(15, 15, 20, 20)], facecolor="tan", edgecolor="blue")
    assert faces.get_edgecolor()[3] == 0
    assert faces.get_facecolor() != lines.get_facecolor()
    codes = faces.get_path().codes
    assert (codes == Outline.MOVETO).sum() == (codes == Outline.CLOSEPOLY).sum() == 3
    assert (lines.get_path().codes == Outline.MOVETO).sum() == 3


def test_points_are_markers(drawn) -> None:
    (markers,) = drawn([MultiPoint([(0, 0), (5, 5)])], edgecolor="black", facecolor="red", linewidth=1)
    np.testing.assert_array_equal(markers.get_xydata(), [[0, 0], [5, 5]])
    assert markers.get_markerfacecolor() == "red"


@pytest.mark.parametrize("style", [{"linewidth": 0}, {"edgecolor": "none"}])
def test_what_has_no_width_or_colour_is_not_drawn(drawn, style) -> None:
    assert drawn([box(0, 0, 1, 1)], **style) == []


def test_what_lies_elsewhere_is_not_drawn(drawn) -> None:
    assert drawn([box(50, 50, 60, 60)], facecolor="red") == []


def test_a_title_that_fits_is_left_alone(canvas) -> None:
    title = artists.title_text("North  Carolina\n$x_2$", LAYOUT, canvas.figure)
    assert title.get_text() == "North Carolina $x_2$"
    assert title.get_fontsize() == LAYOUT.title_points
    assert not title.get_parse_math()


@pytest.mark.parametrize("length", [60, 80, 120, 500, 2000])
def test_a_long_title_shrinks_and_then_is_cut(canvas, length: int) -> None:
    text = "Snow on the ground " * (length // 19)
    title = artists.title_text(text, LAYOUT, canvas.figure)
    assert title.get_window_extent(canvas.get_renderer()).x1 <= LAYOUT.size[0] - LAYOUT.panel.left + 1
    assert title.get_fontsize() >= 0.6 * LAYOUT.title_points - 1e-9
    shown = title.get_text()
    assert shown == text.strip() or (shown.endswith("…") and text.startswith(shown[:-1]))


@pytest.mark.parametrize("text", ["", " ", "$\\frac{$", "\\", "الثلج", "雪" * 300, "\u202e\u0301"])
@pytest.mark.filterwarnings("ignore:Glyph .* missing from font")
def test_any_title_can_be_drawn(canvas, text: str) -> None:
    title = artists.title_text(text, LAYOUT, canvas.figure)
    title.draw(canvas.get_renderer())
    assert title.get_text() == text.strip() or title.get_text().endswith("…")


@pytest.mark.parametrize(
    ("units", "label"),
    [
        ("m", "Depth (m)"), ("", "Depth"), ("1", "Depth"), ("degC", "Depth (°C)"), ("kg m^-2", "Depth (kg m⁻²)"),
        ("m s-1", "Depth (m s⁻¹)"), ("ug m-3", "Depth (µg m⁻³)"), ("W/m2", "Depth (W/m²)"), ("%", "Depth (%)"),
    ],
)  # fmt: skip
def test_units_are_written_as_people_write_them(units: str, label: str) -> None:
    assert colorbar_label("Depth", units) == label


def bar_axes(canvas: FigureCanvasAgg, **colors: object):
    config = read_config({**RELIEF, "colors": colors, "map": {"size": [700, 450]}})
    scale = ColorScale.of(config, np.linspace(0, 100, 100).reshape(10, 10))
    colorbar.add_colorbar(canvas.figure, Layout.of(config), scale, "Depth $x$ (m)")
    return canvas.figure.axes


def test_labels_of_many_classes_do_not_touch(canvas) -> None:
    levels = [number * 12.5 for number in range(60)]
    (axes,) = bar_axes(canvas, levels=levels)
    canvas.draw()
    boxes = [label.get_window_extent() for label in axes.get_xticklabels() if label.get_visible() and label.get_text()]
    assert 5 < len(boxes) < 60
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_labels_of_few_classes_are_all_there(canvas) -> None:
    (axes,) = bar_axes(canvas, levels=[0, 0.1, 1, 2.5, 1e6])
    assert [label.get_text() for label in axes.get_xticklabels() if label.get_visible()] == [
        "0", "0.1", "1", "2.5", "1e+06",
    ]  # fmt: skip
    assert axes.get_xlabel() == "Depth $x$ (m)"


def test_there_is_no_bar_unless_it_is_asked_for(canvas) -> None:
    assert bar_axes(canvas, colorbar=False) == []


def test_the_neatline_goes_around_the_panel_and_the_note_in_its_middle() -> None:
    around = artists.neatline(Box(10, 20, 100, 50), LAYOUT)
    assert around.get_bbox().bounds == (10, 20, 100, 50)
    assert artists.note_text("no data", LAYOUT, Box(10, 20, 100, 50)).get_position() == (60, 45)
