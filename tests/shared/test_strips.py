"""Cells that are classified while they are read get the codes that their values get."""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np
import pytest
from affine import Affine

from regionplot.errors import RasterError
from regionplot.geo.extent import Extent
from regionplot.geo.grid import Window
from regionplot.geo.region import Region
from regionplot.inputs.array import ArraySource
from regionplot.inputs.strips import split_window
from regionplot.render.renderer import MapRenderer
from regionplot.shared.data import SharedData

TYPES = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64"]
LEVELS = {
    "on cells": [0, 1, 2, 3],
    "between cells": [-0.5, 0.5, 1.5, 3.5],
    "beside a cell": [1.0000001, 2, 3],
    "outside the type": [-1e6, 1, 1e30],
    "large": [2**53 - 1, 2**53, 2**63],
    "packed": [0.1, 0.2, 0.7, 12.8],
}
STORED: dict[str, dict[str, Any]] = {
    "plain": {},
    "nodata": {"nodata": 3},
    "packed": {"scales": (0.1,), "offsets": (0.0,)},
    "packed with nodata": {"scales": (0.1,), "offsets": (-12.8,), "nodata": 2},
}
SMALL = {"size": (150, 110), "dpi": 40}
REGIONS = [Region("part", Extent(-99.2, -96.1, 45.5, 48.2)), Region("edge", Extent(-104, -97, 40, 52))]


def cells_of(dtype: str) -> np.ndarray:
    """Return cells with small numbers, the ends of the type and, for floats, NaN, infinity and neighbors of levels."""
    kind = np.dtype(dtype)
    if kind.kind == "f":
        beside = [np.nextafter(kind.type(level), kind.type(side)) for level in (0.1, 1, 3) for side in (-9, 9)]
        special = [np.nan, np.inf, -np.inf, -0.0, 2.0**53, *beside]
    else:
        limits = np.iinfo(kind)
        special = [limits.min, limits.max, limits.min + 1, limits.max - 1]
    return np.resize(np.array([*range(8), *special], kind), (20, 31))


@pytest.mark.parametrize("stored", STORED.values(), ids=list(STORED))
@pytest.mark.parametrize("dtype", TYPES)
def test_codes_equal_the_codes_of_the_values(make_config, write_raster, dtype, stored) -> None:
    cells = cells_of(dtype)
    path = write_raster(cells, tiled=True, blockxsize=16, blockysize=16, **stored)
    for levels in LEVELS.values():
        shared = SharedData.load(make_config(raster={"path": path}, colors={"levels": levels}))
        assert shared.codes is not None
        assert shared.codes.dtype == np.uint8
        np.testing.assert_array_equal(shared.codes, shared.scale.codes(shared.cells))
        assert not shared.cells.flags.writeable
        assert not shared.codes.flags.writeable
        assert shared.cells.dtype == shared.info.dtype


@pytest.mark.parametrize("dtype", ["uint8", "int16", "float32"])
def test_codes_of_classes_equal_the_codes_of_the_values(make_config, write_raster, dtype) -> None:
    classes = [{"value": value, "color": color} for value, color in ((0, "red"), (2, "blue"), (5, "red"))]
    config = make_config(raster={"path": write_raster(cells_of(dtype), nodata=6)}, colors={"classes": classes})
    shared = SharedData.load(config)
    assert shared.codes is not None
    np.testing.assert_array_equal(shared.codes, shared.scale.codes(shared.cells))
    assert set(np.unique(shared.codes)) == {0, 1, 2, shared.scale.nodata}


def test_masked_cells_are_nodata(make_config, write_raster) -> None:
    import rasterio

    path = write_raster(np.full((30, 40), 2, np.uint8))
    mask = np.where(np.arange(1200).reshape(30, 40) % 7, 255, 0).astype(np.uint8)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as file:
        file.write_mask(mask)
    shared = SharedData.load(make_config(raster={"path": path}, colors={"levels": [0, 1, 3]}))
    assert shared.codes is not None
    np.testing.assert_array_equal(shared.codes == shared.scale.nodata, mask == 0)


@pytest.mark.parametrize("projection", ["raster", "EPSG:5070"])
def test_maps_equal_the_maps_of_loaded_values(make_config, write_raster, projection) -> None:
    """An array in memory is not classified while it is read."""
    cells, affine = cells_of("float32"), Affine(0.3, 0, -101, 0, -0.3, 49)
    path = write_raster(cells, affine)
    sections = {"colors": {"levels": [0, 1, 3]}, "map": {**SMALL, "projection": projection}}
    config = make_config(raster={"path": path}, **sections)
    classed = SharedData.load(config)
    loaded = SharedData.load(config, source=ArraySource(classed.info, classed.cells.copy()))
    assert classed.codes is not None
    assert loaded.codes is None
    np.testing.assert_array_equal(classed.cells, loaded.cells)
    for maps in (1, 100_000):
        painters = [MapRenderer(shared, maps) for shared in (classed, loaded)]
        for region in REGIONS:
            np.testing.assert_array_equal(*(painter.render(region).pixels for painter in painters))


@pytest.mark.parametrize(
    "sections",
    [
        {"colors": {"vmin": 0, "vmax": 3}},
        {"colors": {}},
        {"colors": {"levels": [0, 1]}, "raster": {"resampling": "bilinear"}},
    ],
    ids=["range", "data", "bilinear"],
)
def test_other_scales_keep_the_values(make_config, write_raster, sections) -> None:
    raster = {"path": write_raster(cells_of("float32")), **sections.pop("raster", {})}
    shared = SharedData.load(make_config(raster=raster, **sections))
    assert shared.codes is None
    np.testing.assert_array_equal(shared.cells, cells_of("float32"))


def test_values_are_not_read_from_a_newer_file(make_config, write_raster) -> None:
    shared = SharedData.load(make_config(raster={"path": write_raster(cells_of("int16"))}, colors={"levels": [0, 1]}))
    write_raster(cells_of("int16") + 1)
    with pytest.raises(RasterError, match="input changed"):
        _ = shared.cells
    assert MapRenderer(shared).render(REGIONS[0]).pixels.any()


def test_a_damaged_block_is_an_error_and_leaves_no_thread(make_config, write_raster) -> None:
    path = write_raster(np.random.default_rng(1).random((400, 300)), compress="deflate", blockysize=16)
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(RasterError, match=r"grid\.tif: cannot be read as a raster"):
        SharedData.load(make_config(raster={"path": path}, colors={"levels": [0, 1]}))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("regionplot")]


@pytest.mark.parametrize("block", [(1, 5000), (64, 64), (512, 512), (3400, 5000), (256, 5000), (7, 9)], ids=str)
@pytest.mark.parametrize(
    "window", [Window(0, 0, 3400, 5000), Window(13, 700, 1, 4000), Window(511, 1, 1030, 2)], ids=str
)
def test_strips_cover_a_window_once_and_end_where_blocks_end(window: Window, block: tuple[int, int]) -> None:
    covered = np.zeros((window.height, window.width), np.uint8)
    for strip in split_window(window, block):
        covered[strip.slices_in(window)] += 1
        for (first, last), (start, end), length in zip(strip.ranges, window.ranges, block, strict=True):
            assert first % length == 0 or first == start
            assert last % length == 0 or last == end
        assert strip.cells <= max(2**18, block[0] * block[1])
    assert (covered == 1).all()
