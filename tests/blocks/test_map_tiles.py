"""Split, process and merge in one call, with functions of arrays and of files."""

from __future__ import annotations

import os
import pickle
import signal
import time
from pathlib import Path

import block_functions as functions
import numpy as np
import pytest
import rasterio

from regionplot.blocks import Tile, map_tiles, mosaic, process_tiles, split_tiles
from regionplot.errors import BlockError, RasterError
from regionplot.geo.grid import Window

pytestmark = [
    pytest.mark.timeout(120, method="signal"),  # a timer thread would make fork unsafe
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]
EXECUTORS = ["serial", "threads", "fork", "forkserver"]


def files_in(folder):
    return sorted(path.name for path in folder.rglob("*"))


def test_a_tile_has_an_index_window_and_overlap(grid_file, tmp_path):
    tiles = split_tiles(grid_file, tmp_path / "tiles", (30, 40), overlap=5, offset=(10, 0), executor="serial")
    assert [tile.index for tile in tiles] == [(row, column) for row in range(3) for column in range(3)]
    middle = tiles[4]
    assert isinstance(middle, Path)
    assert middle.window == Window(10, 40, 30, 40)
    assert middle.padded == Window(5, 35, 40, 50)
    assert middle.overlap == (5, 5, 5, 5)
    assert tiles[0].overlap == (0, 5, 0, 5)
    assert tiles[-1].overlap[1] == tiles[-1].overlap[3] == 0
    copy = pickle.loads(pickle.dumps(middle))
    assert (copy, copy.index, copy.window, copy.padded) == (middle, middle.index, middle.window, middle.padded)
    assert (middle.parent / "other").name == "other"
    assert middle.with_suffix(".txt").suffix == ".txt"


def test_the_profile_of_tiles_can_be_set(grid_file, tmp_path, noise):
    tiles = split_tiles(
        grid_file, tmp_path / "tiles", (64, 64), executor="serial",
        profile={"driver": "COG", "dtype": "float64", "compress": "zstd", "nodata": -7, "units": ["mm"] * len(noise)},
    )  # fmt: skip
    with rasterio.open(tiles[0]) as file:
        assert file.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert (set(file.dtypes), file.nodata, file.compression.value) == ({"float64"}, -7, "ZSTD")
        assert file.units == ("mm",) * len(noise)
        np.testing.assert_array_equal(file.read(), noise[:, :64, :64])


def test_tiles_whose_data_type_cannot_hold_the_values_are_refused(write_raster, tmp_path):
    source = write_raster(np.array([[1, 300]], np.int16))
    with pytest.raises(RasterError, match=r"grid.tif: its int16 values do not fit uint8; choose another dtype"):
        split_tiles(source, tmp_path / "tiles", profile={"dtype": "uint8"}, executor="serial")
    assert not list((tmp_path / "tiles").iterdir())


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_function_of_files_runs_on_every_executor(grid_file, tmp_path, noise, read_raster, executor):
    tiles = split_tiles(grid_file, tmp_path / "tiles", (30, 40), overlap=2, executor="serial")
    done = process_tiles(functions.add_one, tiles, tmp_path / "done", read="files", executor=executor, workers=2)
    names = [tile.name for tile in tiles]
    assert files_in(tmp_path / "done") == sorted([*names, *(f"{name}.txt" for name in names)])
    assert (tmp_path / "done" / f"{names[4]}.txt").read_text() == "(1, 1)"
    assert [(tile.index, tile.window) for tile in done] == [(tile.index, tile.window) for tile in tiles]
    mosaic(done, tmp_path / "out.tif", executor="serial")
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), noise + 1)


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (functions.write_nothing, "wrote no file"),
        (functions.fail_in_files, "no such luck"),
        (functions.exit_in_files, "SystemExit: 3"),
        (functions.add_one_or_fail, "no such luck"),
    ],
)
@pytest.mark.parametrize("executor", ["serial", "fork"])
def test_a_failing_function_of_files_leaves_the_old_results(grid_file, tmp_path, executor, function, message):
    tiles = split_tiles(grid_file, tmp_path / "tiles", (60, 60), executor="serial")
    (tmp_path / "done").mkdir()
    old = tmp_path / "done" / tiles[0].name
    old.write_bytes(b"old")
    with pytest.raises(BlockError, match=message) as caught:
        process_tiles(function, tiles, tmp_path / "done", read="files", executor=executor, workers=2)
    assert files_in(tmp_path / "done") == [old.name]
    if function is not functions.add_one_or_fail:  # it writes a result before it fails for another tile
        assert old.read_bytes() == b"old"
    if function is functions.fail_in_files:
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_arguments_that_a_function_of_files_cannot_use_are_refused(grid_file, tmp_path):
    with pytest.raises(TypeError, match="profile, bands: a function of files writes its own output"):
        process_tiles(functions.add_one, [grid_file], tmp_path / "done", read="files", profile={}, bands=[1])


@pytest.mark.parametrize("executor", EXECUTORS)
def test_one_call_equals_the_function_over_the_whole_raster(grid_file, tmp_path, noise, read_raster, executor):
    map_tiles(
        grid_file, functions.neighbors, tmp_path / "out.tif", (30, 40), overlap=1, offset=(7, 0), executor=executor,
        workers=2,
    )  # fmt: skip
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), functions.neighbors([noise], None, None))
    assert files_in(tmp_path) == ["grid.tif", "out.tif"]


