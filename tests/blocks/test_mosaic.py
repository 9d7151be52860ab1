"""Compare mosaics with plain NumPy, for each rule."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
from affine import Affine

from regionplot.blocks import mosaic
from regionplot.blocks.masks import compute_mask
from regionplot.errors import BlockError, RasterError

pytestmark = [
    pytest.mark.timeout(120, method="signal"),  # a timer thread would make fork unsafe
    pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning"),
]

PLACES = [(0, 0, 40, 50), (25, 30, 45, 60), (10, 70, 600, 20), (0, 100, 5, 5)]
"""Row, column, height and width of each tile. The last tile overlaps no other tile."""
SKIP = -9999.0
PIXEL_RULES = [*((rule, band, "serial") for rule in ("min", "max") for band in (None, 1, 2)), ("max", 2, "fork")]
"""Rule, band and executor. The executors call the same function; `test_overlaps_follow_their_rule` forks each rule."""


def draw(dtype):
    random = np.random.default_rng(3)
    tiles = []
    for _, _, height, width in PLACES:
        tile = random.integers(0, 100, size=(2, height, width)).astype(dtype)
        tile[random.random(tile.shape) < 0.2] = SKIP if dtype != "uint8" else 99
        tiles.append(tile)
    return tiles


@pytest.fixture(params=["float32", "uint8", "int16"])
def tiles(request, write_raster):
    """Return tiles as arrays, their files, and the nodata value."""
    arrays = draw(request.param)
    nodata = SKIP if request.param != "uint8" else 99
    files = [
        write_raster(
            array,
            name=f"tile_{n}.tif",
            nodata=nodata,
            affine=Affine(2, 0, 1000 + 2 * column, 0, -2, 500 - 2 * row),
            crs="EPSG:5070",
            descriptions=("a", "b"),
        )
        for n, (array, (row, column, _, _)) in enumerate(zip(arrays, PLACES, strict=True))
    ]
    return arrays, files, nodata


def layers_of(arrays, skip, fill):
    """Return tiles and weights of `feather` as arrays of the whole grid. Cells without data are `fill`."""
    shape = 2, max(p[0] + p[2] for p in PLACES), max(p[1] + p[3] for p in PLACES)
    layers, weights = np.full((len(arrays), *shape), fill), np.zeros((len(arrays), *shape))
    for layer, weight, array, (row, column, height, width) in zip(layers, weights, arrays, PLACES, strict=True):
        place = np.s_[:, row : row + height, column : column + width]
        layer[place] = np.where(array == skip, fill, array)
        down, across = np.meshgrid(np.arange(height), np.arange(width), indexing="ij")
        weight[place] = np.minimum.reduce([down + 1, height - down, across + 1, width - across])
    return layers, weights


def plain(rule, arrays, skip):
    layers, weights = layers_of(arrays, skip, np.nan)
    there = ~np.isnan(layers)
    values, anywhere = np.where(there, layers, 0), there.any(axis=0)
    if rule in ("first", "last"):
        index = there.argmax(axis=0) if rule == "first" else len(layers) - 1 - there[::-1].argmax(axis=0)
        result = np.take_along_axis(values, index[None], axis=0)[0]
    elif rule in ("min", "max"):
        lost = np.inf if rule == "min" else -np.inf
        result = getattr(np, rule)(np.where(there, layers, lost), axis=0)
    else:
        share = there * (weights if rule == "feather" else 1.0)
        total = share.sum(axis=0)
        result = np.divide((values * share).sum(axis=0), total, out=np.zeros(total.shape), where=total > 0)
    return result, anywhere


@pytest.mark.parametrize("executor", ["serial", "fork"])
@pytest.mark.parametrize("rule", ["first", "last", "min", "max", "mean", "feather"])
def test_overlaps_follow_their_rule(tiles, tmp_path, read_raster, rule, executor):
    arrays, files, skip = tiles
    report = mosaic(files, tmp_path / "out.tif", overlap=rule, executor=executor, workers=2)
    result, anywhere = plain(rule, arrays, skip)
    dtype = arrays[0].dtype
    result = np.where(anywhere, result, skip)
    expected = (np.rint(result) if dtype.kind in "iu" else result).astype(dtype)
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), expected)
    assert report.blocks == 2
    with rasterio.open(tmp_path / "out.tif") as dataset, rasterio.open(files[0]) as first:
        assert dataset.transform == first.transform
        assert (dataset.nodata, dataset.descriptions, dataset.crs) == (skip, ("a", "b"), first.crs)


def test_the_first_tile_can_have_any_place(tiles, tmp_path, read_raster):
    arrays, files, skip = tiles
    mosaic(files[::-1], tmp_path / "out.tif", overlap="first", executor="serial")
    result, anywhere = plain("last", arrays, skip)
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), np.where(anywhere, result, skip))


def test_background_and_skip_value_are_used(write_raster, tmp_path, read_raster):
    left = write_raster(np.array([[1, 0, 3]], np.int16).repeat(2, 0), name="left.tif")
    right = write_raster(
        np.array([[4, 5, 6]], np.int16).repeat(2, 0), name="right.tif", affine=Affine(1, 0, -98, 0, -1, 50)
    )
    below = write_raster(
        np.array([[7, 8, 9]], np.int16).repeat(2, 0), name="below.tif", affine=Affine(1, 0, -99, 0, -1, 48)
    )
    mosaic([left, right, below], tmp_path / "out.tif", "last", background=-5, skip_value=0)
    expected = [[1, -5, 4, 5, 6]] * 2 + [[-5, 7, 8, 9, -5]] * 2
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif")[0], expected)


def test_one_band_can_decide_for_all_bands(write_raster, tmp_path, read_raster):
    below = write_raster(np.array([[[1, 2]] * 2, [[3, 4]] * 2], np.uint8), name="below.tif")
    above = write_raster(np.array([[[5, 0]] * 2, [[0, 6]] * 2], np.uint8), name="above.tif")
    mosaic([below, above], tmp_path / "out.tif", skip_value=0, band=1)
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), [[[5, 2]] * 2, [[0, 4]] * 2])


@pytest.mark.parametrize(("rule", "band", "executor"), PIXEL_RULES)
def test_by_pixel_takes_all_bands_from_one_tile(write_raster, tmp_path, read_raster, rule, band, executor):
    """RSGISLib's rule: the tile whose deciding band has the lowest (highest) value gives the whole pixel."""
    layers = np.random.default_rng(4).integers(0, 9, (3, 2, 40, 50)).astype(np.int16)
    files = [write_raster(layer, name=f"{number}.tif", nodata=0) for number, layer in enumerate(layers)]
    mosaic(files, tmp_path / "out.tif", rule, by="pixel", band=band, executor=executor, workers=2)
    deciding = np.where(layers[:, (band or 1) - 1] == 0, {"min": 99, "max": -99}[rule], layers[:, (band or 1) - 1])
    chosen = {"min": deciding.argmin, "max": deciding.argmax}[rule](axis=0)
    expected = np.take_along_axis(layers, chosen[None, None], axis=0)[0]
    expected = np.where(abs(deciding).min(axis=0) == 99, 0, expected)
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), expected)


