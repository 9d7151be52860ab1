"""`plot_region` and `MapRenderer.render` give the same pixels for all styles."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from affine import Affine
from PIL import Image
from shapely import to_wkb
from shapely.geometry import Point, box

from regionplot.errors import ConfigError, NoOverlapError, RegionError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render.figure import plot_region
from regionplot.render.renderer import MapRenderer
from regionplot.shared.data import SharedData
from regionplot.shared.load import LoadedCells

AREA = to_wkb(box(-82, 34.5, -77, 36))
CAROLINA = Region("nc", Extent(-84.5, -75.3, 33.8, 36.7), title="North Carolina", shape=AREA)
ALASKA = Region("ak", Extent(-170, -140, 55, 71), title="Alaska: " + "a very long title, with $math$ and ümlauts " * 8)
LAYERS = [{"path": "sample:counties", "linewidth": 0.3, "edgecolor": "#00000070"}, {"path": "sample:states"}]
LAMBERT = {"name": "LambertConformal", "central_longitude": -96, "standard_parallels": [33, 45]}
SMALL = {"size": [300, 200]}

STYLES: dict[str, dict[str, Any]] = {
    "levels": {"colors": {"levels": [-5000, -100, 0, 100, 500, 1000], "under": "navy"}, "features": LAYERS},
    "many levels": {"colors": {"levels": [*range(-5000, 5000, 100)], "colormap": "terrain"}},
    "continuous": {"features": LAYERS},
    "log": {"colors": {"norm": "log", "nodata": "grey"}},
    "symlog, no bar": {"colors": {"norm": "symlog", "colorbar": False}},
    "exact": {"map": {"fit": "exact", "size": [421, 270]}, "features": LAYERS},
    "filled": {"features": [{"path": "sample:states", "facecolor": "#ff880080", "linewidth": 1.5}]},
    "Albers": {"map": {"projection": "EPSG:5070"}, "features": LAYERS},
    "Lambert, bilinear": {"map": {"projection": LAMBERT}, "raster": {"resampling": "bilinear"}, "features": LAYERS},
    "small": {"map": SMALL, "features": LAYERS},
    "dpi 200": {"map": {"dpi": 200}, "features": LAYERS},
    "graticule": {"features": LAYERS, "graticule": {}},
    "graticule in Albers": {"map": {"projection": "EPSG:5070"}, "features": LAYERS, "graticule": {"spacing": 2.5}},
    "graticule around the pole": {"map": {"projection": {"name": "NorthPolarStereo"}}, "graticule": {"halo": "none"}},
    "casing": {"features": [{"path": "sample:states", "casing": "#ffffffa6", "linewidth": 1.1}]},
    "contours": {"contours": [{"interval": 200, "smooth": 5, "highs_lows": True}], "graticule": {}},
    "atlas": {
        "map": {"style": "atlas", "subtitle": "Height", "upper_right": "{raster}", "lower_right": "{variable}"},
        "features": [{"path": "sample:states", "kind": "states"}],
        "credit": {"lines": ["Relief: ETOPO5", "Boundaries: US Census Bureau"]},
    },
    "focus": {"features": LAYERS, "focus": {}, "map": {"projection": "EPSG:5070"}},
    "atlas in Albers, shaded": {
        "map": {"style": "atlas", "projection": "EPSG:5070"},
        "raster": {"resampling": "cubic"},
        "shading": {},
    },
    "furniture": {
        "map": {"projection": "EPSG:5070", "size": [700, 450]},
        "features": LAYERS,
        "locator": {"path": "sample:countries"},
        "north_arrow": {"min_angle": 0},
        "region_box": {},
        "logo": {"path": str(Path(matplotlib.get_data_path()) / "images/matplotlib.png"), "opacity": 0.7},
    },
    "furniture in one color": {
        "colors": {"levels": [0, 1000]},
        "map": {"projection": "EPSG:5070"},
        "north_arrow": {"halo": "none", "min_angle": 0},
        "region_box": {"casing": "none", "color": "#222222"},
    },
    "background": {"map": {"background": "#f4e0c0"}, "colors": {"levels": [0, 1000], "under": "none", "over": "none"}},
}


@pytest.fixture
def load_small(load):
    """Load data for sheets of 420 x 270 pixels, unless the style sets another size."""

    def small(**sections: Any) -> SharedData:
        raster = {"path": "sample:relief", **sections.pop("raster", {})}
        output = {"png": "rgb", **sections.pop("output", {})}
        return load(raster=raster, map={"size": [420, 270], **sections.pop("map", {})}, output=output, **sections)

    return small


def saved(shared: SharedData, region: Region) -> np.ndarray:
    """Return the pixels of the image that a user saves."""
    buffer = io.BytesIO()
    plot_region(shared, region).savefig(buffer, format="png", pil_kwargs={"compress_level": 1})
    return np.asarray(Image.open(buffer).convert("RGB"))


def check_equal(shared: SharedData, *regions: Region) -> None:
    renderer = MapRenderer(shared)
    for region in regions:
        pixels = renderer.render(region).pixels
        np.testing.assert_array_equal(pixels, saved(shared, region))
        assert len({color.tobytes() for color in pixels[::3, ::3].reshape(-1, 3)}) > 5


@pytest.mark.parametrize("style", STYLES.values(), ids=STYLES)
def test_the_figure_and_the_renderer_give_the_same_pixels(load_small, style: dict[str, Any]) -> None:
    shared = load_small(**style)
    check_equal(shared, CAROLINA, ALASKA)


def test_figure_and_map_are_equal_for_points_nodata_and_a_grid_across_the_antimeridian(
    load_small, write_raster, write_vector
) -> None:
    values = np.arange(60 * 40, dtype=np.float32).reshape(40, 60)
    values[:20, :20] = -1
    raster = {"path": write_raster(values, Affine(1, 0, 160, 0, -1, 60), nodata=-1)}
    points = write_vector([Point(175, 30), Point(-175, 35)], name="points.shp")
    areas = write_vector([box(-179, 25, -170, 30), box(170, 22, 180, 27)], name="areas.shp")
    features = [{"path": areas, "facecolor": "gold"}, {"path": points, "facecolor": "red"}]
    shared = load_small(raster=raster, features=features)
    empty = Region("empty", Extent(161, 170, 45, 59))
    check_equal(
        shared, Region("both sides", Extent(165, 200, 20, 45)), empty, Region("west", Extent(-200, -170, 20, 50))
    )
    renderer = MapRenderer(shared)
    assert renderer.render(empty).no_data
    assert not renderer.render(Region("all", Extent(160, 220, 20, 60))).no_data


def test_drawing_a_map_again_gives_the_same_pixels(load_small) -> None:
    renderer = MapRenderer(load_small(features=LAYERS))
    first = renderer.render(CAROLINA)
    renderer.render(ALASKA)
    np.testing.assert_array_equal(renderer.render(CAROLINA).pixels, first.pixels)
    assert first.title == "North Carolina"
    assert first.pixels.shape == (270, 420, 3)


def test_the_host_s_style_does_not_change_a_map(load_small) -> None:
    shared = load_small()
    expected = MapRenderer(shared).render(CAROLINA).pixels
    with matplotlib.rc_context({"font.size": 30, "lines.linewidth": 9, "axes.facecolor": "red", "image.cmap": "hot"}):
        np.testing.assert_array_equal(MapRenderer(shared).render(CAROLINA).pixels, expected)


@pytest.mark.parametrize("draw", [lambda shared, region: MapRenderer(shared).render(region), plot_region])
def test_the_figure_and_the_renderer_reject_the_same_regions(load_small, draw) -> None:
    shared = load_small(map={"title": "{title} {state}"})
    with pytest.raises(NoOverlapError, match=r"x 10 to 20, y 40 to 50.* does not overlap .*x -170\.0"):
        draw(shared, Region("europe", Extent(10, 20, 40, 50)))
    with pytest.raises(RegionError, match="there is no field 'state'"):
        draw(shared, CAROLINA)


def test_a_raster_that_is_too_small_to_see_is_reported_as_such(make_config, write_raster) -> None:
    path = write_raster(np.ones((5, 5)), Affine(1e-4, 0, -100, 0, -1e-4, 40))
    shared = SharedData.load(make_config(raster={"path": path}))
    with pytest.raises(
        NoOverlapError, match=r"the part of the raster .* is smaller than a pixel of the map; use a smaller region"
    ):
        MapRenderer(shared).render(Region("world", Extent(-170, 170, -80, 80)))


INK = "#203040"
PALETTES: dict[str, dict[str, Any]] = {
    "levels": {"colors": {"levels": [-5000, -100, 0, 100, 500, 1000], "under": "navy"}},
    "no lines": {"colors": {"levels": [0, 1000]}, "features": []},
    "no bar": {"colors": {"levels": [0, 500, 1000, 2000], "colorbar": False}, "map": {"background": "#f4e0c0"}},
    "exact": {"colors": {"levels": [0, 500, 1000, 2000]}, "map": {"fit": "exact", "size": [421, 270]}},
    "18 classes": {"colors": {"levels": [*range(-1800, 1800, 200)], "colormap": "terrain"}},
    "graticule": {
        "colors": {"levels": [0, 500, 1000]},
        "features": [{"path": "sample:states", "edgecolor": INK}],
        "graticule": {"color": INK, "halo": "none"},
    },
    "an ink": {
        "colors": {"levels": [0, 500, 1000]},
        "features": [{"path": "sample:states", "edgecolor": INK, "linewidth": 2, "facecolor": f"{INK}30"}],
    },
}


@pytest.mark.parametrize("style", PALETTES.values(), ids=PALETTES)
def test_a_palette_has_the_exact_class_colors_and_similar_other_colors(load_small, style: dict[str, Any]) -> None:
    """No channel differs by more than 16 of 255. Pixels that show only a class do not differ."""
    style = {"features": [{"path": "sample:states"}], **style}
    full = MapRenderer(load_small(**style))
    small = MapRenderer(load_small(**style, output={"png": "palette"}))
    for region in (CAROLINA, ALASKA):
        expected, found = full.render(region), small.render(region)
        assert expected.palette is None
        assert found.palette is not None
        assert len(found.palette) <= 256
        off = np.abs(expected.pixels.astype(int) - found.pixels.astype(int)).max(axis=2)
        assert off.max() <= 16
        classes = np.unique(full.style.scale.palette[:, :3], axis=0)
        pure = (expected.pixels.reshape(-1, 1, 3) == classes).all(axis=2).any(axis=1)
        assert pure.mean() > 0.2
        assert not off.ravel()[pure].any()


@pytest.mark.parametrize(
    "style",
    [
        {},
        {"colors": {"levels": [*range(-2000, 2000, 100)]}},
        {"colors": {"levels": [0, 1000]}, "features": [*LAYERS, {"path": "sample:countries", "edgecolor": "red"}]},
        {"colors": {"levels": [0, 1000]}, "features": [{"path": "sample:states", "edgecolor": "white"}]},
    ],
    ids=["continuous", "too many classes", "two inks", "a light ink"],
)
def test_maps_that_no_palette_can_hold_are_rgb_images(load_small, style: dict[str, Any]) -> None:
    picture = MapRenderer(load_small(**style, output={"png": "auto"})).render(CAROLINA)
    assert picture.palette is None
    assert picture.image.shape == (270, 420, 3)


@pytest.mark.parametrize("projection", ["raster", "EPSG:5070"])
def test_classifying_cells_or_pixels_gives_the_same_map(load_small, write_raster, projection: str) -> None:
    values = np.random.default_rng(3).normal(0, 500, (120, 200)).astype(np.float32)
    values[30:60, 50:90] = -9999
    raster = {"path": write_raster(values, Affine(0.5, 0, -150, 0, -0.5, 70), nodata=-9999)}
    shared = load_small(raster=raster, map={"projection": projection}, colors={"levels": [-500, 0, 100, 500]})
    values_loaded = replace(shared, loaded=LoadedCells(shared.geometry, values=shared.cells))
    one, many = MapRenderer(values_loaded, maps=0), MapRenderer(values_loaded, maps=100)
    assert one.style.cell_codes is None
    assert np.array_equal(many.style.cell_codes, MapRenderer(shared, maps=0).style.cell_codes)
    assert many.style.cell_codes is not None
    hole = Region("hole", Extent(-122, -112, 43, 53))
    for region in (CAROLINA, Region("wide", Extent(-160, -40, 10, 75)), hole):
        found = many.render(region)
        np.testing.assert_array_equal(found.pixels, one.render(region).pixels)
        assert found.no_data == (region is hole and projection == "raster")  # limits in Albers are wider
    with pytest.raises(NoOverlapError):
        many.render(Region("away", Extent(10, 20, 30, 40)))


def test_an_impossible_palette_is_an_error(load_small) -> None:
    with pytest.raises(ConfigError, match=r"\[output.png\] mode: a palette"):
        MapRenderer(load_small(output={"png": "palette"}))