def test_map_tiles_calls_a_function_of_files(grid_file, tmp_path, noise, read_raster):
    map_tiles(
        grid_file, functions.add_one, tmp_path / "out.tif", (50, 50), read="files", merge="mean",
        profile={"driver": "COG"}, executor="fork", workers=2,
    )  # fmt: skip
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), noise + 1)
    assert files_in(tmp_path) == ["grid.tif", "out.tif"]


@pytest.mark.parametrize("nodata", [None, -1.0, np.nan])
def test_missing_cells_stay_as_they_are(write_raster, tmp_path, read_raster, nodata):
    values = np.random.default_rng(6).choice(np.array([np.nan, -1.0, 3.0], np.float32), (2, 30, 40))
    source = write_raster(values, nodata=nodata)
    map_tiles(source, lambda arrays, *_: arrays[0], tmp_path / "out.tif", (11, 13), overlap=3, executor="serial")
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), values)


def test_the_output_can_be_the_source_and_survives_a_failure(grid_file, tmp_path, noise, read_raster):
    before = grid_file.read_bytes()
    with pytest.raises(BlockError, match="no such luck"):
        map_tiles(grid_file, functions.fail_at, grid_file, (30, 40), arguments=(0, 0), executor="serial")
    assert grid_file.read_bytes() == before
    with pytest.raises(ValueError, match="overlap must be one of"):
        map_tiles(grid_file, functions.core_only, grid_file, (30, 40), merge="blend", executor="serial")
    assert grid_file.read_bytes() == before
    assert files_in(tmp_path) == ["grid.tif"]
    map_tiles(grid_file, functions.core_only, grid_file, (30, 40), executor="serial")
    np.testing.assert_array_equal(read_raster(grid_file), noise * 2)


def test_a_result_of_another_size_is_refused_where_its_core_is_used(grid_file, tmp_path):
    with pytest.raises(RasterError, match=r"it has \(1, 1\) rows and columns, but its tile has"):
        map_tiles(grid_file, one_cell, tmp_path / "out.tif", (60, 60), read="files", executor="serial")
    assert files_in(tmp_path) == ["grid.tif"]


def one_cell(source, target):
    with rasterio.open(source) as file:
        profile = {**file.profile, "height": 1, "width": 1, "tiled": False}
    with rasterio.open(target, "w", **{k: v for k, v in profile.items() if not k.startswith("block")}):
        pass


def test_an_interrupt_leaves_no_temporary_file(grid_file, tmp_path):
    def interrupt(*_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        map_tiles(grid_file, interrupt, tmp_path / "out.tif", (60, 60), executor="serial")
    assert files_in(tmp_path) == ["grid.tif"]


PROGRAM = """
import sys
sys.path.insert(0, {folder!r})
import block_functions as functions
from regionplot.blocks import map_tiles
if __name__ == "__main__":
    map_tiles("grid.tif", functions.announce_files_and_hang, "out.tif", (60, 60), read="files", executor={executor!r},
              workers=2)
"""


def started(start_command, tmp_path, executor):
    """Start a program that hangs in the function, and wait until the function has written an incomplete result."""
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(folder=str(Path(functions.__file__).parent), executor=executor))
    process = start_command(tmp_path, script=program)
    end = time.monotonic() + 60
    while not list(tmp_path.glob(".out.tif.*.tmp/results/.*.tmp/*/*")):
        assert process.poll() is None, process.stderr.read()
        assert time.monotonic() < end
        time.sleep(0.05)
    return process


@pytest.mark.usefixtures("grid_file")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
@pytest.mark.parametrize("executor", ["serial", "fork"])
def test_a_signal_leaves_no_temporary_file(start_command, tmp_path, number, executor):
    (tmp_path / "out.tif").write_bytes(b"old")
    process = started(start_command, tmp_path, executor)
    process.send_signal(number)
    process.communicate(timeout=60)
    assert process.returncode == -number
    assert files_in(tmp_path) == ["grid.tif", "out.tif", "program.py"]
    assert (tmp_path / "out.tif").read_bytes() == b"old"


def test_the_next_call_removes_the_files_of_a_killed_program(start_command, grid_file, tmp_path):
    process = started(start_command, tmp_path, "serial")
    process.kill()
    process.communicate(timeout=60)
    assert list(tmp_path.glob(".out.tif.*"))
    map_tiles(grid_file, functions.core_only, tmp_path / "other.tif", (60, 60), executor="serial")
    assert files_in(tmp_path) == ["grid.tif", "other.tif", "program.py"]


def test_a_handler_of_the_program_is_left_alone(grid_file, tmp_path):
    received = []
    before = signal.signal(signal.SIGHUP, lambda *_: received.append(True))
    try:
        map_tiles(grid_file, hang_up, tmp_path / "out.tif", (60, 120), executor="serial")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert received
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert (tmp_path / "out.tif").exists()


def hang_up(arrays, *_):
    os.kill(os.getpid(), signal.SIGHUP)
    return arrays[0]


def test_tiles_without_a_place_are_plain_paths(grid_file, tmp_path):
    done = process_tiles(functions.core_only, [grid_file], tmp_path / "done", executor="serial")
    assert not isinstance(done[0], Tile)
