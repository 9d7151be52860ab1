"""Test that windows of a generator are taken when workers need them, and that they are checked like a list."""

from __future__ import annotations

import time

import block_functions as functions
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionplot.blocks import BlockObserver, Sum, process_blocks
from regionplot.blocks.arguments import check_windows
from regionplot.blocks.coverage import Coverage
from regionplot.blocks.sinks import WrittenBlocks
from regionplot.blocks.transport import JOBS_AHEAD
from regionplot.geo.grid import Window

pytestmark = [
    pytest.mark.timeout(120, method="signal"),  # a timer thread would make fork unsafe
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]
SIDE = 5
some_windows = st.builds(Window, st.integers(-1, 9), st.integers(-1, 9), st.integers(0, 4), st.integers(0, 4))
tiles = st.builds(lambda row, column: Window(2 * row, 2 * column, 2, 2), st.integers(0, 4), st.integers(0, 4))


def windows_of_grid_file():
    """Yield the windows of a raster of 70 × 90 cells."""
    for row in range(0, 70, SIDE):
        for column in range(0, 90, SIDE):
            yield Window(row, column, SIDE, SIDE)


class Counter(BlockObserver):
    """Count the blocks that were taken and not finished."""

    def __init__(self) -> None:
        self.taken = self.done = self.most = 0
        self.jobs = None

    def started(self, jobs, _workers, _start_method):
        self.jobs = jobs

    def finished(self, _outcome):
        self.done += 1

    def windows(self):
        for window in windows_of_grid_file():
            self.taken += 1
            self.most = max(self.most, self.taken - self.done)
            yield window


@pytest.mark.parametrize("executor", ["serial", "threads", "fork"])
def test_a_generator_is_read_only_as_fast_as_blocks_are_done(grid_file, tmp_path, read_raster, executor):
    counter, plain, target = Counter(), tmp_path / "plain.tif", tmp_path / "out.tif"
    process_blocks(functions.combine, grid_file, plain, arguments=2, executor="serial")
    options = {"arguments": 2, "executor": executor, "workers": 2, "observer": counter}
    report = process_blocks(functions.combine, grid_file, target, grid=counter.windows(), **options)
    assert (report.blocks, counter.jobs) == (14 * 18, 0)
    assert counter.most <= 2 * 2 * (JOBS_AHEAD + 1) + 1
    np.testing.assert_array_equal(read_raster(target), read_raster(plain))


@pytest.mark.parametrize(
    ("wrong", "error", "match"),
    [
        (Window(0, 0, 1, 1), ValueError, "overlaps an earlier window"),
        (Window(69, 89, 2, 1), ValueError, "not within the raster of 70 rows and 90 columns"),
        ("window", TypeError, "one of its entries is 'window'"),
    ],
)
@pytest.mark.parametrize("executor", ["serial", "threads", "fork"])
def test_a_wrong_window_ends_the_run_and_leaves_the_old_output(grid_file, executor, wrong, error, match):
    def windows():
        yield from list(windows_of_grid_file())[:100]
        yield wrong

    target = grid_file.with_name("out.tif")
    target.write_bytes(b"the old one")
    with pytest.raises(error, match=match):
        process_blocks(functions.combine, grid_file, target, grid=windows(), arguments=2, executor=executor, workers=2)
    assert target.read_bytes() == b"the old one"
    assert {path.name for path in grid_file.parent.iterdir()} == {"grid.tif", "out.tif"}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_windows_and_two_numbers_can_come_from_an_iterator(grid_file, count):
    total = Sum()
    windows = list(windows_of_grid_file())[:count]
    assert process_blocks(functions.first, grid_file, total, grid=iter(windows), executor="serial").blocks == count
    report = process_blocks(functions.first, grid_file, Sum(), grid=iter((70, 45)), executor="serial")
    assert report.blocks == 2
    with pytest.raises(ValueError, match="can be used only once"):
        process_blocks(functions.first, grid_file, Sum(), grid=iter(()), executor="serial")


@given(st.lists(st.one_of(tiles, some_windows), max_size=30))
def test_windows_are_refused_if_they_cover_a_cell_twice_or_leave_the_grid(windows):
    covered, coverage = np.zeros((10, 10), np.int64), Coverage(10, 10)
    for window in windows:
        (top, bottom), (left, right) = window.ranges
        fits = 0 <= top < bottom <= 10 and 0 <= left < right <= 10 and not covered[top:bottom, left:right].any()
        if fits:
            coverage.add(window)
            covered[top:bottom, left:right] = 1
            continue
        with pytest.raises(ValueError, match=r"overlap|not within"):
            coverage.add(window)


def test_many_windows_in_a_list_are_checked_quickly():
    windows = [Window(row, column, 1, 1) for row in range(150) for column in range(150)]
    start = time.process_time()
    check_windows(windows, 150, 150)  # a comparison of each window with its row of windows takes 6 s
    assert time.process_time() - start < 2
    with pytest.raises(ValueError, match="overlap"):
        check_windows([*windows, Window(149, 0, 1, 1)], 150, 150)


def test_written_blocks_keep_windows_and_checksums():
    blocks, expected = WrittenBlocks(), [(Window(n, 2 * n, 3, 4), None if n == 1 else 2**32 - 1 - n) for n in range(3)]
    for window, checksum in expected:
        blocks.add(window, checksum)
    assert list(blocks) == expected
    assert blocks[1:] == expected[1:]
