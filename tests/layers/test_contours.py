"""Contour lines are those of matplotlib, and their labels and marks can be read."""

from __future__ import annotations

import shutil
import subprocess
from itertools import combinations
from pathlib import Path as FilePath
from typing import Any

import numpy as np
import pytest
import shapely
from affine import Affine
from matplotlib.figure import Figure
from scipy.io import netcdf_file

from regionplot.errors import ConfigError, RegionError
from regionplot.geo.contours import blurred, find_highs, roughness
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.region import Region
from regionplot.layers.contours import Contours
from regionplot.render.drawn_marks import DrawnMarks
from regionplot.render.measure import text_measure
from regionplot.render.sheets import Style, make_sheet
from regionplot.settings.loading import read_config
from regionplot.shared.load import preload_layers
from regionplot.sheet.marks import Label, Markers, Path
from regionplot.sheet.placing import LabelBox
from regionplot.sheet.sheet import Sheet

WEST, NORTH, CELL = -100.0, 50.0, 0.5


def pressure() -> np.ndarray:
    """Return a field with a high at 80° W, 40° N and a low at 65° W, 35° N."""
    x, y = np.meshgrid(WEST + CELL * (np.arange(120) + 0.5), NORTH - CELL * (np.arange(60) + 0.5))
    field = 1013 + 0.1 * y
    for height, west, north in ((20, -80, 40), (-22, -65, 35)):
        field += height * np.exp(-((x - west) ** 2 + (y - north) ** 2) / 40)
    return field


@pytest.fixture
def contours(load, write_raster):
    """Return a function that draws contours of the pressure: the sheet and the marks."""

    def draw(region: Region, field: np.ndarray | None = None, **settings: Any) -> tuple[Sheet, tuple[Any, ...]]:
        path = write_raster(pressure() if field is None else field, Affine(CELL, 0, WEST, 0, -CELL, NORTH))
        shared = load(raster={"path": path}, map={"size": [900, 600]}, contours=[settings])
        sheet = make_sheet(region, Style.of(shared))
        return sheet, DrawnMarks.of(shared.layers, sheet).in_panel

    return draw


REGION = Region("a", Extent(-95, -55, 28, 48))


def in_pixels(sheet: Sheet, path: Path) -> list[np.ndarray]:
    """Return the lines of a path in pixels of the sheet."""
    panel, box = sheet.view.panel, sheet.view.box
    points = (path.vertices - (panel.extent.xmin, panel.extent.ymin)) / (panel.pixel_width, panel.pixel_height)
    return np.split(points + np.array([box.left, box.bottom]), np.flatnonzero(path.codes == 1)[1:])


