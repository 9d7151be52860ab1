"""The cells of a region and their statistics, compared with NumPy and exact positions."""

from __future__ import annotations

import math

import numpy as np
import pyproj
import pytest
from affine import Affine

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.geo.statistics import Statistics
from regionplot.shared.data import SharedData
from regionplot.shared.statistics import region_cells, valid_share

LEVELS = {"levels": [-1, 0, 1]}
NORMAL = Affine(0.5, 0, -100, 0, -0.5, 50)
UTM = Affine(20_000, 0, 200_000, 0, -20_000, 5_600_000)
DEGREES, METERS = "EPSG:4326", "EPSG:5070"
GRIDS = {
    "same axes": (NORMAL, DEGREES, "raster", 0.05),
    "rows from the south": (Affine(0.5, 0, -100, 0, 0.5, 20), DEGREES, "raster", 0.05),
    "columns from the east": (Affine(-0.5, 0, -60, 0, -0.5, 50), DEGREES, "raster", 0.05),
    "from 0 to 360": (Affine(0.5, 0, 260, 0, -0.5, 50), DEGREES, "raster", 0.05),
    "maps in meters": (NORMAL, DEGREES, METERS, 8000),
    "grid in meters": (UTM, "EPSG:32614", DEGREES, 0.05),
    "rotated": (NORMAL @ Affine.rotation(20), DEGREES, "raster", 0.05),
    "rotated, maps in meters": (NORMAL @ Affine.rotation(-30), DEGREES, METERS, 8000),
}
"""Transform, CRS of the grid, projection of the maps, and more than the largest error of a position in map units."""
REGION = Region("middle", Extent(-96.2, -88.1, 38.3, 44.6))


def _load(make_config, path, regions=None, **sections):
    config = make_config(raster={"path": path}, colors=LEVELS, **{"map": {"size": [300, 200]}, **sections})
    return SharedData.load(config, regions)


def _center_positions(shared):
    """Return x and y of the centers of all loaded cells, in the CRS of the maps."""
    geometry = shared.geometry
    columns, rows = np.meshgrid(np.arange(geometry.width) + 0.5, np.arange(geometry.height) + 0.5)
    to_map = pyproj.Transformer.from_crs(geometry.crs, shared.crs, always_xy=True)
    x, y = to_map.transform(*geometry.coordinates(columns, rows))
    return (x + 180) % 360 - 180 if shared.crs.is_geographic else x, y


def _within(x, y, extent, margin):
    across = (x > extent.xmin - margin) & (x < extent.xmax + margin)
    return across & (y > extent.ymin - margin) & (y < extent.ymax + margin)


@pytest.mark.parametrize("kind", GRIDS)
def test_cells_are_those_whose_centers_lie_in_the_region(kind, make_config, write_raster):
    affine, crs, projection, margin = GRIDS[kind]
    cells = np.arange(60 * 80, dtype=np.float32).reshape(60, 80)
    path = write_raster(cells, affine, crs)
    shared = _load(make_config, path, map={"size": [300, 200], "projection": projection})
    limits = pyproj.Transformer.from_crs("EPSG:4326", shared.crs, always_xy=True).transform_bounds(
        *(REGION.extent.xmin, REGION.extent.ymin, REGION.extent.xmax, REGION.extent.ymax)
    )
    extent = Extent(limits[0], limits[2], limits[1], limits[3])
    region = Region("middle", extent, crs=METERS if projection == METERS else DEGREES)
    found = region_cells(shared, region)
    x, y = _center_positions(shared)
    inner, outer = (set(cells[_within(x, y, extent, sign * margin)].tolist()) for sign in (-1, 1))
    picked = found.values[found.valid].tolist()
    assert inner <= set(picked) <= outer
    assert len(picked) == len(set(picked)) > 50
    row, column = np.argwhere(found.valid)[0]
    at = found.geometry.coordinates(column + 0.5, row + 0.5)
    whole = shared.geometry.columns_and_rows(*at)
    assert cells[int(whole[1]), int(whole[0])] == found.values[row, column], "the geometry is that of the values"


