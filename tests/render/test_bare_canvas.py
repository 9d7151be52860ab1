"""matplotlib's compiled modules alone draw the same pixels as matplotlib. Otherwise, matplotlib draws."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.backends._backend_agg
import numpy as np
import pytest
from matplotlib import ft2font

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.layers.title import Title
from regionplot.render import bare_canvas, compiled, renderer
from regionplot.render.agg import Canvas
from regionplot.render.bare_canvas import BareCanvas, draws_usual_marks, is_usual
from regionplot.render.compiled import CompiledModules, compiled_modules
from regionplot.render.renderer import MapRenderer
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData
from regionplot.sheet.marks import Text
from regionplot.sheet.sheet import Sheet

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
FONT = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
MODULES = CompiledModules(matplotlib.backends._backend_agg, ft2font, FONT.read_bytes())
REGIONS = [
    Region("west", Extent(-124, -114, 32, 42), title="Fjords & {braces} $x^2$ %s \\ #1"),
    Region("east", Extent(-80.37, -71.1, 38.2, 45.93), title="AVATAR To. fi ffl VA 0123456789"),
    Region("small", Extent(-95.5, -94, 29, 30), title="~!@^&*()_+|`-=[];',./<>?"),
    Region("sea", Extent(-160, -150, 18, 23), title=" a  b "),
]
LAYERS = [
    {"path": "sample:states", "linewidth": 1.7, "edgecolor": "#000000c0"},
    {"path": "sample:states", "linewidth": 0.2, "edgecolor": "black"},
    {"path": "sample:countries", "facecolor": "#00000030", "edgecolor": "none"},
]


def shared_data(**sections: Any) -> SharedData:
    tables: dict[str, Any] = {"raster": {"path": "sample:relief"}, "colors": {"levels": [-5000, 0, 1000, 5000]}}
    return SharedData.load(read_config({**tables, "run": {"cache": False}, **sections}))


@pytest.mark.parametrize(
    "place",
    [
        {"size": [701, 457], "projection": "raster"},
        {"size": [400, 300], "dpi": 37, "projection": "EPSG:5070", "fit": "exact"},
        {"size": [701, 457], "projection": "EPSG:5070", "style": "atlas"},
    ],
)
@pytest.mark.parametrize("colors", [{"levels": [-5000, 0, 1000, 5000]}, {}, {"diverging": 0}])
def test_maps_have_the_same_pixels(
    place: dict[str, Any], colors: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = MapRenderer(shared_data(map=place, features=LAYERS, colors=colors), len(REGIONS))
    assert usual.render(REGIONS[0]).palette is None or "levels" in colors or place.get("style") == "atlas"
    expected = [usual.render(region).pixels for region in REGIONS]
    monkeypatch.setattr(renderer, "compiled_modules", lambda: MODULES)
    monkeypatch.setattr(Canvas, "draw_in_panel", lambda *_: pytest.fail("matplotlib draws"))
    monkeypatch.setattr(Canvas, "draw_on_sheet", lambda *_: pytest.fail("matplotlib draws"))
    bare = MapRenderer(usual.style.shared, len(REGIONS))
    bare.__dict__["_frame"] = usual._frame  # matplotlib draws the frame
    bare.prepare(REGIONS)
    for region, pixels in zip(REGIONS, expected, strict=True):
        assert np.array_equal(bare.render(region).pixels, pixels), region.name


@pytest.mark.parametrize("title", ["Größe", "\u0e17", "a" * 99])
def test_matplotlib_draws_maps_whose_titles_must_be_measured_or_need_other_fonts(
    title: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = shared_data(map={"size": [300, 200], "projection": "raster"})
    region = Region("a", Extent(-124, -114, 32, 42), title=title)
    expected = MapRenderer(shared).render(region).pixels
    monkeypatch.setattr(renderer, "compiled_modules", lambda: MODULES)
    assert np.array_equal(MapRenderer(shared).render(region).pixels, expected)


@pytest.mark.parametrize(
    ("mark", "expected"),
    [
        (Text(0, 0, "abc", 10, is_hinted=False, max_width=60), True),
        (Text(0, 0, "abc", 10, is_hinted=False, max_width=41), False),
        (Text(0, 0, "abc", 10, max_width=60), False),
        (Text(0, 0, "äbc", 10, is_hinted=False), False),
        (Text(0, 0, "a\x07c", 10, is_hinted=False), False),
    ],
)
def test_texts_that_need_no_measuring_are_usual(mark: Text, expected: bool) -> None:
    assert is_usual(mark, 100) is expected


TITLES = [
    Text(x, y, words, points, color, align=align, is_hinted=False, is_upright=is_upright)
    for x, y, words, points, color, align, is_upright in (
        (3, 40, "Snowfall in Ohio", 12, "#222222", "left", True),
        (30, 40, "Snowfall in Iowa", 12, "#222222", "left", True),
        (-4, 20, "Snow, fall & ill", 12, "#222222", "left", True),
        (3.3, 40.6, "Snowfall", 12, "black", "center", True),
        (150, 60, "Snowfall", 9.5, "#808080", "right", True),
        (20, 150, "Snowfall", 12, "black", "left", False),
        (60, 140, "Snowfall", 12, "black", "center", False),
    )
]


def test_kept_letters_have_the_same_pixels() -> None:
    layout = MapRenderer(shared_data(map={"size": [300, 200]})).style.layout
    bare, usual = BareCanvas(layout, MODULES), Canvas(layout)
    for _ in range(2):  # all letters are kept for the second time
        for title in TITLES:
            for canvas in (bare, usual):
                canvas.buffer.fill(255)
                with canvas.style():
                    canvas.draw_on_sheet(title)
            assert (bare.buffer != 255).any()
            np.testing.assert_array_equal(bare.buffer, usual.buffer)


def test_letters_that_are_moved_by_whole_pixels_are_drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    canvas = BareCanvas(MapRenderer(shared_data(map={"size": [300, 200]})).style.layout, MODULES)
    canvas.draw_on_sheet(TITLES[0])
    letters = dict(canvas._letters)
    canvas.draw_on_sheet(replace(TITLES[0], x=TITLES[0].x + 5, y=TITLES[0].y - 7))
    assert canvas._letters == letters
    monkeypatch.setattr(bare_canvas, "_MAX_LETTERS", 4)
    canvas.draw_on_sheet(TITLES[4])
    assert 0 < len(canvas._letters) <= 4


@pytest.mark.parametrize(("layers", "expected"), [({}, True), ({"graticule": {}}, False)])
def test_labels_need_matplotlib(layers: dict[str, Any], expected: bool) -> None:
    assert draws_usual_marks(shared_data(**layers).layers) is expected


class OwnTitle(Title):
    """A title of another package, which draws other marks."""

    def draw(self, _: Sheet) -> Iterator[Text]:
        yield Text(0, 0, "\N{SNOWMAN}", 10)


def test_a_layer_of_another_package_needs_matplotlib() -> None:
    assert draws_usual_marks([Title("key")])
    assert not draws_usual_marks([OwnTitle("key")])


def test_symbols_need_matplotlib(tmp_path: Path) -> None:
    points = tmp_path / "points.geojson"
    points.write_text('{"type": "Point", "coordinates": [-120, 40]}')
    assert not draws_usual_marks(shared_data(features=[{"path": str(points)}]).layers)


def test_matplotlib_can_be_imported_after_its_compiled_modules() -> None:
    code = """
import sys
from regionplot.render.compiled import compiled_modules
modules = compiled_modules()
assert modules is not None and "matplotlib" not in sys.modules
import matplotlib.ft2font
from matplotlib.backends import backend_agg
assert matplotlib.ft2font is modules.freetype
assert backend_agg._RendererAgg is modules.agg.RendererAgg
assert compiled_modules() is None, "matplotlib draws, because it is imported"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_other_versions_of_matplotlib_draw_in_the_documented_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "matplotlib")
    monkeypatch.setattr(compiled, "library_version", lambda _: "3.999.0")
    assert compiled_modules() is None