@pytest.mark.parametrize("levels", [{"interval": 4}, {"levels": [1001.5, 1017, 1030]}], ids=["interval", "levels"])
def test_lines_are_those_of_matplotlib(contours, levels: dict[str, Any]) -> None:
    sheet, marks = contours(REGION, labels=False, casing="none", min_length=0, **levels)
    found = shapely.MultiLineString([line for path in marks[:2] for line in in_pixels(sheet, path)])
    layer = Contours(Contours.Settings(labels=False, **levels), None, "")
    at_nodes = layer.values(sheet)
    assert at_nodes is not None
    values = at_nodes.blurred
    drawn = (
        Figure()
        .subplots()
        .contour(*at_nodes.grid.nodes, values, [level for level, _ in layer.settings.levels_in(values)])
    )
    expected = shapely.MultiLineString([line for lines in drawn.allsegs for line in lines if len(line) > 1])
    assert shapely.hausdorff_distance(found, expected) < 0.01
    assert len(drawn.levels) > 2


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:5070", "EPSG:3995"])
def test_lines_of_latitude_lie_at_their_latitudes_to_half_a_pixel(load, write_raster, crs: str) -> None:
    """The field is ten times the latitude, and the values of lines are latitudes plus 1."""
    latitudes = NORTH - CELL * (np.arange(80) + 0.5)
    path = write_raster(np.repeat(10 * latitudes[:, None], 160, axis=1), Affine(CELL, 0, -130, 0, -CELL, NORTH))
    settings = {"interval": 2, "scale": 0.1, "offset": 1, "labels": False, "casing": "none"}
    own_map = {"size": [900, 600], "projection": crs}
    shared = load(raster={"path": path}, map=own_map, contours=[settings])
    sheet = make_sheet(Region("a", Extent(-100, -80, 32, 44), crs="EPSG:4326"), Style.of(shared))
    paths = DrawnMarks.of(shared.layers, sheet).in_panel
    points, extent = np.concatenate([path.vertices for path in paths]), sheet.view.panel.extent
    is_shown = (points > (extent.xmin, extent.ymin)).all(axis=1) & (points < (extent.xmax, extent.ymax)).all(axis=1)
    points = points[is_shown]
    lat = transformer(sheet.crs, parse_crs("EPSG:4326")).transform(*points.T)[1]
    pixel = sheet.view.panel.pixel_height / (1 if crs == "EPSG:4326" else 111e3)
    assert abs(lat + 1 - 2 * np.round((lat + 1) / 2)).max() < 0.5 * pixel
    bold = transformer(sheet.crs, parse_crs("EPSG:4326")).transform(*paths[-1].vertices.T)[1]
    assert {int(each) for each in np.round(bold)} <= {19, 29, 39, 49}


def test_every_fifth_line_is_bold_and_all_casings_lie_below(contours) -> None:
    _, marks = contours(REGION, interval=2, labels=False)
    styles = [(path.edgecolor, round(path.linewidth, 2)) for path in marks]
    assert styles == [("#ffffff8c", 2.6), ("#ffffff8c", 3.3), ("#2f5088", 1.0), ("#2f5088", 1.7)]


def test_labels_lie_in_gaps_of_their_lines_and_apart(contours) -> None:
    sheet, marks = contours(REGION, interval=4)
    labels = [mark for mark in marks if isinstance(mark, Label)]
    assert {label.text for label in labels} >= {"1000", "1020"}
    lines = shapely.MultiLineString(
        [line for path in marks if isinstance(path, Path) for line in in_pixels(sheet, path)]
    )
    for label in labels:
        assert abs(label.rotation) <= 50
        distance = lines.distance(shapely.Point(label.x, label.y))
        assert 10 < distance < 40
    for one, other in combinations(labels, 2):
        assert np.hypot(one.x - other.x, one.y - other.y) > 70


def test_neighboring_maps_have_the_same_labels(contours) -> None:
    """Two maps of one scale overlap. Labels far from the edges are at the same place of the world."""
    places = []
    for shift in (0.0, 0.03):
        sheet, marks = contours(Region("a", Extent(-95 + shift, -55 + shift, 28, 48)), interval=2)
        extent, panel = sheet.view.panel.extent, sheet.view.panel
        labels = [mark for mark in marks if isinstance(mark, Label)]
        x = [extent.xmin + (label.x - sheet.view.box.left) * panel.pixel_width for label in labels]
        y = [extent.ymin + (label.y - sheet.view.box.bottom) * panel.pixel_height for label in labels]
        places.append(sorted(zip([label.text for label in labels], np.round(x, 6), np.round(y, 6), strict=True)))
    assert len(places[0]) > 5
    assert places[0] == places[1]


def month(number: int) -> np.ndarray:
    """Return a field like the mean pressure of a month: broad highs and lows, and land without values."""
    random = np.random.default_rng(number)
    x, y = np.meshgrid(CELL * np.arange(120), CELL * np.arange(60))
    field = np.full(x.shape, 1013.0)
    for _ in range(12):
        length, angle, phase = random.uniform(12, 40), random.uniform(0, np.pi), random.uniform(0, 2 * np.pi)
        field += 3.5 * np.sin(2 * np.pi * (x * np.cos(angle) + y * np.sin(angle)) / length + phase)
    field[np.hypot(x - 45 - 2 * number, y - 4) < 5] = np.nan
    return field


