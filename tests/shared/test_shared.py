"""Only the cells that the regions need are loaded, or each map reads its own cells. The maps stay the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import Resampling

import regionplot
from regionplot.errors import ConfigError, NoOverlapError, RegionsError
from regionplot.geo.extent import Extent
from regionplot.geo.grid import Window
from regionplot.geo.region import Region
from regionplot.inputs.describe import inspect_raster
from regionplot.render.renderer import MapRenderer
from regionplot.shared.data import SharedData
from regionplot.shared.plan import plan_load

SHEET = {"size": [320, 240]}
REGIONS = [
    Region("small", Extent(-101, -99, 39, 40)),
    Region("edge", Extent(-121, -117, 44, 47)),
    Region("wide", Extent(-119, -81, 31, 49)),
]
WORLD_REGIONS = [Region("seam", Extent(170, 200, 40, 60)), Region("other turn", Extent(300, 330, -20, 10))]


@pytest.fixture
def large(write_raster):
    """A smooth grid of 40 x 20 degrees with a hole in it, in tiles and with overviews."""
    rows, columns = np.mgrid[0:1000, 0:2000]
    values = (1000 * np.sin(columns / 300) * np.cos(rows / 200)).astype(np.float32)
    values[:100, :100] = -9999
    path = write_raster(values, Affine(0.02, 0, -120, 0, -0.02, 50), nodata=-9999)
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2, 4, 8], Resampling.nearest)
    return path


@pytest.fixture
def configured(make_config):
    def config(path, *, memory=1000, projection="raster", resampling="nearest"):
        return make_config(
            raster={"path": path, "resampling": resampling},
            map={**SHEET, "projection": projection},
            colors={"levels": [-1000, -500, 0, 500, 1000]},
            run={"memory": memory},
        )

    return config


@pytest.mark.slow
@pytest.mark.parametrize("projection", ["raster", "EPSG:5070"])
@pytest.mark.parametrize("resampling", ["nearest", "bilinear"])
def test_maps_of_a_part_equal_maps_of_the_whole(configured, large, projection, resampling):
    config = configured(large, projection=projection, resampling=resampling)
    for regions in (REGIONS[:1], REGIONS[:2], REGIONS):
        part, whole = SharedData.load(config, regions), SharedData.load(config)
        assert part.raster.size < whole.raster.size or regions is REGIONS
        assert not part.plan.reads_per_map
        for region in regions:
            expected = MapRenderer(whole).render(region).pixels
            np.testing.assert_array_equal(MapRenderer(part).render(region).pixels, expected)


def test_coordinates_of_a_part_are_those_of_the_file(configured, large):
    part = SharedData.load(configured(large), REGIONS[:1])
    x, y = part.meshgrid
    np.testing.assert_allclose(part.raster["x"], x[0])
    np.testing.assert_allclose(part.raster["y"], y[:, 0])
    with rasterio.open(large) as file:
        row, column = file.index(float(x[3, 5]), float(y[3, 5]))
        assert file.read(1)[row, column] == part.raster.data[3, 5]
    assert part.raster.rio.transform() == part.geometry.transform
    assert not part.raster.data.flags.writeable


@pytest.mark.parametrize("projection", ["raster", "EPSG:5070"])
def test_each_map_reads_its_own_cells_beyond_the_memory_budget(configured, large, projection):
    """The maps are the same if the panel is as fine as the grid. If it is coarser, cells are thinned evenly."""
    config = configured(large, memory=1, projection=projection)
    windowed, whole = SharedData.load(config, REGIONS), SharedData.load(configured(large, projection=projection))
    assert windowed.plan.reads_per_map
    assert windowed.raster.size <= 1_000_000
    for region, same in zip(REGIONS, (1.0, 1.0, 0.97), strict=True):
        found, expected = (MapRenderer(data).render(region).pixels for data in (windowed, whole))
        assert (found == expected).all(axis=2).mean() >= same, region.name
    with pytest.raises(NoOverlapError):
        MapRenderer(windowed).render(Region("away", Extent(10, 20, 40, 50)))


FAR = [Region("west", Extent(-119, -118, 45, 46)), Region("east", Extent(-84, -83, 31, 32))]


@pytest.mark.parametrize(
    ("regions", "overviews", "colors", "are_loaded"),
    [
        (REGIONS[2:] * 2, None, {}, True),
        (REGIONS * 200, None, {}, True),
        (REGIONS[2:] * 2, Resampling.average, {}, True),
        (REGIONS[2:] * 2, Resampling.nearest, {}, False),
        (FAR, None, {}, False),
        (REGIONS[2:] * 2, None, {"levels": None}, False),
    ],
    ids=["same cells", "many regions", "averaged overviews", "usable overviews", "few cells", "continuous"],
)
def test_classes_are_loaded_if_their_values_do_not_fit(
    regions: list[Region], overviews: Any, colors: dict[str, Any], are_loaded: bool, make_config, write_raster
) -> None:
    """The values take 8 MB, and the classes 2 MB."""
    values = np.add.outer(np.arange(1000), np.arange(2000)).astype(np.float32)
    path = write_raster(values, Affine(0.02, 0, -120, 0, -0.02, 50))
    if overviews is not None:
        with rasterio.open(path, "r+") as file:
            file.build_overviews([2, 4], overviews)
    sections = {"map": SHEET, "colors": {"levels": [0, 900, 1400], **colors}}
    config, usual = (
        make_config(raster={"path": path}, run={"memory": megabytes}, **sections) for megabytes in (4, 1000)
    )
    data = SharedData.load(config, regions)
    assert (data.codes is not None, data.plan.reads_per_map) == (are_loaded, not are_loaded)
    if are_loaded:
        found, expected = (MapRenderer(each).render(regions[0]) for each in (data, SharedData.load(usual, regions)))
        np.testing.assert_array_equal(found.pixels, expected.pixels)


@pytest.mark.parametrize("west", [-180, 0])
@pytest.mark.parametrize("memory", [1, 1000])
def test_a_grid_around_the_world_has_no_seam(configured, write_raster, west, memory):
    longitude = np.mod(west + 0.0625 + 0.125 * np.arange(2880), 360)
    values = np.broadcast_to(np.where(longitude > 185, 800, -800), (1440, 2880)).astype(np.float32)
    config = configured(write_raster(values, Affine(0.125, 0, west, 0, -0.125, 90)), memory=memory)
    data = SharedData.load(config, WORLD_REGIONS)
    assert data.plan.reads_per_map == (memory == 1)
    expected = MapRenderer(SharedData.load(configured(config.raster.path))).render(WORLD_REGIONS[0])
    found = MapRenderer(data).render(WORLD_REGIONS[0])
    np.testing.assert_array_equal(found.pixels, expected.pixels)
    panel = found.pixels[100:150, 40:280]
    assert (panel[:, 0] != panel[:, -1]).any()
    assert (np.diff(panel[..., 0].astype(int), axis=1) != 0).sum(axis=1).max() == 1


def test_the_whole_raster_is_loaded_for_many_regions(configured, large):
    config = configured(large)
    info = inspect_raster(config.raster)
    assert plan_load(config, info, REGIONS[:1]).window != info.geometry.full_window
    assert plan_load(config, info, REGIONS[:1] * 1000).window == info.geometry.full_window
    assert plan_load(config, info, REGIONS[:1] * 100).window == info.geometry.full_window, "quicker than 99 windows"
    assert plan_load(config, info, REGIONS[:1] * 100, budget=info.geometry.full_window.cells).window.width < 2000
    assert plan_load(config, info, [Region("away", Extent(10, 20, 40, 50))]).window == Window(0, 0, 1000, 2000)


def test_a_region_just_beyond_the_edge_does_not_affect_others(configured, large):
    """The window of the region, with its margin, contains only the last row. No window reaches beyond the grid."""
    config = configured(large)
    info = inspect_raster(config.raster)
    heights = set()
    for south in np.arange(27.0, 30.0, 0.01):
        plan = plan_load(config, info, [Region("beyond", Extent(-100, -99.5, south - 0.2, south))])
        heights.add(plan.window.height)
        assert plan.window.row_off + plan.window.height <= info.geometry.height
        if plan.window.height == 1:
            assert SharedData.load(config, plan=plan).raster.shape == (1, plan.window.width)
    assert 1 in heights


@pytest.mark.parametrize("wrong", [5, "maps.toml", [], {}])
def test_arguments_of_another_type_are_refused_with_the_right_type(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=r"the settings are of type \w+; pass a Config from regionplot.read_config"):
        SharedData.load(wrong)
    with pytest.raises(ConfigError, match=r"the settings are of type \w+; pass a Config from regionplot.read_config"):
        regionplot.render_regions("regions.csv", wrong, decorate=print)
    with pytest.raises(ConfigError, match=r"the data are of type \w+; pass SharedData"):
        regionplot.MapRenderer(wrong)
    if not isinstance(wrong, str):
        with pytest.raises(RegionsError, match=r"the table is of type \w+; pass a path"):
            regionplot.read_regions(wrong)
    if not isinstance(wrong, str | dict):
        with pytest.raises(ConfigError, match=r"the settings are of type \w+; pass a path or a mapping"):
            regionplot.read_config(wrong)
