"""Test that a function over blocks gives the same result as over the whole raster, for all grids and executors."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import block_functions as functions
import numpy as np
import pytest
import rasterio
from affine import Affine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from regionplot import blocks
from regionplot.blocks.grid import Block, BlockGrid
from regionplot.blocks.process import fill_array, process_blocks
from regionplot.blocks.report import BlockObserver, BlocksReport
from regionplot.blocks.sources import Sources
from regionplot.errors import BlockError, ExecutorError, RasterError
from regionplot.geo.grid import Window

pytestmark = [
    pytest.mark.timeout(120, method="signal"),  # a timer thread would make fork unsafe
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]

HERE = ["serial", "threads"]
sides = st.integers(1, 100)
some_grids = st.builds(
    lambda rows, columns, down, across: BlockGrid(70, 90, rows, columns, row_offset=down, column_offset=across),
    st.integers(9, 80), st.integers(9, 100), st.integers(0, 20), st.integers(0, 20),
)  # fmt: skip
same_fixtures = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def check_neighbors(grid_file, noise, read_raster, grid, executor):
    target = grid_file.with_name("out.tif")
    report = process_blocks(functions.neighbors, grid_file, target, grid=grid, halo=1, executor=executor, workers=2)
    np.testing.assert_array_equal(read_raster(target), functions.neighbors([noise], None, None))
    assert report.blocks == len(grid)


@given(grid=some_grids, executor=st.sampled_from(HERE))
@same_fixtures
def test_result_of_blocks_equals_result_of_the_whole_raster(grid_file, noise, read_raster, grid, executor):
    check_neighbors(grid_file, noise, read_raster, grid, executor)


@given(grid=some_grids)
@settings(same_fixtures, max_examples=8)
def test_result_of_forked_workers_equals_result_of_the_whole_raster(grid_file, noise, read_raster, grid):
    check_neighbors(grid_file, noise, read_raster, grid, "fork")


@pytest.mark.parametrize("executor", ["forkserver", "spawn"])
def test_result_of_unforked_workers_equals_result_of_the_whole_raster(grid_file, noise, read_raster, executor):
    check_neighbors(grid_file, noise, read_raster, BlockGrid(70, 90, 33, 41), executor)


DASK = """
import sys, threading
import block_functions, distributed
import numpy as np
import rasterio
from regionplot.blocks import Variance, process_blocks
from regionplot.blocks.reducers import ReducerSink
if __name__ == "__main__":
    source, target = sys.argv[1:]
    print(process_blocks(block_functions.neighbors, source, target, halo=1, executor="dask", workers=2))
    assert threading.active_count() == 1, threading.enumerate()  # so later runs can fork
    local = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**local) as cluster:
        with distributed.Client(cluster, set_as_default=False) as client:
            print(process_blocks(block_functions.neighbors, source, target + "f", halo=1, executor=client))
            written, write = [], ReducerSink.write
            ReducerSink.write = lambda sink, block, values, checksum: (
                written.append(values), write(sink, block, values, checksum))
            reducer = Variance()
            process_blocks(block_functions.first, source, reducer, grid=(7, 9), executor=client)
            bands = rasterio.open(source).read().astype(float)
            np.testing.assert_allclose(reducer.results, bands.var(axis=(1, 2)))
            assert len(written) == 100 and sum(values is not None for values in written) < 50, written
        print(process_blocks(block_functions.neighbors, source, target + "a", halo=1,
            executor=cluster.scheduler_address))
