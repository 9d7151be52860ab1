"""Test windows, and the comparison of grids."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyproj
import pytest
from affine import Affine
from hypothesis import given
from hypothesis import strategies as st

from regionplot.geo.grid import GridGeometry, Window

windows = st.builds(Window, st.integers(0, 12), st.integers(0, 12), st.integers(1, 12), st.integers(1, 12))
WHOLE = Window(0, 0, 30, 30)
GRID = GridGeometry(Affine(0.25, 0, -100, 0, -0.25, 50), 20, 30, pyproj.CRS.from_epsg(4326))


def mask_of(window: Window) -> np.ndarray:
    mask = np.zeros((WHOLE.height, WHOLE.width), bool)
    mask[window.slices_in(WHOLE)] = True
    return mask


@given(windows, windows)
def test_an_intersection_has_the_common_cells(one: Window, other: Window) -> None:
    common = one.intersection(other)
    expected = mask_of(one) & mask_of(other)
    if common is None:
        assert not expected.any()
    else:
        np.testing.assert_array_equal(mask_of(common), expected)


@given(windows, windows)
def test_a_union_is_the_smallest_window_around_both(one: Window, other: Window) -> None:
    rows, columns = np.nonzero(mask_of(one) | mask_of(other))
    expected = ((rows.min(), rows.max() + 1), (columns.min(), columns.max() + 1))
    assert one.union(other).ranges == expected


@given(windows)
def test_a_shifted_window_has_the_same_cells_in_a_shifted_window(window: Window) -> None:
    moved = window.shifted(3, -5)
    assert (moved.row_off, moved.col_off, moved.cells) == (window.row_off + 3, window.col_off - 5, window.cells)
    assert moved.slices_in(WHOLE.shifted(3, -5)) == window.slices_in(WHOLE)


def test_windows_without_common_cells_have_no_intersection() -> None:
    assert Window(0, 0, 5, 5).intersection(Window(5, 0, 5, 5)) is None
    assert Window(0, 0, 5, 5).intersection(Window(0, 2, 0, 5)) is None


def test_grids_differ_in_shape_transform_and_crs() -> None:
    assert GRID.differences(GRID) == []
    assert replace(GRID, height=21).differences(GRID) == ["shape"]
    assert replace(GRID, transform=GRID.transform @ Affine.translation(0.5, 0)).differences(GRID) == ["transform"]
    assert replace(GRID, transform=GRID.transform @ Affine.translation(1e-7, 0)).differences(GRID) == []
    other = replace(GRID, width=31, crs=pyproj.CRS.from_epsg(4269))
    assert other.differences(GRID) == ["shape", "crs"]


@pytest.mark.parametrize(
    ("transform", "problem"),
    [
        (Affine(0, 0, -100, 0, 0, 50), "degenerate"),
        (Affine(1, 1, -100, 1, 1, 50), "degenerate"),
        (Affine(1e-300, 0, 0, 0, -1e-300, 0), "degenerate"),
        (Affine(float("nan"), 0, -100, 0, -1, 50), "not finite"),
        (Affine(1, 0, float("inf"), 0, -1, 50), "not finite"),
        (Affine(1e300, 0, -1e300, 0, -1e300, 1e300), "far from the earth"),
        (Affine(1, 0, 1e9, 0, -1, 1e9), "far from the earth"),
        (Affine(1e-14, 0, 170, 0, -1e-14, 50), "so small"),
    ],
)
def test_a_transform_that_cannot_place_cells_is_refused(transform: Affine, problem: str) -> None:
    assert problem in replace(GRID, transform=transform).problem()
    assert not GRID.problem()
    assert not replace(GRID, transform=Affine(1e-3, 2e-3, 100, -2e-3, 1e-3, 50)).problem()
