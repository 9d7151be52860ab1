"""Test inputs with their own bands, open options and read options, and compare their cells with plain NumPy."""

from __future__ import annotations

import pickle
from contextlib import closing
from pathlib import Path

import block_functions as functions
import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.enums import Resampling

from regionplot.blocks import BlockGrid, Input, fill_array, process_blocks
from regionplot.blocks.handles import Handles
from regionplot.errors import RasterError


def place(row=0, column=0, down=1, across=1):
    """Return the transform of a raster whose first cell is at a row and column of the grid of `grid_file`."""
    return Affine(across, 0, -100 + column, 0, -down, 50 - row)


def gathered(inputs, count, **options):
    """Return what the function gets for the second input, put together from blocks of 16 × 32 cells."""
    return fill_array(
        lambda arrays, *_: arrays[1], inputs, dtype=np.float32, count=count, grid=(16, 32), executor="serial", **options
    )


def test_each_input_can_have_its_own_bands(grid_file, noise, read_raster, tmp_path):
    shapes = []

    def record(arrays, *_):
        shapes.append([array.shape[0] for array in arrays])
        return arrays[0] + arrays[1][:1]

    inputs = [Input(grid_file, bands=[2]), grid_file, Input(str(grid_file), bands=(2, 1, 2))]
    process_blocks(record, inputs, tmp_path / "out.tif", executor="serial")
    process_blocks(record, [grid_file] * 3, tmp_path / "two.tif", bands=[[2], None, [2, 1, 2]], executor="serial")
    assert shapes == [[1, 2, 3]] * 2
    for name in ("out.tif", "two.tif"):
        np.testing.assert_array_equal(read_raster(tmp_path / name), noise[1:] + noise[:1])
        with rasterio.open(tmp_path / name) as file:
            assert (file.descriptions, file.scales) == (("water",), (2.0,))


def test_options_can_be_given_for_all_inputs_or_for_each(grid_file, write_raster, tmp_path):
    with rasterio.open(grid_file, "r+") as file:
        file.build_overviews([2], Resampling.average)
    small = write_raster(np.full((5, 5), 2, np.float32), affine=place(40, 40), name="small.tif")
    level, edge = {"overview_level": 0}, {"boundless": True}
    assert fill_array(functions.first, grid_file, dtype="f4", count=2, open_options=level).shape == (2, 35, 45)
    shapes = []

    def record(arrays, *_):
        shapes.append([array.shape for array in arrays])
        return arrays[1]

    inputs = [grid_file, small, Input(grid_file, bands=[1])]
    found = fill_array(record, inputs, dtype="f4", read_options=[None, edge, {}], executor="serial")
    assert found.sum() == 50
    fill_array(record, inputs, dtype="f4", read_options=edge, halo=3, executor="serial")
    assert shapes == [[(2, 70, 90), (1, 70, 90), (1, 70, 90)], [(2, 76, 96), (1, 76, 96), (1, 76, 96)]]
    for wrong, error in (({"open_options": [level]}, ValueError), ({"read_options": "cubic"}, TypeError),
                         ({"bands": [[1]]}, ValueError), ({"open_options": [1, 2, 3]}, TypeError)):  # fmt: skip
        with pytest.raises(error, match=f"^{next(iter(wrong))} "):
            process_blocks(functions.first, inputs, tmp_path / "out.tif", **wrong)


def test_bands_of_an_input_go_before_the_bands_of_all(grid_file, noise):
    found = gathered([grid_file, Input(grid_file, bands=[2])], 1, bands=[1])
    np.testing.assert_array_equal(found, noise[1:])


@pytest.mark.parametrize("executor", ["serial", "fork"])
def test_an_overview_is_a_raster_of_its_own(grid_file, tmp_path, executor):
    with rasterio.open(grid_file, "r+") as file:
        file.build_overviews([2], Resampling.average)
    with rasterio.open(grid_file, OVERVIEW_LEVEL=0) as file:
        expected, place = file.read(), file.transform
    overview = Input(grid_file, open_options={"overview_level": 0})
    process_blocks(functions.first, overview, tmp_path / "out.tif", grid=(16, 16), executor=executor, workers=2)
    with rasterio.open(tmp_path / "out.tif") as file:
        np.testing.assert_array_equal(file.read(), expected)
        assert (file.shape, file.transform) == ((35, 45), place)
    with pytest.raises(RasterError, match=r"it has \(70, 90\) rows and columns, but .* has \(35, 45\)"):
        process_blocks(functions.first, [overview, grid_file], tmp_path / "out.tif")


