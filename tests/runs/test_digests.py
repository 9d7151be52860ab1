"""A map's digest changes with all that the map shows, and with nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.render.renderer import MapRenderer
from regionplot.runs.digests import MapDigests
from regionplot.shared.data import SharedData
from regionplot.shared.plan import plan_load

WEST = Region("west", Extent(-99, -91, 33, 36.5), title="West")
EAST = Region("east", Extent(-76, -68, 33, 36.5), title="East")
SIZE = {"size": (300, 200)}
LEVELS = {"levels": [0, 100, 1000, 2000]}


@pytest.fixture
def data(write_raster, write_vector, make_config):
    """Shared data of a grid of 1-degree cells and a layer of one line, with what differs from that."""
    values = np.arange(50 * 50, dtype=np.float32).reshape(50, 50)

    def make(change=None, line=((-98, 31), (-70, 44)), regions=None, **sections) -> SharedData:
        cells = values.copy()
        if change:
            cells[change] += 1
        path = write_vector([shapely.LineString(line)])
        defaults = {"colors": LEVELS, "map": SIZE, "features": [{"path": path}], "run": {"cache": False}}
        config = make_config(raster={"path": write_raster(cells)}, **{**defaults, **sections})
        return SharedData.load(config, regions)

    return make


def digests(shared: SharedData) -> list[str]:
    maps = MapDigests(shared)
    return [maps.of(region) for region in (WEST, EAST)]


def test_the_same_inputs_have_the_same_digest(data) -> None:
    west, east = digests(data())
    assert (west, east) == tuple(digests(data()))
    assert west != east


def test_a_changed_pixel_counts_in_the_region_that_shows_it_and_in_no_other(data) -> None:
    west, east = digests(data())
    changed_west, changed_east = digests(data(change=(15, 8)))  # 92 west, 35 north: only west shows it
    assert changed_west != west
    assert changed_east == east


def test_other_regions_do_not_count_though_they_decide_what_is_loaded(data) -> None:
    for region in (WEST, EAST):
        alone, beside = data(regions=[region]), data(regions=[WEST, EAST])
        assert alone.raster.shape != beside.raster.shape
        assert MapDigests(alone).of(region) == MapDigests(beside).of(region)


@pytest.mark.parametrize(
    "difference",
    [
        {"line": ((-98, 31), (-70, 43))},
        {"colors": {"levels": [0, 100, 1000, 2001]}},
        {"colors": {**LEVELS, "colormap": "turbo"}},
        {"colors": {**LEVELS, "label": "metres"}},
        {"map": {**SIZE, "dpi": 90}},
        {"map": {**SIZE, "projection": "EPSG:5070"}},
        {"map": {**SIZE, "title": "{title}!"}},
        {"output": {"directory": "x", "png": "rgb"}},
        {"features": []},
    ],
    ids=str,
)
def test_all_that_shows_counts(data, difference) -> None:
    assert not set(digests(data())) & set(digests(data(**difference)))


def test_what_does_not_show_does_not_count(data) -> None:
    run = {"workers": 3, "timeout": 5, "cache": False}
    assert digests(data()) == digests(data(run=run, output={"directory": "elsewhere", "filename": "{name}_.png"}))


def test_a_region_counts_as_far_as_it_shows(data) -> None:
    maps = MapDigests(data())
    assert maps.of(replace(WEST, name="other", attributes={"population": "7"}, origin="x:3")) == maps.of(WEST)
    assert maps.of(replace(WEST, title="Far West")) != maps.of(WEST)
    assert maps.of(replace(WEST, extent=Extent(-99, -91, 33, 37))) != maps.of(WEST)


def test_a_scale_that_suits_the_data_counts_by_its_limits(data) -> None:
    before = digests(data(colors={}))
    assert digests(data(colors={}, change=(15, 8)))[1] == before[1]
    shifted = digests(data(colors={"vmax": 3000.0}))
    assert not set(before) & set(shifted)


def test_a_raster_that_is_not_loaded_counts_as_a_file(data) -> None:
    def unloaded() -> SharedData:
        loaded = data()
        return SharedData.load(loaded.config, plan=plan_load(loaded.config, loaded.info, budget=1))

    shared = unloaded()
    assert shared.plan.windowed
    before = digests(shared)
    assert digests(shared) == before
    assert not set(digests(unloaded())) & set(before)


def test_one_digest_means_one_picture(data) -> None:
    pictures = [MapRenderer(shared).render(WEST).pixels for shared in (data(), data(change=(15, 30)))]
    assert digests(data())[0] == digests(data(change=(15, 30)))[0]
    np.testing.assert_array_equal(*pictures)
