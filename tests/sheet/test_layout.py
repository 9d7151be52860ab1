"""Boxes of a sheet have whole pixels, lie on the sheet and do not overlap."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from regionplot.errors import ConfigError
from regionplot.layers.stack import lay_out
from regionplot.settings.loading import read_config
from regionplot.sheet.key import ColorBarKey
from regionplot.sheet.layout import Box, Layout, Room


def layout_of(width: int, height: int, dpi: float = 100, colorbar: bool = True) -> Layout:
    sections = {"map": {"size": [width, height], "dpi": dpi}, "colors": {"colorbar": colorbar}}
    return lay_out(read_config({"raster": {"path": "sample:relief"}, **sections}), ColorBarKey())


@given(st.integers(100, 4000), st.integers(100, 4000), st.floats(20, 300), st.booleans())
def test_boxes_lie_on_the_sheet_and_do_not_overlap(width: int, height: int, dpi: float, colorbar: bool) -> None:
    try:
        layout = layout_of(width, height, dpi, colorbar)
    except ConfigError:
        assume(False)
    panel = layout.panel
    assert panel.width > 0
    assert panel.height > 0
    assert 0 < panel.left < panel.right < width
    assert panel.top == layout.rooms["title"].bottom < layout.rooms["title"].top == height
    assert ("colorbar" in layout.rooms) == colorbar
    if colorbar:
        assert layout.rooms["colorbar"] == Box(0, 0, width, panel.bottom)
    assert layout.inches[0] * layout.dpi == pytest.approx(width)


def test_rooms_are_stacked_from_the_edges_to_the_panel() -> None:
    page = layout_of(700, 450).page
    rooms = {"a": Room("bottom", 30), "b": Room("top", 20), "c": Room("bottom", 5), "d": Room("top", 7)}
    layout = Layout.of(page, rooms)
    assert layout.rooms["a"] == Box(0, 0, 700, 30)
    assert layout.rooms["c"] == Box(0, 30, 700, 5)
    assert layout.rooms["b"] == Box(0, 430, 700, 20)
    assert layout.rooms["d"] == Box(0, 423, 700, 7)
    assert (layout.panel.bottom, layout.panel.top) == (35, 423)


def test_a_panel_without_rooms_has_margins_on_all_sides() -> None:
    page = layout_of(700, 450).page
    layout = Layout.of(page, {})
    assert layout.panel == Box(page.margin, page.margin, 700 - 2 * page.margin, 450 - 2 * page.margin)


def test_maps_in_true_color_have_neither_color_bar_nor_legend() -> None:
    config = read_config({"raster": {"path": "sample:relief"}})
    layout = lay_out(config, None)
    assert set(layout.rooms) == {"title"}
    assert layout.panel == layout_of(1400, 900, colorbar=False).panel


def test_a_sheet_without_space_for_the_map_is_rejected() -> None:
    with pytest.raises(ConfigError, match=r"\[map\] size: 100 x 100 pixels at 1200 dpi leave no room for the map"):
        layout_of(100, 100, 1200)


def test_text_scales_with_the_sheet() -> None:
    assert layout_of(1400, 900).page.title_points == 14
    assert layout_of(2800, 1800, 200).page.title_points == 14
    assert layout_of(2800, 1800, 100).page.title_points == 28


def test_without_a_color_bar_the_panel_is_higher() -> None:
    assert layout_of(1400, 900, colorbar=False).panel.height > layout_of(1400, 900).panel.height


def test_a_box_can_be_given_in_fractions_of_the_sheet() -> None:
    box = Box(10, 20, 30, 40)
    assert (box.right, box.top) == (40, 60)
    assert box.fractions((100, 200)) == (0.1, 0.1, 0.3, 0.2)
