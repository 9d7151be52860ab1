"""Blocks equal the whole, bit for bit: every ready operation, blocks of any size, any executor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regionplot.blocks import BlockGrid, process_blocks
from regionplot.blocks.chain import Chain
from regionplot.blocks.operations import (
    Accumulate,
    Accumulation,
    Expression,
    Focal,
    Hillshade,
    Linear,
    MaskByVector,
    Operation,
    Reclassify,
    Slope,
    Warp,
    convert,
    target_geometry,
)
from regionplot.blocks.values import Source, Storage
from regionplot.config import RasterSettings

pytestmark = pytest.mark.timeout(method="signal")

ROWS, COLUMNS = 47, 61


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three bands of heights in degrees with holes, and polygons with edges through the middles of cells."""
    import pyogrio.raw

    folder = tmp_path_factory.mktemp("blocks")
    random = np.random.default_rng(11)
    values = random.normal(500, 200, (3, ROWS, COLUMNS)).astype("float32")
    values[random.random(values.shape) < 0.1] = -9999
    values[:, :12, 20:40] = -9999
    profile = {"driver": "GTiff", "dtype": "float32", "count": 3, "height": ROWS, "width": COLUMNS, "nodata": -9999}
    place = {"crs": "EPSG:4326", "transform": Affine(0.1, 0, -100, 0, -0.1, 50)}
    with rasterio.open(folder / "grid.tif", "w", **profile, **place) as file:
        file.write(values)
    shapes = [
        shapely.Polygon([(-99.95, 49.95), (-95.0, 49.95), (-97.0, 46.05)]),
        shapely.Point(-98.3, 47.7).buffer(1.234),
    ]
    wkb = np.array([shapely.to_wkb(shape) for shape in shapes], dtype=object)
    pyogrio.raw.write(
        folder / "areas.gpkg", wkb, [np.arange(2)], ["id"], geometry_type="Polygon", crs="EPSG:4326", layer="areas"
    )
    return folder


OPERATIONS: dict[str, list[Operation]] = {
    "expression": [Expression("where(b1 > b2, sqrt(abs(b1)) * 1.1, log(abs(b3) + 1) / 3)")],
    "mean": [Focal("mean", 5)],
    "mean, filled": [Focal("mean", 3, fill=True)],
    "gaussian": [Focal("gaussian", sigma=1.7)],
    "median": [Focal("median", 3, fill=True)],
    "min": [Focal("min", 7)],
    "max": [Focal("max", 5, fill=True)],
    "reclassify": [Reclassify.parse(["0:400=1", "400:600=2", "else=missing"])],
    "convert": [convert("degF", "degC")],
    "scale": [Linear(0.1, 3)],
    "hillshade": [Hillshade(300, 30)],
    "slope": [Slope()],
    "accumulate": [Accumulate("mean")],
    "chain": [Focal("mean", 3), Expression("b1 - b2 * 0.3"), Focal("gaussian", sigma=0.8), Slope("percent")],
}
grids = st.builds(
    BlockGrid, st.just(ROWS), st.just(COLUMNS), st.integers(1, 70), st.integers(1, 70), st.just(0),
    st.integers(0, 70), st.integers(0, 70),
)  # fmt: skip
few = settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])


def by_blocks(function: Any, datasets: Any, grid: BlockGrid) -> Any:
    result = np.full((function.count, grid.height, grid.width), 12345.0)
    for block in grid:
        core = block.core
        values = function(datasets, block, None)
        result[:, core.row : core.row + core.height, core.column : core.column + core.width] = values
    return result


def source_of(path: Path) -> Source:
    return Source.of(RasterSettings(path=path))


def assert_blocks_equal_the_whole(function: Any, path: Path, grid: BlockGrid) -> None:
    from dataclasses import replace

    with rasterio.open(path) as dataset:
        grid = replace(grid, halo=function.halo)
        whole = BlockGrid(grid.height, grid.width, grid.height, grid.width, function.halo)
        expected = by_blocks(function, [dataset], whole)
        assert np.isfinite(expected).any()
        np.testing.assert_array_equal(by_blocks(function, [dataset], grid), expected)


