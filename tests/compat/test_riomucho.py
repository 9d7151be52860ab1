"""Run programs of rio-mucho with this package, and compare the cells with those of rio-mucho's own loop."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import rasterio

from regionplot.compat import riomucho
from regionplot.errors import BlockError

pytestmark = [
    pytest.mark.timeout(120, method="signal"),  # a timer thread would make fork unsafe
    pytest.mark.filterwarnings("ignore"),
]
TILES = {"tiled": True, "blockxsize": 32, "blockysize": 16}


def reference(inpaths, outpath, function, mode="simple_read", windows=None, options=None, global_args=None):
    """Run rio-mucho's loop in one process: open, read each window, call, write."""
    sources = [rasterio.open(path) for path in inpaths]
    windows = windows or [[window, ij] for ij, window in sources[0].block_windows()]
    with rasterio.open(outpath, "w", **(options or sources[0].profile)) as target:
        for window, ij in windows:
            arrays = [source.read(window=window) for source in sources]
            data = {"simple_read": arrays, "manual_read": sources}.get(mode)
            data = np.concatenate(arrays) if data is None else data
            target.write(function(data, window, ij, global_args or {}), window=window)


def simple(data, _window, _ij, g_args):
    return data[0] / g_args["divide"] + data[1]


def stacked(data, _window, ij, _g_args):
    return data[::-1].astype("float64") + ij[0] * 10 + ij[1]


def manual(sources, window, _ij, g_args):
    return np.stack([sources[1].read(1, window=window), sources[0].read(2, window=window) * g_args["divide"]])


def masked(data, _window, _ij, _g_args):
    return np.ma.masked_equal(data[0], 3)


MODES = {
    "simple": (simple, "simple_read", 2),
    "stacked": (stacked, "array_read", 4),
    "manual": (manual, "manual_read", 2),
    "masked": (masked, "simple_read", 2),
}


@pytest.fixture
def inputs(write_raster):
    random = np.random.default_rng(8)
    return [
        str(write_raster(random.integers(0, 9, (2, 50, 70)).astype(np.int16), name=f"in{n}.tif", nodata=-7, **TILES))
        for n in range(2)
    ]


def run(module, inputs, output, function, mode, processes, **more):
    with module.RioMucho(inputs, output, function, mode=mode, global_args={"divide": 2}, **more) as rm:
        rm.run(processes)


def cells(path):
    with rasterio.open(path) as file:
        return file.read(), file.dtypes, file.nodata, file.block_shapes, file.crs


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("dtype", ["int16", "uint8", "float32"])
@pytest.mark.parametrize("case", MODES)
def test_a_program_gives_the_cells_of_rio_mucho(inputs, tmp_path, case, dtype, processes):
    function, mode, count = MODES[case]
    with rasterio.open(inputs[0]) as file:
        options = {**file.profile, "count": count, "dtype": dtype, "nodata": 7}
    run(riomucho, inputs, str(tmp_path / "ours.tif"), function, mode, processes, options=options)
    reference(inputs, tmp_path / "plain.tif", function, mode, options=options, global_args={"divide": 2})
    results = [cells(tmp_path / name) for name in ("ours.tif", "plain.tif")]
    np.testing.assert_array_equal(results[0][0], results[1][0])
    assert results[0][1:] == results[1][1:]
    if importlib.util.find_spec("riomucho"):
        import riomucho as original

        run(original, inputs, str(tmp_path / "theirs.tif"), function, mode, processes, options=options)
        np.testing.assert_array_equal(results[0][0], cells(tmp_path / "theirs.tif")[0])


def test_defaults_windows_and_open_datasets_are_those_of_rio_mucho(inputs, tmp_path):
    run(riomucho, inputs, str(tmp_path / "ours.tif"), simple, "simple_read", 2)
    reference(inputs, tmp_path / "plain.tif", simple, global_args={"divide": 2})
    np.testing.assert_array_equal(cells(tmp_path / "ours.tif")[0], cells(tmp_path / "plain.tif")[0])
    windows = [[((0, 20), (0, 70)), (0, 0)], [((20, 50), (0, 30)), (1, 0)]]  # pairs of rows and columns, with a gap
    with rasterio.open(inputs[0]) as file:
        options = file.meta
    run(riomucho, inputs, str(tmp_path / "part.tif"), simple, "simple_read", 2, windows=windows, options=options)
    reference(inputs, tmp_path / "plain.tif", simple, windows=windows, options=options, global_args={"divide": 2})
    np.testing.assert_array_equal(cells(tmp_path / "part.tif")[0], cells(tmp_path / "plain.tif")[0])
    target = rasterio.open(tmp_path / "open.tif", "w", **options)
    run(riomucho, inputs, target, simple, "simple_read", 2, windows=iter(windows))
    assert target.closed
    np.testing.assert_array_equal(cells(tmp_path / "open.tif")[0], cells(tmp_path / "plain.tif")[0])
    with rasterio.open(tmp_path / "entered.tif", "w", **options) as target:
        run(riomucho, inputs, target, simple, "simple_read", 1, windows=tuple(windows))
    np.testing.assert_array_equal(cells(tmp_path / "entered.tif")[0], cells(tmp_path / "plain.tif")[0])


@pytest.mark.parametrize("processes", [1, 2])
def test_a_failing_function_leaves_the_old_output(inputs, tmp_path, processes):
    def fail(*_):
        raise ZeroDivisionError("no such luck")

    assert issubclass(riomucho.MuchoChildError, BlockError)  # for programs that catch the error of rio-mucho

    old = tmp_path / "old.tif"
    old.write_bytes(b"old")
    with pytest.raises(BlockError, match="no such luck"):
        run(riomucho, inputs, str(old), fail, "simple_read", processes)
    assert old.read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 3


def test_a_function_without_a_result_is_named(inputs, tmp_path):
    with pytest.raises(BlockError, match=r"block of rows .* the function returned None"):
        riomucho.RioMucho(inputs, str(tmp_path / "out.tif"), lambda *_: None).run(1)


def test_wrong_modes_and_inputs_are_refused():
    with pytest.raises(ValueError, match="mode must be one of: simple_read, array_read, manual_read, not 'fast'"):
        riomucho.RioMucho(["a.tif"], "b.tif", simple, mode="fast")
    for inputs, function in (([], simple), ("a.tif", simple), (["a.tif"], None)):
        with pytest.raises(ValueError, match="needs a list of at least one input, and a function"):
            riomucho.RioMucho(inputs, "b.tif", function)
    assert riomucho.utils.array_stack([np.ones((2, 3, 4)), np.ones((1, 3, 4))]).shape == (3, 3, 4)
    with pytest.raises(ValueError, match="array 2 has the shape"):
        riomucho.utils.array_stack([np.ones((2, 3, 4)), np.ones((1, 4, 4))])
