"""Test splitting rasters into tile files, and processing tile files."""

from __future__ import annotations

import shutil

import block_functions as functions
import numpy as np
import pytest
import rasterio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regionplot.blocks import mosaic
from regionplot.blocks.tiles import process_tiles, split_tiles
from regionplot.errors import BlockError, RasterError

pytestmark = [
    pytest.mark.timeout(120, method="signal"),  # a timer thread would make fork unsafe
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]


def test_tiles_have_the_cells_and_the_transform_of_their_block(grid_file, tmp_path, noise):
    tiles = split_tiles(grid_file, tmp_path / "tiles", (30, 40), overlap=5, offset=(10, 0), executor="fork", workers=2)
    names = [f"grid_r{row:03d}_c{column:03d}.tif" for row in range(3) for column in range(3)]
    assert [tile.name for tile in tiles] == names
    assert sorted(path.name for path in (tmp_path / "tiles").iterdir()) == names
    with rasterio.open(grid_file) as whole:
        for tile in tiles:
            with rasterio.open(tile) as part:
                row, column = whole.index(*part.xy(0, 0))
                expected = noise[:, row : row + part.height, column : column + part.width]
                np.testing.assert_array_equal(part.read(), expected)
                assert (part.crs, part.nodata, part.descriptions) == (whole.crs, whole.nodata, whole.descriptions)
    with rasterio.open(tiles[4]) as part:
        assert part.shape == (30 + 2 * 5, 40 + 2 * 5)


@given(
    st.tuples(st.integers(25, 100), st.integers(25, 100)),
    st.integers(0, 12),
    st.tuples(st.integers(0, 30), st.integers(0, 30)),
    st.sampled_from(["first", "last", "min", "max"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
def test_merged_tiles_equal_the_raster(grid_file, tmp_path_factory, noise, read_raster, tile, overlap, offset, rule):
    folder = tmp_path_factory.mktemp("tiles")
    tiles = split_tiles(grid_file, folder, tile, overlap, offset, executor="serial")
    mosaic(tiles, folder / "whole.tif", overlap=rule, executor="serial")
    np.testing.assert_array_equal(read_raster(folder / "whole.tif"), noise)


@pytest.mark.parametrize("executor", ["serial", "threads", "fork", "forkserver"])
def test_a_function_over_tiles_with_overlap_equals_the_function_over_the_raster(
    grid_file, tmp_path, noise, read_raster, executor
):
    options = {"executor": executor, "workers": 2}
    tiles = split_tiles(grid_file, tmp_path / "tiles", (30, 40), overlap=3, **options)
    done = process_tiles(functions.neighbors, tiles, tmp_path / "done", **options)
    expected = functions.neighbors([noise], None, None)[:, 30:60, 40:80]
    np.testing.assert_array_equal(read_raster(done[4])[:, 3:-3, 3:-3], expected)
    assert [path.name for path in done] == [path.name for path in tiles]


def test_a_failing_function_leaves_no_results(grid_file, tmp_path):
    tiles = split_tiles(grid_file, tmp_path / "tiles", (30, 40))
    with pytest.raises(BlockError, match=r"(?s)grid_r00\d_c00\d.tif.*no such luck"):
        process_tiles(functions.fail_at, tiles, tmp_path / "done", arguments=(0, 0), executor="fork", workers=2)
    assert list((tmp_path / "done").iterdir()) == []


def test_results_do_not_replace_the_tiles(grid_file, tmp_path):
    tiles = split_tiles(grid_file, tmp_path / "tiles", (30, 40))
    with pytest.raises(RasterError, match="choose another folder"):
        process_tiles(functions.core_only, tiles, tmp_path / "tiles")


def test_tiles_with_the_same_name_are_refused_before_any_work(grid_file, tmp_path):
    (tmp_path / "other").mkdir()
    other = shutil.copy(grid_file, tmp_path / "other")
    with pytest.raises(RasterError, match=r"results of .*grid.tif, .*other.grid.tif would have the same name"):
        process_tiles(functions.core_only, [grid_file, other], tmp_path / "done")
    assert not (tmp_path / "done").exists()


def test_an_unreadable_raster_leaves_no_tiles(grid_file, tmp_path):
    whole = grid_file.read_bytes()
    grid_file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RasterError, match=r"grid.tif: cannot be read"):
        split_tiles(grid_file, tmp_path / "tiles", (30, 40), executor="fork", workers=2)
    assert not list(tmp_path.glob("tiles/*"))
