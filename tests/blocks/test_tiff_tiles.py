"""Test that tiles that are written without GDAL give the same files as GDAL."""

from __future__ import annotations

import math
import pickle

import block_functions as functions
import numpy as np
import pytest
import rasterio
from affine import Affine

from regionplot.blocks import BlockGrid, process_blocks
from regionplot.blocks.checksums import checksum_of
from regionplot.blocks.new_raster import new_raster
from regionplot.blocks.sinks import DatasetSink, TileSink
from regionplot.blocks.tiff_tiles import TiffTiles, are_whole_tiles, has_halo, stores_plain_cells
from regionplot.errors import RasterError
from regionplot.geo.grid import Window

SHAPE = (70, 90)
LAYOUTS = {
    "tiles": {"tiled": True, "blockxsize": 32, "blockysize": 16},
    "one tile": {"tiled": True, "blockxsize": 128, "blockysize": 128},
    "a tile as wide as the raster": {"tiled": True, "blockxsize": 96, "blockysize": 16},
    "strips": {"tiled": False, "blockysize": 16},
    "strips of a row": {"tiled": False, "blockysize": 1},
    "one strip": {"tiled": False, "blockysize": 70},
}
DTYPES = ["uint8", "int8", "uint16", "int16", "int32", "uint32", "int64", "uint64", "float32", "float64", "complex64",
          "complex128"]  # fmt: skip
PLACE = {"driver": "GTiff", "crs": "EPSG:4326", "transform": Affine(1, 0, -100, 0, -1, 50)}


def profile_of(values, **options):
    count, height, width = values.shape
    return {**PLACE, "count": count, "height": height, "width": width, "dtype": values.dtype.name, **options}


def written_both_ways(tmp_path, values, grid, **options):
    """Return the path of a file that is written without GDAL, and of a file that GDAL has written."""
    ours, theirs = tmp_path / "ours.tif", tmp_path / "theirs.tif"
    profile = profile_of(values, **options)
    with new_raster(ours, profile, None, 1, grid) as sink:
        assert isinstance(sink, TileSink)
        for block in reversed(list(grid)):
            sink.write(block, values[:, *block.slices], None)
    with rasterio.open(theirs, "w", **profile) as file:
        file.write(values)
    return ours, theirs


def assert_equal_files(ours, theirs):
    with rasterio.open(ours) as one, rasterio.open(theirs) as other:
        assert str(one.profile) == str(other.profile)  # NaN is not equal to NaN
        assert one.nodatavals == pytest.approx(other.nodatavals, nan_ok=True)
        assert one.tags(ns="IMAGE_STRUCTURE") == other.tags(ns="IMAGE_STRUCTURE")
        assert one.read().tobytes() == other.read().tobytes()
        sizes = [file.get_tag_item("BLOCK_SIZE_0_0", "TIFF", bidx=1) for file in (one, other)]
        assert sizes[0] == sizes[1]


@pytest.mark.parametrize("interleave", ["pixel", "band"])
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("count", [1, 3])
def test_all_layouts_are_those_of_gdal(tmp_path, layout, count, interleave):
    values = np.random.default_rng(0).integers(1, 99, (count, *SHAPE)).astype("int16")
    options = LAYOUTS[layout]
    sides = [(options["blockysize"], options.get("blockxsize", 90)), (64, 96)]
    for rows, columns in [side for side in sides if not side[0] % options["blockysize"]] or sides[:1]:
        grid = BlockGrid(*SHAPE, rows, columns)
        assert_equal_files(*written_both_ways(tmp_path, values, grid, interleave=interleave, **options))


@pytest.mark.parametrize("dtype", DTYPES)
def test_all_data_types_and_nodata_values_are_those_of_gdal(tmp_path, dtype):
    values = np.random.default_rng(0).integers(0, 99, (2, *SHAPE)).astype(dtype)
    values[:, :20] = 0  # GDAL may leave out such tiles
    grid = BlockGrid(*SHAPE, 16, 32)
    numbers = [0, 7] if values.dtype.kind != "f" else [0, -9999.0, math.nan, -math.inf]
    for nodata in [None, *numbers, *([2**53] if dtype in ("int64", "uint64") else [])]:
        assert_equal_files(*written_both_ways(tmp_path, values, grid, nodata=nodata, **LAYOUTS["tiles"]))


def test_bands_of_other_arrays_and_two_dimensional_results_are_written(tmp_path):
    values = np.asfortranarray(np.random.default_rng(0).random(SHAPE).astype("float32"))[::-1]
    with new_raster(tmp_path / "out.tif", profile_of(values[None], **LAYOUTS["tiles"]), None, 1,
                    BlockGrid(*SHAPE, 32, 32)) as sink:  # fmt: skip
        for block in BlockGrid(*SHAPE, 32, 32):
            sink.write(block, values[block.slices], None)
    with rasterio.open(tmp_path / "out.tif") as file:
        assert (file.read(1) == values).all()