@pytest.mark.parametrize("method", ["nearest", "bilinear", "cubic", "average", Resampling.mode])
@pytest.mark.parametrize(("down", "across"), [(5, 2), (0.5, 0.5)])
def test_resampled_blocks_equal_the_whole_resampled_raster(grid_file, write_raster, method, down, across):
    height, width = round(70 / down), round(90 / across)
    values = np.random.default_rng(1).normal(size=(2, height, width)).astype(np.float32)
    other = write_raster(values, affine=place(down=down, across=across), name="other.tif")
    with rasterio.open(other) as file:
        resampling = Resampling[method] if isinstance(method, str) else method
        expected = file.read(out_shape=(2, 70, 90), resampling=resampling)
    found = gathered([grid_file, Input(other, read_options={"resampling": method})], 2)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)
    if method == "nearest" and across == 2:
        np.testing.assert_array_equal(found, values.repeat(5, axis=1).repeat(2, axis=2))
    if method == "average" and across < 1:
        np.testing.assert_allclose(found, values.reshape(2, 70, 2, 90, 2).mean((2, 4)), rtol=0, atol=1e-6)


@pytest.mark.parametrize(("row", "column"), [(10, 20), (-7, 60), (60, -30), (-5, -5)])
@pytest.mark.parametrize("fill", [None, 7.5])
def test_a_boundless_input_need_not_cover_the_grid(grid_file, write_raster, row, column, fill):
    values = np.random.default_rng(1).normal(size=(1, 25, 60)).astype(np.float32)
    other = write_raster(values, affine=place(row, column), nodata=-5, name="other.tif")
    options = {"boundless": True} if fill is None else {"boundless": True, "fill_value": fill}
    canvas = np.full((1, 70 + 200, 90 + 200), -5 if fill is None else fill, np.float32)
    canvas[:, 100 + row : 125 + row, 100 + column : 160 + column] = values
    found = gathered([grid_file, Input(other, read_options=options)], 1)
    np.testing.assert_array_equal(found, canvas[:, 100:170, 100:190])


def test_cells_outside_of_an_input_are_masked(grid_file, write_raster):
    other = write_raster(np.ones((30, 90), np.uint8), affine=place(down=2), name="other.tif")
    masks = np.zeros((70, 90), bool)

    def record(arrays, block, _arguments):
        assert np.ma.isMaskedArray(arrays[1])
        masks[block.slices] = np.ma.getmaskarray(arrays[1])[0]
        return arrays[0]

    half = Input(other, read_options={"resampling": "nearest", "boundless": True})
    fill_array(record, [grid_file, half], dtype="f4", count=2, read="masked", grid=(16, 32), executor="serial")
    assert not masks[:60].any()
    assert masks[60:].all()


@pytest.mark.parametrize("executor", ["serial", "fork"])
def test_halos_of_boundless_inputs_are_not_clipped(grid_file, noise, tmp_path, read_raster, executor):
    padded = np.pad(noise, ((0, 0), (2, 2), (2, 2)), constant_values=3)
    expected = padded[:, 4:, 4:] - padded[:, :-4, :-4]

    def difference(arrays, block, _arguments):
        assert arrays[0].shape[1:] == (block.core.height + 4, block.core.width + 4)
        assert (block.padded.row_off, block.padded.height) == (block.core.row_off - 2, block.core.height + 4)
        return arrays[0][:, 4:, 4:] - arrays[0][:, :-4, :-4]

    process_blocks(
        difference, Input(grid_file, read_options={"boundless": True, "fill_value": 3}), tmp_path / "out.tif", halo=2,
        grid=(16, 32), executor=executor, workers=2,
    )  # fmt: skip
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), expected)


def test_one_bounded_input_clips_the_halos(grid_file):
    found = gathered([grid_file, Input(grid_file, read_options={"boundless": True})], 2, halo=3)
    assert found.shape == (2, 70, 90)


def test_handles_keep_their_open_options_in_other_processes(grid_file):
    with rasterio.open(grid_file, "r+") as file:
        file.build_overviews([2], Resampling.average)
    handles = pickle.loads(pickle.dumps(Handles([grid_file, grid_file], [{}, {"OVERVIEW_LEVEL": 0}])))
    with closing(handles):
        assert [dataset.shape for dataset in handles.get()] == [(70, 90), (35, 45)]