def world_places(sheet: Sheet, marks: tuple[Any, ...]) -> list[tuple[str, float, float]]:
    """Return the text of each label, and its place in pixels from the origin of the map's CRS."""
    panel, box = sheet.view.panel, sheet.view.box
    west, south = panel.extent.xmin / panel.pixel_width, panel.extent.ymin / panel.pixel_height
    return [(m.text, west + m.x - box.left, south + m.y - box.bottom) for m in marks if isinstance(m, Label)]


_AT_EDGE = 60
"""Pixels from the edge of a map in which a label or the value of an H or L may lack."""
Places = list[tuple[str, float, float]]


def inner_labels(*maps: tuple[Places, PanelGrid]) -> list[Places]:
    """Return the labels of each map that are not at the edge of any of the maps."""
    corners = [
        np.array([panel.extent.xmin / panel.pixel_width, panel.extent.ymin / panel.pixel_height]) for _, panel in maps
    ]
    size = np.array([maps[0][1].width, maps[0][1].height])
    low, high = np.max(corners, axis=0) + _AT_EDGE, np.min(corners, axis=0) + size - _AT_EDGE
    return [sorted(each for each in places if (low < each[1:]).all() and (high > each[1:]).all()) for places, _ in maps]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_labels_and_marks_stay_at_their_places_in_shifted_maps(load, write_raster, number: int) -> None:
    """Labels that are not at the edge of either map are at the same places of the world, to a hundredth of a pixel."""
    path = write_raster(month(number), Affine(CELL, 0, WEST, 0, -CELL, NORTH))
    settings = {"interval": 2, "highs_lows": True}
    style = Style.of(load(raster={"path": path}, map={"size": [900, 600]}, contours=[settings]))
    pixel = 40 / make_sheet(Region("a", Extent(-92, -52, 24, 44)), style).view.panel.width
    found = []
    for pixels in (0, 1, 7, 13, 37, 101):
        for way in ((1, -1), (-1, 0)) if pixels else ((0, 0),):
            east, north = np.multiply(way, pixels * pixel)
            sheet = make_sheet(Region("a", Extent(-92 + east, -52 + east, 24 + north, 44 + north)), style)
            found.append((world_places(sheet, DrawnMarks.of(style.layers, sheet).in_panel), sheet.view.panel))
    for other in found[1:]:
        first, second = inner_labels(found[0], other)
        assert len(first) >= 8
        assert [text for text, *_ in first] == [text for text, *_ in second]
        np.testing.assert_allclose([place for _, *place in first], [place for _, *place in second], atol=0.01)


def test_highs_and_lows_are_marked_with_their_values(contours) -> None:
    sheet, marks = contours(REGION, interval=4, highs_lows=True)
    labels = [mark for mark in marks if isinstance(mark, Label) and mark.weight == "semibold" and not mark.rotation]
    letters = {label.text: label for label in labels}
    extent, panel, box = sheet.view.panel.extent, sheet.view.panel, sheet.view.box
    measure = text_measure(sheet.layout.dpi, sheet.layout.page.font)
    for letter, value, west, north in (("H", "1037", -80, 40), ("L", "995", -65, 35)):
        x = box.left + (west - extent.xmin) / panel.pixel_width
        y = box.bottom + (north - extent.ymin) / panel.pixel_height
        middle = letters[letter].y + measure(letter, letters[letter].points, "semibold").ascent / 2
        assert np.hypot(letters[letter].x - x, middle - y) < 8
        assert abs(letters[value].x - x) < 5
        below = letters[value].y + measure(value, letters[value].points, "semibold").ascent
        assert below < letters[letter].y