@pytest.mark.parametrize("executor", ["serial", "threads", "fork", "forkserver"])
@pytest.mark.timeout(60, method="signal")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_all_executors_write_the_same_cells(write_raster, tmp_path, executor):
    values = np.random.default_rng(0).random((2, *SHAPE)).astype("float32")
    source = write_raster(values, nodata=-9999.0, **LAYOUTS["tiles"])
    process_blocks(
        functions.combine, source, tmp_path / "out.tif", grid=(32, 32), arguments=np.float32(2), executor=executor,
        workers=2,
    )  # fmt: skip
    with rasterio.open(tmp_path / "out.tif") as file:
        assert (file.read() == values * np.float32(2)).all()
        assert (file.nodata, file.profile["tiled"]) == (-9999.0, True)


@pytest.mark.parametrize(
    ("options", "is_plain"),
    [
        ({}, True),
        ({"compress": "NONE", "BigTIFF": "yes", "interleave": "band", "nodata": 3}, True),
        ({"dtype": "complex_int16"}, False),
        ({"dtype": "bool"}, False),
        ({"compress": "lzw"}, False),
        ({"NBITS": 7}, False),
        ({"endianness": "big"}, False),
        ({"sparse_ok": True}, False),
        ({"photometric": "ycbcr"}, False),
        ({"streamable_output": True}, False),
    ],
)
def test_gdal_writes_all_other_kinds_of_files(options, is_plain):
    assert stores_plain_cells({**profile_of(np.zeros((1, 2, 2), "float32")), **options}) is is_plain


def test_only_blocks_of_whole_tiles_that_cover_the_raster_need_no_gdal(tmp_path):
    whole = BlockGrid(*SHAPE, *SHAPE)
    grid, tile = BlockGrid(*SHAPE, 32, 64), (16, 32)
    halves = [whole.block(Window(0, 0, 70, 64)), whole.block(Window(0, 64, 70, 26))]
    assert are_whole_tiles(grid, SHAPE, tile)
    assert are_whole_tiles(list(grid), SHAPE, tile)
    assert are_whole_tiles(halves, SHAPE, tile)
    assert are_whole_tiles(BlockGrid(*SHAPE, 99, 100), SHAPE, tile)
    shifted = [whole.block(Window(0, 0, 70, 60)), whole.block(Window(0, 60, 70, 30))]
    grids = [BlockGrid(*SHAPE, 32, 33), BlockGrid(*SHAPE, 16, 32, row_offset=8)]
    for other in [*grids, list(grid)[:-1], halves[:1], shifted, iter(list(grid))]:
        assert not are_whole_tiles(other, SHAPE, tile)
    assert [has_halo(blocks) for blocks in (grid, list(grid), BlockGrid(*SHAPE, 9, 9, 1), iter(grid))] == [
        False, False, True, True]  # fmt: skip
    with new_raster(tmp_path / "out.tif", profile_of(np.zeros((1, *SHAPE)), **LAYOUTS["tiles"]), None, 1,
                    halves[:1]) as sink:  # fmt: skip
        assert isinstance(sink, DatasetSink)


def test_the_tiles_pickle_without_their_file(tmp_path):
    grid = BlockGrid(*SHAPE, 16, 32)
    ours, _ = written_both_ways(tmp_path, np.ones((1, *SHAPE)), grid, **LAYOUTS["tiles"])
    with rasterio.open(ours) as file:
        tiles = TiffTiles.of(ours, file)
    tiles.open()
    copy = pickle.loads(pickle.dumps(tiles))
    copy.put(Window(16, 32, 16, 32), np.full((1, 16, 32), 5.0))
    copy.close()
    tiles.close()
    with rasterio.open(ours) as file:
        assert (file.read(1) == 5).sum() == 16 * 32


def test_a_lost_write_is_found(write_raster, tmp_path, monkeypatch):
    source = write_raster(np.random.default_rng(0).random(SHAPE).astype("float32"), **LAYOUTS["tiles"])
    target = tmp_path / "out.tif"
    target.write_bytes(b"the old one")
    monkeypatch.setattr("os.pwrite", lambda _file, data, _offset: len(data))
    with pytest.raises(RasterError, match=r"out.tif: .*read back differ"):
        process_blocks(functions.first, source, target, grid=(32, 32), executor="serial")
    assert target.read_bytes() == b"the old one"


def write_and_change(target, number):
    """Write blocks, then change the block with this number before the file is complete."""
    grid, values = BlockGrid(*SHAPE, 32, 32), np.random.default_rng(0).random((1, *SHAPE))
    with new_raster(target, profile_of(values, **LAYOUTS["tiles"]), None, 1, grid) as sink:
        for block in grid:
            sink.write(block, values[:, *block.slices], checksum_of(values[:, *block.slices]))
        core = list(grid)[number].core
        sink.tiles.put(core, np.zeros((1, core.height, core.width)))


@pytest.mark.parametrize("number", [0, -1])
def test_a_file_that_changes_after_it_was_written_is_found(tmp_path, number):
    """GDAL reads some blocks of the complete file, among them the first and the last block."""
    with pytest.raises(RasterError, match=r"out.tif: .*read back differ"):
        write_and_change(tmp_path / "out.tif", number)
    assert list(tmp_path.iterdir()) == []
