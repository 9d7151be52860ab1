"""Blocks equal the whole raster, bit for bit, for all steps, block sizes and executors."""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyproj
import pytest
import rasterio
import shapely
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regionplot.blocks.grid import Block, BlockGrid
from regionplot.blocks.process import process_blocks
from regionplot.blocks.values import BandReader, Storage
from regionplot.geo.grid import GridGeometry
from regionplot.prepare.base import Operation
from regionplot.prepare.chain import Chain
from regionplot.prepare.steps.accumulate import Accumulate, Accumulation, How
from regionplot.prepare.steps.expression import Expression
from regionplot.prepare.steps.focal import Focal
from regionplot.prepare.steps.hillshade import Hillshade
from regionplot.prepare.steps.mask import MaskByVector
from regionplot.prepare.steps.reclassify import Reclassify
from regionplot.prepare.steps.scale import Scale
from regionplot.prepare.steps.slope import Slope
from regionplot.prepare.steps.warp import Method, Warp, target_geometry
from regionplot.settings.raster import RasterSettings

pytestmark = pytest.mark.timeout(method="signal")

ROWS, COLUMNS = 29, 37


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three bands of heights with missing cells, and polygons with edges through the middle of cells."""
    import pyogrio.raw

    folder = tmp_path_factory.mktemp("blocks")
    random = np.random.default_rng(11)
    values = random.normal(500, 200, (3, ROWS, COLUMNS)).astype("float32")
    values[random.random(values.shape) < 0.1] = -9999
    values[:, :8, 12:25] = -9999
    profile = {"driver": "GTiff", "dtype": "float32", "count": 3, "height": ROWS, "width": COLUMNS, "nodata": -9999}
    place = {"crs": "EPSG:4326", "transform": Affine(0.1, 0, -100, 0, -0.1, 50)}
    with rasterio.open(folder / "grid.tif", "w", **profile, **place) as file:
        file.write(values)
    shapes = [
        shapely.Polygon([(-99.95, 49.95), (-96.9, 49.95), (-98.1, 47.05)]),
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
    "reclassify": [Reclassify(("0:400=1", "400:600=2", "else=missing"))],
    "convert": [Scale(5 / 9, -160 / 9, "degC")],  # degF to degC; making the units of pint would delay each collection
    "scale": [Scale(0.1, 3)],
    "hillshade": [Hillshade(300, 30)],
    "slope": [Slope()],
    "accumulate": [Accumulate("mean")],
    "chain": [Focal("mean", 3), Expression("b1 - b2 * 0.3"), Focal("gaussian", sigma=0.8), Slope("percent")],
}
sizes = st.one_of(  # blocks may be thin or small, but not both: a raster of very many blocks takes long
    st.tuples(st.integers(3, 40), st.integers(3, 50)),
    st.tuples(st.integers(1, 2), st.integers(10, 50)),
    st.tuples(st.integers(10, 40), st.integers(1, 2)),
)
large_sizes = st.tuples(st.integers(12, 40), st.integers(15, 50))  # of all steps, so that blocks are few


def grids_of(sizes: st.SearchStrategy[tuple[int, int]]) -> st.SearchStrategy[BlockGrid]:
    """Return a strategy for grids with blocks of these sizes, whose first blocks may be smaller."""
    offsets = st.tuples(st.integers(0, 50), st.integers(0, 50))
    return st.builds(lambda size, offset: BlockGrid(ROWS, COLUMNS, *size, 0, *offset), sizes, offsets)


few = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


WARPS: tuple[Method, ...] = get_args(Method)
HOWS: tuple[How, ...] = get_args(How)


@dataclass(frozen=True, repr=False)
class CombinedFunctions:
    """Combine functions over blocks, so that each executor starts only once."""

    of_one: tuple[Chain | Warp | Accumulation, ...]
    """Functions that read the first dataset."""
    of_two: tuple[Accumulation, ...]

    def __repr__(self) -> str:
        """Return a short text. Of a long one, hypothesis warns instead of reporting a failure."""
        return "CombinedFunctions()"

    @property
    def count(self) -> int:
        return sum(function.count for function in (*self.of_one, *self.of_two))

    def profile(self, profile: Any) -> dict[str, Any]:
        tile = {"blockysize": 16, "blockxsize": 32}  # larger tiles of so many bands would take long
        return {**profile, "count": self.count, "dtype": "float64", "nodata": np.nan, **tile}

    def __call__(self, datasets: Sequence[Any], block: Block, _arguments: object) -> Any:
        results = [function([datasets[0]], around(function, block), None) for function in self.of_one]
        results += [function(datasets, around(function, block), None) for function in self.of_two]
        return np.concatenate(results).astype("float64")


def around(function: Chain | Warp | Accumulation, block: Block) -> Block:
    """Return the block with the halo of a function."""
    return BlockGrid(ROWS, COLUMNS, ROWS, COLUMNS, function.halo).block(block.core)


def by_blocks(function: Any, datasets: Any, grid: BlockGrid) -> Any:
    result = np.full((function.count, grid.height, grid.width), 12345.0)
    for block in grid:
        core = block.core
        values = function(datasets, block, None)
        result[:, core.row_off : core.row_off + core.height, core.col_off : core.col_off + core.width] = values
    return result


def source_of(path: Path) -> BandReader:
    return BandReader.of(RasterSettings(path=path))


def assert_blocks_equal_the_whole_raster(function: Any, path: Path, grid: BlockGrid) -> None:
    from dataclasses import replace

    with rasterio.open(path) as dataset:
        grid = replace(grid, halo=function.halo)
        whole = BlockGrid(grid.height, grid.width, grid.height, grid.width, function.halo)
        expected = by_blocks(function, [dataset], whole)
        assert np.isfinite(expected).any()
        np.testing.assert_array_equal(by_blocks(function, [dataset], grid), expected)


@pytest.mark.parametrize("name", OPERATIONS)
@few
@given(grid=grids_of(sizes))
def test_blocks_of_any_size_equal_the_whole_raster(folder: Path, name: str, grid: BlockGrid) -> None:
    source = source_of(folder / "grid.tif")
    assert_blocks_equal_the_whole_raster(Chain.of(source, OPERATIONS[name]), folder / "grid.tif", grid)


def test_blocks_of_one_cell_equal_the_whole_raster(folder: Path) -> None:
    chain = Chain.of(source_of(folder / "grid.tif"), OPERATIONS["chain"])
    assert_blocks_equal_the_whole_raster(chain, folder / "grid.tif", BlockGrid(ROWS, COLUMNS, 1, 1))


@pytest.mark.parametrize("all_touched", [False, True])
@few
@given(grid=grids_of(sizes))
def test_masks_by_blocks_equal_the_whole_raster(folder: Path, all_touched: bool, grid: BlockGrid) -> None:
    source = source_of(folder / "grid.tif")
    mask = MaskByVector(folder / "areas.gpkg", all_touched=all_touched)
    assert_blocks_equal_the_whole_raster(Chain.of(source, [mask]), folder / "grid.tif", grid)


def test_a_mask_of_several_tiles_equals_the_mask_of_the_whole_raster(folder: Path, write_raster: Any) -> None:
    path = write_raster(np.ones((600, 700), "float32"), Affine(0.01, 0, -100.5, 0, -0.01, 50.3))
    chain = Chain.of(source_of(path), [MaskByVector(folder / "areas.gpkg")])
    assert_blocks_equal_the_whole_raster(chain, path, BlockGrid(600, 700, 177, 260))


@pytest.mark.parametrize("method", WARPS)
@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(height=st.integers(1, 90), width=st.integers(1, 90))
def test_warps_by_blocks_equal_the_whole_raster(folder: Path, method: Any, height: int, width: int) -> None:
    source = source_of(folder / "grid.tif")
    target = target_geometry(source.geometry, pyproj.CRS.from_epsg(5070), (18_000, 17_000))
    warp = Warp(source, target, method, Storage())
    grid = BlockGrid(target.height, target.width, height, width)
    assert_blocks_equal_the_whole_raster(warp, folder / "grid.tif", grid)


@few
@given(grid=grids_of(sizes))
def test_accumulations_by_blocks_equal_the_whole_raster(folder: Path, grid: BlockGrid) -> None:
    source = source_of(folder / "grid.tif")
    accumulation = Accumulation((source,), Accumulate("sum"), Storage())
    assert_blocks_equal_the_whole_raster(accumulation, folder / "grid.tif", grid)


@pytest.fixture(scope="module")
def everything(folder: Path) -> CombinedFunctions:
    """Return all steps. Their results have as many rows and columns as the raster."""
    source = source_of(folder / "grid.tif")
    masks = [[MaskByVector(folder / "areas.gpkg", all_touched=touched)] for touched in (False, True)]
    chains = [Chain.of(source, steps) for steps in (*OPERATIONS.values(), *masks)]
    target = GridGeometry(Affine(9_000, 0, -330_000, 0, -9_000, 3_050_000), ROWS, COLUMNS, pyproj.CRS.from_epsg(5070))
    warps = [Warp(source, target, method, Storage()) for method in WARPS]
    sums = [Accumulation((source,), Accumulate(how), Storage()) for how in HOWS]
    pairs = [Accumulation((source, source), Accumulate(how), Storage()) for how in HOWS]
    return CombinedFunctions((*chains, *warps, *sums), (*pairs,))


@pytest.fixture(scope="module")
def expected(folder: Path, everything: CombinedFunctions) -> Any:
    """Return the results for the whole raster as one block."""
    with rasterio.open(folder / "grid.tif") as one, rasterio.open(folder / "grid.tif") as two:
        whole = by_blocks(everything, [one, two], BlockGrid(ROWS, COLUMNS, ROWS, COLUMNS))
    assert np.isfinite(whole).any(axis=(1, 2)).all(), "each result has valid cells"
    return whole


def assert_written_alike(folder: Path, everything: CombinedFunctions, expected: Any, **options: Any) -> None:
    with tempfile.TemporaryDirectory() as place:
        output = Path(place, "out.tif")
        inputs = [folder / "grid.tif"] * 2
        process_blocks(everything, inputs, output, read="datasets", **{"workers": 2, **options})
        with rasterio.open(output) as written:
            assert (written.count, written.dtypes[0]) == (everything.count, "float64")
            np.testing.assert_array_equal(written.read(), expected)


@pytest.mark.parametrize("executor", ["serial", "threads", "fork"])
@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(grid=grids_of(large_sizes))
def test_every_executor_writes_the_same_cells_for_all_block_sizes(
    folder: Path, everything: CombinedFunctions, expected: Any, executor: str, grid: BlockGrid
) -> None:
    assert_written_alike(folder, everything, expected, grid=grid, executor=executor)


@pytest.mark.parametrize("executor", ["forkserver", "dask"])
def test_processes_without_inherited_data_write_the_same_cells(
    folder: Path, everything: CombinedFunctions, expected: Any, executor: str
) -> None:
    grid = BlockGrid(ROWS, COLUMNS, 16, 17, row_offset=5, column_offset=9)
    options = {"grid": grid, "executor": executor, "workers": 1}
    if executor != "dask":
        assert_written_alike(folder, everything, expected, **options)
        return
    with ProcessPoolExecutor(1, multiprocessing.get_context("fork")) as pool:  # dask leaves a thread behind
        pool.submit(assert_written_alike, folder, everything, expected, **options).result()


def test_an_operation_is_a_function_over_blocks_of_values(folder: Path, tmp_path: Path) -> None:
    """It is for rasters in floating point in which missing cells are NaN."""
    source = source_of(folder / "grid.tif")
    with rasterio.open(folder / "grid.tif") as dataset:
        values = source.read(dataset, source.geometry.full_window)
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