def test_an_input_pickles(tmp_path):
    given = Input(tmp_path / "a.tif", bands=[1], open_options={"a": 1}, read_options={"resampling": Resampling.cubic})
    assert pickle.loads(pickle.dumps(given)) == given
    assert (given.open_options, given.read_options) == ({"A": 1}, {"resampling": "cubic"})


WRONG = {
    "path": ({"path": 3}, TypeError, "path of an Input must be a path, not 3"),
    "bands": ({"bands": 1}, TypeError, "bands must be a sequence of band numbers"),
    "open options list": ({"open_options": ["a"]}, TypeError, "open_options must be a mapping"),
    "open options of rasterio": ({"open_options": {"Driver": "PNG"}}, ValueError, "but driver is not one of them"),
    "overview": ({"open_options": {"overview_level": "x"}}, TypeError, "overview_level .* not 'x'"),
    "read options text": ({"read_options": "nearest"}, TypeError, "read_options must be a mapping"),
    "read option": ({"read_options": {"masked": True}}, ValueError, "key 'masked'; the keys are boundless, fill_value"),
    "resampling": ({"read_options": {"resampling": "gauss"}}, ValueError, "one of nearest, .* not 'gauss'"),
    "boundless": ({"read_options": {"boundless": 1}}, TypeError, "boundless .* must be True or False, not 1"),
    "fill alone": ({"read_options": {"fill_value": 1}}, ValueError, "fill_value .* needs boundless=True"),
    "fill text": ({"read_options": {"boundless": True, "fill_value": "x"}}, TypeError, "must be a number, not 'x'"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_fields_are_named(name):
    given, error, message = WRONG[name]
    with pytest.raises(error, match=message):
        Input(**{"path": "a.tif", **given})


@pytest.mark.parametrize(
    ("options", "read", "error", "message"),
    [
        ({"open_options": {"foo": 1}}, "arrays", ValueError, "other.tif: open_options has the key 'foo', which GDAL's"),
        ({"open_options": {"overview_level": 3}}, "arrays", RasterError, "other.tif: .*overview level 3"),
        ({"bands": [2]}, "arrays", RasterError, "other.tif: there is no band 2"),
        ({"read_options": {"boundless": True}}, "datasets", ValueError, "read_options have no effect"),
        ({"read_options": {"boundless": True}}, "arrays", RasterError, "set resampling in its read_options"),
        ({"read_options": {"resampling": "mode"}}, "arrays", RasterError, "does not cover .*; set boundless"),
        ({"read_options": {"resampling": "mode", "boundless": True, "fill_value": -1}}, "arrays", ValueError,
         "its uint8 cannot hold the fill_value -1"),
    ],
)  # fmt: skip
def test_inputs_that_cannot_be_read_are_named(grid_file, write_raster, options, read, error, message):
    other = write_raster(np.ones((30, 90), np.uint8), affine=place(down=2), name="other.tif")
    with pytest.raises(error, match=message):
        process_blocks(functions.first, [grid_file, Input(other, **options)], Path("out.tif"), read=read)


@pytest.mark.usefixtures("grid_file")
def test_all_inputs_that_cannot_be_opened_are_named_together(tmp_path):
    names = ["none.tif", "grid.tif", "nor.tif"]
    for order in (names, names[1:] + names[:1]):
        with pytest.raises(RasterError) as caught:
            process_blocks(functions.first, [tmp_path / name for name in order], tmp_path / "out.tif")
        assert sorted(problem.message.rpartition("/")[2] for problem in caught.value.problems) == [
            "none.tif: there is no such file",
            "nor.tif: there is no such file",
        ]


def test_rotated_mirrored_and_other_grids_are_refused(grid_file, write_raster):
    values = np.ones((70, 90), np.uint8)
    grids = {
        "rotated": {"affine": Affine(1, 0.02, -100, 0.02, -1, 50)},
        "mirrored": {"affine": Affine(1, 0, -100, 0, 1, -20)},
        "crs": {"crs": "EPSG:4269"},
    }
    inputs = [Input(write_raster(values, name=f"{name}.tif", **options), read_options={"boundless": True})
              for name, options in grids.items()]  # fmt: skip
    with pytest.raises(RasterError) as caught:
        process_blocks(functions.first, [grid_file, *inputs], Path("out.tif"))
    assert [problem.message.partition(" of ")[0].partition(".tif: ")[2] for problem in caught.value.problems] == [
        "its rows and columns have other directions than those",
        "its rows and columns have other directions than those",
        "its CRS is not that",
    ]


VIEWS = [(x, y, min(40, 90 - x), min(30, 70 - y)) for y in (0, 30, 60) for x in (0, 40, 80)]


@pytest.mark.parametrize("views", [VIEWS, np.array(VIEWS), iter(VIEWS), [list(map(np.int32, view)) for view in VIEWS]])
def test_views_of_riogrande_are_blocks(grid_file, noise, tmp_path, read_raster, views):
    windows = []
    report = process_blocks(
        functions.first, grid_file, tmp_path / "out.tif", views=views, executor="serial", halo=1,
        observer=functions.recorder(windows),
    )  # fmt: skip
    assert report.blocks == 9
    assert sorted(windows) == sorted((y, x, height, width) for x, y, width, height in VIEWS)
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), noise)


