"""The texts around the title, the scale bar and the credits say what is true, and lie where they should."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyproj
import pytest
from affine import Affine
from matplotlib.text import Text as FigureText

from regionplot.errors import ConfigError
from regionplot.geo.extent import Extent
from regionplot.geo.ground import meters_per_pixel
from regionplot.geo.region import Region
from regionplot.layers.base import LoadContext
from regionplot.layers.colorbar import end_of_short_bar
from regionplot.layers.credit import Credit, CreditSettings
from regionplot.layers.graticule import Graticule, GraticuleSettings
from regionplot.layers.quantity import quantity_of
from regionplot.layers.scale_bar import ScaleBar, ScaleBarSettings
from regionplot.layers.shading import Shading, ShadingSettings
from regionplot.layers.stack import lay_out
from regionplot.layers.title import Title, title_of
from regionplot.layers.value_range import ValueRange
from regionplot.render.measure import text_measure
from regionplot.render.renderer import MapRenderer
from regionplot.render.sheets import Style, make_sheet
from regionplot.runs.checks import check_config
from regionplot.settings.config import Config
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData
from regionplot.sheet.key import ColorBarKey, Key, LegendKey
from regionplot.sheet.layout import Layout
from regionplot.sheet.marks import ColorBar, Path, Rectangle, Text
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View

TIME = datetime(2025, 2, 6, 1, tzinfo=UTC)


def config_of(**sections: Any) -> Config:
    own = {"style": "atlas", **sections.pop("map", {})}
    return read_config({"raster": {"path": "sample:relief"}, "map": own, **sections})


def layout_of(config: Config) -> Layout:
    return lay_out(config, ColorBarKey(levels=[0.0, 1.0, 2.0]))


def sheet_of(config: Config, crs: str, extent: Extent, limits: str | None = "EPSG:4326") -> Sheet:
    layout, region, projected = layout_of(config), Region("a", extent, limits, "A title"), pyproj.CRS(crs)
    view = View.of(region, projected, layout.panel, "datalim")
    return Sheet(region, view, layout, projected, {}, "A title", np.zeros((1, 1), np.uint8), False)


def title_texts(config: Config, description: Mapping[str, object]) -> dict[str, Text]:
    title = Title.load(None, LoadContext(config, pyproj.CRS("EPSG:4326"), description))
    sheet = sheet_of(config, "EPSG:4326", Extent(-100, -90, 30, 40))
    marks = [*title.draw(sheet), *title.frame(sheet.layout)]
    return {mark.text: mark for mark in marks}


def test_the_texts_around_the_title_come_from_the_raster() -> None:
    known = {
        "long_name": "Snow depth",
        "time": TIME,
        "reference_time": datetime(2025, 2, 5, 18, tzinfo=UTC),
        "lead": 7.0,
    }
    found = title_texts(config_of(), known)
    assert list(found) == [
        "A title",
        "Snow depth",
        "Valid Thu 6 Feb 2025, 01:00 UTC",
        "Run Wed 5 Feb, 18:00 UTC + 7 h",
    ]
    title, subtitle, valid, lead = found.values()
    assert title.y == valid.y > subtitle.y == lead.y
    assert (title.align, valid.align) == ("left", "right")
    assert title.max_width is not None
    assert title.x + title.max_width < valid.x


def test_a_text_with_an_unknown_field_is_left_out() -> None:
    assert list(title_texts(config_of(), {"long_name": "Snow depth"})) == ["A title", "Snow depth"]
    assert list(title_texts(config_of(), {"long_name": ""})) == ["A title"]


@pytest.mark.parametrize(
    ("long_name", "level", "quantity"),
    [
        ("Temperature, mean of 10 members", "850 hPa", "850 hPa temperature, mean of 10 members"),
        ("Geopotential (at the surface = orography), mean", "50000 Pa", "500 hPa geopotential, mean"),
        ("u-component of wind", "10 m", "10 m u-component of wind"), ("UV index", "850 mb", "850 hPa UV index"),
        ("10 metre U wind component", "10 m", "10 metre U wind component"), ("Temperature", "0 m", "Temperature"),
        ("Temperature", "2-HTGL", "Temperature"), ("Temperature", "3", "Temperature"), ("", "850 hPa", ""),
        ("Significant height of waves", "Ground or water surface", "Significant height of waves"),
        ("Pressure reduced to MSL", "Mean sea level", "Pressure reduced to MSL"),
        ("Pressure", "Mean sea level", "Pressure at mean sea level"),
        ("PM2.5 AND SST RATIO", "", "PM2.5 and SST ratio"),
    ],
)  # fmt: skip
def test_the_quantity_has_the_level_as_forecasters_write_it(long_name: str, level: str, quantity: str) -> None:
    description = {"long_name": long_name, "level": level}
    assert quantity_of(description) == quantity
    config = config_of(map={"title": "{quantity}"})
    texts = title_texts(config, description)
    assert list(texts) == ["A title", *([quantity] if quantity else [])]
    assert (
        title_of(Region("a", Extent(0, 1, 0, 1)), config_of(map={"title": "{quantity}"}).map, description) == quantity
    )


def test_the_contents_name_the_quantities_of_overlays_once() -> None:
    below: Any = [SimpleNamespace(caption=caption) for caption in ("500 hPa geopotential", "", "10 m wind (kt)")]
    context = LoadContext(config_of(), pyproj.CRS("EPSG:4326"), {"long_name": "Snow"}, below=(*below, below[0]))
    assert Title.load(None, context).texts == {"subtitle": "Snow; 500 hPa geopotential; 10 m wind (kt)"}


def test_a_line_of_credit_with_an_unknown_field_is_left_out() -> None:
    settings = CreditSettings(lines=("Data: {source}", "Borders: Census Bureau"))
    for source, lines in (({}, 1), ({"source": ""}, 1), ({"source": "NCEP"}, 2)):
        context = LoadContext(config_of(), pyproj.CRS("EPSG:4326"), source)
        assert Credit.load(settings, context).lines == ("Data: NCEP", "Borders: Census Bureau")[-lines:]


@pytest.mark.parametrize("size", [(300, 200), (600, 400), (1400, 900)])
def test_long_texts_at_the_right_leave_half_of_the_width_to_the_title(size: tuple[int, int]) -> None:
    long = "A text of the user that is much longer than the sheet is wide, with a time and a place"
    config = config_of(map={"size": size, "subtitle": long, "upper_right": long, "lower_right": long * 2})
    layer, layout = Title.load(None, LoadContext(config, pyproj.CRS("EPSG:4326"))), layout_of(config)
    title, (subtitle, upper, lower) = layer.mark("A title", layout), layer.frame(layout)
    for left, right in ((title, upper), (subtitle, lower)):
        assert left.max_width is not None
        assert right.max_width is not None
        assert left.max_width > 0.4 * size[0]
        assert left.x + left.max_width < right.x - right.max_width


def test_times_are_in_the_time_zone_of_the_settings() -> None:
    config = config_of(map={"time_zone": "America/Denver", "title": "{title} at {time:%H %Z}"})
    assert "Valid Wed 5 Feb 2025, 18:00 MST" in title_texts(config, {"time": TIME})
    assert title_of(Region("a", Extent(0, 1, 0, 1)), config.map, {"time": TIME}) == "a at 18 MST"
    credit = Credit.load(
        CreditSettings(lines=("{time:%H:%M %Z}",)), LoadContext(config, pyproj.CRS("EPSG:4326"), {"time": TIME})
    )
    assert credit.lines == ("18:00 MST",)
    with pytest.raises(ConfigError, match=r"\[map\] time_zone: there is no time zone 'Denver'; use a name such as"):
        config_of(map={"time_zone": "Denver"})


def test_the_frame_depends_on_the_texts() -> None:
    config, crs = config_of(), pyproj.CRS("EPSG:4326")
    keys = {Title.load(None, LoadContext(config, crs, {"time": time})).key for time in (TIME, TIME.replace(hour=2))}
    assert len(keys) == 2


@pytest.mark.parametrize("unit", ["km", "mi", "nmi"])
@pytest.mark.parametrize(
    ("crs", "extent"),
    [
        ("EPSG:4326", Extent(-100, -90, 55, 65)),
        ("EPSG:3857", Extent(-100, -90, 55, 65)),
        ("EPSG:5070", Extent(-125, -67, 25, 50)),
        ("EPSG:2263", Extent(-74.1, -73.9, 40.6, 40.8)),  # in US feet
        ("EPSG:3031", Extent(-30, 30, -85, -70)),
    ],
)
def test_the_scale_bar_has_the_length_that_it_states(unit: Any, crs: str, extent: Extent) -> None:
    config = config_of()
    sheet = sheet_of(config, crs, extent)
    layer = ScaleBar.load(ScaleBarSettings(unit=unit), LoadContext(config, sheet.crs))
    bar, half, zero, middle, end, name = layer.draw(sheet)
    assert isinstance(bar, Rectangle)
    assert isinstance(half, Rectangle)
    assert [text.text for text in (zero, middle, end, name) if isinstance(text, Text)][::3] == ["0", unit]
    assert isinstance(end, Text)
    assert isinstance(middle, Text)
    assert float(middle.text) == float(end.text) / 2
    panel = sheet.view.panel
    x, y = panel.extent.center
    reach = bar.box.width / 2 * panel.pixel_width
    to_degrees = pyproj.Transformer.from_crs(sheet.crs, "EPSG:4326", always_xy=True)
    (west, east), (south, north) = to_degrees.transform([x - reach, x + reach], [y, y])
    meters = pyproj.Geod(ellps="WGS84").inv(west, south, east, north)[2]
    stated = float(end.text) * {"km": 1000, "mi": 1609.344, "nmi": 1852}[unit]
    assert meters == pytest.approx(stated, rel=0.02)
    assert abs(half.box.width - bar.box.width / 2) <= 1


def test_a_scale_bar_needs_a_center_on_the_earth() -> None:
    config = config_of()
    sheet = sheet_of(config, "+proj=ortho +lat_0=0 +lon_0=0", Extent(6.5e6, 9e6, -1e6, 1e6), None)
    assert np.isnan(meters_per_pixel(sheet.crs, sheet.view.panel))
    assert list(ScaleBar.load(ScaleBarSettings(), LoadContext(config, sheet.crs)).draw(sheet)) == []


def test_credits_are_at_the_lower_right_from_bottom_to_top() -> None:
    settings = CreditSettings(lines=("Model: {raster}", "Boundaries: Census"))
    config = config_of(credit={"lines": settings.lines})
    layer = Credit.load(settings, LoadContext(config, pyproj.CRS("EPSG:4326"), {"raster": "gfs"}))
    layout = layout_of(config)
    below, above = layer.frame(layout)
    assert [below.text, above.text] == ["Boundaries: Census", "Model: gfs"]
    assert 0 < below.y < above.y < layout.panel.bottom
    assert below.x == above.x == layout.panel.right


@pytest.mark.parametrize("size", [(300, 200), (450, 300), (600, 400), (900, 600), (1400, 900), (600, 1200)])
def test_credits_scale_bar_and_color_bar_do_not_overlap(size: tuple[int, int]) -> None:
    lines = ["A long credit line that does not fit into the space at the right of the scale bar", "short"]
    config = config_of(map={"size": size}, credit={"lines": lines})
    sheet = sheet_of(config, "EPSG:5070", Extent(-120, -75, 27, 48))
    layout, context = sheet.layout, LoadContext(config, sheet.crs)
    end = end_of_short_bar(layout) or 0
    bars = [mark.box for mark in ScaleBar.load(ScaleBarSettings(), context).draw(sheet) if isinstance(mark, Rectangle)]
    assert all(end < box.left and box.right < layout.panel.right for box in bars)
    right, top = max([end, *(box.right for box in bars)]), layout.page.pixels(40)
    credit = Credit.load(CreditSettings(lines=tuple(lines)), context)
    for mark in credit.frame(layout):
        assert mark.max_width is not None
        assert mark.x - mark.max_width > right or mark.y > top
        assert mark.y < layout.panel.bottom


@pytest.mark.parametrize("bar", ["wide", "short"])
@pytest.mark.parametrize("colorbar", [True, False])
def test_labels_outside_the_panel_are_on_the_sheet_and_apart_from_it(bar: str, colorbar: bool) -> None:
    outside: Any = {"position": "outside"}
    config = config_of(
        sheet={"colorbar": bar}, colors={"colorbar": colorbar}, graticule=outside, scale_bar={"show": False}
    )
    sheet = sheet_of(config, "EPSG:5070", Extent(-120, -75, 27, 48))
    settings = GraticuleSettings(**outside, font_size=8.5)
    layer = Graticule.load(settings, LoadContext(config, sheet.crs))
    lines, *marks = layer.draw(sheet)
    assert isinstance(lines, Path)
    box = sheet.view.box
    labels = [mark for mark in marks if isinstance(mark, Text)]
    below, beside = [m for m in labels if m.is_upright], [m for m in labels if not m.is_upright]
    assert len(below) >= 3
    assert len(beside) >= 2
    assert all(0 <= mark.y < box.bottom and box.left < mark.x < box.right for mark in below)
    assert all(0 < mark.x < box.left and box.bottom < mark.y < box.top for mark in beside)
    assert all("W" in mark.text for mark in below)
    assert all("N" in mark.text for mark in beside)


@pytest.mark.parametrize(
    ("key", "name"), [(LegendKey(("water", "land")), "legend"), (ColorBarKey([0.0, 1.0]), "colorbar")]
)
@pytest.mark.parametrize("zorder", [10, 69])
def test_labels_outside_have_room_between_the_panel_and_the_key(key: Key, name: str, zorder: int) -> None:
    layout = lay_out(config_of(sheet={"colorbar": "wide"}, graticule={"zorder": zorder}), key)
    labels, below = layout.rooms["graticule"], layout.rooms[name]
    assert layout.panel.bottom == labels.top
    assert labels.bottom == below.top


def test_labels_outside_have_room_above_a_legend_in_the_place_of_a_short_bar() -> None:
    layout = lay_out(config_of(), LegendKey(("water", "land")))
    assert layout.panel.bottom == layout.rooms["graticule"].top


def test_classes_and_true_colors_are_not_shaded() -> None:
    """Their sheets have no cells."""
    sheet = sheet_of(config_of(), "EPSG:32612", Extent(400_000, 500_000, 4e6, 4.1e6), None)
    values = np.zeros((sheet.view.panel.height, sheet.view.panel.width), np.float32)
    shading = Shading.load(ShadingSettings(), LoadContext(config_of(), sheet.crs, {}))
    assert list(shading.draw(replace(sheet, values=values, cells=None))) == []


@pytest.mark.parametrize(
    ("sections", "message"),
    [
        (
            {"sheet": {"font": "No Such Font"}},
            r"\[sheet\] font: there is no font 'No Such Font'; use DejaVu Sans",
        ),
        ({"credit": {"lines": ["{nope}"]}}, r"\[credit\] lines: .*nope"),
        ({"map": {"subtitle": "{nope}"}}, r"\[map\] subtitle: .*nope"),
    ],
)
def test_unknown_fonts_and_fields_are_reported(sections: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_config(config_of(**sections), [Region("a", Extent(-100, -90, 30, 40))])


def test_an_installed_font_is_accepted() -> None:
    check_config(config_of(sheet={"font": "DejaVu Serif"}), [])


def test_lines_of_credit_have_the_same_size() -> None:
    lines = ["A long line of credit that must be made smaller", "b"]
    config = config_of(map={"size": [600, 400], "projection": "EPSG:4326"}, credit={"lines": lines})
    shared = SharedData.load(config)
    figure = MapRenderer(shared).figure(Region("a", Extent(-109, -102, 37, 41), title="A"))
    texts = {text.get_text(): text.get_fontsize() for text in figure.findobj(FigureText)}
    assert texts["b"] == texts["A long line of credit that must be made smaller"] < 8


def test_the_unit_of_a_scale_bar_keeps_apart_from_its_number_in_each_font() -> None:
    for font in ("Source Sans 3", "DejaVu Sans"):
        config = config_of(sheet={"font": font})
        sheet = sheet_of(config, "EPSG:5070", Extent(-90, -80, 30, 36))
        marks = ScaleBar.load(ScaleBarSettings(), LoadContext(config, sheet.crs)).draw(sheet)
        texts = {mark.text: mark for mark in marks if isinstance(mark, Text)}
        number = max((text for text in texts if text.isdigit()), key=int)
        width = text_measure(sheet.layout.dpi, font)(number, texts[number].points, "normal").width
        assert texts["km"].x > texts[number].x + width / 2 + 2


def test_the_name_of_the_source_is_the_default_credit() -> None:
    (settings,) = config_of().layers["credit"]
    for description, lines in (({"source": "NCEP"}, ("Data: NCEP",)), ({}, ())):
        assert Credit.load(settings, LoadContext(config_of(), pyproj.CRS("EPSG:4326"), description)).lines == lines


def test_the_range_of_the_values_on_each_map_stands_above_the_color_bar(load, write_raster) -> None:
    values = np.tile(np.linspace(-40, 60, 50, dtype=np.float32), (30, 1))
    path = write_raster(values, Affine(1, 0, -120, 0, -1, 50))
    shared = load(
        raster={"path": path},
        map={"style": "atlas"},
        colors={"levels": [-40, 0, 40], "label": "A long name of a quantity with many words (units)"},
        value_range={"format": "{:.1f}"},
    )
    style = Style.of(shared)
    (layer,) = (layer for layer in style.layers if isinstance(layer, ValueRange))
    sheets = [make_sheet(Region("a", Extent(west, west + 10, 30, 40)), style) for west in (-115, -95)]
    west, east = (next(iter(layer.draw(sheet))) for sheet in sheets)
    assert (west.text, east.text) == ("this map −40.0 to −1.2", "this map 0.8 to 39.6")
    (bar,) = (mark for each in style.layers for mark in each.frame(style.layout) if isinstance(mark, ColorBar))
    width = text_measure(style.layout.dpi, style.layout.page.font)(west.text, west.points, "normal").width
    assert west.x - width > bar.box.left + bar.max_width
    assert west.x == bar.box.right
    assert MapRenderer(shared).render(Region("a", Extent(-115, -105, 30, 40))).pixels.shape[:2] == (900, 1400)