@pytest.mark.parametrize(("level", "is_drawn"), [(1036.7, False), (1030, True)])
def test_a_line_that_the_letter_of_a_high_covers_is_left_out(level, is_drawn, contours) -> None:
    _, marks = contours(REGION, levels=[level], highs_lows=True, labels=False)
    assert any(isinstance(mark, Label) and mark.text == "H" for mark in marks)
    assert any(isinstance(mark, Path) for mark in marks) == is_drawn


def test_a_flat_field_has_no_highs_and_missing_values_end_lines(contours) -> None:
    field = pressure()
    field[:, :50] = np.nan
    sheet, marks = contours(REGION, field, interval=4, highs_lows=True, labels=False)
    assert not any(isinstance(mark, Label) and mark.text == "H" for mark in marks)
    first = sheet.view.panel.extent.xmin
    assert min(mark.vertices[:, 0].min() for mark in marks if isinstance(mark, Path)) > WEST + 24 > first
    _, marks = contours(REGION, np.full((60, 120), 3.0), interval=4, highs_lows=True)
    assert marks == ()


def test_highs_are_the_highest_nodes_around() -> None:
    values = np.random.default_rng(1).normal(size=(60, 80))
    found = list(find_highs(values, 9, 0.0))
    expected = [
        (row, column)
        for row in range(1, 59)
        for column in range(1, 79)
        if values[row, column] == values[max(row - 9, 0) : row + 10, max(column - 9, 0) : column + 10].max()
    ]
    assert sorted(found) == expected


def test_blur_keeps_the_mean_and_ignores_missing_values() -> None:
    values = np.full((40, 50), 7.0)
    values[10:20, 10:20] = np.nan
    found = blurred(values, 3.0)
    assert np.isnan(found).sum() == 100
    np.testing.assert_allclose(found[np.isfinite(found)], 7.0)


def test_rough_fields_are_blurred_more_than_smooth_fields() -> None:
    x, y = np.meshgrid(np.arange(90.0), np.arange(70.0))
    smooth = 1013 + 20 * np.sin(x / 3) * np.cos(y / 3)
    noise = np.random.default_rng(3).normal(size=smooth.shape)
    assert roughness(x + 2 * y) < 1e-9
    assert roughness(smooth) < 0.3
    assert roughness(np.where(noise > 2, np.nan, noise)) == pytest.approx(1.73, abs=0.1)
    assert roughness(noise[:2, :2]) == roughness(np.full((9, 9), np.nan)) == 0


def test_noise_of_single_cells_gives_few_short_lines(contours) -> None:
    """By default, noise is blurred, and the H of a smooth field has the highest value of its cells."""
    noisy = pressure() + np.random.default_rng(1).normal(size=(60, 120), scale=2)
    region = Region("a", Extent(-88, -66, 32, 44))
    lines = [len(in_pixels(sheet, marks[0])) for sheet, marks in (
        contours(region, noisy, interval=4, labels=False, bold=0, casing="none", **given)
        for given in ({}, {"smooth": 0})
    )]  # fmt: skip
    assert lines[0] < 0.5 * lines[1]
    _, marks = contours(REGION, interval=4, highs_lows=True, labels=False)
    assert "1037" in {mark.text for mark in marks if isinstance(mark, Label)}


FILLED = {"levels": [1000, 1030], "linewidth": 0, "labels": False}


def test_filled_contours_have_a_color_for_each_class(contours) -> None:
    sheet, marks = contours(REGION, smooth=0, fill=["#0000ff", "none", "#ff0000"], **FILLED)
    assert [mark.facecolor for mark in marks] == ["#0000ff", "#ff0000"]
    panel = sheet.view.panel
    rows, columns = np.mgrid[20 : panel.height : 40, 20 : panel.width : 40]
    x = panel.extent.xmin + (columns + 0.5) * panel.pixel_width
    y = panel.extent.ymax - (rows + 0.5) * panel.pixel_height
    values = sheet.values[rows, columns]
    for mark, expected in zip(marks, (values < 1000, values > 1030), strict=True):
        rings = np.split(mark.vertices, np.flatnonzero(mark.codes == 1)[1:])
        inside = shapely.contains_xy(shapely.union_all([shapely.Polygon(ring) for ring in rings]), x, y)
        is_clear = (abs(values - 1000) > 1.5) & (abs(values - 1030) > 1.5)
        assert (inside == expected)[is_clear].all()
        assert expected[is_clear].any()


