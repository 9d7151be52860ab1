"""Test that wrong arguments of functions over tiles and masks are named before any work, and RSGISLib's numbers."""

from __future__ import annotations

from decimal import Decimal

import block_functions as functions
import numpy as np
import pytest

from regionplot.blocks import (
    BlockObserver,
    Input,
    Quantiles,
    Variance,
    ZonalStatistics,
    compute_mask,
    map_tiles,
    mosaic,
    prepare_selector,
    process_tiles,
    split_tiles,
    stack_arrays,
    valid_selector,
)
from regionplot.errors import BlockError, RasterError

SPLIT = {
    "tile number": ({"tile": 10}, TypeError, r"tile must be two integers \(rows, columns\), not 10"),
    "tile fraction": ({"tile": (10.5, 10)}, TypeError, "tile must be two integers"),
    "tile zero": ({"tile": (0, 10)}, ValueError, r"tile must be two integers of at least 1, not \(0, 10\)"),
    "overlap": ({"overlap": 1.5}, TypeError, "overlap must be a number of cells, not 1.5"),
    "overlap negative": ({"overlap": -1}, ValueError, "overlap must not be negative, not -1"),
    "offset": ({"offset": 3}, TypeError, "offset must be two integers"),
    "source": ({"source": ["a.tif"]}, TypeError, r"source must be a path, not \['a.tif'\]"),
    "folder": ({"folder": None}, TypeError, "folder must be a path, not None"),
    "profile": ({"profile": "COG"}, TypeError, "profile must be a mapping"),
    "profile key": ({"profile": {"dtyp": "int8"}}, ValueError, "key 'dtyp', .* did you mean 'dtype'"),
    "profile height": ({"profile": {"height": 3}}, ValueError, "height in profile is 3, which tiles cannot change"),
    "observer": ({"observer": BlockObserver()}, TypeError, r"split_tiles\(\) got an unexpected .* 'observer'"),
}
PROCESS = {
    "none": ({"tiles": None}, TypeError, "tiles must be a sequence of paths, not None"),
    "text": ({"tiles": "a.tif"}, TypeError, "tiles must be a sequence of paths, not 'a.tif'"),
    "empty": ({"tiles": []}, RasterError, "tiles is empty"),
    "function": ({"function": None}, TypeError, "function must be callable, not None"),
    "read": ({"read": "bands"}, ValueError, "read must be one of .* files, not 'bands'"),
    "grid": ({"grid": (3, 3)}, TypeError, r"process_tiles\(\) got an unexpected keyword argument 'grid'"),
    "halo": ({"halo": 1}, TypeError, "unexpected keyword argument 'halo'"),
    "profile key": ({"profile": {"dtyp": "int8"}}, ValueError, "key 'dtyp'"),
}
MAP = {
    "unknown": ({"foo": 1}, TypeError, r"map_tiles\(\) got an unexpected keyword argument 'foo'"),
    "merge": ({"merge": "lowest"}, ValueError, "not 'lowest'"),
    "background": ({"background": "x"}, TypeError, "background must be a number, not 'x'"),
    "profile key": ({"profile": {"driver": "COG", "foo": 1}}, ValueError, "key 'foo', which GDAL's driver COG"),
    "output": ({"output": None}, TypeError, "output must be a path, not None"),
}
MOSAIC = {
    "none": ({"tiles": [None]}, TypeError, "tiles must be a sequence of paths, but one of them is None"),
    "input": ({"tiles": [Input("a.tif")]}, TypeError, "one of them is Input"),
    "number": ({"overlap": 3}, ValueError, "or 0, 1 or 2 as in RSGISLib, not 3"),
    "true": ({"overlap": True}, ValueError, "overlap must be one of .* not True"),
    "list": ({"overlap": ["min"]}, ValueError, "overlap must be one of"),
    "background": ({"background": "x"}, TypeError, "background must be a number, not 'x'"),
    "skip": ({"skip_value": "x"}, TypeError, "skip_value must be a number, not 'x'"),
    "skip of bytes": ({"skip_value": -1}, ValueError, "skip_value is -1, which no cell of the type uint8 can have"),
    "band": ({"band": "1"}, TypeError, "band must be the number of a band, not '1'"),
    "height": ({"profile": {"height": 3}}, ValueError, "height in profile is 3, but the tiles make 4"),
    "count": ({"profile": {"count": 2}}, ValueError, "count in profile is 2, but the tiles make 1"),
    "unknown": ({"grid": (3, 3)}, TypeError, r"mosaic\(\) got an unexpected keyword argument 'grid'"),
    "output": ({"output": 3}, TypeError, "output must be a path, not 3"),
}
MASK = {
    "source": ({"source": ["grid.tif"]}, TypeError, "source must be a path"),
    "two bands": ({"source": Input("grid.tif", bands=[1]), "bands": [1]}, ValueError, "leave one of both out"),
    "reading": ({"source": Input("grid.tif", read_options={"resampling": "mode"})}, ValueError, "read_options have no"),
    "opening": (
        {"source": Input("grid.tif", open_options={"num_threads": 1}), "output": "grid.tif"},
        ValueError,
        "open_options change how the file is read",
    ),
    "nodata": ({"nodata": "x"}, TypeError, "nodata must be a number, not 'x'"),
    "decimal": ({"nodata": Decimal(3)}, TypeError, "nodata must be a number, not Decimal"),
    "bands": ({"bands": 1}, TypeError, "bands must be a sequence of band numbers"),
    "halo": ({"halo": 1}, TypeError, r"compute_mask\(\) got an unexpected keyword argument 'halo'"),
    "kwargs": ({"kwargs": {}}, TypeError, "unexpected keyword argument 'kwargs'"),
    "dtype": ({"output": "m.tif", "profile": {"dtype": "int16"}}, ValueError, "dtype in profile is 'int16'"),
    "output": ({"output": 3}, TypeError, "output must be a path, not 3"),
    "logic": ({"logic": np.atleast_3d}, BlockError, r"logic returned the shape .* of shape \(rows, columns\)"),
}
CALLS = {"split": (split_tiles, SPLIT), "process": (process_tiles, PROCESS), "map": (map_tiles, MAP),
         "mosaic": (mosaic, MOSAIC), "mask": (compute_mask, MASK)}  # fmt: skip


