"""Lines of longitude and latitude lie where they should, and their labels can be read."""

from __future__ import annotations

from itertools import combinations, pairwise
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from matplotlib.backends.backend_agg import FigureCanvasAgg

import regionplot
from regionplot.errors import ConfigError, RegionError
from regionplot.geo.auto_projection import auto_projection
from regionplot.geo.cartopy import parse_projection
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.graticule import grid_lines
from regionplot.geo.region import Region
from regionplot.layers.base import LoadContext
from regionplot.layers.graticule import Graticule, GraticuleSettings
from regionplot.layers.stack import lay_out
from regionplot.render.artists import panel_artists
from regionplot.render.drawn_marks import DrawnMarks
from regionplot.render.frame import new_figure
from regionplot.render.measure import text_measure
from regionplot.render.sheets import make_sheet
from regionplot.settings.loading import read_config
from regionplot.sheet.key import ColorBarKey
from regionplot.sheet.marks import Label, Path, Text
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View

LONLAT = parse_crs("EPSG:4326")
CONFIG = read_config({"raster": {"path": "sample:relief"}, "map": {"size": [700, 450]}})
LAYOUT = lay_out(CONFIG, ColorBarKey())
LARGE = lay_out(read_config({"raster": {"path": "sample:relief"}, "sheet": {"margin": 17}}), ColorBarKey())
PROJECTIONS: dict[str, tuple[Any, Extent]] = {
    "degrees": ("EPSG:4326", Extent(-125, -67, 25, 50)),
    "degrees across the antimeridian": ("EPSG:4326", Extent(150, 220, -10, 60)),
    "degrees from another meridian": ({"name": "PlateCarree", "central_longitude": 180}, Extent(120, 240, -20, 60)),
    "Albers": ("EPSG:5070", Extent(-125, -67, 25, 50)),
    "Mercator": ("EPSG:3857", Extent(-170, -30, -20, 75)),
    "pole": ({"name": "NorthPolarStereo"}, Extent(-180, 180, 55, 90)),
    "globe": ({"name": "Orthographic", "central_longitude": -100}, Extent(-160, -40, -40, 40)),
    "world": ({"name": "Mollweide"}, Extent(-179, 179, -85, 85)),
    "rotated pole": ({"name": "RotatedPole", "pole_longitude": -170, "pole_latitude": 40}, Extent(-30, 50, 30, 70)),
    "small": ("EPSG:4326", Extent(-80.1, -80.0, 35.0, 35.05)),
}


def sheet_of(projection: Any, extent: Extent) -> Sheet:
    crs = parse_projection(projection)
    assert crs is not None
    region = Region("a", extent)
    view = View.of(region, crs, LAYOUT.panel, "datalim")
    return Sheet(region, view, LAYOUT, crs, {}, "", np.zeros((view.panel.height, view.panel.width), np.uint8), False)


def marks_of(sheet: Sheet, **settings: Any) -> tuple[Path, list[Label]]:
    layer = Graticule.load(GraticuleSettings(**settings), LoadContext(CONFIG, sheet.crs))
    lines, *labels = layer.draw(sheet)
    assert isinstance(lines, Path)
    return lines, [label for label in labels if isinstance(label, Label)]


def off_by(sheet: Sheet, vertices: np.ndarray, step: float) -> np.ndarray:
    """Return the distance of each vertex from the nearest line, in pixels."""
    panel = sheet.view.panel
    x, y = vertices.T
    to_lonlat, to_map = transformer(sheet.crs, LONLAT), transformer(LONLAT, sheet.crs)
    longitude, latitude = to_lonlat.transform(x, y)
    distances = []
    for nearest in ((np.round(longitude / step) * step, latitude), (longitude, np.round(latitude / step) * step)):
        px, py = to_map.transform(*nearest)
        period = 360.0 if sheet.crs.is_geographic else np.inf
        dx = abs(px - x) if np.isinf(period) else abs((px - x + period / 2) % period - period / 2)
        distances.append(np.hypot(dx / panel.pixel_width, (py - y) / panel.pixel_height))
    return np.nanmin(distances, axis=0)