@pytest.mark.parametrize("kind", ["/", "\\", "-", "|", "x", "+", "."])
def test_hatching_stays_in_its_areas_and_is_the_same_on_neighboring_maps(contours, kind: str) -> None:
    found = []
    for shift in (0.0, 0.5):
        _, marks = contours(
            Region("a", Extent(-95 + shift, -55 + shift, 28, 48)), smooth=0, hatch=["none", "none", kind], **FILLED
        )
        assert len(marks) == (2 if kind in "x+" else 1)
        points = np.concatenate([mark.points if isinstance(mark, Markers) else mark.vertices for mark in marks])
        assert np.hypot(points[:, 0] + 80, points[:, 1] - 40).max() < 5
        found.append(np.unique(np.round(points, 4), axis=0).tolist())
    assert len(found[0]) > 10
    assert found[0] == found[1]
    assert Contours(Contours.Settings(casing="none", hatch=["none", "none", kind], **FILLED), None, "").inks()


def test_another_raster_can_have_another_grid_and_units(contours, load, write_raster) -> None:
    other = write_raster(
        pressure()[:, ::-1] * 100, Affine(-CELL, 0, WEST + 120 * CELL, 0, -CELL, NORTH), name="other.tif"
    )
    _, expected = contours(REGION, interval=4)
    zeros = write_raster(np.zeros((60, 120)), Affine(CELL, 0, WEST, 0, -CELL, NORTH), name="zeros.tif")
    settings = {"interval": 4, "scale": 0.01, "raster": {"path": other}}
    shared = load(raster={"path": zeros}, map={"size": [900, 600]}, contours=[settings])
    marks = DrawnMarks.of(shared.layers, make_sheet(REGION, Style.of(shared))).in_panel
    assert len(marks) == len(expected)
    for one, same in zip(marks, expected, strict=True):
        if isinstance(one, Path):
            np.testing.assert_allclose(one.vertices, same.vertices, atol=1e-6)
        else:
            assert one.text == same.text
    assert not any(
        LabelBox.around(a.x, a.y, 20, 8).overlaps(LabelBox.around(b.x, b.y, 20, 8))
        for a, b in combinations([mark for mark in marks if isinstance(mark, Label)], 2)
    )


def test_faults_of_the_settings_name_the_key(contours) -> None:
    for faulty in ({"interval": 4, "fill": ["red", "blue"]}, {"levels": [1, 2], "hatch": ["/", "none"]}):
        with pytest.raises(ConfigError, match="needs levels, and one value more than levels, not 2"):
            read_config({"raster": {"path": "sample:relief"}, "contours": [faulty]})
    for faulty in ({}, {"interval": 4, "levels": [1]}):
        with pytest.raises(ConfigError, match="set either interval, such as 4, or levels"):
            read_config({"raster": {"path": "sample:relief"}, "contours": [faulty]})
    with pytest.raises(RegionError, match=r"\[\[contours\]\] interval: 0.0001 is too small for values from 99"):
        contours(REGION, interval=0.0001)


def write_times(path: FilePath) -> FilePath:
    """Write the variables z and t at two times. z is 0.5 larger at the second time."""
    grid = np.add.outer(np.arange(8.0), np.arange(9.0))
    axes = {"time": ([0, 6], "hours since 2026-03-10 00:00:00"), "lat": (range(8), "degrees_north")}
    axes["lon"] = (range(9), "degrees_east")
    with netcdf_file(path, "w") as file:
        for name, (values, units) in axes.items():
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
            file.variables[name].units = units
        for name, step in (("z", 0.5), ("t", 0.0)):
            file.createVariable(name, "f8", tuple(axes))[:] = np.stack([grid, grid + step])
            file.variables[name].units = "m"
    return path


