"""Tests of `regionplot.inputs.block_cache`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.env import getenv

from regionplot.geo.grid import Window
from regionplot.inputs.block_cache import block_cache
from regionplot.inputs.gdal import opened

MEGABYTE = 2**20


def write(path: Path, **options: object) -> Path:
    profile = {"driver": "GTiff", "width": 4096, "height": 512, "count": 1, "dtype": "float32", **options}
    with rasterio.open(path, "w", tiled=True, blockxsize=512, blockysize=512, sparse_ok=True, **profile):
        pass
    return path


def cache_size(path: Path, window: Window, resampling: str = "nearest") -> int:
    with opened(path) as dataset, block_cache(dataset, window, resampling):
        return int(getenv()["GDAL_CACHEMAX"])


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
@pytest.mark.parametrize(
    ("width", "at_least", "at_most"), [(100, 1 * MEGABYTE, 4 * MEGABYTE), (4096, 8 * MEGABYTE, 13 * MEGABYTE)]
)
def test_the_cache_holds_one_row_of_blocks_and_little_more(
    width: int, at_least: int, at_most: int, tmp_path: Path
) -> None:
    path = write(tmp_path / "grid.tif")
    assert at_least <= cache_size(path, Window(0, 0, 512, width)) <= at_most


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_bands_that_are_stored_together_are_cached_together(tmp_path: Path) -> None:
    path = write(tmp_path / "grid.tif", count=3, interleave="pixel")
    assert cache_size(path, Window(0, 0, 512, 4096)) >= 3 * 8 * MEGABYTE


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_a_window_of_any_width_takes_bounded_memory(tmp_path: Path) -> None:
    path = write(tmp_path / "grid.tif", width=512 * 300, dtype="float64")
    assert cache_size(path, Window(0, 0, 512, 512 * 300)) == 256 * MEGABYTE
    assert cache_size(path, Window(0, 0, 512, 100), "average") == 32 * MEGABYTE


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_cache_has_its_usual_size_after_the_reading(tmp_path: Path) -> None:
    path = write(tmp_path / "grid.tif")
    with opened(path) as dataset:
        before = getenv()["GDAL_CACHEMAX"]
        with block_cache(dataset, Window(0, 0, 512, 4096), "nearest"):
            assert dataset.read(1).dtype == np.float32
        assert getenv()["GDAL_CACHEMAX"] == before
