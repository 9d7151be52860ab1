"""Classes and true color have the colors of the raster, in figures and pictures and with all start methods."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from test_plain_equals_fast import check_equal, saved

from regionplot.colors.check import color_problems
from regionplot.colors.classes import Classes, ClassScale, ValueClass
from regionplot.colors.key import planned_key
from regionplot.errors import ConfigError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.layers.legend import legend_grid
from regionplot.layers.stack import lay_out
from regionplot.prepare.run import prepared
from regionplot.render.renderer import MapRenderer
from regionplot.runs.digests import MapDigests
from regionplot.runs.run import render_regions
from regionplot.settings.loading import read_config
from regionplot.shared.data import SharedData
from regionplot.shared.load import LoadedCells
from regionplot.sheet.marks import INK
from regionplot.sheet.view import View

pytestmark = [pytest.mark.timeout(120, method="signal"), pytest.mark.usefixtures("read_in_process", "draw_in_process")]

SIZE = {"size": [500, 350]}
BACKGROUND = "#f4e0c0"
TABLE = {1: (70, 107, 160, 255), 2: (170, 0, 0, 255), 3: (104, 170, 99, 255), 4: (1, 2, 3, 255)}
GRID = Affine(0.1, 0, -100, 0, -0.1, 50)
INSIDE = Region("inside", Extent(-97, -92, 43, 47), title="Inside")
EDGE = Region("edge", Extent(-103, -96, 46, 52), title="Across the edge")
HOLE = Region("hole", Extent(-95.9, -95.1, 44.1, 44.9), title="A hole")
LAYER = {"path": "sample:states"}
CLASSES = [
    {"value": 1, "color": "#466ba0", "name": "Open water, and a name that is far too long for any legend " * 2},
    {"value": 2, "color": "red", "name": "Bebaute Fläche $x_1$"},
    {"value": 3, "color": "none", "name": "透明"},
]


@pytest.fixture
def cover(write_raster) -> Path:
    """Write land cover of 120 x 100 cells in degrees, with a hole."""
    codes = np.random.default_rng(1).integers(1, 5, (100, 120)).astype(np.uint8)
    codes[50:60, 40:50] = 9
    return write_raster(codes, GRID, colormap=TABLE, nodata=9, name="cover.tif")


@pytest.fixture
def image(write_raster) -> Path:
    """Write a smooth image of the same shape, with the same hole."""
    rows, columns = np.mgrid[:100, :120]
    bands = np.stack([rows * 2 + 20, columns * 2 + 10, 250 - rows - columns]).astype(np.uint8)
    bands[:, 50:60, 40:50] = 0
    return write_raster(bands, GRID, photometric="RGB", nodata=0, name="image.tif")


def sections(path: Path, **changes: Any) -> dict[str, Any]:
    raster = {"path": path, **changes.pop("raster", {})}
    paper = {**SIZE, "background": BACKGROUND, **changes.pop("map", {})}
    return {"raster": raster, "map": paper, "features": [LAYER], **changes}


def panel_of(shared: SharedData, region: Region) -> tuple[View, np.ndarray]:
    """Return the view, and the pixels of the panel inside the neatline."""
    layout = lay_out(shared.config, planned_key(shared.coloring))
    view = View.of(region, shared.crs, layout.panel, "datalim")
    top = layout.size[1] - view.box.top
    pixels = MapRenderer(shared).render(region).pixels
    return view, pixels[top : top + view.box.height, view.box.left : view.box.left + view.box.width][3:-3, 3:-3]


def cells_below(view: View, path: Path, band: int = 1) -> np.ndarray:
    """Return the cells under these pixels, read by rasterio; -1 outside of the grid."""
    panel, extent = view.panel, view.panel.extent
    x = extent.xmin + (np.arange(panel.width) + 0.5) * panel.pixel_width
    y = extent.ymax - (np.arange(panel.height) + 0.5) * panel.pixel_height
    with rasterio.open(path) as file:
        values, inverse = np.pad(file.read(band).astype(int), 1, constant_values=-1), ~file.transform
    columns = np.clip(np.floor(inverse.a * x + inverse.c).astype(int) + 1, 0, values.shape[1] - 1)
    rows = np.clip(np.floor(inverse.e * y + inverse.f).astype(int) + 1, 0, values.shape[0] - 1)
    return values[rows][:, columns][3:-3, 3:-3]


PAPER = (0xF4, 0xE0, 0xC0)


# colors


@pytest.mark.parametrize("region", [INSIDE, EDGE], ids=lambda region: region.name)
def test_each_class_has_the_color_of_the_color_table(load, cover, region: Region) -> None:
    shared = load(**sections(cover, output={"png": "rgb"}, features=[]))
    view, shown = panel_of(shared, region)
    lookup = np.array([PAPER] * 256)
    lookup[list(TABLE)] = [color[:3] for color in TABLE.values()]
    np.testing.assert_array_equal(shown, lookup[cells_below(view, cover)])


@pytest.mark.parametrize("region", [INSIDE, EDGE], ids=lambda region: region.name)
def test_each_pixel_of_a_true_color_map_has_the_color_of_its_cell(load, image, region: Region) -> None:
    shared = load(**sections(image, features=[]))
    view, shown = panel_of(shared, region)
    bands = np.stack([cells_below(view, image, band) for band in (1, 2, 3)], axis=-1)
    nothing = (bands <= 0).all(axis=-1)
    np.testing.assert_array_equal(shown, np.where(nothing[..., None], PAPER, bands))
    assert nothing.any()


@pytest.mark.parametrize("resampling", ["bilinear", "cubic", "average"])
@pytest.mark.parametrize("projection", ["raster", "EPSG:5070"])
def test_resampling_blends_colors_and_keeps_the_outline(load, image, resampling: str, projection: str) -> None:
    paper = {"projection": projection}
    near = MapRenderer(load(**sections(image, map=paper))).render(INSIDE).pixels.astype(int)
    mixed = MapRenderer(load(**sections(image, map=paper, raster={"resampling": resampling}))).render(INSIDE).pixels
    off = np.abs(near - mixed).max(axis=2)
    assert 0 < np.median(off[off > 0]) < 6
    assert (off > 6).mean() < 0.03  # along the edge of the hole


def test_a_half_transparent_pixel_is_blended_with_the_background(load, write_raster) -> None:
    bands = np.full((4, 20, 20), 200, np.uint8)
    bands[3, :, 10:], bands[3, :, :10] = 51, 255
    path = write_raster(bands, photometric="RGB", alpha="yes")
    shared = load(**sections(path, features=[]))
    _, shown = panel_of(shared, Region("all", Extent(-99, -81, 31, 49)))
    expected = [round(200 * 0.2 + paper * 0.8) for paper in PAPER]
    assert {tuple(pixel) for pixel in shown.reshape(-1, 3)} >= {(200, 200, 200), tuple(expected), PAPER}
    soft = MapRenderer(load(**sections(path, raster={"resampling": "bilinear"}))).render(INSIDE)
    assert not soft.no_data


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"colors": {"classes": CLASSES, "nodata": "grey", "label": "A $label$"}},
        {"colors": {"colorbar": False}},
        {"map": {"projection": "EPSG:5070", "size": [300, 200]}, "raster": {"resampling": "mode"}},
        {"map": {"fit": "exact", "dpi": 150}},
        {"run": {"memory": 1}},
    ],
    ids=["as it is", "named", "no legend", "projected", "exact", "memory"],
)
def test_the_figure_and_the_renderer_give_the_same_pixels(load, cover, image, changes: dict[str, Any]) -> None:
    check_equal(load(**sections(cover, output={"png": "rgb"}, **changes)), INSIDE, EDGE, HOLE)
    plain = {key: value for key, value in changes.items() if key != "colors"}
    check_equal(load(**sections(image, **plain)), INSIDE, EDGE, HOLE)


def test_a_hole_is_no_data_for_classes_and_for_true_color(load, cover, image) -> None:
    for path in (cover, image):
        renderer = MapRenderer(load(**sections(path)))
        assert renderer.render(HOLE).no_data
        assert not renderer.render(INSIDE).no_data


def test_maps_of_classes_have_a_palette_with_the_exact_colors(load, cover) -> None:
    full = MapRenderer(load(**sections(cover, output={"png": "rgb"}))).render(EDGE)
    small = MapRenderer(load(**sections(cover))).render(EDGE)
    assert small.palette is not None  # 256 entries, of which five colors are used
    off = np.abs(full.pixels.astype(int) - small.pixels).max(axis=2)
    assert off.max() <= 16
    colors = {*(color[:3] for color in TABLE.values()), PAPER}
    pure = np.array([tuple(pixel) in colors for pixel in full.pixels.reshape(-1, 3)])
    assert pure.mean() > 0.3
    assert not off.ravel()[pure].any()


def test_true_color_has_no_palette(load, image) -> None:
    assert MapRenderer(load(**sections(image))).render(EDGE).palette is None
    with pytest.raises(ConfigError, match=r"\[output.png\] mode: a palette needs levels or classes"):
        MapRenderer(load(**sections(image, output={"png": "palette"})))


def test_classifying_cells_or_pixels_gives_the_same_map(load, cover) -> None:
    shared = load(**sections(cover))
    values_loaded = replace(shared, loaded=LoadedCells(shared.geometry, values=shared.cells))
    one, many = MapRenderer(values_loaded, maps=0), MapRenderer(values_loaded, maps=100)
    assert one.style.cell_codes is None
    assert np.array_equal(many.style.cell_codes, MapRenderer(shared, maps=0).style.cell_codes)
    assert many.style.cell_codes is not None
    for region in (INSIDE, EDGE):
        np.testing.assert_array_equal(many.render(region).pixels, one.render(region).pixels)


@pytest.mark.parametrize("kind", ["cover", "image"])
def test_a_raster_read_in_parts_gives_the_same_pixels(load, write_raster, kind: str) -> None:
    codes = np.random.default_rng(1).integers(1, 5, (600, 600)).astype(np.uint8)
    if kind == "cover":
        path = write_raster(codes, Affine(0.02, 0, -100, 0, -0.02, 50), colormap=TABLE)
    else:
        path = write_raster(
            np.stack([codes, codes * 9, codes * 40]), Affine(0.02, 0, -100, 0, -0.02, 50), photometric="RGB"
        )
    whole, parts = load(**sections(path)), load(**sections(path, run={"memory": 1}))
    assert (whole.plan.reads_per_map, parts.plan.reads_per_map) == (False, True)
    for region in (INSIDE, EDGE):
        np.testing.assert_array_equal(
            MapRenderer(whole).render(region).pixels, MapRenderer(parts).render(region).pixels
        )


# the scale and the legend

VALUES = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=9),
    elements=st.sampled_from([-5, -3, -2, 0, 7, 7.5, 90, 91, 1e30, -1e30, np.nan, np.inf, -np.inf]),
)


@given(VALUES)
def test_values_have_the_row_of_their_class_and_other_values_have_none(values: np.ndarray) -> None:
    own = {-3: "red", 0: "blue", 7: "red", 90: "#01020304"}
    classes = Classes(tuple(ValueClass(value, color) for value, color in own.items()), ())
    config = read_config({"raster": {"path": "sample:relief"}})
    scale = ClassScale.of(classes, config)
    with np.errstate(invalid="ignore"):
        rows = scale.codes(values)
    expected = [scale.nodata if np.isnan(value) else {-3: 1, 0: 2, 7: 1, 90: 3}.get(value, 0) for value in values.flat]
    assert rows.ravel().tolist() == expected
    assert scale.rgba(rows[:1]).shape == (1, values.shape[1], 4)


def test_classes_of_a_raster_without_mask_and_scale_are_drawn(load, cover) -> None:
    raw = load(**sections(cover, raster={"mask_and_scale": False}))
    assert raw.raster.dtype == np.uint8
    expected = MapRenderer(load(**sections(cover))).render(INSIDE).pixels
    off = (MapRenderer(raw).render(INSIDE).pixels != expected).any(axis=2)
    assert off.mean() < 0.1  # the hole has the color of 9 in the table


def test_a_legend_has_only_a_swatch_and_a_name_for_each_class(load, cover) -> None:
    shared = load(**sections(cover, colors={"classes": CLASSES}))
    layout = lay_out(shared.config, planned_key(shared.coloring))
    pixels = MapRenderer(shared).render(INSIDE).pixels
    grid = legend_grid(layout)
    assert grid is not None
    for number, color in enumerate([(0x46, 0x6B, 0xA0), (255, 0, 0), PAPER]):
        box = grid.swatch_box(number)
        inner = pixels[350 - box.top + 2 : 350 - box.bottom - 2, box.left + 2 : box.right - 2]
        assert (inner == color).all()
        beside = pixels[350 - box.top : 350 - box.bottom, box.right : box.right + grid.name_width]
        assert (beside < 128).any()
    assert (pixels[350 - layout.panel.bottom + 2 :, : grid.box.left - 1] == 255).all()
    assert (pixels[350 - layout.panel.bottom + 2 :, grid.box.right :] == 255).all()
    assert (pixels[-2:] == 255).all()


def test_class_names_do_not_touch_the_next_swatch(load, write_raster) -> None:
    codes = np.arange(40, dtype=np.uint8).reshape(4, 10)
    classes = [{"value": v, "color": INK, "name": f"Mixed woodland WITH a long name {v}"} for v in range(40)]
    shared = load(**sections(write_raster(codes), colors={"classes": classes}, features=[]))
    grid = legend_grid(lay_out(shared.config, planned_key(shared.coloring)))
    pixels = MapRenderer(shared).render(Region("all", Extent(-99, -92, 46, 49))).pixels
    assert grid is not None
    assert grid.columns * grid.rows >= 40
    for number in range(40 - grid.rows):
        box, after = grid.swatch_box(number), grid.swatch_box(number + grid.rows)
        assert (pixels[350 - box.top : 350 - box.bottom, after.left - grid.gap : after.left - 1] == 255).all()


def test_the_legend_does_not_depend_on_the_region(load, cover) -> None:
    renderer = MapRenderer(load(**sections(cover, output={"png": "rgb"})))
    bottom = renderer.style.layout.panel.bottom
    frames = {renderer.render(region).pixels[350 - bottom + 2 :].tobytes() for region in (INSIDE, EDGE, HOLE)}
    assert len(frames) == 1


def test_an_unknown_color_is_reported_with_its_class(make_config) -> None:
    config = make_config(colors={"classes": [{"value": 1, "color": "red"}, {"value": 2, "color": "gren"}]})
    assert list(map(str, color_problems(config))) == [
        "[colors] classes #2 color: 'gren' is not a color; write a name or '#rrggbb'"
    ]


# the run


@pytest.mark.parametrize("kind", ["cover", "image"])
def test_all_start_methods_write_the_same_bytes_and_the_next_run_keeps_them(
    make_config, tmp_path, kind: str, request, draw_in_process
) -> None:
    draw_in_process.undo()
    path = request.getfixturevalue(kind)
    for method in ("serial", "fork", "forkserver"):
        run = {"start_method": method, "workers": 2}
        config = make_config(**sections(path, run=run, output={"directory": tmp_path / method}))
        for state in ("rendered", "unchanged"):
            report = render_regions([INSIDE, EDGE], config)
            assert [outcome.value.state for outcome in report.outcomes] == [state, state]
    for name in ("inside.png", "edge.png"):
        assert len({(tmp_path / method / name).read_bytes() for method in ("serial", "fork", "forkserver")}) == 1


def test_maps_are_redrawn_if_a_color_in_the_file_changes(load, write_raster) -> None:
    codes = np.ones((50, 50), np.uint8)
    digests = [
        MapDigests(load(**sections(write_raster(codes, colormap={1: color, 2: (1, 1, 1, 255)})))).of(INSIDE)
        for color in ((9, 9, 9, 255), (9, 9, 9, 255), (9, 9, 8, 255))
    ]
    assert digests[0] == digests[1] != digests[2]


def test_the_result_of_steps_is_numbers_and_can_have_classes(make_config, cover, image) -> None:
    step = {"step": "scale", "scale": 1}
    for path in (cover, image):
        numbers = prepared(make_config(**sections(path, prepare=[step])))
        assert SharedData.load(numbers).coloring is None
    config = prepared(make_config(**sections(cover, prepare=[step], colors={"classes": CLASSES}, features=[])))
    found, expected = (
        SharedData.load(config),
        SharedData.load(make_config(**sections(cover, colors={"classes": CLASSES}))),
    )
    assert found.coloring == Classes(
        tuple(ValueClass(item["value"], item["color"], item["name"].strip()) for item in CLASSES),
        tuple(ValueClass(item["value"], item["color"], item["name"].strip()) for item in CLASSES),
    )
    assert expected.coloring is not None


def test_wrong_resampling_is_found_before_maps_are_drawn(make_config, cover) -> None:
    config = make_config(**sections(cover, raster={"resampling": "cubic"}, run={"start_method": "fork"}))
    with pytest.raises(
        ConfigError, match=r"'cubic' produces values between the classes, but .*cover.tif holds classes"
    ):
        render_regions([INSIDE], config)
    config = make_config(**sections(cover, raster={"resampling": "bilinear"}, colors={"classes": CLASSES}))
    with pytest.raises(ConfigError, match=r"resampling: 'bilinear' .* \[colors\] classes are given"):
        render_regions([INSIDE], config)


@pytest.mark.parametrize("name", ["nlcd_zion_paletted.tif", "RGB.byte.tif", "rgb_webmercator_jpeg_overviews.tif"])
@pytest.mark.parametrize("projection", ["raster", "EPSG:4326"])
def test_real_files_are_drawn_the_same_way_twice(load, shared_data_folder, name: str, projection: str) -> None:
    shared = load(
        raster={"path": shared_data_folder / name}, map={**SIZE, "projection": projection}, output={"png": "rgb"}
    )
    extent = shared.info.geometry.extent
    region = Region(
        "middle", extent.resized(extent.width / 2, extent.height / 2), crs=shared.info.geometry.crs.to_wkt()
    )
    pixels = MapRenderer(shared).render(region).pixels
    np.testing.assert_array_equal(pixels, saved(shared, region))
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 8
