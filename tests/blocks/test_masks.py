"""Compare masks of whole datasets, selectors and stacks with plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import rasterio.shutil

from regionplot.blocks.grid import BlockGrid
from regionplot.blocks.input import Input
from regionplot.blocks.mask_files import new_mask
from regionplot.blocks.masks import compute_mask
from regionplot.blocks.process import process_blocks
from regionplot.blocks.report import BlocksReport
from regionplot.errors import RasterError

pytestmark = [
    pytest.mark.timeout(120, method="signal"),  # a timer thread would make fork unsafe
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]


@pytest.fixture
def holes():
    """Return three bands of bytes in which 9 marks missing cells."""
    return np.random.default_rng(2).choice(np.array([1, 2, 9], np.uint8), size=(3, 60, 80))


def exactly_two(missing):
    return missing.sum(axis=0) == 2


RULES = {
    "any": ("any", lambda missing: missing.any(axis=0)),
    "all": ("all", lambda missing: missing.all(axis=0)),
    "callable": (exactly_two, exactly_two),
}


@pytest.mark.parametrize("executor", ["serial", "threads", "fork", "forkserver"])
@pytest.mark.parametrize("rule", RULES)
def test_a_mask_of_blocks_equals_the_mask_of_the_whole_raster(write_raster, holes, rule, executor):
    logic, plain = RULES[rule]
    mask = compute_mask(write_raster(holes), 9, logic, grid=BlockGrid(60, 80, 25, 33), executor=executor, workers=2)
    assert mask.dtype == np.uint8
    np.testing.assert_array_equal(mask, np.where(plain(holes == 9), 0, 255))


def test_the_nodata_value_of_the_file_is_used(write_raster, holes):
    mask = compute_mask(write_raster(holes, nodata=2), bands=[1, 3])
    np.testing.assert_array_equal(mask, np.where((holes[[0, 2]] == 2).any(axis=0), 0, 255))


def test_nan_is_always_missing(write_raster):
    values = np.array([[np.nan, 1, -1], [2, np.nan, 3]], np.float32)
    np.testing.assert_array_equal(compute_mask(write_raster(values)), [[0, 255, 255], [255, 0, 255]])
    np.testing.assert_array_equal(compute_mask(write_raster(values), nodata=-1), [[0, 255, 0], [255, 0, 255]])


def test_unknown_logic_is_refused(write_raster, holes):
    with pytest.raises(ValueError, match="'any', 'all' or a function, not 'most'"):
        compute_mask(write_raster(holes), logic="most")


def test_a_mask_is_written_to_a_raster(write_raster, holes, tmp_path, read_raster):
    target = tmp_path / "mask.tif"
    report = compute_mask(write_raster(holes), 9, output=target, executor="fork", workers=2)
    assert isinstance(report, BlocksReport)
    np.testing.assert_array_equal(read_raster(target), np.where((holes == 9).any(axis=0), 0, 255)[None])
    with rasterio.open(target) as dataset:
        assert (dataset.dtypes, dataset.nodata) == (("uint8",), None)


@pytest.mark.parametrize("options", [{}, {"nodata": 9}, {"tiled": True, "compress": "deflate", "nodata": 7}])
def test_a_mask_is_stored_in_the_file_itself(write_raster, holes, options):
    source = write_raster(holes, descriptions=("a", "b", "c"), **options)
    compute_mask(source, 9, "all", output=source, executor="fork", workers=2, grid=BlockGrid(60, 80, 32, 32))
    with rasterio.open(source) as dataset:
        np.testing.assert_array_equal(dataset.read(), holes)
        expected = np.where((holes == 9).all(axis=0), 0, 255)
        np.testing.assert_array_equal(dataset.dataset_mask(), expected)
        np.testing.assert_array_equal(dataset.read_masks(2), expected)
        assert dataset.descriptions == ("a", "b", "c")
    assert {path.name for path in source.parent.iterdir()} == {"grid.tif"}
    np.testing.assert_array_equal(compute_mask(source), expected)


def test_a_mask_does_not_have_the_labels_of_its_source(write_raster, holes, tmp_path):
    source = write_raster(holes[0], scales=(0.1,), offsets=(5.0,), descriptions=("height",))
    with rasterio.open(source, "r+") as dataset:
        dataset.units = ("m",)
    compute_mask(source, 9, output=tmp_path / "mask.tif", executor="serial")
    with rasterio.open(tmp_path / "mask.tif") as dataset:
        assert (dataset.scales, dataset.offsets) == ((1.0,), (0.0,))
        assert (dataset.units, dataset.descriptions) == ((None,), (None,))


def test_a_cog_is_not_changed_in_place(write_raster, holes, tmp_path):
    cog = tmp_path / "cog.tif"
    process_blocks(lambda arrays, *_: arrays[0], write_raster(holes), cog, profile={"driver": "COG"}, executor="serial")
    before = cog.read_bytes()
    with pytest.raises(RasterError, match=r"cog.tif: a COG would lose its layout .*write the mask to another file"):
        compute_mask(cog, 9, output=cog)
    assert cog.read_bytes() == before


LOSSY = {
    "jpeg": {"compress": "jpeg", "photometric": "ycbcr", "tiled": True},
    "webp": {"compress": "webp", "tiled": True},
    "lerc": {"compress": "lerc", "max_z_error": 0.5},
    "zstd": {"compress": "zstd", "predictor": 2},
    "lzw": {"compress": "lzw", "interleave": "band"},
}


@pytest.mark.parametrize("options", LOSSY.values(), ids=LOSSY)
def test_the_cells_of_a_compressed_geotiff_do_not_change(write_raster, holes, options):
    source = write_raster(np.kron(holes, np.ones((1, 4, 4), np.uint8)), **options)
    with rasterio.open(source) as dataset:
        before = dataset.read()
    compute_mask(source, 9, output=source, executor="serial")
    with rasterio.open(source) as dataset:
        np.testing.assert_array_equal(dataset.read(), before)
        np.testing.assert_array_equal(dataset.dataset_mask(), np.where((before == 9).any(axis=0), 0, 255))


def test_a_truncated_source_is_named(write_raster, tmp_path):
    source = tmp_path / "cut.tif"
    rasterio.shutil.copy(write_raster(np.random.default_rng(1).random((300, 300))), source)
    source.write_bytes(source.read_bytes()[:300_000])
    with pytest.raises(RasterError, match=r"cut.tif: cannot be read: "):
        compute_mask(source, executor="fork", workers=2)


def test_a_mask_that_differs_when_it_is_read_back_leaves_the_file_unchanged(write_raster, holes):
    source = write_raster(holes)
    before = source.read_bytes()
    (block,) = BlockGrid(60, 80, 60, 80)
    wrong_checksum = 0
    with pytest.raises(RasterError, match=r"grid.tif: .*read back differs"), new_mask(source) as sink:
        sink.write(block, np.full((60, 80), 255, np.uint8), wrong_checksum)
    assert source.read_bytes() == before
    assert {path.name for path in source.parent.iterdir()} == {"grid.tif"}


@pytest.mark.parametrize("nodata", [0.1, np.float32(0.1), np.float64(0.1), 0.1 + 0j])
def test_a_nodata_value_is_compared_in_the_precision_of_the_cells(write_raster, nodata):
    values = np.array([[0.1, 1, 2], [3, 0.1, 5]], np.float32)
    np.testing.assert_array_equal(compute_mask(write_raster(values), nodata), np.where(values == values[0, 0], 0, 255))


@pytest.mark.parametrize("logic", ["any", "all"])
def test_an_alpha_band_is_missing_where_it_is_zero(write_raster, logic):
    alpha = np.random.default_rng(2).choice([0, 200], (8, 9)).astype(np.uint8)
    path = write_raster(np.stack([np.ones_like(alpha)] * 3 + [alpha]), photometric="RGB", alpha="YES")
    np.testing.assert_array_equal(compute_mask(path, logic=logic), np.where(alpha == 0, 0, 255))


def test_large_integers_are_compared_exactly(write_raster):
    values = np.array([[2**53, 2**53 + 1, 2**62, 2**62 + 1]], np.int64)
    for nodata in (2**53 + 1, float(2**62), 5 + 1j, 2**70):
        mask = compute_mask(write_raster(values), nodata)
        np.testing.assert_array_equal(mask[0], [0 if value == nodata else 255 for value in values[0].tolist()])


@pytest.mark.parametrize("is_own", [False, True])
def test_an_input_has_its_own_bands(write_raster, holes, tmp_path, is_own):
    path = write_raster(holes)
    source, expected = Input(path, bands=[3, 1]), np.where((holes[[2, 0]] == 9).any(axis=0), 0, 255)
    np.testing.assert_array_equal(compute_mask(source, 9), expected)
    output = path if is_own else tmp_path / "mask.tif"
    compute_mask(source, 9, output=output)
    with rasterio.open(output) as file:
        np.testing.assert_array_equal(file.dataset_mask() if is_own else file.read(1), expected)


def test_an_input_has_its_own_open_options(write_raster, holes):
    path = write_raster(np.kron(holes, np.ones((1, 2, 2), np.uint8)))
    with rasterio.open(path, "r+") as file:
        file.build_overviews([2])
    mask = compute_mask(Input(path, open_options={"overview_level": 0}), 9, grid=(16, 16))
    np.testing.assert_array_equal(mask, np.where((holes == 9).any(axis=0), 0, 255))