@pytest.mark.parametrize(("call", "name"), [(call, name) for call, (_, cases) in CALLS.items() for name in cases])
def test_wrong_arguments_are_named_before_any_work(write_raster, tmp_path, monkeypatch, call, name):
    monkeypatch.chdir(tmp_path)
    path = write_raster(np.ones((4, 6), np.uint8))
    function, cases = CALLS[call]
    given, error, message = cases[name]
    usual = {
        "split": {"source": path, "folder": "new"},
        "process": {"function": functions.first, "tiles": [path], "folder": "new"},
        "map": {"source": path, "function": functions.first, "output": "out.tif"},
        "mosaic": {"tiles": [path], "output": "out.tif"},
        "mask": {"source": path},
    }
    with pytest.raises(error, match=message):
        function(**{**usual[call], **given})
    assert [file.name for file in tmp_path.iterdir()] == ["grid.tif"]


def test_a_file_in_the_place_of_the_folder_is_named(write_raster):
    path = write_raster(np.ones((4, 6), np.uint8))
    with pytest.raises(RasterError, match=r"grid.tif: the folder cannot be created: File exists"):
        split_tiles(path, path)


@pytest.mark.parametrize("number", [0, 1, 2, np.int64(1)])
@pytest.mark.parametrize("band", [None, 2])
def test_the_numbers_of_rsgislib_are_its_rules(write_raster, tmp_path, read_raster, number, band):
    """Overlap behavior 0: the last tile; 1 and 2: the whole pixel whose skip band is lower or higher."""
    tiles = np.random.default_rng(2).integers(0, 4, (3, 2, 20, 30)).astype(np.int16)
    paths = [write_raster(tile, name=f"{n}.tif") for n, tile in enumerate(tiles)]
    expected, taken = np.full((2, 20, 30), -9, np.int16), np.zeros((20, 30), bool)
    for tile in tiles:
        own, old = tile[(band or 1) - 1], expected[(band or 1) - 1]
        better = {0: np.ones_like(taken), 1: own < old, 2: own > old}[int(number)]
        use = (own != 0) & (~taken | better)
        expected[:, use] = tile[:, use]
        taken |= use
    mosaic(paths, tmp_path / "out.tif", number, -9, 0, band, executor="serial")
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), expected)


def test_tiles_can_be_merged_by_number_and_an_iterator_of_tiles_is_taken(grid_file, noise, tmp_path, read_raster):
    map_tiles(grid_file, functions.first, tmp_path / "out.tif", tile=(30, 40), merge=0, executor="serial")
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), noise)
    mosaic(iter(split_tiles(grid_file, tmp_path / "tiles", (70, 45), executor="serial")), tmp_path / "again.tif")
    np.testing.assert_array_equal(read_raster(tmp_path / "again.tif"), noise)


def test_creation_options_of_a_cog_are_those_of_the_output(grid_file, noise, tmp_path, read_raster):
    profile = {"driver": "COG", "blocksize": 128, "dtype": "float64"}
    map_tiles(grid_file, functions.first, tmp_path / "out.tif", profile=profile, executor="serial")
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), noise.astype(np.float64))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: valid_selector(np.array(["a"])), TypeError, "must be arrays of numbers or booleans"),
        (lambda: valid_selector(np.ones(1), nodata="x"), TypeError, "nodata must be a number"),
        (lambda: prepare_selector(("a.tif", 1.5)), TypeError, "bands must be a path or a pair"),
        (lambda: prepare_selector("a.tif", read="arrays"), TypeError, r"prepare_selector\(\) got an unexpected"),
        (lambda: stack_arrays(None), TypeError, "arrays must be a sequence of arrays, not None"),
        (lambda: stack_arrays([np.ones(3)]), ValueError, r"array 1 has the shape \(3,\); its axes must be"),
        (lambda: Quantiles([0, 1], probabilities="ab"), ValueError, "probabilities must be .* not 'ab'"),
        (lambda: Quantiles([0, 1], probabilities=0.5), ValueError, "probabilities must be .* not 0.5"),
        (lambda: Quantiles(["a"], probabilities=[0.5]), TypeError, r"edges must be a sequence of numbers, not \['a'\]"),
        (lambda: Variance(ddof="x"), ValueError, "ddof must be an integer of at least 0, not 'x'"),
        (lambda: ZonalStatistics(["a.tif"]), TypeError, r"zones must be a path, not \['a.tif'\]"),
    ],
)
def test_wrong_arguments_of_selectors_and_reducers_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_stack_keeps_masks():
    stack = stack_arrays([np.ma.masked_equal([[1, 2]], 2), np.array([[3, 4]])])
    np.testing.assert_array_equal(np.ma.getmaskarray(stack), [[[False, True]], [[False, False]]])
    assert not np.ma.isMaskedArray(stack_arrays([np.ones((1, 2))]))
