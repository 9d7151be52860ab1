"""The legend and the color bar lie below the panel."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from regionplot.errors import ConfigError
from regionplot.geo.crs import parse_crs
from regionplot.layers.base import LayerSettings, LoadContext
from regionplot.layers.colorbar import ColorBarLayer
from regionplot.layers.legend import Legend, legend_grid
from regionplot.layers.stack import lay_out
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config
from regionplot.sheet.key import ColorBarKey, LegendKey
from regionplot.sheet.marks import Rectangle, Text


def config_of(width: int = 700, height: int = 450, dpi: float = 100, **colors: object) -> Config:
    paper = {"size": [width, height], "dpi": dpi}
    return read_config({"raster": {"path": "sample:relief"}, "map": paper, "colors": colors})


@given(
    st.integers(100, 3000),
    st.integers(100, 3000),
    st.floats(20, 300),
    st.lists(st.text(min_size=1, max_size=60), min_size=1, max_size=64),
)
def test_a_legend_lies_below_the_panel_and_holds_every_class(
    width: int, height: int, dpi: float, names: list[str]
) -> None:
    try:
        layout = lay_out(config_of(width, height, dpi), LegendKey(tuple(names)))
    except ConfigError:
        assume(False)
    grid = legend_grid(layout)
    assert "colorbar" not in layout.rooms
    assume(grid is not None)
    assert grid is not None
    boxes = [grid.swatch_box(number) for number in range(len(names))]
    assert len(set(boxes)) == len(names) <= grid.rows * grid.columns
    assert grid.name_width > 0
    assert min(box.bottom for box in boxes) >= grid.box.bottom > 0
    assert max(box.top for box in boxes) < layout.panel.bottom
    assert grid.rows == 1 or grid.box.height <= height / 3
    assert min(box.left for box in boxes) >= 0
    assert max(box.right for box in boxes) + grid.gap + grid.name_width <= width


@pytest.mark.parametrize("size", [(1400, 900), (700, 500), (330, 220)])
@pytest.mark.parametrize("name", ["10", "111", "2000-2010", "Swamp", "Commission", "WMO", "85 %", "Woody wetlands"])
def test_short_class_names_are_complete(size: tuple[int, int], name: str) -> None:
    layout = lay_out(config_of(*size), LegendKey((name, "1")))
    grid = legend_grid(layout)
    assert grid is not None
    points = FontProperties(family="DejaVu Sans", size=layout.page.label_points)
    width = text_to_path.get_text_width_height_descent(name, points, ismath=False)[0]
    assert grid.name_width >= width * layout.dpi / 72


def test_class_names_that_are_too_long_for_two_columns_have_one_column() -> None:
    grids = []
    for length in (4, 200):
        grid = legend_grid(lay_out(config_of(400, 600), LegendKey(("x" * length,) * 6)))
        assert grid is not None
        grids.append(grid)
    assert grids[0].columns > grids[1].columns == 1


def test_too_many_classes_have_no_legend() -> None:
    layout = lay_out(config_of(200, 150), LegendKey(("Woodland",) * 60))
    assert legend_grid(layout) is None
    assert "legend" not in layout.rooms


def test_a_legend_draws_a_swatch_and_a_name_for_each_class_and_its_label() -> None:
    key = LegendKey(("Water", "Ice"), ((0, 0, 1, 1), (1, 1, 1, 1)))
    config = config_of(label="Cover")
    legend = Legend.load(LayerSettings(), LoadContext(config, parse_crs("EPSG:4326")))
    marks = list(legend.frame(lay_out(config, key)))
    swatches = [mark for mark in marks if isinstance(mark, Rectangle)]
    texts = [mark for mark in marks if isinstance(mark, Text)]
    assert [swatch.facecolor for swatch in swatches] == [(0, 0, 1, 1), (1, 1, 1, 1)]
    assert [text.text for text in texts] == ["Water", "Ice", "Cover"]
    assert all(name.x > swatch.box.right for name, swatch in zip(texts, swatches, strict=False))


@pytest.mark.parametrize(("colorbar", "bars"), [(True, 1), (False, 0)])
def test_a_color_bar_lies_below_the_panel_if_it_is_wanted(colorbar: bool, bars: int) -> None:
    config = config_of(colorbar=colorbar)
    context = LoadContext(config, parse_crs("EPSG:4326"), {"long_name": "Depth", "units": "m"})
    layout = lay_out(config, ColorBarKey())
    marks = list(ColorBarLayer.load(LayerSettings(), context).frame(layout))
    assert len(marks) == bars
    for mark in marks:
        assert mark.label == "Depth (m)"
        assert 0 < mark.box.bottom < mark.box.top < layout.panel.bottom
        assert layout.panel.left < mark.box.left < mark.box.right < layout.panel.right


def test_the_digest_of_a_key_changes_with_its_label() -> None:
    def key(**description: str) -> str:
        context = LoadContext(config_of(), parse_crs("EPSG:4326"), description)
        return ColorBarLayer.load(LayerSettings(), context).key

    depth = {"long_name": "Depth", "units": "m"}
    assert len({key(**depth), key(**depth | {"units": "ft"}), key(**depth | {"long_name": "Height"})}) == 3


def test_in_the_atlas_style_a_legend_begins_below_its_label_at_the_left_edge_of_the_panel() -> None:
    config = read_config({"raster": {"path": "sample:relief"}, "map": {"style": "atlas"}})
    layout = lay_out(config, LegendKey(("water", "forest", "ice"), ((0, 0, 1), (0, 0.4, 0), (1, 1, 1))))
    *swatches, label = Legend("Land cover", key="").frame(layout)
    assert isinstance(label, Text)
    assert label.text == "Land cover"
    assert label.x == layout.panel.left == swatches[0].box.left
    assert max(mark.box.top for mark in swatches if isinstance(mark, Rectangle)) < label.y < layout.panel.bottom
