"""Missing cells are hatched, the part of a map outside the grid is flat, and keys explain both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import shapely
from affine import Affine

from regionplot.geo.extent import Extent, PanelGrid
from regionplot.geo.grid import GridGeometry
from regionplot.geo.outside import dashed, outside_of
from regionplot.geo.region import Region
from regionplot.layers.missing import Missing
from regionplot.render.renderer import MapRenderer
from regionplot.render.sheets import make_sheet
from regionplot.shared.data import SharedData
from regionplot.sheet.marks import Rectangle, Text

INSIDE = Region("inside", Extent(-99, -91, 33, 36.5))
BESIDE = Region("beside", Extent(-105, -95, 33, 39))
LEVELS: dict[str, Any] = {"levels": [100, 1000, 2000], "colors": ["#d4e9f4", "#60509d"], "under": "none"}
LONLAT = pyproj.CRS("EPSG:4326")
GRIDS_AROUND_THE_EARTH = {
    "whole": GridGeometry(Affine(1, 0, -180, 0, -1, 90), 180, 360, LONLAT),
    "from 0°, south first": GridGeometry(Affine(1, 0, 0, 0, 1, -90), 180, 360, LONLAT),
    "tropics": GridGeometry(Affine(1, 0, -180, 0, -1, 30), 55, 360, LONLAT),
}
GLOBAL = GRIDS_AROUND_THE_EARTH["whole"]


@pytest.fixture
def load_grid(write_raster: Callable[..., Path], load: Callable[..., SharedData]) -> Callable[..., SharedData]:
    """Return a function that loads a grid of 1-degree cells from 100° W and 50° N. Cells in the middle are missing."""
    values = np.arange(50 * 50, dtype=np.float32).reshape(50, 50)
    values[14:16, 3:6] = -1

    def make(nodata: float | None = -1.0, **sections: Any) -> SharedData:
        place = {"style": "atlas", "size": (600, 400), "projection": "raster", **sections.pop("map", {})}
        path = write_raster(values, nodata=nodata)
        return load(**{"raster": {"path": path}, "colors": LEVELS, "map": place, **sections})

    return make


def texts(shared: SharedData, region: Region) -> list[str]:
    renderer = MapRenderer(shared)
    found: list[str] = []
    original = Missing.draw

    def recorded(self: Missing, sheet: Any) -> Any:
        marks = list(original(self, sheet))
        found.extend(mark.text for mark in marks if isinstance(mark, Text))
        return marks

    layer = next(layer for layer in shared.layers if isinstance(layer, Missing))
    found += [mark.text for mark in layer.frame(renderer.style.layout) if isinstance(mark, Text)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Missing, "draw", recorded)
        renderer.render(region)
    return list(dict.fromkeys(found))


def test_keys_are_shown_for_what_is_on_the_map(load_grid: Callable[..., SharedData]) -> None:
    wide: dict[str, Any] = {"size": (1400, 900)}
    assert texts(load_grid(map=wide, run={"cache": False}), INSIDE) == ["under 100", "no data"]
    assert texts(load_grid(map=wide, run={"cache": False}), BESIDE) == ["under 100", "no data", "outside the grid"]
    colors = {**LEVELS, "under": "lowest"}
    assert texts(load_grid(nodata=None, colors=colors, map=wide, run={"cache": False}), INSIDE) == []


@pytest.mark.parametrize("mode", ["auto", "rgb"])
@pytest.mark.parametrize("colors", [LEVELS, {"vmin": 0, "vmax": 2500}], ids=["classes", "continuous"])
def test_missing_cells_are_hatched(load_grid: Callable[..., SharedData], mode: str, colors: dict[str, Any]) -> None:
    shared = load_grid(colors=colors, output={"png": {"mode": mode}}, graticule={"show": False})
    renderer = MapRenderer(shared)
    sheet_pixels = renderer.render(INSIDE).pixels
    box = renderer.style.layout.panel
    panel = sheet_pixels[400 - box.top : 400 - box.bottom, box.left : box.right].astype(int)
    middle = panel[
        panel.shape[0] // 2 - 9 : panel.shape[0] // 2 + 9, panel.shape[1] // 2 - 120 : panel.shape[1] // 2 - 80
    ]
    background = np.array([0xF4, 0xF2, 0xEC])
    is_line = np.abs(middle - background).max(axis=2) > 10
    assert 0.1 < is_line.mean() < 0.35
    assert np.abs(middle[~is_line] - background).max() <= 4
    assert middle[is_line].max() < 0xF0


def test_a_new_raster_with_other_missing_cells_needs_no_new_ink(
    load_grid: Callable[..., SharedData], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    first = MapRenderer(load_grid()).render(BESIDE)
    renderer = MapRenderer(load_grid())
    monkeypatch.setattr(MapRenderer, "_inks_for", lambda *_: pytest.fail("ink is drawn again"))
    np.testing.assert_array_equal(renderer.render(BESIDE).image, first.image)


def test_the_outside_is_flat_and_has_its_exact_color(load_grid: Callable[..., SharedData]) -> None:
    renderer = MapRenderer(load_grid(graticule={"show": False}))
    picture = renderer.render(BESIDE)
    box = renderer.style.layout.panel
    corner = picture.pixels[400 - box.top + 3 : 400 - box.top + 20, box.left + 3 : box.left + 20]
    assert (corner == [0xC1, 0xC7, 0xCD]).all()


def test_no_key_covers_the_scale_bar(load_grid: Callable[..., SharedData]) -> None:
    renderer = MapRenderer(load_grid(map={"size": (1400, 900)}))
    layers = [layer for layer in renderer.style.layers if type(layer).__name__ in ("Missing", "ScaleBar")]
    sheet = make_sheet(BESIDE, renderer.style)
    boxes = []
    for layer in layers:
        marks = [*layer.frame(renderer.style.layout), *layer.draw(sheet)]
        swatches = [mark.box for mark in marks if isinstance(mark, Rectangle) and mark.box.width > 2]
        boxes.append((min(box.left for box in swatches), max(box.right for box in swatches)))
    (_, keys), (bar, _) = sorted(boxes)
    assert keys + 60 < bar


@pytest.mark.parametrize("crs", ["EPSG:4326", "EPSG:5070", "+proj=stere +lat_0=90 +lon_0=-100"])
def test_the_outside_is_where_no_cell_is(crs: str) -> None:
    grid = GridGeometry(Affine(1, 0, -110, 0, -1, 50), 20, 20, LONLAT)
    to_map = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    x, y = to_map.transform([-118, -95, -95, -118], [35, 35, 55, 55])
    panel = PanelGrid(Extent(min(x), max(x), min(y), max(y)), 60, 40)
    found = outside_of(grid, panel, pyproj.CRS(crs))
    area = shapely.union_all(found.areas)
    for column, row in [(c + 0.5, r + 0.5) for c in range(0, 60, 7) for r in range(0, 40, 7)]:
        at = panel.extent.xmin + column * panel.pixel_width, panel.extent.ymax - row * panel.pixel_height
        longitude, latitude = to_map.transform(*at, direction="INVERSE")
        is_inside = -110 < longitude < -90 and 30 < latitude < 50
        near = min(abs(longitude + 110), abs(longitude + 90), abs(latitude - 30), abs(latitude - 50)) < 0.3
        assert near or is_inside is not bool(shapely.contains_xy(area, *at))


def test_a_grid_beyond_the_antimeridian_is_found_a_turn_further() -> None:
    grid = GridGeometry(Affine(1, 0, 240, 0, -1, 50), 20, 20, LONLAT)
    assert not outside_of(grid, PanelGrid(Extent(-118, -102, 32, 48), 60, 40), LONLAT).areas.size
    assert outside_of(grid, PanelGrid(Extent(-125, -102, 32, 48), 60, 40), LONLAT).areas.size == 1


@pytest.mark.parametrize("grid", GRIDS_AROUND_THE_EARTH.values(), ids=list(GRIDS_AROUND_THE_EARTH))
@pytest.mark.parametrize(
    "crs", ["EPSG:4326", "ESRI:54030", "ESRI:54009", "+proj=eqc +lon_0=150", "+proj=eqearth +lon_0=-100", "EPSG:8857"]
)
def test_the_outside_of_a_grid_around_the_earth(grid: GridGeometry, crs: str) -> None:
    to_map = pyproj.Transformer.from_crs("EPSG:4326", crs, always_xy=True)
    unit = 1 if crs == "EPSG:4326" else 1.1e5
    panel = PanelGrid(Extent(-190 * unit, 190 * unit, -100 * unit, 100 * unit), 380, 200)
    area = shapely.union_all(outside_of(grid, panel, pyproj.CRS(crs)).areas)
    assert area.area > 0
    for x, y in [(c * unit, r * unit) for c in range(-185, 190, 12) for r in range(-95, 100, 7)]:
        longitude, latitude = to_map.transform(x, y, direction="INVERSE")
        back = to_map.transform(longitude, latitude)
        is_on_earth = crs == "EPSG:4326" or np.hypot(back[0] - x, back[1] - y) < 1
        is_in_grid = is_on_earth and grid.extent.ymin <= latitude <= grid.extent.ymax
        point = shapely.Point(x, y)
        assert area.boundary.distance(point) < 2 * unit or is_in_grid is not bool(area.contains(point))


@pytest.mark.parametrize("crs", ["+proj=ortho +lat_0=40", "EPSG:3413", "+proj=laea +lat_0=-90", "+proj=igh"])
def test_an_earth_that_is_not_cut_at_a_meridian_has_no_outside(crs: str) -> None:
    panel = PanelGrid(Extent(-19e6, 19e6, -10e6, 10e6), 380, 200)
    assert not outside_of(GLOBAL, panel, pyproj.CRS(crs)).areas.size


@pytest.mark.parametrize("crs", ["EPSG:4326", "ESRI:54030", "EPSG:3857"])
def test_a_global_grid_has_no_outside(crs: str) -> None:
    panel = PanelGrid(Extent(-1e6, 1e6, -1e6, 1e6) if crs != "EPSG:4326" else Extent(-200, -100, 0, 50), 60, 40)
    assert not outside_of(GLOBAL, panel, pyproj.CRS(crs)).areas.size


def test_dashes_lie_on_the_line() -> None:
    line = shapely.LineString([(0, 0), (10, 0), (10, 10)])
    dashes = dashed(np.array([line]), 2, 1)
    assert len(dashes) == 7
    assert shapely.length(dashes).max() <= 2
    assert not dashed(np.empty(0, object), 2, 1).size
