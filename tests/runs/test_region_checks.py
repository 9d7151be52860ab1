"""Regions are checked before a run: overlap, missing data, shapes and equal limits. An index map shows their boxes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from affine import Affine
from PIL import Image

from regionplot.errors import ConfigError, RegionError
from regionplot.geo.extent import Extent
from regionplot.geo.region import Region
from regionplot.runs.index_map import draw_index_map
from regionplot.runs.region_checks import RegionChecker
from regionplot.shared.load import DrawnRaster

GOOD = Region("good", Extent(-100, -90, 34, 40), origin="regions.csv:2")
REGIONS = {
    "does not overlap the raster": Region("far", Extent(10, 20, 34, 40)),
    "about 75% of the region has no data": Region("edge", Extent(-125, -105, 33, 46)),
    " x 30.0 cells of the raster": Region("thread", Extent(-100, -99.9, 36, 39)),
    "the region has only about 2.0 x 1.0 cells": Region("tiny", Extent(-100, -99.8, 36, 36.1)),
    "is 20 times as wide as high, so the map shows": Region("strip", Extent(-109, -89, 38, 39)),
    "has the limits of good (regions.csv:2)": Region("again", GOOD.extent),
    "column 'crs'": Region("wrong", GOOD.extent, "EPSG:0"),
}


@pytest.fixture
def raster(write_raster: Any, make_config: Any) -> Any:
    """Return a function that opens a raster of 20 x 20 degrees whose west half is missing."""

    def make(**sections: Any) -> DrawnRaster:
        values = np.full((200, 400), 5.0, np.float32)
        values[:, :200] = np.nan
        path = write_raster(values, Affine(0.1, 0, -130, 0, -0.1, 50), nodata=np.nan)
        return DrawnRaster.of(make_config(raster={"path": path}, **sections))

    return make


def test_problems_of_regions_are_named(raster: Any) -> None:
    checker = RegionChecker.of(raster())
    assert list(checker.problems([GOOD])) == []
    lines = list(checker.problems([GOOD, *REGIONS.values()]))
    for message, region in REGIONS.items():
        assert any(f": {region.name}: " in line and message in line for line in lines), message
    assert not [line for line in lines if ": good: " in line]


def test_the_effect_of_a_thin_region_depends_on_fit(raster: Any) -> None:
    (line,) = RegionChecker.of(raster(map={"fit": "exact"})).problems(
        [REGIONS["is 20 times as wide as high, so the map shows"]]
    )
    assert "so the map is 11" in line
    assert line.endswith("times smaller")


def test_only_the_first_regions_of_a_kind_are_listed(raster: Any) -> None:
    far = [Region(f"r{number}", Extent(number, number + 9.0, 34, 40)) for number in range(25)]
    lines = list(RegionChecker.of(raster()).problems(far))
    assert len(lines) == 11
    assert lines[-1] == "15 more regions do not overlap the raster"


def test_regions_are_checked_in_their_own_projections(raster: Any) -> None:
    polar = Region("pole", Extent(-1e6, 1e6, -1e6, 1e6), "EPSG:3995", projection="auto")
    (line,) = RegionChecker.of(raster()).problems([polar])
    assert "does not overlap" in line


def test_the_index_map_shows_all_boxes(raster: Any, tmp_path: Path) -> None:
    config = raster(map={"size": [300, 220], "dpi": 50}).config
    target = tmp_path / "maps/index.png"
    draw_index_map(config, [GOOD, Region("albers", Extent(-3e5, 3e5, 1.5e6, 2e6), "EPSG:5070")], target)
    pixels = np.asarray(Image.open(target).convert("RGB")).astype(int)
    assert pixels.shape == (220, 300, 3)
    red = (abs(pixels - (0xB5, 0x41, 0x2C)) < 50).all(axis=2)
    assert red.sum() > 300


def test_an_index_map_across_the_antimeridian_is_narrow(make_config: Any, tmp_path: Path) -> None:
    config = make_config(raster={"path": "sample:relief"}, map={"size": [300, 220], "dpi": 50})
    boxes = [Region("west", Extent(-179, -150, 50, 70)), Region("east", Extent(170, 185, 50, 60))]
    draw_index_map(config, boxes, tmp_path / "index.tif")
    import rasterio

    with rasterio.open(tmp_path / "index.tif") as file:
        assert file.bounds.right - file.bounds.left < 8e6


def test_faults_of_index_maps_are_named(raster: Any, tmp_path: Path) -> None:
    config = raster().config
    with pytest.raises(ConfigError, match="the suffix of the file name sets the format"):
        draw_index_map(config, [GOOD], tmp_path / "index.jpg")
    with pytest.raises(RegionError, match="no region has limits in degrees"):
        draw_index_map(config, [Region("a", GOOD.extent, None)], tmp_path / "index.png")
