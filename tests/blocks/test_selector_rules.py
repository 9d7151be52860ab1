"""Compare selectors of files with NumPy references of riogrande's rules."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio

from regionplot.blocks import BlockGrid, compute_mask, prepare_selector, valid_selector
from regionplot.errors import RasterError

pytestmark = [
    pytest.mark.timeout(120, method="signal"),  # a timer thread would make fork unsafe
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]
SHAPE = (40, 50)
NODATA = {"uint8": 9, "int16": -3, "float32": -9999.1, "float64": np.nan, "int64": -3, "complex64": None}


def riogrande_mask(values, nodata=0, logic="all"):
    """Return riogrande's mask: 0 where any or all bands have the nodata value, otherwise 255."""
    missing = values == nodata
    return np.where(getattr(missing, logic)(axis=0), 0, 255)


def riogrande_selector(masks, extra=None):
    """Return riogrande's selector: True where no mask is 0, and the extra band, taken as a mask, is not 0."""
    return np.all([mask != 0 for mask in [*masks, *([] if extra is None else [extra])]], axis=0)


def noise(dtype, nodata, seed=0, bands=2):
    random = np.random.default_rng(seed)
    values = random.integers(0, 5, (bands, *SHAPE)).astype(dtype)
    values[random.random(values.shape) < 0.2] = 1 if nodata is None else nodata
    return values


def has_data(values, nodata):
    return ~np.isnan(values) & (True if nodata is None else values != values.dtype.type(nodata))


@pytest.mark.parametrize("dtype", NODATA)
def test_a_selector_is_true_where_every_band_has_data(write_raster, dtype):
    nodata = NODATA[dtype]
    values = noise(dtype, nodata)
    if values.dtype.kind in "fc":
        values[0, :2] = np.nan
    path = write_raster(values, nodata=nodata)
    selector = prepare_selector(path, executor="serial")
    assert selector.dtype == bool
    np.testing.assert_array_equal(selector, riogrande_selector(has_data(values, nodata)))
    np.testing.assert_array_equal(prepare_selector((path, 2), executor="serial"), has_data(values, nodata)[1])


@pytest.mark.parametrize("executor", ["serial", "threads", "fork", "forkserver"])
def test_all_executors_and_grids_give_the_same_selector(write_raster, executor):
    one, two = noise("float32", -1.0), noise("uint8", 3, seed=1, bands=1)
    extra = noise("int16", None, seed=2, bands=3)
    bands = [(write_raster(one, name="one.tif", nodata=-1.0), 1), write_raster(two, name="two.tif", nodata=3)]
    selector = prepare_selector(
        *bands, extra_mask=(write_raster(extra, name="extra.tif"), 3), grid=BlockGrid(*SHAPE, 17, 23),
        executor=executor, workers=2,
    )  # fmt: skip
    np.testing.assert_array_equal(selector, riogrande_selector([one[0] != -1, two[0] != 3], extra[2]))


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "int16"])
def test_zero_nan_and_nodata_of_the_extra_mask_are_masked(write_raster, dtype):
    band = write_raster(np.ones(SHAPE, np.uint8), name="band.tif")
    extra = noise(dtype, 4, bands=1)
    extra[0, 3] = np.nan if dtype.startswith("f") else 4
    path = write_raster(extra, name="extra.tif", nodata=4)
    expected = (extra[0] != 0) & (extra[0] != 4) & ~np.isnan(extra[0])
    np.testing.assert_array_equal(prepare_selector(band, extra_mask=path, executor="serial"), expected)


def test_the_own_mask_of_the_extra_mask_is_ignored(write_raster):
    band = write_raster(np.ones((2, 2), np.uint8), name="band.tif")
    extra = write_raster(np.array([[1, 2], [0, 2]], np.uint8), name="extra.tif")
    compute_mask(extra, 1, output=extra, executor="serial")
    assert (prepare_selector(band, extra_mask=extra, executor="serial") == [[1, 1], [0, 1]]).all()


def test_masks_and_alpha_bands_count_besides_the_nodata_value(write_raster):
    values = np.array([[1, 2, 3]], np.uint8)
    path = write_raster(values, nodata=2)
    compute_mask(path, 1, output=path, executor="serial")
    assert (prepare_selector(path, executor="serial") == [[False, False, True]]).all()
    alpha = write_raster(np.array([[[5, 5]], [[0, 9]]], np.uint8), name="alpha.tif", alpha="yes")
    assert (prepare_selector((alpha, 1), executor="serial") == [[False, True]]).all()