"""


def test_result_of_a_dask_cluster_equals_result_of_the_whole_raster(grid_file, noise, read_raster):
    target = grid_file.with_name("out.tif")
    folder = {"cwd": Path(__file__).parent, "env": {"PYTHONPATH": ".", "PATH": ""}}
    command = [sys.executable, "-c", DASK, grid_file, target]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100, **folder)
    assert result.returncode == 0, result.stderr
    assert result.stdout.count("(dask)") == 3
    for path in (target, Path(f"{target}f"), Path(f"{target}a")):
        np.testing.assert_array_equal(read_raster(path), functions.neighbors([noise], None, None))


def test_inputs_are_read_as_a_list_of_arrays(grid_file, write_raster, noise, read_raster):
    other = write_raster(noise[::-1] + 1, name="other.tif")
    target = grid_file.with_name("out.tif")
    process_blocks(functions.combine, [grid_file, other], target, arguments=np.float32(3))
    np.testing.assert_array_equal(read_raster(target), functions.combine([noise, noise[::-1] + 1], None, np.float32(3)))


def test_inputs_are_read_as_one_stack(grid_file, write_raster, noise, read_raster):
    other = write_raster(noise[::-1] + 1, name="other.tif")
    target = grid_file.with_name("out.tif")
    inputs = [grid_file, other]
    process_blocks(functions.stacked_maximum, inputs, target, read="stack", profile={"count": 1})
    np.testing.assert_array_equal(read_raster(target)[0], np.concatenate([noise, noise[::-1] + 1]).max(axis=0))


@pytest.mark.parametrize("executor", ["threads", "fork"])
def test_inputs_are_passed_as_open_datasets_with_any_grid(grid_file, write_raster, noise, read_raster, executor):
    larger = write_raster(np.ones((100, 100), np.float32), affine=Affine(2, 0, 0, 0, -2, 0), name="larger.tif")
    target = grid_file.with_name("out.tif")
    options = {"read": "datasets", "profile": {"count": 1}, "executor": executor, "workers": 2}
    process_blocks(functions.read_by_hand, [grid_file, larger], target, **options)
    np.testing.assert_array_equal(read_raster(target)[0], noise.sum(axis=0) + np.float32(1))


def test_a_result_can_cover_the_core_only(grid_file, noise, read_raster):
    target = grid_file.with_name("out.tif")
    process_blocks(functions.core_only, grid_file, target, halo=5, grid=BlockGrid(70, 90, 20, 20))
    np.testing.assert_array_equal(read_raster(target), noise * 2)


def test_selected_bands_are_read_and_keep_their_labels(grid_file, noise, read_raster):
    target = grid_file.with_name("out.tif")
    process_blocks(functions.core_only, grid_file, target, bands=[2])
    np.testing.assert_array_equal(read_raster(target), noise[1:] * 2)
    with rasterio.open(target) as dataset:
        assert (dataset.descriptions, dataset.scales, dataset.offsets) == (("water",), (2.0,), (1.0,))


def test_an_output_has_the_properties_of_the_first_input(grid_file):
    target = grid_file.with_name("out.tif")
    process_blocks(functions.core_only, grid_file, target)
    with rasterio.open(grid_file) as source, rasterio.open(target) as dataset:
        assert dataset.profile == source.profile
        for name in ("descriptions", "units", "scales", "offsets"):
            assert getattr(dataset, name) == getattr(source, name)
        assert dataset.tags()["VALID_TIME"] == "2026-11-20T00:00:00"
        assert dataset.tags(ns="IMAGE_STRUCTURE")["PREDICTOR"] == "3"


def test_the_given_profile_overrides_all_others(grid_file):
    target = grid_file.with_name("out.tif")
    profile = {"compress": "lzw", "blockxsize": 64, "blockysize": 64, "units": ("mm", "mm"), "nodata": -1}
    process_blocks(functions.core_only, grid_file, target, profile=profile)
    with rasterio.open(target) as dataset:
        assert (dataset.profile["compress"], dataset.block_shapes[0], dataset.units) == ("lzw", (64, 64), ("mm", "mm"))
        assert dataset.nodata == -1


def test_an_object_defines_its_halo_and_output_profile(grid_file, noise, read_raster):
    target = grid_file.with_name("out.tif")
    process_blocks(functions.Neighbors(), grid_file, target, grid=BlockGrid(70, 90, 13, 17))
    np.testing.assert_array_equal(read_raster(target), functions.neighbors([noise], None, None).astype(np.float64))
    with rasterio.open(target) as dataset:
        assert (dataset.dtypes[0], dataset.nodata) == ("float64", -1)


def test_rasterio_windows_are_blocks(grid_file, noise, read_raster):
    target = grid_file.with_name("out.tif")
    with rasterio.open(grid_file) as dataset:
        windows = [window for _, window in dataset.block_windows(1)]
    report = process_blocks(functions.core_only, grid_file, target, grid=windows)
    assert report.blocks == len(windows) == 15
    np.testing.assert_array_equal(read_raster(target), noise * 2)


def test_cells_without_a_window_are_nodata(grid_file, noise, read_raster):
    target = grid_file.with_name("out.tif")
    process_blocks(functions.core_only, grid_file, target, grid=[Window(10, 20, 30, 40)])
    expected = np.full_like(noise, -9999)
    expected[:, 10:40, 20:60] = noise[:, 10:40, 20:60] * 2
    np.testing.assert_array_equal(read_raster(target), expected)


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ([Window(0, 0, 20, 20), Window(30, 0, 5, 90), Window(10, 19, 5, 5)], "overlap"),
        ([Window(60, 0, 11, 5)], "not within the raster of 70 rows and 90 columns"),
        ([Window(0, -1, 5, 5)], "not within"),
    ],
)
def test_windows_that_cannot_be_written_are_refused(grid_file, windows, message):
    with pytest.raises(ValueError, match=message):
        process_blocks(functions.core_only, grid_file, grid_file.with_name("out.tif"), grid=windows)


def test_an_open_dataset_can_be_the_output(grid_file, noise, read_raster):
    target = grid_file.with_name("out.tif")
    with rasterio.open(grid_file) as source, rasterio.open(target, "w", **source.profile) as dataset:
        process_blocks(functions.core_only, grid_file, dataset, executor="fork", workers=2)
    np.testing.assert_array_equal(read_raster(target), noise * 2)


@pytest.mark.parametrize("executor", ["serial", "threads", "fork"])
def test_an_output_function_can_keep_the_results(grid_file, noise, executor):
    kept = []
    options = {"grid": BlockGrid(70, 90, 35, 90), "executor": executor, "workers": 2}
    process_blocks(functions.core_only, grid_file, lambda *result: kept.append(result), **options)
    kept.sort(key=lambda result: result[0].core.row_off)
    assert all(isinstance(block, Block) for block, _ in kept)
    np.testing.assert_array_equal(np.concatenate([array for _, array in kept], axis=1), noise * 2)


@pytest.mark.parametrize("read", ["arrays", "masked", "stack"])
def test_an_output_function_gets_masked_arrays(grid_file, noise, read):
    kept = []
    process_blocks(
        functions.large_cells_masked, grid_file, lambda _, result: kept.append(result), read=read, halo=2,
        grid=BlockGrid(70, 90, 70, 45), executor="serial",
    )  # fmt: skip
    expected = np.ma.masked_greater(noise, 0.5)
    assert [result.shape for result in kept] == [(2, 70, 45)] * 2  # without the halo
    np.testing.assert_array_equal(np.ma.getmaskarray(np.ma.concatenate(kept, axis=2)), np.ma.getmaskarray(expected))


@pytest.mark.parametrize("executor", ["serial", "threads", "fork"])
def test_an_array_is_filled(grid_file, noise, executor):
    options = {"dtype": "float32", "grid": BlockGrid(70, 90, 16, 32), "executor": executor, "workers": 2}
    filled = fill_array(functions.core_only, grid_file, count=2, **options)
    np.testing.assert_array_equal(filled, noise * 2)
    flat = fill_array(functions.core_only, grid_file, bands=[1], **options)
    np.testing.assert_array_equal(flat, noise[0] * 2)


def test_a_profile_is_refused_if_no_file_is_written(grid_file):
    with pytest.raises(ValueError, match="profile sets the properties of a new file, but the output is not a path"):
        fill_array(functions.core_only, grid_file, dtype="float32", count=2, profile={"count": 2})
    with pytest.raises(ValueError, match="the output is not a path"):
        process_blocks(functions.core_only, grid_file, lambda *_: None, profile={"count": 2})


def test_process_blocks_has_few_arguments():
    assert len(inspect.signature(process_blocks).parameters) < 15


@pytest.mark.parametrize(("tiled", "blocks"), [(True, 1), (False, 1)])
def test_small_blocks_are_merged(write_raster, tiled, blocks):
    options = {"tiled": True, "blockxsize": 16, "blockysize": 16} if tiled else {}
    source = write_raster(np.zeros((200, 500), np.uint8), **options)
    report = process_blocks(functions.core_only, source, source.with_name("out.tif"))
    assert report.blocks == blocks


def test_blocks_of_strips_are_as_high_as_the_tiles_of_the_output(write_raster):
    for width, height in ((600, 512), (1100, 256)):
        source = write_raster(np.zeros((600, width), np.uint8))
        seen = set()
        process_blocks(functions.core_only, source, lambda block, _, seen=seen: seen.add(block.core))
        assert seen == {Window(row, 0, min(height, 600 - row), width) for row in range(0, 600, height)}


def test_wide_rasters_of_strips_are_divided_into_columns(write_raster):
    source = write_raster(np.zeros((300, 20_000), np.uint8))
    seen = set()
    process_blocks(functions.core_only, source, lambda block, _: seen.add(block.core.width))
    assert max(seen) * 256 <= 2**22
    assert max(seen) % 256 == 0


def test_all_differences_between_inputs_are_reported_together(grid_file, write_raster):
    other_shape = write_raster(np.zeros((2, 70, 91), np.float32), name="shape.tif")
    shifted = write_raster(np.zeros((2, 70, 90)), affine=Affine(1, 0, -100.5, 0, -1, 50), name="shifted.tif")
    other_crs = write_raster(np.zeros((70, 90)), crs="EPSG:4269", name="crs.tif")
    with pytest.raises(RasterError) as caught:
        process_blocks(functions.combine, [grid_file, other_shape, shifted, other_crs], "out.tif", bands=[2])
    found = str(caught.value)
    for text in (
        "shape.tif: it has (70, 91)",
        "shifted.tif: its transform is not that of",
        "crs.tif: its CRS is not",
        "no band 2",
    ):
        assert text in found
    assert len(caught.value.problems) == 4


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "no such file"), (b"<VRTDataset/>", "an XML file"), (b"nothing", "cannot be read as a raster")],
)
def test_a_file_that_is_not_a_raster_is_named(tmp_path, content, message):
    path = tmp_path / "in.tif"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(RasterError, match=f"in.tif: .*{message}"):
        process_blocks(functions.combine, [path], tmp_path / "out.tif")


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (lambda *_: np.zeros(5), {}, r"shape \(5,\), but the block is \(70, 90\)"),
        (lambda *_: np.zeros((3, 70, 90), np.float32), {}, r'3 band\(s\), but the output has 2.*"count": 3'),
        (lambda *_: np.zeros((2, 70, 90)), {"profile": {"dtype": "uint8"}}, "float64, .* the output's uint8"),
        (lambda *_: np.full((2, 70, 90), 256), {"profile": {"dtype": "uint8"}}, "int64, .* the output's uint8"),
        (lambda *_: np.full((2, 70, 90), 3e9, "u4"), {"profile": {"dtype": "int32"}}, "uint32, .* the output's int32"),
        (lambda *_: np.full((2, 70, 90), 200, "u1"), {"profile": {"dtype": "int8"}}, "uint8, .* the output's int8"),
        (lambda *_: np.full((2, 70, 90), 1e300), {}, "float64, .* the output's float32 cannot hold"),
        (lambda *_: np.ma.masked_less(np.zeros((2, 70, 90)), 1), {}, r"masked array, .* its \.filled\(nodata\)"),
    ],
)
def test_unsuitable_results_are_explained(grid_file, function, options, message):
    with pytest.raises(BlockError, match=message):
        process_blocks(function, grid_file, grid_file.with_name("out.tif"), executor="serial", **options)


def test_integers_that_fit_are_converted(grid_file, read_raster):
    target = grid_file.with_name("out.tif")
    process_blocks(lambda *_: np.full((2, 70, 90), 255), grid_file, target, profile={"dtype": "uint8"})
    assert (read_raster(target) == 255).all()
    assert rasterio.open(target).nodata is None, "-9999 is not a value of bytes"


@pytest.mark.parametrize("values", [np.ma.masked_array([[1.0, 2.0]]), np.array([[np.inf, -np.inf]])])
def test_masked_arrays_without_masked_cells_and_infinite_values_are_accepted(
    write_raster, tmp_path, read_raster, values
):
    source, target = write_raster(np.zeros((1, 2), np.float32)), tmp_path / "out.tif"
    process_blocks(lambda *_: values, source, target, executor="serial")
    np.testing.assert_array_equal(read_raster(target)[0], np.asarray(values))


def test_a_function_that_cannot_be_pickled_is_reported_before_workers_start(grid_file):
    with pytest.raises(ExecutorError, match="top of a module, or use executor='threads'"):
        process_blocks(lambda arrays, *_: arrays[0], grid_file, "out.tif", executor="spawn", workers=2)


def test_auto_uses_threads_if_fork_is_unsafe_or_the_function_releases_the_gil(grid_file):
    options = {"grid": BlockGrid(70, 90, 16, 32), "workers": 2}
    target = grid_file.with_name("out.tif")
    assert process_blocks(functions.core_only, grid_file, target, **options).executor == "fork"
    suited = functions.Neighbors()
    suited.releases_gil = True
    assert process_blocks(suited, grid_file, target, **options).executor == "threads"
    event = threading.Event()
    thread = threading.Thread(target=event.wait)
    thread.start()
    try:
        assert process_blocks(functions.core_only, grid_file, target, **options).executor == "threads"
    finally:
        event.set()
        thread.join()
    assert process_blocks(functions.core_only, grid_file, target, workers=2).executor == "serial", (
        "one block needs no threads"
    )


def test_a_report_has_the_times_of_blocks(grid_file):
    seen = []

    class Watcher(BlockObserver):
        def started(self, *what):
            seen.append(what)

        def finished(self, outcome):
            seen.append(outcome.job)

    grid = BlockGrid(70, 90, 35, 45)
    target = grid_file.with_name("out.tif")
    report = process_blocks(
        functions.core_only, grid_file, target, grid=grid, executor="threads", workers=2, observer=Watcher()
    )
    assert seen[0] == (4, 2, "threads")
    assert set(seen[1:]) == set(grid)
    assert 0 < report.shortest <= report.median <= report.longest < report.seconds
    assert str(report).startswith("4 blocks in")
    assert str(BlocksReport(0, 0.0, (), 1, "serial")).startswith("0 blocks in 0.0 s by 1 worker")


def test_a_pickled_block_is_small():
    block = next(iter(BlockGrid(10_000, 10_000, 512, 512, halo=3)))
    assert len(pickle.dumps(block)) < 400


def test_no_threads_and_no_open_files_are_left(grid_file):
    before = threading.active_count()
    open_files = {path.name for path in Path("/proc/self/fd").iterdir()} if Path("/proc/self/fd").is_dir() else set()
    for executor in ("serial", "threads", "fork"):
        target = grid_file.with_name("out.tif")
        process_blocks(functions.core_only, grid_file, target, grid=BlockGrid(70, 90, 20, 20), executor=executor)
    assert threading.active_count() == before
    if open_files:
        assert len(list(Path("/proc/self/fd").iterdir())) <= len(open_files)
    assert {path.name for path in grid_file.parent.iterdir()} == {"grid.tif", "out.tif"}


def test_blocks_of_strips_are_smaller_if_there_are_many_bands(write_raster):
    few, many = (write_raster(np.zeros((count, 600, 9000), "uint8"), name=f"{count}.tif") for count in (1, 40))
    cells = [max(b.core.cells for b in Sources.of(path).default_grid) for path in (few, many)]
    assert cells[1] <= 2**19 < cells[0]


def test_importing_the_function_imports_no_library_but_numpy_and_rasterio():
    heavy = {"pyproj", "pydantic", "xarray", "matplotlib", "multiprocessing", "email", "statistics"}
    code = "import sys, rasterio\nbefore = set(sys.modules)\n"  # rasterio imports boto3, if it is installed
    code += f"from regionplot.blocks import process_blocks\nprint({heavy!r} & set(sys.modules) - before)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "set()\n"


def test_every_public_name_is_imported_on_first_use():
    names = {name: getattr(blocks, name) for name in dir(blocks)}
    assert list(names) == sorted(blocks.__all__)
    assert all(callable(value) for value in names.values())
    with pytest.raises(AttributeError, match="no attribute 'process_block'"):
        _ = blocks.process_block
