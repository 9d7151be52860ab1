"""Shared data give functions of the user cells, lines, axes and colors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cartopy.crs as ccrs
import numpy as np
import pytest
import shapely
from affine import Affine
from cartopy.feature import ShapelyFeature
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

import regionplot
from regionplot import Extent, Region
from regionplot.render.own import pixels_of
from regionplot.shared.data import SharedData
from regionplot.shared.plan import plan_load

CAROLINA = Region("nc", Extent(-84.5, -75.3, 33.8, 36.7))
STATES = {"features": [{"path": "sample:states", "linewidth": 2.0, "edgecolor": "red"}], "map": {"size": [300, 200]}}


def test_a_cut_is_a_view_of_the_cells_that_the_map_needs(load: Callable[..., SharedData]) -> None:
    shared = load(map={"projection": "EPSG:5070"})
    cut = shared.cut(CAROLINA)
    assert np.shares_memory(cut.data, shared.cells)
    assert not cut.data.flags.writeable
    assert cut.size < shared.raster.size / 10
    assert cut.x.min() < -84.5 < -75.3 < cut.x.max()
    assert cut.y.min() < 33.8 < 36.7 < cut.y.max()
    same = shared.raster.sel(x=cut.x, y=cut.y, method="nearest", tolerance=1e-9)
    assert (same.data == cut.data).all()
    left, _, _, top = (cut.rio.transform()[index] for index in (2, 0, 4, 5))
    assert left == pytest.approx(float(cut.x[0]) - abs(cut.rio.transform().a) / 2)
    assert top == pytest.approx(float(cut.y[0]) + abs(cut.rio.transform().e) / 2)
    assert cut.rio.crs == shared.raster.rio.crs


@pytest.mark.parametrize("pixel_cells", [1, 0.5, 2.0])
def test_a_cut_is_thinned_if_asked(pixel_cells: float, write_raster: Callable[..., Path], make_config: Any) -> None:
    values = np.arange(900 * 1200, dtype=np.float64).reshape(900, 1200)
    path = write_raster(values, Affine(0.01, 0, -100, 0, -0.01, 50))
    shared = SharedData.load(make_config(raster={"path": path}, map={"size": [300, 200]}))
    region = Region("all", Extent(-99, -89, 42, 49))
    full, thin = shared.cut(region), shared.cut(region, pixel_cells)
    step = round(float(thin.x[1] - thin.x[0]) / 0.01)
    assert step == (1 if pixel_cells > 3 else int(cells_per_pixel(shared, region) / pixel_cells))
    assert np.shares_memory(thin.data, shared.cells)
    near = full.sel(x=thin.x, y=thin.y, method="nearest")
    assert abs(near.data - thin.data).max() <= 1200 + 1  # a cell in the middle of the block
    assert thin.shape[0] == pytest.approx(full.shape[0] / step, abs=1.01)


def cells_per_pixel(shared: SharedData, region: Region) -> float:
    """Return the number of cells along the side of a pixel of a map in the raster's CRS."""
    (left, right), box = shared.axes(region).get_xlim(), shared.axes(region).bbox
    return (right - left) / box.width / 0.01


def test_cells_beyond_the_memory_limit_are_read_from_the_file(make_config: Any, load: Any) -> None:
    config, whole = make_config(), load()
    plan = plan_load(config, whole.info, budget=1000)
    shared = SharedData.load(config, plan=plan)
    assert plan.reads_per_map
    xr_equal = shared.cut(CAROLINA).equals(whole.cut(CAROLINA))
    assert xr_equal


def test_a_cut_follows_the_limits_and_the_projection_of_axes(load: Callable[..., SharedData]) -> None:
    shared = load()
    axes = Figure(figsize=(4, 4)).add_subplot(projection=ccrs.AlbersEqualArea(-96, 37.5))
    axes.set_extent((-84.5, -75.3, 33.8, 36.7), ccrs.PlateCarree())
    axes.set_adjustable("datalim")
    cut = shared.cut(axes)
    assert cut.x.min() < -84.5 < -75.3 < cut.x.max() < -60
    assert cut.y.min() < 32  # the axes are square
    assert shared.cut(Extent(-80, -79, 35, 36)).size < cut.size


def test_an_area_outside_the_raster_is_an_error(load: Callable[..., SharedData]) -> None:
    with pytest.raises(regionplot.NoOverlapError, match="does not overlap the raster"):
        load().cut(Region("china", Extent(90, 100, 30, 40)))
    with pytest.raises(regionplot.ConfigError, match="pass a Region, an Extent or axes"):
        load().cut("nc")


def test_lines_are_projected_and_clipped(load: Callable[..., SharedData]) -> None:
    shared = load(**{**STATES, "map": {"projection": "EPSG:5070"}})
    lines = shared.lines("states", CAROLINA)
    west, south, east, north = shapely.total_bounds(lines.geometries)
    panel = shared.axes(CAROLINA)
    assert panel.get_xlim()[0] - 50_000 < west < east < panel.get_xlim()[1] + 50_000
    assert panel.get_ylim()[0] - 50_000 < south < north < panel.get_ylim()[1] + 50_000
    assert isinstance(lines.collection, LineCollection)
    assert isinstance(lines.feature, ShapelyFeature)
    assert lines.feature.crs == panel.projection


