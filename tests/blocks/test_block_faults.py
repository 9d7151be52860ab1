"""Test faults in runs over blocks. The error names the cause, the old output stays, and no temporary file is left."""

from __future__ import annotations

import copyreg
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import block_functions as functions
import numpy as np
import psutil
import pytest
import rasterio
from affine import Affine

from regionplot.blocks import BlockObserver, WorkerSettings
from regionplot.blocks.grid import BlockGrid
from regionplot.blocks.new_raster import new_raster
from regionplot.blocks.process import process_blocks
from regionplot.blocks.task import detach_output
from regionplot.errors import BlockError, RasterError

pytestmark = [
    pytest.mark.timeout(120, method="signal"),  # a timer thread would make fork unsafe
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]

GRID = BlockGrid(70, 90, 20, 30)
BAD = (40, 60)


@pytest.fixture
def target(grid_file: Path) -> Iterator[Path]:
    """Provide an existing output. After the test, check that it is unchanged and that no other file was created."""
    path = grid_file.with_name("out.tif")
    path.write_bytes(b"the old one")
    before = {child.pid for child in psutil.Process().children()}
    yield path
    assert path.read_bytes() == b"the old one"
    assert {path.name for path in grid_file.parent.iterdir()} == {"grid.tif", "out.tif"}
    new = [child for child in psutil.Process().children() if child.pid not in before]
    assert all("resource_tracker" in " ".join(child.cmdline()) for child in new)


@pytest.mark.parametrize("executor", ["serial", "threads", "fork", "spawn"])
def test_a_failing_function_is_reported_with_traceback_block_and_input(grid_file, target, executor):
    with pytest.raises(BlockError) as caught:
        process_blocks(functions.fail_at, grid_file, target, grid=GRID, arguments=BAD, executor=executor, workers=2)
    message = str(caught.value)
    assert "grid.tif: block of rows 40 to 59, columns 60 to 89: ZeroDivisionError: no such luck" in message
    assert "block_functions.py" in message
    assert caught.value.exit_code == 1
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert str(caught.value.__cause__) == "no such luck"


@pytest.mark.parametrize("executor", ["serial", "threads", "fork"])
def test_a_function_that_exits_fails_for_its_block(grid_file, target, executor):
    with pytest.raises(BlockError, match=r"rows 40 to 59, columns 60 to 89: SystemExit: 3") as caught:
        process_blocks(functions.exit_at, grid_file, target, grid=GRID, arguments=BAD, executor=executor, workers=2)
    assert isinstance(caught.value.__cause__, SystemExit)


@pytest.mark.parametrize(("kind", "message"), [("odd", "OddError: no such luck"), ("interrupt", "KeyboardInterrupt")])
def test_an_odd_error_in_a_process_is_reported_with_its_block(grid_file, target, capfd, kind, message):
    with pytest.raises(BlockError, match=f"block of rows .*: {message}"):
        process_blocks(functions.raise_odd, grid_file, target, grid=GRID, arguments=kind, executor="fork", workers=2)
    assert capfd.readouterr().err == ""


def test_an_error_that_does_not_unpickle_is_reported_without_cause(grid_file, target, monkeypatch):
    """The package distributed can register functions that pickle all errors."""
    monkeypatch.delitem(copyreg.dispatch_table, functions.AwkwardError, raising=False)
    with pytest.raises(BlockError, match="AwkwardError: 1 and 2") as caught:
        process_blocks(functions.raise_awkward, grid_file, target, grid=GRID, executor="fork", workers=2)
    assert caught.value.__cause__ is None


def test_a_run_in_which_each_block_kills_its_worker_ends_after_a_few_deaths(grid_file, target, tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    options = {"grid": BlockGrid(70, 90, 2, 2), "executor": "fork", "workers": 2}
    with pytest.raises(BlockError, match="SIGKILL"):
        process_blocks(functions.announce_and_die, grid_file, target, arguments=folder, **options)
    assert 6 <= len(list(folder.iterdir())) <= 8


def test_a_killed_worker_is_reported(grid_file, target):
    with pytest.raises(BlockError, match=r"rows 40 to 59, columns 60 to 89: .*SIGKILL"):
        process_blocks(functions.die_at, grid_file, target, grid=GRID, arguments=BAD, executor="fork", workers=2)


def test_a_block_that_takes_too_long_ends_the_run(grid_file, target, tmp_path_factory):
    folder = tmp_path_factory.mktemp("workers")
    options = {"grid": GRID, "executor": "fork", "workers": 2, "worker_settings": WorkerSettings(timeout=0.5)}
    with pytest.raises(BlockError, match=r"took longer than 0.5 s"):
        process_blocks(functions.announce_and_hang, grid_file, target, arguments=folder, **options)
    assert len(list(folder.iterdir())) == 2


def test_an_observer_that_raises_ends_the_run(grid_file, target):
    class Broken(BlockObserver):
        def finished(self, _outcome):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        process_blocks(functions.core_only, grid_file, target, grid=GRID, executor="fork", workers=2, observer=Broken())


def test_a_truncated_input_is_named(grid_file, target):
    whole = grid_file.read_bytes()
    grid_file.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RasterError, match=r"grid.tif: cannot be read"):
        process_blocks(functions.core_only, grid_file, target, executor="fork", workers=2, grid=GRID)
    grid_file.write_bytes(whole)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"driver": "PNG"}, "out.tif: the driver must be GTiff or COG, not PNG"),
        ({"dtype": "int7"}, "data type 'int7'"),
        ({"blockxsize": 17}, "out.tif: could not be written completely: .*multiples of 16"),
    ],
)
def test_an_output_that_cannot_be_created_is_named(grid_file, target, options, message):
    with pytest.raises(RasterError, match=message):
        process_blocks(functions.core_only, grid_file, target, profile=options)


