"""Test that arguments are taken in the forms of other packages, and that wrong arguments are named."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import block_functions as functions
import numpy as np
import pytest
import rasterio
from rasterio.windows import Window

from regionplot.blocks.grid import BlockGrid
from regionplot.blocks.process import process_blocks
from regionplot.blocks.reducers import Mean
from regionplot.blocks.sources import Sources
from regionplot.geo.grid import Window as Cells

WINDOWS = [Window(column, row, min(40, 90 - column), min(40, 70 - row)) for row in (0, 40) for column in (0, 40, 80)]
WHOLE = Cells(0, 0, 70, 90)
HALVES = [SimpleNamespace(row_off=0.5, col_off=0, height=10, width=10)]


class Wide:
    halo = 3

    def __call__(self, arrays, _block, _arguments):
        return arrays[0]


FORMS = {
    "windows": WINDOWS,
    "generator": lambda: iter(WINDOWS),
    "pairs of rio-mucho": [[window, (0, number)] for number, window in enumerate(WINDOWS)],
    "pairs of block_windows": [((0, number), window) for number, window in enumerate(WINDOWS)],
    "rows and columns": (40, 40),
    "a list of rows and columns": [np.int64(40), np.int64(40)],
}


@pytest.mark.parametrize("name", FORMS)
def test_grids_are_taken_in_the_forms_of_other_packages(grid_file, noise, read_raster, name):
    grid, target = FORMS[name], grid_file.with_name("out.tif")
    report = process_blocks(
        functions.combine, grid_file, target, grid=grid() if callable(grid) else grid, arguments=1, executor="serial"
    )
    assert report.blocks == 6
    np.testing.assert_array_equal(read_raster(target), noise)


WRONG = {
    "executor none": ({"executor": None}, TypeError, "executor"),
    "executor number": ({"executor": 2}, TypeError, "executor"),
    "executor list": ({"executor": ["fork"]}, TypeError, "executor"),
    "executor path": ({"executor": Path("fork")}, TypeError, "executor .*fork"),
    "executor object": ({"executor": SimpleNamespace(scheduler_info=1)}, TypeError, "executor .*scheduler_info"),
    "executor true": ({"executor": True}, TypeError, "executor"),
    "workers zero": ({"workers": 0}, ValueError, "workers .* not 0"),
    "workers negative": ({"workers": -1}, ValueError, "workers .* not -1"),
    "workers none": ({"workers": None}, TypeError, "workers .* None"),
    "workers text": ({"workers": "two"}, ValueError, "workers .* 'two'"),
    "workers fraction": ({"workers": 1.5}, TypeError, "workers .* 1.5"),
    "workers true": ({"workers": True}, TypeError, "workers .* True"),
    "halo fraction": ({"halo": 1.5}, TypeError, "halo .* 1.5"),
    "halo negative": ({"halo": -1}, ValueError, "halo .* -1"),
    "halo text": ({"halo": "1"}, TypeError, "halo .* '1'"),
    "halo none": ({"halo": None}, TypeError, "halo .* None"),
    "kwargs list": ({"kwargs": [1], "arguments": None}, TypeError, r"kwargs .* \[1\]"),
    "kwargs and arguments": ({"kwargs": {}}, ValueError, "arguments and kwargs are both given"),
    "halo undercut": ({"function": Wide(), "halo": 2}, ValueError, "halo is 2, .* halo of 3"),
    "bands text": ({"bands": "1"}, TypeError, "bands .* '1'"),
    "bands number": ({"bands": 1}, TypeError, "bands .* 1"),
    "bands fractions": ({"bands": [1.0]}, TypeError, "bands .*"),
    "bands empty": ({"bands": []}, ValueError, "bands is empty"),
    "grid text": ({"grid": "all"}, TypeError, "grid .* 'all'"),
    "grid number": ({"grid": 256}, TypeError, "grid .* 256"),
    "grid mapping": ({"grid": {}}, TypeError, "grid .*"),
    "grid empty": ({"grid": []}, ValueError, "grid has no windows"),
    "grid exhausted": ({"grid": iter(())}, ValueError, "grid has no windows"),
    "grid of numbers": ({"grid": [1, 2, 3]}, TypeError, "grid .* entries is 1"),
    "grid of views": ({"grid": [(0, 0, 10, 10)]}, TypeError, r"grid .* \(0, 0, 10, 10\)"),
    "grid of texts": ({"grid": ["a", "b"]}, TypeError, "grid .* 'a'"),
    "grid of none": ({"grid": [None]}, TypeError, "grid .* None"),
    "grid of fractions": ({"grid": HALVES}, ValueError, "fractions of cells"),
    "grid of zero rows": ({"grid": (0, 10)}, ValueError, r"grid is \(0, 10\), .* at least one row"),
    "grid of numbers without order": ({"grid": {10, 20}}, TypeError, "grid .* a set has no order"),
    "bands without order": ({"bands": {1, 2}}, TypeError, "bands .* {1, 2}"),
    "bands mapping": ({"bands": {1: 2}}, TypeError, "bands .* {1: 2}"),
    "overview negative": ({"open_options": {"overview_level": -1}}, ValueError, "overview_level .* -1"),
    "grid outside": ({"grid": [Window(80, 60, 40, 40)]}, ValueError, "not within the raster"),
    "grid of another raster": ({"grid": BlockGrid(10, 10, 5, 5)}, ValueError, "the grid has"),
    "read": ({"read": "array"}, ValueError, "read must be"),
    "function none": ({"function": None}, TypeError, "function must be callable"),
    "function text": ({"function": "mean"}, TypeError, "function must be callable"),
    "inputs none": ({"inputs": None}, TypeError, "inputs .* None"),
    "inputs number": ({"inputs": 7}, TypeError, "inputs .* 7"),
    "inputs bytes": ({"inputs": b"a.tif"}, TypeError, "inputs .* b'a.tif'"),
    "inputs of none": ({"inputs": [None]}, TypeError, "inputs .* None"),
    "grid of no numbers": (
        {"grid": [SimpleNamespace(row_off=np.nan, col_off=0, height=1, width=1)]},
        ValueError,
        "nan",
    ),
    "grid of sizes as text": (
        {"grid": [SimpleNamespace(row_off="1", col_off=0, height=1, width=1)]},
        ValueError,
        "'1'",
    ),
    "profile list": ({"profile": ["dtype"]}, TypeError, r"profile must be a mapping .* \['dtype'\]"),
    "profile text": ({"profile": "COG"}, TypeError, "profile must be a mapping .* 'COG'"),
    "profile count text": ({"profile": {"count": "two"}}, TypeError, "count in profile .* 'two'"),
    "profile transform short": ({"profile": {"transform": (1, 2, 3)}}, TypeError, r"transform .* \(1, 2, 3\)"),
    "profile transform number": ({"profile": {"transform": 3}}, TypeError, "transform in profile .* 3"),
    "profile transform nan": ({"profile": {"transform": [np.nan] * 6}}, TypeError, "transform in profile .* nan"),
    "profile transform text": ({"profile": {"transform": "abcdef"}}, TypeError, "transform in profile .* 'abcdef'"),
    "profile count zero": ({"profile": {"count": 0}}, ValueError, "count in profile .* 0"),
    "limits mapping": ({"worker_settings": {"timeout": 3}}, TypeError, "worker_settings must be .* {'timeout': 3}"),
    "limits none": ({"worker_settings": None}, TypeError, "worker_settings must be .* None"),
    "observer text": ({"observer": "bar"}, TypeError, "observer must be .* 'bar'"),
    "observer function": ({"observer": print}, TypeError, "observer must be .* print"),
    "output class": ({"output": Mean}, TypeError, r"such as Mean\(\), not the class"),
    "output none": ({"output": None}, TypeError, "output"),
    "output number": ({"output": 3}, TypeError, "output"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_arguments_are_named_before_anything_is_written(grid_file, name):
    given, error, message = WRONG[name]
    call = {"function": functions.combine, "inputs": grid_file, "output": grid_file.with_name("out.tif"),
            "arguments": 1, "executor": "serial", **given}  # fmt: skip
    with pytest.raises(error, match=message):
        process_blocks(call.pop("function"), call.pop("inputs"), call.pop("output"), **call)
    assert [path.name for path in grid_file.parent.iterdir()] == ["grid.tif"]


def test_a_pool_of_threads_is_not_taken_as_a_cluster(grid_file):
    with ThreadPoolExecutor(1) as pool, pytest.raises(TypeError, match="executor must be a name"):
        process_blocks(functions.combine, grid_file, grid_file.with_name("out.tif"), arguments=1, executor=pool)


def test_windows_are_checked_against_the_grid_of_an_open_output(grid_file):
    profile = {**Sources.of(grid_file).profile, "height": 60}
    with (
        rasterio.open(grid_file.with_name("out.tif"), "w", **profile) as output,
        pytest.raises(ValueError, match=r"the output has \(60, 90\) rows and columns, but the raster has \(70, 90\)"),
    ):
        process_blocks(functions.combine, grid_file, output, arguments=1, executor="serial")


def test_functions_of_numpy_are_passed_as_they_are(grid_file, noise, read_raster):
    target = grid_file.with_name("out.tif")
    process_blocks(np.hypot, [grid_file, grid_file], target, kwargs={}, executor="fork", workers=2, grid=(40, 40))
    np.testing.assert_array_equal(read_raster(target), np.hypot(noise, noise))
    process_blocks(np.clip, grid_file, target, kwargs={"a_min": 0.2, "a_max": 0.5}, executor="serial")
    np.testing.assert_array_equal(read_raster(target), np.clip(noise, 0.2, 0.5))


@pytest.mark.parametrize("executor", ["serial", "threads", "fork"])
@pytest.mark.parametrize("kind", ["dict", "tuple", "number", "numpy number", "list"])
def test_an_output_function_gets_any_result(grid_file, noise, executor, kind):
    found = {}
    process_blocks(
        functions.sum_as, grid_file, lambda block, result: found.update({block.core: result}), arguments=kind,
        grid=(40, 40), executor=executor, workers=2,
    )  # fmt: skip
    assert len(found) == 6
    for core, result in found.items():
        rows, columns = core.slices_in(WHOLE)
        assert result == functions.sum_as([noise[..., rows, columns]], None, kind)


@pytest.mark.parametrize("executor", ["serial", "fork"])
def test_arrays_of_any_shape_reach_a_function(grid_file, noise, executor):
    found = {}
    process_blocks(
        functions.covariance, grid_file, lambda block, result: found.update({block.index: result}), grid=(40, 45),
        executor=executor, workers=2,
    )  # fmt: skip
    assert sorted(found) == [(0, 0), (0, 1), (1, 0), (1, 1)]
    np.testing.assert_allclose(found[0, 1], functions.covariance([noise[:, :40, 45:]], None, None))


def test_a_block_has_a_window_of_rasterio():
    block = list(BlockGrid(70, 90, 40, 40, halo=1))[1]
    assert block.window == Window(40, 0, 40, 40)
    assert block.slices == block.window.toslices()
