"""Test that blocks cover each cell of a grid once, and that halos end at the edges of the grid."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regionplot.blocks.grid import BlockGrid
from regionplot.geo.grid import Window

sides, small = st.integers(1, 60), st.integers(0, 70)
grids = st.builds(BlockGrid, sides, sides, sides, sides, small, small, small)


def cells(window: Window) -> tuple[slice, slice]:
    return slice(window.row_off, window.row_off + window.height), slice(window.col_off, window.col_off + window.width)


@given(grids)
def test_cores_cover_each_cell_once(grid: BlockGrid) -> None:
    covered = np.zeros((grid.height, grid.width), int)
    for block in grid:
        covered[cells(block.core)] += 1
    assert (covered == 1).all()
    assert len(grid) == len(list(grid))


@given(grids)
def test_a_padded_window_is_the_core_and_its_halo_within_the_grid(grid: BlockGrid) -> None:
    for block in grid:
        core, padded = block.core, block.padded
        assert padded.row_off == max(0, core.row_off - grid.halo)
        assert padded.col_off == max(0, core.col_off - grid.halo)
        assert padded.row_off + padded.height == min(grid.height, core.row_off + core.height + grid.halo)
        assert padded.col_off + padded.width == min(grid.width, core.col_off + core.width + grid.halo)


@given(grids)
def test_trimming_returns_the_core(grid: BlockGrid) -> None:
    values = np.arange(grid.height * grid.width).reshape(grid.height, grid.width)
    for block in grid:
        np.testing.assert_array_equal(values[cells(block.padded)][block.trim], values[cells(block.core)])


@given(grids)
def test_no_block_is_larger_than_requested(grid: BlockGrid) -> None:
    assert all(b.core.height <= grid.block_height and b.core.width <= grid.block_width for b in grid)


def test_an_offset_moves_the_blocks() -> None:
    grid = BlockGrid(10, 10, 4, 4, row_offset=1, column_offset=6)
    assert grid.shape == (4, 3)
    assert sorted({block.core.row_off for block in grid}) == [0, 1, 5, 9]
    assert sorted({block.core.col_off for block in grid}) == [0, 2, 6]


@pytest.mark.parametrize("wrong", [(0, 5, 1, 1), (5, 5, 0, 1), (5, 5, 1, 1, -1), (5, 5, 1, 1, 0, -1)])
def test_impossible_grids_are_refused(wrong: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"a (grid|halo)"):
        BlockGrid(*wrong)