def test_by_band_can_take_bands_from_different_tiles(write_raster, tmp_path, read_raster):
    one = write_raster(np.array([[[1]], [[9]]], np.uint8), name="one.tif")
    other = write_raster(np.array([[[5]], [[2]]], np.uint8), name="other.tif")
    mosaic([one, other], tmp_path / "out.tif", "min", executor="serial")
    assert read_raster(tmp_path / "out.tif").ravel().tolist() == [1, 2]
    mosaic([one, other], tmp_path / "out.tif", "min", by="pixel", executor="serial")
    assert read_raster(tmp_path / "out.tif").ravel().tolist() == [1, 9]


def test_all_unsuitable_tiles_are_reported_together(write_raster, tmp_path):
    def tile(name, **options):
        return write_raster(np.zeros((5, 5), np.uint8), name=name, **options)

    files = [
        tile("one.tif"),
        tile("shifted.tif", affine=Affine(1, 0, -90.5, 0, -1, 50)),
        tile("coarse.tif", affine=Affine(2, 0, -90, 0, -2, 50)),
        tile("crs.tif", crs="EPSG:4269"),
        write_raster(np.zeros((2, 5, 5), np.uint8), name="bands.tif"),
    ]
    with pytest.raises(RasterError) as caught:
        mosaic(files, tmp_path / "out.tif")
    assert len(caught.value.problems) == 4
    for text in (
        "shifted by 0.5 of a cell",
        "coarse.tif: its cell size is not",
        "crs.tif: its CRS is not",
        "it has 2 bands, but",
    ):
        assert text in str(caught.value)
    with pytest.raises(ValueError, match="overlap must be one of first,"):
        mosaic(files[:1], tmp_path / "out.tif", overlap="blend")


