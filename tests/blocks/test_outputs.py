"""Test open datasets as outputs, and that no property of an output is ignored."""

from __future__ import annotations

import logging

import block_functions as functions
import numpy as np
import pytest
import rasterio

from regionplot.blocks import (
    BlockGrid,
    Mean,
    WorkerSettings,
    compute_mask,
    fill_array,
    mosaic,
    prepare_selector,
    process_blocks,
    split_tiles,
)
from regionplot.blocks.refusals import refused_options
from regionplot.blocks.sources import Sources
from regionplot.errors import BlockError, RasterError


def opened(grid_file, tmp_path, mode="w", **changes):
    """Return a new open dataset like the grid file, with three bands."""
    return rasterio.open(tmp_path / "open.tif", mode, **{**Sources.of(grid_file).profile, "count": 3, **changes})


@pytest.mark.parametrize("executor", ["serial", "fork"])
@pytest.mark.parametrize(("bands", "inputs"), [(2, [2]), ([3, 1], [1, 2]), ((1,), [2])])
def test_bands_of_an_open_dataset_can_be_the_output(grid_file, noise, tmp_path, read_raster, executor, bands, inputs):
    before = np.full((3, 70, 90), 5, np.float32)
    with opened(grid_file, tmp_path) as output:
        output.write(before)
        process_blocks(
            functions.first, grid_file, rasterio.band(output, bands), bands=inputs, executor=executor, workers=2,
            grid=(40, 40),
        )  # fmt: skip
    before[np.atleast_1d(bands) - 1] = noise[np.array(inputs) - 1]
    np.testing.assert_array_equal(read_raster(tmp_path / "open.tif"), before)


def test_masked_cells_become_the_nodata_value_of_the_band(grid_file, tmp_path, read_raster):
    with opened(grid_file, tmp_path, nodata=-7) as output:
        process_blocks(functions.mask_negative, grid_file, rasterio.band(output, [1, 3]), read="masked")
    assert (read_raster(tmp_path / "open.tif")[[0, 2]] == -7).any(axis=(1, 2)).all()


@pytest.mark.parametrize("band", [0, 4, [1, 4], [], [2, 2]])
def test_a_wrong_band_of_the_output_is_named(grid_file, tmp_path, band):
    message = r"open.tif: (there is no band|the output names a band twice)"
    with opened(grid_file, tmp_path) as output, pytest.raises(ValueError, match=message):
        process_blocks(functions.first, grid_file, rasterio.band(output, band))


def test_a_wrong_number_of_bands_tells_both_cures(grid_file, tmp_path):
    with (
        opened(grid_file, tmp_path) as output,
        pytest.raises(BlockError, match=r"2 band\(s\), but the output has 3; set profile=.* or pass rasterio.band"),
    ):
        process_blocks(functions.first, grid_file, output, executor="serial")


def test_datasets_that_cannot_be_written_are_refused(grid_file, tmp_path):
    closed = opened(grid_file, tmp_path)
    band = rasterio.band(closed, 1)
    closed.close()
    for output in (closed, band):
        with pytest.raises(ValueError, match=r"open.tif: the output dataset is closed"):
            process_blocks(functions.first, grid_file, output)
    with rasterio.open(tmp_path / "open.tif") as output, pytest.raises(ValueError, match="open for reading only"):
        process_blocks(functions.first, grid_file, output)
    with rasterio.open(grid_file, "r+") as output, pytest.raises(ValueError, match=r"grid.tif: .* is also an input"):
        process_blocks(functions.first, grid_file, output)
    with (
        opened(grid_file, tmp_path, dtype="complex_int16", nodata=None, predictor=1) as output,
        pytest.raises(ValueError, match=r"open.tif: GDAL rounds .* use a dataset of the type complex64"),
    ):
        process_blocks(functions.first, grid_file, output)


def ones(_datasets, block, _arguments):
    return np.ones((2, block.core.height, block.core.width), np.float32)


def test_blocks_of_a_function_of_datasets_are_checked_against_the_output(grid_file, tmp_path, read_raster):
    lower, target = {"height": 50}, tmp_path / "out.tif"
    window = [((45, 55), (0, 10))]
    with pytest.raises(ValueError, match="not within the raster of 50 rows"):
        process_blocks(ones, grid_file, target, read="datasets", profile=lower, grid=window)
    with pytest.raises(ValueError, match=r"the grid has \(70, 90\) rows and columns, but the output has \(50, 90\)"):
        process_blocks(ones, grid_file, target, read="datasets", profile=lower, grid=BlockGrid(70, 90, 40, 40))
    process_blocks(ones, grid_file, target, read="datasets", profile=lower, executor="serial")
    assert (read_raster(target) == np.ones((2, 50, 90))).all()
    with opened(grid_file, tmp_path, count=2, height=90) as output:
        with pytest.raises(ValueError, match="not within the raster of 90 rows"):
            process_blocks(ones, grid_file, output, read="datasets", grid=[((45, 95), (0, 10))])
        process_blocks(ones, grid_file, output, read="datasets", executor="serial")
    assert (read_raster(tmp_path / "open.tif") == np.ones((2, 90, 90))).all()


