"""Test that every written cell is compared when a new raster is read back."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
import rasterio

from regionplot.blocks.checksums import checksum_of
from regionplot.blocks.read_back import Comparison, verify
from regionplot.blocks.sinks import WrittenBlocks
from regionplot.errors import RasterError
from regionplot.geo.grid import Window

SHAPE = (70, 90)
LAYOUTS = {
    "tiles": {"tiled": True, "blockxsize": 32, "blockysize": 16},
    "strips": {"tiled": False, "blockysize": 3},
    "pixels": {"tiled": True, "blockxsize": 32, "blockysize": 16, "interleave": "pixel"},
    "deflate": {"tiled": True, "blockxsize": 32, "blockysize": 16, "compress": "deflate"},
    "sparse": {"tiled": True, "blockxsize": 32, "blockysize": 16, "sparse_ok": True, "nodata": 0},
    "big endian": {"tiled": True, "blockxsize": 32, "blockysize": 16, "endianness": "big"},
}


def written_blocks(values, side):
    blocks = WrittenBlocks()
    for row in range(0, SHAPE[0], side):
        for column in range(0, SHAPE[1], side):
            window = Window(row, column, min(side, SHAPE[0] - row), min(side, SHAPE[1] - column))
            (top, bottom), (left, right) = window.ranges
            blocks.add(window, checksum_of(values[:, top:bottom, left:right]))
    return blocks


@pytest.mark.parametrize("side", [16, 32, 23])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "complex64"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_changed_cell_is_found_in_every_layout(write_raster, layout, dtype, side):
    values = np.random.default_rng(0).integers(1, 200, (2, *SHAPE)).astype(dtype)
    values[:, :32, :32] = 0
    path = write_raster(values, **LAYOUTS[layout])
    blocks = written_blocks(values, side)
    verify(path, path, blocks, 2, Comparison.CHECKSUMS)
    band, row, column = np.random.default_rng(side).integers((2, *SHAPE)).tolist()
    with rasterio.open(path, "r+") as file:
        file.write(
            np.full((1, 1), values[band, row, column] + 1, dtype),
            band + 1,
            window=((row, row + 1), (column, column + 1)),
        )
    verify(path, path, blocks, 2, Comparison.NONE)
    with pytest.raises(RasterError, match="differ from the cells that were written"):
        verify(path, path, blocks, 2, Comparison.CHECKSUMS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_truncated_file_is_found_in_every_layout(write_raster, layout):
    values = np.random.default_rng(0).integers(1, 200, (2, *SHAPE)).astype("float32")
    path = write_raster(values, **LAYOUTS[layout])
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(RasterError):
        verify(path, path, written_blocks(values, 32), 1, Comparison.CHECKSUMS)


def test_the_fast_checksum_is_that_of_zlib():
    for values in (np.arange(1000.0), np.arange(999, dtype="int8")[::3], np.zeros((0, 3))):
        assert checksum_of(values) == zlib.crc32(values.tobytes())
