"""Labels do not overlap, are not cut, and are the same on neighboring maps."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine

from regionplot.errors import ConfigError, FeaturesError
from regionplot.geo.crs import parse_crs
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.inputs.feature_table import FeatureTable
from regionplot.layers.base import LoadContext
from regionplot.layers.label_points import LabelFeatures
from regionplot.layers.labels import Labels, LabelSettings
from regionplot.layers.stack import lay_out
from regionplot.render.drawn_marks import DrawnMarks
from regionplot.render.figure import plot_region
from regionplot.render.measure import text_measure
from regionplot.render.renderer import MapRenderer
from regionplot.render.sheets import Style, make_sheet
from regionplot.render.style import plain_style
from regionplot.render.text import HaloText
from regionplot.render.vector import SaveSheet
from regionplot.settings.loading import read_config
from regionplot.sheet.key import ColorBarKey
from regionplot.sheet.marks import Label, Markers
from regionplot.sheet.placing import LabelBox, Placer
from regionplot.sheet.sheet import Sheet
from regionplot.sheet.view import View

pytestmark = pytest.mark.usefixtures("read_in_process", "draw_in_process")
ALBERS = parse_crs("EPSG:5070")
LETTERS = "aeiou mnrst AMWglpqy ÄÉß"


def words(count: int, seed: int) -> list[str]:
    draws = np.random.default_rng(seed).integers(0, len(LETTERS), (count, 14))
    return ["".join(LETTERS[i] for i in row[: 3 + row[0] % 11]).strip() or "x" for row in draws]


def features(points: np.ndarray, areas: Sequence[Any] = (), seed: int = 1) -> LabelFeatures:
    """Return features with random names and ranks."""
    names = [words(60, seed)[number % 60] for number in range(len(points) + len(areas))]
    ranks = np.random.default_rng(seed).integers(0, 9, len(names))
    rows = tuple((name, str(rank), str(1000 - n)) for n, (name, rank) in enumerate(zip(names, ranks, strict=True)))
    geometries = np.array([*shapely.points(points), *(shapely.MultiPolygon([area]) for area in areas)], dtype=object)
    table = FeatureTable(("NAME", "rank", "size"), rows, geometries, "")
    return LabelFeatures.of(table, LabelSettings.model_construct(name="name", rank="Rank", order="SIZE"), ALBERS)


def settings(**given: Any) -> LabelSettings:
    return LabelSettings.model_validate({"path": "sample:states", **given})


def sheet_of(extent: Extent, size: tuple[int, int], crs: str = "EPSG:5070") -> Sheet:
    config = read_config({"raster": {"path": "sample:relief"}, "map": {"size": size}})
    layout = lay_out(config, ColorBarKey())
    region, map_crs = Region("a", extent, crs=crs), parse_crs(crs)
    view = View.of(region, map_crs, layout.panel, "datalim")
    codes = np.zeros((view.panel.height, view.panel.width), np.uint8)
    placer = Placer(view.box, text_measure(layout.dpi, layout.page.font))
    return Sheet(region, view, layout, map_crs, {}, "", codes, False, shared_placer=placer)


def boxes_of(sheet: Sheet, labels: Sequence[Label]) -> list[LabelBox]:
    """Return the boxes of the ink of labels."""
    measure = text_measure(sheet.layout.dpi, sheet.layout.page.font)
    return [LabelBox.of_text(label.x, label.y, measure(label.text, label.points, label.weight)) for label in labels]


def check_boxes(sheet: Sheet, marks: Sequence[Any]) -> int:
    """Check that no label overlaps another label or a dot, and that all lie in the panel. Return their number."""
    labels = [mark for mark in marks if isinstance(mark, Label)]
    boxes = boxes_of(sheet, labels)
    panel, extent, box = sheet.view.panel, sheet.view.panel.extent, sheet.view.box
    dots = []
    for mark in marks:
        if isinstance(mark, Markers):
            pixels = (mark.points - (extent.xmin, extent.ymin)) / (panel.pixel_width, panel.pixel_height)
            side = mark.size * sheet.layout.dpi / 72
            dots += [LabelBox.around(x + box.left, y + box.bottom, side, side) for x, y in pixels]
    all_boxes = [*boxes, *dots]
    assert all(sheet.placer.is_inside(each) for each in all_boxes)
    lefts, bottoms, rights, tops = np.array(all_boxes).reshape(-1, 4).T
    overlap = (lefts < rights[:, None]) & (lefts[:, None] < rights) & (bottoms < tops[:, None])
    overlap &= bottoms[:, None] < tops
    assert overlap.sum() == len(all_boxes), "each box overlaps only itself"
    return len(labels)


@pytest.mark.parametrize("kind", ["names", "values"])
def test_on_200_maps_no_two_labels_overlap_and_none_is_cut(kind: str, monkeypatch) -> None:
    random = np.random.default_rng(7)
    points = random.uniform((-2e6, 5e5), (2e6, 3e6), (700, 2))
    areas = [shapely.box(x, y, x + 4e5, y + 3e5) for x in np.arange(-2e6, 2e6, 4e5) for y in np.arange(5e5, 3e6, 3e5)]
    found = features(points, areas)
    layer = Labels(settings(values=kind == "values"), found, None, "")
    monkeypatch.setattr(Labels, "values_at", lambda _self, _sheet, at: at[:, 0] / 1e4)
    sizes = [(300, 200), (420, 270), (700, 450), (1000, 640)]
    bases = [sheet_of(Extent(0, 1e6, 1e6, 1.6e6), size) for size in sizes]
    counts = []
    for number in range(100):
        base, width = bases[number % 4], random.uniform(2e5, 1.5e6)
        x, y = random.uniform((-1.5e6, 8e5), (1.5e6, 2.5e6))
        region = Region("a", Extent(x, x + width, y, y + width * 0.6), crs="EPSG:5070")
        view = View.of(region, base.crs, base.layout.panel, "datalim")
        placer = Placer(view.box, base.placer.measure)
        sheet = Sheet(region, view, base.layout, base.crs, {}, "", base.codes[:0], False, shared_placer=placer)
        counts.append(check_boxes(sheet, list(layer.draw(sheet))))
    assert np.mean(counts) > 8


def test_maps_side_by_side_have_the_same_labels_where_they_overlap() -> None:
    points = np.random.default_rng(3).uniform((-5e5, 5e5), (2e6, 2e6), (150, 2))
    layer = Labels(settings(most=1000), features(points), None, "")
    placed = []
    for shift in (0, 1.7e5):
        sheet = sheet_of(Extent(shift, 1e6 + shift, 1e6, 1.6e6), (1400, 900))
        extent, panel, box = sheet.view.panel.extent, sheet.view.panel, sheet.view.box
        x = {
            label.text: extent.xmin + (label.x - box.left) * panel.pixel_width
            for label in layer.draw(sheet)
            if isinstance(label, Label)
        }
        placed.append({name: at for name, at in x.items() if 3e5 < at < 9e5})
    shared = placed[0].keys() & placed[1].keys()
    assert len(shared) > 12
    assert len(placed[0].keys() ^ placed[1].keys()) <= 0.15 * len(placed[0])
    moved = [abs(placed[0][name] - placed[1][name]) / panel.pixel_width for name in shared]
    assert np.mean(np.array(moved) <= 1) >= 0.85


def test_low_ranks_come_first_in_larger_letters_and_coarse_maps_leave_out_high_ranks() -> None:
    points = np.array([[0.5e6, 1.3e6], [0.50e6, 1.301e6], [0.8e6, 1.1e6]])
    table = FeatureTable(("n", "r"), (("Minor", "7"), ("Major", "0"), ("Far", "7")), shapely.points(points), "")
    found = LabelFeatures.of(table, LabelSettings.model_construct(name="n", rank="r", order=None), ALBERS)
    layer = Labels(settings(), found, None, "")
    near = [mark for mark in layer.draw(sheet_of(Extent(0, 1e6, 1e6, 1.6e6), (1400, 900))) if isinstance(mark, Label)]
    assert [(label.text, label.weight) for label in near] == [("Major", "semibold"), ("Far", "normal")]
    assert near[0].points > near[1].points
    coarse = layer.draw(sheet_of(Extent(-3e6, 4e6, -1e6, 4e6), (1400, 900)))
    assert [mark.text for mark in coarse if isinstance(mark, Label)] == ["Major"]


def test_names_of_areas_lie_inside_the_visible_part() -> None:
    area = shapely.box(2e5, 0.9e6, 2e6, 1.2e6)
    sheet = sheet_of(Extent(0, 1e6, 1e6, 1.6e6), (1400, 900))
    found = features(np.empty((0, 2)), [area, shapely.box(0, 1.5e6, 1.2e4, 1.51e6)])
    labels = list(Labels(settings(), found, None, "").draw(sheet))
    assert len(labels) == 1
    assert labels[0].text.replace("\u200a", "").replace("  ", " ") == found.area_names[0].upper()
    (box,) = boxes_of(sheet, labels)
    extent, panel = sheet.view.panel.extent, sheet.view.panel
    left, bottom = sheet.view.box.left, sheet.view.box.bottom
    assert extent.xmin + (box.left - left) * panel.pixel_width > 2e5
    assert extent.ymin + (box.top - bottom) * panel.pixel_height < 1.2e6


@pytest.fixture
def cities(write_vector):
    """Write three cities across the antimeridian, with names and ranks."""
    import pyogrio.raw

    points = [shapely.Point(*at) for at in ((178, 10), (-175, 12), (179, 14), (0, 0))]
    path = write_vector(points, name="cities.gpkg")
    wkb = np.array([shapely.to_wkb(point) for point in points], dtype=object)
    columns = [np.array(["Suva", "Apia", "Nuku", "Null"], object), np.array([0, 1, 2, 0])]
    pyogrio.raw.write(path, wkb, columns, ["Name", "rank"], geometry_type="Point", crs="EPSG:4326")
    return path


@pytest.fixture
def ocean(write_raster):
    """Write a raster of temperatures in K across the antimeridian. The east is missing."""
    values = np.add.outer(np.zeros(40), np.arange(60.0)) + 280
    values[:, 23:] = np.nan
    return write_raster(values, Affine(1, 0, 160, 0, -1, 30), nodata=np.nan)


REGION = Region("a", Extent(165, 200, -5, 25))


@pytest.mark.usefixtures("read_in_process")
def test_values_are_those_of_the_raster_in_the_units_of_the_color_bar(load, cities, ocean) -> None:
    table = {"path": cities, "rank": "rank", "values": True, "scale": 2, "format": "{:.1f}"}
    shared = load(raster={"path": ocean}, map={"size": [700, 450]}, labels=[table])
    found = DrawnMarks.of(shared.layers, make_sheet(REGION, Style.of(shared))).in_panel
    texts = [mark.text for mark in found if isinstance(mark, Label)]
    assert texts == ["595.0", "Suva", "597.0", "Nuku"]  # between two cells; Apia has no value
    table["values"] = {"path": ocean}
    shared = load(raster={"path": ocean}, map={"size": [700, 450]}, labels=[table])
    again = DrawnMarks.of(shared.layers, make_sheet(REGION, Style.of(shared))).in_panel
    assert [mark.text for mark in again if isinstance(mark, Label)] == texts


@pytest.mark.usefixtures("read_in_process")
def test_where_selects_features_and_white_letters_stand_on_dark_colors(load, cities, ocean) -> None:
    for colors, letters in ((["white", "#eeeeee"], "#1f2429"), (["#000000", "#101010"], "#ffffff")):
        table = {"path": cities, "rank": "rank", "where": "rank < 2"}
        scale = {"levels": [0, 250, 400], "colors": colors}
        shared = load(raster={"path": ocean}, map={"size": [700, 450]}, colors=scale, labels=[table])
        marks = DrawnMarks.of(shared.layers, make_sheet(REGION, Style.of(shared))).in_panel
        labels = {mark.text: mark.color for mark in marks if isinstance(mark, Label)}
        assert labels == {"Suva": letters, "Apia": "#1f2429"}  # Apia lies where there is no data


@pytest.mark.usefixtures("read_in_process")
def test_labels_of_all_layers_keep_apart_and_the_figure_is_equal(load, cities, ocean) -> None:
    shared = load(
        raster={"path": ocean}, map={"size": [420, 270]}, output={"png": "rgb"}, graticule={},
        contours=[{"interval": 2}], labels=[{"path": cities}, {"path": cities, "values": True}],
    )  # fmt: skip
    figure = plot_region(shared, REGION)
    figure.canvas.draw()
    expected = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    np.testing.assert_array_equal(MapRenderer(shared).render(REGION).pixels, expected)
    sheet = make_sheet(REGION, Style.of(shared))
    labels = [mark for mark in DrawnMarks.of(shared.layers, sheet).in_panel if isinstance(mark, Label)]
    boxes = [
        box if label.vertical_align == "baseline" else LabelBox.around(label.x, label.y, 10, 5)
        for label, box in zip(labels, boxes_of(sheet, labels), strict=True)
    ]
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_letters_that_no_font_has_are_reported_when_they_are_drawn(caplog) -> None:
    table = FeatureTable(("n",), (("Z\u00fcrich",), ("\ue123",)), shapely.points([[5e5, 1.3e6], [9e6, 0]]), "")
    named = LabelSettings.model_construct(name="n", rank=None, order=None)
    layer = Labels(settings(), LabelFeatures.of(table, named, ALBERS), None, "")
    assert set(layer.letters) == {*"Z\u00fcrich\ue123"}
    sheet = sheet_of(Extent(0, 1e6, 1e6, 1.6e6), (420, 270))
    assert len(list(layer.draw(sheet))) == 2
    assert not caplog.records
    far = sheet_of(Extent(8.5e6, 9.5e6, -3e5, 3e5), (420, 270))
    with plain_style():
        assert len(list(layer.draw(far))) == 2
    assert "no installed font has the glyph" in caplog.text


@pytest.mark.usefixtures("read_in_process")
def test_labels_keep_their_place_in_vector_formats(load, cities, ocean) -> None:
    shared = load(raster={"path": ocean}, map={"size": [700, 450]}, labels=[{"path": cities}])
    saved = MapRenderer(shared).render_vectors(REGION).save
    assert isinstance(saved, SaveSheet)
    saved.figure.set_dpi(72)  # as when it is saved as PDF or SVG
    sheet = make_sheet(REGION, Style.of(shared))
    labels = [mark for mark in DrawnMarks.of(shared.layers, sheet).in_panel if isinstance(mark, Label)]
    places = [each.place() for each in saved.figure.axes[0].get_children() if isinstance(each, HaloText)]
    np.testing.assert_allclose(places, [(0.72 * label.x, 0.72 * label.y) for label in labels])
    assert len(labels) >= 2


@pytest.mark.usefixtures("read_in_process")
def test_faults_name_the_key_and_the_cure(load, cities, ocean) -> None:
    for key, value, kind, message in (
        (
            "name",
            "town",
            ConfigError,
            r"\[\[labels\]\] name: the file has no attribute 'town'; its attributes are Name",
        ),
        ("rank", "r", ConfigError, r"\[\[labels\]\] rank: the file has no attribute 'r'"),
        ("where", "r <", FeaturesError, "is the condition 'r <' correct"),
        ("format", "{:d", ConfigError, "is not a format of numbers"),
    ):
        with pytest.raises(kind, match=message):
            load(raster={"path": ocean}, labels=[{"path": cities, key: value}])


def test_a_label_file_is_read_once_and_then_comes_from_the_cache(load, cities, ocean, monkeypatch) -> None:
    from regionplot.inputs import vector_table

    table = {"path": cities, "rank": "rank"}
    first = load(raster={"path": ocean}, labels=[table])
    monkeypatch.setattr(vector_table, "read_projected_table", lambda *_: pytest.fail("the file is read again"))
    second = load(raster={"path": ocean}, labels=[table])
    assert [layer.key for layer in first.layers] == [layer.key for layer in second.layers]
    context = LoadContext(second.config, second.crs)
    assert Labels.start(settings(path=cities), context) is not None


def test_names_without_dots_keep_only_their_letters_apart() -> None:
    points = np.array([(x, y) for x in np.arange(5e5, 5e6, 3e5) for y in np.arange(5e5, 3.5e6, 1.5e5)])
    sheet = sheet_of(Extent(0, 6e6, 0, 4e6), (1400, 900), "EPSG:5070")
    assert sheet.view.panel.pixel_width > 3000
    counts = []
    for dots in (True, False):
        bare = Sheet(
            sheet.region, sheet.view, sheet.layout, sheet.crs, {}, "", sheet.codes, False,
            shared_placer=Placer(sheet.view.box, sheet.placer.measure),
        )  # fmt: skip
        layer = Labels(settings(dots=dots, most=1000), features(points), None, "")
        counts.append(check_boxes(bare, [mark for mark in layer.draw(bare) if isinstance(mark, Label)]))
    assert counts[1] > 1.2 * counts[0] > 0