def test_both_forms_of_lines_draw_the_same_pixels(load: Callable[..., SharedData]) -> None:
    shared = load(**STATES)
    drawn = []
    for form in ("collection", "feature"):
        axes = shared.axes(CAROLINA)
        lines = shared.lines("states", CAROLINA)
        if form == "collection":
            axes.add_collection(lines.collection)
        else:
            axes.add_feature(lines.feature)
        drawn.append(pixels_of(axes.figure).astype(int))
    is_red = (drawn[0][..., 0] > 200) & (drawn[0][..., 1] < 100)
    assert is_red.sum() > 300
    assert (abs(drawn[0] - drawn[1]).max(axis=2) > 64).mean() < 0.002


def test_an_unknown_layer_is_an_error_that_names_the_layers(load: Callable[..., SharedData]) -> None:
    with pytest.raises(regionplot.ConfigError, match=r"no vector layer 'counties'; the layers are 'states'"):
        load(**STATES).lines("counties", CAROLINA)
    with pytest.raises(regionplot.ConfigError, match=r"the settings have no \[\[features\]\]"):
        load().lines("counties", CAROLINA)


def test_axes_have_the_size_and_the_panel_of_the_map(load: Callable[..., SharedData]) -> None:
    shared = load(map={"projection": "EPSG:5070", "size": [700, 450], "dpi": 50})
    axes, expected = shared.axes(CAROLINA), regionplot.plot_region(shared, CAROLINA).axes[0]
    assert tuple(axes.figure.get_size_inches() * axes.figure.dpi) == (700, 450)
    assert axes.get_xlim() == expected.get_xlim()
    assert axes.bbox.bounds == pytest.approx(expected.bbox.bounds)
    assert type(axes).__name__ == "GeoAxes"


@pytest.mark.parametrize("projection", ["raster", "EPSG:5070"])
def test_cells_are_drawn_with_the_colors_of_the_map(projection: str, load: Callable[..., SharedData]) -> None:
    shared = load(colors={"levels": [0, 100, 300, 1000]}, map={"projection": projection, "size": [300, 200]})
    axes = shared.axes(CAROLINA)
    axes.spines["geo"].set_visible(False)
    shared.pcolormesh(axes)
    box = [round(edge) for edge in axes.bbox.extents]
    found = pixels_of(axes.figure)[200 - box[3] : 200 - box[1], box[0] : box[2], :3]
    map_pixels = regionplot.MapRenderer(shared).render(CAROLINA).pixels
    expected = map_pixels[200 - box[3] : 200 - box[1], box[0] : box[2]]
    inner = np.s_[3:-3, 3:-3]  # without the neatline
    assert (abs(found[inner].astype(int) - expected[inner]).max(axis=2) <= 1).mean() > 0.999


@pytest.mark.parametrize("flipped", [False, True])
def test_pcolormesh_draws_the_pixels_of_matplotlib(flipped: bool, write_raster: Any, make_config: Any) -> None:
    values = np.random.default_rng(3).normal(size=(30, 40))
    values[5:9, 7:12] = np.nan
    shared = SharedData.load(make_config(raster={"path": write_raster(values)}))
    pixels = []
    for draw in ("shared", "matplotlib"):
        axes = Figure(figsize=(4.03, 3.01)).add_axes((0.113, 0.127, 0.8, 0.8))
        if draw == "shared":
            shared.pcolormesh(axes, cmap="viridis", norm=None)
        else:
            axes.pcolormesh(shared.raster.x, shared.raster.y, shared.raster, cmap="viridis", norm=shared.norm)
        axes.set_xlim(-95, -65)
        axes.set_ylim(*((51, 25) if flipped else (25, 51)))
        pixels.append(pixels_of(axes.figure).astype(int))
    assert (abs(pixels[0] - pixels[1]).max(axis=2) <= 1).mean() > 0.999


def test_classes_have_a_colormap_and_a_norm(
    load: Callable[..., SharedData], write_raster: Any, make_config: Any
) -> None:
    classes = [{"value": 1, "color": "red"}, {"value": 5, "color": "#0000ff"}]
    raster = write_raster(np.array([[1, 5], [5, 7]], np.uint8))
    shared = SharedData.load(make_config(raster={"path": raster}, colors={"classes": classes}))
    colors = shared.cmap(shared.norm(np.array([1.0, 5.0, np.nan])))
    assert colors[:2].tolist() == [[1, 0, 0, 1], [0, 0, 1, 1]]
    levels = load(colors={"levels": [0, 10, 20]})
    assert levels.norm(15) == 1


def test_true_color_has_no_colormap(write_raster: Any, make_config: Any) -> None:
    bands = np.full((3, 20, 20), 90, np.uint8)
    path = write_raster(bands, photometric="RGB")
    shared = SharedData.load(make_config(raster={"path": path}))
    with pytest.raises(regionplot.ConfigError, match="true color"):
        _ = shared.cmap