def test_tiles_with_another_data_type_or_scale_are_refused(write_raster, tmp_path, read_raster):
    one = write_raster(np.full((5, 5), -7, np.int16), name="one.tif")
    other = write_raster(np.full((5, 5), 60000, np.uint16), name="other.tif", affine=Affine(1, 0, -95, 0, -1, 50))
    scaled = write_raster(np.zeros((5, 5), np.int16), name="scaled.tif", scales=(0.1,), offsets=(0.0,))
    with pytest.raises(RasterError) as caught:
        mosaic([one, other, scaled], tmp_path / "out.tif")
    assert len(caught.value.problems) == 2
    assert "other.tif: its data type is uint16, but" in str(caught.value)
    assert "scaled.tif: its scale or offset is not" in str(caught.value)
    mosaic([one, other], tmp_path / "out.tif", profile={"dtype": "int32"}, executor="serial")
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif")[0], [[-7] * 5 + [60000] * 5] * 5)
    with pytest.raises(BlockError, match=r"uint16, .* int16 cannot hold"):
        mosaic([one, other], tmp_path / "out.tif", profile={"dtype": "int16"}, executor="serial")


@pytest.mark.parametrize(
    ("dtype", "options", "message"),
    [
        ("uint8", {"band": 0}, "band must be one of 1 to 1, not 0"),
        ("uint8", {"band": 2}, "band must be one of 1 to 1, not 2"),
        ("uint8", {"background": 256}, "output's uint8 cannot hold the background 256"),
        ("int16", {"background": np.nan}, "output's int16 cannot hold the background nan"),
        ("float32", {"background": 1e300}, "output's float32 cannot hold the background 1e.300"),
        ("complex64", {"overlap": "mean"}, "complex numbers have no mean"),
        ("uint8", {"by": "cell"}, "by must be 'band' or 'pixel', not 'cell'"),
        ("uint8", {"by": "pixel", "overlap": "mean"}, "by='pixel' is for overlap='min' and 'max', not for 'mean'"),
        ("uint8", {"by": "pixel", "overlap": "min", "band": 0}, "band must be one of 1 to 1, not 0"),
    ],
)
def test_unsuitable_arguments_are_refused(write_raster, tmp_path, dtype, options, message):
    with pytest.raises(ValueError, match=message):
        mosaic([write_raster(np.zeros((5, 5), dtype))], tmp_path / "out.tif", **options)
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize("background", [0.1, np.nan, np.inf, -9999])
def test_a_background_is_rounded_to_the_data_type(write_raster, tmp_path, read_raster, background):
    tile = write_raster(np.full((2, 2), np.nan, np.float32))
    mosaic([tile], tmp_path / "out.tif", background=background, executor="serial")
    assert np.array_equal(read_raster(tmp_path / "out.tif")[0], np.full((2, 2), background, "f4"), equal_nan=True)


def test_masked_cells_do_not_count_as_data(write_raster, tmp_path, read_raster):
    below = write_raster(np.full((2, 3), 1, np.uint8), name="below.tif")
    above = write_raster(np.array([[2, 9, 2]] * 2, np.uint8), name="above.tif")
    compute_mask(above, 9, output=above, executor="serial")
    mosaic([below, above], tmp_path / "out.tif", executor="serial")
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif")[0], [[2, 1, 2]] * 2)


def test_an_unknown_argument_is_refused(write_raster, tmp_path):
    with pytest.raises(TypeError, match="exectuor"):
        mosaic([write_raster(np.zeros((5, 5), np.uint8))], tmp_path / "out.tif", exectuor="serial")