@pytest.mark.parametrize(("projection", "extent"), PROJECTIONS.values(), ids=PROJECTIONS)
def test_every_vertex_lies_on_a_line(projection: Any, extent: Extent) -> None:
    sheet = sheet_of(projection, extent)
    step = 0.02 if extent.width < 1 else 10.0
    lines, _ = marks_of(sheet, spacing=step)
    assert len(lines.vertices) > 10
    # simplified lines and lines cut at the edge of the panel can be off by a fraction of a pixel
    distances = off_by(sheet, lines.vertices, step)
    on_map = np.isfinite(distances)  # at the edge of the world, PROJ does not always find the way back
    assert on_map.mean() > 0.9
    assert distances[on_map].max() < 0.6


@pytest.mark.parametrize(("projection", "extent"), PROJECTIONS.values(), ids=PROJECTIONS)
def test_every_line_in_the_panel_is_drawn(projection: Any, extent: Extent) -> None:
    """Follow the rows of the panel. A line crosses where longitude or latitude passes a multiple of the spacing."""
    sheet = sheet_of(projection, extent)
    panel, step = sheet.view.panel, 0.02 if extent.width < 1 else 10.0
    columns, rows = np.meshgrid(np.arange(0.5, panel.width, 7), np.arange(0.5, panel.height, 7))
    x = panel.extent.xmin + columns * panel.pixel_width
    y = panel.extent.ymax - rows * panel.pixel_height
    longitude, latitude = transformer(sheet.crs, LONLAT).transform(x, y)
    if sheet.crs == LONLAT:
        latitude = np.where(abs(latitude) <= 90, latitude, np.inf)
    else:  # beyond the edge of the world, PROJ repeats it
        again = transformer(LONLAT, sheet.crs).transform(longitude, latitude)
        latitude = np.where(abs(again[0] - x) + abs(again[1] - y) < panel.pixel_width, latitude, np.inf)
    with np.errstate(invalid="ignore"):
        cells = np.floor(longitude / step), np.floor(latitude / step)
        crossings = [
            (columns[:, :-1], rows[:, :-1], (cell[:, 1:] - cell[:, :-1] == 1) & np.isfinite(latitude[:, 1:]))
            for cell in cells
        ]
    lines, _ = marks_of(sheet, spacing=step)
    canvas = FigureCanvasAgg(new_figure(LAYOUT))
    axes = canvas.figure.add_axes(sheet.view.box.fractions(LAYOUT.size))
    axes.set_axis_off()
    axes.set_xlim(panel.extent.xmin, panel.extent.xmax)
    axes.set_ylim(panel.extent.ymin, panel.extent.ymax)
    for artist in panel_artists(lines, axes):
        axes.add_artist(artist)
    canvas.draw()
    box, height = sheet.view.box, LAYOUT.size[1]
    drawn = np.asarray(canvas.buffer_rgba())[height - box.top : height - box.bottom, box.left : box.right, 0] < 250
    found = total = 0
    for column, row, crossing in crossings:
        for px, py in zip(column[crossing].astype(int), row[crossing].astype(int), strict=True):
            total += 1
            found += bool(drawn[max(py - 1, 0) : py + 2, px : px + 9].any())
    assert total > 10
    assert found / total > 0.98