def test_a_missing_folder_is_named(grid_file, tmp_path):
    with pytest.raises(RasterError, match=r"there is no folder .*none"):
        process_blocks(functions.core_only, grid_file, tmp_path / "none" / "out.tif")


def test_cells_that_differ_when_they_are_read_back_are_an_error(grid_file, target):
    with rasterio.open(grid_file) as dataset:
        profile, values = dataset.profile, dataset.read()
    (block,) = BlockGrid(70, 90, 70, 90)
    wrong_checksum = 0
    with (
        pytest.raises(RasterError, match=r"out.tif: .*read back differ"),
        new_raster(target, profile, None, readers=1) as sink,
    ):
        sink.write(block, values, wrong_checksum)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Provide a file system of 600 kB."""
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", folder]
    if sys.platform != "linux" or os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("a file system can be mounted by root on Linux only")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("driver", ["GTiff", "COG"])
def test_a_full_disk_is_an_error_although_gdal_reports_none(write_raster, small_disk, driver):
    source = write_raster(np.random.default_rng(1).random((600, 600), np.float32))
    target = small_disk / "out.tif"
    target.write_bytes(b"the old one")
    with pytest.raises(RasterError, match=r"out.tif: could not be written completely: .*") as caught:
        process_blocks(functions.core_only, source, target, executor="fork", workers=2, profile={"driver": driver})
    assert caught.value.exit_code == 3
    assert target.read_bytes() == b"the old one"
    assert list(small_disk.iterdir()) == [target]


LIMITED = """
import resource, sys
import block_functions
from regionplot.blocks import process_blocks
from regionplot.errors import RasterError
resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))
try:
    process_blocks(block_functions.core_only, sys.argv[1], sys.argv[2], executor="serial")
except RasterError as error:
    sys.exit(f"RasterError: {error}")
"""


def test_a_limit_for_file_sizes_is_an_error(write_raster, tmp_path):
    source = write_raster(np.random.default_rng(1).random((600, 600), np.float32))
    target = tmp_path / "out.tif"
    result = run_script(LIMITED, source, target)
    assert "RasterError" in result.stderr
    assert "out.tif: could not be written completely" in result.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"grid.tif"}


def run_script(script, *arguments):
    command, environment = [sys.executable, "-c", script, *map(str, arguments)], {**os.environ, "PYTHONPATH": "."}
    return subprocess.run(
        command, cwd=Path(__file__).parent, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


WAITING = """
import sys
import block_functions
from regionplot.blocks import BlockGrid, process_blocks
source, target, folder, executor = sys.argv[1:]
if __name__ == "__main__":
    process_blocks(block_functions.announce_and_hang, source, target, grid=BlockGrid(70, 90, 20, 30), arguments=folder,
        executor=executor, workers=2)
"""


@pytest.mark.parametrize("executor", ["serial", "fork", "forkserver"])
def test_ctrl_c_ends_the_run(start_command, grid_file, target, tmp_path_factory, executor):
    folder = tmp_path_factory.mktemp("workers")
    script = folder.with_suffix(".py")
    script.write_text(f"import sys\nsys.path.insert(0, {str(Path(__file__).parent)!r})\n{WAITING}")
    run = start_command(folder, grid_file, target, folder, executor, script=script)
    expected = 1 if executor == "serial" else 2
    while len(list(folder.iterdir())) < expected:
        assert run.poll() is None, run.stderr.read()
        time.sleep(0.02)
    os.killpg(run.pid, signal.SIGINT)  # a terminal signals the whole process group
    _, errors = run.communicate(timeout=30)
    assert run.returncode == -signal.SIGINT
    assert errors.rstrip().endswith("KeyboardInterrupt")
    for worker in folder.iterdir():
        assert not psutil.pid_exists(int(worker.name)) or psutil.Process(int(worker.name)).status() == "zombie"


def test_a_forked_process_cannot_write_the_cells_that_gdal_buffers(tmp_path):
    """Otherwise, closing the dataset in the child would write cells of the parent to the parent's file."""
    path = tmp_path / "out.tif"
    profile = {"driver": "GTiff", "width": 300, "height": 300, "count": 1, "dtype": "uint8", "crs": "EPSG:4326",
        "transform": Affine(1, 0, 5, 0, -1, 5)}  # fmt: skip
    with rasterio.open(path, "w", **profile) as dataset:
        dataset.write(np.full((1, 300, 300), 7, np.uint8))
        size = path.stat().st_size
        child = os.fork()
        if child == 0:
            detach_output(path)
            dataset.close()
            os._exit(0)
        assert os.waitpid(child, 0)[1] == 0
        assert path.stat().st_size == size
        dataset.write(np.full((1, 300, 300), 8, np.uint8))
    with rasterio.open(path) as dataset:
        assert (dataset.read() == 8).all()


_FUNCTION_FROM_STDIN = """
import sys
from regionplot.blocks import process_blocks
from regionplot.errors import ExecutorError

def same(values, block, arguments):
    return values

try:
    process_blocks(same, [sys.argv[1]], "out.tif", executor="spawn", workers=2)
except ExecutorError as error:
    print(error)
"""


def test_a_function_of_a_script_that_is_not_a_file_is_refused_for_spawned_workers(tmp_path, grid_file):
    result = subprocess.run(
        [sys.executable, "-", grid_file], input=_FUNCTION_FROM_STDIN, cwd=tmp_path, capture_output=True, text=True
    )
    assert (result.stderr, result.returncode) == ("", 0)
    assert "because its script is not a file; save the script as a file, or use executor='threads'" in result.stdout
