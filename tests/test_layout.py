"""The boxes of a sheet: whole pixels, in it, apart from each other."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from regionplot import ConfigError, read_config
from regionplot.layout import Layout
from regionplot.models import Box


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
