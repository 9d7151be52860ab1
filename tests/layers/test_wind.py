"""Barbs and arrows have the right direction, speed and place."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyproj
import pytest
from affine import Affine

from regionplot.errors import ConfigError
from regionplot.geo.crs import parse_crs, transformer
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.layers.barbs import WindBarbs
from regionplot.render.drawn_marks import DrawnMarks
from regionplot.render.figure import plot_region
from regionplot.render.renderer import MapRenderer
from regionplot.render.sheets import Style, make_sheet
from regionplot.sheet.marks import Barbs, Label, Path
from regionplot.sheet.placing import LabelBox, Placer, estimated_size

LAMBERT = "+proj=lcc +lat_0=38.5 +lon_0=-97.5 +lat_1=38.5 +lat_2=38.5 +R=6371229 +units=m"
POLAR = "+proj=stere +lat_0=90 +lat_ts=60 +lon_0=-150 +R=6371229 +units=m"
SOUTH = "+proj=stere +lat_0=-90 +lat_ts=-60 +lon_0=0 +R=6371229 +units=m"
MERCATOR = "+proj=merc +lon_0=-100 +R=6371229 +units=m"
LONLAT = parse_crs("EPSG:4326")
U, V = {"band": 1}, {"band": 2}
GRIDS = {"Lambert": LAMBERT, "polar": POLAR, "degrees": "EPSG:4326", "south pole": SOUTH}
REGIONS = {
    "Lambert": (-115, -75, 28, 47),
    "polar": (-175, -125, 55, 75),
    "degrees": (-115, -75, 28, 47),
    "south pole": (20, 60, -75, -60),
}


@pytest.fixture
def draw(load, write_raster):
    """Return a function that draws wind of (3, 4) in a grid on a map: the sheet and the marks."""

    def drawn(grid: str, map_crs: str | None = None, table: str = "barbs", **settings: Any) -> Any:
        size, cell = (3e6, 1e5) if grid != "EPSG:4326" else (60.0, 1.0)
        west, north = (-size, size) if grid != "EPSG:4326" else (-140.0, 90.0)
        count = round(2 * size / cell)
        wind = np.stack([np.full((count, count), value, np.float32) for value in (3.0, 4.0)])
        path = write_raster(wind, Affine(cell, 0, west, 0, -cell, north), crs=grid)
        wind_table = {"u": U, "v": V, "units": "kt", "relative_to": "north", **settings}
        own_map = {"size": [700, 450], **({"projection": map_crs} if map_crs else {})}
        shared = load(raster={"path": path, "band": 1}, map=own_map, **{table: [wind_table]})
        name = next(name for name, crs in GRIDS.items() if crs == grid)
        region = Region("a", Extent(*REGIONS[name]), crs="EPSG:4326")
        sheet = make_sheet(region, Style.of(shared))
        return sheet, DrawnMarks.of(shared.layers, sheet).in_panel

    return drawn


def convergence(crs: str, points: np.ndarray, to_map: pyproj.CRS) -> tuple[np.ndarray, np.ndarray]:
    """Return the angle from the y axis of a CRS clockwise to north in radians, from PROJ, and the latitudes."""
    lon, lat = transformer(to_map, LONLAT).transform(*points.T)
    if crs == "EPSG:4326":
        return np.zeros(len(points)), lat
    return -np.radians(pyproj.Proj(crs).get_factors(lon, lat).meridian_convergence), lat


@pytest.mark.parametrize(
    ("name", "map_crs"),
    [
        ("Lambert", None),
        ("Lambert", MERCATOR),
        ("polar", None),
        ("polar", LAMBERT),
        ("degrees", None),
        ("degrees", LAMBERT),
        ("south pole", None),
        ("south pole", MERCATOR),
    ],
)
def test_wind_relative_to_north_is_turned_by_the_convergence_of_proj(draw, name: str, map_crs: str | None) -> None:
    sheet, marks = draw(GRIDS[name], map_crs)
    barbs = marks[-1]
    assert isinstance(barbs, Barbs)
    assert len(barbs.points) > 15
    angle, lat = convergence(map_crs or GRIDS[name], barbs.points, sheet.crs)
    expected = np.column_stack([3 * np.cos(angle) + 4 * np.sin(angle), 4 * np.cos(angle) - 3 * np.sin(angle)])
    np.testing.assert_allclose(barbs.wind, expected, atol=0.02)
    np.testing.assert_array_equal(barbs.is_southern, lat < 0)


@pytest.mark.parametrize("name", ["Lambert", "polar", "south pole"])
def test_wind_relative_to_the_grid_keeps_the_direction_of_the_grid(draw, name: str) -> None:
    _, marks = draw(GRIDS[name], relative_to="grid")
    np.testing.assert_allclose(marks[-1].wind, np.broadcast_to([3.0, 4.0], marks[-1].wind.shape), atol=1e-6)
    sheet, marks = draw(GRIDS[name], MERCATOR, relative_to="grid")
    angle = -convergence(GRIDS[name], marks[-1].points, sheet.crs)[0]
    expected = np.column_stack([3 * np.cos(angle) + 4 * np.sin(angle), 4 * np.cos(angle) - 3 * np.sin(angle)])
    np.testing.assert_allclose(marks[-1].wind, expected, atol=0.02)


@pytest.mark.parametrize(("units", "factor"), [("m/s", 3600 / 1852), ("km/h", 1 / 1.852), ("kt", 1.0)])
def test_speeds_are_converted_to_knots(draw, units: str, factor: float) -> None:
    _, marks = draw("EPSG:4326", units=units)
    np.testing.assert_allclose(np.hypot(*marks[-1].wind.T), 5 * factor, rtol=1e-5)


def test_unknown_units_are_an_error(draw) -> None:
    with pytest.raises(ConfigError, match=r"\[\[barbs\]\] units: '' is not a unit of speed; set units to m/s"):
        draw("EPSG:4326", units=None)


def test_places_are_staggered_clear_of_the_edge_and_the_same_for_neighboring_maps(draw, monkeypatch) -> None:
    found = []
    for west in (-115, -114.2):
        monkeypatch.setitem(REGIONS, "degrees", (west, west + 40, 28, 47))
        sheet, marks = draw("EPSG:4326", spacing=50)
        extent, panel = sheet.view.panel.extent, sheet.view.panel
        pixels = (marks[-1].points - (extent.xmin, extent.ymin)) / panel.pixel_width
        assert pixels.min() >= 22
        assert (pixels <= (panel.width - 22, panel.height - 22)).all()
        rows = np.unique(np.round(pixels[:, 1], 6))
        np.testing.assert_allclose(np.diff(rows), 50)
        first = [pixels[np.isclose(pixels[:, 1], row), 0] % 50 for row in rows[:2]]
        np.testing.assert_allclose(abs(first[0][0] - first[1][0]), 25, atol=1e-6)
        found.append({tuple(point) for point in np.round(marks[-1].points, 6).tolist()})
    assert len(found[0] & found[1]) > 0.8 * len(found[0])


def test_barbs_stay_clear_of_labels_and_missing_values(load, write_raster) -> None:
    x, y = np.meshgrid(np.arange(60.0), np.arange(60.0))
    bands = np.stack([np.hypot(x - 30, y - 30), np.full((60, 60), 9.0)])
    bands[:, :, :20] = np.nan
    path = write_raster(bands, Affine(1, 0, -140, 0, -1, 90))
    table = {"u": U, "v": V, "units": "m/s", "spacing": 20}
    contours = {"interval": 5, "highs_lows": True}
    shared = load(raster={"path": path, "band": 1}, map={"size": [700, 450]}, barbs=[table], contours=[contours])
    sheet = make_sheet(Region("a", Extent(-135, -85, 40, 75)), Style.of(shared))
    marks = DrawnMarks.of(shared.layers, sheet).in_panel
    barbs, labels = marks[-1], [mark for mark in marks if isinstance(mark, Label)]
    assert isinstance(barbs, Barbs)
    assert labels
    extent, panel, box = sheet.view.panel.extent, sheet.view.panel, sheet.view.box
    assert barbs.points[:, 0].min() > -120
    pixels = (barbs.points - (extent.xmin, extent.ymin)) / (panel.pixel_width, panel.pixel_height)
    pixels += (box.left, box.bottom)
    assert min(np.hypot(*(pixels - (label.x, label.y)).T).min() for label in labels) > 11


def test_the_staff_of_a_barb_does_not_cross_labels(load, write_raster) -> None:
    bands = np.stack([np.full((60, 60), -9.0), np.full((60, 60), 0.0)])
    path = write_raster(bands, Affine(1, 0, -140, 0, -1, 90))
    table = {"u": U, "v": V, "units": "m/s", "spacing": 20}
    shared = load(raster={"path": path, "band": 1}, map={"size": [700, 450]}, barbs=[table])
    style = Style.of(shared)
    sheet = make_sheet(Region("a", Extent(-135, -85, 40, 75)), style)
    (layer,) = (layer for layer in style.layers if isinstance(layer, WindBarbs))
    all_pixels = layer.wind.at_places(sheet, 20, 11).pixels
    x, y = map(float, all_pixels[len(all_pixels) // 2])
    placer = Placer(sheet.view.box, estimated_size(100))
    placer.take(LabelBox.around(x + 20, y, 4, 4))  # wind from the east: the staff extends to the right
    beside = replace(sheet, shared_placer=placer)
    kept = {tuple(point) for point in layer.wind.at_places(beside, 20, 11, 22).pixels.tolist()}
    assert (x, y) in {tuple(point) for point in layer.wind.at_places(beside, 20, 11).pixels.tolist()}
    assert (x, y) not in kept


def test_arrows_point_downwind_and_have_the_length_of_the_speed(draw) -> None:
    sheet, marks = draw("EPSG:4326", table="arrows", length=40, speed=5)
    shaft, head = marks[-2], marks[-1]
    assert isinstance(shaft, Path)
    scale = sheet.view.panel.pixel_width
    tail, neck = shaft.vertices[::2] / scale, shaft.vertices[1::2] / scale
    tip = head.vertices[head.codes == 1] / scale
    corners = np.stack([head.vertices[number::4] / scale for number in range(3)])
    farthest = np.hypot(*(corners - tail).transpose(2, 0, 1)).max(axis=0)
    np.testing.assert_allclose(farthest, 40, atol=0.01)
    np.testing.assert_allclose((neck - tail)[:, 0] / (neck - tail)[:, 1], 3 / 4, atol=1e-6)
    assert len(tip) == len(tail) > 15


@pytest.mark.parametrize(("name", "map_crs"), [("Lambert", None), ("polar", None), ("degrees", LAMBERT)])
def test_streamlines_run_along_the_wind(draw, name: str, map_crs: str | None) -> None:
    """The direction of each step is that of the wind (3, 4) relative to north, turned by PROJ's convergence."""
    sheet, marks = draw(GRIDS[name], map_crs, table="streamlines", casing="none", linewidth=1)
    lines, heads = marks
    same = np.diff(np.cumsum(lines.codes == 1)) == 0
    steps, middle = np.diff(lines.vertices, axis=0)[same], ((lines.vertices[1:] + lines.vertices[:-1]) / 2)[same]
    to_north, _ = convergence(map_crs or GRIDS[name], middle, sheet.crs)
    found = np.arctan2(*steps.T)
    off = (found - to_north - np.arctan2(3, 4) + np.pi) % (2 * np.pi) - np.pi
    assert np.degrees(abs(off)).max() < 1.5
    assert (lines.codes == 1).sum() > 20
    assert (heads.codes == 1).sum() > 20


@pytest.mark.parametrize("table", ["barbs", "arrows", "streamlines"])
def test_the_fast_map_and_the_figure_are_equal(load, write_raster, table: str) -> None:
    x, y = np.meshgrid(np.linspace(-40, 40, 60), np.linspace(-40, 40, 60))
    path = write_raster(np.stack([y, x]), Affine(1, 0, -140, 0, -1, 30))
    wind = {"u": U, "v": V, "units": "m/s", "spacing": 30}
    own_map, output = {"size": [300, 200]}, {"png": "rgb"}
    shared = load(raster={"path": path, "band": 1}, map=own_map, output=output, **{table: [wind]})
    region = Region("a", Extent(-130, -90, -25, 25))
    figure = plot_region(shared, region)
    figure.canvas.draw()
    expected = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    np.testing.assert_array_equal(MapRenderer(shared).render(region).pixels, expected)
