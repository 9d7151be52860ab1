"""Logo, locator, north arrow and the box of the region: each is right, and none covers another or a label."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from PIL import Image as Pictures

import regionplot
from regionplot.errors import InputError
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.layers.base import Layer
from regionplot.layers.labels import Labels
from regionplot.layers.locator import Locator
from regionplot.layers.logo import Logo
from regionplot.layers.north_arrow import NorthArrow, north_angle
from regionplot.layers.region_box import RegionBox
from regionplot.render.measure import text_measure
from regionplot.render.sheets import Style, make_sheet
from regionplot.shared.data import SharedData
from regionplot.sheet.layout import Box
from regionplot.sheet.marks import Image, Label, Path
from regionplot.sheet.placing import LabelBox, Placer
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View

COLORADO = Region("co", Extent(-109, -102, 37, 41))
MAINE = Region("me", Extent(-71, -67, 43, 47.5))
LAMBERT = {"name": "LambertConformal", "central_longitude": -96}
Marks = list[Any]


@pytest.fixture
def logo(tmp_path: FilePath) -> FilePath:
    pixels = np.zeros((40, 100, 4), np.uint8)
    pixels[:, :50] = (255, 0, 0, 255)
    Pictures.fromarray(pixels).save(tmp_path / "logo.png")
    return tmp_path / "logo.png"


def drawn(shared: SharedData, region: Region) -> tuple[Sheet, dict[type[Layer], Marks]]:
    """Return the sheet of a region, and the marks of each layer, drawn in the order of the labels."""
    style = Style.of(shared)
    sheet = make_sheet(region, style)
    placer = Placer(sheet.view.box, text_measure(sheet.layout.dpi, sheet.layout.page.font))
    shared_sheet = Sheet(**{**vars(sheet), "shared_placer": placer})
    marks: dict[type[Layer], Marks] = {}
    for layer in sorted(style.layers, key=lambda layer: layer.label_order):
        marks.setdefault(type(layer), []).extend(layer.draw(shared_sheet))
    return shared_sheet, marks


def box_of(sheet: Sheet, marks: Marks) -> LabelBox | None:
    """Return the box around marks, in pixels of the sheet."""
    boxes = [_box(sheet, mark) for mark in marks]
    if not boxes:
        return None
    left, bottom, right, top = zip(*boxes, strict=True)
    return LabelBox(min(left), min(bottom), max(right), max(top))


def _box(sheet: Sheet, mark: Any) -> LabelBox:
    if isinstance(mark, Image):
        return LabelBox(mark.box.left, mark.box.bottom, mark.box.right, mark.box.top)
    if isinstance(mark, Label):
        size = sheet.placer.measure(mark.text, mark.points, mark.weight)
        left = mark.x if mark.align == "left" else mark.x - size.width / 2
        baseline = mark.y if mark.vertical_align == "baseline" else mark.y - size.ascent / 2
        return LabelBox.of_text(left, baseline, size)
    panel, box = sheet.view.panel, sheet.view.box
    pixels = (mark.vertices - (panel.extent.xmin, panel.extent.ymin)) / (panel.pixel_width, panel.pixel_height)
    (left, bottom), (right, top) = pixels.min(axis=0), pixels.max(axis=0)
    return LabelBox(left + box.left, bottom + box.bottom, right + box.left, top + box.bottom)


LAYOUTS = [
    ((700, 450, 50), "EPSG:5070", "atlas"),
    ((700, 450, 50), LAMBERT, "plain"),
    ((350, 500, 30), "EPSG:5070", "plain"),
    ((350, 500, 30), LAMBERT, "atlas"),
    ((500, 250, 36), "EPSG:5070", "atlas"),
    ((700, 490, 52), "auto", "atlas"),
    ((180, 120, 50), "EPSG:5070", "atlas"),
    ((150, 400, 20), LAMBERT, "plain"),
]
CORNERS = ["lower right", "lower left", "upper right", "upper left"]


@pytest.mark.parametrize("number", range(len(LAYOUTS)))
def test_furniture_and_labels_never_cover_each_other(make_config: Any, logo: FilePath, number: int) -> None:
    """All furniture asks for the same corner on each second layout, so that it must move."""
    (width, height, dpi), projection, style = LAYOUTS[number]
    corner = CORNERS[number % 4]
    config = make_config(
        raster={"path": "sample:relief"},
        map={"size": [width, height], "dpi": dpi, "style": style, "projection": projection},
        colors={"levels": [0, 1000, 2000]},
        labels=[{"path": "sample:cities", "rank": "rank", "order": "population"}, {"path": "sample:states"}],
        graticule={"position": "inside"},
        logo={"path": str(logo), "position": corner},
        locator={"path": "sample:countries", "position": corner if number % 2 else "lower right"},
        north_arrow={"min_angle": 0, "position": corner if number % 2 else "upper right"},
        region_box={},
    )
    shared = SharedData.load(config)
    for region in (COLORADO, MAINE):
        sheet, marks = drawn(shared, region)
        furniture = [
            box_of(sheet, marks[kind][: 1 if kind is Locator else None]) for kind in (Logo, Locator, NorthArrow)
        ]
        found = [box for box in furniture if box is not None]
        assert len(found) >= (2 if width >= 350 else 0)
        arrow = {id(mark) for mark in marks[NorthArrow]}
        labels = [
            _box(sheet, mark)
            for kind in marks
            for mark in marks[kind]
            if isinstance(mark, Label) and id(mark) not in arrow and not mark.rotation
        ]
        for one, other in itertools.combinations(found, 2):
            assert not one.overlaps(other)
        for box in found:
            assert sheet.placer.is_inside(box)
            assert not [label for label in labels if label.grown(-0.5, -0.5).overlaps(box)]


def test_the_arrow_points_to_the_north(make_config: Any) -> None:
    shared = SharedData.load(
        make_config(raster={"path": "sample:relief"}, map={"projection": "EPSG:5070"}, north_arrow={"halo": "none"})
    )
    for region in (MAINE, Region("wa", Extent(-124.9, -116.8, 45.4, 49.1))):
        sheet, marks = drawn(shared, region)
        arrow, letter = marks[NorthArrow]
        assert isinstance(arrow, Path)
        tail = arrow.vertices[:4].mean(axis=0)
        (x, y), to_lonlat = tail, transformer(sheet.crs, parse_crs("EPSG:4326"))
        west, south = to_lonlat.transform(x, y)
        panel = sheet.view.panel
        tip = arrow.vertices[np.argmax(np.hypot(*(arrow.vertices - tail).T))]
        bearing = math.atan2(*((tip - tail) / (panel.pixel_width, panel.pixel_height)))
        assert bearing == pytest.approx(north_angle(sheet), abs=1e-6)
        center = to_lonlat.transform(*panel.extent.center)
        step = 0.1
        ends = transformer(parse_crs("EPSG:4326"), sheet.crs).transform([center[0]] * 2, [center[1], center[1] + step])
        assert north_angle(sheet) == pytest.approx(math.atan2(np.diff(ends[0])[0], np.diff(ends[1])[0]), abs=1e-3)
        assert letter.text == "N"
        assert abs(west + 95) < 40
        assert south > 30


@pytest.mark.parametrize(("projection", "has_arrow"), [("EPSG:4326", False), ("auto", False), ("EPSG:5070", True)])
def test_maps_with_north_up_have_no_arrow(make_config: Any, projection: str, has_arrow: bool) -> None:
    setting = {"projection": projection, "size": [300, 200], "dpi": 50}
    shared = SharedData.load(make_config(raster={"path": "sample:relief"}, map=setting, north_arrow={}))
    assert bool(drawn(shared, MAINE)[1][NorthArrow]) == has_arrow


def test_a_map_around_a_pole_has_no_arrow(make_config: Any) -> None:
    pole = Region("pole", Extent(-1e6, 1e6, -1e6, 1e6), "EPSG:3995")
    setting = {"projection": "EPSG:3995", "size": [300, 200], "dpi": 50}
    config = make_config(raster={"path": "sample:relief"}, map=setting, north_arrow={"min_angle": 0})
    style = Style.of(SharedData.load(config))
    view = View.of(pole, style.shared.crs, style.layout.panel, "datalim")
    sheet = Sheet(pole, view, style.layout, style.shared.crs, {}, "", np.zeros((0, 0), np.uint8), False)
    assert math.isnan(north_angle(sheet))


def test_the_box_shows_the_limits_of_the_region(make_config: Any) -> None:
    """The limits are curved on the map. They are drawn where they are, not as the rectangle around them."""
    config = make_config(
        raster={"path": "sample:relief"}, map={"projection": "EPSG:5070"}, region_box={"casing": "none"}
    )
    sheet, marks = drawn(SharedData.load(config), MAINE)
    (path,) = marks[RegionBox]
    to_lonlat = transformer(sheet.crs, parse_crs("EPSG:4326"))
    longitudes, latitudes = to_lonlat.transform(*path.vertices.T)
    extent = MAINE.extent
    edges = np.column_stack(
        [longitudes - extent.xmin, longitudes - extent.xmax, latitudes - extent.ymin, latitudes - extent.ymax]
    )
    pixel = sheet.view.panel.pixel_width / 80_000
    assert (abs(edges).min(axis=1) < 2 * pixel).all()
    assert abs(shapely.LineString(path.vertices).length / (2 * (4 * 79_000 + 4.5 * 111_000)) - 1) < 0.05


@pytest.mark.parametrize(
    ("fit", "limits", "is_drawn"),
    [
        ("exact", (-109, -102, 37, 41), False),
        ("datalim", (-109, -102, 37, 41), True),
        ("datalim", (178, 186, 52, 60), True),
        ("exact", (178, 190, 55, 60), False),
    ],
)
def test_the_box_is_left_out_where_the_map_shows_no_more(
    load: Any, write_raster: Any, fit: str, limits: tuple[float, ...], is_drawn: bool
) -> None:
    path = write_raster(np.ones((18, 36), np.float32), Affine(10, 0, -180, 0, -10, 90))
    shared = load(raster={"path": path}, map={"fit": fit, "size": [300, 200]}, region_box={})
    marks = drawn(shared, Region("a", Extent(*limits)))[1][RegionBox]
    assert len(marks) == (2 if is_drawn else 0)


def test_the_locator_shows_where_the_map_lies(make_config: Any) -> None:
    config = make_config(
        raster={"path": "sample:relief"}, map={"projection": "auto"}, locator={"path": "sample:countries"}
    )
    shared = SharedData.load(config)
    sheet, marks = drawn(shared, MAINE)
    frame, land, spot, outline, edge = marks[Locator]
    whole, box = _box(sheet, frame), _box(sheet, spot)
    assert (whole.right - whole.left, whole.top - whole.bottom) == pytest.approx((186, 122), abs=2)
    assert land.facecolor == "#e6e4dc"
    assert spot.facecolor == "#b5412c40"
    middle = ((box.left + box.right) / 2, (box.bottom + box.top) / 2)
    assert middle == pytest.approx(((whole.left + whole.right) / 2, (whole.bottom + whole.top) / 2), abs=8)
    assert (whole.right - whole.left) / (box.right - box.left) == pytest.approx(7, rel=0.4)
    assert (outline.edgecolor, edge.facecolor) == ("#b5412c", "none")


@pytest.mark.parametrize("region", [Region("world", Extent(-170, 0, 10, 75)), MAINE])
def test_large_maps_and_small_sheets_have_no_locator(make_config: Any, region: Region) -> None:
    size = [300, 200] if region is MAINE else [1400, 900]
    config = make_config(raster={"path": "sample:relief"}, map={"size": size}, locator={"path": "sample:countries"})
    assert drawn(SharedData.load(config), region)[1][Locator] == []


def test_the_logo_is_drawn_in_its_own_pixels(make_config: Any, logo: FilePath) -> None:
    colors = {"levels": [-9000, 9000], "colors": ["#00ff00"], "colorbar": False}
    config = make_config(raster={"path": "sample:relief"}, colors=colors, logo={"path": str(logo), "width": 72})
    shared = SharedData.load(config)
    picture = regionplot.MapRenderer(shared).render(COLORADO)
    red = (picture.pixels == (255, 0, 0)).all(axis=2)
    rows, columns = np.nonzero(red)
    assert (np.ptp(columns) + 1, np.ptp(rows) + 1) == pytest.approx((50, 40), abs=2)
    sheet, marks = drawn(shared, COLORADO)
    (image,) = marks[Logo]
    assert image.box == Box(image.box.left, image.box.bottom, 100, 40)
    assert columns.min() == image.box.left
    assert rows.max() == sheet.layout.size[1] - image.box.bottom - 1
    half = make_config(raster={"path": "sample:relief"}, colors=colors, logo={"path": str(logo), "opacity": 0.5})
    assert not (regionplot.MapRenderer(SharedData.load(half)).render(COLORADO).pixels == (255, 0, 0)).all(axis=2).any()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("logo.png", b"<svg><image href='file:///etc/passwd'/></svg>", "as SVG: it names another file"),
        ("logo.png", b"\xff\xd8\xff\xe0 a JPEG", "is not a PNG or SVG file; convert it to PNG"),
        ("logo.png", b"", "is not a PNG or SVG file"),
        ("logo.png", b"\x89PNG\r\n\x1a\n damaged", "cannot be read as PNG"),
    ],
)
def test_other_logos_are_refused(make_config: Any, tmp_path: FilePath, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    config = make_config(raster={"path": "sample:relief"}, logo={"path": str(tmp_path / name)})
    with pytest.raises(InputError, match=message):
        SharedData.load(config)


def test_maps_change_with_the_logo(make_config: Any, logo: FilePath) -> None:
    config = make_config(raster={"path": "sample:relief"}, logo={"path": str(logo)})
    keys = []
    for color in ("red", "blue"):
        Pictures.new("RGBA", (10, 10), color).save(logo)
        keys.append(next(layer.key for layer in SharedData.load(config).layers if isinstance(layer, Logo)))
    assert keys[0] != keys[1]


def test_labels_use_the_corner_that_the_furniture_leaves(make_config: Any) -> None:
    config = make_config(
        raster={"path": "sample:relief"},
        map={"projection": "EPSG:5070"},
        labels=[{"path": "sample:cities", "rank": "rank"}],
        north_arrow={"min_angle": 0},
    )
    assert len([mark for mark in drawn(SharedData.load(config), COLORADO)[1][Labels] if isinstance(mark, Label)]) > 5


def test_a_locator_avoids_important_points(make_config: Any, tmp_path: FilePath) -> None:
    towns = tmp_path / "towns.geojson"
    point = {"type": "Point", "coordinates": [-102.3, 37.2]}
    feature = {"type": "Feature", "geometry": point, "properties": {"name": "Town"}}
    towns.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    config = make_config(
        raster={"path": "sample:relief"},
        map={"style": "atlas", "projection": "EPSG:4326"},
        labels=[{"path": str(towns)}],
        locator={"path": "sample:countries"},
    )
    sheet, marks = drawn(SharedData.load(config), COLORADO)
    box = box_of(sheet, marks[Locator][:1])
    assert box is not None
    assert box.right < sheet.view.box.left + sheet.view.box.width / 2
    assert [mark.text for mark in marks[Labels] if isinstance(mark, Label)] == ["Town"]