WRONG_PROFILES = {
    "height": ({"height": 50}, ValueError, r"\(50, 90\) .* leave height and width out of profile"),
    "misspelled": ({"dtyp": "uint8"}, ValueError, "key 'dtyp', which .* GTiff does not know; did you mean 'dtype'"),
    "unknown": ({"foo": 1}, ValueError, "out.tif: profile has the key 'foo', .* leave it out"),
    "unknown in a COG": ({"driver": "COG", "foo": 1}, ValueError, "key 'foo', which GDAL's driver COG does not know"),
    "value": ({"compress": "bogus"}, ValueError, "GDAL ignores a value: 'bogus' is an unexpected value for COMPRESS"),
    "level": ({"compress": "deflate", "zlevel": 99}, ValueError, "ZLEVEL=99 value not recogni"),
    "value in a COG": ({"driver": "COG", "blocksize": 64}, ValueError, "'64' is an unexpected value for BLOCKSIZE"),
    "grid of a COG": ({"driver": "COG", "tiling_scheme": "GoogleMapsCompatible"}, ValueError, "would change the grid"),
    "argument of open": ({"mode": "r"}, ValueError, "key 'mode', which is not a property"),
    "width": ({"width": "x"}, TypeError, "the width in profile must be a positive integer, not 'x'"),
    "nodata": ({"nodata": "x"}, TypeError, "nodata in profile must be a number or None, not 'x'"),
    "second file": ({"tfw": "yes"}, ValueError, "key 'tfw', which would write a second file"),
    "dtype": ({"dtype": "complex_int16"}, RasterError, "use 'complex64'"),
    "units text": ({"units": "mm"}, TypeError, "units in profile must be a sequence with one value per band, not 'mm'"),
    "units": ({"units": ["mm"]}, ValueError, r"units in profile has 1 value\(s\), but the output has 2"),
    "scales": ({"scales": ["a", 1]}, TypeError, "scales in profile has the value 'a', which is not a number"),
    "offsets": ({"offsets": 3}, TypeError, "offsets in profile must be a sequence"),
    "descriptions": ({"descriptions": [1, 2]}, TypeError, "descriptions .* the value 1, which is not a text"),
    "tags": ({"tags": ["a"]}, TypeError, "tags in profile must be a mapping"),
    "band tags": ({"band_tags": ["a", "b"]}, TypeError, "band_tags .* 'a', which is not a mapping"),
}


@pytest.mark.parametrize("name", WRONG_PROFILES)
def test_no_key_of_a_profile_is_ignored(grid_file, tmp_path, name):
    profile, error, message = WRONG_PROFILES[name]
    with pytest.raises(error, match=message):
        process_blocks(functions.fail_at, grid_file, tmp_path / "out.tif", profile=profile, arguments=(0, 0))
    assert [path.name for path in tmp_path.iterdir()] == ["grid.tif"]


@pytest.mark.parametrize(
    ("declared", "error", "message"),
    [
        (None, TypeError, "must return a profile, not None"),
        ({"dtype": "uint8"}, ValueError, "lacks count, height, width, transform, crs; change a copy"),
    ],
)
def test_a_function_declares_a_whole_profile(grid_file, tmp_path, declared, error, message):
    function = functions.Neighbors()
    function.profile = lambda _: declared
    with pytest.raises(error, match=message):
        process_blocks(function, grid_file, tmp_path / "out.tif")


def test_refused_options_are_found_if_the_messages_of_rasterio_are_hidden(grid_file, tmp_path, caplog):
    caplog.set_level(logging.CRITICAL, "rasterio")
    with pytest.raises(ValueError, match="key 'foo'"):
        process_blocks(functions.first, grid_file, tmp_path / "out.tif", profile={"foo": 1})
    assert logging.getLogger("rasterio._env").level == logging.NOTSET
    with refused_options("profile"):
        logging.getLogger("rasterio._env").warning("CPLE_AppDefined in another message")


def test_the_profile_of_a_dataset_can_be_given(grid_file, noise, tmp_path, read_raster):
    with rasterio.open(grid_file) as file:
        profile = file.profile
    for driver in ("GTiff", "COG"):
        process_blocks(functions.first, grid_file, tmp_path / "out.tif", profile={**profile, "driver": driver})
        np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), noise)


