"""Test the place of a block, and that masked arrays keep their mask."""

from __future__ import annotations

import pickle

import block_functions as functions
import numpy as np
import pytest
import rasterio
from rasterio.windows import bounds, transform

from regionplot.blocks.grid import Block, BlockGrid, Georeference
from regionplot.blocks.process import fill_array, process_blocks
from regionplot.errors import BlockError
from regionplot.geo.grid import Window

EXECUTORS = ["serial", "threads", "fork"]


@pytest.fixture
def masked_file(write_raster, noise):
    values = noise.copy()
    values[0, :30, 20:50], values[1, 60:, :] = -9999.0, -9999.0
    return write_raster(values, nodata=-9999.0)


@pytest.mark.parametrize("executor", [*EXECUTORS, pytest.param("forkserver", marks=pytest.mark.slow)])
@pytest.mark.parametrize("form", ["grid", "windows"])
def test_a_block_has_an_index_transform_bounds_and_crs(grid_file, executor, form):
    found, blocks = [], []
    grid = BlockGrid(70, 90, 40, 40) if form == "grid" else [block.window for block in BlockGrid(70, 90, 40, 40)]

    def keep(block, place):
        blocks.append(block)
        found.append(place)

    process_blocks(functions.place_of, grid_file, keep, grid=grid, halo=3, executor=executor, workers=2)
    with rasterio.open(grid_file) as dataset:
        for block, (index, placed, box, epsg) in zip(blocks, found, strict=True):
            row, column = block.core.row_off // 40, block.core.col_off // 40
            assert index == ((row, column) if form == "grid" else None)
            assert placed == tuple(transform(block.window, dataset.transform))
            np.testing.assert_allclose(box, bounds(block.window, dataset.transform))
            assert epsg == dataset.crs.to_epsg()
            assert (block.transform, block.crs) == (transform(block.window, dataset.transform), dataset.crs)


def test_bounds_are_ordered_in_rotated_grids():
    turned = rasterio.Affine(1.7, 1.0, 3.0, 1.0, -1.7, 4.0)
    block = next(iter(BlockGrid(10, 20, 5, 10, reference=Georeference(turned, None))))
    left, bottom, right, top = block.bounds
    np.testing.assert_allclose([left, bottom, right, top], [3.0, 4.0 - 1.7 * 5, 3.0 + 17 + 5, 4.0 + 10])


def test_the_place_of_a_block_without_reference_is_an_error():
    block = Block(*[Window(0, 0, 2, 2)] * 2)
    with pytest.raises(ValueError, match="set the reference of its BlockGrid"):
        _ = block.bounds


def test_a_pickled_block_is_small_and_equal():
    reference = Georeference(rasterio.Affine.identity(), rasterio.CRS.from_epsg(5070))
    block = next(iter(BlockGrid(10, 20, 5, 10, reference=reference)))
    copy = pickle.loads(pickle.dumps(block))
    assert (copy, copy.index, copy.reference) == (block, (0, 0), None)
    assert len(pickle.dumps(block)) < 400


@pytest.mark.parametrize("executor", EXECUTORS)
def test_masked_cells_become_nodata(masked_file, read_raster, executor):
    target = masked_file.with_name("out.tif")
    process_blocks(
        functions.smallest_nearby, masked_file, target, read="masked", grid=(16, 40), halo=1,
        executor=executor, workers=2,
    )  # fmt: skip
    with rasterio.open(masked_file) as dataset:
        expected = functions.smallest_nearby([dataset.read(masked=True)], None, None)
    np.testing.assert_array_equal(read_raster(target), expected.filled(-9999.0))


def test_functions_of_numpy_get_masked_arrays(masked_file, read_raster):
    target = masked_file.with_name("out.tif")
    process_blocks(np.hypot, [masked_file] * 2, target, read="masked", kwargs={}, executor="serial")
    with rasterio.open(masked_file) as dataset:
        values = dataset.read(masked=True)
    np.testing.assert_allclose(read_raster(target), np.hypot(values, values).filled(-9999.0))


@pytest.mark.parametrize(("dtype", "nodata"), [("uint8", 255), ("int16", -1), ("float64", np.nan)])
def test_the_nodata_value_is_that_of_the_output(masked_file, read_raster, dtype, nodata):
    target = masked_file.with_name("out.tif")
    process_blocks(
        functions.is_negative, masked_file, target, read="masked", profile={"dtype": dtype, "nodata": nodata},
        executor="serial",
    )  # fmt: skip
    with rasterio.open(masked_file) as dataset:
        values = dataset.read(masked=True)
    np.testing.assert_array_equal(read_raster(target), (values < 0).astype(dtype).filled(nodata))


def test_masked_cells_need_a_nodata_value(masked_file):
    target = masked_file.with_name("out.tif")
    with pytest.raises(BlockError, match="the output has no nodata value; set profile"):
        process_blocks(
            np.abs, masked_file, target, read="masked", kwargs={}, profile={"nodata": None}, executor="serial"
        )
    assert not target.exists()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_output_functions_and_arrays_get_masked_cells(masked_file, executor):
    options = {"read": "masked", "kwargs": {}, "grid": (40, 40), "executor": executor, "workers": 2}
    with rasterio.open(masked_file) as dataset:
        expected = np.abs(dataset.read(masked=True))
    masks = {}
    process_blocks(np.abs, masked_file, lambda block, values: masks.update({block: values.mask.sum()}), **options)
    assert sum(masks.values()) == expected.mask.sum()
    filled = fill_array(np.abs, masked_file, dtype="float32", count=2, fill=-1, **options)
    np.testing.assert_array_equal(filled, expected.filled(-1))