def test_statistics_are_those_of_numpy_in_the_units_of_the_scale(make_config, write_raster):
    cells = np.random.default_rng(2).uniform(250, 310, (30, 40)).astype(np.float32)
    cells[3:6, 4:9] = -9999
    path = write_raster(cells, nodata=-9999, tags={"units": "K"})
    with_units = {"colors": {"levels": [0, 10, 20], "units": "degC"}}
    config = make_config(raster={"path": path}, map={"size": [300, 200]}, **with_units)
    shared = SharedData.load(config)
    if shared.info.units != "K":
        pytest.fail(f"the raster states {shared.info.units!r}")
    found = region_cells(shared, Region("r", Extent(-97, -85, 40, 48))).statistics([10, 50])
    own = cells[2:10, 3:15]
    valid = own[own > 0].astype(float) - 273.15
    assert (found.count, found.total) == (valid.size, own.size)
    assert found.valid == pytest.approx(valid.size / own.size)
    expected = valid.min(), valid.max(), valid.mean(), np.percentile(valid, 10), np.percentile(valid, 50)
    assert (found.min, found.max, found.mean, *found.percentiles.values()) == pytest.approx(expected, abs=1e-4)


def test_cells_are_the_same_if_each_map_reads_its_own(make_config, write_raster, monkeypatch):
    path = write_raster(np.random.default_rng(2).uniform(0, 1, (60, 80)).astype(np.float32), NORMAL)
    region = Region("r", Extent(-95.2, -87.1, 33.3, 41.2))
    loaded = _load(make_config, path, [region])
    monkeypatch.setattr("regionplot.shared.plan.memory_budget", lambda _memory: 1)
    read = _load(make_config, path, [region])
    assert (loaded.plan.reads_per_map, read.plan.reads_per_map) == (False, True)
    assert region_cells(read, region).statistics([50]) == region_cells(loaded, region).statistics([50])
    assert valid_share(read, region) == 1


def test_a_region_between_the_centers_of_cells_has_the_cells_below_it(make_config, write_raster):
    path = write_raster(np.arange(600.0).reshape(20, 30))
    shared = _load(make_config, path)
    assert region_cells(shared, Region("r", Extent(-97.4, -97.1, 45.1, 45.2))).statistics().mean == 4 * 30 + 2
    between = region_cells(shared, Region("r", Extent(-97.4, -96.6, 45.1, 45.2)))
    assert sorted(between.shown.tolist()) == [122, 123]


def test_a_region_across_the_antimeridian_has_the_cells_of_both_edges(make_config, write_raster):
    cells = np.arange(18 * 36, dtype=np.float32).reshape(18, 36)
    path = write_raster(cells, Affine(10, 0, -180, 0, -10, 90))
    found = region_cells(_load(make_config, path), Region("r", Extent(160, 200, 10, 30)))
    assert sorted(found.shown.tolist()) == sorted(cells[6:8][:, [34, 35, 0, 1]].ravel().tolist())


def test_pixels_outside_the_raster_and_missing_cells_show_no_data(make_config, write_raster):
    cells = np.ones((20, 30), np.float32)
    cells[:, 5:10] = np.nan
    shared = _load(make_config, write_raster(cells))
    assert valid_share(shared, Region("r", Extent(-100, -90, 35, 45))) == pytest.approx(0.5, abs=0.01)
    assert valid_share(shared, Region("r", Extent(-110, -95, 35, 45))) == pytest.approx(1 / 3, abs=0.01)
    assert valid_share(shared, Region("r", Extent(0, 10, 35, 45))) == 0
    nothing = region_cells(shared, Region("r", Extent(0, 10, 35, 45))).statistics([5])
    assert (nothing.count, nothing.total, nothing.valid) == (0, 0, 0)
    assert math.isnan(nothing.max)
    assert math.isnan(nothing.percentiles[5])


def test_only_the_number_of_colors_is_counted(make_config, write_raster):
    bands = np.full((3, 20, 30), 7, np.uint8)
    path = write_raster(bands, photometric="RGB")
    shared = SharedData.load(make_config(raster={"path": path}, map={"size": [300, 200]}))
    found = region_cells(shared, Region("r", Extent(-95, -90, 35, 45))).statistics()
    assert (found.count, found.total) == (50, 50)


def test_integers_have_no_missing_cells():
    found = Statistics.of(np.array([1, 2, 3], np.int16), 3, [25])
    assert (found.min, found.max, found.mean, found.percentiles[25]) == (1, 3, 2, 1.5)