@pytest.mark.parametrize(("projection", "extent"), PROJECTIONS.values(), ids=PROJECTIONS)
def test_labels_lie_in_the_panel_and_do_not_overlap(projection: Any, extent: Extent) -> None:
    sheet = sheet_of(projection, extent)
    _, labels = marks_of(sheet)
    assert len(labels) >= 4
    canvas = FigureCanvasAgg(new_figure(LAYOUT))
    axes = canvas.figure.add_axes([0, 0, 1, 1])
    boxes = []
    for label in labels:
        (artist,) = panel_artists(label, axes)
        artist.set_figure(canvas.figure)
        boxes.append(artist.get_window_extent(canvas.get_renderer()))
    box, line = sheet.view.box, LAYOUT.page.neatline_pixels
    assert all(box.left + line < each.x0 and each.x1 < box.right - line for each in boxes)
    assert all(box.bottom + line < each.y0 and each.y1 < box.top - line for each in boxes)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_labels_name_longitudes_and_latitudes_on_both_sides_of_the_antimeridian() -> None:
    _, labels = marks_of(sheet_of("EPSG:4326", Extent(150, 220, -10, 60)), spacing=10)
    texts = [label.text for label in labels]
    assert {"170°E", "180°", "170°W", "0°", "10°N"} <= set(texts)
    assert not {"190°E", "180°E", "190°"} & set(texts)
    longitudes = [
        text for _, text in sorted((label.x, label.text) for label in labels) if text[-1] in "EW" or text == "180°"
    ]
    middle = longitudes.index("180°")
    assert longitudes[middle - 2 : middle + 3] == ["160°E", "170°E", "180°", "170°W", "160°W"]


@pytest.mark.parametrize(
    ("extent", "spacing", "expected"),
    [
        (Extent(-80.1, -80.0, 35.0, 35.05), 0.02, {"80.06°W", "35.02°N"}),
        (Extent(-3, 3, -2, 2), 1, {"0°", "1°E", "1°W", "1°N", "1°S"}),
        (Extent(8, 14, 45, 49), 2.5, {"10°E", "12.5°E", "47.5°N"}),
    ],
)
def test_labels_have_as_many_decimals_as_they_need(extent: Extent, spacing: float, expected: set[str]) -> None:
    _, labels = marks_of(sheet_of("EPSG:4326", extent), spacing=spacing)
    assert expected <= {label.text for label in labels}


def test_the_label_of_a_meridian_lies_on_its_line() -> None:
    sheet = sheet_of("EPSG:4326", Extent(-125, -67, 25, 50))
    box, panel = sheet.view.box, sheet.view.panel
    _, labels = marks_of(sheet, spacing=10)
    (label,) = (label for label in labels if label.text == "100°W")
    assert label.x == pytest.approx(box.left + (-100 - panel.extent.xmin) / panel.pixel_width, abs=1)
    assert box.bottom < label.y < box.bottom + 30


@pytest.mark.parametrize(("projection", "extent"), PROJECTIONS.values(), ids=PROJECTIONS)
def test_the_automatic_spacing_gives_some_lines(projection: Any, extent: Extent) -> None:
    lines, _ = marks_of(sheet_of(projection, extent), labels=False)
    assert 4 <= (lines.codes == 1).sum() <= 60


def test_too_many_lines_are_rejected() -> None:
    with pytest.raises(RegionError, match=r"\[graticule\] spacing: 0.001 degrees are \d+ lines .* larger"):
        marks_of(sheet_of("EPSG:4326", Extent(-125, -67, 25, 50)), spacing=0.001)


@pytest.mark.parametrize("settings", [{"linewidth": 0}, {"color": "none"}])
def test_lines_without_width_or_color_are_not_drawn(settings: dict[str, Any]) -> None:
    layer = Graticule.load(GraticuleSettings(labels=False, **settings), LoadContext(CONFIG, LONLAT))
    assert list(layer.draw(sheet_of("EPSG:4326", Extent(-125, -67, 25, 50)))) == []


def test_lines_on_the_background_can_have_another_color() -> None:
    settings = GraticuleSettings(labels=False, color="white", light_color="navy")
    for under, color in (("lowest", "white"), ("none", "navy")):
        config = read_config({"raster": {"path": "sample:relief"}, "colors": {"levels": [0, 9], "under": under}})
        assert Graticule.load(settings, LoadContext(config, LONLAT)).inks() == {color}