def test_no_tiles_are_an_error(tmp_path):
    with pytest.raises(RasterError, match="no inputs"):
        mosaic([], tmp_path / "out.tif")


def rsgislib_mosaic(layers, there, decide, lower):
    """Return RSGISLib's mosaic: the whole pixel of the tile whose value in the deciding band is lower or higher.

    `layers` has the shape (tiles, bands, rows, columns). `there` is true where the deciding band has data.
    """
    result, taken = np.zeros(layers.shape[1:], layers.dtype), np.zeros(layers.shape[2:], bool)
    for layer, has_data in zip(layers, there, strict=True):
        better = layer[decide] < result[decide] if lower else layer[decide] > result[decide]
        use = has_data & (~taken | better)
        result[:, use] = layer[:, use]
        taken |= has_data
    return result, taken


@pytest.mark.parametrize(("rule", "band", "executor"), PIXEL_RULES)
def test_whole_pixels_follow_the_rule_of_rsgislib(tiles, tmp_path, read_raster, rule, band, executor):
    arrays, files, skip = tiles
    decide = (band or 1) - 1
    mosaic(files, tmp_path / "out.tif", rule, band=band, by="pixel", executor=executor, workers=2)
    layers = np.zeros((len(arrays), 2, *layers_of(arrays, skip, 0.0)[0].shape[2:]), arrays[0].dtype)
    there = np.zeros((len(arrays), *layers.shape[2:]), bool)
    for layer, valid, array, (row, column, height, width) in zip(layers, there, arrays, PLACES, strict=True):
        layer[:, row : row + height, column : column + width] = array
        valid[row : row + height, column : column + width] = array[decide] != skip
    result, taken = rsgislib_mosaic(layers, there, decide, rule == "min")
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), np.where(taken, result, skip))


def test_bands_can_come_from_several_tiles_only_by_band(write_raster, tmp_path, read_raster):
    red = write_raster(np.array([[[250] * 2], [[0] * 2], [[0] * 2]], np.uint8), name="red.tif")
    blue = write_raster(np.array([[[0] * 2], [[0] * 2], [[250] * 2]], np.uint8), name="blue.tif")

    def pixel(**options):
        mosaic([red, blue], tmp_path / "out.tif", executor="serial", **options)
        return read_raster(tmp_path / "out.tif")[:, 0, 0].tolist()

    assert pixel(overlap="max") == [250, 0, 250]  # a color that no tile has
    assert pixel(overlap="max", by="pixel") == [250, 0, 0]
    assert pixel(overlap="max", by="pixel", band=3) == [0, 0, 250]
    assert pixel(overlap="max", by="pixel", band=2) == [250, 0, 0]  # equal: the earlier tile
    assert pixel(overlap="min", by="pixel", band=3) == [250, 0, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "cell"}, "by must be 'band' or 'pixel', not 'cell'"),
        ({"by": "pixel", "overlap": "mean"}, "is for overlap='min' and 'max', not for 'mean'"),
        ({"by": "pixel", "overlap": "feather"}, "is for overlap='min' and 'max', not for 'feather'"),
        ({"by": "pixel", "overlap": "max", "band": 2}, "band must be one of 1 to 1, not 2"),
        ({"overlap": "core"}, "needs the tiles of split_tiles, but this is only a path"),
    ],
)
def test_unsuitable_choices_are_refused(write_raster, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        mosaic([write_raster(np.zeros((5, 5), np.uint8))], tmp_path / "out.tif", **options)
    assert not (tmp_path / "out.tif").exists()


@pytest.mark.parametrize("overlap", ["mean", "feather"])
def test_a_mean_that_would_change_large_integers_is_refused(write_raster, tmp_path, read_raster, overlap):
    large, exact = np.array([[2**62 + 1, 2**53]]), np.array([[-(2**53), 2**53]])
    with pytest.raises(BlockError, match=r"a mean would round integers beyond 2\*\*53"):
        mosaic([write_raster(large)], tmp_path / "out.tif", overlap)
    mosaic([write_raster(exact)], tmp_path / "out.tif", overlap)
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif")[0], exact)
    mosaic([write_raster(large)], tmp_path / "out.tif", "max")
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif")[0], large)