def test_a_field_has_the_time_of_the_map_and_a_watcher_does_not_keep_it(load, make_config, tmp_path) -> None:
    path = write_times(tmp_path / "times.nc")
    raster = {"path": path, "variable": "t", "time": "all"}
    sections = {"raster": raster, "contours": [{"interval": 3, "raster": {"variable": "z"}}]}
    found = [
        layer.field.values[0, 0] - shared.cells[0, 0]
        for shared in load(**sections).products.values()
        for layer in shared.layers
        if isinstance(layer, Contours) and layer.field is not None
    ]
    assert found == [0.0, 0.5]
    assert preload_layers(make_config(**sections)) == ()
    sections["contours"][0]["raster"] |= {"time": 1}
    keys = [layer.key for shared in load(**sections).products.values() for layer in shared.layers if layer.zorder == 25]
    assert len(keys) == 2
    assert len(set(keys)) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_fields_without_finite_values_have_no_lines(contours, value: float) -> None:
    field = np.full((60, 120), value)
    assert contours(REGION, field, interval=4, highs_lows=True)[1] == ()
    field[:, 60:] = pressure()[:, 60:]
    assert any(isinstance(mark, Path) for mark in contours(REGION, field, interval=4)[1])


def test_classes_and_true_color_have_no_contours(load, write_raster) -> None:
    table = {1: (255, 0, 0), 2: (0, 0, 255)}
    values = np.where(pressure() > 1015, 1, 2).astype(np.uint8)
    affine = Affine(CELL, 0, WEST, 0, -CELL, NORTH)
    for path in (
        write_raster(values, affine, colormap=table),
        write_raster(np.stack([values] * 3), affine, name="rgb.tif", photometric="rgb"),
    ):
        shared = load(raster={"path": path}, map={"size": [300, 200]}, contours=[{"interval": 1}])
        assert DrawnMarks.of(shared.layers, make_sheet(REGION, Style.of(shared))).in_panel == ()


@pytest.mark.skipif(shutil.which("gmt") is None, reason="GMT is not installed")
def test_lines_are_those_of_gmt(contours, tmp_path) -> None:
    """grdcontour traces the same nodes. It also interpolates linearly between nodes."""
    sheet, marks = contours(REGION, levels=[1001.5, 1017, 1030], labels=False, casing="none", min_length=0, smooth=0)
    layer = Contours(Contours.Settings(levels=[1001.5, 1017, 1030], smooth=0, labels=False), None, "")
    at_nodes = layer.values(sheet)
    assert at_nodes is not None
    (x, y), grid = at_nodes.grid.nodes, tmp_path / "nodes.nc"
    with netcdf_file(grid, "w") as file:
        for name, values in (("x", x), ("y", y)):
            file.createDimension(name, len(values))
            file.createVariable(name, "f8", (name,))[:] = values
        file.createVariable("z", "f8", ("y", "x"))[:] = at_nodes.values
    (tmp_path / "levels").write_text("1001.5 C\n1017 C\n1030 C\n")
    command = ["gmt", "grdcontour", f"{grid}?z", "-Clevels", "-Dlines.txt", "-S1", "-JX10c", "-Q0"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    parts = (tmp_path / "lines.txt").read_text().split(">")[1:]
    lines = [np.loadtxt(part.splitlines()[1:])[:, :2] for part in parts if len(part.splitlines()) > 2]
    found = shapely.MultiLineString([line for path in marks for line in in_pixels(sheet, path)])
    assert shapely.hausdorff_distance(found, shapely.MultiLineString(lines)) < 0.5
    assert len(lines) == 3