def test_only_labels_with_a_halo_have_a_second_color() -> None:
    def inks(**settings: Any) -> frozenset[str] | None:
        return Graticule.load(GraticuleSettings(color="navy", **settings), LoadContext(CONFIG, LONLAT)).inks()

    assert inks() == {"navy", "white"}
    assert inks(labels=False) == inks(halo="none") == {"navy"}


@pytest.mark.parametrize(
    "change",
    [{"spacing": 5}, {"color": "red"}, {"linewidth": 1}, {"labels": False}, {"font_size": 9}, {"halo": "none"}],
)
def test_the_digest_changes_with_every_setting(change: dict[str, Any]) -> None:
    keys = {Graticule.load(GraticuleSettings(**each), LoadContext(CONFIG, LONLAT)).key for each in ({}, change)}
    assert len(keys) == 2


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"spacing": 0}, r"\[graticule\] spacing"),
        ({"spacing": "wide"}, r"\[graticule\] spacing"),
        ({"spacings": 1}, r"\[graticule\] spacings: unknown key; did you mean 'spacing'"),
    ],
)
def test_wrong_settings_are_reported_with_their_place(table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_config({"raster": {"path": "sample:relief"}, "graticule": table})


def test_a_map_has_a_graticule_only_if_there_is_a_table() -> None:
    region = Region("nc", Extent(-84.5, -75.3, 33.8, 36.7))
    settings = {"raster": {"path": "sample:relief"}, "map": {"size": [320, 220]}, "output": {"png": "rgb"}}
    pixels = []
    for tables in ({}, {"graticule": {}}, {"graticule": {"labels": False}}):
        with regionplot.open_maps({**settings, **tables}) as maps:
            pixels.append(maps.render(region).pixels.astype(int))
    plain, labeled, lines = pixels
    changed = (plain != lines).any(axis=2)
    assert 300 < changed.sum() < 0.2 * changed.size
    assert (labeled == 255).all(axis=2).sum() > (lines == 255).all(axis=2).sum(), "labels have a white halo"


def test_the_lines_do_not_depend_on_the_crs_object() -> None:
    extent = Extent(-125, -67, 25, 50)
    one, other = sheet_of("EPSG:5070", extent), sheet_of(pyproj.CRS.from_epsg(5070).to_wkt(), extent)
    np.testing.assert_allclose(marks_of(one)[0].vertices, marks_of(other)[0].vertices)


@pytest.mark.parametrize("extent", [Extent(-180, 180, -90, 90), Extent(0, 360, -80, 80), Extent(-30, 60, -90, -50)])
def test_meridians_are_labeled_below_a_panel_that_shows_more_than_the_earth(extent: Extent) -> None:
    sheet = sheet_of("EPSG:4326", extent)
    settings = GraticuleSettings(position="outside", spacing=30)
    marks = Graticule.load(settings, LoadContext(CONFIG, sheet.crs)).draw(sheet)
    below = {mark.text: mark.x for mark in marks if isinstance(mark, Text) and mark.is_upright}
    panel = sheet.view.panel
    assert len(below) >= 2
    for text, x in below.items():
        number = float(text.rstrip("°EW")) * (-1 if text.endswith("W") else 1)
        longitude = panel.extent.xmin + (x - sheet.view.box.left) * panel.pixel_width
        assert (longitude - number + 180) % 360 - 180 == pytest.approx(0, abs=2 * panel.pixel_width)


def test_labels_keep_their_place_in_vector_formats() -> None:
    region = Region("us", Extent(-125, -67, 25, 50))
    settings = {"raster": {"path": "sample:relief"}, "map": {"size": [700, 450]}, "graticule": {}}
    with regionplot.open_maps(settings) as maps:
        figure = maps.render_vectors(region).save.figure
        sheet = make_sheet(region, maps.style)
        labels = [mark for mark in DrawnMarks.of(maps.style.layers, sheet).in_panel if isinstance(mark, Label)]
    figure.set_dpi(72)  # as when it is saved as PDF or SVG
    texts = {text.get_text(): text for text in figure.axes[0].texts}
    for label in labels:
        box = texts[label.text].get_window_extent(FigureCanvasAgg(figure).get_renderer())
        assert (box.x0 + box.x1) / 2 == pytest.approx(0.72 * label.x, abs=1.5)
        assert (box.y0 + box.y1) / 2 == pytest.approx(0.72 * label.y, abs=1.5)


@pytest.mark.parametrize(("crs", "count"), [("EPSG:3031", 12), ("ESRI:54030", 13)])
def test_the_meridian_at_180_is_drawn_twice_only_if_it_lies_at_two_places(crs: str, count: int) -> None:
    """It is one line around a pole, and both edges of a map of the world."""
    extent = Extent(-5e6, 5e6, -4e6, 4e6) if crs == "EPSG:3031" else Extent(-17.1e6, 17.1e6, -8.7e6, 8.7e6)
    lines = grid_lines(PanelGrid(extent, 1000, 800), parse_crs(crs), 30.0)
    meridians = [line.text for line in lines if line.edges.startswith("b") and line.parts.size]
    assert len(meridians) == count


def test_most_meridians_of_a_polar_map_end_near_the_pole() -> None:
    extent = Extent(-5e6, 5e6, -4e6, 4e6)
    lines = [
        line
        for line in grid_lines(PanelGrid(extent, 1000, 800), parse_crs("EPSG:3995"), None, 40.0)
        if line.edges.startswith("b")
    ]
    ends = [float(shapely.distance(line.parts, shapely.Point(0, 0)).min()) / 1e4 for line in lines]
    assert {line.text for line, end in zip(lines, ends, strict=True) if end < 1} >= {"0°", "30°E", "180°", "90°W"}
    assert sum(end < 1 for end in ends) == 12
    assert len(ends) > 20
    step = np.radians(360 / len(ends))
    assert all(6 < end * step < 20 for end in ends if end >= 1)


@pytest.mark.parametrize("extent", [Extent(-40, 40, 86, 90), Extent(170, 190, -89, -80), Extent(10, 12, 88, 89.9)])
@pytest.mark.parametrize("projection", ["auto", {"name": "NorthPolarStereo"}])
def test_labels_outside_a_polar_map_do_not_overlap(extent: Extent, projection: Any) -> None:
    outside: Any = {"position": "outside"}
    crs = auto_projection(extent) if projection == "auto" else parse_projection(projection)
    assert crs is not None
    if projection != "auto" and extent.ymax < 0:
        return
    region = Region("a", extent)
    view = View.of(region, crs, LARGE.panel, "datalim")
    sheet = Sheet(region, view, LARGE, crs, {}, "", np.zeros((0, 0), np.uint8), False)
    settings = GraticuleSettings(**outside, distance=50)
    marks = [mark for mark in Graticule.load(settings, LoadContext(CONFIG, crs)).draw(sheet) if isinstance(mark, Text)]
    assert len([mark for mark in marks if mark.is_upright]) >= 2
    measure = text_measure(LARGE.dpi, LARGE.page.font)
    for upright in (True, False):
        spans = sorted(
            (mark.x if upright else mark.y, measure(mark.text, mark.points, "normal").width)
            for mark in marks
            if mark.is_upright is upright
        )
        assert all(b - a >= (width + other) / 2 for (a, width), (b, other) in pairwise(spans))


def test_the_preferred_distance_is_that_at_the_center() -> None:
    """The corners of a conic map of the United States reach far to the north, and the middle of the map does not."""
    conic = "+proj=lcc +lat_0=39 +lon_0=-96 +lat_1=33 +lat_2=45"
    for projection, extent, step in (
        (conic, Extent(-125, -66.5, 24.25, 49.75), 5),
        ("EPSG:4326", Extent(-180, 180, -80, 80), 30),
    ):
        sheet = sheet_of(projection, extent)
        lines, _ = marks_of(sheet, distance=80, labels=False)
        assert lines.vertices.tolist() == marks_of(sheet, spacing=step, labels=False)[0].vertices.tolist()