def test_the_error_of_gdal_is_named_if_cells_cannot_be_written(grid_file, tmp_path):
    with pytest.raises(RasterError, match="JPEG"):
        process_blocks(
            functions.first, grid_file, tmp_path / "out.tif", profile={"compress": "jpeg", "predictor": None}
        )
    process_blocks(functions.first, grid_file, tmp_path / "out.tif", profile={"compress": None, "photometric": None})
    with rasterio.open(tmp_path / "out.tif") as file:
        assert "compress" not in file.profile


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dtype": "floaty"}, TypeError, "dtype must be a data type .* not 'floaty'"),
        ({"count": 0}, ValueError, "count must be a positive integer, .* not 0"),
        ({"count": "2"}, TypeError, "count must be a positive integer, .* not '2'"),
        ({"dtype": "uint8", "fill": -1}, ValueError, "fill must be a value of uint8, not -1"),
        ({"dtype": "int16", "fill": 0.5}, ValueError, "fill must be a value of int16, not 0.5"),
        ({"fill": "x"}, ValueError, "fill must be a value of float32, not 'x'"),
        ({"profile": {"nodata": 1}}, ValueError, "the output is not a path; leave profile out"),
        ({"read": "datasets", "grid": BlockGrid(99, 99, 9, 9)}, ValueError, r"but the raster has \(70, 90\)"),
        ({"executer": 1}, TypeError, "unexpected keyword argument 'executer'"),
    ],
)
def test_wrong_arguments_of_arrays_are_named(grid_file, options, error, message):
    with pytest.raises(error, match=message):
        fill_array(functions.first, grid_file, **{"dtype": "float32", "count": 2, **options})


@pytest.mark.parametrize("name", ["timeout", "retries", "memory", "nice", "jobs_per_worker"])
def test_wrong_limits_of_workers_are_named(grid_file, name):
    for wrong in (-1, "x", True):
        with pytest.raises(ValueError, match=f"{name} in worker_settings must be a number of at least"):
            process_blocks(functions.first, grid_file, Mean(), worker_settings=WorkerSettings(**{name: wrong}))


def test_complex_int16_is_processed_as_complex64(write_raster, tmp_path):
    values = (np.arange(60).reshape(6, 10) - 30 + 1j * np.arange(60).reshape(6, 10)).astype(np.complex64)
    source, target = write_raster(values, dtype="complex_int16", name="radar.tif"), tmp_path / "out.tif"

    def written():
        with rasterio.open(target) as file:
            assert file.dtypes == ("complex64",)
            return file.read(1)

    process_blocks(lambda arrays, *_: arrays[0].conj(), source, target, executor="serial")
    np.testing.assert_array_equal(written(), values.conj())
    mosaic(split_tiles(source, tmp_path / "tiles", (4, 4), executor="serial"), target, executor="serial")
    np.testing.assert_array_equal(written(), values)
    mosaic([source], target, "first", executor="serial")
    np.testing.assert_array_equal(written(), values)
    np.testing.assert_array_equal(compute_mask(source, 0, executor="serial"), np.where(values == 0, 0, 255))
    np.testing.assert_array_equal(prepare_selector(source, nodata=-30, executor="serial"), values != -30)


@pytest.mark.parametrize("nodata", [2**53 + 1, -(2**63), 10**17])
@pytest.mark.parametrize("driver", ["GTiff", "COG"])
def test_a_nodata_value_that_rasterio_stores_as_another_is_refused(write_raster, tmp_path, nodata, driver):
    source, target = write_raster(np.arange(12).reshape(3, 4)), tmp_path / "out.tif"
    with pytest.raises(RasterError, match=rf"out.tif: rasterio cannot store the nodata value {nodata} as int64"):
        process_blocks(functions.first, source, target, profile={"nodata": nodata, "driver": driver})
    assert not target.exists()
    for kept in (-(2**53), 10**16, 7.0):
        process_blocks(functions.first, source, target, profile={"nodata": kept, "driver": driver})
        with rasterio.open(target) as file:
            assert (file.nodata, file.dtypes) == (kept, ("int64",))


@pytest.mark.parametrize("dtype", ["f4", ">f4", np.float32, np.dtype("float32")])
def test_all_names_of_a_data_type_are_known(grid_file, noise, tmp_path, read_raster, dtype):
    process_blocks(functions.first, grid_file, tmp_path / "out.tif", profile={"dtype": dtype})
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), noise)


@pytest.mark.parametrize("dtype", ["object", "M8[s]", "U1"])
def test_a_data_type_that_no_file_has_is_not_offered(grid_file, tmp_path, dtype):
    with pytest.raises(BlockError, match=r"convert the result in the function$"):
        process_blocks(lambda arrays, *_: np.zeros(arrays[0].shape, dtype), grid_file, tmp_path / "out.tif")
