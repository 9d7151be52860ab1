"""Compare selectors and stacks with plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest

from regionplot.blocks.grid import BlockGrid
from regionplot.blocks.masks import compute_mask
from regionplot.blocks.selectors import prepare_selector, stack_arrays, valid_selector
from regionplot.errors import RasterError

pytestmark = [
    pytest.mark.timeout(120, method="signal"),  # a timer thread would make fork unsafe
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]


@pytest.fixture
def values():
    """Return two bands of floats with NaN and the nodata value -9."""
    return np.random.default_rng(7).choice(np.array([1, 0, -9, np.nan], np.float32), size=(2, 60, 80))


@pytest.mark.parametrize("executor", ["serial", "threads", "fork", "forkserver"])
def test_cells_are_selected_in_which_all_bands_have_data(write_raster, values, executor):
    """The rule of riogrande's prepare_selector, for bands of several files. NaN and nodata are never data."""
    one = write_raster(values, name="one.tif", nodata=-9)
    holes = np.random.default_rng(8).choice(np.array([3, 9], np.uint8), size=(60, 80))
    other = write_raster(holes, name="other.tif", nodata=9)
    selected = prepare_selector((one, 1), (one, 2), other, grid=BlockGrid(60, 80, 25, 33), executor=executor, workers=2)
    assert selected.dtype == bool
    has_data = ~np.isnan(values) & (values != -9)
    np.testing.assert_array_equal(selected, has_data.all(axis=0) & (holes != 9))


def test_cells_with_zero_nan_or_nodata_in_the_extra_mask_are_excluded(write_raster, values):
    band = write_raster(np.ones((60, 80), np.uint8), name="band.tif")
    extra = write_raster(values, name="extra.tif", nodata=-9)
    selected = prepare_selector(band, extra_mask=(extra, 2), executor="serial")
    np.testing.assert_array_equal(selected, values[1] == 1)
    zeros_are_data = prepare_selector((extra, 2), executor="serial")
    np.testing.assert_array_equal(zeros_are_data, (values[1] == 1) | (values[1] == 0))


def test_a_mask_in_the_file_excludes_cells(write_raster):
    holes = np.random.default_rng(2).choice(np.array([1, 9], np.uint8), size=(60, 80))
    path = write_raster(holes)
    compute_mask(path, 9, output=path, executor="serial")
    np.testing.assert_array_equal(prepare_selector(path, executor="serial"), holes != 9)


def test_bands_that_do_not_fit_are_refused(write_raster):
    path = write_raster(np.ones((60, 80), np.uint8), name="a.tif")
    small = write_raster(np.ones((6, 8), np.uint8), name="small.tif")
    with pytest.raises(RasterError, match=r"a\.tif: there is no band 2; the bands are 1 to 1"):
        prepare_selector((path, 2), executor="serial")
    with pytest.raises(RasterError, match=r"small\.tif"):
        prepare_selector(path, small, executor="serial")
    with pytest.raises(TypeError, match="bands must be a path or a pair"):
        prepare_selector(path, 5, executor="serial")
    with pytest.raises(ValueError, match="there are no bands"):
        prepare_selector()


def test_nan_and_masked_cells_of_an_array_are_not_selected():
    masked = np.ma.masked_array([1.0, np.nan, 3.0, 4.0], mask=[False, False, True, False])
    assert valid_selector(masked).tolist() == [True, False, False, True]
    ones = np.ones(4)
    assert valid_selector(ones, extra_mask=np.array([1.0, 0.0, np.nan, 2.0])).tolist() == [True, False, False, True]
    assert valid_selector(ones, extra_mask=masked).tolist() == [True, False, False, True]


def test_a_selector_is_true_where_all_arrays_have_data():
    masked = np.ma.masked_array([1, 2, 3, 4, 5], [True, False, False, False, False])
    mask = np.array([255, 0, 255, 255, 255], np.uint8)
    values = np.array([1, 1, np.nan, 1, 1])
    booleans = np.array([True, True, True, True, True])
    selector = valid_selector(masked, mask, values, booleans)
    np.testing.assert_array_equal(selector, [False, False, False, True, True])
    extra = np.array([1.0, 1.0, 1.0, 0.0, 2.0])
    np.testing.assert_array_equal(valid_selector(masked, mask, values, extra_mask=extra), [0, 0, 0, 0, 1])
    with pytest.raises(ValueError, match=r"array 2 has the shape \(3,\), but array 1 has \(5,\)"):
        valid_selector(mask, mask[:3])
    with pytest.raises(ValueError, match="no arrays"):
        valid_selector()


def test_arrays_are_stacked_band_by_band():
    one, two = np.ones((2, 3, 4)), np.zeros((3, 4))
    assert stack_arrays([one, two]).shape == (3, 3, 4)
    assert stack_arrays([one, two])[2].sum() == 0
    with pytest.raises(ValueError, match="array 2 has the shape"):
        stack_arrays([one, two.T])
