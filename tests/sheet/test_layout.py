"""The boxes of a sheet: whole pixels, in it, apart from each other."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from regionplot.errors import ConfigError
from regionplot.settings.loading import read_config
from regionplot.sheet.key import LegendKey
from regionplot.sheet.layout import Box, Layout


def layout_of(width: int, height: int, dpi: float = 100, colorbar: bool = True) -> Layout:
    sections = {"map": {"size": [width, height], "dpi": dpi}, "colors": {"colorbar": colorbar}}
    return Layout.of(read_config({"raster": {"path": "sample:relief"}, **sections}))


@given(st.integers(100, 4000), st.integers(100, 4000), st.floats(20, 300), st.booleans())
def test_boxes_lie_in_the_sheet_and_apart(width: int, height: int, dpi: float, colorbar: bool) -> None:
    try:
        layout = layout_of(width, height, dpi, colorbar)
    except ConfigError:
        assume(False)
    panel = layout.panel
    assert panel.width > 0
    assert panel.height > 0
    assert 0 < panel.left < panel.right < width
    assert panel.top <= layout.title_baseline < height
    assert (layout.colorbar is not None) == colorbar
    if layout.colorbar:
        assert 0 < layout.colorbar.bottom < layout.colorbar.top < panel.bottom
        assert panel.left < layout.colorbar.left < layout.colorbar.right < panel.right
    assert layout.inches[0] * layout.dpi == pytest.approx(width)


@given(
    st.integers(100, 3000),
    st.integers(100, 3000),
    st.floats(20, 300),
    st.lists(st.text(max_size=60), min_size=1, max_size=64),
)
def test_a_legend_lies_below_the_panel_and_holds_every_class(
    width: int, height: int, dpi: float, names: list[str]
) -> None:
    config = read_config({"raster": {"path": "sample:relief"}, "map": {"size": [width, height], "dpi": dpi}})
    try:
        layout = Layout.of(config, LegendKey(tuple(name or str(value) for value, name in enumerate(names))))
    except ConfigError:
        assume(False)
    grid = layout.legend
    assert layout.colorbar is None
    assume(grid is not None)
    assert grid is not None
    boxes = [grid.swatch_box(number) for number in range(len(names))]
    assert len(set(boxes)) == len(names) <= grid.rows * grid.columns
    assert grid.name_width > 0
    assert min(box.bottom for box in boxes) >= grid.box.bottom > layout.legend_label
    assert max(box.top for box in boxes) < layout.panel.bottom
    assert grid.rows == 1 or grid.box.height <= height / 3
    assert min(box.left for box in boxes) >= 0
    assert max(box.right for box in boxes) + grid.gap + grid.name_width <= width


def test_a_name_that_is_too_long_for_two_columns_has_one_of_its_own() -> None:
    config = read_config({"raster": {"path": "sample:relief"}, "map": {"size": [400, 600]}})
    grids = []
    for length in (4, 200):
        grid = Layout.of(config, LegendKey(("x" * length,) * 6)).legend
        assert grid is not None
        grids.append(grid)
    assert grids[0].columns > grids[1].columns == 1


def test_true_colour_has_neither_bar_nor_legend() -> None:
    config = read_config({"raster": {"path": "sample:relief"}})
    layout = Layout.of(config, None)
    assert layout.colorbar is layout.legend is None
    assert layout.panel == layout_of(1400, 900, colorbar=False).panel


def test_a_sheet_without_room_for_the_map_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"\[map\] size: 100 x 100 pixels at 1200 dpi leave no room for the map"):
        layout_of(100, 100, 1200)


def test_text_keeps_its_size_in_relation_to_the_sheet() -> None:
    assert layout_of(1400, 900).title_points == 14
    assert layout_of(2800, 1800, 200).title_points == 14
    assert layout_of(2800, 1800, 100).title_points == 28


def test_without_a_colour_bar_the_panel_takes_its_place() -> None:
    assert layout_of(1400, 900, colorbar=False).panel.height > layout_of(1400, 900).panel.height


def test_a_box_is_given_to_matplotlib_in_fractions() -> None:
    box = Box(10, 20, 30, 40)
    assert (box.right, box.top) == (40, 60)
    assert box.fractions((100, 200)) == (0.1, 0.1, 0.3, 0.2)
