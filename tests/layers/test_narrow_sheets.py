"""A narrow sheet shows less than a wide one, in letters that can still be read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.layers.stack import all_layers
from regionplot.render.drawn_marks import DrawnMarks
from regionplot.render.sheets import Style, make_sheet
from regionplot.shared.data import SharedData
from regionplot.sheet.marks import ColorBar, Label, Path, Text

pytestmark = pytest.mark.usefixtures("read_in_process")
REGION = Region("colorado", Extent(-109.3, -101.8, 36.8, 41.2))
LAYERS: dict[str, Any] = {
    "features": [{"path": "sample:counties", "kind": "counties"}, {"path": "sample:states"}],
    "labels": [{"path": "sample:states"}],
    "credit": {"lines": ["Relief: ETOPO5", "Boundaries: US Census Bureau"]},
}


def marks(load: Callable[..., SharedData], *size: int, style: str = "atlas") -> list[Any]:
    """Return the marks of a map, and those of its frame."""
    place = {"style": style, "size": size, "projection": "raster"}
    drawn = Style.of(load(map=place, **LAYERS, colors={"levels": [0, 1000, 2000, 3000]}))
    found = DrawnMarks.of(drawn.layers, make_sheet(REGION, drawn))
    frame = [mark for layer in drawn.layers for mark in layer.frame(drawn.layout)]
    return [*found.in_panel, *found.on_sheet, *frame]


def test_narrow_sheets_leave_out_what_has_no_room(load: Callable[..., SharedData]) -> None:
    wide, narrow = marks(load, 1400, 900), marks(load, 600, 400)
    for found, expected in ((wide, True), (narrow, False)):
        assert any(isinstance(mark, Text) and "°" in mark.text for mark in found) is expected
        assert any(isinstance(mark, Label) for mark in found) is expected
        assert any(isinstance(mark, Path) and mark.edgecolor == "#3b33404d" for mark in found) is expected


def test_no_text_of_a_narrow_sheet_is_smaller_than_8_points(load: Callable[..., SharedData]) -> None:
    found = marks(load, 600, 400)
    assert min(mark.points for mark in found if isinstance(mark, Text | ColorBar)) >= 8
    assert min(mark.points for mark in marks(load, 600, 400, style="plain") if isinstance(mark, ColorBar)) < 8


@pytest.mark.parametrize("size", [(600, 400), (480, 640), (899, 600), (1000, 500)])
def test_the_color_bar_the_scale_bar_and_the_sources_do_not_overlap(
    load: Callable[..., SharedData], size: tuple[int, int]
) -> None:
    found = marks(load, *size)
    (bar,) = (mark for mark in found if isinstance(mark, ColorBar))
    numbers = [mark for mark in found if isinstance(mark, Text) and mark.y < bar.box.top and mark.align != "right"]
    sources = [mark for mark in found if isinstance(mark, Text) and mark.align == "right" and mark.max_width]
    assert all(mark.x > bar.box.right for mark in numbers)
    beside = [mark for mark in sources if mark.y < bar.box.top]
    assert all(mark.x - mark.max_width > max(number.x for number in numbers) for mark in beside)


def test_the_kinds_of_the_style_have_thinner_lines_on_coarse_maps(load: Callable[..., SharedData]) -> None:
    shared = load(map={"style": "atlas", "size": (1400, 900), "projection": "raster"}, **LAYERS)
    style = Style.of(shared)
    states = next(each for each in all_layers(shared.config) if getattr(each.settings, "kind", None) == "")
    widths = {
        name: states.settings.widths_on(make_sheet(Region(name, extent), style))  # type: ignore[attr-defined]
        for name, extent in (("state", REGION.extent), ("nation", Extent(-125, -66, 24, 50)))
    }
    assert widths["state"] == (1.1, 1.9)
    assert widths["nation"] == (0.8, pytest.approx(1.38, abs=0.01))