@pytest.mark.parametrize("name", OPERATIONS)
@few
@given(grid=grids)
def test_blocks_of_any_size_equal_the_whole(folder: Path, name: str, grid: BlockGrid) -> None:
    source = source_of(folder / "grid.tif")
    assert_blocks_equal_the_whole(Chain.of(source, OPERATIONS[name]), folder / "grid.tif", grid)


@pytest.mark.parametrize("all_touched", [False, True])
@few
@given(grid=grids)
def test_masks_by_blocks_equal_the_whole(folder: Path, all_touched: bool, grid: BlockGrid) -> None:
    source = source_of(folder / "grid.tif")
    mask = MaskByVector(folder / "areas.gpkg", all_touched=all_touched)
    assert_blocks_equal_the_whole(Chain.of(source, [mask]), folder / "grid.tif", grid)


def test_masks_equal_the_whole_across_the_tiles_that_they_are_made_in(folder: Path, write_raster: Any) -> None:
    path = write_raster(np.ones((600, 700), "float32"), Affine(0.01, 0, -100.5, 0, -0.01, 50.3))
    chain = Chain.of(source_of(path), [MaskByVector(folder / "areas.gpkg")])
    assert_blocks_equal_the_whole(chain, path, BlockGrid(600, 700, 177, 260))


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic", "average", "mode", "sum"])
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(height=st.integers(1, 90), width=st.integers(1, 90))
def test_warps_by_blocks_equal_the_whole(folder: Path, method: Any, height: int, width: int) -> None:
    source = source_of(folder / "grid.tif")
    target = target_geometry(source.geometry, pyproj.CRS.from_epsg(5070), (8_000, 7_000))
    warp = Warp(source, target, method, Storage())
    grid = BlockGrid(target.height, target.width, max(height, 8), max(width, 8))
    assert_blocks_equal_the_whole(warp, folder / "grid.tif", grid)


@few
@given(grid=grids)
def test_accumulations_by_blocks_equal_the_whole(folder: Path, grid: BlockGrid) -> None:
    source = source_of(folder / "grid.tif")
    accumulation = Accumulation((source,), Accumulate("sum"), Storage())
    assert_blocks_equal_the_whole(accumulation, folder / "grid.tif", grid)


@pytest.fixture(scope="module")
def chain(folder: Path) -> Chain:
    steps = [*OPERATIONS["chain"], MaskByVector(folder / "areas.gpkg")]
    return Chain.of(source_of(folder / "grid.tif"), steps)


@pytest.mark.parametrize("executor", ["serial", "threads", "fork", "spawn"])
def test_every_executor_writes_the_same_cells(folder: Path, chain: Chain, executor: str, tmp_path: Path) -> None:
    grid = BlockGrid(ROWS, COLUMNS, 16, 17)
    output = tmp_path / "out.tif"
    process_blocks(chain, [folder / "grid.tif"], output, read="datasets", grid=grid, executor=executor, workers=2)
    with rasterio.open(folder / "grid.tif") as dataset:
        expected = by_blocks(chain, [dataset], BlockGrid(ROWS, COLUMNS, ROWS, COLUMNS, chain.halo))
    with rasterio.open(output) as written:
        assert (written.count, written.dtypes[0]) == (1, "float32")
        np.testing.assert_array_equal(written.read(), expected.astype("float32"))


def test_an_operation_is_a_function_of_arrays_too(folder: Path, tmp_path: Path) -> None:
    """For rasters that hold values: floating, NaN where missing."""
    source = source_of(folder / "grid.tif")
    with rasterio.open(folder / "grid.tif") as dataset:
        values = source.read(dataset, source.geometry.whole)
        profile = {**dataset.profile, "nodata": np.nan}
    with rasterio.open(tmp_path / "values.tif", "w", **profile) as file:
        file.write(values)
    grid = BlockGrid(ROWS, COLUMNS, 16, 17)
    process_blocks(
        Focal("mean", 5), [tmp_path / "values.tif"], tmp_path / "out.tif", grid=grid, arguments=source.geometry
    )
    with rasterio.open(folder / "grid.tif") as dataset:
        expected = by_blocks(Chain.of(source, [Focal("mean", 5)]), [dataset], BlockGrid(ROWS, COLUMNS, 99, 99))
    with rasterio.open(tmp_path / "out.tif") as written:
        np.testing.assert_array_equal(written.read(), expected)