def test_a_nodata_value_can_be_given(write_raster):
    path = write_raster(np.array([[1, 2, np.nan]], np.float32), nodata=1)
    assert (prepare_selector(path, nodata=2, executor="serial") == [[True, False, False]]).all()
    whole = write_raster(np.array([[1, 255]], np.uint8), name="whole.tif")
    assert prepare_selector(whole, nodata=-9999, executor="serial").all()


def test_a_selector_is_written_to_a_raster(write_raster, tmp_path):
    values = noise("float32", -1.0)
    source = write_raster(values, nodata=-1.0, scales=(2.0, 2.0), offsets=(0.0, 0.0))
    prepare_selector(source, output=tmp_path / "selector.tif", executor="fork", workers=2)
    with rasterio.open(tmp_path / "selector.tif") as file:
        np.testing.assert_array_equal(file.read(1), np.where((values != -1).all(axis=0), 255, 0))
        assert (file.count, file.dtypes, file.nodata, file.scales) == (1, ("uint8",), None, (1.0,))


def test_unsuitable_bands_are_refused(write_raster, tmp_path):
    one = write_raster(np.ones((3, 3), np.uint8), name="one.tif")
    other = write_raster(np.ones((3, 4), np.uint8), name="other.tif")
    with pytest.raises(RasterError, match=r"other.tif: it has \(3, 4\) rows and columns"):
        prepare_selector(one, extra_mask=other)
    for band in (0, 2, -1):
        with pytest.raises(RasterError, match=rf"one.tif: there is no band {band}; the bands are 1 to 1"):
            prepare_selector((one, band))
    with pytest.raises(ValueError, match="no bands; pass at least one raster"):
        prepare_selector()
    for wrong in (3, (one, "two"), (one, 1, 2), None):
        with pytest.raises(TypeError, match="bands must be a path or a pair"):
            prepare_selector(wrong)
    with pytest.raises(RasterError, match="there is no such file"):
        prepare_selector(one, extra_mask=tmp_path / "none.tif")


def test_a_selector_does_not_replace_an_input(write_raster, tmp_path):
    one, extra = (write_raster(np.ones((3, 3), np.uint8), name=name) for name in ("one.tif", "extra.tif"))
    (tmp_path / "link.tif").symlink_to(one)
    before = one.read_bytes()
    for output in (one, extra, tmp_path / "link.tif"):
        with pytest.raises(ValueError, match=rf"output is .*{output.name}, which is also an input"):
            prepare_selector(one, extra_mask=extra, output=output)
    with pytest.raises(TypeError, match="extra_mask must be a path or a pair"):
        prepare_selector(one, extra_mask=3)
    assert one.read_bytes() == before


@pytest.mark.parametrize("logic", ["any", "all"])
@pytest.mark.parametrize("nodata", [0, 9])
def test_masks_follow_the_rule_of_riogrande(write_raster, logic, nodata):
    values = noise("uint8", 9, bands=3)
    mask = compute_mask(write_raster(values), nodata, logic, executor="serial")
    np.testing.assert_array_equal(mask, riogrande_mask(values, nodata, logic))


def test_nan_nodata_and_masked_cells_of_arrays_are_invalid():
    band = np.array([1.0, np.nan, -9999.0, 4.0, 5.0, 6.0], np.float32)
    extra = np.array([1.0, 1.0, 1.0, np.nan, -9999.0, 0.0])
    np.testing.assert_array_equal(valid_selector(band, nodata=-9999), [1, 0, 0, 1, 1, 1])
    np.testing.assert_array_equal(valid_selector(band, extra_mask=extra, nodata=-9999), [1, 0, 0, 0, 0, 0])
    masked = np.ma.masked_array([1, 1, 0], [False, True, False])
    np.testing.assert_array_equal(valid_selector(np.ones(3), extra_mask=masked), [1, 0, 0])
    np.testing.assert_array_equal(valid_selector(np.array([7, 255], np.uint8), nodata=-9999), [1, 1])


def test_a_failed_selector_leaves_the_old_file(write_raster, tmp_path):
    source, target = write_raster(np.ones((300, 300), np.float64)), tmp_path / "selector.tif"
    prepare_selector(source, output=target, executor="serial")
    before = target.read_bytes()
    source.write_bytes(source.read_bytes()[:300_000])
    with pytest.raises(RasterError, match="cannot be read"):
        prepare_selector(source, output=target, executor="serial")
    assert target.read_bytes() == before