@pytest.mark.parametrize(
    ("views", "error", "message"),
    [
        ([(0, 0, 90)], TypeError, r"one of them is \(0, 0, 90\)"),
        ([(0.0, 0, 90, 70)], TypeError, r"one of them is \(0.0, 0, 90, 70\)"),
        ((0, 0, 90, 70), TypeError, "one of them is 0"),
        ("all", TypeError, "views must be tuples .* not 'all'"),
        ([], ValueError, "views is empty"),
        (iter(()), ValueError, "views is empty"),
        ([(0, 0, 91, 70)], ValueError, "not within the raster of 70 rows and 90 columns"),
        ([(0, 0, 70, 90)], ValueError, "not within the raster of 70 rows and 90 columns"),
        ([(0, 0, 9, 9), (8, 8, 9, 9)], ValueError, "must not overlap"),
    ],
)
def test_wrong_views_are_named(grid_file, tmp_path, views, error, message):
    with pytest.raises(error, match=message):
        process_blocks(functions.first, grid_file, tmp_path / "out.tif", views=views)


def test_only_one_argument_gives_blocks_or_halos(grid_file, tmp_path):
    with pytest.raises(ValueError, match="grid and views are both given"):
        process_blocks(functions.first, grid_file, tmp_path / "out.tif", views=VIEWS, grid=(10, 10))
    with pytest.raises(ValueError, match="halo is 1, but the grid has a halo of 2"):
        process_blocks(functions.first, grid_file, tmp_path / "out.tif", halo=1, grid=BlockGrid(70, 90, 9, 9, halo=2))


def test_the_larger_halo_of_a_grid_and_a_function_is_read(grid_file, tmp_path):
    for halo in (2, 5):
        function = functions.RecordShapes(3)
        process_blocks(function, grid_file, tmp_path / "out.tif", grid=BlockGrid(70, 90, 70, 30, halo=halo),
                       executor="serial")  # fmt: skip
        assert function.shapes[0] == (70, 30 + max(3, halo))


@pytest.mark.parametrize("pair", [False, True])
def test_windows_can_be_ranges_and_blocks(grid_file, noise, tmp_path, read_raster, pair):
    ranges = [((0, 40), (0, 90)), ((40, 70), (0, 90))]
    grid = [[window, (0, n)] for n, window in enumerate(ranges)] if pair else ranges
    process_blocks(functions.first, grid_file, tmp_path / "out.tif", grid=grid, executor="serial")
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), noise)
    process_blocks(
        functions.first, grid_file, tmp_path / "out.tif", grid=list(BlockGrid(70, 90, 40, 90)), executor="serial"
    )
    np.testing.assert_array_equal(read_raster(tmp_path / "out.tif"), noise)
    with pytest.raises(ValueError, match="grid has a block with a halo"):
        process_blocks(functions.first, grid_file, "out.tif", grid=list(BlockGrid(70, 90, 40, 90, halo=1)))


def test_a_grid_of_fractions_is_refused():
    for wrong in ({"block_height": 1.5}, {"halo": 0.5}, {"row_offset": True}, {"width": "9"}):
        with pytest.raises(TypeError, match="must be integers"):
            BlockGrid(**{"height": 9, "width": 9, "block_height": 3, "block_width": 3, **wrong})
